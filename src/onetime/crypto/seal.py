"""Server-side encryption, for callers that do not encrypt themselves (the compatible APIs, pages without script).

The server stores nothing that opens a secret: the key is derived from the secret key in the link, from the root key, and
from the passphrase when there is one.

    kek   = BLAKE2b-256(secret key, key = seal key of the root key, person "onetime seal")
    ck    = HKDF-SHA256(kek [| Argon2id(passphrase)], "onetime/1 seal content")
    check = HKDF-SHA256(ck, "onetime/1 seal check", 16)

Head: version (1 byte, 0x01) | root key number (4) | Argon2 passes (1), lanes (1), memory in KiB (4), salt (16) | check (16) | nonce (12).
Without a passphrase passes, lanes and memory are 0 and the salt is zeros.
Body: AES-256-GCM ciphertext and tag (plaintext + 16). Its associated data is the head up to the check, then the id, the
kind (1 byte length, text), creation and expiry (8 bytes each): a row moved, redated or renamed does not open.

Head and Place are msgspec's structs: every request makes both, and a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from onetime.crypto.hashing import Cost
from onetime.crypto.keyring import RootKey, hkdf
from onetime.errors import Undecryptable

VERSION = 1
PERSON_SEAL = b"onetime seal"
PERSON_WRAP = b"onetime wrap"
PERSON_ANSWER = b"onetime answer"
PERSON_SALT = b"onetime salt"
SALT_BYTES = 16
CHECK_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16

_HEAD = struct.Struct(f">BIBBI{SALT_BYTES}s{CHECK_BYTES}s{NONCE_BYTES}s")
_BOUND = _HEAD.size - CHECK_BYTES - NONCE_BYTES
_NO_SALT = bytes(SALT_BYTES)
_NO_COST = Cost(passes=0, lanes=0, memory_kib=0)


class Head(Struct, frozen=True, gc=False):
    key_number: int
    cost: Cost
    salt: bytes
    check: bytes
    nonce: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """
        Raises:
            Undecryptable: another version, or not a head.
        """
        if len(raw) != _HEAD.size or raw[0] != VERSION:
            raise Undecryptable("The secret was sealed by another version")
        _, number, passes, lanes, memory_kib, salt, check, nonce = _HEAD.unpack(raw)
        return cls(
            number, Cost(passes=passes, lanes=lanes, memory_kib=memory_kib), salt, check, nonce
        )

    def pack(self) -> bytes:
        cost = self.cost
        return _HEAD.pack(
            VERSION,
            self.key_number,
            cost.passes,
            cost.lanes,
            cost.memory_kib,
            self.salt,
            self.check,
            self.nonce,
        )


class Place(Struct, frozen=True, gc=False):
    """What a sealed secret is bound to beside its keys."""

    secret_id: bytes
    kind: str
    created_at: int
    expires_at: int

    def pack(self) -> bytes:
        kind = self.kind.encode()
        return (
            self.secret_id
            + bytes([len(kind)])
            + kind
            + struct.pack(">QQ", self.created_at, self.expires_at)
        )


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def salt_of(once: bytes) -> bytes:
    """The salt of an idempotent create, so that its repetition hashes the passphrase to the same."""
    return hashlib.blake2b(_once_key(once), digest_size=SALT_BYTES, person=PERSON_SALT).digest()


def content_key(root: RootKey, secret_key: str, passphrase_hash: bytes = b"") -> bytes:
    """`ck`. `passphrase_hash` is 32 bytes of Argon2id, or nothing."""
    kek = hashlib.blake2b(
        secret_key.encode("ascii"), digest_size=32, key=root.seal, person=PERSON_SEAL
    ).digest()
    return hkdf(kek + passphrase_hash, "onetime/1 seal content")


def check(key: bytes) -> bytes:
    return hkdf(key, "onetime/1 seal check", CHECK_BYTES)


def plain_proof(root: RootKey, key: bytes) -> bytes:
    """How the head begins, up to the nonce, of a secret that `root` sealed with this content key and no passphrase."""
    head = Head(root.number, _NO_COST, _NO_SALT, check(key), b"")
    return head.pack()[:-NONCE_BYTES]


def is_right(key: bytes, head: Head) -> bool:
    """Whether `content_key` was given what the secret was sealed with; tested before the take."""
    return hmac.compare_digest(check(key), head.check)


def seal(
    plaintext: bytes,
    key: bytes,
    place: Place,
    *,
    key_number: int,
    cost: Cost = _NO_COST,
    salt: bytes = _NO_SALT,
) -> tuple[bytes, bytes]:
    """Head and body."""
    head = Head(key_number, cost, salt, check(key), os.urandom(NONCE_BYTES))
    packed = head.pack()
    return packed, AESGCM(key).encrypt(head.nonce, plaintext, packed[:_BOUND] + place.pack())


def open_(body: bytes, key: bytes, place: Place, head: Head) -> bytes:
    """
    Raises:
        Undecryptable: something of it was changed.
    """
    try:
        return AESGCM(key).decrypt(head.nonce, body, head.pack()[:_BOUND] + place.pack())
    except InvalidTag:
        raise Undecryptable("The stored secret was changed") from None


def wrap(root: RootKey, receipt_key: str, secret_key: str) -> bytes:
    """The secret key for the holder of the receipt key: `root key number (4) | nonce (12) | ciphertext and tag`."""
    return _box(_wrapping_key(root, receipt_key), root.number, secret_key.encode("ascii"))


def unwrap(root: RootKey, receipt_key: str, wrapped: bytes) -> str:
    """
    Raises:
        Undecryptable: another receipt key or root key wrapped it.
    """
    return _unbox(_wrapping_key(root, receipt_key), wrapped).decode("ascii")


def key_number(wrapped: bytes) -> int:
    """The root key that `wrap` or `seal_answer` used."""
    return int.from_bytes(wrapped[:4])


def answer_id(once: bytes, content: bytes) -> bytes:
    """The name of an idempotent create: 32 bytes that tell nothing without `once`, which only the sender has."""
    return hashlib.blake2b(
        content, digest_size=32, key=_once_key(once), person=PERSON_ANSWER
    ).digest()


def seal_answer(root: RootKey, once: bytes, answer: bytes) -> bytes:
    """As `wrap`, for the stored answer of an idempotent create."""
    return _box(_answer_key(root, once), root.number, answer)


def open_answer(root: RootKey, once: bytes, sealed: bytes) -> bytes:
    """
    Raises:
        Undecryptable: another `once` or root key sealed it.
    """
    return _unbox(_answer_key(root, once), sealed)


def _once_key(once: bytes) -> bytes:
    return hashlib.sha256(once).digest()


def _answer_key(root: RootKey, once: bytes) -> bytes:
    return hashlib.blake2b(
        _once_key(once), digest_size=32, key=root.answer, person=PERSON_ANSWER
    ).digest()


def _wrapping_key(root: RootKey, receipt_key: str) -> bytes:
    return hashlib.blake2b(
        receipt_key.encode("ascii"), digest_size=32, key=root.wrap, person=PERSON_WRAP
    ).digest()


def _box(key: bytes, number: int, plaintext: bytes) -> bytes:
    prefix = number.to_bytes(4)
    nonce = os.urandom(NONCE_BYTES)
    return prefix + nonce + AESGCM(key).encrypt(nonce, plaintext, prefix)


def _unbox(key: bytes, boxed: bytes) -> bytes:
    prefix, nonce, rest = boxed[:4], boxed[4 : 4 + NONCE_BYTES], boxed[4 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, rest, prefix)
    except (InvalidTag, ValueError):
        raise Undecryptable from None
