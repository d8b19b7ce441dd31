"""Call and Answer: all that a handler sees of HTTP.

A handler is `async def (call: Call) -> Answer`. It reads its words from the call, asks core, and answers in the same
words. Both stand on bare ASGI (docs/decisions/0002): a framework's router and middleware cost half of the rate here. Both
are msgspec's structs, which take a third of a dataclass's time to make.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from onetime.errors import Invalid, TooLarge, Unavailable
from onetime.web import body as bodies

if TYPE_CHECKING:
    from onetime.app import App
    from onetime.model import Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"
OCTETS = b"application/octet-stream"


_as_json = msgspec.json.Encoder().encode


class Answer(Struct):
    """`headers` beyond content type, length and those that every answer carries. `is_part`: a script or a style sheet."""

    status: int
    content: bytes
    content_type: bytes = JSON
    headers: Headers = []
    is_part: bool = False


class Call(Struct, kw_only=True):
    """One request.

    `path` is below the base path and percent-decoded; `values` are the parts of it that the route names. `route` is the
    template that matched, the only form of the path that may be logged. `headers` holds the last of each name,
    `header_lines` all of them. `peer` is the address of the other end of the connection, empty for a socket file; `caller`
    says more.
    """

    app: App
    method: str
    path: str
    route: str
    values: Mapping[str, str]
    query: str
    headers: Mapping[bytes, bytes]
    header_lines: Iterable[tuple[bytes, bytes]]
    peer: str
    caller: Caller
    origin: str
    request_id: str
    receive: Receive
    _body: bytes | None = None

    def header(self, name: str) -> str:
        """Latin-1, as the protocol has it; empty when absent. A repeated header holds its last value."""
        return self.headers.get(name.encode("ascii"), b"").decode("latin-1")

    @property
    def base(self) -> str:
        """Where links start: the public address without a closing slash."""
        return self.origin + self.app.settings.base_path

    @property
    def is_read(self) -> bool:
        """Whether the body has been read, so that the connection may be used again."""
        return self._body is not None

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body, read once and kept. `limit` in bytes; None: what the largest allowed secret can need.

        Raises:
            TooLarge: it is, or says it is, larger; the rest is not read.
        """
        if self._body is not None:
            return self._body
        if limit is None:
            limit = self.app.body_limit
        said = self.headers.get(b"content-length", b"0")
        if not said.isdigit() or int(said) > limit:
            raise TooLarge("body", limit_bytes=limit)
        message = await self.receive()
        content: bytes = message.get("body", b"")
        size = len(content)
        if message.get("more_body"):
            parts = [content]
            while message.get("more_body") and size <= limit:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
            content = b"".join(parts)
        elif message["type"] == "http.disconnect":
            raise Gone
        if size > limit:
            if not message.get("more_body"):
                self._body = b""  # it came whole: there is nothing left to read
            raise TooLarge("body", limit_bytes=limit)
        self._body = content
        return content

    async def parameters(self) -> dict[str, Any]:
        """Query and body as one map, read as leniently as the compatible APIs demand (reference 0.3).

        Values are text, or for JSON whatever JSON holds; `name[]` is a list, `name[part]` a map. The body wins over the
        query.

        Raises:
            Invalid: not UTF-8, malformed JSON, or a malformed multipart body.
        """
        parameters: dict[str, Any] = bodies.form(self.query.encode("latin-1")) if self.query else {}
        content = await self.body()
        if content:
            parameters.update(
                bodies.parse(content, self.headers.get(b"content-type", b"").decode("latin-1"))
            )
        return parameters

    async def form(self) -> Form:
        """The fields of a page's own form; the query is not looked at.

        Raises:
            Invalid: as `parameters`.
        """
        content = await self.body()
        content_type = self.headers.get(b"content-type", b"").decode("latin-1")
        return Form(bodies.parse(content, content_type) if content else {})


class Gone(Exception):
    """The client closed the connection before its request was whole; there is nobody to answer."""


class Form:
    """Fields of a page's form. Absent and empty are the same."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        value = self._fields.get(name, "")
        return value if isinstance(value, str) else ""

    def multiline(self, name: str) -> str:
        """Text of a textarea, with the line ends its author saw.

        Source: HTML standard, "constructing the entry list": forms send every line end as CR LF.
        """
        return self.text(name).replace("\r\n", "\n")

    def integer(self, name: str, *, default: int) -> int:
        """
        Raises:
            Invalid: something that is not a whole number.
        """
        text = self.text(name).strip()
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise Invalid(name, "This must be a whole number", rule="not_a_number")
        return int(text)


def json_answer(value: Any, *, status: int = 200, headers: Headers | None = None) -> Answer:
    return Answer(status, _as_json(value), JSON, headers or [])


def html_answer(text: str, *, status: int = 200, headers: Headers | None = None) -> Answer:
    return Answer(status, text.encode(), HTML, headers or [])


def text_answer(text: str, *, status: int = 200, headers: Headers | None = None) -> Answer:
    return Answer(status, text.encode(), TEXT, headers or [])


def redirect(location: str, *, status: int = 303) -> Answer:
    return Answer(status, b"", TEXT, [(b"location", location.encode("ascii"))])


def retry_after(error: Unavailable) -> Headers:
    return [(b"retry-after", str(error.retry_after).encode())]


Handler = Callable[[Call], Awaitable[Answer]]
