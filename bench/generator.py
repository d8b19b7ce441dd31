"""The load: a closed loop over a number of connections, one request outstanding on each, the same for every program.

It runs in the bench's own process, on the core that no server uses. To stay out of the way it is one loop over epoll
and blocking sockets, sends bytes that were made before, reads `Content-Length` and leaves the rest of an answer to the
dialect, which looks for what it needs with `bytes.find`. How near it comes to its own limit is in every slice (`busy`,
its share of one core's time) and is measured against a trivial server (`bench.ceiling`).

A server that closes after its answer (`Connection: close`) gets a new connection for the next request; connecting is
then part of that request's time, as it would be for any client.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from array import array
from dataclasses import dataclass
from typing import Any, Protocol

CONNECTIONS = 32
PATIENCE = 30.0  # seconds without any answer, after which the run is void


class Void(Exception):
    """Something was not answered, or not as it must be: nothing that was measured counts."""


class Talk(Protocol):
    """Requests of one kind to one program."""

    def ask(self) -> tuple[bytes, Any] | None:
        """A whole request, and what its answer will be judged by; None when there is nothing left to ask."""

    def judge(self, about: Any, answer: bytes) -> None:
        """Look at a whole answer, head and body.

        Raises:
            Void: it is not what it must be.
        """


@dataclass(frozen=True, slots=True)
class Slice:
    answers: int
    seconds: float
    busy: float  # the generator's own processor time, as a share of `seconds`
    latencies: array[int]  # nanoseconds, of a request each
    requests_each: int = 1  # how many requests one thing takes that is counted

    @property
    def rate(self) -> float:
        return self.answers / self.requests_each / self.seconds


class Line:
    __slots__ = ("about", "got", "socket", "started", "wanted")

    def __init__(self) -> None:
        self.socket: socket.socket
        self.started = 0
        self.about: Any = None
        self.got = b""
        self.wanted = 0


def run(
    address: tuple[str, int],
    talk: Talk,
    *,
    seconds: float = float("inf"),
    connections: int = CONNECTIONS,
) -> Slice:
    """Ask for so many seconds, or until `talk` has nothing left; wait for what is still outstanding.

    Raises:
        Void: an answer was wrong, cut short, or did not come.
    """
    clock = time.perf_counter_ns
    latencies = array("q")
    took = latencies.append
    ask, judge = talk.ask, talk.judge
    poller = select.epoll()
    lines: dict[int, Line] = {}

    def connect(line: Line) -> None:
        line.socket = socket.create_connection(address)
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.socket.fileno()] = line
        poller.register(line.socket.fileno(), select.EPOLLIN)

    def close(line: Line) -> None:
        del lines[line.socket.fileno()]
        line.socket.close()

    gc.collect()
    gc.disable()
    used = time.process_time()
    begin = clock()
    end = begin + int(min(seconds, 1e6) * 1e9)
    last = begin
    try:
        for _ in range(connections):
            asked = ask()
            if asked is None:
                break
            line = Line()
            line.started = clock()
            connect(line)
            request, line.about = asked
            line.socket.sendall(request)
        while lines:
            events = poller.poll(PATIENCE)
            if not events:
                raise Void(f"no answer for {PATIENCE:.0f} seconds")
            for number, _ in events:
                line = lines[number]
                answer = line.socket.recv(65536)
                if not answer:
                    raise Void(f"the connection was closed after {line.got[:200]!r}")
                if line.got:
                    answer = line.got + answer
                wanted = line.wanted or length(answer)
                if not wanted or len(answer) < wanted:
                    line.got, line.wanted = answer, wanted
                    continue
                last = clock()
                took(last - line.started)
                judge(line.about, answer)
                line.got, line.wanted = b"", 0
                asked = ask() if last < end else None
                if asked is None:
                    close(line)
                    continue
                request, line.about = asked
                line.started = clock()
                if answer.find(b"onnection: close\r\n", 0, 1024) > 0:
                    close(line)
                    connect(line)
                line.socket.sendall(request)
    finally:
        for line in list(lines.values()):
            close(line)
        poller.close()
        gc.enable()
    taken = (last - begin) / 1e9
    busy = (time.process_time() - used) / taken
    return Slice(len(latencies), taken, busy, latencies, getattr(talk, "requests_each", 1))


def length(answer: bytes) -> int:
    """How many bytes the whole answer has; 0 while its head is not here yet."""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    at = answer.find(b"ontent-length: ", 0, head)
    if at < 0:
        at = answer.find(b"ontent-Length: ", 0, head)
    if at < 0:
        raise Void(f"an answer without Content-Length: {answer[:head]!r}")
    at += 15
    return head + 4 + int(answer[at : answer.find(b"\r\n", at)])
