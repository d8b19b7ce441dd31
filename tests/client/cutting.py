"""A proxy that cuts: between a client and a server, it loses what it is told to, and keeps what went through.

with cutting(server.address) as line:
    line.cut("reveal", "lost")          # the next such request arrives, its answer does not
    ...
    line.sent("reveal")                 # every request of that kind, as it came

with tapping(server.address) as tap:    # loses nothing, and keeps every byte
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0

# before: closed without passing it on. lost: passed on, and closed without the answer. middle: after half of the answer.
# head: within the last line of its head. body: after half of its body. changed: the last byte of the answer is another.
# held: passed on, and the answer kept back until it is let go or the client gives up. swallowed: not even passed on.
How = Literal["before", "lost", "head", "body", "middle", "held", "swallowed", "changed"]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    head: bytes
    body: bytes


@dataclass
class Line:
    behind: tuple[str, int]
    address: str = ""
    requests: list[Request] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    _free: threading.Event = field(default_factory=threading.Event)
    _cuts: list[tuple[str, How]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self, path: str, how: How, *, times: int = 1) -> None:
        """The next requests whose path ends so."""
        with self._lock:
            self._cuts += [(path, how)] * times

    @contextlib.contextmanager
    def broken(self, path: str, how: How) -> Iterator[None]:
        """Each such request, however often it is tried again."""
        self.cut(path, how, times=1000)
        try:
            yield
        finally:
            self.mend()

    def mend(self) -> None:
        """Nothing more is cut."""
        with self._lock:
            self._cuts.clear()

    def sent(self, path: str) -> list[Request]:
        return [each for each in self.requests if each.path.endswith(path)]

    def let_go(self) -> None:
        """What is held goes on."""
        self._free.set()

    def keep(self, connection: socket.socket) -> None:
        """Until it is let go, or the client has gone."""
        self.held.set()
        connection.settimeout(0.05)
        while not self._free.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return

    def take_cut(self, request: Request) -> How | None:
        with self._lock:
            self.requests.append(request)
            for index, (path, how) in enumerate(self._cuts):
                if request.path.endswith(path):
                    del self._cuts[index]
                    return how
        return None


def read_request(connection: socket.socket) -> Request | None:
    """One request, to the end of its body; None at the end of the connection."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65_536)
        if not piece:
            return None
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    length = int(found[1]) if found else 0
    while len(body) < length:
        piece = connection.recv(65_536)
        if not piece:
            return None
        body += piece
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    return Request(method, path, head, body)


def answer_of(behind: tuple[str, int], request: Request) -> bytes:
    """All of it: the server is asked to close behind it."""
    head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", request.head) + b"\r\nConnection: close"
    with socket.create_connection(behind, timeout=PATIENCE_SECONDS) as server:
        server.sendall(head + b"\r\n\r\n" + request.body)
        answer = b""
        while piece := server.recv(65_536):
            answer += piece
    return answer


def part_of(answer: bytes, how: How | None) -> bytes:
    head = answer.index(b"\r\n\r\n") + 4
    ends = {"head": head - 8, "body": (head + len(answer)) // 2, "middle": len(answer) // 2}
    return answer[: ends[how]] if how else answer


def handler(line: Line, tls: ssl.SSLContext | None) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, ssl.SSLError):
                connection: socket.socket = self.request
                connection.settimeout(PATIENCE_SECONDS)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                self.pass_on(connection)
                connection.close()

        def pass_on(self, connection: socket.socket) -> None:
            request = read_request(connection)
            if request is None:
                return
            how = line.take_cut(request)
            if how == "before":
                return
            if how == "swallowed":
                line.keep(connection)
                return
            answer = answer_of(line.behind, request)
            if how == "held":
                line.keep(connection)
                connection.sendall(answer)
            elif how == "changed":
                connection.sendall(answer[:-1] + bytes([answer[-1] ^ 1]))
            elif how != "lost":
                connection.sendall(part_of(answer, how))

    return Handler


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False


@contextlib.contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port."""
    with Threads(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def cutting(behind: str, *, certificate: Path | None = None) -> Iterator[Line]:
    """With a certificate it speaks https."""
    parts = urlsplit(behind)
    line = Line((parts.hostname or "", parts.port or 0))
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    with listening(handler(line, tls)) as port:
        line.address = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
        yield line


@contextlib.contextmanager
def tunnelling(to: str) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a proxy that leads every CONNECT to one place, and the first lines of what it was asked."""
    parts = urlsplit(to)
    asked: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                request = read_request(self.request)
                assert request is not None
                asked.append(request.head.split(b"\r\n")[0])
                if request.method != "CONNECT":
                    self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                    return
                with socket.create_connection((parts.hostname or "", parts.port or 0)) as target:
                    self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=copy, args=(target, self.request), daemon=True)
                    back.start()
                    copy(self.request, target)
                    back.join(PATIENCE_SECONDS)

    with listening(Handler) as port:
        yield f"http://127.0.0.1:{port}", asked


@dataclass
class Tap:
    """What went through it, a connection each: to the server and from it."""

    address: str = ""
    received: list[bytearray] = field(default_factory=list)
    answered: list[bytearray] = field(default_factory=list)

    def forget(self) -> None:
        """Connections that nothing is on just now may go on."""
        for each in (*self.received, *self.answered):
            each.clear()


@contextlib.contextmanager
def tapping(behind: str) -> Iterator[Tap]:
    """A proxy that passes every byte on as it is. What the server has, the tap had before."""
    parts = urlsplit(behind)
    tap = Tap()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            to, back = bytearray(), bytearray()
            tap.received.append(to)
            tap.answered.append(back)
            with (
                contextlib.suppress(OSError),
                socket.create_connection((parts.hostname or "", parts.port or 0)) as target,
            ):
                answers = threading.Thread(
                    target=copy, args=(target, self.request, back), daemon=True
                )
                answers.start()
                copy(self.request, target, to)
                answers.join(PATIENCE_SECONDS)

    with listening(Handler) as port:
        tap.address = f"http://127.0.0.1:{port}/"
        yield tap


def copy(source: socket.socket, target: socket.socket, kept: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            if kept is not None:
                kept += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
