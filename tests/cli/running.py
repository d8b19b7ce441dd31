"""The installed command in processes of its own: run to its end, or serving until it is told to stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

ONETIME = Path(sys.executable).with_name("onetime")
READY = "Onetime is ready at "

# Far beyond what anything here takes: only a fault runs into it.
PATIENCE_SECONDS = 60.0

T = TypeVar("T")


def until(ask: Callable[[], T]) -> T:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return answer


def environ(settings: dict[str, str]) -> dict[str, str]:
    """Ours without any setting, and then these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONETIME_")}
    return kept | settings


def onetime(
    *arguments: str, settings: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [ONETIME, *arguments],
        env=environ(settings or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """`onetime serve` in a process group of its own, so that whatever happens nothing of it runs on."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    umask: int = 0o022
    command: tuple[str, ...] = (str(ONETIME), "serve")
    # How it was found to be reached: http://127.0.0.1:40001/ or unix:/path
    address: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Server:
        defaults = {
            "ONETIME_PORT": "0",
            "ONETIME_DATA_DIR": str(self.data),
            "ONETIME_DISK_RESERVE": "0",
        }
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen(
                self.command,
                env=environ(defaults | self.settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                umask=self.umask,
                start_new_session=True,
            )
        return self

    def ready(self) -> Server:
        """Returns when it answers."""

        def announced() -> list[str]:
            assert self.process.poll() is None, self.stderr()
            return [line for line in self.stdout() if line.startswith(READY)]

        self.address = until(announced)[0].split()[-1]
        until(lambda: self.request("GET", "/health/ready").status == 200)
        return self

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def stdout(self) -> list[str]:
        """Whole lines, so far."""
        lines = self._file("out").read_text().splitlines(keepends=True)
        return [line.rstrip("\n") for line in lines if line.endswith("\n")]

    def stderr(self) -> str:
        return self._file("err").read_text()

    def log(self) -> list[dict[str, Any]]:
        lines = self.stderr().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def connect(self) -> socket.socket:
        if self.address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(self.address.removeprefix("unix:"))
            return connection
        parts = urlsplit(self.address)
        return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_SECONDS)

    def open(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        host = urlsplit(self.address).netloc or "localhost"
        connection = http.client.HTTPConnection(host)
        connection.sock = self.connect()
        return connection

    def request(
        self, method: str, path: str, *, form: dict[str, str] | None = None, host: str = ""
    ) -> Answer:
        with contextlib.closing(self.open()) as connection:
            headers = {"Host": host} if host else {}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, urlencode(form) if form else None, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def share(self, secret: str) -> str:
        """The secret key."""
        answer = self.request("POST", "/api/v1/share", form={"secret": secret})
        assert answer.status == 200, answer
        key: str = answer.json()["secret_key"]
        return key

    def reveal(self, secret_key: str) -> Answer:
        return self.request("POST", f"/api/v1/secret/{secret_key}", form={"continue": "true"})

    def workers(self) -> list[int]:
        """Process ids of those that the first process has started."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """The whole group, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _file(self, kind: str) -> Path:
        return self.folder / f"serve.{kind}"


@contextlib.contextmanager
def serving(
    folder: Path, settings: dict[str, str] | None = None, *, umask: int = 0o022
) -> Iterator[Server]:
    server = Server(folder, settings or {}, umask).start()
    try:
        yield server.ready()
    finally:
        server.kill()


def is_running(pid: int) -> bool:
    """A process that has ended and whose parent has not looked yet does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
