"""Somebody who has a copy of the database and the root key, and tries everything that follows from them.

What else he knows (links, passphrases) he is told as `known`. With a link he must succeed, or his failures prove nothing.
"""

import hashlib
import itertools
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import onetime
from onetime.crypto import keyring, seal
from onetime.crypto.keyring import hkdf
from onetime.errors import Undecryptable
from onetime.storage.vault.eraser import Eraser

SOURCE = Path(onetime.__file__).parent

Row = dict[str, object]


class Thief:
    def __init__(self, folder: Path, *, known: Iterable[str] = ()) -> None:
        self.root = bytes.fromhex((folder / "root.key").read_text())
        self.known = [each.encode() for each in known]
        self.bodies: dict[object, bytes] = {}
        with closing(sqlite3.connect(folder / "vault.db")) as db:
            for number, locked in db.execute("SELECT number, body FROM secret").fetchall():
                self.bodies[number] = Eraser().unlock(db, number, locked)
            db.row_factory = sqlite3.Row
            self.tables: dict[str, list[Row]] = {
                name: [dict(row) for row in db.execute(f"SELECT * FROM {name}")]  # noqa: S608
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }

    def opened(self) -> set[bytes]:
        """Every plaintext that any of his keys opens."""
        found = set()
        keys = list(self.keys())
        for key in keys:
            for blob in self.blobs():
                found |= set(_try(key, blob))
        found |= set(self._secrets(keys))
        return found

    def blobs(self) -> set[bytes]:
        return {
            value
            for rows in self.tables.values()
            for row in rows
            for value in row.values()
            if isinstance(value, bytes) and len(value) >= 28
        }

    def keys(self) -> Iterator[bytes]:
        """The root key, all that is derived from it, and hashes of all that he has under each of these."""
        roots = [self.root, *(hkdf(self.root, label) for label in labels())]
        yield from roots
        yield from (hashlib.sha256(each).digest() for each in roots)
        for root, person, text in itertools.product(roots, persons(), self._texts()):
            hashed = hashlib.blake2b(text[:64], digest_size=32, key=root, person=person).digest()
            yield hashed
            yield hkdf(hashed, "onetime/1 seal content")
        yield from (each for each in self.blobs() if len(each) == 32)

    def _texts(self) -> list[bytes]:
        """What he knows; and when that is nothing, what he has."""
        if self.known:
            return [*self.known, *(hashlib.sha256(each).digest() for each in self.known)]
        stored = self.blobs() | {each[4:] for each in self.blobs() if len(each) == 36}
        return [*stored, b""]

    def _secrets(self, keys: list[bytes]) -> Iterator[bytes]:
        """Sealed secrets, whose associated data he can put together from their rows."""
        receipts = {row["number"]: row for row in self.tables["receipt"]}
        for row in self.tables["secret"]:
            receipt = receipts[row["number"]]
            head = seal.Head.parse(_bytes(row["head"]))
            place = seal.Place(
                _bytes(receipt["secret_id"]),
                str(receipt["kind"]),
                int(str(receipt["created_at"])),
                int(str(receipt["secret_expires_at"])),
            )
            for key in itertools.chain(keys, self._with_passphrase(head)):
                try:
                    yield seal.open_(self.bodies[row["number"]], key, place, head)
                except Undecryptable:
                    continue

    def _with_passphrase(self, head: seal.Head) -> Iterator[bytes]:
        """Everything he knows, tried as the passphrase with everything he knows as the link."""
        if not head.cost.passes:
            return
        root = keyring.RootKey.of(self.root)
        for passphrase in self.known:
            hashed = hash_secret_raw(
                passphrase,
                head.salt,
                time_cost=head.cost.passes,
                memory_cost=head.cost.memory_kib,
                parallelism=head.cost.lanes,
                hash_len=32,
                type=Type.ID,
            )
            for link in self.known:
                if link.isascii():
                    yield seal.content_key(root, link.decode(), hashed)


def labels() -> set[str]:
    """Every label that the code derives keys with."""
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    return set(re.findall(r'"(onetime/1 [a-z ]+)"', text))


def persons() -> set[bytes]:
    """Every name that the code hashes under."""
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    return {each.encode() for each in re.findall(r'b"(onetime [a-z ]+)"', text)} | {b""}


def _try(key: bytes, blob: bytes) -> Iterator[bytes]:
    """The nonce at the beginning, or behind a root key's number, to which the box is bound."""
    box = AESGCM(key)
    for binding, nonce, rest in ((b"", blob[:12], blob[12:]), (blob[:4], blob[4:16], blob[16:])):
        if len(rest) < 16:
            continue
        try:
            yield box.decrypt(nonce, rest, binding)
        except InvalidTag:
            continue


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
