"""Adapters broken on purpose, one mistake each. `test_twins.py` shows that the contract finds every one of them.

A check that cannot fail proves nothing; these are the mistakes that it is there to find. Most were made by real products.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

from onetime.errors import OnetimeError, Unavailable
from onetime.model import Kind
from onetime.storage.batch import Operation
from onetime.storage.port import Debit, Debited, StoredSecret
from onetime.storage.vault.eraser import Eraser
from onetime.storage.vault.sqlite import SqliteVault
from onetime.storage.vault.steps import take
from onetime.storage.vault.transaction import Transaction

WHOLE = """SELECT number, kind, has_passphrase, created_at, secret_expires_at, head, body
FROM receipt JOIN secret USING (number) WHERE secret_id = ? AND state = 'new' AND secret_expires_at > ?"""

# Between the two steps of a twin: enough for another process to step in between.
PAUSE_SECONDS = 0.002


class PeekThenDelete(SqliteVault):
    """Reads, and then deletes: every caller that reads before the first deletes gets the secret."""

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        found = self._whole(secret_id)
        if found is not None:
            await super().take(secret_id, proof=proof, refund=refund)
        return found

    def _whole(self, secret_id: bytes) -> StoredSecret | None:
        now = self.now()
        for number, kind, has_passphrase, created_at, expires_at, head, locked in self._read(
            WHOLE, secret_id, now
        ):
            assert self._reader is not None
            body = self._eraser.unlock(self._reader, number, locked)
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
        return None


class RightInOneProcess(PeekThenDelete):
    """The same behind a lock, which the next process does not see."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lock = asyncio.Lock()

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        async with self._lock:
            found = self._whole(secret_id)
            if found is not None:
                await asyncio.sleep(PAUSE_SECONDS)
                await SqliteVault.take(self, secret_id, proof=proof, refund=refund)
            return found

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        async with self._lock:
            return await super().burn(secret_id, refund=refund)


class AnswersBeforeCommit(SqliteVault):
    """The answers of a batch leave when its statements are done; it is committed at the beginning of the next."""

    def _apply(
        self, operations: Sequence[Operation[Transaction, Any]], **_options: Any
    ) -> list[Any]:
        db = self._db
        assert db is not None
        self._commit_the_last(db)
        db.execute("BEGIN IMMEDIATE")
        tx = Transaction(db, self.now(), room=lambda: 1 << 40, keys=Eraser())
        return [_result(operation, tx) for operation in operations]

    @staticmethod
    def _commit_the_last(db: sqlite3.Connection) -> None:
        if db.in_transaction:
            db.execute("COMMIT")

    async def close(self) -> None:
        if self._db is not None:
            await self._on_thread(self._commit_the_last, self._db)
        await super().close()


class SetWiseTake(SqliteVault):
    """All takes of a batch share one DELETE, and every one of them looks for its row in what that returned."""

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        assert not refund
        assert not proof
        return await self._submit(_SetWise(secret_id))

    def _together(self, operations: Sequence[Operation[Transaction, Any]]) -> list[Any]:
        takes = [each for each in operations if isinstance(each, _SetWise)]
        rows: dict[bytes, StoredSecret | None] = {}
        for each in takes:
            each.wanted = {other.secret_id for other in takes}
            each.rows = rows
        return super()._together(operations)


class _SetWise:
    def __init__(self, secret_id: bytes) -> None:
        self.secret_id = secret_id
        self.wanted: set[bytes] = set()
        self.rows: dict[bytes, StoredSecret | None] = {}

    def __call__(self, tx: Transaction) -> StoredSecret | None:
        if not self.rows:
            self.rows |= {each: take(tx, each, b"", ()) for each in self.wanted}
        return self.rows[self.secret_id]


class GoesOnAfterRollback(SqliteVault):
    """Fails the one operation that met an error of the store and goes on with the rest: after the silent rollback of
    SQLITE_FULL each of them commits by itself, and what came before is answered and gone.
    """

    def _apply(
        self, operations: Sequence[Operation[Transaction, Any]], **_options: Any
    ) -> list[Any]:
        db = self._db
        assert db is not None
        db.execute("BEGIN IMMEDIATE")
        tx = Transaction(db, self.now(), room=lambda: 1 << 40, keys=Eraser())
        results = [_result(operation, tx) for operation in operations]
        if db.in_transaction:
            db.execute("COMMIT")
        return results


def _result(operation: Operation[Transaction, Any], tx: Transaction) -> Any:
    try:
        return operation(tx)
    except OnetimeError as refusal:
        return refusal
    except sqlite3.Error as error:
        return Unavailable(str(error))


class RepeatsUnknown(SqliteVault):
    """A commit without an answer counts as not done, so the batch is done again."""

    def _has_happened(self, token: bytes) -> bool:
        super()._has_happened(token)
        return False


class BelievesUnknown(SqliteVault):
    """A commit without an answer counts as done."""

    def _has_happened(self, token: bytes) -> bool:
        super()._has_happened(token)
        return True


class AnswersUnproven(SqliteVault):
    """Answers at once what was asked for, and finds out about the commit later."""

    def _has_happened(self, token: bytes) -> bool:  # noqa: ARG002 - that is its mistake
        return True


class ExpiresBySweep(SqliteVault):
    """What has expired can be had until the sweep comes."""

    def now(self) -> int:
        return super().now() if self._sweeping else 0

    _sweeping = False

    async def sweep(self) -> Any:
        self._sweeping = True
        try:
            return await super().sweep()
        finally:
            self._sweeping = False


class SweepsAtOnce(SqliteVault):
    """Removes what has expired without waiting whether the clock was right."""

    async def sweep(self) -> Any:
        clock = self._clock
        self._clock = lambda: clock() + 300
        try:
            return await super().sweep()
        finally:
            self._clock = clock


class TokenTwice(SqliteVault):
    """Reads a token, then deletes it."""

    async def take_token(self, token_id: bytes, *, purpose: str) -> bytes | None:
        statement = "SELECT body FROM token WHERE token_id = ? AND purpose = ? AND expires_at > ?"
        for (body,) in self._read(statement, token_id, purpose, self.now()):
            found: bytes = body
            await super().take_token(token_id, purpose=purpose)
            return found
        return None


class CountsInMemory(SqliteVault):
    """Each process counts for itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._used: dict[bytes, int] = {}

    async def count(self, debit: Debit) -> Debited:
        used = self._used[debit.key] = self._used.get(debit.key, 0) + 1
        if used > debit.budget.limit:
            return Debited(refused=0, retry_after=debit.budget.window)
        return Debited(left=debit.budget.limit - used)


class SpendsWithoutLooking(SqliteVault):
    """Asks whether there is an attempt left, and debits it in a second step."""

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        statement = "SELECT used FROM counter WHERE key = ?"
        for debit in debits:
            for (used,) in self._read(statement, debit.key):
                if used >= debit.budget.limit:
                    return Debited(refused=0, retry_after=debit.budget.lock)
        await asyncio.sleep(PAUSE_SECONDS)
        generous = [
            Debit(key=debit.key, budget=type(debit.budget)(limit=1 << 20, window=600))
            for debit in debits
        ]
        return await super().spend(secret_id, total=total, debits=generous)


class ForgetsTheDead(SqliteVault):
    """Leaves no tombstone: with its content a secret's receipt goes, too."""

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            found = take(tx, secret_id, proof, refund)
            tx.run("DELETE FROM receipt WHERE secret_id = ?", secret_id)
            return found

        return await self._submit(operation)


class KeepsTheLog(SqliteVault):
    """Scrubs nothing: what was taken stays readable in the write-ahead log."""

    async def scrub(self) -> None:
        pass


class KeepsTheKeys(SqliteVault):
    """Cuts the log and trusts SQLite to leave no copy of a row that it moved."""

    async def _erase(self) -> None:
        pass
