"""Medians, targets, the table, the file of figures and docs/performance.md."""

from __future__ import annotations

import json
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.servers import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
PUBLISHED = ROOT / "bench" / "figures.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# (program, what it was asked, bytes of the secret)
Job = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Target:
    """What we promise ourselves, and what we aim for; `most` where less is better."""

    name: str
    found: float
    must: float
    aim: float
    unit: str = ""
    most: bool = False

    @property
    def verdict(self) -> str:
        def meets(bound: float) -> bool:
            return self.found <= bound if self.most else self.found >= bound

        return "aim" if meets(self.aim) else "pass" if meets(self.must) else "MISS"

    def row(self) -> Sequence[str]:
        sign = "at most" if self.most else "at least"
        return (
            self.name,
            f"{self.found:,.2f}{self.unit}",
            f"{sign} {self.must:g}{self.unit}",
            f"{self.aim:g}{self.unit}",
            self.verdict,
        )


@dataclass(slots=True)
class Figures:
    """All that was measured. `rates` has one value a round, in the order of the rounds."""

    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    rounds: int = 0
    slice_seconds: float = 0.0
    answers: int = 0
    rates: dict[Job, list[float]] = field(default_factory=dict)
    costs: dict[Job, list[float]] = field(
        default_factory=dict
    )  # processor time of an answer, microseconds
    latencies: dict[Job, Mapping[str, float]] = field(default_factory=dict)  # milliseconds
    ceiling: Mapping[str, float] = field(default_factory=dict)
    busiest: float = 0.0  # the generator's largest share of its core in a slice
    others: float = (
        0.0  # what the programs that were not asked used of the servers' core, on average
    )
    strangers: float = 0.0  # what was taken of that core by nobody who takes part, on average
    memory: Mapping[str, Sequence[Mapping[str, int | str]]] = field(default_factory=dict)  # KiB
    flat: dict[tuple[str, int], list[float]] = field(
        default_factory=dict
    )  # (asked, stored secrets)
    store: Mapping[str, float] = field(default_factory=dict)

    def rate(self, job: Job) -> float:
        return statistics.median(self.rates[job])

    def ratio(self, over: Job, under: Job) -> float:
        """Paired: the median of the rounds' ratios, not the ratio of medians."""
        pairs = zip(self.rates[over], self.rates[under], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def flatness(self, asked: str, stored: int) -> float:
        """The rate with so many stored secrets as a share of the rate with the fewest, paired."""
        least = min(count for name, count in self.flat if name == asked)
        pairs = zip(self.flat[asked, stored], self.flat[asked, least], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def as_json(self) -> str:
        plain: dict[str, Any] = asdict(self)
        for name in ("rates", "costs", "latencies", "flat"):
            plain[name] = {" ".join(map(str, key)): value for key, value in plain[name].items()}
        plain["targets"] = [{**asdict(each), "verdict": each.verdict} for each in targets(self)]
        return json.dumps(_rounded(plain), indent=1) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


def percentiles(nanoseconds: Iterable[int]) -> dict[str, float]:
    ordered = sorted(nanoseconds)
    return {
        name: ordered[int(len(ordered) * share)] / 1e6
        for name, share in (("p50", 0.50), ("p99", 0.99), ("p99.9", 0.999))
    }


def targets(figures: Figures) -> list[Target]:
    found = []
    for size, must, aims in ((100, 8.0, (12.0, 11.0)), (10_240, 6.0, (8.0, 8.0))):
        for asked, aim in zip(("create", "reveal"), aims, strict=True):
            ratio = figures.ratio(("onetime", asked, size), ("snappass", asked, size))
            found.append(Target(f"{asked}, {_size(size)}: times SnapPass", ratio, must, aim))
    for asked in ("create", "reveal"):
        ratio = figures.ratio(("onetime", asked, 100), ("noop", asked, 100))
        found.append(Target(f"{asked}, 100 bytes: share of the no-op", ratio, 0.40, 0.40))
    for size in (100, 10_240):
        for asked in ("create", "reveal"):
            ratio = figures.ratio(("records", asked, size), ("onetime", asked, size))
            found.append(Target(f"{asked} by v2, {_size(size)}: share of v1", ratio, 0.85, 0.85))
    for size in (100, 10_240):
        for asked, words in (("create", "create"), ("reveal", "reveal and settle")):
            ratio = figures.ratio(("envelope", asked, size), ("snappass", asked, size))
            name = f"end-to-end {words}, {_size(size)}: times SnapPass"
            found.append(Target(name, ratio, 6.0, 6.0))
    slowest = max(each["p99"] for job, each in figures.latencies.items() if job[0] == "onetime")
    found.append(Target("p99, the slowest of the four", slowest, 25, 15, " ms", most=True))
    most = max(
        int(each["most"]) / 1024
        for name, processes in figures.memory.items()
        if name.startswith("onetime")
        for each in processes
    )
    found.append(Target("memory of a process, at most so far", most, 110, 80, " MiB", most=True))
    for asked in ("create", "reveal"):
        counts = sorted({count for name, count in figures.flat if name == asked})
        if counts:
            worst = min(figures.flatness(asked, count) for count in counts)
            name = f"{asked}: slowest of {counts[0]:,} to {counts[-1]:,} stored, by the first"
            found.append(Target(name, worst, 0.80, 0.90))
    return found


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size // 1024} KiB"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(
        "-" * (width + 1) + ("-" if at == 0 else ":") for at, width in enumerate(widths)
    )
    return "\n".join([line(lines[0]), f"|{rule}|", *map(line, lines[1:])])


def tables(figures: Figures) -> str:
    """Everything, as Markdown that reads as well in a terminal."""
    jobs = [(asked, size) for size in (100, 10_240) for asked in ("create", "reveal")]

    def cells(program: str, asked: str, size: int) -> list[str]:
        job = (program, asked, size)
        late = figures.latencies[job]
        return [f"{figures.rate(job):,.0f}", f"{late['p50']:.1f} / {late['p99']:.1f}"]

    rates = table(
        ["", "Onetime", "p50 / p99, ms", "SnapPass", "p50 / p99, ms", "no-op", "p50 / p99, ms"],
        [
            [
                f"{asked}, {_size(size)}",
                *cells("onetime", asked, size),
                *cells("snappass", asked, size),
                *cells("noop", asked, size),
            ]
            for asked, size in jobs
        ],
    )
    envelopes = table(
        [
            "end-to-end",
            "a second",
            "p50 / p99 of a request, ms",
            "/ SnapPass",
            "processor time, µs",
        ],
        [
            [
                f"{'create' if asked == 'create' else 'reveal and settle'}, {_size(size)}",
                *cells("envelope", asked, size),
                f"{figures.ratio(('envelope', asked, size), ('snappass', asked, size)):.1f}",
                f"{statistics.median(figures.costs['envelope', asked, size]):,.0f}",
            ]
            for asked, size in jobs
        ],
    )
    records = table(
        ["by API v2", "a second", "p50 / p99, ms", "/ v1", "processor time, µs", "of v1, µs"],
        [
            [
                f"{asked}, {_size(size)}",
                *cells("records", asked, size),
                f"{figures.ratio(('records', asked, size), ('onetime', asked, size)):.2f}",
                f"{statistics.median(figures.costs['records', asked, size]):,.0f}",
                f"{statistics.median(figures.costs['onetime', asked, size]):,.0f}",
            ]
            for asked, size in jobs
        ],
    )
    ratios = table(
        ["", "Onetime / SnapPass", "Onetime / no-op"],
        [
            [
                f"{asked}, {_size(size)}",
                f"{figures.ratio(('onetime', asked, size), ('snappass', asked, size)):.1f}",
                f"{figures.ratio(('onetime', asked, size), ('noop', asked, size)):.2f}",
            ]
            for asked, size in jobs
        ],
    )
    costs = table(
        ["processor time of an answer, µs", "Onetime", "SnapPass", "no-op"],
        [
            [
                f"{asked}, {_size(size)}",
                *(
                    f"{statistics.median(figures.costs[name, asked, size]):,.0f}"
                    for name in ("onetime", "snappass", "noop")
                ),
            ]
            for asked, size in jobs
        ],
    )
    memory = table(
        ["memory, MiB", "resident", "at most so far", "proportional share"],
        [
            [
                f"{program}: {each['process']}",
                *(_mib(each[name]) for name in ("resident", "most", "share")),
            ]
            for program, processes in figures.memory.items()
            for each in processes
        ],
    )
    parts = [
        "Requests a second, and how long one took:",
        rates,
        f"Paired ratios (the median of {figures.rounds} rounds):",
        ratios,
        records,
        envelopes,
        costs,
        memory,
    ]
    if figures.flat:
        counts = sorted({count for _, count in figures.flat})
        parts.append(
            table(
                ["stored secrets", *(f"{count:,}" for count in counts)],
                [
                    [
                        f"{asked}, a second",
                        *(
                            f"{statistics.median(figures.flat[asked, count]):,.0f} ({figures.flatness(asked, count):.0%})"
                            for count in counts
                        ),
                    ]
                    for asked in ("create", "reveal")
                ],
            )
        )
    if figures.store:
        parts.append(
            table(
                ["the vault's adapter alone", "operations a second"],
                [[name, f"{rate:,.0f}"] for name, rate in figures.store.items()],
            )
        )
    honest = (
        f"The generator alone reaches {min(figures.ceiling.values()):,.0f} requests a second against a trivial server; "
        f"it was busy for {figures.busiest:.0%} of a slice at most. While one program was asked, the others used "
        f"{figures.others:.1%} of the core on average, and what takes no part in this {figures.strangers:.1%} "
        f"(above a few percent: measure again on a quieter machine). {figures.answers:,} answers were checked; none was wrong."
    )
    parts += [
        textwrap.fill(honest, 120),
        table(
            ["", "found", "must be", "aim", "verdict"], [each.row() for each in targets(figures)]
        ),
        table(["machine", ""], [*figures.machine.items(), *figures.versions.items()]),
    ]
    return "\n\n".join(parts)


def _mib(kib: int | str) -> str:
    return f"{int(kib) / 1024:.0f}"


def publish(figures: Figures) -> None:
    """Put the tables where docs/performance.md has its marks, and the figures beside the scripts."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables(figures)}\n\n{END}{after}", encoding="utf-8")
    PUBLISHED.write_text(figures.as_json(), encoding="utf-8")


def save(figures: Figures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(figures.as_json(), encoding="utf-8")
