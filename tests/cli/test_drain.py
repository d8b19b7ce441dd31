"""The end: running requests finish, idle connections are closed, nothing acknowledged is lost."""

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onetime.cli.serve import DRAIN_SECONDS
from tests.cli.running import Server, serving, until

# Ends that take their time: for `make faults`.
pytestmark = pytest.mark.full

BODY = b"secret=half+of+this+came+before+the+signal"


@pytest.fixture(params=["1", "2"], ids=["one process", "two workers"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(tmp_path, {"ONETIME_WORKERS": request.param}) as server:
        yield server


def begin(server: Server, sent: int) -> socket.socket:
    """A request to share whose body has come in part."""
    connection = server.connect()
    head = (
        "POST /api/v1/share HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n"
    )
    connection.sendall(head.encode())
    # The server asks for the body: from now on the request is running.
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    connection.sendall(BODY[:sent])
    return connection


def refuses(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def read_all(connection: socket.socket) -> bytes:
    with contextlib.closing(connection), connection.makefile("rb") as stream:
        return stream.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_gets_its_answer(server: Server, number: signal.Signals) -> None:
    connection = begin(server, len(BODY) // 2)
    server.send(number)
    until(lambda: refuses(server))
    assert server.process.poll() is None
    connection.sendall(BODY[len(BODY) // 2 :])
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"secret_key":"' in answer
    assert server.wait() == 0


def test_an_idle_connection_is_closed(server: Server) -> None:
    connection = server.open()
    connection.request("GET", "/health/live")
    assert connection.getresponse().read()
    server.send(signal.SIGTERM)
    assert connection.sock is not None
    assert connection.sock.recv(100) == b""
    connection.close()
    assert server.wait() == 0


def test_an_end_with_nothing_running_is_quick_and_quiet(server: Server) -> None:
    since = time.monotonic()
    server.send(signal.SIGTERM)
    assert server.wait() == 0
    assert time.monotonic() - since < DRAIN_SECONDS
    assert {line["level"] for line in server.log()} == {"info"}


def test_what_was_acknowledged_while_it_drained_is_there_afterwards(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        connection = begin(server, 1)
        server.send(signal.SIGTERM)
        until(lambda: refuses(server))
        connection.sendall(BODY[1:])
        secret_key = read_all(connection).partition(b'"secret_key":"')[2][:31].decode()
        assert server.wait() == 0
    with serving(tmp_path) as server:
        value = server.reveal(secret_key).json()["value"]
        assert value == "half of this came before the signal"


def test_a_second_interrupt_waits_for_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        connection = begin(server, 1)
        since = time.monotonic()
        server.send(signal.SIGINT)
        until(lambda: refuses(server))
        server.send(signal.SIGINT)
        assert server.wait() == 0
        assert time.monotonic() - since < DRAIN_SECONDS
        connection.close()


HURRIED = "from onetime.cli import main, serve; serve.DRAIN_SECONDS = 1; main.main()"


def test_a_request_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    """With a drain time of a second."""
    server = Server(tmp_path, command=(sys.executable, "-c", HURRIED, "serve")).start()
    try:
        connection = begin(server.ready(), 1)
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        assert b"200 OK" not in read_all(connection)
    finally:
        server.kill()


def test_clients_that_are_slow_do_not_hold_up_the_end(tmp_path: Path) -> None:
    """Those of every kind, with a drain time of a second."""
    settings = {"ONETIME_MAX_SECRET_BYTES": "8000000"}
    command = (sys.executable, "-c", HURRIED, "serve")
    server = Server(tmp_path, settings, command=command).start()
    try:
        key = server.ready().share("x" * 8_000_000)
        unread = (
            f"POST /api/v1/secret/{key} HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 13\r\n\r\ncontinue=true"
        )
        with contextlib.ExitStack() as stack:
            for content in (b"", b"GET / HTTP/1.1\r\nX-Word: ", unread.encode()):
                connection = stack.enter_context(server.connect())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(content)
            stack.enter_context(begin(server, 1))
            until(
                lambda: [each for each in server.log() if each.get("route", "").endswith("{key}")]
            )
            since = time.monotonic()
            server.send(signal.SIGTERM)
            assert server.wait() == 0
            assert 0.9 < time.monotonic() - since < DRAIN_SECONDS / 2
    finally:
        server.kill()
