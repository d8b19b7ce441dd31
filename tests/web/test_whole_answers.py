"""The short way of an answer: the same bytes as uvicorn's own way, and only where nothing is out of the ordinary."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from onetime.app import build
from onetime.settings import Settings
from onetime.web import asgi
from onetime.web.asgi import Web
from onetime.web.connection import Connection

ASK = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: 0123456789abcdef\r\n%b\r\n"


class Counting(Connection):
    """Counts what goes the short way, or does not have one."""

    short = 0
    offered = True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self.offered:
            del self.scope["extensions"]

    def answer_whole(self, *about: Any) -> bool:
        sent = super().answer_whole(*about)
        type(self).short += sent
        return sent


class Served:
    def __init__(self, port: int, kind: type[Counting]) -> None:
        self.port = port
        self.kind = kind

    async def ask(self, *requests: bytes, more: bool = False) -> bytes:
        """All at once; what came back, without the date, until the server closes or as many answers are here."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"".join(requests))
        got = b""
        async with asyncio.timeout(20):
            while got.count(b'"nominal"') < len(requests) or more:
                piece = await reader.read(65536)
                if not piece:
                    break
                got += piece
        writer.close()
        await writer.wait_closed()
        return b"\r\n".join(line for line in got.split(b"\r\n") if not line.startswith(b"date:"))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    class Kind(Counting):
        pass

    async with build(Settings(data_dir=tmp_path, disk_reserve=0)) as app:
        async for each in _serving(Web(app), Kind):
            yield each


async def _serving(web: Web, kind: type[Counting]) -> AsyncIterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        web, http=kind, ws="none", lifespan="off", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listening]))
    try:
        yield Served(listening.getsockname()[1], kind)
    finally:
        server.should_exit = True
        await task
        listening.close()


async def test_both_ways_give_the_same_bytes(served: Served) -> None:
    short = await served.ask(ASK % b"")
    assert served.kind.short == 1
    served.kind.offered = False
    assert await served.ask(ASK % b"") == short
    assert served.kind.short == 1
    assert short.startswith(b"HTTP/1.1 200 OK\r\ncontent-security-policy: ")
    assert short.count(b"content-length: ") == 1


async def test_a_connection_is_used_again(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for _ in range(3):
        writer.write(ASK % b"")
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            assert b'"nominal"' in await reader.readexactly(length)
    assert served.kind.short == 3
    writer.close()
    await writer.wait_closed()


async def test_the_last_answer_of_a_connection_says_so(served: Served) -> None:
    answer = await served.ask(ASK % b"Connection: close\r\n", more=True)
    assert b"\r\nconnection: close\r\n" in answer
    assert served.kind.short == 0


async def test_an_answer_to_head_has_no_content(served: Served) -> None:
    request = (ASK % b"Connection: close\r\n").replace(b"GET", b"HEAD")
    answer = await served.ask(request, more=True)
    assert answer.endswith(b"\r\n\r\n")
    assert served.kind.short == 0


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    ids = [b"%016x" % number for number in range(5)]
    requests = [(ASK % b"").replace(b"0123456789abcdef", each) for each in ids]
    answer = await served.ask(*requests)
    places = [answer.index(b"x-request-id: " + each) for each in ids]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200 OK") == 5


def test_no_header_of_ours_can_be_mistaken_for_a_place() -> None:
    """The usual headers become a format, so a percent sign in one has to stay one."""
    whole = asgi._whole_head([(b"x-share", b"100%d")]) % (b"id", b"text/plain", 3)
    assert whole.startswith(b"x-share: 100%d\r\nx-request-id: id\r\ncontent-type: text/plain\r\n")
