"""One open transaction of the vault's file, and what its statements share."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import cached_property
from typing import Any

from onetime.crypto.ids import TAG_LENGTH
from onetime.model import Kind, State
from onetime.storage.vault import eraser
from onetime.storage.vault.eraser import Eraser

# A look-up takes a tenth of the time of Kind(...).
KINDS = {kind.value: kind for kind in Kind}
STATES = {state.value: state for state in State}


class Transaction:
    """What an operation works on: one open transaction, at one instant of the store's clock."""

    def __init__(
        self, db: sqlite3.Connection, now: int, *, room: Callable[[], int], keys: Eraser
    ) -> None:
        self.db = db
        self.eraser = keys
        self.now = now
        self._room = room
        self.nonce = os.urandom(eraser.NONCE_BYTES)
        self.key_uses: dict[int, int] = {}
        self.removed: list[int] = []  # numbers of secrets that are gone

    @cached_property
    def room_bytes(self) -> int:
        """That new secrets may still take. Measured once, and not where nothing is put: it takes as long as a take."""
        return self._room()

    def one(self, statement: str, *values: object) -> Any:
        """The first row, or None. Rows are fetched here, before COMMIT."""
        return self.db.execute(statement, values).fetchone()

    def run(self, statement: str, *values: object) -> int:
        """How many rows it changed."""
        return self.db.execute(statement, values).rowcount


def shard(any_id: bytes) -> int:
    """The index: small, and one for both ids. A few rows share a number, and are told apart by their whole ids."""
    return int.from_bytes(any_id[:TAG_LENGTH])
