"""Values that must turn up nowhere, in every form in which they might, and the search for them."""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

HASHES = (
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha3_256",
    "blake2b",
    "blake2s",
)


@dataclass(frozen=True)
class Canary:
    """`value` as it is sent; `core` is a part of it that survives escaping, and is looked for by itself."""

    name: str
    value: str
    core: str = ""


def forms(value: str) -> dict[str, bytes]:
    """How the value may be written, by the name of the form."""
    raw = value.encode()
    found = {
        "raw": raw,
        "json": json.dumps(value)[1:-1].encode(),
        "json, unicode": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "json, slashes": json.dumps(value)[1:-1].replace("/", "\\/").encode(),
        "url": quote(value, safe="").encode(),
        "url, plus": quote_plus(value).encode(),
        "url, lower case": _lower_percent(quote(value, safe="")).encode(),
        "url, script": quote(value, safe="!'()*").encode(),
        "url, path": quote(value, safe="/").encode(),
        "html": html.escape(value).encode(),
        "html, numbers": value.replace("&", "&#38;")
        .replace("<", "&#60;")
        .replace(">", "&#62;")
        .replace('"', "&#34;")
        .replace("'", "&#39;")
        .encode(),  # as Jinja writes quotes
        "repr": repr(value)[1:-1].encode(),
        "utf-16-le": value.encode("utf-16-le"),
        "utf-16-be": value.encode("utf-16-be"),
        "latin-1": value.encode("latin-1", "ignore"),
    }
    found["html, jinja"] = (
        html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;").encode()
    )
    found |= byte_forms(raw) | digest_forms(raw)
    return {name: form for name, form in found.items() if len(form) >= 4}


def byte_forms(raw: bytes) -> dict[str, bytes]:
    """How bytes may be written."""
    numbers = [str(each) for each in raw]
    found = {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "numbers": ",".join(numbers).encode(),
        "numbers, spaced": ", ".join(numbers).encode(),
        "numbers, by index": ",".join(f'"{at}":{each}' for at, each in enumerate(numbers)).encode(),
    }
    for offset in range(3):
        for kind, encode in (("", base64.b64encode), (", urlsafe", base64.urlsafe_b64encode)):
            found[f"base64 at {offset}{kind}"] = _base64_at(
                raw, offset, encode(_shifted(raw, offset))
            )
    return found


def digest_forms(raw: bytes) -> dict[str, bytes]:
    """How the hashes of bytes may be written."""
    found = _digest_forms("blake2b 32", hashlib.blake2b(raw, digest_size=32).digest())
    for name in HASHES:
        found |= _digest_forms(name, hashlib.new(name, raw).digest())
    return found


def needles(canaries: Iterable[Canary]) -> dict[str, bytes]:
    """Every form of every canary and of its core."""
    found: dict[str, bytes] = {}
    for canary in canaries:
        for part in filter(None, (canary.value, canary.core)):
            kind = canary.name if part == canary.value else f"{canary.name}'s core"
            found |= {f"{kind}, {name}": form for name, form in forms(part).items()}
    return found


def search(needles: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[str]:
    """What was found, as `place: canary, form`."""
    return sorted(
        f"{place}: {name}"
        for place, content in places.items()
        for name, needle in needles.items()
        if needle in content
    )


def read(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, its raw bytes: free pages and logs too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def chunks(content: bytes) -> Iterator[bytes]:
    """Samples of a ciphertext, several to a page of the file, each long enough to be no chance."""
    for start in range(0, max(1, len(content) - 23), 400):
        yield content[start : start + 24]


def _digest_forms(name: str, digest: bytes) -> dict[str, bytes]:
    return {
        f"{name}, bytes": digest,
        f"{name}, hex": digest.hex().encode(),
        f"{name}, HEX": digest.hex().upper().encode(),
        f"{name}, base64": base64.b64encode(digest).rstrip(b"="),
        f"{name}, base64 urlsafe": base64.urlsafe_b64encode(digest).rstrip(b"="),
    }


def _shifted(raw: bytes, offset: int) -> bytes:
    return bytes(offset) + raw


def _base64_at(raw: bytes, offset: int, encoded: bytes) -> bytes:
    """The characters that the value alone decides, whatever stands before and behind it."""
    first = -(-8 * offset // 6)
    last = 8 * (offset + len(raw)) // 6
    return encoded[first:last]


def _lower_percent(quoted: str) -> str:
    pieces = quoted.split("%")
    return pieces[0] + "".join(f"%{piece[:2].lower()}{piece[2:]}" for piece in pieces[1:])
