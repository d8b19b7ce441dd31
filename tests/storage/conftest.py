"""A clock, an empty place for a store of each adapter, and the store opened there."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from onetime.storage.port import VaultStore
from tests import needs
from tests.storage.adapters import ADAPTERS, Adapter, Clock, Place
from tests.storage.races import Crew

# Of these `make test` tries the default store, `make faults` the others too; the contract itself is always tried on all.
LONG = ("test_races", "test_faults")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        adapter = getattr(item, "callspec", None) and item.callspec.params.get("adapter")  # type: ignore[attr-defined]
        if isinstance(adapter, Adapter) and adapter.name != "sqlite" and item.path.stem in LONG:
            item.add_marker(pytest.mark.full)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.name)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    if found.needs:
        needs.need(found.needs)
    return found


@pytest.fixture
async def place(adapter: Adapter, tmp_path: Path) -> AsyncIterator[Place]:
    folder = tmp_path / "vault"
    folder.mkdir()
    place = Place(adapter, await adapter.address(folder))
    yield place
    await place.close()


@pytest.fixture
async def vault(place: Place, clock: Clock) -> VaultStore:
    store: Any = await place.open(clock)
    opened: VaultStore = store
    return opened


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Four processes that open any store and call its verbs; started once, for they take a while to start."""
    crew = Crew(4)
    yield crew
    crew.close()
