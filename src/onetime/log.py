"""One JSON object a line, of allowed fields only.

What is not in FIELDS cannot be logged: there is no free text. `event` is a constant of the code, `route` a template and
never a path, `reason` a sentence of ours (an error's message, which by rule holds nothing of a request).
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = (
    "time",
    "level",
    "event",
    "route",
    "method",
    "status",
    "ms",
    "request_id",
    "reason",
    "where",
    "count",
)

_ALLOWED = frozenset(FIELDS)

# The innermost places of an error's way; a line stays a line, however deep the error was.
MOST_FRAMES = 20

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Request(msgspec.Struct, frozen=True, gc=False):
    """The line of a request: written by the thousand, so as a struct."""

    time: float
    level: str
    event: str
    route: str
    method: str
    status: int
    ms: float
    request_id: str


class Log:
    """Writes to standard error. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float], stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def failure(self, event: str, error: BaseException | None = None, **fields: object) -> None:
        """`error` is logged as its type and the places it came through, without its text, which may hold anything."""
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
            places = " < ".join(
                f"{_short(each.filename)}:{each.lineno}" for each in reversed(frames)
            )
            fields["reason"] = type(error).__name__
            fields["where"] = places
        self._write("error", event, fields)

    def request(self, *, method: str, route: str, status: int, ms: float, request_id: str) -> None:
        self._say(
            _Request(
                round(self._clock(), 3),
                "info",
                "request",
                route,
                method if method in METHODS else "other",
                status,
                ms,
                request_id,
            )
        )

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self._stream.write(b"\n".join(lines).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # A full disk or a closed pipe behind the log must not stop the service.
            pass

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        if not fields.keys() <= _ALLOWED:
            raise ValueError(f"not a log field: {sorted(fields.keys() - _ALLOWED)}")
        self._say({"time": round(self._clock(), 3), "level": level, "event": event, **fields})

    def _say(self, line: object) -> None:
        self._lines.append(self._encode(line))
        if len(self._lines) == 1:
            self._soon()

    def _soon(self) -> None:
        """Lines of one turn of the event loop are written together: a call of the system for each costs as much as
        making the answer it tells of.
        """
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # no loop is running
            self.flush()


def _short(filename: str) -> str:
    return filename.rpartition("/onetime/")[2] or filename.rpartition("/")[2]
