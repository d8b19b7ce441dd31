"""Adapters broken on purpose, one mistake each. `test_twins.py` shows that the contract finds every one of them.

A check that cannot fail proves nothing; these are the mistakes that it is there to find. Most were made by real products.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

from onetime.errors import Conflict, OnetimeError, Unavailable
from onetime.model import Handed, Kind, Settled, State
from onetime.storage.batch import Operation
from onetime.storage.port import (
    Debit,
    Debited,
    NewAnswer,
    NewSecret,
    Refusal,
    Refused,
    Stored,
    StoredSecret,
    Tries,
)
from onetime.storage.vault import envelope
from onetime.storage.vault.eraser import Eraser
from onetime.storage.vault.sqlite import SqliteVault
from onetime.storage.vault.steps import burn, take
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


# End-to-end secrets


class ClaimsInTwoSteps(SqliteVault):
    """Looks whether somebody has claimed it, and writes the claim in a second step."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        looked = await self.look(secret_id)
        if looked is None or looked.state is not State.NEW:
            return await super().claim(
                secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
            )
        await asyncio.sleep(PAUSE_SECONDS)

        def operation(tx: Transaction) -> Handed | Refused | None:
            # Whatever has happened since: it was new when it was looked at.
            tx.run(
                """UPDATE envelope SET open_hash = ? WHERE open_hash = x''
                AND number = (SELECT number FROM receipt WHERE secret_id = ?)""",
                open_hash,
                secret_id,
            )
            tx.run(
                "UPDATE receipt SET state = 'new' WHERE secret_id = ? AND state = 'claimed'",
                secret_id,
            )
            return envelope.claim(tx, secret_id, open_hash, claim_hash, window, tries)

        return await self._submit(operation)


class GivesItToAnybody(SqliteVault):
    """While the window runs, whoever has the link is served, as after "refresh to see it again"."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def operation(tx: Transaction) -> Handed | Refused | None:
            row = tx.one(
                """SELECT claim_hash FROM receipt JOIN envelope USING (number)
                WHERE secret_id = ? AND state = 'claimed'""",
                secret_id,
            )
            first = row[0] if row else claim_hash
            return envelope.claim(tx, secret_id, open_hash, first, window, tries)

        return await self._submit(operation)


class GivesItOnce(SqliteVault):
    """No delivery again: what was lost on the way is lost."""

    async def claim(
        self,
        secret_id: bytes,
        *,
        open_hash: bytes,
        claim_hash: bytes,
        window: int,  # noqa: ARG002 - that is its mistake
        tries: Tries,
    ) -> Handed | Refused | None:
        return await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=0, tries=tries
        )


class RemembersInMemory(SqliteVault):
    """Keeps for itself whose claim it was: right until it ends, or until another process is asked."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._claims: dict[bytes, bytes] = {}

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        looked = await self.look(secret_id)
        first = self._claims.get(secret_id)
        if looked is not None and looked.state is State.CLAIMED and first is None:
            first = self._claims[secret_id] = claim_hash

            def operation(tx: Transaction) -> None:
                tx.run("UPDATE envelope SET claim_hash = ?", claim_hash)

            await self._submit(operation)
        if first is not None and first != claim_hash:
            return Refused(why=Refusal.CLAIMED)
        answer = await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
        )
        if isinstance(answer, Handed):
            self._claims.setdefault(secret_id, claim_hash)
        return answer


class ForgetsToDelete(SqliteVault):
    """A settle marks the receipt, and leaves the content to the sweep."""

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def operation(tx: Transaction) -> Settled | None:
            row = tx.one(
                """SELECT number FROM receipt JOIN envelope USING (number)
                WHERE secret_id = ? AND claim_hash = ?""",
                secret_id,
                claim_hash,
            )
            if row is None:
                return None
            tx.run("UPDATE envelope SET acknowledged_at = ? WHERE number = ?", tx.now, *row)
            tx.run("UPDATE receipt SET acknowledged = 1, state = 'revealed' WHERE number = ?", *row)
            return Settled(acknowledged_at=tx.now, now=tx.now)

        return await self._submit(operation)


class MarksWithoutDeleting(ForgetsToDelete):
    """A settle says that it is gone, and gives it to the same claim all the same."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def operation(tx: Transaction) -> Handed | Refused | None:
            tx.run(
                """UPDATE receipt SET state = 'claimed' WHERE secret_id = ? AND state = 'revealed'
                AND number IN (SELECT number FROM secret)""",
                secret_id,
            )
            return envelope.claim(tx, secret_id, open_hash, claim_hash, window, tries)

        return await self._submit(operation)


class SettlesForAnybody(SqliteVault):
    """Whoever has the link may say that it arrived."""

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def operation(tx: Transaction) -> Settled | None:
            row = tx.one(
                "SELECT claim_hash FROM receipt JOIN envelope USING (number) WHERE secret_id = ?",
                secret_id,
            )
            return envelope.settle(tx, secret_id, (row and row[0]) or claim_hash)

        return await self._submit(operation)


class SettlesOnce(SqliteVault):
    """A settle repeated finds nothing any more."""

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def operation(tx: Transaction) -> Settled | None:
            here = tx.one(
                "SELECT 1 FROM receipt JOIN secret USING (number) WHERE secret_id = ?", secret_id
            )
            return envelope.settle(tx, secret_id, claim_hash) if here else None

        return await self._submit(operation)


class ServesUntilTheSweep(SqliteVault):
    """The end of a window is when the sweep has come by."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def operation(tx: Transaction) -> Handed | Refused | None:
            now, tx.now = tx.now, 0
            row = tx.one("SELECT state FROM receipt WHERE secret_id = ?", secret_id)
            if row is None or row[0] == "new":
                tx.now = now
            return envelope.claim(tx, secret_id, open_hash, claim_hash, window, tries)

        return await self._submit(operation)


class EndsWithTheSecret(SqliteVault):
    """A window ends at the latest when the secret would have expired."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        looked = await self.look(secret_id)
        if looked is not None and looked.secret_expires_at <= looked.now:
            return None
        return await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
        )


class DebitsBehindTheTest(SqliteVault):
    """Compares the proof first, and writes down in a second step that it was wrong."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        statement = """SELECT open_hash, wrong_tries, locked_until FROM receipt JOIN envelope USING (number)
            WHERE secret_id = ? AND state = 'new'"""
        for right, wrong_tries, locked_until in self._read(statement, secret_id):
            if locked_until <= self.now() and right != open_hash:
                await asyncio.sleep(PAUSE_SECONDS)

                def debit(tx: Transaction) -> None:
                    tx.run(
                        "UPDATE receipt SET wrong_tries = wrong_tries + 1 WHERE secret_id = ?",
                        secret_id,
                    )

                await self._submit(debit)
                return Refused(why=Refusal.WRONG, left=tries.left(wrong_tries + 1))
        return await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
        )


class OpensWhileLocked(SqliteVault):
    """A lock refuses wrong proofs alone: so whoever guesses goes on guessing."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def operation(tx: Transaction) -> Handed | Refused | None:
            tx.run(
                """UPDATE envelope SET locked_until = 0 WHERE open_hash = ?
                AND number = (SELECT number FROM receipt WHERE secret_id = ?)""",
                open_hash,
                secret_id,
            )
            return envelope.claim(tx, secret_id, open_hash, claim_hash, window, tries)

        return await self._submit(operation)


class CountsDeliveries(SqliteVault):
    """A delivery again asks for the proof as the first did, and for its budget."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        answer = await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
        )
        if isinstance(answer, Handed):

            def debit(tx: Transaction) -> None:
                tx.run(
                    "UPDATE receipt SET wrong_tries = wrong_tries + 1 WHERE secret_id = ?",
                    secret_id,
                )

            await self._submit(debit)
        return answer


class SleepsItsWindowsAway(SqliteVault):
    """A window goes by while nobody can be asked."""

    def _together(self, operations: Sequence[Operation[Transaction, Any]]) -> list[Any]:
        self._awake_at = self.now()
        return super()._together(operations)

    async def _awake(self) -> int:
        return self.now()


class GivesWindowsForEver(SqliteVault):
    """Whoever stops the service for a while has another window, again and again."""

    def _together(self, operations: Sequence[Operation[Transaction, Any]]) -> list[Any]:
        def again(tx: Transaction) -> None:
            tx.run("UPDATE envelope SET woken = 0")

        *results, _ = super()._together([*operations, again])
        return results


class WakesOnlyWhoWrites(SqliteVault):
    """A window that was slept through is given to the first who writes: a look before that says that it is gone."""

    async def _awake(self) -> int:
        return self.now()


class WakesEachProcess(SqliteVault):
    """A process that was frozen thinks that all of them were."""

    def _together(self, operations: Sequence[Operation[Transaction, Any]]) -> list[Any]:
        slept_since = self._awake_at

        def forget_the_others(tx: Transaction) -> None:
            if slept_since and tx.now - slept_since > envelope.SLEPT_SECONDS:
                tx.run("UPDATE vault SET awake_at = ?", slept_since)
                tx.run("UPDATE writer SET at = min(at, ?)", slept_since)
                envelope.wake(tx)

        self._awake_at = self.now()
        _, *results = super()._together([forget_the_others, *operations])
        return results


class BurnsWhatWasRead(SqliteVault):
    """A sender's burn in the window is told as if nobody had it."""

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        def operation(tx: Transaction) -> bool:
            tx.run(
                "UPDATE receipt SET state = 'new' WHERE secret_id = ? AND state = 'claimed'",
                secret_id,
            )
            return burn(tx, secret_id, refund)

        return await self._submit(operation)


class TakesEnvelopes(SqliteVault):
    """The verb of sealed secrets gives whatever is there: without a proof, without a claim."""

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        def operation(tx: Transaction) -> StoredSecret | None:
            tx.run("UPDATE receipt SET kind = 'conceal' WHERE secret_id = ?", secret_id)
            return take(tx, secret_id, proof, refund)

        return await self._submit(operation)


class PutsAnythingAgain(SqliteVault):
    """A create under a known id is answered as the first was, whatever it brings."""

    async def put(self, secret: NewSecret, *, answer: NewAnswer | None = None) -> Stored:
        try:
            return await super().put(secret, answer=answer)
        except Conflict:
            receipt = await self.receipt(secret.receipt_id)
            return Stored(created_at=receipt.created_at if receipt else None)


class KeepsTheProof(SqliteVault):
    """What would test a guess at the passphrase outlives the secret."""

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        answer = await super().claim(
            secret_id, open_hash=open_hash, claim_hash=claim_hash, window=window, tries=tries
        )
        if isinstance(answer, Handed):

            def keep(tx: Transaction) -> None:
                tx.run("UPDATE envelope SET open_hash = ?", open_hash)

            await self._submit(keep)
        return answer
