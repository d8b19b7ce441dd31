"""The judge's rules for end-to-end secrets: one device gets it, as often as it asks in its window; the names are those of judge.py.

Of every answer the judge asks what may have come before it, and what surely had. A device *has it* from the first claim that
gave it bytes; a claim without an answer may have made it the one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.faults.history import Act, Kind, Operation, Outcome
from tests.faults.world import Violation, World

ENVELOPE = {Act.CREATE, Act.CLAIM, Act.SETTLE, Act.DESTROY, Act.WITHDRAW, Act.TRACK}

WINDOW_SECONDS = 600
FREE_GUESSES = 10
STATES = ("new", "claimed", "revealed", "burned", "expired")


class Envelope:
    """One secret: everything that was done under its marker."""

    def __init__(self, done: Sequence[Operation], world: World) -> None:
        self._world = world
        self._done = done
        self._marker = done[0].marker
        self._creates = self._ok(Act.CREATE)
        self._had = [each for each in done if each.act is Act.CLAIM and each.found]
        self._settles = self._ok(Act.SETTLE)
        self._burns = [*self._ok(Act.DESTROY), *self._ok(Act.WITHDRAW)]
        facts = self._creates[0].facts if self._creates else {}
        self._created_at = int(facts.get("created_at", 0))
        self._expires_at = int(facts.get("secret_expires_at", 0))
        self._receipt_expires_at = int(facts.get("expires_at", 0))

    def violations(self) -> Iterator[Violation]:
        if not self._creates:
            return
        rules: dict[str, Callable[[], Iterator[str]]] = {
            "two-readers": self._two_readers,
            "wrong-value": self._wrong_values,
            "opened-wrong": self._opened_wrong,
            "returned-settled": self._returned_settled,
            "returned-burned": self._returned_burned,
            "returned-expired": self._returned_expired,
            "returned-late": self._returned_late,
            "revived": self._revived,
            "lost": self._lost,
            "settle-refused": self._settles_refused,
            "settle-lies": self._settle_lies,
            "refused-create": self._creates_refused,
            "receipt-lost": self._receipts_lost,
            "receipt-lies": self._lies,
        }
        for rule, found in rules.items():
            yield from (Violation(rule, self._marker, text) for text in found())
        tried = {Act.CLAIM, Act.DESTROY, Act.WITHDRAW}
        if not any(e.act in tried and e.outcome is not Outcome.UNKNOWN for e in self._done):
            yield Violation("unchecked", self._marker, "nobody tried to open it in the end")

    # Who got it

    def _two_readers(self) -> Iterator[str]:
        devices = {each.device for each in self._had}
        if len(devices) > 1:
            first = min(self._had, key=lambda each: each.end)
            others = [each for each in self._had if each.device != first.device]
            apart = min(each.start for each in others) - first.end
            when = f"{apart:.3f} s apart" if apart > 0 else "at the same time"
            yield f"{len(devices)} devices, {when}"

    def _wrong_values(self) -> Iterator[str]:
        for read in self._ok(Act.CLAIM):
            if read.found != self._marker:
                yield f"got {read.found or 'no value'}"

    def _opened_wrong(self) -> Iterator[str]:
        for read in self._had:
            if not read.proof and not self._may_have_it(read.device, before=read):
                yield f"{read.device} was given it for a wrong proof"

    def _returned_settled(self) -> Iterator[str]:
        for read in self._had:
            if any(settle.end < read.start for settle in self._settles):
                yield f"given to {read.device} after it was settled"

    def _returned_burned(self) -> Iterator[str]:
        if self._burns and self._had:
            yield "given to a device, and burned"
        if len(self._burns) > 1:
            yield f"burned {len(self._burns)} times"
        for read in self._had:
            if any(end.end < read.start for end in self._too_late()):
                yield "given again after its sender had ended the window"

    def _returned_expired(self) -> Iterator[str]:
        for read in self._had:
            late = self._world.server_time(read)[0] - self._expires_at
            if late >= 0 and not self._may_have_it(read.device, before=read):
                yield f"given {late:.3f} s after its second, to who had not claimed it"

    def _returned_late(self) -> Iterator[str]:
        for read in self._ok(Act.CLAIM):
            ends_at, now = read.facts.get("window_ends_at"), read.facts.get("now")
            earliest, latest = self._world.server_time(read)
            if not isinstance(ends_at, int) or not isinstance(now, int):
                yield "without saying until when"
            elif not int(earliest) <= now <= latest:
                yield f"it was {now}, asked between {earliest:.3f} and {latest:.3f}"
            elif not 0 < ends_at - now <= WINDOW_SECONDS:
                yield f"given with {ends_at - now} s to go"
            for first in self._ok(Act.CLAIM):
                said = first.facts.get("window_ends_at")
                if first.end < read.start and said != ends_at and not self._slept(first, read):
                    yield f"the window ended at {said}, and now at {ends_at}"

    def _revived(self) -> Iterator[str]:
        for read in self._had:
            for receipt in self._ok(Act.TRACK):
                state = receipt.facts.get("state")
                if state not in {"revealed", "burned"} or receipt.end >= read.start:
                    continue
                # A window that is over is a matter of the clock, until the sweep.
                if state == "burned" or not self._turned(receipt, read):
                    yield f"given after its receipt had said {state}"

    # Who did not get it

    def _lost(self) -> Iterator[str]:
        for refused in self._refused({Act.CLAIM, Act.DESTROY, Act.WITHDRAW}):
            if refused.status == 404 and not self._may_be_gone(refused):
                yield f"{refused.act} by {refused.device or 'its holder'}: not found"
            elif refused.status == 409 and not self._may_be_anothers(refused):
                yield f"{refused.act} by {refused.device or 'its holder'}: claimed, and by nobody else"
            elif refused.status in {403, 429} and not self._may_be_guessed(refused):
                yield f"{refused.act} with the right proof: {refused.facts.get('code')}"

    def _may_be_gone(self, refused: Operation) -> bool:
        if any(end.start < refused.end for end in self._maybe(Act.SETTLE)):
            return True
        if any(
            burn.start < refused.end and not self._undone(burn, refused)
            for burn in (*self._maybe(Act.DESTROY), *self._maybe(Act.WITHDRAW))
            if burn is not refused
        ):
            return True
        if any(end.start < refused.end for end in self._too_late() if end is not refused):
            return True
        latest = self._world.latest_ever(refused)
        claims = [each for each in self._maybe(Act.CLAIM) if each.start < refused.end]
        # It is over when its window is: the earliest that any claim may have begun.
        if any(latest >= self._world.server_time(each)[0] + WINDOW_SECONDS for each in claims):
            return True
        # A device that surely has it keeps its window past the secret's second.
        surely = any(
            each.end < refused.start and (each.device == refused.device or not refused.device)
            for each in self._had
        )
        return latest >= self._expires_at and not surely

    def _may_be_anothers(self, refused: Operation) -> bool:
        """A device that surely has it is not told that another does."""
        if refused.device and any(
            each.device == refused.device and each.end < refused.start for each in self._had
        ):
            return False
        return any(
            claim.start < refused.end
            and claim.device != refused.device
            and not self._undone(claim, refused)
            for claim in self._maybe(Act.CLAIM)
        )

    def _may_be_guessed(self, refused: Operation) -> bool:
        guesses = [each for each in self._done if not each.proof and each.start < refused.end]
        return not refused.proof or (refused.status == 429 and len(guesses) >= FREE_GUESSES)

    def _settles_refused(self) -> Iterator[str]:
        for refused in self._refused({Act.SETTLE}):
            if self._world.latest_ever(refused) >= self._receipt_expires_at:
                continue
            if any(e.device == refused.device and e.end < refused.start for e in self._had):
                yield f"{refused.device} had it: {refused.status}"

    def _settle_lies(self) -> Iterator[str]:
        for settle in self._settles:
            if not self._may_have_it(settle.device, before=settle):
                yield f"by {settle.device}, which never had it"
        told = {settle.facts.get("acknowledged_at") for settle in self._settles}
        if len(told) > 1:
            yield f"acknowledged at {sorted(map(str, told))}"

    def _creates_refused(self) -> Iterator[str]:
        for refused in self._refused({Act.CREATE}):
            if refused.status != 409:
                continue
            ends = {Act.CLAIM, Act.DESTROY, Act.WITHDRAW}
            over = self._world.latest_ever(refused) >= self._expires_at
            if not over and not any(
                each.act in ends and each.outcome is not Outcome.REFUSED
                for each in self._done
                if each.start < refused.end
            ):
                yield "a create repeated while it was new: conflict"
        for again in self._creates[1:]:
            if again.facts.get("created_at") != self._created_at:
                yield f"repeated, and created at {again.facts.get('created_at')}"

    # Receipts

    def _receipts_lost(self) -> Iterator[str]:
        for refused in self._refused({Act.TRACK}):
            created = any(create.end < refused.start for create in self._creates)
            if created and self._world.latest_ever(refused) < self._receipt_expires_at:
                yield f"status {refused.status}"

    def _lies(self) -> Iterator[str]:
        for create in self._creates[:1]:
            earliest, latest = self._world.server_time(create)
            ttl = create.facts.get("asked_ttl")
            # Repeated after an answer that was lost, it tells of the first.
            firsts = [e for e in self._done if e.act is Act.CREATE and e.start < create.start]
            if not firsts and not int(earliest) <= self._created_at <= latest:
                yield f"created {self._created_at}, asked between {earliest:.3f} and {latest:.3f}"
            if self._expires_at - self._created_at != ttl:
                yield f"lives {self._expires_at - self._created_at} s, asked for {ttl}"
        for burn in self._ok(Act.WITHDRAW):
            if burn.facts.get("state") != "burned":
                yield f"withdrawn, and the state is {burn.facts.get('state')}"
        for receipt in self._ok(Act.TRACK):
            yield from self._receipt_lies(receipt, receipt.facts)

    def _receipt_lies(self, receipt: Operation, facts: dict[str, Any]) -> Iterator[str]:
        state = facts.get("state")
        if (facts.get("created_at"), facts.get("secret_expires_at")) != (
            self._created_at,
            self._expires_at,
        ):
            yield "created and expiring at other instants than its own"
        if state not in STATES:
            yield f"state {state}"
            return
        earlier = [
            each.facts.get("state")
            for each in self._ok(Act.TRACK)
            if each.end < receipt.start and not self._turned(each, receipt)
        ]
        order = {"new": 0, "expired": 0, "claimed": 1, "revealed": 2, "burned": 2}
        for said in earlier:
            if order[str(said)] > order[state]:
                yield f"{state}, after it had said {said}"
        yield from {
            "new": self._new_lies,
            "claimed": self._claimed_lies,
            "revealed": self._revealed_lies,
            "burned": self._burned_lies,
            "expired": self._expired_lies,
        }[state](receipt)
        yield from self._acknowledged_lies(receipt, facts)
        surely = self._wrong(lambda each: each.end < receipt.start and each.status == 403)
        maybe = self._wrong(lambda each: each.start < receipt.end)
        if not surely <= facts.get("wrong_tries", -1) <= maybe:
            yield f"{facts.get('wrong_tries')} wrong tries, of {surely} to {maybe}"

    def _new_lies(self, receipt: Operation) -> Iterator[str]:
        for end in (*self._had, *self._burns, *self._settles):
            if end.end < receipt.start:
                yield f"new, after a {end.act}"
        if self._world.server_time(receipt)[0] >= self._expires_at:
            yield "new, after its second"

    def _claimed_lies(self, receipt: Operation) -> Iterator[str]:
        claims = [each for each in self._maybe(Act.CLAIM) if each.start < receipt.end]
        if not claims:
            yield "claimed, and by nobody"
        for end in (*self._settles, *self._burns, *self._too_late()):
            if end.end < receipt.start:
                yield f"claimed, after a {end.act}"
        ends_at = receipt.facts.get("window_ends_at")
        if not isinstance(ends_at, int) or self._world.server_time(receipt)[0] >= ends_at:
            yield f"claimed, in a window until {ends_at}"

    def _revealed_lies(self, receipt: Operation) -> Iterator[str]:
        claims = [each for each in self._maybe(Act.CLAIM) if each.start < receipt.end]
        if not claims:
            yield "revealed, and to nobody"
            return
        latest = self._world.latest_ever(receipt)
        is_over = any(latest >= self._world.server_time(e)[0] + WINDOW_SECONDS for e in claims)
        ends = [*self._maybe(Act.SETTLE), *self._maybe(Act.WITHDRAW), *self._too_late()]
        if not is_over and not any(end.start < receipt.end for end in ends):
            yield "revealed, in the middle of its window"

    def _burned_lies(self, receipt: Operation) -> Iterator[str]:
        burns = [*self._maybe(Act.DESTROY), *self._maybe(Act.WITHDRAW)]
        if not any(burn.start < receipt.end for burn in burns):
            yield "burned, and by nobody"
        if self._had:
            yield "burned, and a device had it"

    def _expired_lies(self, receipt: Operation) -> Iterator[str]:
        if self._world.latest_ever(receipt) < self._expires_at:
            yield "expired, before its second"
        if any(each.end < receipt.start for each in self._had):
            yield "expired, and a device had it"

    def _acknowledged_lies(self, receipt: Operation, facts: dict[str, Any]) -> Iterator[str]:
        is_told = facts.get("acknowledged")
        if not is_told and any(settle.end < receipt.start for settle in self._settles):
            yield "not acknowledged, after a settle"
        maybe = [each for each in self._maybe(Act.SETTLE) if each.start < receipt.end]
        if is_told and not maybe:
            yield "acknowledged, by nobody"
        for settle in self._settles:
            if is_told and facts.get("acknowledged_at") != settle.facts.get("acknowledged_at"):
                yield f"acknowledged at {facts.get('acknowledged_at')}"

    # What may have been

    def _may_have_it(self, device: str, *, before: Operation) -> bool:
        """By a claim with the right proof that may have come first."""
        return any(
            each.device == device and each.proof and each.start < before.end and each is not before
            for each in self._maybe(Act.CLAIM)
        )

    def _undone(self, maybe: Operation, later: Operation) -> bool:
        """Has a receipt said, between the two, that what had no answer did not happen?"""
        return maybe.outcome is Outcome.UNKNOWN and any(
            receipt.facts.get("state") == "new"
            and receipt.start > maybe.end
            and receipt.end < later.start
            for receipt in self._ok(Act.TRACK)
        )

    def _too_late(self) -> list[Operation]:
        """Its sender was told that somebody had it: then the window was over."""
        return [each for each in self._refused({Act.WITHDRAW}) if each.status == 409]

    def _slept(self, first: Operation, later: Operation) -> bool:
        """May the service have been away between the two, by its own clock?"""
        return self._between(first, later, {Kind.CLOCK, Kind.KILL, Kind.TERM})

    def _turned(self, first: Operation, later: Operation) -> bool:
        return self._between(first, later, {Kind.CLOCK})

    def _between(self, first: Operation, later: Operation, kinds: set[Kind]) -> bool:
        return any(
            event.kind in kinds and event.end >= first.start and event.start <= later.end
            for event in self._world.events
        )

    def _wrong(self, condition: Callable[[Operation], bool]) -> int:
        return sum(not each.proof and condition(each) for each in self._done)

    def _ok(self, act: Act) -> list[Operation]:
        return [each for each in self._done if each.act is act and each.outcome is Outcome.OK]

    def _maybe(self, act: Act) -> list[Operation]:
        """What has happened, or may have; of claims those that gave something or may have."""
        return [
            each
            for each in self._done
            if each.act is act and (each.outcome is not Outcome.REFUSED or each.found)
        ]

    def _refused(self, acts: set[Act]) -> list[Operation]:
        return [each for each in self._done if each.act in acts and each.outcome is Outcome.REFUSED]
