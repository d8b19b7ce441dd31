"""The judge's rules for end-to-end secrets, on histories written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from onetime.crypto import envelope
from tests.faults.device import SIZES, body_of
from tests.faults.history import Act, Event, Kind, Line, Operation, Outcome
from tests.faults.judge import Verdict, judge

CREATED = 1_000_000  # the wall clock when the monotonic one shows 0
TTL = 3600
WINDOW = 600
STATUS = {Outcome.OK: 200, Outcome.REFUSED: 404, Outcome.UNKNOWN: 0}
REFUSED, UNKNOWN = Outcome.REFUSED, Outcome.UNKNOWN


def done(
    act: Act,
    start: float,
    outcome: Outcome = Outcome.OK,
    *,
    status: int | None = None,
    found: str = "",
    device: str = "",
    proof: bool = True,
    **facts: Any,
) -> Operation:
    return Operation(
        act=act,
        marker="one",
        process="main",
        start=start,
        end=start + 0.1,
        at=CREATED + start,
        outcome=outcome,
        status=STATUS[outcome] if status is None else status,
        found=found,
        device=device,
        proof=proof,
        facts=facts,
    )


def create(start: float = 0.0, outcome: Outcome = Outcome.OK, **said: Any) -> Operation:
    facts = {
        "created_at": CREATED,
        "secret_expires_at": CREATED + TTL,
        "expires_at": CREATED + 2 * TTL,
    }
    status = {Outcome.OK: 201, REFUSED: 409, UNKNOWN: 0}[outcome]
    return done(Act.CREATE, start, outcome, status=status, asked_ttl=TTL, **facts | said)


def claim(
    start: float,
    outcome: Outcome = Outcome.OK,
    *,
    device: str = "phone",
    first: float = 1,
    **said: Any,
) -> Operation:
    """`first` is when it was claimed."""
    if outcome is Outcome.OK:
        said = {
            "found": "one",
            "window_ends_at": CREATED + int(first) + WINDOW,
            "now": CREATED + int(start),
            **said,
        }
    return done(Act.CLAIM, start, outcome, device=device, **said)


def settle(
    start: float, outcome: Outcome = Outcome.OK, *, device: str = "phone", at: int = 2
) -> Operation:
    return done(Act.SETTLE, start, outcome, device=device, acknowledged_at=CREATED + at)


def destroy(start: float, outcome: Outcome = Outcome.OK, **said: Any) -> Operation:
    return done(Act.DESTROY, start, outcome, **said)


def withdraw(start: float, outcome: Outcome = Outcome.OK, **said: Any) -> Operation:
    return done(Act.WITHDRAW, start, outcome, **{"state": "burned"} | said)


def track(start: float, state: str, **said: Any) -> Operation:
    facts: dict[str, Any] = {
        "state": state,
        "created_at": CREATED,
        "secret_expires_at": CREATED + TTL,
        "acknowledged": False,
        "acknowledged_at": None,
        "window_ends_at": CREATED + 1 + WINDOW if state == "claimed" else None,
        "wrong_tries": 0,
    }
    return done(Act.TRACK, start, **facts | said)


def settled(start: float) -> Operation:
    return track(start, "revealed", acknowledged=True, acknowledged_at=CREATED + 2)


def event(kind: Kind, start: float, end: float, **said: Any) -> Event:
    return Event(kind=kind, start=start, end=end, **said)


KILL, START = event(Kind.KILL, 5, 6), event(Kind.START, 7, 8)

KEPT: dict[str, list[Line]] = {
    "claimed, again, settled": [
        create(), track(0.5, "new"), claim(1), claim(1.5), track(1.8, "claimed"), settle(2), claim(2.5, REFUSED), settle(3), settled(4),
    ],
    "two at once": [create(), claim(1, REFUSED, device="laptop", status=409), claim(1.05), claim(3)],
    "again for who has forgotten the passphrase": [create(), claim(1), claim(2, proof=False)],
    "guessed and refused": [
        create(), claim(0.5, REFUSED, device="laptop", proof=False, status=403), claim(1),
        track(2, "claimed", wrong_tries=1),
    ],
    "in flight at a kill, and had by the same again": [
        create(), claim(5.1, UNKNOWN), KILL, START, claim(9, first=5), claim(10, REFUSED, device="laptop", status=409),
    ],
    "in flight at a kill, and it did not happen": [
        create(), claim(5.1, UNKNOWN), KILL, START, track(8.5, "new"), claim(9, device="laptop", first=9),
        claim(10, REFUSED, status=409),
    ],
    "a settle in flight at a kill, and it happened": [
        create(), claim(1), settle(5.1, UNKNOWN), KILL, START, claim(9, REFUSED), settle(10, at=5),
    ],
    "created again after an answer that was lost": [
        create(5.1, UNKNOWN), KILL, START, create(9, created_at=CREATED + 5, secret_expires_at=CREATED + 5 + TTL),
        claim(10, first=10),
    ],
    "created again when it was claimed": [create(), claim(1), create(2, REFUSED)],
    "destroyed": [create(), destroy(1), claim(2, REFUSED), withdraw(3, REFUSED), track(4, "burned")],
    "withdrawn in its window": [
        create(), claim(1), withdraw(2, REFUSED, status=409), claim(3, REFUSED), track(4, "revealed"), settle(5, at=5),
    ],
    "over": [create(), claim(1), claim(602, REFUSED), track(603, "revealed"), settle(604, at=604)],
    "claimed in its last second": [create(), claim(TTL - 0.5, first=TTL - 1), claim(TTL + 500, first=TTL - 1)],
    "expired": [create(), claim(TTL, REFUSED), track(TTL + 1, "expired")],
    "slept through": [
        create(), claim(1), KILL, event(Kind.CLOCK, 6.5, 6.5, shift=1200), START,
        claim(9, window_ends_at=CREATED + 1209 + WINDOW, now=CREATED + 1209),
    ],
}  # fmt: skip

BROKEN: dict[str, tuple[str, list[Line]]] = {
    "two devices": ("two-readers", [create(), claim(1), claim(2, device="laptop")]),
    "two devices, the second in part": (
        "two-readers", [create(), claim(1), KILL, claim(5.5, UNKNOWN, device="laptop", found="one")],
    ),
    "two devices around a kill": (
        "two-readers", [create(), claim(1), KILL, START, claim(9, device="laptop", first=9)],
    ),
    "another's": ("wrong-value", [create(), claim(1, found="two")]),
    "other bytes the second time": ("wrong-value", [create(), claim(1), claim(2, found="damaged")]),
    "for a guess": ("opened-wrong", [create(), claim(1, proof=False)]),
    "after a settle": ("returned-settled", [create(), claim(1), settle(2), claim(3)]),
    "after it was destroyed": ("returned-burned", [create(), destroy(1), claim(2)]),
    "and then destroyed": ("returned-burned", [create(), claim(1), destroy(2)]),
    "burned twice": ("returned-burned", [create(), destroy(1), withdraw(2)]),
    "after its sender had ended the window": (
        "returned-burned", [create(), claim(1), withdraw(2, REFUSED, status=409), claim(3)],
    ),
    "at its second": ("returned-expired", [create(), claim(TTL, first=TTL)]),
    "after the window": ("returned-late", [create(), claim(1), claim(602)]),
    "in a window that is renewed": ("returned-late", [create(), claim(1), claim(9, first=9)]),
    "in a window that is too long": ("returned-late", [create(), claim(1, first=9)]),
    "after its receipt said so": ("revived", [create(), claim(1), track(2, "revealed"), claim(3)]),
    "refused with nobody else": ("lost", [create(), claim(1, REFUSED)]),
    "another's, and there is none": ("lost", [create(), claim(1, REFUSED, status=409)]),
    "not again": ("lost", [create(), claim(1), claim(2, REFUSED)]),
    "not again after a kill": ("lost", [create(), claim(1), KILL, START, claim(9, REFUSED)]),
    "not again past its second": (
        "lost", [create(), claim(TTL - 0.5, first=TTL - 1), claim(TTL + 5, REFUSED)],
    ),
    "told that it is another's, though it had it": (
        "lost", [create(), claim(0.9, UNKNOWN, device="laptop"), claim(1), claim(3, REFUSED, status=409)],
    ),
    "the right proof called wrong": ("lost", [create(), claim(1, REFUSED, status=403)]),
    "locked without guesses": ("lost", [create(), claim(1, REFUSED, status=429)]),
    "could not be withdrawn": ("lost", [create(), withdraw(1, REFUSED)]),
    "a settle refused": ("settle-refused", [create(), claim(1), settle(2, REFUSED)]),
    "settled by who never had it": ("settle-lies", [create(), claim(1), settle(2, device="laptop")]),
    "settled at two instants": ("settle-lies", [create(), claim(1), settle(2), settle(4, at=4)]),
    "a create repeated, and refused": ("refused-create", [create(), create(1, REFUSED), claim(2)]),
    "a create repeated, and another": (
        "refused-create", [create(), create(1, created_at=CREATED + 1), claim(2)],
    ),
    "no receipt": ("receipt-lost", [create(), claim(1), done(Act.TRACK, 2, REFUSED)]),
    "new after a claim": ("receipt-lies", [create(), claim(1), track(2, "new")]),
    "claimed by nobody": ("receipt-lies", [create(), track(1, "claimed"), claim(2)]),
    "claimed after a settle": ("receipt-lies", [create(), claim(1), settle(2), track(3, "claimed")]),
    "revealed in its window": ("receipt-lies", [create(), claim(1), track(2, "revealed")]),
    "burned, and it was read": ("receipt-lies", [create(), claim(1), track(2, "burned")]),
    "expired too early": ("receipt-lies", [create(), track(1, "expired"), claim(2)]),
    "not acknowledged": ("receipt-lies", [create(), claim(1), settle(2), track(3, "revealed")]),
    "acknowledged by nobody": (
        "receipt-lies", [create(), claim(1), track(2, "claimed", acknowledged=True)],
    ),
    "acknowledged at another instant": (
        "receipt-lies",
        [create(), claim(1), settle(2), track(3, "revealed", acknowledged=True, acknowledged_at=CREATED)],
    ),
    "a guess that was not counted": (
        "receipt-lies",
        [create(), claim(1, REFUSED, proof=False, status=403), track(2, "new"), claim(3, first=3)],
    ),
    "guesses that nobody made": (
        "receipt-lies", [create(), claim(1), track(2, "claimed", wrong_tries=1)],
    ),
    "nobody tried": ("unchecked", [create()]),
    "no answer": ("unanswered", [create(), claim(1, UNKNOWN), claim(2, first=2)]),
    "an error of the server": ("odd-answer", [create(), claim(1, UNKNOWN, status=500), claim(2)]),
    "no room, and there was": (
        "refused-create", [done(Act.CREATE, 1, REFUSED, status=503, asked_ttl=TTL)],
    ),
}  # fmt: skip


def judged(lines: list[Line]) -> Verdict:
    return judge(sorted(lines, key=lambda line: line.start))


@pytest.mark.parametrize("story", KEPT)
def test_a_kept_promise_is_left_alone(story: str) -> None:
    assert [str(violation) for violation in judged(KEPT[story]).violations] == []


@pytest.mark.parametrize("story", BROKEN)
def test_a_broken_promise_is_named(story: str) -> None:
    rule, lines = BROKEN[story]

    assert rule in judged(lines).rules


def test_what_is_sent_is_of_the_form_of_an_envelope() -> None:
    for size in SIZES:
        body = body_of("marker", size)
        assert envelope.is_body(body)
        assert body != body_of("other", size)
