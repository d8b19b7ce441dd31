"""The dialects of one vault. What a request under /api gets that no handler answers is decided here, by its prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from onetime.web.api import e2e, trouble, v1
from onetime.web.http import Answer, json_answer

if TYPE_CHECKING:
    from onetime.errors import OnetimeError
    from onetime.web.http import Call

WORDS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    421: "Misdirected Request",
    500: "Internal Server Error",
}


class ErrorWords(Struct):
    error: str


def on_error(call: Call, error: OnetimeError) -> Answer:
    """A rule's refusal in the words of the dialect."""
    match _dialect(call):
        case "e2e":
            return e2e.on_error(error)
        case "v2" | "v3":
            return trouble.on_error(call, error)
        case _:
            return v1.on_error(call, error)


def plain(call: Call, status: int) -> Answer:
    """JSON for what is not routed, not ours or not foreseen. Outside our own API another method is not found either (reference 0.2)."""
    match _dialect(call):
        case "e2e":
            return e2e.plain(status)
        case "v2" | "v3":
            return trouble.plain(status)
        case _:
            if status == 405:
                status = 404
            return json_answer(ErrorWords(WORDS[status]), status=status)


def _dialect(call: Call) -> str:
    """What stands behind /api/."""
    return call.path.removeprefix("/api").removeprefix("/").partition("/")[0]
