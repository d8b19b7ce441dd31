"""The black-box checker against `onetime serve`, with small counts; and the checker checked: it passes the correct twin and
sees what is wrong with each broken one.

`python -m tests.faults` has the full counts, and whatever waits for a sweep of the server, which takes minutes of real time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests import needs
from tests.faults.judge import Verdict
from tests.faults.scenarios import NEEDS, QUICK, SCENARIOS, Result, perform
from tests.faults.server import ONETIME
from tests.faults.twins.__main__ import TWINS
from tests.rounds import in_full

# Twins sweep twice a second, so whatever is to come comes soon.
SMALL = replace(
    QUICK,
    storms=8,
    mix_seconds=0.5,
    load_seconds=0.6,
    disk_bytes=16_000_000,
    reserve_bytes=4_000_000,
    keep=24,
    kills=2,
    resume_seconds=2.5,
    sweep_seconds=2.5,
)

# Each broken twin: the scenario that has to see it, and a rule that has to be among those it breaks.
BROKEN = {
    "PeekThenDelete": ("race", "two-readers"),
    "OneProcess": ("race-workers", "two-readers"),
    "SetWise": ("race", "two-readers"),
    "ConcealsEarly": (
        "kill",
        "receipt-lost",
    ),  # the secret too, but a reveal in flight may excuse that
    "RevealsEarly": ("kill", "two-readers"),
    "RevivesAfterCrash": ("kill", "two-readers"),
    "AutocommitsAfterRollback": ("disk", "lost"),
    "ForgetsWhenFull": ("disk", "lost"),
    "NoReserve": ("disk", "takes-stopped"),
    "StaysFull": ("disk", "did-not-resume"),
    "RefusesVaguely": ("disk", "refusal-shape"),
    "ReturnsExpired": ("clock", "returned-expired"),
    "ASecondLate": ("clock", "returned-expired"),
    "RevivesWithClock": ("clock", "two-readers"),
    "NeverSweeps": ("clock", "never-swept"),
    "NeverGivesBack": ("clock", "never-swept"),
    "HoardsSwept": ("clock", "returned-swept"),
    "ReturnsBurned": ("race", "returned-burned"),
    "BurnsTwice": ("race", "returned-burned"),
    "StaleReceipt": ("race", "receipt-lies"),
    "WrongEnd": ("race", "receipt-lies"),
    "WrongTime": ("race", "receipt-lies"),
    "LosesReceipt": ("race", "receipt-lost"),
    "Truncates": ("race", "wrong-value"),
    "DropsAtStop": ("term", "dropped"),
    "LosesAtStop": ("term", "lost"),
    "FailsAtStop": ("term", "exit-code"),
    "LooksThenClaims": ("race", "two-readers"),
    "GivesItToAnybody": ("race", "two-readers"),
    "GivesItOnce": ("race", "lost"),
    "ForgetsItsClaims": ("kill", "two-readers"),
    "SettlesOnPaper": ("race", "returned-settled"),
    "CreatesEarly": ("kill", "receipt-lost"),
    "ClaimsEarly": ("kill", "receipt-lies"),
    "SettlesEarly": ("kill", "returned-settled"),
    "EndsWindowsAtRestart": ("kill", "lost"),
    "SleepsWindowsAway": ("clock", "slept-away"),
    "WakesForEver": ("clock", "slept-away"),
    "NeverCloses": ("clock", "returned-late"),
    "RenewsWindows": ("clock", "returned-late"),
    "AsksForNoProof": ("race", "opened-wrong"),
    "CountsNoGuesses": ("race", "receipt-lies"),
    "ScramblesTheSecond": ("race", "wrong-value"),
    "NeverAcknowledges": ("race", "receipt-lies"),
    "SettlesForAnybody": ("race", "settle-lies"),
    "SettlesOnce": ("race", "settle-refused"),
    "WithdrawsWhatWasRead": ("race", "returned-burned"),
    "WithdrawsTooLate": ("race", "returned-burned"),
    "RefusesItsOwn": ("race", "refused-create"),
}


# Most of a performance is waiting, so several go on at once.
AT_ONCE = 4

Performance = tuple[str, str]  # `onetime` or a twin, and a scenario

SERVER = [("onetime", scenario) for scenario in reversed(SCENARIOS)]  # the longest first

CORRECT = [("correct", scenario) for scenario in SCENARIOS]
BREACHES = [(twin, scenario) for twin, (scenario, _) in BROKEN.items()]
# `make test` tries every eighth, `make faults` the others.
SEEN = [each if at % 8 == 0 else in_full(each) for at, each in enumerate(BREACHES)]
# Right in one process: so it is the second one that gives it away, not the load.
UNSEEN = [("OneProcess", "race")]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Performance, Future[Result]]]:
    """Of the tests that were asked for, in the order in which they come."""
    wanted: list[Performance] = [
        item.callspec.params["performance"]
        for item in request.session.items
        if item.getparent(pytest.Module) is request.node and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            performance: pool.submit(perform_against, performance, tmp_path_factory.mktemp("run"))
            for performance in wanted
            if not missing(performance)
        }


def perform_against(performance: Performance, folder: Path) -> Result:
    server, scenario = performance
    if server == "onetime":
        size = replace(QUICK, sweeps=False)
        return perform(scenario, folder, seed=1, size=size, command=ONETIME)
    command = (sys.executable, "-m", "tests.faults.twins", server)
    return perform(scenario, folder, seed=1, size=SMALL, command=command)


def missing(performance: Performance) -> list[str]:
    return [need for need in NEEDS.get(performance[1], ()) if needs.find(need) is None]


def verdict_of(performance: Performance, results: dict[Performance, Future[Result]]) -> Verdict:
    for need in missing(performance):
        needs.need(need)
    return results[performance].result().verdict


def assert_kept(verdict: Verdict) -> None:
    assert [str(violation) for violation in verdict.violations] == []
    assert verdict.counts["reveal ok"] > 0


def test_every_broken_twin_is_tried() -> None:
    assert BROKEN.keys() | {"correct"} == TWINS.keys()


@pytest.mark.parametrize("performance", SERVER, ids="-".join)
def test_the_server_keeps_every_promise(
    performance: Performance, results: dict[Performance, Future[Result]]
) -> None:
    assert_kept(verdict_of(performance, results))


@pytest.mark.parametrize("performance", CORRECT + UNSEEN, ids="-".join)
def test_a_correct_twin_keeps_every_promise(
    performance: Performance, results: dict[Performance, Future[Result]]
) -> None:
    assert_kept(verdict_of(performance, results))


@pytest.mark.parametrize("performance", SEEN, ids="-".join)
def test_a_broken_twin_is_seen(
    performance: Performance, results: dict[Performance, Future[Result]]
) -> None:
    twin, _ = performance

    assert BROKEN[twin][1] in verdict_of(performance, results).rules
