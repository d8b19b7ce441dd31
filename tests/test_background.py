"""The loops go on, whatever happens in one of their rounds."""

import asyncio
import io
from pathlib import Path

import pytest

from onetime import background
from onetime.app import App, build
from onetime.errors import Unavailable
from onetime.log import Log
from onetime.settings import Settings


@pytest.mark.parametrize(
    "error", [Unavailable("The store failed"), RuntimeError("a text"), OSError(28, "a text")]
)
async def test_a_round_that_fails_is_said_and_the_next_one_comes(
    tmp_path: Path, error: Exception
) -> None:
    said = io.StringIO()
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    async with build(settings, log=Log(lambda: 0.0, said)) as app:
        rounds = 0
        enough = asyncio.Event()

        async def step(_app: App) -> None:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                raise error
            enough.set()

        loop = asyncio.create_task(background._every(0.001, app, "sweep failed", step))
        async with asyncio.timeout(10):
            await enough.wait()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        app.log.flush()

    assert "sweep failed" in said.getvalue()
    assert "a text" not in said.getvalue()
