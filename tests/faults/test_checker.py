"""The checker checked: it passes the correct twin, and sees what is wrong with each broken one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests import needs
from tests.faults.scenarios import NEEDS, QUICK, SCENARIOS, Result, perform
from tests.faults.twins.broken import TWINS

# Twins sweep twice a second, so whatever is to come comes soon.
SMALL = replace(
    QUICK,
    storms=8,
    mix_seconds=0.5,
    load_seconds=0.4,
    disk_bytes=16_000_000,
    reserve_bytes=4_000_000,
    keep=24,
    resume_seconds=3.0,
    sweep_seconds=3.0,
)

# Each broken twin: the scenario that has to see it, and a rule that has to be among those it breaks.
BROKEN = {
    "PeekThenDelete": ("race", "two-readers"),
    "OneProcess": ("race-workers", "two-readers"),
    "SetWise": ("race", "two-readers"),
    "ConcealsEarly": ("kill", "lost"),
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
}


def perform_against(twin: str, scenario: str, folder: Path) -> Result:
    for need in NEEDS.get(scenario, ()):
        needs.need(need)
    command = (sys.executable, "-m", "tests.faults.twins", twin)
    return perform(scenario, folder, seed=1, size=SMALL, command=command)


def test_every_broken_twin_is_tried() -> None:
    assert BROKEN.keys() | {"correct"} == TWINS.keys()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_correct_twin_keeps_every_promise(scenario: str, tmp_path: Path) -> None:
    verdict = perform_against("correct", scenario, tmp_path).verdict

    assert [str(violation) for violation in verdict.violations] == []
    assert verdict.counts["reveal ok"] > 10


@pytest.mark.parametrize("twin", BROKEN)
def test_a_broken_twin_is_seen(twin: str, tmp_path: Path) -> None:
    scenario, rule = BROKEN[twin]

    assert rule in perform_against(twin, scenario, tmp_path).verdict.rules


def test_what_is_right_in_one_process_passes_there(tmp_path: Path) -> None:
    """So it is the second process that gives it away, not the load."""
    assert perform_against("OneProcess", "race", tmp_path).verdict.rules == set()
