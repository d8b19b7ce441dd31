"""The sealed format once more, written from its description with other primitives than the program's.

HKDF, Argon2id and AES-GCM are `cryptography`'s; BLAKE2b is spelled out here, because nothing else at hand takes a
personalisation.

Source: RFC 7693, section 3, and the parameter block of the BLAKE2 paper, section 2.8.
"""

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MASK = (1 << 64) - 1
_START = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
_ORDER = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_LANES = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def _turn(word: int, bits: int) -> int:
    return (word >> bits | word << (64 - bits)) & _MASK


def _mix(v: list[int], lane: tuple[int, int, int, int], x: int, y: int) -> None:
    a, b, c, d = lane
    for word, first, second in ((x, 32, 24), (y, 16, 63)):
        v[a] = (v[a] + v[b] + word) & _MASK
        v[d] = _turn(v[d] ^ v[a], first)
        v[c] = (v[c] + v[d]) & _MASK
        v[b] = _turn(v[b] ^ v[c], second)


def blake2b(data: bytes, *, key: bytes = b"", person: bytes = b"", size: int = 32) -> bytes:
    block = struct.pack("<BBBBIQBB14x16x16s", size, len(key), 1, 1, 0, 0, 0, 0, person)
    h = [start ^ word for start, word in zip(_START, struct.unpack("<8Q", block), strict=True)]
    padded = (key.ljust(128, b"\0") if key else b"") + data
    for at in range(0, max(len(padded), 1), 128):
        part = padded[at : at + 128]
        is_last = at + 128 >= len(padded)
        words = struct.unpack("<16Q", part.ljust(128, b"\0"))
        v = [*h, *_START]
        v[12] ^= at + len(part)
        v[14] ^= _MASK if is_last else 0
        for turn in range(12):
            order = _ORDER[turn % 10]
            for lane, indices in enumerate(_LANES):
                _mix(v, indices, words[order[2 * lane]], words[order[2 * lane + 1]])
        h = [h[i] ^ v[i] ^ v[i + 8] for i in range(8)]
    return struct.pack("<8Q", *h)[:size]


def hkdf(key: bytes, info: str, length: int = 32) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info.encode()).derive(key)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What goes in, and by properties everything that comes out."""

    root_key: bytes
    secret_key: str
    plaintext: bytes
    kind: str
    created_at: int
    expires_at: int
    nonce: bytes
    passphrase: str = ""
    passes: int = 0
    lanes: int = 0
    memory_kib: int = 0
    salt: bytes = bytes(16)

    @property
    def secret_id(self) -> bytes:
        key = self.secret_key.encode()
        return key[-4:] + blake2b(key, person=b"onetime id")

    @property
    def key_number(self) -> bytes:
        return hkdf(self.root_key, "onetime/1 number", 4)

    @property
    def content_key(self) -> bytes:
        root = hkdf(self.root_key, "onetime/1 seal")
        kek = blake2b(self.secret_key.encode(), key=root, person=b"onetime seal")
        hashed = b""
        if self.passphrase:
            hashed = Argon2id(
                salt=self.salt,
                length=32,
                iterations=self.passes,
                lanes=self.lanes,
                memory_cost=self.memory_kib,
            ).derive(self.passphrase.encode())
        return hkdf(kek + hashed, "onetime/1 seal content")

    @property
    def bound(self) -> bytes:
        cost = bytes([self.passes, self.lanes]) + self.memory_kib.to_bytes(4, "big")
        return b"\x01" + self.key_number + cost + self.salt

    @property
    def head(self) -> bytes:
        return self.bound + hkdf(self.content_key, "onetime/1 seal check", 16) + self.nonce

    @property
    def body(self) -> bytes:
        kind = bytes([len(self.kind)]) + self.kind.encode()
        times = self.created_at.to_bytes(8, "big") + self.expires_at.to_bytes(8, "big")
        return AESGCM(self.content_key).encrypt(
            self.nonce, self.plaintext, self.bound + self.secret_id + kind + times
        )
