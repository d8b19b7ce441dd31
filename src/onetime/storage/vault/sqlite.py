"""The vault in one SQLite file (default): one writer thread that commits batches, and a connection that reads.

On the writer thread: BEGIN IMMEDIATE, the operations of a batch (`steps`), COMMIT. Reads run on a connection of their own,
on the event loop: a look-up takes less time than a change of threads, and in WAL mode no writer blocks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.exceptions import InvalidTag

from onetime.errors import Conflict, Full, Misconfigured, OnetimeError, Unavailable, Undecryptable
from onetime.model import Handed, Settled
from onetime.storage.batch import GroupCommit, Operation
from onetime.storage.port import (
    Debit,
    Debited,
    KeyName,
    KeyUse,
    Looked,
    NewAnswer,
    NewSecret,
    Refused,
    Session,
    Stored,
    StoredReceipt,
    StoredSecret,
    Swept,
    Tries,
)
from onetime.storage.vault import envelope, eraser, steps
from onetime.storage.vault.eraser import Eraser
from onetime.storage.vault.reserve import Reserve
from onetime.storage.vault.schema import (
    BUSY_SECONDS,
    MIGRATIONS,
    OLDEST_SQLITE,
    bring_up_to_date,
    roll_back,
)
from onetime.storage.vault.transaction import KINDS, Transaction, shard

if TYPE_CHECKING:
    from pathlib import Path

R = TypeVar("R")
Connect = Callable[..., sqlite3.Connection]

SHRINK_PAGES = 256  # 1 MiB
# Keys overwritten in one transaction: callers' batches run in between.
ERASE_KEYS = 2000
# Seconds to find out whether a commit has happened, before everybody in its batch is told that nobody knows.
PROOF_SECONDS = 5.0


class _UnknownOutcome(Exception):
    """COMMIT was sent, and nobody can say whether it took effect."""


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
        self._eraser = Eraser()
        # What this process has written of the keys' last uses, so that not every batch writes it again.
        self._key_uses: dict[int, int] = {}
        # Numbers of secrets that are gone and whose keys are not overwritten yet.
        self._gone: deque[int] = deque()
        # When this process last committed anything, by the store's clock.
        self._awake_at = 0
        # Whether something may be left of what was removed; at the start nobody knows what a crash left.
        self._removed = True
        self._is_first_scrub = True

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

    def skew(self) -> float:
        return 0.0

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
            return steps.put(tx, secret, answer)

        return await self._submit(operation, size=len(secret.body))

    async def peek(self, secret_id: bytes) -> StoredSecret | None:
        now = self.now()
        for kind, has_passphrase, created_at, expires_at, head in self._read(
            steps.PEEK, shard(secret_id), secret_id, now
        ):
            return StoredSecret(
                secret_id=secret_id,
                kind=KINDS[kind],
                has_passphrase=bool(has_passphrase),
                created_at=created_at,
                expires_at=expires_at,
                head=head,
                body=b"",
                now=now,
            )
        return None

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            return steps.take(tx, secret_id, proof, refund)

        return await self._submit(operation)

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        def operation(tx: Transaction) -> bool:
            return steps.burn(tx, secret_id, refund)

        return await self._submit(operation)

    async def show_once(self, receipt_id: bytes, *, within: int) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            row = tx.one(
                """UPDATE receipt SET shown = 1 WHERE shard = ? AND receipt_id = ? AND state = 'new' AND shown = 0
                AND kind = 'generate' AND secret_expires_at > ? AND created_at > ?
                RETURNING number, secret_id, kind, has_passphrase, created_at, secret_expires_at""",
                shard(receipt_id),
                receipt_id,
                tx.now,
                tx.now - within,
            )
            if row is None:
                return None
            number, secret_id, *facts = row
            head, locked = tx.one("SELECT head, body FROM secret WHERE number = ?", number)
            body = tx.eraser.unlock(tx.db, number, locked)
            return steps.secret(secret_id, facts, head, body, tx.now)

        return await self._submit(operation)

    async def receipt(self, receipt_id: bytes) -> StoredReceipt | None:
        now = await self._awake()
        rows = self._read(steps.RECEIPT, receipt_id, now, shard(receipt_id))
        rows = rows or self._read(steps.LISTED, receipt_id, now)
        return steps.receipt(rows[0], now) if rows else None

    async def receipts_of(
        self, owner: bytes, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        now = await self._awake()
        rows = self._read(steps.OWNED, owner, (1 << 62) if before is None else before, now, limit)
        return [steps.receipt(row, now) for row in rows]

    # End-to-end secrets

    async def look(self, secret_id: bytes) -> Looked | None:
        now = await self._awake()
        rows = self._read(envelope.LOOK, shard(secret_id), secret_id)
        return envelope.look(rows[0], now) if rows else None

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def operation(tx: Transaction) -> Handed | Refused | None:
            return envelope.claim(tx, secret_id, open_hash, claim_hash, window, tries)

        return await self._submit(operation)

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def operation(tx: Transaction) -> Settled | None:
            return envelope.settle(tx, secret_id, claim_hash)

        return await self._submit(operation)

    async def burn_proved(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, tries: Tries
    ) -> bool | Refused:
        def operation(tx: Transaction) -> bool | Refused:
            return envelope.burn(tx, secret_id, open_hash, claim_hash, tries)

        return await self._submit(operation)

    # Attempts and rate counters

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        def operation(tx: Transaction) -> Debited | None:
            row = tx.one(
                """SELECT number, wrong_tries FROM receipt
                WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ?
                AND kind <> 'envelope'""",
                shard(secret_id),
                secret_id,
                tx.now,
            )
            if row is None:
                return None
            number, tries = row
            if tries >= total:
                return Debited(refused=-1)
            made = steps.debit(tx, debits)
            if made.refused is None:
                tx.run("UPDATE receipt SET wrong_tries = wrong_tries + 1 WHERE number = ?", number)
                return Debited(left=min(made.left, total - tries - 1))
            return made

        return await self._submit(operation)

    async def refund(self, secret_id: bytes, debits: Sequence[Debit]) -> None:
        def operation(tx: Transaction) -> None:
            tx.run(
                """UPDATE receipt SET wrong_tries = wrong_tries - 1
                WHERE shard = ? AND secret_id = ? AND wrong_tries > 0 AND kind <> 'envelope'""",
                shard(secret_id),
                secret_id,
            )
            steps.give_back(tx, debits)

        await self._submit(operation)

    async def count(self, debit: Debit) -> Debited:
        def operation(tx: Transaction) -> Debited:
            return steps.debit(tx, [debit])

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
            return steps.session(row)
        return None

    async def sessions_of(self, account: bytes) -> list[Session]:
        statement = "SELECT * FROM session WHERE account = ? AND expires_at > ? ORDER BY created_at"
        return [steps.session(row) for row in self._read(statement, account, self.now())]

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
        swept = await self._submit(steps.sweep)
        if swept.secrets or swept.receipts or swept.others:
            self._removed = True
        return swept

    async def scrub(self) -> None:
        if self._removed:
            self._removed = False
            # Before the rest: on a full disk it is the room that shrinking needs.
            await self._on_thread(self._cut_log)
            await self._erase()
            # In small steps: the batches of callers run in between.
            while await self._on_thread(self._shrink):
                pass
            await self._on_thread(self._cut_log)
        await self._on_thread(self._reserve.restore)

    async def _erase(self) -> None:
        """Overwrite the keys of what is gone; at the first time also those that a crash left."""
        if self._is_first_scrub:

            def find(tx: Transaction) -> list[int]:
                return eraser.blocks(tx.db)

            def leftovers(tx: Transaction, block: int) -> list[int]:
                return eraser.leftovers(tx.db, block)

            for block in await self._submit(find):
                self._gone += await self._submit(partial(leftovers, block=block))
            self._is_first_scrub = False
        while self._gone:
            numbers = [self._gone.popleft() for _ in range(min(len(self._gone), ERASE_KEYS))]

            def erase(tx: Transaction, numbers: list[int] = numbers) -> None:
                tx.eraser.erase(tx.db, numbers)

            try:
                await self._submit(erase)
            except BaseException:
                self._gone += numbers
                self._removed = True
                raise

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

    def _submit(self, operation: Operation[Transaction, R], *, size: int = 0) -> Awaitable[R]:
        return self._commits.submit(operation, size=size)

    async def _awake(self) -> int:
        """The clock, for a question about windows: after a silence, those that were slept through are given first."""
        if self.now() - self._awake_at > envelope.SLEPT_SECONDS:
            await self.ready()
        return self.now()

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
                bring_up_to_date(self._db, migrations)
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
            tx = Transaction(db, self.now(), room=partial(self._room, db), keys=self._eraser)
            if tx.now - self._awake_at > envelope.SLEPT_SECONDS:
                envelope.wake(tx)
            for operation in operations:
                try:
                    results.append(operation(tx))
                except OnetimeError as refusal:
                    results.append(refusal)
            for number, until in tx.key_uses.items():
                if until <= self._key_uses.get(number, 0):
                    continue
                tx.run(
                    """INSERT INTO root_key VALUES (?, ?) ON CONFLICT (number)
                    DO UPDATE SET needed_until = max(needed_until, excluded.needed_until)""",
                    number,
                    until,
                )
            tx.run("INSERT OR REPLACE INTO writer VALUES (?, ?, ?)", self._name, token, tx.now)
        except BaseException:
            roll_back(db)
            self._eraser.forget()
            raise
        try:
            db.execute("COMMIT")
        except Exception as error:  # sqlite3.Error; MemoryError is SQLite's SQLITE_NOMEM
            if _is(error, sqlite3.SQLITE_FULL):
                self._reserve.release()  # a new connection may need room
            # First, for the outcome may stay unknown: keys made in this transaction may not exist.
            self._eraser.forget()
            if not self._has_happened(token):
                raise
        for number, until in tx.key_uses.items():
            self._key_uses[number] = max(until, self._key_uses.get(number, 0))
        self._awake_at = tx.now
        if tx.removed:
            self._gone += tx.removed
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
                    roll_back(self._db)
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
    if isinstance(error, InvalidTag):
        return Undecryptable("What is stored of the secret was damaged")
    return error
