"""Bodies and queries, as lenient as clients of the compatible APIs need (reference 0.3): JSON, forms, multipart, no
content type at all, or one that lies.

Everything stays in memory: the body is bounded before it comes here, and a spool file would put a secret on the disk.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import python_multipart
from python_multipart.exceptions import FormParserError

from onetime.errors import Invalid

MOST_FIELDS = 200
# Of a header of the multipart format. Its parser takes time that grows with the square of their number.
MOST_OPTIONS = 32
_NAME = re.compile(r"([^\[\]]+)\[([^\[\]]*)\](?:\[([^\[\]]*)\])?")


def parse(content: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a body. What it looks like decides where the content type is missing, doubled or unknown.

    Raises:
        Invalid: not UTF-8, malformed JSON or multipart, JSON that is not an object.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return multipart(content, content_type)
    if kind == "application/x-www-form-urlencoded":
        return form(content)
    if kind == "application/json" or content.lstrip()[:1] in {b"{", b"["}:
        return json(content)
    return form(content)


def json(content: bytes) -> dict[str, Any]:
    """Nothing, blanks and `null` are an object without members: clients send them where they have nothing to say."""
    if not content.strip():
        return {}
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("body", "The body is not valid JSON", rule="json") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("body", "The body must be a JSON object", rule="not_an_object")
    return value


def form(content: bytes) -> dict[str, Any]:
    pieces = content.split(b"&")
    if len(pieces) > MOST_FIELDS:
        raise Invalid("body", "There are too many fields", rule="too_many")
    fields: dict[str, Any] = {}
    for piece in pieces:
        if piece:
            name, _, value = piece.partition(b"=")
            _put(fields, _words(name), _words(value))
    return fields


def multipart(content: bytes, content_type: str) -> dict[str, Any]:
    """Fields and the content of files alike, as text."""
    options = _options(content_type.encode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise Invalid("body", "The multipart body has no boundary", rule="multipart")
    reader = _Parts()
    try:
        parser = python_multipart.MultipartParser(boundary, reader.callbacks())
        parser.write(content)
        parser.finalize()
    except FormParserError:
        raise Invalid("body", "The multipart body is malformed", rule="multipart") from None
    if not reader.whole:
        raise Invalid("body", "The multipart body is cut short", rule="multipart")
    fields: dict[str, Any] = {}
    for name, value in reader.parts:
        _put(fields, _utf8(name), _utf8(value))
    return fields


def _options(header: bytes) -> dict[bytes, bytes]:
    """What stands behind the semicolons."""
    if header.count(b";") > MOST_OPTIONS:
        raise Invalid("body", "The multipart body is malformed", rule="multipart")
    options: dict[bytes, bytes] = python_multipart.multipart.parse_options_header(header)[1]
    return options


class _Parts:
    """Collects what the parser calls back."""

    def __init__(self) -> None:
        self.parts: list[tuple[bytes, bytes]] = []
        self.whole = False
        self._header = bytearray()
        self._value = bytearray()
        self._name = b""
        self._data = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._more,
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MOST_FIELDS:
            raise Invalid("body", "There are too many fields", rule="too_many")
        self._name = b""
        self._data = bytearray()

    def _more(self, data: bytes, start: int, end: int) -> None:
        self._data.extend(data[start:end])

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._name = _options(bytes(self._value)).get(b"name", b"")
        self._header = bytearray()
        self._value = bytearray()

    def _end(self) -> None:
        self.parts.append((self._name, bytes(self._data)))

    def _finish(self) -> None:
        self.whole = True


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    """`a=x`, `a[]=x` and `a[b]=x`, two levels deep; of a repeated scalar the last wins."""
    match = _NAME.fullmatch(name) if "[" in name else None
    if match is None or (not match[2] and match[3] is not None):
        fields[name] = value
        return
    outer, inner, innermost = match.groups()
    if innermost is not None:
        fields = _within(fields, outer, {})
        outer, inner = inner, innermost
    if inner:
        _within(fields, outer, {})[inner] = value
    else:
        _within(fields, outer, []).append(value)


def _within(fields: dict[str, Any], name: str, empty: Any) -> Any:
    """The map or list of this name; what else was there gives way to an empty one."""
    found = fields.get(name)
    if not isinstance(found, type(empty)):
        found = fields[name] = empty
    return found


def _words(quoted: bytes) -> str:
    if b"+" in quoted:
        quoted = quoted.replace(b"+", b" ")
    return _utf8(unquote_to_bytes(quoted) if b"%" in quoted else quoted)


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Invalid("body", "The text is not UTF-8", rule="utf8") from None
