"""Styles, scripts and pictures, from memory.

Everything is read once, at start. The address holds a hash of all of it, so a browser may keep a file for good and never
mixes two releases; relative imports of scripts stay under the same hash. The parts of the style sheet are sent as one file.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from onetime.errors import NotFound
from onetime.web.http import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from onetime.web.http import Call, Headers

FOLDER = Path(__file__).resolve().parent.parent.parent / "static"

TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".ico": b"image/x-icon",
}

# In this order: later rules win.
STYLES = (
    "tokens",
    "page",
    "surface",
    "button",
    "field",
    "sight",
    "notice",
    "content",
    "receipt",
    "media",
)

FOR_GOOD = b"public, max-age=31536000, immutable"
A_DAY = b"public, max-age=86400"


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    packed: bytes
    content_type: bytes

    @property
    def is_part(self) -> bool:
        """Of a page. A picture may also be opened by itself, and one of SVG would run scripts."""
        return self.content_type.startswith((b"text/css", b"text/javascript"))


def _read() -> dict[str, File]:
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in FOLDER.rglob("*")
        if path.suffix in TYPES and path.suffix != ".css"
    }
    parts = [FOLDER.joinpath("css", f"{name}.css").read_bytes() for name in STYLES]
    found["css/look.css"] = b"\n".join(parts)
    return {
        name: File(content, gzip.compress(content, mtime=0), TYPES[Path(name).suffix])
        for name, content in sorted(found.items())
    }


def _version(files: dict[str, File]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name} {len(file.content)} ".encode())
        digest.update(file.content)
    return digest.hexdigest()[:16]


FILES = _read()
VERSION = _version(FILES)


async def serve(call: Call) -> Answer:
    """A file by its name. Under the address of another release it is served too, but not kept."""
    values = call.values
    name = "/".join(values[each] for each in ("kind", "folder", "name") if each in values)
    return _answer(call, name, FOR_GOOD if values["version"] == VERSION else b"no-cache")


async def favicon(call: Call) -> Answer:
    """Where browsers look when a page has not said."""
    return _answer(call, "img/favicon.ico", A_DAY)


def packed(call: Call, answer: Answer, *, pack: Callable[[bytes], bytes] | None = None) -> Answer:
    """A page into which nobody has put anything, made small: there is nothing that its size could give away.

    Without `pack` it is the same for everybody, and packed once.
    """
    kept = [(name, value) for name, value in answer.headers if name != b"vary"]
    headers: Headers = [*kept, (b"vary", b"accept-language, accept-encoding")]
    if "gzip" not in call.header("accept-encoding"):
        return Answer(answer.status, answer.content, answer.content_type, headers)
    headers.append((b"content-encoding", b"gzip"))
    content = (pack or _pack_once)(answer.content)
    return Answer(answer.status, content, answer.content_type, headers)


def pack(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


_pack_once = lru_cache(maxsize=8)(pack)


def _answer(call: Call, name: str, cache_control: bytes) -> Answer:
    file = FILES.get(name)
    if file is None:
        raise NotFound
    headers: Headers = [(b"cache-control", cache_control), (b"vary", b"accept-encoding")]
    content = file.content
    if "gzip" in call.header("accept-encoding"):
        headers.append((b"content-encoding", b"gzip"))
        content = file.packed
    return Answer(200, content, file.content_type, headers, is_part=file.is_part)
