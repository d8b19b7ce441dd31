"""The vault in one SQLite file (default). All SQL of the vault is here.

One writer thread: BEGIN IMMEDIATE, the operations of a batch, COMMIT. Reads run on a connection of their own, on the
event loop: a look-up takes less time than a change of threads, and in WAL mode no writer blocks it.

Table `receipt` is what stays of a secret until its receipt expires; table `secret` holds the content under the same
number, and loses the row at the moment of the take. Numbers instead of ids tie them, and one index of small numbers, the
shard tags, finds both ids: of all indexes only that one is in random order, which is what keeps a million rows as fast as
a thousand.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from onetime.crypto.ids import TAG_LENGTH
from onetime.errors import Conflict, Full, Misconfigured, OnetimeError, Unavailable
from onetime.model import Kind, State
from onetime.storage.batch import GroupCommit, Operation
from onetime.storage.port import (
    Debit,
    Debited,
    KeyName,
    KeyUse,
    NewAnswer,
    NewSecret,
    Session,
    Stored,
    StoredReceipt,
    StoredSecret,
    Swept,
)
from onetime.storage.vault.reserve import Reserve

if TYPE_CHECKING:
    from pathlib import Path

R = TypeVar("R")
Connect = Callable[..., sqlite3.Connection]

# Expired content is unreadable at its second; it is removed this much later, so that a clock that jumps ahead for a
# moment destroys nothing. With a sweep every minute that is well inside ten minutes.
GRACE_SECONDS = 300

# STRICT tables; RETURNING came with 3.35.
OLDEST_SQLITE = (3, 37, 0)

SWEEP_ROWS = 500
SHRINK_PAGES = 256  # 1 MiB
# Seconds to find out whether a commit has happened, before everybody in its batch is told that nobody knows.
PROOF_SECONDS = 5.0
BUSY_SECONDS = 5.0

SCHEMA = """
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema_version INTEGER NOT NULL,
    verifier BLOB                       -- of the current root key
) STRICT;
CREATE TABLE root_key (
    number INTEGER PRIMARY KEY,
    needed_until INTEGER NOT NULL       -- the latest expiry of a secret that it sealed
) STRICT;
CREATE TABLE writer (
    writer BLOB PRIMARY KEY,            -- random, one a process and connection
    token BLOB NOT NULL,                -- random, one a commit
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE receipt (
    number INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,             -- the tag that both ids begin with, as a number
    receipt_id BLOB NOT NULL,
    secret_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,                -- new, revealed, burned; expired is computed until it is swept
    has_passphrase INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    secret_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    wrong_tries INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0,   -- a generated value has been shown on the receipt
    wrapped BLOB NOT NULL,
    owner BLOB,
    listing_id BLOB,
    listing BLOB
) STRICT;
CREATE INDEX receipt_shard ON receipt (shard);
CREATE INDEX receipt_expires ON receipt (expires_at);
CREATE INDEX receipt_owner ON receipt (owner, created_at) WHERE owner IS NOT NULL;
CREATE UNIQUE INDEX receipt_listing ON receipt (listing_id) WHERE listing_id IS NOT NULL;
CREATE TABLE secret (
    number INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL                  -- last: reading the head does not touch its pages
) STRICT;
CREATE INDEX secret_expires ON secret (expires_at);
CREATE TABLE answer (
    answer_id BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX answer_expires ON answer (expires_at);
CREATE TABLE counter (
    key BLOB NOT NULL UNIQUE,
    used INTEGER NOT NULL,
    window_ends_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX counter_expires ON counter (expires_at);
CREATE TABLE daily_key (
    day INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE token (
    token_id BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX token_expires ON token (expires_at);
CREATE TABLE session (
    session_id BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires_at);
"""

# Statements that bring version n to n + 1 are at index n - 1. All of them run in one transaction.
MIGRATIONS: tuple[str, ...] = ()

# The one-time promise rests on this line: DELETE lets one caller through, and RETURNING hands the row to that one
# alone. A SELECT followed by a DELETE gives the secret to every caller that gets between the two.
TAKE = "DELETE FROM secret WHERE number = ? RETURNING head, body"

PEEK = """SELECT kind, has_passphrase, created_at, secret_expires_at, head FROM receipt JOIN secret USING (number)
WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ?"""
END = """UPDATE receipt SET state = ?, ended_at = ?, wrong_tries = max(wrong_tries - ?, 0)
WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ?
RETURNING number, kind, has_passphrase, created_at, secret_expires_at"""
RECEIPT_COLUMNS = """receipt_id, secret_id, kind, state, has_passphrase, created_at, secret_expires_at, expires_at,
ended_at, acknowledged, wrong_tries, wrapped, listing"""
RECEIPT = f"SELECT {RECEIPT_COLUMNS} FROM receipt WHERE shard = ?3 AND receipt_id = ?1 AND expires_at > ?2"  # noqa: S608
LISTED = f"SELECT {RECEIPT_COLUMNS} FROM receipt WHERE listing_id = ?1 AND expires_at > ?2"  # noqa: S608
OWNED = f"""SELECT {RECEIPT_COLUMNS} FROM receipt WHERE owner = ? AND created_at < ? AND expires_at > ?
ORDER BY created_at DESC, number DESC LIMIT ?"""  # noqa: S608
PUT_RECEIPT = """INSERT INTO receipt (shard, receipt_id, secret_id, kind, state, has_passphrase, created_at,
secret_expires_at, expires_at, wrapped, owner, listing_id, listing) VALUES (?, ?, ?, ?, 'new', ?, ?, ?, ?, ?, ?, ?, ?)"""
PUT_SECRET = (
    "INSERT INTO secret (number, expires_at, key_number, head, body) VALUES (?, ?, ?, ?, ?)"  # noqa: S105
)


USED = """SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""


class _UnknownOutcome(Exception):
    """COMMIT was sent, and nobody can say whether it took effect."""


class Transaction:
    """What an operation works on: one open transaction, at one instant of the store's clock."""

    def __init__(self, db: sqlite3.Connection, now: int, *, room_bytes: int) -> None:
        self.db = db
        self.now = now
        self.room_bytes = room_bytes
        self.key_uses: dict[int, int] = {}
        self.removed = False

    def one(self, statement: str, *values: object) -> Any:
        """The first row, or None. Rows are fetched here, before COMMIT."""
        return self.db.execute(statement, values).fetchone()

    def run(self, statement: str, *values: object) -> int:
        """How many rows it changed."""
        return self.db.execute(statement, values).rowcount


class SqliteVault:
    """`VaultStore` on one SQLite file, for any number of processes on one machine."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        reserve: Reserve,
        max_bytes: int,
        connect: Connect,
        proof_seconds: float,
    ) -> None:
        self._path = path
        self._clock = clock
        self._reserve = reserve
        self._max_bytes = max_bytes
        self._connect = connect
        self._proof_seconds = proof_seconds
        self._name = os.urandom(16)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vault")
        self._commits = GroupCommit[Transaction](self._commit)
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        # Whether something may be left of removed content; at the start nobody knows what a crash left.
        self._removed = True

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], float],
        disk_reserve: int = 0,
        max_bytes: int = 1 << 62,
        connect: Connect = sqlite3.connect,
        proof_seconds: float = PROOF_SECONDS,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> SqliteVault:
        """Open or make the file, and bring an older one up to date.

        Raises:
            Misconfigured: it was written by a newer version, is no vault, or cannot be opened.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            needed = ".".join(map(str, OLDEST_SQLITE))
            raise Misconfigured(f"SQLite {sqlite3.sqlite_version} is too old; {needed} is needed")
        reserve = Reserve(path.with_name("reserve"), disk_reserve)
        store = cls(
            path,
            clock=clock,
            reserve=reserve,
            max_bytes=max_bytes,
            connect=connect,
            proof_seconds=proof_seconds,
        )
        try:
            await store._on_thread(store._start, migrations)
        except sqlite3.Error as error:
            await store.close()
            raise Misconfigured(f"{path}: {error}") from None
        except Misconfigured:
            await store.close()
            raise
        return store

    def now(self) -> int:
        return int(self._clock())

    # Keys

    async def adopt(self, keys: Sequence[KeyName]) -> None:
        def operation(tx: Transaction) -> None:
            (stored,) = tx.one("SELECT verifier FROM vault")
            if stored is not None and stored not in {key.verifier for key in keys}:
                raise Misconfigured(
                    "ONETIME_ROOT_KEY (or root.key) is not the key this data was written with; "
                    "restore it, or list it in ONETIME_OLD_ROOT_KEYS"
                )
            listed = {key.number for key in keys}
            uses = tx.db.execute("SELECT number, needed_until FROM root_key").fetchall()
            if any(number not in listed and until > tx.now for number, until in uses):
                raise Misconfigured(
                    "ONETIME_OLD_ROOT_KEYS lacks a key that living secrets were sealed with"
                )
            tx.run("UPDATE vault SET verifier = ?", keys[0].verifier)

        await self._submit(operation)

    async def key_uses(self) -> list[KeyUse]:
        return [
            KeyUse(number=number, needed_until=until)
            for number, until in self._read("SELECT number, needed_until FROM root_key")
        ]

    # Secrets and receipts

    async def put(self, secret: NewSecret, *, answer: NewAnswer | None = None) -> Stored:
        def operation(tx: Transaction) -> Stored:
            return _put(tx, secret, answer)

        return await self._submit(operation, size=len(secret.body))

    async def peek(self, secret_id: bytes) -> StoredSecret | None:
        now = self.now()
        for kind, has_passphrase, created_at, expires_at, head in self._read(
            PEEK, _shard(secret_id), secret_id, now
        ):
            return StoredSecret(
                secret_id=secret_id,
                kind=Kind(kind),
                has_passphrase=bool(has_passphrase),
                created_at=created_at,
                expires_at=expires_at,
                head=head,
                body=b"",
                now=now,
            )
        return None

    async def take(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            return _end(tx, secret_id, State.REVEALED, refund)

        return await self._submit(operation)

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        def operation(tx: Transaction) -> bool:
            return _end(tx, secret_id, State.BURNED, refund) is not None

        return await self._submit(operation)

    async def show_once(self, receipt_id: bytes, *, within: int) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            row = tx.one(
                """UPDATE receipt SET shown = 1 WHERE shard = ? AND receipt_id = ? AND state = 'new' AND shown = 0
                AND kind = 'generate' AND secret_expires_at > ? AND created_at > ?
                RETURNING number, secret_id, kind, has_passphrase, created_at, secret_expires_at""",
                _shard(receipt_id),
                receipt_id,
                tx.now,
                tx.now - within,
            )
            if row is None:
                return None
            number, secret_id, *facts = row
            head, body = tx.one("SELECT head, body FROM secret WHERE number = ?", number)
            return _secret(secret_id, facts, head, body, tx.now)

        return await self._submit(operation)

    async def receipt(self, receipt_id: bytes) -> StoredReceipt | None:
        now = self.now()
        rows = self._read(RECEIPT, receipt_id, now, _shard(receipt_id))
        rows = rows or self._read(LISTED, receipt_id, now)
        return _receipt(rows[0], now) if rows else None

    async def receipts_of(
        self, owner: bytes, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        now = self.now()
        rows = self._read(OWNED, owner, (1 << 62) if before is None else before, now, limit)
        return [_receipt(row, now) for row in rows]

    # Attempts and rate counters

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        def operation(tx: Transaction) -> Debited | None:
            row = tx.one(
                """SELECT number, wrong_tries FROM receipt
                WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ?""",
                _shard(secret_id),
                secret_id,
                tx.now,
            )
            if row is None:
                return None
            number, tries = row
            if tries >= total:
                return Debited(refused=-1)
            made = _debit(tx, debits)
            if made.refused is None:
                tx.run("UPDATE receipt SET wrong_tries = wrong_tries + 1 WHERE number = ?", number)
                return Debited(left=min(made.left, total - tries - 1))
            return made

        return await self._submit(operation)

    async def refund(self, secret_id: bytes, debits: Sequence[Debit]) -> None:
        def operation(tx: Transaction) -> None:
            tx.run(
                """UPDATE receipt SET wrong_tries = wrong_tries - 1
                WHERE shard = ? AND secret_id = ? AND wrong_tries > 0""",
                _shard(secret_id),
                secret_id,
            )
            _give_back(tx, debits)

        await self._submit(operation)

    async def count(self, debit: Debit) -> Debited:
        def operation(tx: Transaction) -> Debited:
            return _debit(tx, [debit])

        return await self._submit(operation)

    async def daily_key(self, day: int, candidate: bytes, *, expires_at: int) -> bytes:
        def operation(tx: Transaction) -> bytes:
            tx.run(
                "INSERT INTO daily_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                day,
                candidate,
                expires_at,
            )
            key: bytes = tx.one("SELECT key FROM daily_key WHERE day = ?", day)[0]
            return key

        return await self._submit(operation)

    # What is used once, and sessions

    async def put_token(
        self, token_id: bytes, *, purpose: str, body: bytes, expires_at: int
    ) -> None:
        def operation(tx: Transaction) -> None:
            if tx.one("SELECT 1 FROM token WHERE token_id = ?", token_id):
                raise Conflict("There is such a token")
            tx.run("INSERT INTO token VALUES (?, ?, ?, ?)", token_id, purpose, expires_at, body)

        await self._submit(operation, size=len(body))

    async def take_token(self, token_id: bytes, *, purpose: str) -> bytes | None:
        def operation(tx: Transaction) -> bytes | None:
            row = tx.one(
                "DELETE FROM token WHERE token_id = ? AND purpose = ? AND expires_at > ? RETURNING body",
                token_id,
                purpose,
                tx.now,
            )
            return row[0] if row else None

        return await self._submit(operation)

    async def put_session(self, session: Session) -> None:
        def operation(tx: Transaction) -> None:
            if tx.one("SELECT 1 FROM session WHERE session_id = ?", session.session_id):
                raise Conflict("There is such a session")
            tx.run(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?)",
                session.session_id,
                session.account,
                session.created_at,
                session.expires_at,
                session.data,
            )

        await self._submit(operation, size=len(session.data))

    async def session(self, session_id: bytes) -> Session | None:
        statement = "SELECT * FROM session WHERE session_id = ? AND expires_at > ?"
        for row in self._read(statement, session_id, self.now()):
            return _session(row)
        return None

    async def sessions_of(self, account: bytes) -> list[Session]:
        statement = "SELECT * FROM session WHERE account = ? AND expires_at > ? ORDER BY created_at"
        return [_session(row) for row in self._read(statement, account, self.now())]

    async def extend_session(self, session_id: bytes, *, expires_at: int) -> bool:
        def operation(tx: Transaction) -> bool:
            statement = "UPDATE session SET expires_at = ? WHERE session_id = ? AND expires_at > ?"
            return tx.run(statement, expires_at, session_id, tx.now) == 1

        return await self._submit(operation)

    async def end_session(self, session_id: bytes) -> bool:
        def operation(tx: Transaction) -> bool:
            return tx.run("DELETE FROM session WHERE session_id = ?", session_id) == 1

        return await self._submit(operation)

    async def end_sessions_of(self, account: bytes, *, but: bytes | None = None) -> int:
        def operation(tx: Transaction) -> int:
            statement = "DELETE FROM session WHERE account = ? AND session_id IS NOT ?"
            return tx.run(statement, account, but)

        return await self._submit(operation)

    # Upkeep

    async def sweep(self) -> Swept:
        swept = await self._submit(_sweep)
        if swept.secrets or swept.receipts or swept.others:
            self._removed = True
        return swept

    async def scrub(self) -> None:
        if self._removed:
            self._removed = False
            # Before the rest: on a full disk it is the room that shrinking needs.
            await self._on_thread(self._cut_log)
            # In small steps: the batches of callers run in between.
            while await self._on_thread(self._shrink):
                pass
            await self._on_thread(self._cut_log)
        await self._on_thread(self._reserve.restore)

    async def ready(self) -> None:
        def operation(tx: Transaction) -> None:
            tx.one("SELECT 1 FROM vault")

        await self._submit(operation)

    async def close(self) -> None:
        await self._commits.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._db is not None:
            await self._on_thread(self._db.close)
            self._db = None
        self._thread.shutdown()

    # Machinery

    async def _on_thread(self, function: Callable[..., R], *values: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *values)

    async def _submit(self, operation: Operation[Transaction, R], *, size: int = 0) -> R:
        return await self._commits.submit(operation, size=size)

    def _read(self, statement: str, *values: object) -> list[Any]:
        """Committed state, on a connection that never writes."""
        if self._reader is None:
            raise Unavailable("The store is closed")
        try:
            return self._reader.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"The store cannot be read: {error}") from None

    def _start(self, migrations: Sequence[str]) -> None:
        """On the writer thread. Two processes that make the same file at once may find it locked for a moment."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db = self._connection()
                _bring_up_to_date(self._db, migrations)
                break
            except sqlite3.OperationalError as error:
                if self._db is not None:
                    self._db.close()
                    self._db = None
                full = _is(error, sqlite3.SQLITE_FULL) or _is(error, sqlite3.SQLITE_IOERR)
                if full and self._reserve.release():
                    continue
                if not _is(error, sqlite3.SQLITE_BUSY) or time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
        self._reader = self._connection()
        self._reader.execute("PRAGMA query_only = ON")
        self._reserve.restore()

    def _connection(self) -> sqlite3.Connection:
        new = not self._path.exists()
        db = self._connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            if new:
                self._path.chmod(0o600)
            if not db.execute("PRAGMA page_count").fetchone()[0]:
                # Only in a new file: in another it would be a write, which a full disk refuses.
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            # FULL, not the NORMAL that is often advised with WAL: after a power cut NORMAL may bring back a secret
            # that somebody has already read. https://sqlite.org/pragma.html#pragma_synchronous
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA cache_size = -16384")  # KiB, a connection
            db.execute("PRAGMA temp_store = MEMORY")
            # Pages of log before it is copied into the file; twice the default, so that a page which many
            # commits touch is copied less often.
            db.execute("PRAGMA wal_autocheckpoint = 2000")
        except sqlite3.Error:
            db.close()
            raise
        return db

    async def _commit(self, operations: Sequence[Operation[Transaction, Any]]) -> Sequence[Any]:
        return await self._on_thread(self._apply, operations)

    def _apply(
        self, operations: Sequence[Operation[Transaction, Any]], *, may_make_room: bool = True
    ) -> list[Any]:
        """One transaction for all; after an error of the store, one for each.

        SQLITE_FULL, for one, silently rolls the transaction back, and the statements behind it would commit one by one:
        so after any error nothing of the batch is believed.
        """
        try:
            return self._together(operations)
        except _UnknownOutcome:
            return [Unavailable("It is not known whether that has happened")] * len(operations)
        except Exception as error:  # noqa: BLE001 - an operation's bug must not fail its neighbours
            if may_make_room and _is(error, sqlite3.SQLITE_FULL):
                self._make_room()
                return self._apply(operations, may_make_room=False)
            if len(operations) == 1 or _is(error, sqlite3.SQLITE_BUSY):
                return [_meaning(error)] * len(operations)
            return [
                self._apply([operation], may_make_room=may_make_room)[0] for operation in operations
            ]

    def _together(self, operations: Sequence[Operation[Transaction, Any]]) -> list[Any]:
        db = self._db
        if db is None:
            db = self._db = self._connection()
        token = os.urandom(16)
        results: list[Any] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            tx = Transaction(db, self.now(), room_bytes=self._room(db))
            for operation in operations:
                try:
                    results.append(operation(tx))
                except OnetimeError as refusal:
                    results.append(refusal)
            for number, until in tx.key_uses.items():
                tx.run(
                    """INSERT INTO root_key VALUES (?, ?) ON CONFLICT (number)
                    DO UPDATE SET needed_until = max(needed_until, excluded.needed_until)""",
                    number,
                    until,
                )
            tx.run("INSERT OR REPLACE INTO writer VALUES (?, ?, ?)", self._name, token, tx.now)
        except BaseException:
            _roll_back(db)
            raise
        try:
            db.execute("COMMIT")
        except Exception as error:  # sqlite3.Error; MemoryError is SQLite's SQLITE_NOMEM
            if _is(error, sqlite3.SQLITE_FULL):
                self._reserve.release()  # a new connection may need room
            if not self._has_happened(token):
                raise
        if tx.removed:
            self._removed = True
        return results

    def _has_happened(self, token: bytes) -> bool:
        """Whether the commit that wrote `token` is in the file, asked on a fresh connection.

        Raises:
            _UnknownOutcome: that cannot be found out in time.
        """
        deadline = time.monotonic() + self._proof_seconds
        while True:
            try:
                if self._db is not None:
                    _roll_back(self._db)
                    self._db.close()
                self._db = None
                self._db = self._connection()
                row = self._db.execute(
                    "SELECT token FROM writer WHERE writer = ?", (self._name,)
                ).fetchone()
            except sqlite3.Error:
                if time.monotonic() >= deadline:
                    raise _UnknownOutcome from None
                time.sleep(0.05)
            else:
                return row is not None and row[0] == token

    def _make_room(self) -> None:
        """For those who remove: the reserve's space and the log's."""
        self._reserve.release()
        with contextlib.suppress(Unavailable):
            self._cut_log()

    def _room(self, db: sqlite3.Connection) -> int:
        """Bytes that may still be put: of the vault's total size and of the disk."""
        (page,) = db.execute("PRAGMA page_size").fetchone()
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        used: int = (pages - free) * page
        return min(self._max_bytes - used, self._reserve.room())

    def _shrink(self) -> bool:
        """Give free pages back to the disk, a megabyte at most; True when there is more."""
        if self._db is None:
            return False
        try:
            self._db.execute(f"PRAGMA incremental_vacuum({SHRINK_PAGES})").fetchall()
            (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        except sqlite3.Error as error:
            self._removed = True
            raise Unavailable(f"The store cannot be shrunk: {error}") from None
        return bool(free)

    def _cut_log(self) -> None:
        """Deleted rows are zeroed at once (secure_delete), but the log holds what they were until it is cut."""
        if self._db is None:
            return
        try:
            (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            self._removed = True
            raise Unavailable(f"The log cannot be cut: {error}") from None
        if busy:  # another process is reading or writing: the next scrub tries again
            self._removed = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a vault's file says of itself. `verifier` is of the current root key; `reserve_bytes` of the disk stand by."""

    schema_version: int
    newest_schema: int
    verifier: bytes | None
    key_uses: list[KeyUse]
    used_bytes: int
    reserve_bytes: int


def inspect(path: Path) -> Inspected:
    """Reads only, so it may run beside a server.

    Raises:
        Misconfigured: it is no vault, or cannot be read.
    """
    reserve = path.with_name("reserve")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            version, verifier = db.execute("SELECT schema_version, verifier FROM vault").fetchone()
            uses = db.execute("SELECT number, needed_until FROM root_key").fetchall()
            (used,) = db.execute(USED).fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Misconfigured(f"{path}: {error}") from None
    return Inspected(
        schema_version=version,
        newest_schema=len(MIGRATIONS) + 1,
        verifier=verifier,
        key_uses=[KeyUse(number=number, needed_until=until) for number, until in uses],
        used_bytes=used,
        reserve_bytes=reserve.stat().st_size if reserve.exists() else 0,
    )


def integrity(path: Path) -> str | None:
    """What SQLite finds wrong with the file; None if nothing."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            found = [row[0] for row in db.execute("PRAGMA integrity_check(10)")]
        finally:
            db.close()
    except sqlite3.Error as error:
        return f"{path}: {error}"
    return None if found == ["ok"] else f"{path}: {'; '.join(found)}"


def _put(tx: Transaction, secret: NewSecret, answer: NewAnswer | None) -> Stored:
    if answer is not None:
        row = tx.one(
            "SELECT sealed FROM answer WHERE answer_id = ? AND expires_at > ?",
            answer.answer_id,
            tx.now,
        )
        if row is not None:
            return Stored(earlier=row[0])
    known = _known(tx, secret)
    if known is not None:
        return _put_again(tx, known, secret)
    room = len(secret.body) + 4096
    if tx.room_bytes < room:
        raise Full
    tx.room_bytes -= room
    number = tx.db.execute(
        PUT_RECEIPT,
        (
            _shard(secret.secret_id),
            secret.receipt_id,
            secret.secret_id,
            secret.kind.value,
            secret.has_passphrase,
            secret.created_at,
            secret.expires_at,
            secret.receipt_expires_at,
            secret.wrapped,
            secret.owner,
            secret.listing_id,
            secret.listing,
        ),
    ).lastrowid
    tx.run(PUT_SECRET, number, secret.expires_at, secret.key_number, secret.head, secret.body)
    tx.key_uses[secret.key_number] = max(secret.expires_at, tx.key_uses.get(secret.key_number, 0))
    if answer is not None:
        tx.run("DELETE FROM answer WHERE answer_id = ?", answer.answer_id)
        tx.run(
            "INSERT INTO answer VALUES (?, ?, ?)",
            answer.answer_id,
            answer.expires_at,
            answer.sealed,
        )
    return Stored()


def _known(tx: Transaction, secret: NewSecret) -> int | None:
    """The number of the receipt that has one of its ids. Nobody else can add one before this transaction ends."""
    shard = _shard(secret.secret_id)
    if _shard(secret.receipt_id) != shard:
        raise ValueError("a secret and its receipt begin with the same shard tag")
    row = tx.one(
        "SELECT number FROM receipt WHERE shard = ? AND (secret_id = ? OR receipt_id = ?)",
        shard,
        secret.secret_id,
        secret.receipt_id,
    )
    if row is None and secret.listing_id is not None:
        row = tx.one("SELECT number FROM receipt WHERE listing_id = ?", secret.listing_id)
    return row[0] if row else None


def _shard(any_id: bytes) -> int:
    """The index: small, and one for both ids. A few rows share a number, and are told apart by their whole ids."""
    return int.from_bytes(any_id[:TAG_LENGTH])


def _put_again(tx: Transaction, number: int, secret: NewSecret) -> Stored:
    row = tx.one(
        """SELECT state, secret_id, receipt_id, kind, has_passphrase, created_at, secret_expires_at,
        receipt.expires_at, key_number, head, body, wrapped, owner, listing_id, listing
        FROM receipt JOIN secret USING (number) WHERE number = ? AND secret_expires_at > ?""",
        number,
        tx.now,
    )
    same = (
        State.NEW.value,
        secret.secret_id,
        secret.receipt_id,
        secret.kind.value,
        secret.has_passphrase,
        secret.created_at,
        secret.expires_at,
        secret.receipt_expires_at,
        secret.key_number,
        secret.head,
        secret.body,
        secret.wrapped,
        secret.owner,
        secret.listing_id,
        secret.listing,
    )
    if row != same:
        raise Conflict("There is, or was, something else under this id")
    return Stored()


def _end(
    tx: Transaction, secret_id: bytes, state: State, refund: Sequence[Debit]
) -> StoredSecret | None:
    row = tx.one(
        END,
        state.value,
        tx.now,
        1 if refund else 0,
        _shard(secret_id),
        secret_id,
        tx.now,
    )
    if row is None:
        return None
    number, *facts = row
    taken = tx.one(TAKE, number)
    if taken is None:
        # Cannot be: content goes in the transaction that ends its receipt. Nothing of this is committed.
        raise RuntimeError("a receipt says new, and its secret is not there")
    _give_back(tx, refund)
    tx.removed = True
    head, body = taken
    return _secret(secret_id, facts, head, body, tx.now)


def _debit(tx: Transaction, debits: Sequence[Debit]) -> Debited:
    """All or none."""
    left = 1 << 30
    rows = []
    for index, debit in enumerate(debits):
        used, window_ends_at, locked_until = tx.one(
            "SELECT used, window_ends_at, locked_until FROM counter WHERE key = ?", debit.key
        ) or (0, 0, 0)
        budget = debit.budget
        # A clock that was set back must stretch neither window nor lock.
        latest = tx.now + budget.window, tx.now + budget.lock
        if window_ends_at > latest[0] or locked_until > latest[1]:
            window_ends_at, locked_until = (
                min(window_ends_at, latest[0]),
                min(locked_until, latest[1]),
            )
            tx.run(
                "UPDATE counter SET window_ends_at = ?, locked_until = ? WHERE key = ?",
                window_ends_at,
                locked_until,
                debit.key,
            )
        if locked_until > tx.now:
            return Debited(refused=index, retry_after=locked_until - tx.now)
        if window_ends_at <= tx.now or locked_until:
            # The window is over, or a lock was served: from the start again.
            used, window_ends_at, locked_until = 0, tx.now + budget.window, 0
        if used >= budget.limit:
            return Debited(refused=index, retry_after=window_ends_at - tx.now)
        used += 1
        if used == budget.limit and budget.lock:
            locked_until = tx.now + budget.lock
        left = min(left, budget.limit - used)
        rows.append(
            (debit.key, used, window_ends_at, locked_until, max(window_ends_at, locked_until))
        )
    for row in rows:
        tx.run("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?)", *row)
    return Debited(left=left)


def _give_back(tx: Transaction, debits: Sequence[Debit]) -> None:
    for debit in debits:
        tx.run(
            "UPDATE counter SET used = used - 1, locked_until = 0 WHERE key = ? AND used > 0",
            debit.key,
        )


def _sweep(tx: Transaction) -> Swept:
    before = tx.now - GRACE_SECONDS

    def remove(table: str) -> int:
        return tx.run(
            f"""DELETE FROM {table} WHERE rowid IN
            (SELECT rowid FROM {table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",  # noqa: S608
            before,
            SWEEP_ROWS,
        )

    # The receipt learns it with the removal: a clock set back must not call new what is no more.
    tx.run(
        """UPDATE receipt SET state = 'expired', ended_at = secret_expires_at WHERE state = 'new' AND number IN
        (SELECT number FROM secret WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",
        before,
        SWEEP_ROWS,
    )
    secrets = remove("secret")
    # Only when no expired content is left: a receipt outlives its secret, whatever the order of expiries.
    receipts = 0 if secrets == SWEEP_ROWS else remove("receipt")
    others = [remove(table) for table in ("answer", "counter", "daily_key", "token", "session")]
    tx.run("DELETE FROM writer WHERE at < ?", tx.now - 86_400)
    return Swept(
        secrets=secrets,
        receipts=receipts,
        others=sum(others),
        more=SWEEP_ROWS in {secrets, receipts, *others},
    )


def _secret(
    secret_id: bytes, facts: Sequence[Any], head: bytes, body: bytes, now: int
) -> StoredSecret:
    kind, has_passphrase, created_at, expires_at = facts
    return StoredSecret(
        secret_id=secret_id,
        kind=Kind(kind),
        has_passphrase=bool(has_passphrase),
        created_at=created_at,
        expires_at=expires_at,
        head=head,
        body=body,
        now=now,
    )


def _receipt(row: Sequence[Any], now: int) -> StoredReceipt:
    (
        receipt_id,
        secret_id,
        kind,
        stored_state,
        has_passphrase,
        created_at,
        secret_expires_at,
        expires_at,
        ended_at,
        acknowledged,
        wrong_tries,
        wrapped,
        listing,
    ) = row
    state = State(stored_state)
    if state is State.NEW and secret_expires_at <= now:
        state, ended_at = State.EXPIRED, secret_expires_at
    return StoredReceipt(
        receipt_id=receipt_id,
        secret_id=secret_id,
        kind=Kind(kind),
        state=state,
        has_passphrase=bool(has_passphrase),
        created_at=created_at,
        secret_expires_at=secret_expires_at,
        expires_at=expires_at,
        ended_at=ended_at,
        acknowledged=bool(acknowledged),
        wrong_tries=wrong_tries,
        wrapped=wrapped,
        listing=listing,
        now=now,
    )


def _session(row: Sequence[Any]) -> Session:
    session_id, account, created_at, expires_at, data = row
    return Session(
        session_id=session_id,
        account=account,
        data=data,
        created_at=created_at,
        expires_at=expires_at,
    )


def _bring_up_to_date(db: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Make the schema or migrate it, in one transaction; several processes may start at once."""
    newest = len(migrations) + 1
    db.execute("BEGIN IMMEDIATE")
    try:
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not tables:
            _script(db, SCHEMA)
            db.execute("INSERT INTO vault VALUES (1, ?, NULL)", (newest,))
        (version,) = db.execute("SELECT schema_version FROM vault").fetchone()
        if version > newest:
            raise Misconfigured(  # noqa: TRY301 - the transaction is rolled back below
                f"The vault was written by a newer version (schema {version}, this program knows {newest})"
            )
        for statements in migrations[version - 1 :]:
            _script(db, statements)
        db.execute("UPDATE vault SET schema_version = ?", (newest,))
    except BaseException:
        _roll_back(db)
        raise
    db.execute("COMMIT")


def _script(db: sqlite3.Connection, statements: str) -> None:
    """Connection.executescript would commit first."""
    pending = ""
    for line in statements.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            db.execute(pending)
            pending = ""


def _roll_back(db: sqlite3.Connection) -> None:
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        # The connection is beyond use; the next one starts from what is committed.
        pass


def _is(error: BaseException, code: int) -> bool:
    """Errors that Python's own module raises carry no code."""
    found = getattr(error, "sqlite_errorcode", None)
    return found is not None and found & 0xFF == code


def _meaning(error: Exception) -> Exception:
    """What the caller is told."""
    if _is(error, sqlite3.SQLITE_FULL):
        return Full()
    if isinstance(error, sqlite3.Error):
        return Unavailable(f"The store failed: {error}")
    return error
