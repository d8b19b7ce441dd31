"""Transcripts of HTTP conversations: documentation that is run.

    # words for the reader
    : max_secret_bytes 1000     a setting of the server, before the first request
    + 100                       so many seconds pass
    * 5                         the next request is made so many times before the one that is shown

    > POST /api/v1/share        the request: a line, headers, a blank one, the body
    > Content-Type: application/json
    >
    > {"secret": "hello"}

    < 200                       the answer, likewise
    <
    < {"custid": "anon", "metadata_key": "<receipt>", ...}

`<name>` stands for what the server has made up: where it first appears in an answer it takes what is there, and later, in a
request or an answer, it is that. A name that starts with `receipt` or `secret` is a key of 31 characters. `<x*1000>` is
a thousand times x, and `<...>` in an answer is whatever is there. The clock stands at START until `+` moves it. A body's lines end with LF, a multipart body's with CRLF.

Every answer must be JSON with the content type of the contract, and say exactly what is written, in that order; blanks between
values are for the reader. Headers in TOLD must be there as written, or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx2

from onetime.app import App, build
from onetime.crypto.hashing import Cost, Hasher
from onetime.settings import Settings
from onetime.web.asgi import Web
from onetime.web.routes import ROUTES, Route

START = 1_785_000_000
HERE = "https://ots.example.com"
QUICK = Cost(passes=1, lanes=1, memory_kib=32)
JSON = "application/json; charset=utf-8"

# What a client may act upon, beside the status and the body.
TOLD = ("x-ots-intended-status", "retry-after", "location", "www-authenticate")

PARSERS = {each.name: each.metadata["parse"] for each in fields(Settings)}

KEY = r"[0-9a-z]{31}"
TIMES = re.compile(r"<(.)\*(\d+)>")
PLACE = re.compile(r"<([a-z_]+)>")
STRING_OR_BLANK = re.compile(r'("(?:\\.|[^"\\])*")|\s+')


class Differs(AssertionError):
    """What was said is not what is written."""


@dataclass
class Request:
    line: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: str
    repeat: int = 0


@dataclass
class Expected:
    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Exchange:
    seconds: int
    request: Request
    expected: Expected


@dataclass
class Transcript:
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)


def parse(text: str, name: str = "") -> Transcript:
    """
    Raises:
        ValueError: a line that is none of the above.
    """
    made = Transcript(name)
    seconds = repeat = 0
    request: Request | None = None
    for number, mark, block in _blocks(text):
        if mark == ":":
            key, _, value = block[0].partition(" ")
            made.settings[key] = PARSERS[key](value)
        elif mark == "+":
            seconds += int(block[0])
        elif mark == "*":
            repeat = int(block[0])
        elif mark == ">":
            if request is not None:
                raise ValueError(f"{name}:{number}: the request before this one has no answer")
            first, headers, body = _message(block)
            method, _, target = first.partition(" ")
            multipart = any("multipart" in value for _, value in headers)
            request = Request(
                number, method, target, headers, ("\r\n" if multipart else "\n").join(body), repeat
            )
        elif request is None:
            raise ValueError(f"{name}:{number}: an answer without a request")
        else:
            first, headers, body = _message(block)
            told = {key.lower(): value for key, value in headers}
            if not told.keys() <= set(TOLD):
                raise ValueError(f"{name}:{number}: only {TOLD} are looked at")
            expected = Expected(int(first), told, "\n".join(body))
            made.exchanges.append(Exchange(seconds, request, expected))
            seconds, repeat, request = 0, 0, None
    if request is not None:
        raise ValueError(f"{name}:{request.line}: the last request has no answer")
    return made


def _blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Number, mark and lines of each run of lines with the same mark."""
    mark, start, block = "", 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        now = line[:1]
        if now not in {"", "#", ":", "+", "*", ">", "<"} or (now and line[1:2].strip()):
            raise ValueError(f"line {number}: {line!r}")
        if block and (now != mark or now in {":", "+", "*"}):
            yield start, mark, block
            block = []
        if now not in {"", "#"}:
            if not block:
                start = number
            block.append(line[2:])
        mark = now


def _message(block: list[str]) -> tuple[str, list[tuple[str, str]], list[str]]:
    head, body = (
        (block[: block.index("")], block[block.index("") + 1 :]) if "" in block else (block, [])
    )
    headers = [line.partition(":")[::2] for line in head[1:]]
    return head[0], [(name, value.strip()) for name, value in headers], body


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(
    folder: Path, clock: Clock | None = None, routes: list[Route] = ROUTES, **settings: Any
) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    """The real application in this process, and a client of it that says nothing but what it is told to say."""
    given = {
        "data_dir": folder / "data",
        "disk_reserve": 0,
        "base_url": f"{HERE}/",
        "operator_name": "",
        **settings,
    }
    hasher = Hasher(cost=QUICK)
    async with build(Settings(**given), clock=clock or Clock(), hasher=hasher) as app:
        transport = httpx2.ASGITransport(app=Web(app, routes), client=("192.0.2.1", 4000))
        async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
            client.headers.clear()
            yield app, client


async def play(transcript: Transcript, folder: Path) -> None:
    """
    Raises:
        Differs: at the first answer that is not what is written.
    """
    clock = Clock()
    known: dict[str, str] = {}
    async with opened(folder, clock, **transcript.settings) as (_, client):
        for exchange in transcript.exchanges:
            clock.now += exchange.seconds
            request = exchange.request
            # At once, so that they share their commits.
            await asyncio.gather(*(_send(client, request, known) for _ in range(request.repeat)))
            answer = await _send(client, request, known)
            try:
                check(answer, exchange.expected, known)
            except Differs as difference:
                where = f"{transcript.name}:{request.line}: {request.method} {request.target}"
                raise Differs(f"{where}\n{difference}") from None


async def _send(
    client: httpx2.AsyncClient, request: Request, known: dict[str, str]
) -> httpx2.Response:
    body = _filled(request.body, known).encode()
    headers = [(name, _filled(value, known)) for name, value in request.headers]
    return await client.request(
        request.method, _filled(request.target, known), headers=headers, content=body or None
    )


def _filled(text: str, known: dict[str, str]) -> str:
    text = TIMES.sub(lambda found: found[1] * int(found[2]), text)
    return PLACE.sub(lambda found: known.get(found[1], found[0]), text)


def check(answer: httpx2.Response, expected: Expected, known: dict[str, str]) -> None:
    """Compares, and remembers what `<names>` stand for."""
    said = f"{answer.status_code} {answer.text}"
    if answer.status_code != expected.status:
        raise Differs(f"the status is not {expected.status}: {said}")
    wanted_type = JSON if expected.body else None
    if answer.headers.get("content-type") != wanted_type:
        raise Differs(f"the content type is not {wanted_type}: {answer.headers}")
    told = {name: answer.headers[name] for name in TOLD if name in answer.headers}
    if told != expected.headers:
        raise Differs(f"the headers are not {expected.headers}: {told}")
    pattern = ""
    written = STRING_OR_BLANK.sub(lambda found: found[1] or "", expected.body)
    for index, part in enumerate(PLACE.split(_filled(written, known))):
        if index % 2 == 0:
            pattern += re.escape(part).replace(re.escape("<...>"), ".*")
        elif f"(?P<{part}>" in pattern:
            pattern += f"(?P={part})"
        else:
            kind = KEY if part.startswith(("receipt", "secret")) else ".+?"
            pattern += f"(?P<{part}>{kind})"
    found = re.fullmatch(pattern, answer.text)
    if found is None:
        raise Differs(f"wanted  {written}\nwas     {answer.text}")
    known |= found.groupdict()
