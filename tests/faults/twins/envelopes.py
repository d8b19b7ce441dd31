"""End-to-end secrets of the correct twin: one row each, and every verb one step of a transaction.

What a broken twin gets wrong is a method or a switch here.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

WINDOW_SECONDS = 600
SLEPT_SECONDS = 120
FREE_GUESSES = 10
LOCK_SECONDS = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS envelope (
    secret_id TEXT PRIMARY KEY, open_hash TEXT, receipt_hash TEXT, created INTEGER, ttl INTEGER, state TEXT, ended_at INTEGER,
    claim TEXT, window_ends_at INTEGER, acknowledged_at INTEGER, wrong INTEGER, locked_until INTEGER, woken INTEGER, body BLOB
);
CREATE TABLE IF NOT EXISTS awake (one INTEGER PRIMARY KEY, at INTEGER);
"""

Step = Callable[[sqlite3.Connection], Any]


class Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status


NOT_FOUND = (404, "not_found")
CLAIMED = (409, "claimed")


@dataclass(frozen=True, slots=True)
class Envelope:
    secret_id: str
    open_hash: str
    receipt_hash: str
    created: int
    ttl: int
    state: str = "new"
    ended_at: int | None = None
    claim: str | None = None
    window_ends_at: int | None = None
    acknowledged_at: int | None = None
    wrong: int = 0
    locked_until: int = 0
    woken: int = 0
    body: bytes | None = None

    @property
    def expires_at(self) -> int:
        return self.created + self.ttl

    def now_is(self, now: float) -> str:
        """The state at that instant."""
        if self.state == "new" and now >= self.expires_at:
            return "expired"
        if (
            self.state == "claimed"
            and self.window_ends_at is not None
            and now >= self.window_ends_at
        ):
            return "revealed"
        return self.state


class Envelopes:
    again = True  # the same claim is served again
    restarts_keep_windows = True
    wakes = True  # a window that was slept through is given once more

    def commit(self, step: Step) -> Any:
        raise NotImplementedError

    def check_room(self) -> None:
        raise NotImplementedError

    # --- verbs ---

    def create(self, new: Envelope) -> Envelope:
        made: Envelope = self.commit(lambda db: self.put_envelope(db, new))
        return made

    def claim(self, secret_id: str, open_hash: str, claim: str) -> Envelope:
        return self.unless(self.commit(lambda db: self.claim_step(db, secret_id, open_hash, claim)))

    def settle(self, secret_id: str, claim: str) -> Envelope:
        return self.unless(self.commit(lambda db: self.settle_step(db, secret_id, claim)))

    def destroy(self, secret_id: str, open_hash: str) -> Envelope:
        return self.unless(self.commit(lambda db: self.destroy_step(db, secret_id, open_hash)))

    def withdraw(self, secret_id: str, receipt_hash: str) -> Envelope:
        return self.unless(self.commit(lambda db: self.withdraw_step(db, secret_id, receipt_hash)))

    def track(self, secret_id: str, receipt_hash: str) -> Envelope:
        return self.unless(self.commit(lambda db: self.track_step(db, secret_id, receipt_hash)))

    @staticmethod
    def unless(answer: Envelope | tuple[int, str]) -> Envelope:
        """A refusal is a result, so that what was written beside it is kept."""
        if isinstance(answer, tuple):
            raise Refused(*answer)
        return answer

    # --- steps of a transaction ---

    def put_envelope(self, db: sqlite3.Connection, new: Envelope) -> Envelope:
        row = self.envelope(db, new.secret_id)
        if row is None:
            self.check_room()
            self.write(db, new)
            return new
        same = replace(new, created=row.created, wrong=row.wrong, locked_until=row.locked_until)
        if row.now_is(time.time()) != "new" or row != same:
            raise Refused(409, "conflict")
        return row

    def claim_step(
        self, db: sqlite3.Connection, secret_id: str, open_hash: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        now = int(time.time())
        if row is None or row.now_is(now) not in {"new", "claimed"}:
            return NOT_FOUND
        if row.state == "claimed":
            if not self.is_claimants(row, claim):
                return CLAIMED
            return row if self.again else NOT_FOUND
        refused = self.prove(db, row, open_hash, now)
        if refused:
            return refused
        claimed = replace(
            row, state="claimed", claim=claim, ended_at=now, window_ends_at=now + WINDOW_SECONDS
        )
        self.write(db, claimed)
        return claimed

    def settle_step(
        self, db: sqlite3.Connection, secret_id: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        if row is None or row.claim is None or row.claim != claim:
            return NOT_FOUND
        if row.acknowledged_at is None:
            row = replace(self.ended(row, "revealed"), acknowledged_at=int(time.time()))
            self.write(db, row)
        return row

    def destroy_step(
        self, db: sqlite3.Connection, secret_id: str, open_hash: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        now = int(time.time())
        state = row.now_is(now) if row else ""
        if row is None or state not in {"new", "claimed"}:
            return NOT_FOUND
        if state == "claimed":
            return CLAIMED
        refused = self.prove(db, row, open_hash, now)
        if refused:
            return refused
        burned = replace(self.ended(row, "burned"), ended_at=now)
        self.write(db, burned)
        return burned

    def withdraw_step(
        self, db: sqlite3.Connection, secret_id: str, receipt_hash: str
    ) -> Envelope | tuple[int, str]:
        row = self.track_step(db, secret_id, receipt_hash)
        if isinstance(row, tuple) or row.state in {"burned", "expired"}:
            return NOT_FOUND
        if row.state in {"claimed", "revealed"}:
            self.write(db, self.ended(row, "revealed"))
            return CLAIMED
        burned = replace(self.ended(row, "burned"), ended_at=int(time.time()))
        self.write(db, burned)
        return burned

    def track_step(
        self, db: sqlite3.Connection, secret_id: str, receipt_hash: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        now = time.time()
        if row is None or row.receipt_hash != receipt_hash or now >= row.expires_at + row.ttl:
            return NOT_FOUND
        return replace(row, state=row.now_is(now))

    def is_claimants(self, row: Envelope, claim: str) -> bool:
        return row.claim == claim

    def is_right(self, row: Envelope, open_hash: str) -> bool:
        return row.open_hash == open_hash

    def prove(
        self, db: sqlite3.Connection, row: Envelope, open_hash: str, now: int
    ) -> tuple[int, str] | None:
        """Debits a wrong proof."""
        if row.locked_until > now:
            return 429, "rate_limited"
        if self.is_right(row, open_hash):
            return None
        wrong = row.wrong + 1
        locked_until = now + LOCK_SECONDS if wrong >= FREE_GUESSES else 0
        self.write(db, replace(row, wrong=wrong, locked_until=locked_until))
        return 403, "wrong_passphrase"

    def ended(self, row: Envelope, state: str) -> Envelope:
        """Without content."""
        return replace(row, state=state, body=None, window_ends_at=None)

    def sweep_envelopes(self, db: sqlite3.Connection, before: int) -> None:
        db.execute("INSERT OR REPLACE INTO awake VALUES (1, ?)", (int(time.time()),))
        for row in self.envelopes(db):
            state = row.now_is(before)
            if state != row.state:
                self.write(db, self.ended(row, state))

    def wake(self, db: sqlite3.Connection) -> None:
        """At the start."""
        now = int(time.time())
        awake_at = next((at for (at,) in db.execute("SELECT at FROM awake")), 0)
        if awake_at > now:
            awake_at = 0
        for row in self.envelopes(db):
            if not self.restarts_keep_windows and row.state == "claimed":
                self.write(db, self.ended(row, "revealed"))
            elif self.wakes and now - awake_at > SLEPT_SECONDS:
                self.wake_one(db, row, awake_at, now)

    def wake_one(self, db: sqlite3.Connection, row: Envelope, awake_at: int, now: int) -> None:
        if row.state == "claimed" and not row.woken and (row.window_ends_at or 0) > awake_at:
            self.write(db, replace(row, woken=1, window_ends_at=now + WINDOW_SECONDS))

    # --- rows ---

    @staticmethod
    def envelope(db: sqlite3.Connection, secret_id: str) -> Envelope | None:
        rows = db.execute("SELECT * FROM envelope WHERE secret_id = ?", (secret_id,)).fetchall()
        return Envelope(*rows[0]) if rows else None

    @staticmethod
    def envelopes(db: sqlite3.Connection) -> list[Envelope]:
        """Those with content."""
        rows = db.execute("SELECT * FROM envelope WHERE body IS NOT NULL").fetchall()
        return [Envelope(*row) for row in rows]

    @staticmethod
    def write(db: sqlite3.Connection, row: Envelope) -> None:
        values = asdict(row)
        places = ", ".join(f":{name}" for name in values)
        db.execute(f"INSERT OR REPLACE INTO envelope VALUES ({places})", values)  # noqa: S608


def told(row: Envelope) -> dict[str, Any]:
    """As a receipt."""
    return {
        "state": row.state,
        "created_at": row.created,
        "secret_expires_at": row.expires_at,
        "expires_at": row.expires_at + row.ttl,
        "acknowledged": row.acknowledged_at is not None,
        "acknowledged_at": row.acknowledged_at,
        "window_ends_at": row.window_ends_at if row.state == "claimed" else None,
        "wrong_tries": row.wrong,
        "now": int(time.time()),
    }


def hash_of(text: str) -> str:
    """Of what is in base64url, in hex."""
    return hashlib.sha256(_raw(text)).hexdigest()


def hex_of(text: str) -> str:
    return _raw(text).hex()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
