"""One connection: uvicorn's, with what it lacks for standing in front of strangers. No other module knows its internals.

What is added, each with its reason:

- Refusals in JSON with our headers: what cannot be understood as HTTP is answered like everything else under /api.
- A bound on the bytes that lead to nothing (a head, chunk lines, trailers, blank lines): uvicorn has none, and collects them.
- Trailers are no headers: uvicorn adds a field that comes after the body to those of the head, where it could pass for a
  proxy's word, a site's origin or a host.
- No body behind a wish for another protocol: it would be taken for the next request.
- Time: uvicorn waits for ever for a first byte, for the rest of a request, and for a client that does not read its answer.
- A bound on open connections: without files no connection is accepted, and the log fills with it.
- A bound on requests that wait behind another: each costs sixty times the memory that it took on the way.
- Who leaves is gone for the request that is being answered, too: uvicorn tells the last that came, and logs an error for the other.
- A short way for answers that come whole: uvicorn's own takes as long as parsing the request did.
"""

from __future__ import annotations

import asyncio
import math
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application

# Request line and headers together, and whatever else is neither a body nor the end of something. Browsers and proxies stay
# far below. What comes in one piece from the network may be larger by that piece.
MOST_HEAD_BYTES = 65_536
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})

# The slowest line that still gets a body of the allowed size through: 100 kbit/s, a telephone with a bad signal.
SLOWEST_BYTES_A_SECOND = 12_500
# For connecting, the head, and a packet that is lost and sent again.
HEAD_SECONDS = 10.0

# A proxy keeps some hundred connections open: this many are an attack, and take some 90 megabytes while they are idle.
MOST_OPEN = 10_000
# Files that are not connections: the database's, the program's own, and what is opened for a moment.
OTHER_FILES = 64
# Between two lines that say so.
FULL_SECONDS = 60.0

# What is refused before anybody knows which API was asked is said as /api/e2e says it.
NOT_HTTP = (
    b'{"error":{"code":"invalid","message":"This is not HTTP","field":"request","rule":"http"}}'
)
LONG_HEAD = b'{"error":{"code":"too_large","message":"Request line and headers are too long"}}'
FULL = (
    b'{"error":{"code":"unavailable","message":"There are too many connections","retry_after":5}}'
)

# Requests behind one that is not answered yet. Browsers do not do it at all; a program that does need not be slower for it.
MOST_WAITING = 64


def patience_seconds(body_limit: int) -> float:
    """How long a whole request may take to come, and its answer to be taken: 63 seconds with the default settings.

    The answer needs no more than the request: it holds one secret at most, in the same spelling.
    """
    return HEAD_SECONDS + body_limit / SLOWEST_BYTES_A_SECOND


def most_open(files: int) -> int:
    """Connections of a process that may have `files` open."""
    if files == resource.RLIM_INFINITY:
        return MOST_OPEN
    return min(MOST_OPEN, max(files // 2, files - OTHER_FILES))


@dataclass(slots=True)
class Bounds:
    """What the connections of one server have in common.

    `refusal_headers` are header lines of every refusal; `when_full` is told that connections are refused, once a minute.
    """

    patience_seconds: float = math.inf
    most_open: int = MOST_OPEN
    refusal_headers: bytes = b""
    when_full: Callable[[], None] | None = None
    was_full_at: float = -math.inf

    def refused(self, now: float) -> None:
        if self.when_full is not None and now - self.was_full_at >= FULL_SECONDS:
            self.was_full_at = now
            self.when_full()


class Connection(HttpToolsProtocol):
    """`due` is when the other end must have done its part: sent its request, taken its answer, or begun another one. While
    the next step is ours there is no such time.

    One timer looks at it, as often as the patience is long: a time that is set meanwhile is never earlier than the next look,
    and a request costs no timer of its own.
    """

    # Those of the server; its subclass says which.
    bounds = Bounds()

    due = math.inf
    # Bytes since something came of them: the end of a head, a piece of a body, the end of a message.
    vain_bytes = 0
    watch: asyncio.TimerHandle | None = None
    # The request that is being answered; uvicorn knows the last that came, which may wait behind it.
    active: RequestResponseCycle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.extensions: dict[str, dict[object, object]] = {
            "onetime.whole": {"send": self.answer_whole}
        }
        self._their_turn()
        self._look()
        if len(self.connections) > self.bounds.most_open:
            self.bounds.refused(self.loop.time())
            self._refuse(503, FULL, b"retry-after: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.active is not None:
            self.active.disconnected = True
        super().connection_lost(exc)
        self.active = None
        self.extensions = {}  # it holds this connection
        if self.watch is not None:
            self.watch.cancel()
            self.watch = None

    def _their_turn(self) -> None:
        self.due = self.loop.time() + self.bounds.patience_seconds

    def _look(self) -> None:
        now = self.loop.time()
        if self.due <= now:
            # Not close(), which waits until the other end has taken what was written.
            self.transport.abort()
            return
        if self.due == math.inf and self.transport.is_closing():
            self._their_turn()
        patience = self.bounds.patience_seconds
        if patience < math.inf:
            self.watch = self.loop.call_at(min(self.due, now + patience), self._look)

    # What comes

    def data_received(self, data: bytes) -> None:
        self.vain_bytes += len(data)
        super().data_received(data)
        if self.vain_bytes <= MOST_HEAD_BYTES:
            return
        scope: Any = self.scope
        if scope is not None and "path" not in scope:
            self._refuse(431, LONG_HEAD)
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self.extensions
        self._their_turn()
        if len(self.pipeline) > MOST_WAITING:
            self.transport.abort()
            raise ValueError  # which stops the parser

    def on_headers_complete(self) -> None:
        # The parser ends a request that wishes for another protocol at its head, and would take its body for the next
        # request: a stranger's, where a proxy shares the connection among callers.
        if self.parser.should_upgrade() and any(name in BODY_HEADERS for name, _ in self.headers):
            raise ValueError
        super().on_headers_complete()
        self.vain_bytes = 0
        # The request has its list of headers. What the parser finds from now on is a trailer, and nobody looks at it.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self.vain_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.vain_bytes = 0
        super().on_message_complete()
        if self.cycle.response_complete:  # before all of it had come
            self._their_turn()
        elif not self.flow.write_paused:
            self.due = math.inf

    # What goes

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.active = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._their_turn()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._their_turn()

    def on_response_complete(self) -> None:
        self._their_turn()
        super().on_response_complete()

    def answer_whole(self, scope: object, status: int, head: bytes, content: bytes) -> bool:
        """Answer with head and content as they are, in one write; False where that is not possible, and nothing was sent.

        uvicorn looks at each of a dozen headers with two regular expressions and writes head and body apart. `head` is header
        lines, `content` as long as they say. What is out of the ordinary (pipelined requests, a last answer, a slow reader)
        goes uvicorn's way.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.response_started
            or self.flow.write_paused
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        usual = [b"%b: %b\r\n" % line for line in self.server_state.default_headers]  # the date
        self.transport.write(b"".join((STATUS_LINE[status], *usual, head, b"\r\n", content)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    # Refusals

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - always the same words
        self._refuse(400, NOT_HTTP)

    def _refuse(self, status: int, content: bytes, more: bytes = b"") -> None:
        if self.transport.is_closing():
            return
        length = b"content-length: %d\r\n" % len(content)
        kind = b"content-type: application/json; charset=utf-8\r\nconnection: close\r\n\r\n"
        head = STATUS_LINE[status] + self.bounds.refusal_headers + more + length + kind
        self.transport.write(head + content)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to warn of: the request is answered, its wish for another protocol is not."""
