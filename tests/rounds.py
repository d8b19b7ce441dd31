"""How many rounds a race or a fault gets: a few in `make test`, all of them in `make faults`.

The variable does not begin with ONETIME_, because a server started by a test refuses to start on a
setting that it does not know.
"""

import os
from typing import Any

import pytest


def rounds(quick: int, full: int) -> int:
    """`full` when TEST_ROUNDS=full, else `quick`.

    Tests of a module that imports this name get the mark `rounds`, by which `make faults` finds them.
    """
    return full if is_full() else quick


def is_full() -> bool:
    return os.environ.get("TEST_ROUNDS") == "full"


def in_full(case: Any) -> Any:
    """One more case of a parametrised test, for `make faults` alone: of one kind with those that `make test` runs."""
    return pytest.param(case, marks=pytest.mark.full)
