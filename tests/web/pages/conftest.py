from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.pages.reading import Clock, Reader, reader


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def visitor(tmp_path: Path, clock: Clock) -> AsyncIterator[Reader]:
    """Somebody with a browser and without script; holds what links they are given."""
    async with reader(tmp_path, clock=clock) as each:
        yield each
