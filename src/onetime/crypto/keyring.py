"""The root key, the keys derived from it, and older ones.

A root key is 32 bytes and is never used raw: every key is HKDF-SHA256 of it under one label. Its `number` names it in
stored rows and its `verifier` proves it is the same one; neither tells anything about the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

KEY_BYTES = 32

# Of 32 random bytes 30 are different on average, and so are the steps between them; fewer than 16: once in 10^15.
FEWEST_DIFFERENT = 16


# HMAC's two pads, as tables that add them to a key, and added to the empty key.
_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_INNER_EMPTY = bytes(_BLOCK_BYTES).translate(_INNER)
_OUTER_EMPTY = bytes(_BLOCK_BYTES).translate(_OUTER)


def hkdf(key: bytes, label: str, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 without salt, `label` as info; `length` at most 32 bytes.

    One block of it is two HMACs, and they are written out over SHA-256: every request makes four, and `hmac` takes twice as
    long for each, most of it to look the algorithm up.

    Source: RFC 5869, sections 2.2 and 2.3, and RFC 2104; tested against `cryptography`'s and the RFC's vectors.
    """
    if not 0 < length <= KEY_BYTES:
        raise ValueError("hkdf gives at most one block")
    extracted = sha256(_OUTER_EMPTY + sha256(_INNER_EMPTY + key).digest()).digest()
    padded = extracted.ljust(_BLOCK_BYTES, b"\0")
    inner = sha256(padded.translate(_INNER) + label.encode() + b"\x01").digest()
    return sha256(padded.translate(_OUTER) + inner).digest()[:length]


@dataclass(frozen=True, slots=True)
class RootKey:
    """One root key with what is derived from it once."""

    number: int
    verifier: bytes
    seal: bytes = field(repr=False)
    wrap: bytes = field(repr=False)
    answer: bytes = field(repr=False)

    @classmethod
    def of(cls, raw: bytes) -> RootKey:
        return cls(
            number=int.from_bytes(hkdf(raw, "onetime/1 number", 4)),
            verifier=hkdf(raw, "onetime/1 verifier"),
            seal=hkdf(raw, "onetime/1 seal"),
            wrap=hkdf(raw, "onetime/1 wrap"),
            answer=hkdf(raw, "onetime/1 answer"),
        )


class Keyring:
    """The current root key, which seals, and older ones, which only open."""

    def __init__(self, current: bytes, older: tuple[bytes, ...] = ()) -> None:
        self.keys = tuple(RootKey.of(raw) for raw in (current, *older))
        self._by_number = {key.number: key for key in reversed(self.keys)}

    @property
    def current(self) -> RootKey:
        return self.keys[0]

    def find(self, number: int) -> RootKey | None:
        return self._by_number.get(number)


def weakness(raw: bytes) -> str | None:
    """Why these bytes will not do as a root key; None if nothing speaks against them.

    It cannot tell a random key from a clever one; it catches what people type and what documentation shows.
    """
    if len(raw) != KEY_BYTES:
        return f"must be {KEY_BYTES} bytes, written as {2 * KEY_BYTES} hexadecimal digits"
    if len(set(raw)) < FEWEST_DIFFERENT or raw in (raw + raw)[1:-1]:
        return "repeats itself; make one with: openssl rand -hex 32"
    if len({(after - before) % 256 for before, after in pairwise(raw)}) < FEWEST_DIFFERENT:
        return "counts; make one with: openssl rand -hex 32"
    if _is_text(raw):
        return "is text; make one with: openssl rand -hex 32"
    return None


def _is_text(raw: bytes) -> bool:
    """Random bytes are, once in 10^11."""
    try:
        return all(letter.isprintable() or letter.isspace() for letter in raw.decode())
    except UnicodeDecodeError:
        return False
