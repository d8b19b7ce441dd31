"""A live `onetime serve` in a process of its own, with everything it prints."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from onetime.settings import PREFIX
from tests.needs import ROOT
from tests.privacy import canary

PROGRAM = ("onetime",)
READY = b"Onetime is ready at "
START_SECONDS = 30
STOP_SECONDS = 60


class Server:
    """`said` holds what it has written to each stream so far; everything else it could write is below `folder`."""

    def __init__(self, folder: Path, program: Sequence[str] = PROGRAM, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        (folder / "tmp").mkdir(exist_ok=True)
        self.said = {"stdout": b"", "stderr": b""}
        self._ready = threading.Event()
        environ = {name: value for name, value in os.environ.items() if PREFIX not in name}
        given = {"PORT": "0", "DATA_DIR": str(self.data), "DISK_RESERVE": "100000", **settings}
        environ |= {PREFIX + name: value for name, value in given.items()}
        environ |= {"TMPDIR": str(folder / "tmp"), "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", *program, "serve"],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stderr
        self._listeners = [
            self._listen("stdout", self._process.stdout),
            self._listen("stderr", self._process.stderr),
        ]
        self._ready.wait(START_SECONDS)
        lines = self.said["stdout"].splitlines()
        ready = [line for line in lines if line.startswith(READY)]
        if not ready:
            self.kill()
            raise AssertionError(f"the server did not start: {self.said}")
        self.url = ready[0].split()[-1].decode()

    def _listen(self, name: str, stream: IO[bytes]) -> threading.Thread:
        def listen() -> None:
            with stream:
                for line in stream:
                    self.said[name] += line
                    if line.startswith(READY):
                        self._ready.set()
            self._ready.set()

        thread = threading.Thread(target=listen)
        thread.start()
        return thread

    def places(self) -> dict[str, bytes]:
        """Everything it has written anywhere."""
        return canary.read(self.folder) | self.said

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Asks the database past the server."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.data}/vault.db?mode=ro", uri=True)
        ) as db:
            return db.execute(statement).fetchall()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_SECONDS)
        self._join()
        return code

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._join()

    def _join(self) -> None:
        for each in self._listeners:
            each.join(STOP_SECONDS)


@contextlib.contextmanager
def serving(folder: Path, program: Sequence[str] = PROGRAM, **settings: str) -> Iterator[Server]:
    server = Server(folder, program, **settings)
    try:
        yield server
    except OSError as error:
        server.kill()
        raise AssertionError(f"the server answered no more: {server.said}") from error
    finally:
        server.kill()
