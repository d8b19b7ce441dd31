"""The end-to-end envelope once more, written from docs/envelope.md with other primitives than the program's.

It checks nothing and can write what no program should: what the vectors need to be wrong in exactly one way.
"""

from __future__ import annotations

import base64
import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

RECORD = 65536
DATA = 65519


def base64url(raw: bytes) -> str:
    return base64.b64encode(raw, b"-_").decode().rstrip("=")


def hkdf(key: bytes, info: str, size: int = 32, salt: bytes | None = None) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info.encode()).derive(key)


@dataclass(frozen=True)
class Derived:
    link_key: bytes
    passphrase: str = ""

    @property
    def both(self) -> bytes:
        if not self.passphrase:
            return self.link_key
        stretch = PBKDF2HMAC(
            algorithm=SHA256(),
            length=32,
            salt=hkdf(self.link_key, "onetime/1 passphrase salt"),
            iterations=600_000,
        )
        return self.link_key + stretch.derive(
            unicodedata.normalize("NFC", self.passphrase).encode()
        )

    def made(self) -> dict[str, bytes]:
        both = self.both
        link_proof = hkdf(self.link_key, "onetime/1 link proof")
        open_proof = hkdf(both, "onetime/1 open proof")
        return {
            "link_proof": link_proof,
            "secret_id": hashlib.sha256(link_proof).digest(),
            "open_proof": open_proof,
            "open_hash": hashlib.sha256(open_proof).digest(),
            "content_key": hkdf(both, "onetime/1 content"),
        }


def padme(size: int) -> int:
    """As the paper spells it out: the low bits that the size may not use are rounded up."""
    exponent = math.floor(math.log2(size))
    low = exponent - (math.floor(math.log2(exponent)) + 1)
    mask = (1 << low) - 1
    return (size + mask) & ~mask


def padded(inside: bytes) -> bytes:
    return inside.ljust(padme(max(256, len(inside))), b"\0")


def head(salt: bytes, record: int = RECORD, key_id: bytes = b"") -> bytes:
    return salt + record.to_bytes(4, "big") + bytes([len(key_id)]) + key_id


def records(key: bytes, salt: bytes, plain: Sequence[bytes]) -> bytes:
    """Each of `plain` is a record with its delimiter."""
    content_key = hkdf(key, "Content-Encoding: aes128gcm\0", 16, salt)
    nonce = int.from_bytes(hkdf(key, "Content-Encoding: nonce\0", 12, salt), "big")
    sealed = b""
    for number, data in enumerate(plain):
        aes = Cipher(AES(content_key), GCM((nonce ^ number).to_bytes(12, "big"))).encryptor()
        sealed += aes.update(data) + aes.finalize() + aes.tag
    return sealed


def cut(inside: bytes, size: int = DATA) -> list[bytes]:
    parts = [inside[at : at + size] for at in range(0, len(inside), size)]
    return [part + b"\1" for part in parts[:-1]] + [parts[-1] + b"\2"]


def body(key: bytes, salt: bytes, inside: bytes) -> bytes:
    """`inside` is the header line and the content, padded here."""
    return head(salt) + records(key, salt, cut(padded(inside)))
