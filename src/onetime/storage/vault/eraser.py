"""Keys that are destroyed with what they opened.

SQLite zeroes a row that goes. But when it moves rows between pages it may leave copies of living ones in the gaps, and such
a copy outlives its row. So what the file holds of a body is encrypted once more, under a key of its own that lies where
SQLite never moves anything: in the overflow pages of a large blob, in place. When a secret is gone its key is overwritten,
and what copies are left are noise to everybody, the holder of the link and of the root key included.

A row of table `eraser` has the keys of SLOTS numbers:
    padding (4,096: the part of a blob that lies among rows is smaller) | SLOTS keys of 32 bytes
They are made together and in advance, so that a put writes none and reads none from the disk.

A body in the file is nonce (12) | AES-256-GCM ciphertext and tag (plaintext + 16). A transaction has one random nonce: a key
is used once, and a second time only where its number was given again after a transaction that was rolled back.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    import sqlite3

SLOTS = 256
KEY_BYTES = 32
NONCE_BYTES = 12
PADDING_BYTES = 4096
# What a body grows by.
MORE_BYTES = NONCE_BYTES + 16

# Blocks of keys that are kept in memory, of 12 KiB each.
MOST_BLOCKS = 256

_ZERO = bytes(KEY_BYTES)


class Eraser:
    """Works within the transaction that is open on the connection it is given."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytes] = {}

    def lock(self, db: sqlite3.Connection, number: int, body: bytes, nonce: bytes) -> bytes:
        """`body` as the file may hold it, for the secret with this new number. `nonce` is the transaction's."""
        return nonce + AESGCM(self._key(db, number)).encrypt(nonce, body, None)

    def unlock(self, db: sqlite3.Connection, number: int, locked: bytes) -> bytes:
        """
        Raises:
            cryptography.exceptions.InvalidTag: the file is damaged.
        """
        # A view: a body is not copied to be opened.
        nonce, rest = locked[:NONCE_BYTES], memoryview(locked)[NONCE_BYTES:]
        return AESGCM(self._key(db, number)).decrypt(nonce, rest, None)

    def erase(self, db: sqlite3.Connection, numbers: Iterable[int]) -> None:
        """Overwrite the keys of secrets that are gone."""
        blocks: defaultdict[int, list[int]] = defaultdict(list)
        for number in numbers:
            blocks[number // SLOTS].append(number)
        for block, members in blocks.items():
            if not _exists(db, block):
                continue
            with db.blobopen("eraser", "slots", block) as slots:
                for number in members:
                    start = _start(number)
                    slots.seek(start)
                    slots.write(_ZERO)
            self._blocks.pop(block, None)

    def forget(self) -> None:
        """After a transaction that was rolled back: a block it made does not exist."""
        self._blocks.clear()

    def _key(self, db: sqlite3.Connection, number: int) -> bytes:
        block = number // SLOTS
        keys: bytes | None = self._blocks.get(block)
        if keys is None:
            row = db.execute("SELECT slots FROM eraser WHERE block = ?", (block,)).fetchone()
            if row is None:
                keys = bytes(PADDING_BYTES) + os.urandom(SLOTS * KEY_BYTES)
                db.execute("INSERT INTO eraser VALUES (?, ?)", (block, keys))
            else:
                keys = row[0]
            if len(self._blocks) >= MOST_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            self._blocks[block] = keys
        start = _start(number)
        return keys[start : start + KEY_BYTES]


def leftovers(db: sqlite3.Connection, block: int) -> list[int]:
    """Numbers of a block whose secrets are gone and whose keys are still there, as a crash may leave them."""
    (keys,) = db.execute("SELECT slots FROM eraser WHERE block = ?", (block,)).fetchone()
    (latest,) = db.execute("SELECT ifnull(max(seq), 0) FROM sqlite_sequence").fetchone()
    first = block * SLOTS
    numbers = range(first, min(first + SLOTS, latest + 1))
    statement = "SELECT number FROM secret WHERE number BETWEEN ? AND ?"
    living = {number for (number,) in db.execute(statement, (first, first + SLOTS - 1))}
    return [
        number
        for number in numbers
        if number not in living and keys[_start(number) : _start(number) + KEY_BYTES] != _ZERO
    ]


def blocks(db: sqlite3.Connection) -> list[int]:
    return [block for (block,) in db.execute("SELECT block FROM eraser")]


def drop_unused(db: sqlite3.Connection) -> None:
    """Blocks below every number that a living receipt has. The latest stays: it has keys for those to come."""
    db.execute(
        """DELETE FROM eraser WHERE block < ifnull((SELECT min(number) FROM receipt) / ?1, block + 1)
        AND block < (SELECT ifnull(max(seq), 0) FROM sqlite_sequence) / ?1""",
        (SLOTS,),
    )


def _exists(db: sqlite3.Connection, block: int) -> bool:
    return db.execute("SELECT 1 FROM eraser WHERE block = ?", (block,)).fetchone() is not None


def _start(number: int) -> int:
    return PADDING_BYTES + number % SLOTS * KEY_BYTES
