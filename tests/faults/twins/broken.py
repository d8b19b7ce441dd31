"""The broken twins: the correct store with one thing wrong in each. The checker must see every one of them.

Where a fault is a race, a short pause holds its window open, so that no test depends on luck.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.twins.store import Full, Row, Step, Store

WINDOW = 0.005


def _nothing(_db: sqlite3.Connection) -> None:
    """A step that waits for those before it."""


class PeekThenDelete(Store):
    """Looks, and deletes afterwards, whoever else has looked meanwhile."""

    def reveal(self, secret_key: str) -> str | None:
        value = self.content(secret_key)
        time.sleep(WINDOW)
        super().reveal(secret_key)
        return value


class OneProcess(Store):
    """The same behind a table of those in hand: right in one process, wrong between two."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._in_hand: dict[str, object] = {}
        super().__init__(folder, reserve_bytes)

    def reveal(self, secret_key: str) -> str | None:
        mine = object()
        if self._in_hand.setdefault(secret_key, mine) is not mine:
            return None
        value = self.content(secret_key)
        time.sleep(WINDOW)
        # A burn that came first has won: this process still keeps that right.
        return value if super().reveal(secret_key) is not None or self._read(secret_key) else None

    def _read(self, secret_key: str) -> bool:
        rows = self.connect().execute(
            "SELECT 1 FROM secret WHERE secret_key = ? AND state = 'received'", (secret_key,)
        )
        return bool(rows.fetchall())


class SetWise(Store):
    """Takes all of a batch by one statement and gives each caller what came back for its id."""

    pause = WINDOW

    def apply(self, steps: Sequence[Step]) -> list[Any]:
        self._taken: dict[str, str | None] = {}
        return super().apply(steps)

    def take(self, db: sqlite3.Connection, secret_key: str, state: str) -> str | None:
        if secret_key not in self._taken:
            self._taken[secret_key] = super().take(db, secret_key, state)
        return self._taken[secret_key]


class Early(Store):
    """Whoever asks is made to wait for what is under way, so nothing shows until a crash."""

    pause = 0.2

    def row(self, receipt_key: str) -> Row | None:
        self.commit(_nothing)
        return super().row(receipt_key)


class ConcealsEarly(Early):
    """Acknowledges a create before its commit."""

    def conceal(self, value: str, ttl: int) -> Row:
        row = self.new_row(ttl)
        self.hand_in(lambda db: self.put(db, row, value))
        return row


class RevealsEarly(Early):
    """Gives the value before the commit that takes it away."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._in_hand: dict[str, object] = {}
        super().__init__(folder, reserve_bytes)

    def reveal(self, secret_key: str) -> str | None:
        mine = object()
        if self._in_hand.setdefault(secret_key, mine) is not mine:
            return None
        self.commit(_nothing)
        value = self.content(secret_key)
        self.hand_in(lambda db: self.take(db, secret_key, "received"))
        return value

    def burn(self, receipt_key: str) -> Row | None:
        row = self.row(receipt_key)
        if row is None or self._in_hand.setdefault(row.secret_key, row) is not row:
            return None
        return super().burn(receipt_key)


class RevivesAfterCrash(Store):
    """What was taken last is there again after a crash, as after a power cut without synchronous commits."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._tail = folder / "tail.jsonl"
        super().__init__(folder, reserve_bytes)
        if self._tail.exists():
            for line in self._tail.read_text().splitlines():
                self.commit(partial(self._revive, *json.loads(line)))
            self._tail.unlink()

    def take(self, db: sqlite3.Connection, secret_key: str, state: str) -> str | None:
        value = super().take(db, secret_key, state)
        if value is not None:
            with self._tail.open("a") as file:
                file.write(json.dumps([secret_key, value]) + "\n")
        return value

    def close(self) -> None:
        super().close()
        self._tail.unlink(missing_ok=True)

    def _revive(self, secret_key: str, value: str, db: sqlite3.Connection) -> None:
        db.execute("INSERT OR REPLACE INTO content VALUES (?, ?, ?)", (secret_key, 1 << 40, value))
        self.mark(db, secret_key, "new", 0)


class AutocommitsAfterRollback(Store):
    """Goes on with its batch after a full disk has silently rolled the transaction back."""

    pause = 0.02

    def put(self, db: sqlite3.Connection, row: Row, value: str) -> None:
        # A little early and only for large ones: else this is a matter of one batch, by luck.
        try:
            super().put(db, row, value)
        except Full:
            if len(value) > 1000:
                raise sqlite3.OperationalError("database or disk is full") from None
            self.put_anyway(db, row, value)

    def apply(self, steps: Sequence[Step]) -> list[Any]:
        if len(steps) == 1:
            return super().apply(steps)
        db = self.connect()
        db.execute("BEGIN IMMEDIATE")
        results: list[Any] = []
        for step in steps:
            try:
                results.append(step(db))
            except sqlite3.Error as error:
                results.append(error)
                # SQLite often does this by itself when the disk is full; the twin does it always.
                if db.in_transaction:
                    db.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error):
            db.execute("COMMIT")
        if db.in_transaction:
            db.execute("ROLLBACK")
        return results


class ForgetsWhenFull(Store):
    """Acknowledges a create for which there is no room."""

    def conceal(self, value: str, ttl: int) -> Row:
        try:
            return super().conceal(value, ttl)
        except Full:
            return self.new_row(ttl)


class NoReserve(Store):
    """Cannot even delete when the disk is full."""

    def make_room(self) -> bool:
        return False


class StaysFull(Store):
    """Once full, refuses creates until it is started again."""

    def check_room(self) -> None:
        if getattr(self, "_full", False):
            raise Full
        try:
            super().check_room()
        except Full:
            self._full = True
            raise


class NeverGivesBack(Store):
    """Removes what has expired, and keeps the space."""

    def give_back(self) -> None:
        pass


class RefusesVaguely(Store):
    """Refuses for want of room without saying until when."""

    retry_after = ""


class ReturnsExpired(Store):
    """Readable until the sweep, not until its second."""

    late_seconds = 10_000


class ASecondLate(Store):
    """Readable in its last second, and that is one too many."""

    late_seconds = 1


class ReturnsBurned(Store):
    """A burn marks the receipt and leaves the content."""

    def burn(self, receipt_key: str) -> Row | None:
        row = self.row(receipt_key)
        if row is None or row.state != "new":
            return None
        now = int(time.time())
        self.commit(lambda db: self.mark(db, row.secret_key, "burned", now))
        return self.receipt(receipt_key)


class BurnsTwice(Store):
    """Says of every burn that it was the one."""

    def burn(self, receipt_key: str) -> Row | None:
        return super().burn(receipt_key) or self.receipt(receipt_key)


class StaleReceipt(Store):
    """Answers with the receipt as it first saw it."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._seen: dict[str, Row | None] = {}
        super().__init__(folder, reserve_bytes)

    def receipt(self, receipt_key: str) -> Row | None:
        if self._seen.get(receipt_key) is None:
            self._seen[receipt_key] = super().receipt(receipt_key)
        return self._seen[receipt_key]


class WrongEnd(Store):
    """A burnt secret's receipt says that somebody has read it."""

    def receipt(self, receipt_key: str) -> Row | None:
        row = super().receipt(receipt_key)
        return replace(row, state="received") if row and row.state == "burned" else row


class WrongTime(Store):
    """The receipt says that the secret was read when it was shared."""

    def mark(self, db: sqlite3.Connection, secret_key: str, state: str, now: int) -> None:
        super().mark(db, secret_key, state, now - 60)


class LosesReceipt(Store):
    """The receipt goes with the secret."""

    def receipt(self, receipt_key: str) -> Row | None:
        row = super().receipt(receipt_key)
        return row if row and row.state == "new" else None


class RevivesWithClock(Store):
    """What was taken is only hidden from the moment of the take on."""

    def take(self, db: sqlite3.Connection, secret_key: str, state: str) -> str | None:
        now = int(time.time())
        rows = db.execute(
            "SELECT value FROM content JOIN secret USING (secret_key) WHERE secret_key = ?"
            " AND expires_at > ? AND (ended_at IS NULL OR ended_at > ?)",
            (secret_key, now, now),
        ).fetchall()
        if not rows:
            return None
        self.mark(db, secret_key, state, now)
        return str(rows[0][0])


class NeverSweeps(Store):
    """What has expired is hidden by the clock alone."""

    def sweep(self) -> None:
        pass


class HoardsSwept(Store):
    """The sweep puts things where they take little space, and finds them there again when the clock turns back."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._hoard: dict[str, tuple[int, bytes]] = {}
        super().__init__(folder, reserve_bytes)

    def remove_expired(self, db: sqlite3.Connection, before: int) -> bool:
        rows = db.execute(
            "DELETE FROM content WHERE expires_at <= ? RETURNING secret_key, expires_at, value",
            (before,),
        ).fetchall()
        for secret_key, expires_at, value in rows:
            self._hoard[secret_key] = (expires_at, zlib.compress(value.encode()))
        return False

    def take(self, db: sqlite3.Connection, secret_key: str, state: str) -> str | None:
        expires_at, value = self._hoard.get(secret_key, (0, b""))
        if expires_at > time.time():
            del self._hoard[secret_key]
            self.mark(db, secret_key, state, int(time.time()))
            return zlib.decompress(value).decode()
        return super().take(db, secret_key, state)


class Truncates(Store):
    """A long value comes back cut."""

    def reveal(self, secret_key: str) -> str | None:
        value = super().reveal(secret_key)
        return value and value[:800]


class DropsAtStop(Store):
    """Ends at once when it is asked to stop, whatever is running."""

    drains = False


class LosesAtStop(Store):
    """Acknowledges what arrives while it stops, and does not keep it."""

    def conceal(self, value: str, ttl: int) -> Row:
        return self.new_row(ttl) if self.stopping else super().conceal(value, ttl)


class FailsAtStop(Store):
    """Ends well, and says that it did not."""

    exit_code = 3


TWINS: dict[str, type[Store]] = {"correct": Store} | {
    each.__name__: each
    for each in (
        PeekThenDelete,
        OneProcess,
        SetWise,
        ConcealsEarly,
        RevealsEarly,
        RevivesAfterCrash,
        AutocommitsAfterRollback,
        ForgetsWhenFull,
        NoReserve,
        StaysFull,
        NeverGivesBack,
        RefusesVaguely,
        ReturnsExpired,
        ASecondLate,
        ReturnsBurned,
        BurnsTwice,
        StaleReceipt,
        WrongEnd,
        WrongTime,
        LosesReceipt,
        RevivesWithClock,
        NeverSweeps,
        HoardsSwept,
        Truncates,
        DropsAtStop,
        LosesAtStop,
        FailsAtStop,
    )
}
