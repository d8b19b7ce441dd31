"""The vault in PostgreSQL: the same promise, for any number of processes on any number of machines.

The verbs are functions in the database (the folder `sql`). A batch of operations is one transaction, and what it says is one call: the steps go
there as an array and are done in the order they came, after everything that they name was locked in sorted order. Looks go
another way, on a connection of their own, and share calls likewise.

What the promise rests on is said where it is done: `sql.steps` (one caller), `primary.SESSION` (what a session is told), and
`_together` below (what a commit without an answer means).
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

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
    Refusal,
    Refused,
    Session,
    Stored,
    StoredReceipt,
    StoredSecret,
    Swept,
    Tries,
)
from onetime.storage.vault import sql, steps
from onetime.storage.vault.envelope import SLEPT_SECONDS
from onetime.storage.vault.eraser import KEY_BYTES, MORE_BYTES, NONCE_BYTES
from onetime.storage.vault.primary import LOST, Connect, Primary, bounded
from onetime.storage.vault.transaction import STATES

if TYPE_CHECKING:
    from asyncpg.protocol import Record

R = TypeVar("R")

APPLY = "SELECT * FROM onetime.apply($1, $2, $3, $4, $5, $6)"
READ = "SELECT * FROM onetime.read($1)"
WRITTEN = "SELECT onetime.written($1)"

# Seconds from a call to "Unavailable", while the store is away. A batch of many bytes gets more.
PATIENCE_SECONDS = 1.8
# Where nobody listens, nobody is waited for as long.
REFUSED_SECONDS = 1.0
# At the start, for the first connection, and for the schema, which another process may be busy with.
CONNECT_SECONDS = 10.0
MIGRATE_SECONDS = 60.0
BYTES_A_SECOND = 10_000_000
# Seconds to find out whether a commit has happened, before everybody in its batch is told that nobody knows.
PROOF_SECONDS = 5.0
PAUSE_SECONDS = 0.03

# Each locks what it names; PostgreSQL keeps 64 locks for each connection that it allows.
MOST_OPERATIONS = 256

# A scrub rewrites a table while it is no larger than this, in bytes: nobody can use it meanwhile. Of larger ones the space is
# freed, and overwritten when it is used again. The keys come first, for without them the rest is noise.
REWRITE = {
    "eraser": 64 << 20,
    "envelope": 8 << 20,
    "answer": 8 << 20,
    "token": 8 << 20,
    "session": 8 << 20,
    "counter": 8 << 20,
    "daily_key": 8 << 20,
    "writer": 8 << 20,
    "receipt": 8 << 20,
    "secret": 8 << 20,
}
SCRUB_LOCK = sql.MIGRATION_LOCK + 1

SERVER = """SELECT current_setting('full_page_writes') = 'on' AS whole_pages, current_setting('archive_mode') <> 'off' AS archives,
current_setting('wal_recycle') = 'on' AS recycles"""
# How many tables this role may not rewrite. There is a right for it since PostgreSQL 17; before, only their owner could.
NOT_OURS = """SELECT count(*) FROM pg_class WHERE relnamespace = 'onetime'::regnamespace AND relkind = 'r'
AND NOT pg_has_role(relowner, 'USAGE')"""
NOT_MAINTAINED = f"{NOT_OURS} AND NOT has_table_privilege(oid, 'MAINTAIN')"
MAINTAIN_SINCE = 17

TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
)


class Answer(Struct, gc=False):
    """What the store said of one step: its rows of numbers, words and blobs, as of the instant `now`."""

    now: int
    rows: list[Record]

    @property
    def numbers(self) -> Any:
        return self.rows[0]["numbers"]

    @property
    def word(self) -> str:
        """The first; empty if there is none."""
        words = self.rows[0]["words"]
        return words[0] if words else ""

    @property
    def blobs(self) -> Any:
        return self.rows[0]["blobs"]


class Step(Generic[R]):
    """An operation on its way to the store: a verb of doors.sql, its arrays, and what its answer means to the caller."""

    __slots__ = ("arrived_at", "begun", "blobs", "names", "numbers", "read", "verb", "words")

    def __init__(
        self,
        verb: str,
        read: Callable[[Answer], R],
        *,
        names: Sequence[bytes] = (),
        numbers: Sequence[int | None] = (),
        words: Sequence[str] = (),
        blobs: Sequence[bytes | None] = (),
    ) -> None:
        self.verb = verb
        self.read = read
        self.names = names
        self.numbers = numbers
        self.words = words
        self.blobs = blobs
        self.arrived_at = 0.0
        self.begun = False

    def __call__(self, answer: Answer) -> R:
        return self.read(answer)

    @property
    def record(self) -> tuple[Any, ...]:
        return (self.verb, self.numbers, self.words, self.blobs)


class _UnknownOutcome(Exception):
    """COMMIT was sent, and nobody can say whether it took effect."""


class PostgresVault:
    """`VaultStore` in a PostgreSQL database, for any number of processes on any number of machines."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float],
        max_bytes: int,
        connect: Connect,
        proof_seconds: float,
        patience: float,
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._proof_seconds = proof_seconds
        self._patience = patience
        self._name = os.urandom(16)
        self._writer = Primary(url, connect=connect)
        self._reader = Primary(url, connect=connect)
        self._keeper = Primary(url, connect=connect)  # scrubs
        self._commits = GroupCommit[Answer](self._commit, most_operations=MOST_OPERATIONS)
        self._looks = GroupCommit[Answer](self._look_up, most_operations=MOST_OPERATIONS)
        # Seconds that the store's clock is ahead of this process's.
        self._offset = 0.0
        # When this process last committed anything, by the store's clock.
        self._awake_at = 0
        # Whether something may be left of what was removed; at the start nobody knows what a crash left.
        self._removed = True
        self._scrubbing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        max_bytes: int = 1 << 62,
        connect: Connect = asyncpg.connect,
        proof_seconds: float = PROOF_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> PostgresVault:
        """Connect, and bring the schema up to date. `clock` is the process's; what counts is the store's.

        Raises:
            Misconfigured: the server is not safe to use or refuses us, or the schema is a newer version's.
            Unavailable: it cannot be reached.
        """
        store = cls(
            url,
            clock=clock,
            max_bytes=max_bytes,
            connect=connect,
            proof_seconds=proof_seconds,
            patience=patience,
        )
        try:
            await prepare(url, connect=connect)
            # Its row in `writer` is there before anything has to be proved by it.
            await store.ready()
        except OnetimeError:
            await store.close()
            raise
        return store

    def now(self) -> int:
        return int(self._clock() + self._offset)

    def skew(self) -> float:
        return -self._offset

    # Keys

    async def adopt(self, keys: Sequence[KeyName]) -> None:
        def read(answer: Answer) -> None:
            match answer.word:
                case "other":
                    raise Misconfigured(
                        "ONETIME_ROOT_KEY (or root.key) is not the key this data was written with; "
                        "restore it, or list it in ONETIME_OLD_ROOT_KEYS"
                    )
                case "lacking":
                    raise Misconfigured(
                        "ONETIME_OLD_ROOT_KEYS lacks a key that living secrets were sealed with"
                    )

        await self._submit(
            Step(
                "adopt",
                read,
                numbers=[key.number for key in keys],
                blobs=[key.verifier for key in keys],
            )
        )

    async def key_uses(self) -> list[KeyUse]:
        def read(answer: Answer) -> list[KeyUse]:
            rows = (row["numbers"] for row in answer.rows)
            return [KeyUse(number=number, needed_until=until) for number, until in rows]

        return await self._look(Step("key_uses", read))

    # Secrets and receipts

    async def put(self, secret: NewSecret, *, answer: NewAnswer | None = None) -> Stored:
        if secret.secret_id[:4] != secret.receipt_id[:4]:
            raise ValueError("a secret and its receipt begin with the same shard tag")
        key, body = _lock(secret.body)

        def read(said: Answer) -> Stored:
            match said.word:
                case "stored":
                    return Stored()
                case "earlier":
                    return Stored(earlier=said.blobs[0])
                case "full":
                    raise Full
                case "known" if _unlock(*said.blobs) == secret.body:
                    is_envelope = secret.open_hash is not None
                    return Stored(created_at=said.numbers[0] if is_envelope else None)
            raise Conflict("There is, or was, something else under this id")

        return await self._submit(
            Step(
                "put",
                read,
                names=[secret.secret_id] + ([answer.answer_id] if answer else []),
                numbers=[
                    secret.has_passphrase,
                    secret.created_at,
                    secret.expires_at,
                    secret.receipt_expires_at,
                    secret.key_number,
                    answer.expires_at if answer else None,
                ],
                words=[secret.kind.value],
                blobs=[
                    secret.secret_id,
                    secret.receipt_id,
                    secret.head,
                    key,
                    body,
                    secret.wrapped,
                    secret.open_hash,
                    secret.owner,
                    secret.listing_id,
                    secret.listing,
                    answer.answer_id if answer else None,
                    answer.sealed if answer else None,
                ],
            ),
            size=len(secret.body),
        )

    async def peek(self, secret_id: bytes) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            if not answer.rows:
                return None
            (head,) = answer.blobs
            facts = (answer.word, *answer.numbers)
            return steps.secret(secret_id, facts, head, b"", answer.now)

        return await self._look(Step("peek", read, blobs=[secret_id]))

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            if answer.blobs is None:
                return None
            head, key, body = answer.blobs
            facts = (answer.word, *answer.numbers)
            self._removed = True
            return steps.secret(secret_id, facts, head, _unlock(key, body), answer.now)

        keys = [debit.key for debit in refund]
        return await self._submit(
            Step(
                "take",
                read,
                names=[secret_id, *keys],
                numbers=[bool(refund)],
                blobs=[secret_id, proof, *keys],
            )
        )

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        def read(answer: Answer) -> bool:
            self._removed = True
            return answer.word == "burned"

        keys = [debit.key for debit in refund]
        return await self._submit(
            Step(
                "burn",
                read,
                names=[secret_id, *keys],
                numbers=[bool(refund)],
                blobs=[secret_id, *keys],
            )
        )

    async def show_once(self, receipt_id: bytes, *, within: int) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            if answer.blobs is None:
                return None
            head, key, body, secret_id = answer.blobs
            facts = (answer.word, *answer.numbers)
            return steps.secret(secret_id, facts, head, _unlock(key, body), answer.now)

        return await self._submit(
            Step("show_once", read, names=[receipt_id], numbers=[within], blobs=[receipt_id])
        )

    async def receipt(self, receipt_id: bytes) -> StoredReceipt | None:
        def read(answer: Answer) -> StoredReceipt | None:
            return _receipt(answer.rows[0], answer.now) if answer.rows else None

        await self._stay_awake()
        return await self._look(Step("receipt", read, blobs=[receipt_id]))

    async def receipts_of(
        self, owner: bytes, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        def read(answer: Answer) -> list[StoredReceipt]:
            return [_receipt(row, answer.now) for row in answer.rows]

        await self._stay_awake()
        numbers = [(1 << 62) if before is None else before, limit]
        return await self._look(Step("receipts_of", read, numbers=numbers, blobs=[owner]))

    # End-to-end secrets

    async def look(self, secret_id: bytes) -> Looked | None:
        def read(answer: Answer) -> Looked | None:
            if not answer.rows:
                return None
            has_passphrase, size, created_at, expires_at, window_ends_at, tries, locked_until = (
                answer.numbers
            )
            return Looked(
                state=STATES[answer.word],
                has_passphrase=bool(has_passphrase),
                size_bytes=size - MORE_BYTES,
                created_at=created_at,
                secret_expires_at=expires_at,
                window_ends_at=window_ends_at,
                wrong_tries=tries,
                locked_until=locked_until if locked_until > answer.now else None,
                now=answer.now,
            )

        await self._stay_awake()
        return await self._look(Step("look", read, blobs=[secret_id]))

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def read(answer: Answer) -> Handed | Refused | None:
            match answer.word:
                case "":
                    return None
                case "handed":
                    self._removed |= not window
                    body = _unlock(*answer.blobs)
                    return Handed(body=body, window_ends_at=answer.numbers[0], now=answer.now)
            return _refused(answer, tries)

        return await self._submit(
            Step(
                "claim",
                read,
                names=[secret_id],
                numbers=[window, tries.free, tries.lock, tries.longest_lock, tries.total],
                blobs=[secret_id, open_hash, claim_hash],
            )
        )

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def read(answer: Answer) -> Settled | None:
            if answer.numbers is None:
                return None
            self._removed = True
            return Settled(acknowledged_at=answer.numbers[0], now=answer.now)

        return await self._submit(
            Step("settle", read, names=[secret_id], blobs=[secret_id, claim_hash])
        )

    async def burn_proved(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, tries: Tries
    ) -> bool | Refused:
        def read(answer: Answer) -> bool | Refused:
            self._removed = True
            match answer.word:
                case "":
                    return False
                case "burned":
                    return True
            return _refused(answer, tries)

        return await self._submit(
            Step(
                "burn_proved",
                read,
                names=[secret_id],
                numbers=[tries.free, tries.lock, tries.longest_lock, tries.total],
                blobs=[secret_id, open_hash, claim_hash],
            )
        )

    # Attempts and rate counters

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        def read(answer: Answer) -> Debited | None:
            return None if answer.numbers is None else _debited(answer)

        keys = [debit.key for debit in debits]
        return await self._submit(
            Step(
                "spend",
                read,
                names=[secret_id, *keys],
                numbers=[total, *_budgets(debits)],
                blobs=[secret_id, *keys],
            )
        )

    async def refund(self, secret_id: bytes, debits: Sequence[Debit]) -> None:
        keys = [debit.key for debit in debits]
        await self._submit(
            Step("refund", _nothing, names=[secret_id, *keys], blobs=[secret_id, *keys])
        )

    async def count(self, debit: Debit) -> Debited:
        return await self._submit(
            Step("count", _debited, names=[debit.key], numbers=_budgets([debit]), blobs=[debit.key])
        )

    async def daily_key(self, day: int, candidate: bytes, *, expires_at: int) -> bytes:
        def read(answer: Answer) -> bytes:
            key: bytes = answer.blobs[0]
            return key

        return await self._submit(
            Step("daily_key", read, numbers=[day, expires_at], blobs=[candidate])
        )

    # What is used once, and sessions

    async def put_token(
        self, token_id: bytes, *, purpose: str, body: bytes, expires_at: int
    ) -> None:
        def read(answer: Answer) -> None:
            if not answer.numbers[0]:
                raise Conflict("There is such a token")

        await self._submit(
            Step(
                "put_token",
                read,
                names=[token_id],
                numbers=[expires_at],
                words=[purpose],
                blobs=[token_id, body],
            ),
            size=len(body),
        )

    async def take_token(self, token_id: bytes, *, purpose: str) -> bytes | None:
        def read(answer: Answer) -> bytes | None:
            self._removed = True
            return answer.blobs[0] if answer.blobs else None

        return await self._submit(
            Step("take_token", read, names=[token_id], words=[purpose], blobs=[token_id])
        )

    async def put_session(self, session: Session) -> None:
        def read(answer: Answer) -> None:
            if not answer.numbers[0]:
                raise Conflict("There is such a session")

        await self._submit(
            Step(
                "put_session",
                read,
                names=[session.session_id],
                numbers=[session.created_at, session.expires_at],
                blobs=[session.session_id, session.account, session.data],
            ),
            size=len(session.data),
        )

    async def session(self, session_id: bytes) -> Session | None:
        def read(answer: Answer) -> Session | None:
            return _session(answer.rows[0]) if answer.rows else None

        return await self._look(Step("session", read, blobs=[session_id]))

    async def sessions_of(self, account: bytes) -> list[Session]:
        def read(answer: Answer) -> list[Session]:
            return [_session(row) for row in answer.rows]

        return await self._look(Step("sessions_of", read, blobs=[account]))

    async def extend_session(self, session_id: bytes, *, expires_at: int) -> bool:
        return await self._submit(
            Step(
                "extend_session",
                _has_changed,
                names=[session_id],
                numbers=[expires_at],
                blobs=[session_id],
            )
        )

    async def end_session(self, session_id: bytes) -> bool:
        self._removed = True
        return await self._submit(
            Step("end_session", _has_changed, names=[session_id], blobs=[session_id])
        )

    async def end_sessions_of(self, account: bytes, *, but: bytes | None = None) -> int:
        def read(answer: Answer) -> int:
            number: int = answer.numbers[0]
            return number

        self._removed = True
        return await self._submit(
            Step("end_sessions_of", read, names=[account], blobs=[account, but])
        )

    # Upkeep

    async def sweep(self) -> Swept:
        def read(answer: Answer) -> Swept:
            secrets, receipts, others, more = answer.numbers
            self._removed |= bool(secrets or receipts or others)
            return Swept(secrets=secrets, receipts=receipts, others=others, more=bool(more))

        return await self._submit(Step("sweep", read))

    async def scrub(self) -> None:
        """Rewrite tables, so that none of their files holds what was removed. One process at a time.

        PostgreSQL's own log of writes is beyond its reach; docs/storage.md says what stays there, and how long.
        """
        if not self._removed:
            return
        async with self._scrubbing:
            self._removed = False
            try:
                await self._scrub(await bounded(self._keeper.connection(), _in(self._patience)))
            except asyncpg.LockNotAvailableError:
                self._removed = True  # callers come first; the next scrub tries again
            except BaseException as error:
                self._removed = True
                self._keeper.give_up()
                if isinstance(error, (*LOST, asyncpg.PostgresError)):
                    raise Unavailable(f"The store cannot be scrubbed: {_why(error)}") from None
                raise

    @staticmethod
    async def _scrub(db: asyncpg.Connection) -> None:
        if not await db.fetchval("SELECT pg_try_advisory_lock($1)", SCRUB_LOCK):
            raise asyncpg.LockNotAvailableError
        try:
            await db.execute("SET statement_timeout = '10min'; SET lock_timeout = '200ms'")
            for table, most_bytes in REWRITE.items():
                name = f"{sql.SCHEMA}.{table}"
                size = await db.fetchval("SELECT pg_total_relation_size($1::regclass)", name)
                await db.execute(f"VACUUM {'(FULL)' if size <= most_bytes else ''} {name}")
        finally:
            await db.fetchval("SELECT pg_advisory_unlock($1)", SCRUB_LOCK)

    async def doubts(self) -> list[str]:
        """What of the promise this server or role cannot keep, a sentence each; docs/storage.md has the rest."""
        try:
            db = await bounded(self._keeper.connection(), _in(self._patience))
            found = await bounded(db.fetchrow(SERVER), _in(self._patience))
            version = db.get_server_version()[0]
            tables = await bounded(
                db.fetchval(NOT_OURS if version < MAINTAIN_SINCE else NOT_MAINTAINED),
                _in(self._patience),
            )
        except (*LOST, asyncpg.PostgresError) as error:
            self._keeper.give_up()
            raise Unavailable(_why(error)) from None
        doubts = {
            "full_page_writes is off: after a power cut pages may be torn": not found[
                "whole_pages"
            ],
            "archive_mode is on: the archive keeps what was read, as long as you keep it": found[
                "archives"
            ],
            "wal_recycle is on: old files of the log keep the keys of what was read until they are overwritten": found[
                "recycles"
            ],
            "this role may not VACUUM: tables keep what was read until their space is used again": bool(
                tables
            ),
        }
        return [doubt for doubt, is_so in doubts.items() if is_so]

    async def ready(self) -> None:
        await self._submit(Step("ready", _nothing))

    async def close(self) -> None:
        await self._commits.close()
        await self._looks.close()
        for each in (self._writer, self._reader, self._keeper):
            await each.close()

    # Machinery

    async def _submit(self, step: Step[R], *, size: int = 0) -> R:
        return await self._wait(self._commits, step, size)

    async def _look(self, step: Step[R]) -> R:
        return await self._wait(self._looks, step, 0)

    async def _wait(self, group: GroupCommit[Answer], step: Step[R], size: int) -> R:
        """The answer. Withdrawn, and Unavailable, if it has waited in vain for its batch to begin."""
        loop = asyncio.get_running_loop()
        step.arrived_at = loop.time()
        caller = asyncio.current_task()
        withdrawn = False

        def withdraw() -> None:
            nonlocal withdrawn
            if caller is not None and not step.begun:
                withdrawn = caller.cancel()

        timer = loop.call_at(step.arrived_at + self._patience, withdraw)
        try:
            return await group.submit(step, size=size)
        except asyncio.CancelledError:
            if withdrawn and caller is not None and caller.uncancel() == 0:
                raise Unavailable from None
            raise
        finally:
            timer.cancel()

    async def _stay_awake(self) -> None:
        """Before a question about windows: after a silence, those that were slept through are given first."""
        if self.now() - self._awake_at > SLEPT_SECONDS:
            await self.ready()

    async def _look_up(self, operations: Sequence[Operation[Answer, Any]]) -> Sequence[Any]:
        batch = _begin(operations)
        begun_at = _in(0)
        deadline = self._deadline(batch)
        records = [step.record for step in batch]
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    db = await _connected(self._reader)
                    asked_at = self._clock()
                    rows = await db.fetch(READ, records)
                self._learn(rows, asked_at)
                return _results(batch, rows)
            except asyncpg.DataError as error:
                return [error] * len(batch)
            except LOST as error:
                self._reader.give_up()
                deadline = _sooner(deadline, error, begun_at)
                if not await _may_try_again(deadline):
                    return [Unavailable(_why(error))] * len(batch)
            except (OnetimeError, asyncpg.PostgresError) as error:
                return [_meaning(error)] * len(batch)

    def _deadline(self, batch: Sequence[Step[Any]]) -> float:
        """Until when the first of the batch waits; the last moment to begin it has not passed."""
        size = sum(len(blob) for step in batch for blob in step.blobs if blob)
        first = min(step.arrived_at for step in batch)
        return max(first + self._patience + size / BYTES_A_SECOND, _in(0.1))

    async def _commit(self, operations: Sequence[Operation[Answer, Any]]) -> Sequence[Any]:
        return await self._apply(_begin(operations))

    async def _apply(self, batch: Sequence[Step[Any]]) -> list[Any]:
        """One transaction for all; after an error of the store that is not about the connection, one for each."""
        try:
            return await self._together(batch)
        except _UnknownOutcome:
            return [Unavailable("It is not known whether that has happened")] * len(batch)
        except Exception as error:  # noqa: BLE001 - an operation's bug must not fail its neighbours
            if len(batch) == 1 or isinstance(error, Unavailable):
                return [_meaning(error)] * len(batch)
            return [(await self._apply([step]))[0] for step in batch]

    async def _together(self, batch: Sequence[Step[Any]]) -> list[Any]:
        begun_at = _in(0)
        deadline = self._deadline(batch)
        token = os.urandom(16)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    db = await _connected(self._writer)
                    await db.execute("BEGIN")
                    results, now = await self._say(db, token, batch)
            except TRANSIENT as error:
                await self._writer.roll_back(_in(self._patience / 2))
                if not await _may_try_again(deadline):
                    raise Unavailable(_why(error)) from None
                continue
            except asyncpg.DataError:
                # A value that cannot be sent: a kind of InterfaceError, and nothing is lost.
                await self._writer.roll_back(_in(self._patience / 2))
                raise
            except LOST as error:
                # COMMIT was not sent: nothing of it has happened.
                self._writer.give_up()
                deadline = _sooner(deadline, error, begun_at)
                if not await _may_try_again(deadline):
                    raise Unavailable(_why(error)) from None
                continue
            except BaseException:
                await self._writer.roll_back(_in(self._patience / 2))
                raise
            if await self._has_committed(db, token, deadline):
                self._awake_at = now
                return results
            if not await _may_try_again(deadline):
                raise Unavailable

    async def _say(
        self, db: asyncpg.Connection, token: bytes, batch: Sequence[Step[Any]]
    ) -> tuple[list[Any], int]:
        asked_at = self._clock()
        rows = await db.fetch(
            APPLY,
            self._name,
            token,
            self._locks(batch),
            self._awake_at,
            self._max_bytes,
            [step.record for step in batch],
        )
        now = self._learn(rows, asked_at)
        # Before COMMIT: what is damaged stays.
        return _results(batch, rows), now

    @staticmethod
    def _locks(batch: Sequence[Step[Any]]) -> list[int]:
        """A number for each thing that the steps name, in the one order in which everybody locks."""
        return sorted({zlib.crc32(name) for step in batch for name in step.names})

    async def _has_committed(self, db: asyncpg.Connection, token: bytes, deadline: float) -> bool:
        """COMMIT, and whether it took effect.

        Raises:
            _UnknownOutcome: nobody can say.
        """
        try:
            said = await bounded(db.execute("COMMIT"), max(deadline, _in(self._patience / 2)))
        except Exception:  # noqa: BLE001 - whatever it was, there was no answer
            self._writer.give_up()
            return await self._has_happened(token)
        return bool(said == "COMMIT")

    async def _has_happened(self, token: bytes) -> bool:
        """Whether the commit that wrote `token` took effect, asked on a new connection, after the old one's process has ended.

        Raises:
            _UnknownOutcome: that cannot be found out in time.
        """
        deadline = _in(self._proof_seconds)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    db = await _connected(self._writer)
                    return bool(await db.fetchval(WRITTEN, self._name) == token)
            except (*LOST, OnetimeError, asyncpg.PostgresError):
                self._writer.give_up()
                if not await _may_try_again(deadline):
                    raise _UnknownOutcome from None

    def _learn(self, rows: Sequence[Record], asked_at: float) -> int:
        """The store's time in `rows`; how far the process's clock is from it."""
        instant: int = rows[0]["numbers"][0]
        # Somewhere between question and answer; what was known before stays, if it fits. A millisecond is for the rounding.
        earliest = instant / 1e6 - self._clock() - 0.001
        latest = instant / 1e6 - asked_at + 0.001
        self._offset = min(max(self._offset, earliest), latest)
        return instant // 1_000_000


async def prepare(url: str, *, connect: Connect = asyncpg.connect) -> None:
    """Make the schema, or bring an older one up to date.

    Raises:
        Misconfigured: the server is not safe to use or refuses us, or the schema is a newer version's.
        Unavailable: it cannot be reached.
    """
    primary = Primary(url, connect=connect)
    try:
        db = await bounded(primary.connection(), _in(CONNECT_SECONDS))
        await bounded(sql.bring_up_to_date(db), _in(MIGRATE_SECONDS))
    except (*LOST, asyncpg.PostgresError, ValueError) as error:
        raise _refusal(error) from None
    finally:
        await primary.close()


async def inspect(url: str, *, connect: Connect = asyncpg.connect) -> list[KeyUse]:
    """Whether a service with this URL could serve, and what its living secrets need. Changes nothing.

    Raises:
        Misconfigured: it could not.
    """
    primary = Primary(url, connect=connect)
    try:
        db = await bounded(primary.connection(), _in(CONNECT_SECONDS))
        await sql.look(db)
        rows = await db.fetch(READ, [("key_uses", [], [], [])])
    except (*LOST, asyncpg.PostgresError, ValueError) as error:
        raise _refusal(error) from None
    finally:
        await primary.close()
    return [KeyUse(number=row["numbers"][0], needed_until=row["numbers"][1]) for row in rows[1:]]


async def _connected(primary: Primary) -> asyncpg.Connection:
    """While it serves: what the start would refuse is a store that is away."""
    try:
        return await primary.connection()
    except LOST:
        raise
    except (Misconfigured, asyncpg.PostgresError) as error:
        raise Unavailable(_why(error)) from None


def _refusal(error: Exception) -> Misconfigured | Unavailable:
    """Why there is no start. A server that is away may come back, so to try again later is right."""
    line = f"ONETIME_VAULT_URL: {_why(error)}"
    is_away = isinstance(error, LOST) and not isinstance(error, asyncpg.ClientConfigurationError)
    return Unavailable(line) if is_away else Misconfigured(line)


def _begin(operations: Sequence[Operation[Answer, Any]]) -> list[Step[Any]]:
    batch: list[Any] = list(operations)
    for step in batch:
        step.begun = True
    return batch


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _sooner(deadline: float, error: BaseException, begun_at: float) -> float:
    is_refused = isinstance(error, ConnectionRefusedError)
    return min(deadline, begun_at + REFUSED_SECONDS) if is_refused else deadline


async def _may_try_again(deadline: float) -> bool:
    await asyncio.sleep(PAUSE_SECONDS)
    return asyncio.get_running_loop().time() < deadline


def _results(batch: Sequence[Step[Any]], rows: Sequence[Record]) -> list[Any]:
    now = rows[0]["numbers"][0] // 1_000_000
    answers: list[Answer] = [Answer(now, []) for _ in batch]
    for row in rows[1:]:
        answers[row["place"] - 1].rows.append(row)
    results: list[Any] = []
    for step, answer in zip(batch, answers, strict=True):
        try:
            results.append(step.read(answer))
        except OnetimeError as refusal:
            results.append(refusal)
    return results


def _lock(body: bytes) -> tuple[bytes, bytes]:
    """A new key, and the body locked under it: nonce | ciphertext and tag."""
    key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
    return key, nonce + AESGCM(key).encrypt(nonce, body, None)


def _unlock(key: bytes, locked: bytes) -> bytes:
    return AESGCM(key).decrypt(locked[:NONCE_BYTES], memoryview(locked)[NONCE_BYTES:], None)


def _budgets(debits: Sequence[Debit]) -> list[int]:
    return [
        number
        for debit in debits
        for number in (debit.budget.limit, debit.budget.window, debit.budget.lock)
    ]


def _debited(answer: Answer) -> Debited:
    left, refused, retry_after = answer.numbers
    return Debited(left=left, refused=refused, retry_after=retry_after)


def _refused(answer: Answer, tries: Tries) -> Refused:
    why = Refusal(answer.word)
    if why is Refusal.WRONG:
        wrong_tries, lock = answer.numbers
        return Refused(why=why, left=0 if lock else tries.left(wrong_tries))
    if why is Refusal.LOCKED:
        return Refused(why=why, retry_after=answer.numbers[0])
    return Refused(why=why)


def _receipt(row: Record, now: int) -> StoredReceipt:
    (
        has_passphrase,
        created_at,
        secret_expires_at,
        expires_at,
        ended_at,
        acknowledged,
        wrong_tries,
        acknowledged_at,
        window_ends_at,
    ) = row["numbers"]
    receipt_id, secret_id, wrapped, listing = row["blobs"]
    return steps.receipt(
        (
            receipt_id,
            secret_id,
            *row["words"],
            has_passphrase,
            created_at,
            secret_expires_at,
            expires_at,
            ended_at,
            acknowledged,
            wrong_tries,
            wrapped,
            listing,
            acknowledged_at,
            window_ends_at,
        ),
        now,
    )


def _session(row: Record) -> Session:
    session_id, account, data = row["blobs"]
    return steps.session((session_id, account, *row["numbers"], data))


def _has_changed(answer: Answer) -> bool:
    return bool(answer.numbers[0])


def _nothing(_answer: Answer) -> None:
    pass


def _why(error: BaseException) -> str:
    """A few words for the log and the operator, which never hold the URL."""
    if isinstance(error, Misconfigured):
        return f"{error}"
    if isinstance(error, TimeoutError):
        return "PostgreSQL did not answer in time"
    if isinstance(error, asyncpg.PostgresError):
        return f"PostgreSQL: {error}".splitlines()[0]
    if isinstance(error, OSError):
        return f"PostgreSQL cannot be reached ({error.strerror or error})"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "no server there is a primary, and a replica may not know yet what was read"
    if isinstance(error, asyncpg.ClientConfigurationError):
        return f"{error}".splitlines()[0]
    return f"the connection to PostgreSQL was lost ({type(error).__name__})"


def _meaning(error: Exception) -> Exception:
    """What the caller is told."""
    if isinstance(error, asyncpg.DiskFullError):
        return Full()
    if isinstance(error, (asyncpg.PostgresError, *LOST)):
        return Unavailable(f"The store failed: {_why(error)}")
    if isinstance(error, InvalidTag):
        return Undecryptable("What is stored of the secret was damaged")
    return error
