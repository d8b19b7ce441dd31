"""A client of API v1 that records what it does: raw HTTP/1.1 over asyncio streams, one request at a time a connection.

It never repeats a request. Whatever ends without a whole answer is *unknown*; if bytes of the value were among what did
arrive, they count as read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.faults.history import Act, History, Operation, Outcome, marker_of, value_of

ANSWER_SECONDS = 20.0  # a request that takes longer is given up as unknown


class Lost(Exception):
    """The connection ended before the answer did; `arrived` is what came of the body."""

    def __init__(self, arrived: bytes = b"") -> None:
        super().__init__("no whole answer")
        self.arrived = arrived


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def form(path: str, fields: dict[str, Any]) -> Request:
    """As a form of API v1."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", path, urlencode(fields).encode(), kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A secret that the server acknowledged."""

    marker: str
    secret_key: str
    receipt_key: str
    passphrase: str = ""


class Connection:
    """One connection, opened when it is needed and opened anew after it was lost."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._path = parts.path.rstrip("/")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Raises OSError when nobody listens: then nothing was asked."""
        if self._streams and (self._streams[0].at_eof() or self._streams[1].is_closing()):
            self.close()
        if not self._streams:
            self._streams = await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def send(self, request: Request, *, hold: int = 0) -> None:
        """Write a request; the last `hold` bytes of its body are kept back and sent by `send_rest`."""
        assert self._streams
        body = request.body
        head = (
            f"{request.method} {self._path}{request.path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        self._streams[1].write(head.encode() + b"\r\n" + body[: len(body) - hold])
        self._rest = body[len(body) - hold :]
        await self._streams[1].drain()

    async def send_rest(self) -> None:
        assert self._streams
        self._streams[1].write(self._rest)
        await self._streams[1].drain()

    async def answer(self) -> Answer:
        """Raises Lost."""
        assert self._streams
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await _read_answer(self._streams[0])
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            partial = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
            raise Lost(partial) from None
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, await _read_chunks(reader))
    return Answer(
        status, headers, await reader.readexactly(int(headers.get("content-length", "0")))
    )


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        if not size:
            return body
        body += chunk[:-2]


class Client:
    """One caller: a connection, a process's name and the history that it writes into."""

    def __init__(self, base: str, history: History, process: str) -> None:
        self.connection = Connection(base)
        self.history = history
        self.process = process

    async def conceal(
        self, marker: str, *, size: int = 64, ttl: int = 3600, passphrase: str = "", hold: float = 0
    ) -> Keys | None:
        """Share the marker's value; None unless it was acknowledged.

        With `hold` the last byte of the request is sent that many seconds after the rest.
        """
        fields: dict[str, Any] = {"secret": value_of(marker, size), "ttl": ttl}
        if passphrase:
            fields["passphrase"] = passphrase
        return keys_of(await self._ask(Act.CONCEAL, marker, "/api/v1/share", fields, hold=hold))

    async def reveal(self, keys: Keys) -> Operation:
        path = f"/api/v1/secret/{keys.secret_key}"
        return await self._ask(Act.REVEAL, keys.marker, path, _proof(keys))

    async def burn(self, keys: Keys) -> Operation:
        path = f"/api/v1/private/{keys.receipt_key}/burn"
        return await self._ask(Act.BURN, keys.marker, path, _proof(keys))

    async def receipt(self, keys: Keys) -> Operation:
        return await self._ask(Act.RECEIPT, keys.marker, f"/api/v1/private/{keys.receipt_key}")

    def close(self) -> None:
        self.connection.close()

    async def _ask(
        self,
        act: Act,
        marker: str,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        hold: float = 0,
    ) -> Operation:
        request = Request("GET", path) if act is Act.RECEIPT else form(path, fields or {})
        timed = await exchange(self.connection, request, hold=hold)
        answer = timed.answer
        operation = Operation(
            act=act,
            marker=marker,
            process=self.process,
            start=timed.start,
            end=timed.end,
            at=timed.at,
            outcome=_outcome(act, answer),
            status=answer.status if answer else 0,
            found=_found(act, answer, timed.arrived),
            facts=_facts(act, answer, fields or {}),
        )
        self.history.add(operation)
        return operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and what came of it: `answer`, or what had `arrived` when the connection ended."""

    start: float
    end: float
    at: float
    answer: Answer | None
    arrived: bytes


async def exchange(connection: Connection, request: Request, *, hold: float = 0) -> Exchange:
    """Raises OSError when nobody listens: then nothing was asked."""
    await connection.open()  # outside the clock: nothing has been asked yet
    at, start = time.time(), time.monotonic()
    answer, arrived = None, b""
    try:
        await connection.send(request, hold=1 if hold else 0)
        if hold:
            await asyncio.sleep(hold)
            await connection.send_rest()
        answer = await connection.answer()
    except Lost as lost:
        arrived = lost.arrived
    except OSError:
        connection.close()
    return Exchange(start=start, end=time.monotonic(), at=at, answer=answer, arrived=arrived)


def _outcome(act: Act, answer: Answer | None) -> Outcome:
    if answer is None:
        return Outcome.UNKNOWN
    if answer.status == 200:
        whole = act is not Act.CONCEAL or {"secret_key", "metadata_key"} <= answer.json().keys()
        return Outcome.OK if whole else Outcome.UNKNOWN
    # 503 to a create means that it did not happen, as far as its caller is concerned: nobody has a key. To a reveal or
    # a burn it may mean that the commit's outcome could not be found out.
    if answer.status == 404 or (answer.status == 503 and act in {Act.CONCEAL, Act.RECEIPT}):
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def _found(act: Act, answer: Answer | None, arrived: bytes) -> str:
    if act is not Act.REVEAL:
        return ""
    if answer and answer.status == 200:
        return marker_of(str(answer.json().get("value", "")))
    part = re.search(rb"~([^~]+)~", answer.body if answer else arrived)
    return part[1].decode("latin-1") if part else ""


def _proof(keys: Keys) -> dict[str, Any]:
    return {"passphrase": keys.passphrase} if keys.passphrase else {}


def _facts(act: Act, answer: Answer | None, fields: dict[str, Any]) -> dict[str, Any]:
    if answer is None:
        return {}
    said = answer.json()
    if answer.status != 200:
        facts = {"message": str(said.get("message", ""))[:80]}
        with contextlib.suppress(KeyError):
            facts["retry_after"] = answer.headers["retry-after"]
        return facts
    if act is Act.BURN:
        state = said.get("state")
        said = state if isinstance(state, dict) else {}
    if act is Act.REVEAL:
        return {}
    names = ("state", "created", "ttl", "secret_ttl", "metadata_ttl", "received", "secret_key")
    facts = {name: said[name] for name in names if name in said}
    if act is Act.CONCEAL:
        facts["asked_ttl"] = fields["ttl"]
        facts["passphrase"] = fields.get("passphrase", "")
        facts["receipt_key"] = said.get("metadata_key", "")
    return facts


def keys_of(done: Operation) -> Keys | None:
    """The keys that an acknowledged create gave out."""
    if done.act is not Act.CONCEAL or done.outcome is not Outcome.OK:
        return None
    return Keys(
        marker=done.marker,
        secret_key=done.facts["secret_key"],
        receipt_key=done.facts["receipt_key"],
        passphrase=done.facts["passphrase"],
    )
