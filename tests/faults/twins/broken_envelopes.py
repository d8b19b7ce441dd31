"""The broken twins of claim and settle: what real products do to whoever reads, one thing each."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from typing import Any

from tests.faults.twins.envelopes import CLAIMED, WINDOW_SECONDS, Envelope, Refused
from tests.faults.twins.store import Step, Store

PAUSE = 0.005


class LooksThenClaims(Store):
    """Looks whether somebody has claimed it, and claims it afterwards, whoever else has looked meanwhile."""

    def claim(self, secret_id: str, open_hash: str, claim: str) -> Envelope:
        row = self.envelope(self.connect(), secret_id)
        if row is None or row.state != "new" or row.open_hash != open_hash:
            return super().claim(secret_id, open_hash, claim)
        time.sleep(PAUSE)
        now = int(time.time())
        mine = replace(
            row, state="claimed", claim=claim, ended_at=now, window_ends_at=now + WINDOW_SECONDS
        )
        self.commit(lambda db: self.write(db, mine))
        return mine


class GivesItToAnybody(Store):
    """While the window runs, whoever has the link is served."""

    def is_claimants(self, row: Envelope, claim: str) -> bool:  # noqa: ARG002 - that is its mistake
        return True


class GivesItOnce(Store):
    """An answer that was lost is lost."""

    again = False


class ForgetsItsClaims(Store):
    """Keeps in memory whose claim it was: after a restart whoever comes first has it."""

    def __init__(self, *args: Any) -> None:
        self._known: set[str] = set()
        super().__init__(*args)

    def claim_step(
        self, db: sqlite3.Connection, secret_id: str, open_hash: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        if row is not None and row.state == "claimed" and secret_id not in self._known:
            self.write(db, replace(row, claim=claim))
        self._known.add(secret_id)
        return super().claim_step(db, secret_id, open_hash, claim)


class SettlesOnPaper(Store):
    """A settle is told on the receipt, and the content is still given."""

    def settle_step(
        self, db: sqlite3.Connection, secret_id: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        settled = super().settle_step(db, secret_id, claim)
        if row is not None and row.body is not None and isinstance(settled, Envelope):
            self.write(db, replace(row, acknowledged_at=settled.acknowledged_at))
        return settled


class AnswersEarly(Store):
    """Answers before the commit; whoever asks is made to wait, so nothing shows until a crash."""

    pause = 0.2
    early = ""

    def commit(self, step: Step) -> Any:
        if step.__qualname__.startswith(self.early):
            db = sqlite3.connect(self._path, isolation_level=None)
            super().commit(lambda _: None)
            db.execute("BEGIN")
            try:
                answer = self.foresee(db, step)
            finally:
                db.execute("ROLLBACK")
                db.close()
            self.hand_in(step)
            return answer
        return super().commit(step)

    @staticmethod
    def foresee(db: sqlite3.Connection, step: Step) -> Any:
        while True:
            try:
                return step(db)
            except sqlite3.OperationalError:
                time.sleep(PAUSE)
                db.execute("ROLLBACK")
                db.execute("BEGIN")


class CreatesEarly(AnswersEarly):
    early = "Envelopes.create"


class ClaimsEarly(AnswersEarly):
    early = "Envelopes.claim"


class SettlesEarly(AnswersEarly):
    early = "Envelopes.settle"


class EndsWindowsAtRestart(Store):
    """Whoever was reading when it was restarted has read it."""

    restarts_keep_windows = False


class SleepsWindowsAway(Store):
    """A window goes by while nobody can be asked."""

    wakes = False


class WakesForEver(Store):
    """Whoever stops the service for a while has another window, again and again."""

    def wake_one(self, db: sqlite3.Connection, row: Envelope, awake_at: int, now: int) -> None:
        super().wake_one(db, replace(row, woken=0, window_ends_at=now), awake_at, now)


class NeverCloses(Store):
    """The window is open until the sweep, which is generous."""

    def claim_step(
        self, db: sqlite3.Connection, secret_id: str, open_hash: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        if row is not None and row.state == "claimed" and row.claim == claim:
            return row
        return super().claim_step(db, secret_id, open_hash, claim)


class RenewsWindows(Store):
    """Each delivery opens a window of its own."""

    def claim_step(
        self, db: sqlite3.Connection, secret_id: str, open_hash: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = super().claim_step(db, secret_id, open_hash, claim)
        if isinstance(row, Envelope):
            row = replace(row, window_ends_at=int(time.time()) + WINDOW_SECONDS)
            self.write(db, row)
        return row


class AsksForNoProof(Store):
    """The link proof alone opens it."""

    def is_right(self, row: Envelope, open_hash: str) -> bool:  # noqa: ARG002 - that is its mistake
        return True


class CountsNoGuesses(Store):
    """A wrong proof is refused and forgotten."""

    def prove(
        self, db: sqlite3.Connection, row: Envelope, open_hash: str, now: int
    ) -> tuple[int, str] | None:
        refused = super().prove(db, row, open_hash, now)
        self.write(db, row)
        return refused


class ScramblesTheSecond(Store):
    """A delivery again is another one."""

    def __init__(self, *args: Any) -> None:
        self._given: set[str] = set()
        super().__init__(*args)

    def claim(self, secret_id: str, open_hash: str, claim: str) -> Envelope:
        row = super().claim(secret_id, open_hash, claim)
        if secret_id in self._given and row.body:
            return replace(row, body=row.body[:-1] + b"\0")
        self._given.add(secret_id)
        return row


class NeverAcknowledges(Store):
    """The sender is never told that it has arrived."""

    def track(self, secret_id: str, receipt_hash: str) -> Envelope:
        return replace(super().track(secret_id, receipt_hash), acknowledged_at=None)


class SettlesForAnybody(Store):
    """Whoever has the link may say that it has arrived."""

    def settle(self, secret_id: str, claim: str) -> Envelope:
        row = self.envelope(self.connect(), secret_id)
        return super().settle(secret_id, (row and row.claim) or claim)


class SettlesOnce(Store):
    """A settle repeated finds nothing."""

    def settle_step(
        self, db: sqlite3.Connection, secret_id: str, claim: str
    ) -> Envelope | tuple[int, str]:
        row = self.envelope(db, secret_id)
        if row is not None and row.acknowledged_at is not None:
            return 404, "not_found"
        return super().settle_step(db, secret_id, claim)


class WithdrawsWhatWasRead(Store):
    """The sender is told that nobody has read it."""

    def withdraw_step(
        self, db: sqlite3.Connection, secret_id: str, receipt_hash: str
    ) -> Envelope | tuple[int, str]:
        row = self.track_step(db, secret_id, receipt_hash)
        if isinstance(row, Envelope) and row.state == "claimed":
            row = replace(self.ended(row, "burned"), ended_at=int(time.time()))
            self.write(db, row)
            return row
        return super().withdraw_step(db, secret_id, receipt_hash)


class WithdrawsTooLate(Store):
    """The sender is told that somebody has it, and the window goes on."""

    def withdraw_step(
        self, db: sqlite3.Connection, secret_id: str, receipt_hash: str
    ) -> Envelope | tuple[int, str]:
        row = self.track_step(db, secret_id, receipt_hash)
        if isinstance(row, Envelope) and row.state == "claimed":
            return CLAIMED
        return super().withdraw_step(db, secret_id, receipt_hash)


class RefusesItsOwn(Store):
    """A create repeated, after an answer that was lost, is a conflict."""

    def put_envelope(self, db: sqlite3.Connection, new: Envelope) -> Envelope:
        if self.envelope(db, new.secret_id) is not None:
            raise Refused(409, "conflict")
        return super().put_envelope(db, new)


ENVELOPE_TWINS: dict[str, type[Store]] = {
    each.__name__: each
    for each in (
        LooksThenClaims,
        GivesItToAnybody,
        GivesItOnce,
        ForgetsItsClaims,
        SettlesOnPaper,
        CreatesEarly,
        ClaimsEarly,
        SettlesEarly,
        EndsWindowsAtRestart,
        SleepsWindowsAway,
        WakesForEver,
        NeverCloses,
        RenewsWindows,
        AsksForNoProof,
        CountsNoGuesses,
        ScramblesTheSecond,
        NeverAcknowledges,
        SettlesForAnybody,
        SettlesOnce,
        WithdrawsWhatWasRead,
        WithdrawsTooLate,
        RefusesItsOwn,
    )
}
