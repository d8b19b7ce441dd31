"""Fields behind a chunked body: they are no headers, whoever passes them on, and they cost no memory.

HAProxy passes a client's trailers on, and what they say must not stand where a proxy's own word stands.
"""

import contextlib
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.cli.running import Server, serving

PATIENCE_SECONDS = 20.0
HEAD = (
    b"POST /api/v1/share HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n"
)
BODY = b"8\r\nsecret=a\r\n0\r\n"
MOST_TRAILER_BYTES = 16_000_000


def ask(server: Server, content: bytes) -> bytes:
    with server.connect() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.sendall(content)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


def networks(server: Server) -> int:
    with contextlib.closing(sqlite3.connect(server.data / "vault.db")) as db:
        return int(db.execute("SELECT count(*) FROM counter").fetchone()[0])


def test_a_trailer_does_not_choose_the_network_that_is_counted(tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        for last in range(4):
            trailer = b"X-Forwarded-For: 198.51.%d.7\r\n" % last
            ask(server, HEAD + b"X-Forwarded-For: 203.0.113.9\r\n\r\n" + BODY + trailer + b"\r\n")
        assert networks(server) == 1


@pytest.mark.parametrize(
    "trailer",
    [
        b"Authorization: Basic eA==",
        b"Content-Type: multipart/form-data; boundary=x",
        b"Sec-Fetch-Site: cross-site",
        b"Origin: https://evil.example",
        b"Host: evil.example",
    ],
)
def test_a_trailer_is_no_header(tmp_path: Path, trailer: bytes) -> None:
    with serving(tmp_path) as server:
        answer = ask(server, HEAD + b"\r\n" + BODY + trailer + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "piece",
    [b"x: " + b"a" * 1000 + b"\r\n", b"a" * 1005],
    ids=["many fields", "one field without end"],
)
def test_trailers_without_end_are_cut_off(tmp_path: Path, piece: bytes) -> None:
    with serving(tmp_path) as server, server.connect() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.sendall(HEAD + b"\r\n" + BODY + b"x: ")
        assert sent_until_closed(connection, piece) < MOST_TRAILER_BYTES


def sent_until_closed(connection: socket.socket, piece: bytes) -> int:
    block = piece * 64
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < MOST_TRAILER_BYTES:
            connection.sendall(block)
            sent += len(block)
    return sent
