"""One connection as uvicorn sees it, with what we do otherwise: how a malformed request is refused, how long a head may be,
and a short way for answers that come whole.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# Request line and headers together. Browsers and proxies stay far below; uvicorn itself has no bound here. What comes in one
# piece from the network may be larger by that piece.
MOST_HEAD_BYTES = 65_536
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class Connection(HttpToolsProtocol):
    """What cannot be understood as HTTP is refused in JSON and with our headers, like everything else under /api."""

    # Header lines of every refusal; the server's subclass knows them.
    refusal_headers = b""

    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.extensions: dict[str, dict[object, object]] = {
            "onetime.whole": {"send": self.answer_whole}
        }

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.extensions = {}  # it holds this connection

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self.extensions

    def answer_whole(self, scope: object, status: int, head: bytes, content: bytes) -> bool:
        """Answer with head and content as they are, in one write; False where that is not possible, and nothing was sent.

        uvicorn looks at each of a dozen headers with two regular expressions and writes head and body apart, which takes as
        long as parsing the request did. `head` is header lines, `content` as long as they say. What is out of the ordinary
        (pipelined requests, a last answer, a slow reader) goes uvicorn's way.
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

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        scope: Any = self.scope
        if scope is None or "path" in scope:  # between two heads
            self.head_bytes = 0
            return
        self.head_bytes += len(data)
        if self.head_bytes > MOST_HEAD_BYTES:
            self._refuse(431, b'{"error":"Request Header Fields Too Large"}')

    def on_headers_complete(self) -> None:
        # The parser ends a request that wishes for another protocol at its head, and would take its body for the next
        # request: a stranger's, where a proxy shares the connection among callers.
        if self.parser.should_upgrade() and any(name in BODY_HEADERS for name, _ in self.headers):
            raise ValueError
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - always the same words
        self._refuse(400, b'{"error":"Bad Request"}')

    def _refuse(self, status: int, content: bytes) -> None:
        if self.transport.is_closing():
            return
        length = b"content-length: %d\r\n" % len(content)
        kind = b"content-type: application/json; charset=utf-8\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + self.refusal_headers + length + kind + content)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to warn of: the request is answered, its wish for another protocol is not."""
