from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests import needs
from tests.browser.chromium import chromium
from tests.browser.place import Place, installed
from tests.browser.visitor import Visitor, visiting

Visit = Callable[..., AbstractContextManager[Visitor]]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One process for all; each visitor has a profile of their own."""
    with chromium(needs.chromium()) as browser:
        yield browser


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    needs.chromium()
    with installed(tmp_path_factory.mktemp("place")) as place:
        yield place


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def script(request: pytest.FixtureRequest) -> bool:
    """With script, and without."""
    return bool(request.param)


@pytest.fixture
def visit(browser: Browser, place: Place) -> Visit:
    return partial(visiting, browser, place)


@pytest.fixture
def visitor(visit: Visit, script: bool) -> Iterator[Visitor]:
    """Alice, who shares, and then does what Bob does as well."""
    with visit(script=script) as visitor:
        yield visitor


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"
