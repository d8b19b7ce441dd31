"""Four processes with one data directory: every limit is one limit, and one start makes one key."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from onetime.core.vault import Wish
from onetime.model import State
from tests.core.opening import START, Clock, opened
from tests.needs import ROOT
from tests.rounds import rounds

WORKERS = 4
PATIENCE_SECONDS = 60


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


def together(
    folder: Path, job: str, *arguments: Any, workers: int = WORKERS, **settings: Any
) -> tuple[Counter[str], int]:
    """What came of it in all of them together: outcomes, and hashes made. All begin when all are there."""
    outcomes: Counter[str] = Counter()
    hashes = 0
    crew: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        for number in range(workers):
            given = [str(folder), str(START), json.dumps(settings), job, str(number)]
            command = [sys.executable, "-m", "tests.core.worker", *given, json.dumps(arguments)]
            crew.append(stack.enter_context(started(command)))
        for process in crew:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in crew:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in crew:
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0
            result = json.loads(said)
            outcomes.update(result["outcomes"])
            hashes += result["hashes"]
    return outcomes, hashes


async def test_wrong_ones_from_one_network_spend_one_budget(tmp_path: Path, clock: Clock) -> None:
    for _ in range(rounds(1, 5)):
        async with opened(tmp_path, clock) as app:
            made = await app.vault.conceal("correct horse", Wish(passphrase="battery staple"))
            outcomes, hashes = together(tmp_path, "guess_from_one_network", made.secret_key, 16)
            assert outcomes == {"WrongPassphrase": 5, "RateLimited": 59}
            assert hashes == 5
            receipt = await app.vault.receipt(made.receipt.receipt_key)
            assert (receipt.state, receipt.wrong_tries) == (State.NEW, 5)


async def test_wrong_ones_from_everywhere_spend_one_budget(tmp_path: Path, clock: Clock) -> None:
    for _ in range(rounds(1, 5)):
        async with opened(tmp_path, clock) as app:
            made = await app.vault.conceal("correct horse", Wish(passphrase="battery staple"))
            outcomes, hashes = together(
                tmp_path, "guess_from_everywhere", made.secret_key, 16, limits=False
            )
            assert outcomes == {"WrongPassphrase": 20, "RateLimited": 44}
            assert hashes == 20
            receipt = await app.vault.receipt(made.receipt.receipt_key)
            assert (receipt.state, receipt.wrong_tries) == (State.NEW, 20)


async def test_right_ones_open_once_and_none_is_told_as_wrong(tmp_path: Path, clock: Clock) -> None:
    for _ in range(rounds(1, 5)):
        async with opened(tmp_path, clock) as app:
            made = await app.vault.conceal("correct horse", Wish(passphrase="battery staple"))
            outcomes, _ = together(tmp_path, "open_", made.secret_key, "battery staple")
            assert outcomes == {"correct horse": 1, "NotFound": 15}
            receipt = await app.vault.receipt(made.receipt.receipt_key)
            assert (receipt.state, receipt.wrong_tries) == (State.REVEALED, 0)


def test_a_network_makes_a_thousand_secrets_whichever_process_it_asks(tmp_path: Path) -> None:
    outcomes, _ = together(tmp_path, "conceal", 300, 10)
    assert outcomes == {"done": 1000, "RateLimited": 200}


def test_the_total_size_is_that_of_all_processes(tmp_path: Path) -> None:
    outcomes, _ = together(tmp_path, "conceal", 50, 10_000, vault_max_bytes=1_000_000)
    assert set(outcomes) == {"done", "Full"}
    assert sum(outcomes.values()) == 200
    # Each takes three pages of 4096 and little more, of 1,000,000 bytes less what an empty vault takes.
    assert 60 < outcomes["done"] < 1_000_000 // 10_000
    assert sum(file.stat().st_size for file in tmp_path.glob("vault.db")) <= 1_000_000


def test_one_create_that_is_repeated_everywhere_is_one_secret(tmp_path: Path) -> None:
    outcomes, _ = together(tmp_path, "conceal_once", 16, "0123456789abcdef" * 2)
    assert list(outcomes.values()) == [64]


def test_of_processes_that_start_at_once_one_makes_the_key(tmp_path: Path) -> None:
    for number in range(rounds(2, 6)):
        folder = tmp_path / str(number)
        outcomes, _ = together(folder, "name_key", workers=8)
        assert list(outcomes.values()) == [8], outcomes
        [verifier] = outcomes
        assert len(verifier) == 64
        assert (folder / "root.key").stat().st_mode & 0o777 == 0o600
        assert not [name.name for name in folder.iterdir() if name.name.startswith(".")]
