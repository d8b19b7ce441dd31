"""A TCP proxy before a store that cuts at the one moment that matters: around COMMIT, or what is one in that store."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

# As asyncpg sends it: a simple query.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


@dataclass(slots=True)
class Proxy:
    """`at_commit`, once: "forwarded" sends COMMIT on and cuts before its reply, "withheld" cuts before it is sent on. With
    "… silently" nothing is cut: the connection stays, and nothing comes through any more. `refuses`: new connections are cut at
    once, and counted. `commit` is how a commit looks on its way.
    """

    port: int
    at_commit: str | None = None
    refuses: bool = False
    refused: int = 0
    own_port: int = 0
    commit: bytes = COMMIT
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.own_port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection that there is."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        behind: asyncio.StreamWriter | None = None
        try:
            if self.refuses:
                self.refused += 1
                return
            answers, behind = await asyncio.open_connection("127.0.0.1", self.port)
            self._writers.add(behind)
            gate = asyncio.Event()
            gate.set()
            down = asyncio.create_task(_pump(answers, writer, gate))
            try:
                await self._up(reader, behind, gate)
            finally:
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, behind):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()
            self._tasks.discard(task)

    async def _up(
        self, reader: asyncio.StreamReader, behind: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self.commit not in data or self.at_commit is None:
                behind.write(data)
                await behind.drain()
                continue
            how, self.at_commit = self.at_commit, None
            gate.clear()
            if how.startswith("forwarded"):
                behind.write(data)
                await behind.drain()
            if how.endswith("silently"):
                await reader.read()
            elif how == "forwarded":
                # Its end is the server's business: it has all that it needs.
                behind.write_eof()
            return


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            await gate.wait()
            target.write(data)
            await target.drain()
