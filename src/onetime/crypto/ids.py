"""Identifiers and tokens that cannot be guessed, and the names under which a store knows them.

A secret key and its receipt key are 31 characters of [0-9a-z] (the length and alphabet that every client of the compatible
APIs accepts). The last four are a *shard tag*, equal in both, so that a secret and its receipt land on one shard; the other
27 are independent and carry 139 bits.

The store sees only `tag | BLAKE2b-256(key)`, with a `person` of its own for each kind.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from typing import NamedTuple

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
KEY_LENGTH = 31
TAG_LENGTH = 4

# BLAKE2b takes at most 16 bytes.
PERSON_SECRET = b"onetime id"
PERSON_RECEIPT = b"onetime rcpt id"
PERSON_TOKEN = b"onetime token"

_TO_LETTERS = bytes(ord(ALPHABET[byte % 36]) for byte in range(256))
_UNEVEN = bytes(range(252, 256))

_KEY = re.compile(f"[0-9a-z]{{{KEY_LENGTH}}}", re.ASCII)


class KeyPair(NamedTuple):
    secret_key: str
    receipt_key: str


def new_keys() -> KeyPair:
    own = KEY_LENGTH - TAG_LENGTH
    letters = _letters(2 * own + TAG_LENGTH)
    tag = letters[2 * own :]
    return KeyPair(letters[:own] + tag, letters[own : 2 * own] + tag)


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def secret_id(secret_key: str) -> bytes:
    """`tag (4) | hash (32)`; so is `receipt_id`."""
    return _id(secret_key, PERSON_SECRET)


def receipt_id(receipt_key: str) -> bytes:
    return _id(receipt_key, PERSON_RECEIPT)


def new_token() -> str:
    """40 hex characters, 160 bits: the form of API tokens that clients check for."""
    return secrets.token_hex(20)


def token_id(token: str) -> bytes:
    """32 bytes."""
    return hashlib.blake2b(token.encode(), digest_size=32, person=PERSON_TOKEN).digest()


def _id(key: str, person: bytes) -> bytes:
    raw = key.encode("ascii")
    return raw[-TAG_LENGTH:] + hashlib.blake2b(raw, digest_size=32, person=person).digest()


def _letters(count: int) -> str:
    """Uniform: bytes of 252 and more, which would favour some letters, are thrown away."""
    letters = b""
    while len(letters) < count:
        letters += os.urandom(count + 8).translate(_TO_LETTERS, _UNEVEN)
    return letters[:count].decode("ascii")
