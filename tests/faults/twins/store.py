"""The store of the correct twin: one SQLite file, one writer thread, one commit for all that waits.

The broken twins (`broken.py`) are this with one thing wrong each, so every step that one of them gets wrong is a method here.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.twins import envelopes
from tests.faults.twins.envelopes import Envelopes, Refused

SWEEP_SECONDS = 0.5  # between two sweeps
GRACE_SECONDS = 300  # from a secret's second to its sweep
ROOM_BYTES = 2_000_000  # a create needs this much free space

SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS secret (
    secret_key TEXT PRIMARY KEY, receipt_key TEXT UNIQUE, created INTEGER, ttl INTEGER,
    state TEXT, ended_at INTEGER
);
CREATE TABLE IF NOT EXISTS content (secret_key TEXT PRIMARY KEY, expires_at INTEGER, value TEXT);
"""

ALPHABET = string.digits + string.ascii_lowercase

Step = Callable[[sqlite3.Connection], Any]


class Full(Exception):
    """No room for something new."""


@dataclass(frozen=True, slots=True)
class Row:
    secret_key: str
    receipt_key: str
    created: int
    ttl: int
    state: str
    ended_at: int | None

    @property
    def expires_at(self) -> int:
        return self.created + self.ttl


class Store(Envelopes):
    synchronous = "FULL"
    pause = 0.0  # seconds before each batch
    retry_after = "30"  # what a refused create is told
    late_seconds = 0  # for which a secret is readable beyond its second
    drains = True  # at SIGTERM, what runs is finished
    exit_code = 0
    stopping = False  # SIGTERM has come

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "vault.db"
        self._reserve, self._reserve_bytes = folder / "reserve", reserve_bytes
        self._waiting: queue.SimpleQueue[tuple[Step, Future[Any]] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self.connect().executescript(SCHEMA + envelopes.SCHEMA)
        self.connect().execute("BEGIN IMMEDIATE")
        self.wake(self.connect())
        self.connect().execute("COMMIT")
        self.keep_reserve()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        threading.Thread(target=self._sweep_on, daemon=True).start()

    # --- verbs ---

    def conceal(self, value: str, ttl: int) -> Row:
        row = self.new_row(ttl)
        try:
            self.commit(lambda db: self.put(db, row, value))
        except sqlite3.OperationalError:
            raise Full from None
        return row

    def reveal(self, secret_key: str) -> str | None:
        value: str | None = self.commit(lambda db: self.take(db, secret_key, "received"))
        return value

    def burn(self, receipt_key: str) -> Row | None:
        row = self.row(receipt_key)
        if row is None:
            return None
        taken = self.commit(lambda db: self.take(db, row.secret_key, "burned"))
        return self.receipt(receipt_key) if taken is not None else None

    def receipt(self, receipt_key: str) -> Row | None:
        row = self.row(receipt_key)
        if row is None or time.time() >= row.expires_at + row.ttl:
            return None
        if row.state == "new" and time.time() >= row.expires_at:
            return Row(row.secret_key, row.receipt_key, row.created, row.ttl, "expired", None)
        return row

    def sweep(self) -> None:
        """In small steps: a deleted page is overwritten, and on a full disk there is no room for a large WAL."""
        before = int(time.time()) - GRACE_SECONDS
        while self.commit(lambda db: self.remove_expired(db, before)):
            self.checkpoint()
        self.commit(lambda db: self.sweep_envelopes(db, before))
        self.give_back()
        self.keep_reserve()

    def close(self) -> None:
        """Everything that waits is committed."""
        self._waiting.put(None)
        self._writer.join()

    def new_row(self, ttl: int) -> Row:
        keys = ["".join(secrets.choice(ALPHABET) for _ in range(31)) for _ in range(2)]
        return Row(keys[0], keys[1], int(time.time()), ttl, "new", None)

    # --- steps of a transaction ---

    def put(self, db: sqlite3.Connection, row: Row, value: str) -> None:
        self.check_room()
        self.put_anyway(db, row, value)

    def put_anyway(self, db: sqlite3.Connection, row: Row, value: str) -> None:
        db.execute(
            "INSERT INTO secret VALUES (?, ?, ?, ?, ?, NULL)",
            (row.secret_key, row.receipt_key, row.created, row.ttl, row.state),
        )
        db.execute("INSERT INTO content VALUES (?, ?, ?)", (row.secret_key, row.expires_at, value))

    def take(self, db: sqlite3.Connection, secret_key: str, state: str) -> str | None:
        now = int(time.time())
        rows = db.execute(
            "DELETE FROM content WHERE secret_key = ? AND expires_at > ? RETURNING value",
            (secret_key, now - self.late_seconds),
        ).fetchall()
        if not rows:
            return None
        self.mark(db, secret_key, state, now)
        return str(rows[0][0])

    def mark(self, db: sqlite3.Connection, secret_key: str, state: str, now: int) -> None:
        db.execute(
            "UPDATE secret SET state = ?, ended_at = ? WHERE secret_key = ?",
            (state, now, secret_key),
        )

    def remove_expired(self, db: sqlite3.Connection, before: int) -> bool:
        """Some of it; false when nothing is left."""
        rows = db.execute(
            "DELETE FROM content WHERE secret_key IN (SELECT secret_key FROM content"
            " WHERE expires_at <= ? LIMIT 10) RETURNING secret_key",
            (before,),
        ).fetchall()
        # Written down, so that the receipt stays true when the clock turns back.
        for (secret_key,) in rows:
            db.execute("UPDATE secret SET state = 'expired' WHERE secret_key = ?", (secret_key,))
        return bool(rows)

    # --- reading ---

    def row(self, receipt_key: str) -> Row | None:
        found = self.connect().execute("SELECT * FROM secret WHERE receipt_key = ?", (receipt_key,))
        rows = found.fetchall()
        return Row(*rows[0]) if rows else None

    def content(self, secret_key: str) -> str | None:
        """The value, while it is there and its time is not over; nothing changes."""
        rows = (
            self.connect()
            .execute(
                "SELECT value FROM content WHERE secret_key = ? AND expires_at > ?",
                (secret_key, int(time.time())),
            )
            .fetchall()
        )
        return str(rows[0][0]) if rows else None

    def connect(self) -> sqlite3.Connection:
        """This thread's own connection."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            db.execute(f"PRAGMA synchronous = {self.synchronous}")
            db.execute("PRAGMA wal_autocheckpoint = 250")
            self._local.db = db
        return db

    # --- group commit ---

    def commit(self, step: Step) -> Any:
        """The step's result, after the commit that it depends on."""
        return self.hand_in(step).result()

    def hand_in(self, step: Step) -> Future[Any]:
        done: Future[Any] = Future()
        self._waiting.put((step, done))
        return done

    def _write(self) -> None:
        open_ = True
        while open_:
            batch = [self._waiting.get()]
            time.sleep(self.pause)
            with contextlib.suppress(queue.Empty):
                while True:
                    batch.append(self._waiting.get_nowait())
            open_ = None not in batch
            work = [each for each in batch if each is not None]
            results = self.apply([step for step, _ in work])
            for (_, done), result in zip(work, results, strict=True):
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    def apply(self, steps: Sequence[Step]) -> list[Any]:
        """One transaction for all; after an error, one for each."""
        try:
            return self._together(steps)
        except sqlite3.Error as error:
            if len(steps) > 1:
                return [result for step in steps for result in self.apply([step])]
            if not self.make_room():
                return [error]
        try:
            return self._together(steps)
        except sqlite3.Error as error:
            return [error]

    def _together(self, steps: Sequence[Step]) -> list[Any]:
        db = self.connect()
        db.execute("BEGIN IMMEDIATE")
        try:
            results = [_result(step, db) for step in steps]
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return results

    # --- space ---

    def check_room(self) -> None:
        # What lies in the WAL has to fit into the database as well, or no checkpoint succeeds any more.
        wal = self._path.with_name("vault.db-wal")
        if self._free_bytes() < ROOM_BYTES + (wal.stat().st_size if wal.exists() else 0):
            raise Full

    def keep_reserve(self) -> None:
        if self._free_bytes() < self._reserve_bytes + ROOM_BYTES or self._reserve.exists():
            return
        with self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, self._reserve_bytes))

    def make_room(self) -> bool:
        """Give the reserve up; false if that was done already."""
        if not self._reserve.exists():
            return False
        self._reserve.unlink()
        self.checkpoint()
        return True

    def give_back(self) -> None:
        db = self.connect()
        was, free = -1, 0
        while free != was:
            self.checkpoint()
            with contextlib.suppress(sqlite3.Error):
                db.executescript("PRAGMA incremental_vacuum(200)")  # `execute` stops after one page
            was, free = free, db.execute("PRAGMA freelist_count").fetchall()[0][0]

    def checkpoint(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connect().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _free_bytes(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def _sweep_on(self) -> None:
        while True:
            time.sleep(SWEEP_SECONDS)
            with contextlib.suppress(sqlite3.Error):
                self.sweep()


def _result(step: Step, db: sqlite3.Connection) -> Any:
    try:
        return step(db)
    except (Full, Refused) as refusal:
        return refusal
