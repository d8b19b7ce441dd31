"""The black-box checker against `onetime serve`, with small counts; `make faults` has the full ones.

Only what waits for a sweep, which takes minutes of real time, is left to those.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests import needs
from tests.faults.scenarios import NEEDS, QUICK, SCENARIOS, perform


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_server_keeps_every_promise(scenario: str, tmp_path: Path) -> None:
    for need in NEEDS.get(scenario, ()):
        needs.need(need)
    size = replace(QUICK, sweeps=False)

    verdict = perform(scenario, tmp_path, seed=1, size=size).verdict

    assert [str(violation) for violation in verdict.violations] == []
    assert verdict.counts["reveal ok"] > 10
