"""Somebody at a shell or a terminal: the installed command in a process of its own, without and with a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.running import ONETIME, PATIENCE_SECONDS, environ

RECEIPT = re.compile(r"https?://\S+/receipt\S+")
CLAIM = re.compile(r"--claim ([A-Za-z0-9_-]{22})")


@dataclass(frozen=True)
class Said:
    code: int
    out: bytes
    err: str

    @property
    def line(self) -> str:
        """The one line of standard output."""
        [line] = self.out.decode().splitlines()
        return line

    @property
    def claim(self) -> str:
        found = CLAIM.search(self.err)
        assert found, self
        return found[1]


@dataclass
class Person:
    """`server` is what ONETIME_SERVER says; `settings` are other variables."""

    server: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def start(
        self, *words: str, passphrase: str | None = None, out: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """In a session of its own, so that there is no terminal to ask at."""
        descriptors: tuple[int, ...] = ()
        if passphrase is not None:
            reading, writing = os.pipe()
            os.write(writing, f"{passphrase}\n".encode())
            os.close(writing)
            words = (*words[:1], "--passphrase-fd", str(reading), *words[1:])
            descriptors = (reading,)
        try:
            return subprocess.Popen(
                [ONETIME, *words],
                env=self.environ(),
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                start_new_session=True,
            )
        finally:
            for each in descriptors:
                os.close(each)

    def run(
        self,
        *words: str,
        given: bytes = b"",
        passphrase: str | None = None,
        out: int = subprocess.PIPE,
    ) -> Said:
        with self.start(*words, passphrase=passphrase, out=out) as process:
            printed, said = process.communicate(given, timeout=PATIENCE_SECONDS)
        return Said(process.returncode, printed or b"", said.decode())

    def share(self, secret: bytes, *words: str, passphrase: str | None = None) -> str:
        """The link."""
        said = self.run("share", *words, given=secret, passphrase=passphrase)
        assert (said.code, said.err) == (0, ""), said
        return said.line

    def share_both(self, secret: bytes, *words: str, passphrase: str | None = None) -> list[str]:
        """Link and receipt."""
        said = self.run("share", "--receipt", *words, given=secret, passphrase=passphrase)
        assert (said.code, said.err) == (0, ""), said
        return said.out.decode().splitlines()

    def state(self, receipt: str) -> str:
        said = self.run("status", receipt)
        assert said.code == 0, said
        return said.out.decode().splitlines()[0].removeprefix("State: ")

    def files(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir())

    def environ(self) -> dict[str, str]:
        """Nothing set but the server, in English, at home in an empty folder."""
        words = ("LANGUAGE", "LC_MESSAGES", "LANG", "NO_COLOR", "XDG_CONFIG_HOME")
        proxies = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "all_proxy", "no_proxy")
        ours = {"LC_ALL": "C.UTF-8", "TERM": "xterm", "HOME": str(self.folder)}
        if self.server:
            ours["ONETIME_SERVER"] = self.server
        kept = {name: value for name, value in environ({}).items() if name not in words + proxies}
        return kept | ours | self.settings

    @contextlib.contextmanager
    def at_terminal(self, *words: str) -> Iterator[Terminal]:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [ONETIME, *words],
            env=self.environ(),
            cwd=self.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - it only makes standard input the terminal
        )
        os.close(slave)
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            process.wait()
            os.close(master)


def take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass
class Terminal:
    """`shown` is everything that stood on it so far, line ends as the program wrote them."""

    master: int
    process: subprocess.Popen[bytes]
    raw: bytes = b""
    _seen: int = 0

    @property
    def shown(self) -> str:
        return self.raw.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, text: str) -> None:
        """Until it stands there, after what was expected before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.shown[self._seen :]:
            assert self._read(deadline), self.shown
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        os.write(self.master, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Ctrl+C, as a key."""
        os.write(self.master, b"\x03")

    def end(self) -> int:
        """The exit code, when it has ended by itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def _read(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        assert left > 0, f"waited in vain: {self.shown}"
        ready, _, _ = select.select([self.master], [], [], left)
        if not ready:
            return True
        try:
            piece = os.read(self.master, 65_536)
        except OSError:  # the other side is closed
            return False
        self.raw += piece
        return bool(piece)
