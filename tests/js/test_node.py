"""Every *.test.js here, by node's own runner."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.rounds import rounds

FOLDER = Path(__file__).parent
PATIENCE_SECONDS = rounds(120, 600)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.test.js")))
def test_node_finds_nothing_wrong(name: str) -> None:
    needs.node_packages()
    done = subprocess.run(
        [needs.node(), "--test", FOLDER / name],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "\n# tests 0\n" not in done.stdout
