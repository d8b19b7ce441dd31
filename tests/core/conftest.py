"""A clock, and the application that reads it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onetime.app import App
from tests.core.opening import Clock, opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def onetime(tmp_path: Path, clock: Clock) -> AsyncIterator[App]:
    async with opened(tmp_path / "data", clock) as app:
        yield app
