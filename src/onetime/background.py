"""The loops: sweep what has expired, and leave no trace of what is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from onetime.errors import Unavailable

if TYPE_CHECKING:
    from onetime.app import App

# Content is unreadable at its second; the store removes it five minutes later, so a round a minute keeps it within ten.
SWEEP_SECONDS = 60
# What was taken must be in no file a minute later.
SCRUB_SECONDS = 20


async def sweep(app: App) -> None:
    """Remove all that is due, in steps that callers' operations run between."""
    while True:
        swept = await app.store.sweep()
        app.metrics.swept(secrets=swept.secrets, receipts=swept.receipts)
        if not swept.more:
            break
    if app.is_clock_off:
        app.log.warning(
            "clock is off",
            reason="This process's clock is so many seconds ahead of the store's, which counts",
            count=round(app.store.skew()),
        )


async def run(app: App) -> None:
    """Both loops, until cancelled. A round that fails is said, and tried again in the next."""
    await asyncio.gather(
        _every(SWEEP_SECONDS, app, "sweep failed", sweep),
        _every(SCRUB_SECONDS, app, "scrub failed", lambda app: app.store.scrub()),
    )


async def _every(seconds: float, app: App, failed: str, step: Step) -> None:
    while True:
        try:
            await step(app)
        except Unavailable as error:
            app.log.warning(failed, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not end the loop: what is over would stay for good
            app.log.failure(failed, error)
        await asyncio.sleep(seconds)


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Step = Callable[[App], Awaitable[None]]
