"""For whoever runs the service: is it alive, can it serve, what has it counted."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from onetime import __version__, errors
from onetime.web.http import Answer, json_answer, retry_after, text_answer

if TYPE_CHECKING:
    from onetime.web.http import Call

# What proxies say about whom they ask for; one of them is enough to be no caller of this machine.
PROXIED = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


async def health(call: Call) -> Answer:
    """The reference's own words."""
    return json_answer({"status": "ok", "timestamp": call.app.store.now(), "version": __version__})


async def live(_call: Call) -> Answer:
    """The process answers; says nothing about the store."""
    return json_answer({"status": "live"})


async def ready(call: Call) -> Answer:
    """The store was asked, with a durable write. A clock that is off harms nothing, for the store's counts; but somebody
    should know.
    """
    try:
        await call.app.store.ready()
    except errors.Unavailable as error:
        return json_answer({"status": "unavailable"}, status=503, headers=retry_after(error))
    said: dict[str, object] = {"status": "ready"}
    if call.app.is_clock_off:
        said["clock_seconds_ahead"] = round(call.app.store.skew())
    return json_answer(said)


async def metrics(call: Call) -> Answer:
    """Only when enabled, and only for a caller on this machine who came without a proxy."""
    if not (call.app.settings.metrics and _is_local(call)):
        raise errors.NotFound
    return text_answer(call.app.metrics.text())


def _is_local(call: Call) -> bool:
    if any(call.header(name) for name in PROXIED):
        return False
    try:
        return ipaddress.ip_address(call.peer).is_loopback
    except ValueError:
        return False
