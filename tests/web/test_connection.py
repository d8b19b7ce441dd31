"""What a connection does not put up with: silence, slowness, bytes that lead to nothing, and being one too many.

Servers of processes of their own, as they are served, with a patience of a second; the same clients are shown to stay when
the guard is gone.
"""

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from onetime.settings import Settings
from onetime.web import connection
from onetime.web.connection import MOST_HEAD_BYTES, MOST_WAITING, Bounds, Connection
from tests.cli.running import Server, until

PATIENCE_SECONDS = 1.0
# The server looks by its own clock and may be late on a busy machine, never early.
EARLIEST, LATEST = 0.95, 6.0
# Longer than any of them would be waited for.
STAYS_SECONDS = 2.5

RUN = "from onetime.cli import main, serve; from onetime.web import connection; {}; main.main()"
SHORT = "connection.patience_seconds = lambda limit: 1.0"
UNTIMED = f"{SHORT}; connection.Connection._look = lambda self: None"
BOUNDLESS = "connection.MOST_HEAD_BYTES = 10**12"

HOST = b"Host: localhost\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
SHARE = b"POST /api/v1/share HTTP/1.1\r\n" + HOST
CHUNKED = SHARE + b"Transfer-Encoding: chunked\r\n\r\n8\r\nsecret=a\r\n"


@contextlib.contextmanager
def running(
    folder: Path, change: str, settings: dict[str, str] | None = None, *, ready: bool = True
) -> Iterator[Server]:
    server = Server(
        folder, settings or {}, command=(sys.executable, "-c", RUN.format(change), "serve")
    ).start()
    try:
        yield server.ready() if ready else server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("short"), SHORT, LARGE) as server:
        yield server


@pytest.fixture(scope="module")
def untimed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The broken twin: nobody looks at the time."""
    with running(tmp_path_factory.mktemp("untimed"), UNTIMED, LARGE) as server:
        yield server


# A text that no buffer of the system takes whole.
LARGE = {"ONETIME_MAX_SECRET_BYTES": "8000000", "ONETIME_LIMITS": "off"}
LARGE_BYTES = 8_000_000


# Slow to ask

# What is said at once, and what is said again and again from then on.
SLOW = {
    "nothing": (b"", b""),
    "blank lines": (b"", b"\r\n"),
    "a head": (b"GET / HTTP/1.1\r\nX-Word: ", b"a"),
    "many headers": (b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
    "a body": (SHARE + b"Content-Length: 10000\r\n\r\n", b"a"),
    "a body that was asked for": (
        SHARE + b"Content-Length: 10000\r\nExpect: 100-continue\r\n\r\n",
        b"",
    ),
    "chunks": (CHUNKED, b"1\r\na\r\n"),
    "the length of a chunk": (CHUNKED, b"0"),
    "a trailer": (CHUNKED + b"0\r\nX-Word: ", b"a"),
    "blank lines after an answer": (LIVE, b"\r\n"),
    "a body after its answer": (
        b"GET /health/live HTTP/1.1\r\n" + HOST + b"Content-Length: 10000\r\n\r\n",
        b"a",
    ),
}


def cut_after(server: Server, seconds: float) -> dict[str, float | None]:
    """When each of the slow was cut off, all of them at once; None for those who were not."""
    ends: dict[str, float | None] = dict.fromkeys(SLOW)
    since = time.monotonic()
    with contextlib.ExitStack() as stack:
        lines = {name: stack.enter_context(server.connect()) for name in SLOW}
        for name, line in lines.items():
            line.sendall(SLOW[name][0])
            line.setblocking(False)
        while lines and time.monotonic() - since < seconds:
            for name, line in list(lines.items()):
                if _is_over(line, SLOW[name][1]):
                    ends[name] = time.monotonic() - since
                    del lines[name]
            time.sleep(0.02)
    return ends


def _is_over(line: socket.socket, piece: bytes) -> bool:
    try:
        line.sendall(piece)
        return not line.recv(65_536)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_who_is_slow_to_ask_is_cut_off(server: Server) -> None:
    ends = cut_after(server, LATEST)
    assert {name: end for name, end in ends.items() if end is None or end < EARLIEST} == {}


def test_without_the_guard_they_stay(untimed: Server) -> None:
    assert cut_after(untimed, STAYS_SECONDS) == dict.fromkeys(SLOW)


def test_who_is_slow_and_in_time_is_answered(server: Server) -> None:
    """Each request within the patience, the connection far beyond it."""
    with server.connect() as line:
        for _ in range(3):
            line.sendall(SHARE + b"Content-Length: 14\r\n\r\n")
            for piece in (b"sec", b"ret", b"=", b"slowly!"):
                time.sleep(PATIENCE_SECONDS / 8)
                line.sendall(piece)
            assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")
            time.sleep(PATIENCE_SECONDS / 4)


# Slow to read


def ask_for_much(server: Server, *lines: bytes, again: bytes = b"") -> socket.socket:
    """A large answer on a connection whose client does not read."""
    key = server.share("x" * LARGE_BYTES)
    line = server.connect()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = b"".join([b"POST /api/v1/secret/%b HTTP/1.1\r\n" % key.encode(), HOST, *lines])
    line.sendall(head + b"Content-Length: 13\r\n\r\ncontinue=true" + again)
    return line


UNREAD: dict[str, Callable[[Server], socket.socket]] = {
    "an answer": ask_for_much,
    "a last answer": lambda server: ask_for_much(server, b"Connection: close\r\n"),
    "an answer, and asks on": lambda server: ask_for_much(server, again=LIVE * 3),
}


def sockets(server: Server) -> int:
    count = 0
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(file.readlink()).startswith("socket:")
    return count


def settled(server: Server) -> int:
    """Sockets when nobody is connected any more."""
    seen = sockets(server)
    while True:
        time.sleep(0.1)
        if (now := sockets(server)) == seen:
            return seen
        seen = now


@pytest.mark.parametrize("name", UNREAD)
def test_who_does_not_read_is_cut_off(server: Server, name: str) -> None:
    before = settled(server)
    with UNREAD[name](server):
        since = time.monotonic()
        until(lambda: sockets(server) == before + 1)
        until(lambda: sockets(server) == before)
        assert EARLIEST - 0.2 < time.monotonic() - since < LATEST
    assert server.request("GET", "/health/live").status == 200


@pytest.mark.parametrize("asks", [2, 3, 30])
def test_who_leaves_with_answers_unread_is_no_error(server: Server, asks: int) -> None:
    before = settled(server)
    with ask_for_much(server, again=LIVE * asks):
        until(lambda: sockets(server) == before + 1)
    until(lambda: sockets(server) == before)
    assert server.request("GET", "/health/live").status == 200
    assert [line for line in server.log() if line["level"] == "error"] == []


def test_without_the_guard_the_unread_stay(untimed: Server) -> None:
    before = settled(untimed)
    with contextlib.ExitStack() as stack:
        for ask in UNREAD.values():
            stack.enter_context(ask(untimed))
        time.sleep(STAYS_SECONDS)
        assert sockets(untimed) == before + len(UNREAD)


def test_who_reads_slowly_and_in_time_gets_all_of_it(server: Server) -> None:
    key = server.share("x" * LARGE_BYTES)
    with server.connect() as line:
        line.sendall(
            b"POST /api/v1/secret/%b HTTP/1.1\r\n" % key.encode()
            + HOST
            + b"Connection: close\r\nContent-Length: 13\r\n\r\ncontinue=true"
        )
        size = 0
        while piece := line.recv(LARGE_BYTES // 8, socket.MSG_WAITALL):
            size += len(piece)
            time.sleep(PATIENCE_SECONDS / 16)
    assert size > LARGE_BYTES


# Bytes that lead to nothing


ENDLESS = {
    "blank lines": (b"", b"\r\n" * 500),
    "a head": (b"GET / HTTP/1.1\r\nX-Word: ", b"a" * 1000),
    "an extension of a chunk": (CHUNKED + b"6;", b"a" * 1000),
    "a trailer": (CHUNKED + b"0\r\nX-Word: ", b"a" * 1000),
    "trailers": (CHUNKED + b"0\r\n", b"X-Word: abcdefgh\r\n" * 60),
    "blank lines after an answer": (LIVE, b"\r\n" * 500),
}
# The bound, and what lies in the buffers of both ends.
MOST_SENT = MOST_HEAD_BYTES + 8_000_000


def sent(server: Server, name: str) -> int:
    first, piece = ENDLESS[name]
    with server.connect() as line, contextlib.suppress(ConnectionError):
        line.sendall(first)
        size = 0
        while size < MOST_SENT:
            line.sendall(piece * 64)
            size += len(piece * 64)
    return size


def test_what_leads_to_nothing_is_cut_off(server: Server) -> None:
    assert {name for name in ENDLESS if sent(server, name) >= MOST_SENT} == set()


def test_without_the_bound_it_is_taken(tmp_path: Path) -> None:
    """All but one field without end: that takes the parser minutes."""
    with running(tmp_path, BOUNDLESS) as server:
        assert sent(server, "trailers") >= MOST_SENT
        assert sent(server, "blank lines") >= MOST_SENT


def test_bodies_do_not_count(server: Server) -> None:
    """Long ones, whole and in chunks, on one connection."""
    text = b"secret=" + b"a" * (4 * MOST_HEAD_BYTES)
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (1000, text[at : at + 1000]) for at in range(0, 200_000, 1000)
    )
    with server.connect() as line:
        for request in (
            SHARE + b"Content-Length: %d\r\n\r\n" % len(text) + text,
            SHARE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Word: a\r\n\r\n",
            LIVE,
        ):
            line.sendall(request)
            assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")


# Too many

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))"
CAP = 192


def test_connections_beyond_the_bound_are_refused_and_one_line_says_so(tmp_path: Path) -> None:
    with running(tmp_path, LIMITED) as server:
        limits = Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
        assert [each.split()[3:5] for each in limits if each.startswith("Max open files")] == [
            ["256", "256"]
        ]
        settled(server)
        with contextlib.ExitStack() as stack:
            lines = [stack.enter_context(server.connect()) for _ in range(CAP)]
            for line in lines:
                line.sendall(LIVE)
                assert line.recv(4096).startswith(b"HTTP/1.1 200 ")
            for _ in range(100):
                with server.connect() as line:
                    refusal = line.recv(4096)
                    assert refusal.startswith(b"HTTP/1.1 503 ")
                    assert b"\r\nretry-after: 5\r\n" in refusal
                    assert b"\r\nx-content-type-options: nosniff\r\n" in refusal
                    assert refusal.endswith(b"\r\n\r\n" + connection.FULL)
            lines[0].sendall(LIVE)
            assert lines[0].recv(4096).startswith(b"HTTP/1.1 200 ")
        until(lambda: server.request("GET", "/health/live").status == 200)
        said = [line for line in server.log() if line["event"] == "too many connections"]
        assert [(line["level"], line["count"]) for line in said] == [("warning", CAP)]


@pytest.mark.parametrize(
    ("files", "most"),
    [(64, 32), (256, 192), (1024, 960), (1_048_576, 10_000), (resource.RLIM_INFINITY, 10_000)],
)
def test_the_bound_follows_the_files(files: int, most: int) -> None:
    assert connection.most_open(files) == most


def test_requests_that_wait_behind_another_are_counted(server: Server) -> None:
    with server.connect() as line:
        line.sendall(LIVE * MOST_WAITING)
        assert _answers(line, MOST_WAITING) == MOST_WAITING
    with server.connect() as line:
        line.sendall(LIVE * 1000)
        assert _answers(line, 1000) <= 1


def _answers(line: socket.socket, wanted: int) -> int:
    got = b""
    with contextlib.suppress(ConnectionError):
        while got.count(b'{"status":"live"}') < wanted and (piece := line.recv(65_536)):
            got += piece
    return got.count(b'{"status":"live"}')


# Time


def test_a_body_of_the_allowed_size_passes_at_100_kbit_a_second() -> None:
    for most in (1, 100_000, 50_000_000):
        limit = 6 * most + 65_536
        assert limit * 8 / 100_000 + 9 < connection.patience_seconds(limit)
    assert Settings().max_secret_bytes == 100_000
    assert 55 < connection.patience_seconds(6 * 100_000 + 65_536) < 65


async def test_work_of_ours_that_takes_longer_is_not_cut_off() -> None:
    class Impatient(Connection):
        bounds = Bounds(patience_seconds=0.2)

    async def work(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0.7)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(work, http=Impatient, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listening]))
    try:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(LIVE)
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 204 ")
            since = time.monotonic()
            assert b"HTTP/1.1" not in await reader.read()  # and the rest is cut off
        assert time.monotonic() - since < LATEST
        writer.close()
    finally:
        server.should_exit = True
        await task
        listening.close()
