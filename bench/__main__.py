"""`make bench`: measures, prints the tables, and says of each target whether it was met.

    python -m bench                 everything, about eight minutes
    python -m bench --rounds 3      less of it
    python -m bench --publish       ... and puts the tables into docs/performance.md

Short slices, one program and one kind of request each, in an order that chance (seeded) gives, with all programs up;
what is compared was measured in the same round. The first wrong answer ends the run: then nothing counts.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench import dialects, facts, generator, report, servers, store
from bench.dialects import Secrets
from bench.generator import Slice, Talk, Void
from bench.report import Figures, Job
from bench.servers import Cores, Server

SIZES = (100, 10_240)
STORED = (1_000, 100_000, 1_000_000)
HZ = os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Program:
    """A running program, and how to talk to it."""

    server: Server
    talk: Callable[[str, Secrets], Talk]
    secrets: Mapping[int, Secrets]

    def run(self, asked: str, size: int, seconds: float) -> Slice:
        try:
            made = generator.run(
                self.server.address, self.talk(asked, self.secrets[size]), seconds=seconds
            )
        except (OSError, Void) as reason:
            self.server.check()
            raise Void(f"{self.server.name}, {asked}, {size} bytes: {reason}") from None
        self.server.check()
        return made

    def stock(self, size: int, count: int) -> None:
        """Have so many to reveal, or a little more."""
        while (missing := count - len(self.secrets[size].unread)) > 0:
            self.run("create", size, min(2.0, 0.02 + missing / 2000))


def onetime_talk(asked: str, secrets: Secrets) -> Talk:
    return (
        dialects.onetime_create(secrets) if asked == "create" else dialects.onetime_reveal(secrets)
    )


def records_talk(asked: str, secrets: Secrets) -> Talk:
    return (
        dialects.records_create(secrets) if asked == "create" else dialects.records_reveal(secrets)
    )


def envelope_talk(asked: str, secrets: Secrets) -> Talk:
    return (
        dialects.EnvelopeCreate(secrets) if asked == "create" else dialects.EnvelopeReveal(secrets)
    )


def snappass_talk(asked: str, secrets: Secrets) -> Talk:
    return (
        dialects.snappass_create(secrets)
        if asked == "create"
        else dialects.snappass_reveal(secrets)
    )


def noop_talk(asked: str, secrets: Secrets) -> Talk:
    """What Onetime would be asked, byte for byte."""
    if not secrets.unread:
        secrets.unread.append(("0" * 31, 0))
    again = (
        dialects.onetime_create(secrets) if asked == "create" else dialects.onetime_reveal(secrets)
    )
    request = again.ask()
    assert request is not None
    return dialects.Noop(request[0])


def talkers(server: Server, talk: Callable[[str, Secrets], Talk]) -> Program:
    return Program(server, talk, {size: Secrets(size) for size in SIZES})


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()


def processor_seconds(found: list[Server]) -> float:
    """User and system time of all their processes so far."""
    ticks = 0
    for server in found:
        for pid in server.pids():
            fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            )
            ticks += int(fields[11]) + int(fields[12])
    return ticks / HZ


def core_ticks(core: int) -> tuple[int, int]:
    """Ticks that a core was busy so far, and those that the machine below it took away."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *counts = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, soft, steal = map(int, counts[:8])
            return user + nice + system + irq + soft, steal
    raise Void(f"there is no core {core}")


def measure_ceiling(figures: Figures, folder: Path, cores: Cores) -> None:
    with running(servers.ours("bench.ceiling", folder / "ceiling", cores.servers)) as server:
        ceiling = {}
        for size in SIZES:
            talk = noop_talk("create", Secrets(size))
            rates = sorted(generator.run(server.address, talk, seconds=1.0).rate for _ in range(3))
            ceiling[f"create, {size} bytes"] = rates[1]
        figures.ceiling = ceiling


def measure_side_by_side(figures: Figures, folder: Path, cores: Cores) -> None:
    dice = random.Random(figures.seed)
    latencies: dict[Job, array[int]] = {}
    others: list[float] = []
    strangers: list[float] = []
    with ExitStack() as stack:

        def up(server: Server, talk: Callable[[str, Secrets], Talk]) -> Program:
            return talkers(stack.enter_context(running(server)), talk)

        onetime = up(servers.onetime(folder / "onetime" / "data", cores.servers), onetime_talk)
        programs = {
            "onetime": onetime,
            # The same server, asked by API v2, and for end-to-end secrets.
            "records": talkers(onetime.server, records_talk),
            "envelope": talkers(onetime.server, envelope_talk),
            "snappass": up(servers.snappass(folder / "snappass", cores.servers), snappass_talk),
            "noop": up(servers.ours("bench.noop", folder / "noop", cores.servers), noop_talk),
        }
        jobs = [
            (name, asked, size)
            for name in programs
            for asked in ("create", "reveal")
            for size in SIZES
        ]
        last: dict[Job, float] = {}
        for name, asked, size in jobs:  # warm up
            if name != "noop":
                programs[name].stock(size, 100)
            last[name, asked, size] = programs[name].run(asked, size, 0.5).rate
        for number in range(figures.rounds):
            dice.shuffle(jobs)
            for job in jobs:
                name, asked, size = job
                program = programs[name]
                if asked == "reveal" and name != "noop":
                    program.stock(size, int(last[job] * figures.slice_seconds * 1.1))
                idle = {id(each.server): each.server for each in programs.values()}
                del idle[id(program.server)]
                used, own = (
                    processor_seconds(list(idle.values())),
                    processor_seconds([program.server]),
                )
                busy, stolen = core_ticks(cores.servers)
                made = program.run(asked, size, figures.slice_seconds)
                used = processor_seconds(list(idle.values())) - used
                own = processor_seconds([program.server]) - own
                busy_now, stolen_now = core_ticks(cores.servers)
                elsewhere = (busy_now - busy + stolen_now - stolen) / HZ - used - own
                figures.costs.setdefault(job, []).append(
                    own / made.answers * made.requests_each * 1e6
                )
                others.append(used / made.seconds)
                strangers.append(max(0.0, elsewhere / made.seconds))
                last[job] = made.rate
                figures.answers += made.answers
                figures.busiest = max(figures.busiest, made.busy)
                figures.rates.setdefault(job, []).append(made.rate)
                latencies.setdefault(job, array("q")).extend(made.latencies)
            shown = ", ".join(
                f"{asked} {size} B: {figures.rates['onetime', asked, size][-1] / figures.rates['snappass', asked, size][-1]:.1f}"
                for size in SIZES
                for asked in ("create", "reveal")
            )
            say(f"round {number + 1} of {figures.rounds}, times SnapPass: {shown}")
        figures.memory = {
            name: facts.memory(each.server)
            for name, each in programs.items()
            if name not in {"records", "envelope"}
        }
    figures.latencies = {job: report.percentiles(found) for job, found in latencies.items()}
    figures.others = sum(others) / len(others)
    figures.strangers = sum(strangers) / len(strangers)


def measure_flatness(figures: Figures, folder: Path, cores: Cores) -> None:
    """Fill over HTTP, so that what lies there is the real thing: each store is a copy of the smaller one, filled up."""
    dice = random.Random(figures.seed + 1)
    folders: list[Path] = []
    secrets = Secrets(100)
    for count in STORED:
        here = folder / f"stored-{count}"
        if folders:
            shutil.copytree(
                folders[-1] / "data", here / "data", ignore=shutil.ignore_patterns("reserve")
            )
        folders.append(here)
        with running(servers.onetime(here / "data", cores.servers)) as server:
            missing = count - len(secrets.unread)
            filled = Filler(dialects.onetime_create(secrets), missing)
            made = generator.run(server.address, filled)
            say(
                f"stored {len(secrets.unread):,} secrets, the last {missing:,} at {made.rate:,.0f} a second"
            )
    with ExitStack() as stack:
        programs = {}
        for count, here in zip(STORED, folders, strict=True):
            server = stack.enter_context(running(servers.onetime(here / "data", cores.servers)))
            mine = Secrets(100, secrets.made, secrets.unread[:count])
            programs[count] = Program(server, onetime_talk, {100: mine})
        jobs = [(asked, count) for count in STORED for asked in ("create", "reveal")]
        for asked, count in jobs:  # warm up
            programs[count].run(asked, 100, 0.3)
        for _ in range(figures.rounds):
            dice.shuffle(jobs)
            for asked, count in jobs:
                program = programs[count]
                if asked == "reveal":
                    program.stock(100, 500)
                made = program.run(asked, 100, figures.slice_seconds / 2)
                figures.answers += made.answers
                figures.flat.setdefault((asked, count), []).append(made.rate)
        figures.memory = {
            **figures.memory,
            **{
                f"onetime with {count:,}": facts.memory(program.server)
                for count, program in programs.items()
            },
        }


class Filler:
    """So many creates and no more."""

    def __init__(self, create: dialects.Create, count: int) -> None:
        self.create = create
        self.left = count
        self.judge = create.judge

    def ask(self) -> tuple[bytes, int] | None:
        if self.left <= 0:
            return None
        self.left -= 1
        return self.create.ask()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, side by side.")
    parser.add_argument("--rounds", type=int, default=11, help="rounds of slices (11)")
    parser.add_argument("--seconds", type=float, default=1.2, help="of one slice (1.2)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the slices (1)")
    parser.add_argument(
        "--skip-flatness", action="store_true", help="leave out the million secrets"
    )
    parser.add_argument("--publish", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()

    cores = servers.share_out()
    figures = Figures(seed=options.seed, rounds=options.rounds, slice_seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="run-", dir=servers.results()) as temporary:
        folder = Path(temporary)
        figures.machine, figures.versions = facts.machine(folder), facts.versions()
        if figures.machine["file system"] in {"tmpfs", "ramfs"}:
            raise SystemExit("bench: the project lies in memory; durable commits need a disk.")
        try:
            measure_ceiling(figures, folder, cores)
            measure_side_by_side(figures, folder, cores)
            if not options.skip_flatness:
                measure_flatness(figures, folder, cores)
            os.sched_setaffinity(0, {cores.servers})
            figures.store = uvloop.run(store.measure(folder / "store.db"))
        except Void as reason:
            print(f"bench: void, nothing counts: {reason}", file=sys.stderr)
            return 1
    say("\n" + report.tables(figures))
    report.save(figures, servers.results() / "last.json")
    if options.publish:
        report.publish(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
