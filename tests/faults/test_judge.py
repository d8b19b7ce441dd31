"""The judge's rules on histories written by hand, where the second is known in which each thing happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.history import Act, Event, Kind, Line, Operation, Outcome, marker_of, value_of
from tests.faults.judge import Verdict, judge

CREATED = 1_000_000  # the wall clock when the monotonic one shows 0
TTL = 600


def done(
    act: Act, start: float, outcome: Outcome = Outcome.OK, *, took: float = 0.1, **said: Any
) -> Operation:
    status = {Outcome.OK: 200, Outcome.REFUSED: 404, Outcome.UNKNOWN: 0}[outcome]
    found = "one" if act is Act.REVEAL and outcome is Outcome.OK else ""
    return Operation(
        act=act,
        marker="one",
        process="main",
        start=start,
        end=start + took,
        at=CREATED + start,
        outcome=outcome,
        status=said.pop("status", status),
        found=said.pop("found", found),
        facts=said,
    )


def conceal(start: float = 0.0) -> Operation:
    return done(
        Act.CONCEAL,
        start,
        state="new",
        created=CREATED,
        ttl=TTL,
        asked_ttl=TTL,
        secret_ttl=TTL,
        secret_key="key",
    )


def reveal(start: float, outcome: Outcome = Outcome.OK, **said: Any) -> Operation:
    return done(Act.REVEAL, start, outcome, **said)


def burn(start: float, outcome: Outcome = Outcome.OK) -> Operation:
    return done(Act.BURN, start, outcome, state="burned", created=CREATED, ttl=TTL)


def receipt(start: float, state: str, **said: Any) -> Operation:
    facts: dict[str, Any] = {
        "created": CREATED,
        "ttl": TTL,
        "metadata_ttl": int(2 * TTL - start),
        "state": state,
    }
    if state == "new":
        facts |= {"secret_key": "key", "secret_ttl": int(TTL - start)}
    return done(Act.RECEIPT, start, **facts | said)


def event(kind: Kind, start: float, end: float, **said: Any) -> Event:
    return Event(kind=kind, start=start, end=end, **said)


REFUSED, UNKNOWN = Outcome.REFUSED, Outcome.UNKNOWN
KILL, START = event(Kind.KILL, 5, 6), event(Kind.START, 7, 8)

KEPT: dict[str, list[Line]] = {
    "read once": [conceal(), reveal(1), reveal(2, REFUSED), receipt(3, "received", received=CREATED + 1)],
    "two at once, one of them wins": [conceal(), reveal(1, REFUSED), reveal(1.05)],
    "burned": [conceal(), burn(1), reveal(2, REFUSED), burn(3, REFUSED), receipt(4, "burned")],
    "expired": [conceal(), receipt(1, "new"), reveal(TTL, REFUSED), receipt(TTL + 1, "expired")],
    "expired while it was asked for": [conceal(), reveal(TTL - 0.05, REFUSED)],
    "in flight at a kill, and it did not happen": [
        conceal(), reveal(5.1, UNKNOWN), KILL, START, receipt(9, "new"), reveal(10),
    ],
    "in flight at a kill, and it happened": [
        conceal(), reveal(5.1, UNKNOWN), KILL, START, receipt(9, "received", received=CREATED + 5),
        reveal(10, REFUSED),
    ],
    "sent when the server was dead already": [
        conceal(), KILL, reveal(6.5, UNKNOWN), START, reveal(9),
    ],
    "the clock went back before it was swept": [
        conceal(), event(Kind.CLOCK, 1, 1, shift=700), reveal(2, REFUSED),
        receipt(2.5, "expired", metadata_ttl=2 * TTL - 702), event(Kind.CLOCK, 3, 3, shift=-3600),
        receipt(4, "new", secret_ttl=TTL + 3596, metadata_ttl=2 * TTL + 3596), reveal(5),
    ],
    "refused for want of room": [
        event(Kind.FULL, 0, 9), done(Act.CONCEAL, 1, REFUSED, status=503, retry_after="30"),
    ],
}  # fmt: skip

BROKEN: dict[str, tuple[str, list[Line]]] = {
    "read twice": ("two-readers", [conceal(), reveal(1), reveal(2)]),
    "read twice, the second time in part": (
        "two-readers", [conceal(), reveal(1), KILL, reveal(5.5, UNKNOWN, found="one")],
    ),
    "two readers around a kill": (
        "two-readers", [conceal(), reveal(1), KILL, START, reveal(9)],
    ),
    "somebody else's value": ("wrong-value", [conceal(), reveal(1, found="two")]),
    "cut": ("wrong-value", [conceal(), reveal(1, found="damaged")]),
    "refused with nobody else": ("lost", [conceal(), reveal(1, REFUSED)]),
    "refused before the one who read it": ("lost", [conceal(), reveal(1, REFUSED), reveal(2)]),
    "refused a moment too early": ("lost", [conceal(), reveal(TTL - 0.5, REFUSED)]),
    "lost after a receipt had settled it": (
        "lost",
        [conceal(), reveal(5.1, UNKNOWN), KILL, START, receipt(9, "new"), reveal(10, REFUSED)],
    ),
    "nobody tried": ("unchecked", [conceal()]),
    "burned and read": ("returned-burned", [conceal(), burn(1), reveal(2)]),
    "read and burned": ("returned-burned", [conceal(), reveal(1), burn(2)]),
    "burned twice": ("returned-burned", [conceal(), burn(1), burn(2)]),
    "read at its second": ("returned-expired", [conceal(), reveal(TTL)]),
    "read at its second on a shifted clock": (
        "returned-expired", [conceal(), event(Kind.CLOCK, 1, 1, shift=TTL), reveal(2)],
    ),
    "read after the sweep": (
        "returned-swept",
        [
            conceal(), event(Kind.CLOCK, 1, 1, shift=2000),
            event(Kind.SWEPT, 2, 2, before=CREATED + 1400), event(Kind.CLOCK, 3, 3, shift=-3600),
            reveal(4),
        ],
    ),
    "read after its receipt said so": (
        "revived",
        [
            conceal(), reveal(5.1, UNKNOWN), KILL, START, receipt(9, "received", received=CREATED + 5),
            reveal(10),
        ],
    ),
    "still new after it was read": ("receipt-lies", [conceal(), reveal(1), receipt(2, "new")]),
    "read, and nobody did": (
        "receipt-lies", [conceal(), receipt(1, "received", received=CREATED + 1), reveal(2)],
    ),
    "read at another time": (
        "receipt-lies", [conceal(), reveal(1), receipt(2, "received", received=CREATED - 60)],
    ),
    "burned, but it was read": ("receipt-lies", [conceal(), reveal(1), receipt(2, "burned")]),
    "expired too early": ("receipt-lies", [conceal(), receipt(1, "expired"), reveal(2)]),
    "the key in the receipt of what is gone": (
        "receipt-lies", [conceal(), burn(1), receipt(2, "burned", secret_key="key")],
    ),
    "no receipt": ("receipt-lost", [conceal(), reveal(1), done(Act.RECEIPT, 2, REFUSED)]),
    "no answer": ("unanswered", [conceal(), reveal(1, UNKNOWN), reveal(2)]),
    "no answer from the server that was started again": (
        "unanswered", [conceal(), KILL, START, reveal(9, UNKNOWN), reveal(10)],
    ),
    "running at SIGTERM": (
        "dropped", [conceal(), reveal(4, UNKNOWN, took=2), event(Kind.TERM, 5, 6), START, reveal(9)],
    ),
    "a create refused for no reason": ("refused-create", [done(Act.CONCEAL, 1, REFUSED)]),
    "a full disk without Retry-After": (
        "refusal-shape", [event(Kind.FULL, 0, 9), done(Act.CONCEAL, 1, REFUSED, status=503)],
    ),
    "a full disk as 404": (
        "refusal-shape",
        [event(Kind.FULL, 0, 9), done(Act.CONCEAL, 1, REFUSED, retry_after="30")],
    ),
    "an error of the server": ("odd-answer", [conceal(), reveal(1, UNKNOWN, status=500), reveal(2)]),
    "what a scenario saw": ("exit-code", [Event.broken("exit-code", "3 after SIGTERM")]),
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


def test_takes_in_flight_are_counted() -> None:
    counts = judged(KEPT["in flight at a kill, and it happened"]).counts

    assert counts["takes in flight"] == 1
    assert counts["of these happened, to nobody"] == 1


def test_a_value_says_whose_it_is_and_whether_it_is_whole() -> None:
    value = value_of("kill3-1.2", 500)

    assert len(value) == 500
    assert marker_of(value) == "kill3-1.2"
    assert marker_of(value[:-1]) == "damaged"
    assert marker_of(value.replace("kill3", "kill4")) == "damaged"
    assert marker_of("") == "damaged"
