"""Holds a history against the promises. A pure function: no clock, no network, no file.

The rules, by the names that `Violation.rule` uses:

    two-readers        a value reached more than one reader
    wrong-value        a reader got something else than what was shared under that key
    lost               an acknowledged secret was refused before its time, with nobody who could have taken it
    unchecked          nobody ever tried: the checker's own fault
    returned-burned    read although it was burned, or burned although it was read, or burned twice
    returned-expired   read at or after its second
    returned-swept     read after it had expired and been swept, whatever the clock says by then
    revived            read after its receipt had said that it was gone
    receipt-lies       a receipt (or the answer to a create or a burn) said what was not so
    receipt-lost       a receipt was refused while it had to be there
    unanswered         no answer, or one that leaves it open, with no kill or stop to excuse it
    dropped            a request that was running when the server was asked to stop got no answer
    refused-create     a create was refused while there was room
    refusal-shape      a create was refused for want of room, but not with 503 and a Retry-After of whole seconds
    odd-answer         a status that no rule asks for

For end-to-end secrets (envelope.py) `two-readers` is two devices, for a device may have it again, and there is more:

    returned-settled   given to the device again after it had been settled
    returned-late      given again after the window
    opened-wrong       given to a device that has proved nothing
    settle-refused     the device that had it could not settle it
    settle-lies        settled by a device that never had it, or at two instants

Scenarios add rules of their own for what one request cannot show, such as an exit code.

An operation has happened at some instant between its start and its end. So B surely came after A only if B began after A
ended; a refusal is excused by anything that may have come first. A take that was in flight at a kill may have happened or
not. It excuses a refusal, until a later receipt says "new"; it never excuses a second reader.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.envelope import ENVELOPE, Envelope
from tests.faults.history import Act, Kind, Line, Operation, Outcome, events, operations
from tests.faults.world import Violation, World

STOP_MARGIN = 0.1  # seconds before SIGTERM from which on a request counts as running
TAKES = {Act.REVEAL, Act.BURN, Act.CLAIM, Act.DESTROY, Act.WITHDRAW}
GONE = ("received", "burned", "expired")


@dataclass(frozen=True, slots=True)
class Verdict:
    violations: tuple[Violation, ...]
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def rules(self) -> set[str]:
        return {violation.rule for violation in self.violations}


def judge(lines: Iterable[Line]) -> Verdict:
    lines = list(lines)
    world = World(list(events(lines)))
    secrets: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations(lines):
        secrets[operation.marker].append(operation)
    violations = [Violation(e.rule, "", e.text) for e in world.events if e.kind is Kind.BROKEN]
    violations += _values(operations(lines))
    for done in secrets.values():
        violations += (v for operation in done for v in _answer(operation, world))
        kind = Envelope if done[0].act in ENVELOPE else _Secret
        violations += kind(done, world).violations()
    return Verdict(tuple(violations), _counts(lines, secrets))


def _values(done: Iterable[Operation]) -> Iterator[Violation]:
    """Who got which value, whatever key was used."""
    readers: dict[str, list[Operation]] = defaultdict(list)
    for operation in done:
        if operation.act is Act.REVEAL and operation.found:
            readers[operation.found].append(operation)
            if operation.found != operation.marker:
                yield Violation("wrong-value", operation.marker, f"got {operation.found}")
        elif operation.act is Act.REVEAL and operation.outcome is Outcome.OK:
            yield Violation("wrong-value", operation.marker, "got no value")
    for marker, reads in readers.items():
        if len(reads) > 1 and marker != "damaged":
            apart = max(read.start for read in reads) - min(read.end for read in reads)
            when = f"{apart:.3f} s apart" if apart > 0 else "at the same time"
            yield Violation("two-readers", marker, f"{len(reads)} readers, {when}")


def _answer(operation: Operation, world: World) -> Iterator[Violation]:
    """What can be said of one answer alone."""
    act, status, marker = operation.act, operation.status, operation.marker
    if operation.outcome is Outcome.UNKNOWN:
        stop = world.stop_of(operation)
        if stop is None:
            yield Violation("unanswered", marker, f"{act} ended with status {status or 'none'}")
        elif stop.kind is Kind.TERM and operation.start < stop.start - STOP_MARGIN:
            yield Violation("dropped", marker, f"{act} was running at SIGTERM, status {status}")
    asked_for = {0, 201, 404, 409, 503} if act is Act.CREATE else {0, 200, 404, 503}
    if act in ENVELOPE:
        asked_for |= {403, 409, 429}
    if status not in asked_for:
        yield Violation("odd-answer", marker, f"{act} was answered with {status}")
    is_create = act is Act.CONCEAL or (act is Act.CREATE and status != 409)
    if is_create and operation.outcome is Outcome.REFUSED:
        if world.is_full(operation):
            after = str(operation.facts.get("retry_after", ""))
            if status != 503 or not after.isdecimal() or int(after) < 1:
                text = f"status {status}, Retry-After {after or 'missing'}"
                yield Violation("refusal-shape", marker, text)
        elif status != 503 or world.stop_of(operation) is None:
            text = f"status {status}: {operation.facts.get('message', '')}"
            yield Violation("refused-create", marker, text)


class _Secret:
    """One secret: everything that was done under its marker."""

    def __init__(self, done: Sequence[Operation], world: World) -> None:
        self._world = world
        self._done = done
        self._marker = done[0].marker
        self._reads = self._ok(Act.REVEAL)
        self._burns = self._ok(Act.BURN)
        created = self._ok(Act.CONCEAL)
        self._created = created[0] if created else None
        facts = self._created.facts if self._created else {}
        self._created_at = int(facts.get("created", 0))
        self._ttl = int(facts.get("ttl", 0))
        self._expires_at = self._created_at + self._ttl

    def violations(self) -> Iterator[Violation]:
        if self._created is None:
            return
        for text in self._create_lies(self._created):
            yield self._violation("receipt-lies", f"create: {text}")
        yield from self._returned()
        for operation in self._done:
            refused = operation.outcome is Outcome.REFUSED
            if operation.act in {Act.REVEAL, Act.BURN} and refused:
                if not self._excused(operation):
                    text = f"{operation.act} refused: {operation.facts.get('message', '')}"
                    yield self._violation("lost", text)
            elif operation.act is Act.RECEIPT and refused:
                if self._world.latest_ever(operation) < self._expires_at + self._ttl:
                    yield self._violation("receipt-lost", f"status {operation.status}")
            elif operation.act in {Act.RECEIPT, Act.BURN} and operation.outcome is Outcome.OK:
                for text in self._receipt_lies(operation):
                    yield self._violation("receipt-lies", f"{operation.act}: {text}")
        if not any(
            each.act in {Act.REVEAL, Act.BURN} and each.outcome is not Outcome.UNKNOWN
            for each in self._done
        ):
            yield self._violation("unchecked", "nobody tried to read it in the end")

    def _returned(self) -> Iterator[Violation]:
        if self._burns and self._reads:
            order = "after" if self._reads[-1].start > self._burns[0].end else "as well as"
            yield self._violation("returned-burned", f"read {order} it was burned")
        if len(self._burns) > 1:
            yield self._violation("returned-burned", f"burned {len(self._burns)} times")
        for read in self._reads:
            if self._world.server_time(read)[0] >= self._expires_at:
                late = self._world.server_time(read)[0] - self._expires_at
                yield self._violation("returned-expired", f"read {late:.3f} s after its second")
            if self._world.swept_before(read) > self._expires_at:
                yield self._violation("returned-swept", "read after it had been swept")
            for receipt in self._ok(Act.RECEIPT):
                state = receipt.facts.get("state")
                # "expired" is a matter of the clock, until the sweep.
                if state in {"received", "burned"} and receipt.end < read.start:
                    yield self._violation("revived", f"read after its receipt said {state}")

    def _excused(self, refused: Operation) -> bool:
        """Could somebody else, or time, have come first?"""
        if self._world.latest_ever(refused) >= self._expires_at:
            return True
        for take in self._done:
            if take is refused or take.act not in {Act.REVEAL, Act.BURN}:
                continue
            if take.start >= refused.end or take.outcome is Outcome.REFUSED:
                continue
            if take.outcome is Outcome.OK or not self._settled(take, refused):
                return True
        return False

    def _settled(self, take: Operation, refused: Operation) -> bool:
        """Has a receipt said, between the two, that this unknown take did not happen?"""
        return any(
            receipt.facts.get("state") == "new"
            and receipt.start > take.end
            and receipt.end < refused.start
            for receipt in self._ok(Act.RECEIPT)
        )

    def _create_lies(self, created: Operation) -> Iterator[str]:
        facts = created.facts
        earliest, latest = self._world.server_time(created)
        if not int(earliest) <= self._created_at <= latest:
            yield f"created {self._created_at}, asked between {earliest:.3f} and {latest:.3f}"
        if facts.get("state") != "new":
            yield f"state {facts.get('state')}"
        if self._ttl != facts.get("asked_ttl"):
            yield f"ttl {self._ttl}, asked for {facts.get('asked_ttl')}"
        if not self._left(facts.get("secret_ttl"), self._ttl, 0, latest - earliest):
            yield f"secret_ttl {facts.get('secret_ttl')}"

    def _receipt_lies(self, receipt: Operation) -> Iterator[str]:
        facts = receipt.facts
        state = facts.get("state")
        earliest, latest = self._world.server_time(receipt)
        if facts.get("created") != self._created_at or facts.get("ttl") != self._ttl:
            yield f"created {facts.get('created')} and ttl {facts.get('ttl')} are not its own"
        if receipt.act is Act.BURN:
            if state != "burned":
                yield f"the burn succeeded, the state is {state}"
            return
        if state == "new":
            yield from self._new_lies(receipt, earliest, latest)
        elif state in GONE:
            if facts.get("secret_key"):
                yield f"{state}, with the secret's key"
            yield from self._gone_lies(receipt, state, latest)
        else:
            yield f"state {state}"
        left = self._expires_at + self._ttl
        if not self._left(facts.get("metadata_ttl"), left, earliest, latest):
            yield f"metadata_ttl {facts.get('metadata_ttl')}"

    def _new_lies(self, receipt: Operation, earliest: float, latest: float) -> Iterator[str]:
        facts = receipt.facts
        for take in (*self._reads, *self._burns):
            if take.end < receipt.start:
                yield f"new, {receipt.start - take.end:.3f} s after a {take.act}"
        for earlier in self._ok(Act.RECEIPT):
            if earlier.end < receipt.start and earlier.facts.get("state") in {"received", "burned"}:
                yield f"new, after it had said {earlier.facts['state']}"
        if earliest >= self._expires_at:
            yield f"new, {earliest - self._expires_at:.3f} s after its second"
        if self._world.swept_before(receipt) > self._expires_at:
            yield "new, after it had been swept"
        if self._created and facts.get("secret_key") != self._created.facts.get("secret_key"):
            yield "new, without its own secret's key"
        if not self._left(facts.get("secret_ttl"), self._expires_at, earliest, latest):
            yield f"secret_ttl {facts.get('secret_ttl')}"

    def _gone_lies(self, receipt: Operation, state: str, latest: float) -> Iterator[str]:
        ended_by = {"received": Act.REVEAL, "burned": Act.BURN}.get(state)
        others = [
            take
            for take in (*self._reads, *self._burns)
            if take.act is not ended_by
            # What has expired and is not swept yet may be read when the clock goes back.
            and (ended_by is not None or take.end < receipt.start)
        ]
        if others:
            yield f"{state}, yet there was a {others[0].act}"
        if ended_by is None:
            if self._world.latest_ever(receipt) < self._expires_at:
                yield f"expired, {self._expires_at - latest:.3f} s early"
            return
        takes = [
            take
            for take in self._done
            if take.act is ended_by
            and take.outcome is not Outcome.REFUSED
            and take.start < receipt.end
            and not self._settled(take, receipt)
        ]
        if not takes:
            yield f"{state}, and nobody did that"
        elif state == "received":
            times = [self._world.server_time(take) for take in takes]
            received = receipt.facts.get("received")
            if not isinstance(received, int) or not any(
                int(first) <= received <= last for first, last in times
            ):
                yield f"received {received}, read between {times[0][0]:.3f} and {times[0][1]:.3f}"

    @staticmethod
    def _left(said: object, end: float, earliest: float, latest: float) -> bool:
        """Is this a number of seconds until `end`, give or take the second that is running?"""
        return isinstance(said, int) and end - latest - 1 <= said <= max(end - earliest + 1, 0)

    def _ok(self, act: Act) -> list[Operation]:
        return [each for each in self._done if each.act is act and each.outcome is Outcome.OK]

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, self._marker, text)


def _counts(lines: Sequence[Line], secrets: dict[str, list[Operation]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for operation in operations(lines):
        counts["operations"] += 1
        counts[f"{operation.act} {operation.outcome}"] += 1
    for done in secrets.values():
        takes = [each for each in done if each.act in TAKES]
        unknown = [take for take in takes if take.outcome is Outcome.UNKNOWN]
        counts["takes in flight"] += len(unknown)
        if unknown and not any(take.outcome is Outcome.OK for take in takes):
            counts["of these happened, to nobody"] += 1
    return counts
