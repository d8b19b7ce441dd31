"""Where the time of a request goes: `python -m bench.profile`.

Starts `onetime serve` as the bench does, keeps it busy with one kind of request, and lets py-spy look at it from outside
many times a second (no change of the program, no flag of it). Prints how the samples fall on threads, on the parts of
the program, and on single lines; `--native` also looks below Python, into SQLite, OpenSSL and uvloop.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import dialects, generator, servers
from bench.dialects import Secrets
from bench.generator import Talk

SAMPLES = 400  # a second

HZ = os.sysconf("SC_CLK_TCK")

# The first that fits one of a stack's frames, innermost first, gets the sample.
PARTS = (
    ("storage", r"onetime/storage/"),
    ("crypto", r"onetime/crypto/"),
    ("log and metrics", r"onetime/(log|metrics)\.py|/logging/"),
    ("core", r"onetime/(core|app|model)"),
    ("web/api", r"onetime/web/api/"),
    ("web", r"onetime/web/"),
    ("uvicorn", r"uvicorn/"),
    ("asyncio, threads", r"asyncio/|concurrent/|threading|queue"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--size", type=int, default=100, help="bytes of a secret (100)")
    parser.add_argument("--seconds", type=float, default=8.0, help="to look for (8)")
    parser.add_argument("--lines", type=int, default=30, help="how many lines to print (30)")
    parser.add_argument("--native", action="store_true", help="look below Python too")
    parser.add_argument("asked", nargs="*", default=["create", "reveal"], help="create, reveal")
    options = parser.parse_args()

    spy = next(
        (
            each
            for each in (servers.RIVALS, Path(sys.executable).parent)
            if (each / "py-spy").exists()
        ),
        None,
    )
    if spy is None:
        raise SystemExit("bench: py-spy is missing; `make bench` makes .venv-bench.")
    cores = servers.share_out()
    with tempfile.TemporaryDirectory(prefix="profile-", dir=servers.results()) as folder:
        server = servers.onetime(Path(folder) / "data", cores.servers)
        try:
            secrets = Secrets(options.size)
            for asked in options.asked:
                profile(server, asked, secrets, spy / "py-spy", options)
        finally:
            server.stop()


def profile(
    server: servers.Server, asked: str, secrets: Secrets, spy: Path, options: argparse.Namespace
) -> None:
    create, reveal = dialects.onetime_create(secrets), dialects.onetime_reveal(secrets)
    talk: Talk = create
    if asked == "reveal":
        talk = reveal
        needed = int(
            generator.run(server.address, create, seconds=1.0).rate * (options.seconds + 5) * 2
        )
        while len(secrets.unread) < needed:
            generator.run(server.address, create, seconds=2.0)
    pid = server.pids()[0]
    assert server.folder is not None
    out = server.folder / "samples"
    command = [spy, "record", "--pid", str(pid), "--output", out, "--format", "raw", "--threads"]
    command += ["--rate", str(SAMPLES), "--duration", str(int(options.seconds)), "--nonblocking"]
    if options.native:
        command.remove("--nonblocking")
        command.append("--native")
    looking = threading.Thread(
        target=subprocess.run,
        args=([str(part) for part in command],),
        kwargs={"capture_output": True},
    )
    generator.run(server.address, talk, seconds=1.0)
    before = processor_time(pid)
    made = generator.run(server.address, talk, seconds=3.0)
    spent = processor_time(pid)
    looking.start()
    looked = generator.run(server.address, talk, seconds=options.seconds)
    looking.join()
    stacks = list(read(out))
    total = sum(count for _, count in stacks)
    print(
        f"\n{asked}, {options.size} bytes: {made.rate:,.0f} a second, "
        f"{looked.rate:,.0f} while looked at; {total} samples\n"
    )
    print("processor time of an answer, microseconds (program, system):")
    for thread, now in sorted(spent.items()):
        user, system = (
            1e6 / HZ * (ticks - earlier) / made.answers
            for ticks, earlier in zip(now, before.get(thread, (0, 0)), strict=True)
        )
        print(f"  {user:6.1f} {system:6.1f}  {thread}")
    print()
    show("threads", total, tally(stacks, lambda frames: frames[0]), 10)
    show("parts", total, tally(stacks, part), 20)
    show("lines, themselves", total, tally(stacks, lambda frames: frames[-1]), options.lines)
    within: Counter[str] = Counter()
    for frames, count in stacks:
        for name in {function(frame) for frame in frames if "onetime/" in frame}:
            within[name] += count
    show("our functions, with all that they call", total, within, options.lines)


def processor_time(pid: int) -> dict[str, tuple[int, int]]:
    """Ticks that each thread has used: the program's own, and the system's for it."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (
            (folder / "stat").read_text(encoding="utf-8").partition("(")[2].rpartition(")")
        )
        fields = rest.split()
        found[f"{folder.name} {name}"] = (int(fields[11]), int(fields[12]))
    return found


def tally(
    stacks: Iterable[tuple[Sequence[str], int]], key: Callable[[Sequence[str]], str]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for frames, count in stacks:
        found[key(frames)] += count
    return found


def read(file: Path) -> Iterable[tuple[list[str], int]]:
    """Frames from the outermost in, each `name (file:line)`, and how often they were seen."""
    for line in file.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def part(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        for name, pattern in PARTS:
            if re.search(pattern, frame):
                return name
    return "other"


def function(frame: str) -> str:
    return re.sub(r":\d+\)$", ")", frame)


def show(title: str, total: int, found: Counter[str], most: int) -> None:
    print(f"{title}:")
    for name, count in found.most_common(most):
        print(f"  {count / total:6.1%}  {name}")
    print()


if __name__ == "__main__":
    main()
