"""The server under test: a process of its own, started, stopped, killed, and given another clock or a small disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.history import Event, History, Kind

READY = "Onetime is ready at "
START_SECONDS = 30.0
DRAIN_SECONDS = 30.0  # from SIGTERM to the end of the process

ONETIME = (sys.executable, "-m", "onetime", "serve")

HERE = Path(__file__).parent


class Failed(Exception):
    """The server did not do what no scenario can do without, such as starting."""


class Server:
    """`onetime serve`, or a twin, in a process group of its own, with its data in `folder`.

    It takes a free port at its first start and keeps it. The history learns when it was killed, when it was asked to stop
    and when its clock was shifted.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        history: History,
        *,
        data_dir: Path | None = None,
        settings: dict[str, str] | None = None,
        shifted: bool = False,
    ) -> None:
        self._command = tuple(command)
        self._folder = folder
        self._history = history
        self._port = "0"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._clock_file = folder / "clock"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environ = kept | {
            "ONETIME_HOST": "127.0.0.1",
            "ONETIME_DATA_DIR": str(data_dir or folder / "data"),
            "ONETIME_LIMITS": "off",
            "PYTHONPATH": str(HERE.parents[1]),
            **(settings or {}),
        }
        self.base = ""
        if shifted:
            self._clock_file.write_bytes(struct.pack("=q", 0))
            self._environ["FAULTS_CLOCK"] = str(self._clock_file)
            self._environ["PYTHONPATH"] += os.pathsep + str(HERE / "clock")

    def start(self) -> None:
        """Returns when it answers `/health/ready`."""
        since = time.monotonic()
        self._starts += 1
        out = self._folder / f"server-{self._starts}.out"
        with out.open("wb") as stdout, out.with_suffix(".err").open("wb") as stderr:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ | {"ONETIME_PORT": self._port},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            said = [
                line
                for line in out.read_text().splitlines(keepends=True)
                if line.startswith(READY) and line.endswith("\n")
            ]
            if said:
                self.base = said[0].split()[-1]
                self._port = str(urlsplit(self.base).port)
                if self._ready():
                    self._history.add(Event.now(Kind.START, since=since))
                    return
            time.sleep(0.01)
        code = self._process.poll()
        last = out.with_suffix(".err").read_text()[-400:].strip()
        self.end()
        raise Failed(f"the server did not start (exit code {code}): {last}")

    def kill(self) -> None:
        """SIGKILL to the whole process group; returns when nobody listens any more."""
        since = time.monotonic()
        self._kill()
        self._history.add(Event.now(Kind.KILL, since=since))

    def signal_stop(self) -> float:
        """SIGTERM to the first process, as a supervisor sends it. The moment it was sent."""
        assert self._process
        since = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return since

    def wait_stopped(self, since: float) -> None:
        """Until it has ended by itself; the history learns of a late end and of a wrong exit code."""
        assert self._process
        try:
            code = self._process.wait(max(0.0, since + DRAIN_SECONDS - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._history.add(
                Event.broken("drain-time", f"runs {DRAIN_SECONDS:.0f} s after SIGTERM")
            )
            self._kill()
        else:
            if code != 0:
                self._history.add(Event.broken("exit-code", f"{code} after SIGTERM"))
            self._kill()  # whatever of its group has outlived it
        self._history.add(Event.now(Kind.TERM, since=since))

    def stop(self) -> None:
        self.wait_stopped(self.signal_stop())

    def shift_clock(self, seconds: int) -> None:
        """From now on the server's clock is this far from the machine's (see clock/sitecustomize.py)."""
        since = time.monotonic()
        with self._clock_file.open("r+b") as file:  # in place: the server has it mapped
            file.write(struct.pack("=q", seconds))
        self._history.add(Event.now(Kind.CLOCK, since=since, shift=seconds))

    def check_alive(self) -> None:
        """The history learns it if the server has ended by itself."""
        if self._process and self._process.poll() is not None:
            code = self._process.returncode
            self._history.add(Event.broken("died", f"the server ended by itself, exit code {code}"))

    def end(self) -> None:
        """Whatever happened, nothing of it runs on."""
        if self._process:
            self._kill()
            self._process = None

    def _kill(self) -> None:
        assert self._process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + START_SECONDS
        while self._listening() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _listening(self) -> bool:
        if self._port == "0":
            return False
        try:
            socket.create_connection(("127.0.0.1", int(self._port)), timeout=1).close()
        except OSError:
            return False
        return True

    def _ready(self) -> bool:
        parts = urlsplit(self.base)
        with contextlib.suppress(OSError):
            address = (parts.hostname or "", parts.port or 0)
            with socket.create_connection(address, timeout=5) as connection:
                path = f"{parts.path.rstrip('/')}/health/ready"
                request = (
                    f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                )
                connection.sendall(request.encode())
                return b" 200 " in connection.makefile("rb").readline()
        return False


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of this size; needs root."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount:
        raise Failed("mount and umount are needed for a small disk")
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={size_bytes},mode=0700"
    subprocess.run([mount, "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run([umount, str(disk)], check=True)
