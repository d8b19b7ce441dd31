"""A whole application for a test of the rules: real SQLite, a clock that is a number, and hashes that take no time."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onetime.app import App, build
from onetime.crypto.hashing import Cost, Hasher
from onetime.errors import OnetimeError
from onetime.model import Caller
from onetime.settings import Settings
from onetime.storage.port import VaultStore

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
# A Tuesday, 22:13:20 UTC: no test that lasts less than an hour and a half sees midnight unless it wants to.
START = 1_700_000_000
DAY = 86_400


@dataclass(slots=True)
class Clock:
    """Time passes by `clock.now += 60`."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def quick_hasher(**options: int) -> Hasher:
    return Hasher(cost=QUICK, **options)


@asynccontextmanager
async def opened(
    folder: Path, clock: Clock, *, hasher: Hasher | None = None, **settings: Any
) -> AsyncIterator[App]:
    """The application in `folder`, as often as wanted, also at the same time."""
    given = Settings(**{"data_dir": folder, "disk_reserve": 0, **settings})
    async with build(given, clock=clock, hasher=hasher or quick_hasher()) as app:
        yield app


def network(number: int) -> Caller:
    return Caller(network=f"10.{number // 256}.{number % 256}.0/24")


@dataclass(slots=True)
class Watched:
    """A store that keeps the names of the verbs that are called, and is otherwise the one it stands before."""

    store: VaultStore
    verbs: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if name != "now":
            self.verbs.append(name)
        return found


@contextmanager
def watched(app: App) -> Iterator[Watched]:
    """Everything that the rules ask of the store, while this lasts."""
    parts: tuple[Any, ...] = (app.vault, app.vault._limits)
    watching = Watched(app.store)
    for part in parts:
        part._store = watching
    try:
        yield watching
    finally:
        for part in parts:
            part._store = app.store


async def outcome(awaitable: Any) -> str:
    """What it gave, or the name of the error."""
    try:
        given = await awaitable
    except OnetimeError as error:
        return type(error).__name__
    return given if isinstance(given, str) else "done"
