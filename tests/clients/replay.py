"""What a client that cannot be installed here sends, to the byte, and what it reads of the answers, each with its type.

    # words for the reader
    : always credentials        it never sends a request without an Authorization header

    > POST /api/v1/share HTTP/1.1
    > Host: ots.example.com
    > Content-Length: 12
    >
    > secret=hello

    < 200
    < secret_key text <secret>
    < ttl integer 604800
    < state.state text "burned"
    < records.0.key absent

A request goes out as it stands, its lines ended by CRLF, those of a body by CRLF in multipart and LF else, and `\\n` is LF. An
answer's fields are told by their path, the JSON type that the client's language needs, and the value if it is known. `<name>` is
a text that is remembered where it first appears, and the same from then on. All keys have 31 characters, so that a length that is
written in the file is right.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.cli.running import Server

HOST = "ots.example.com"
ALWAYS = ": always credentials"
PLACE = re.compile(r"<([a-z_]+)>")
STAND_IN = "k" * 31
ABSENT = object()

TYPES: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    # No client here reads a number beyond this: C#'s int is the narrowest.
    "integer": lambda value: type(value) is int and abs(value) < 2**31,
    "float": lambda value: type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "list": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "absent": lambda value: value is ABSENT,
}


class Differs(AssertionError):
    """What was answered is not what the client reads."""


@dataclass(frozen=True)
class Field:
    path: str
    type: str
    value: str


@dataclass
class Exchange:
    line: int
    request: str
    status: int = 0
    fields: list[Field] = field(default_factory=list)


@dataclass
class Replay:
    name: str
    has_credentials: bool = False
    exchanges: list[Exchange] = field(default_factory=list)


def parse(text: str, name: str = "") -> Replay:
    """
    Raises:
        ValueError: this is no replay, or a length in it is wrong.
    """
    made = Replay(name)
    request: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line == ALWAYS:
            made.has_credentials = True
        elif line.startswith(">"):
            request.append(line[2:])
        elif line.startswith("< "):
            _answer(made, line[2:], number)
        elif not line and request:
            made.exchanges.append(Exchange(number, _request(request)))
            request = []
        elif line and not line.startswith("#"):
            raise ValueError(f"{name}:{number}: {line!r}")
    if not all(each.status for each in made.exchanges):
        raise ValueError(f"{name}: a request has no answer")
    return made


def _answer(made: Replay, line: str, number: int) -> None:
    last = made.exchanges[-1]
    if line.isdigit():
        last.status = int(line)
        return
    path, kind, value = [*line.split(" ", 2), ""][:3]
    if kind not in TYPES or not last.status:
        raise ValueError(f"{made.name}:{number}: {line!r}")
    last.fields.append(Field(path, kind, value))


def _request(lines: list[str]) -> str:
    end = lines.index("")
    head, body = lines[:end], lines[end + 1 :]
    is_multipart = any("multipart/" in line for line in head)
    content = ("\r\n" if is_multipart else "\n").join(body).replace("\\n", "\n")
    stated = [line for line in head if line.lower().startswith("content-length:")]
    length = len(PLACE.sub(STAND_IN, content).encode())
    if [int(line.partition(":")[2]) for line in stated] != ([length] if stated or length else []):
        raise ValueError(f"{head[0]}: the body has {length} bytes")
    return "\r\n".join([*head, "", content])


def play(replay: Replay, server: Server, *, has_credentials: bool) -> None:
    """Without credentials, where the client has them always, what is left is what it does for nobody in particular.

    Raises:
        Differs: at the first answer that is not what the client reads.
    """
    known: dict[str, str] = {}
    for each in replay.exchanges:
        request = _filled(each.request, known)
        if not has_credentials:
            request = re.sub(r"(?i)\r\nauthorization:[^\r]*", "", request)
        status, answer = _send(server, request.encode())
        where = f"{replay.name}:{each.line}: {status} {answer}"
        if has_credentials:  # until there are accounts
            if (status, answer) != (404, {"message": "Not authorized"}):
                raise Differs(where)
            known |= dict.fromkeys(PLACE.findall(" ".join(f.value for f in each.fields)), STAND_IN)
            continue
        if status != each.status:
            raise Differs(f"{where}\nthe status is not {each.status}")
        for wanted in each.fields:
            _check(wanted, answer, known, where)


def _filled(text: str, known: dict[str, str]) -> str:
    return PLACE.sub(lambda found: known[found[1]], text)


def _check(wanted: Field, answer: Any, known: dict[str, str], where: str) -> None:
    value = answer
    for step in wanted.path.split("."):
        if isinstance(value, list):
            value = value[int(step)]
        else:
            value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
    if not TYPES[wanted.type](value):
        raise Differs(f"{where}\n{wanted.path} is no {wanted.type}")
    name = PLACE.fullmatch(wanted.value)
    if name:
        if known.setdefault(name[1], value) != value:
            raise Differs(f"{where}\n{wanted.path} is another {wanted.value}")
    elif wanted.value and value != json.loads(wanted.value):
        raise Differs(f"{where}\n{wanted.path} is not {wanted.value}")


def _send(server: Server, request: bytes) -> tuple[int, Any]:
    """An answer that has JSON's content type, as each of the clients takes for granted."""
    with server.connect() as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection, method=request.split(b" ", 1)[0].decode())
        response.begin()  # a 100 that was asked for is passed over
        content = response.read()
    if "application/json" not in (response.getheader("Content-Type") or ""):
        raise Differs(f"{response.status} {content!r}\nthis is no JSON")
    return response.status, json.loads(content)
