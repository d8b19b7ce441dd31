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
