"""What a caller without an account may do by the compatible APIs: the operator's setting ONETIME_GUEST_API, which binds here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.errors import Disabled

if TYPE_CHECKING:
    from onetime.web.http import Call

ALL_SHUT = "Guest API access is disabled"


def check(call: Call, what: str) -> None:
    """`what` is one of `settings.GUEST_CALLS`.

    Raises:
        Disabled: it is not among those of the setting.
    """
    allowed = call.app.settings.guest_api
    if what not in allowed:
        raise Disabled(f"Guest {what} is disabled" if allowed else ALL_SHUT)


def code(error: Disabled) -> str:
    """GUEST_CONCEAL_DISABLED, and GUEST_ROUTES_DISABLED when all are (reference 2.14)."""
    said = str(error)
    what = "ROUTES" if said == ALL_SHUT else said.split()[1].upper()
    return f"GUEST_{what}_DISABLED"
