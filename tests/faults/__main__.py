"""The black-box checker: `python -m tests.faults` runs every scenario with full counts and prints a table.

    --scenario NAME     only this one (may be repeated)
    --quick             the small counts of `make test`
    --rounds N          that many kills, stops and storms
    --seed N            a seed of one's own; the one that was used is printed
    --twin NAME         against a twin (tests/faults/twins) instead of `onetime serve`
    --keep FOLDER       keep the histories there; `--judge FOLDER` holds kept ones against the rules again

The exit code is 1 if a promise was broken, or if something is missing here and CI is set.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests import needs
from tests.faults.history import read
from tests.faults.judge import Verdict, judge
from tests.faults.scenarios import FULL, NEEDS, QUICK, SCENARIOS, Result, perform
from tests.faults.server import ONETIME

SEED = 20260101
SHOWN = 20  # violations of one scenario that are printed

COLUMNS = (
    ("asked", ("operations",)),
    ("shared", ("conceal ok", "create ok")),
    ("read", ("reveal ok",)),
    ("claims", ("claim ok",)),
    ("settled", ("settle ok",)),
    ("burned", ("burn ok", "destroy ok", "withdraw ok")),
    (
        "refused",
        ("conceal refused", "reveal refused", "burn refused", "create refused", "claim refused"),
    ),
    ("in flight", ("takes in flight",)),
    ("lost then", ("of these happened, to nobody",)),
)


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.judge:
        verdict = judge(read(options.judge))
        _print_violations(verdict)
        return 1 if verdict.violations else 0

    size = QUICK if options.quick else FULL
    if options.rounds:
        size = replace(size, kills=options.rounds, stops=options.rounds, storms=options.rounds)
    command = (
        (sys.executable, "-m", "tests.faults.twins", options.twin) if options.twin else ONETIME
    )
    print(f"Black-box checker, seed {options.seed}: {' '.join(command[1:])}", flush=True)
    _print_row("scenario", *(title for title, _ in COLUMNS), "seconds", "verdict")
    results = []
    with tempfile.TemporaryDirectory(prefix="onetime-faults-") as made:
        for name in options.scenario or SCENARIOS:
            missing = [need for need in NEEDS.get(name, ()) if needs.find(need) is None]
            for need in missing:
                needs.say_missing(need)
            if not missing:
                folder = (options.keep or Path(made)) / name
                folder.mkdir(parents=True)
                results.append(perform(name, folder, seed=options.seed, size=size, command=command))
                _print_result(results[-1])
    return 1 if any(result.verdict.violations for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--twin")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--judge", type=Path)
    return parser


def _print_result(result: Result) -> None:
    counts = result.verdict.counts
    figures = [sum(counts[name] for name in names) for _, names in COLUMNS]
    kept = "broken" if result.verdict.violations else "kept"
    _print_row(result.name, *figures, f"{result.seconds:.1f}", kept)
    _print_violations(result.verdict)


def _print_violations(verdict: Verdict) -> None:
    for violation in verdict.violations[:SHOWN]:
        print(f"    {violation}")
    if len(verdict.violations) > SHOWN:
        print(f"    and {len(verdict.violations) - SHOWN} more: {', '.join(sorted(verdict.rules))}")


def _print_row(first: object, *others: object) -> None:
    print(f"{first!s:<13}" + "".join(f"{other!s:>10}" for other in others), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
