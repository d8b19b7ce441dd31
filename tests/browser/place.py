"""A live installation to visit: the server, its clock, and what its database holds."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cli.running import Server
from tests.needs import ROOT

OPERATOR, CONTACT = "Example Ltd", "help@example.org"
TERMS = "Be kind.\n\nDo not share what is not yours."

# Of those whose time is not over: the others go when the sweep comes.
COUNTS = """SELECT (SELECT count(*) FROM secret WHERE expires_at > ?1), (SELECT count(*) FROM receipt WHERE expires_at > ?1)"""


@dataclass
class Place:
    """`url` is how visitors call it, with a closing slash; `server` is asked past every proxy."""

    server: Server
    url: str
    clock: Path

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/")[:3])

    def share(self, text: str = "correct horse", **fields: str) -> tuple[str, str]:
        """The keys of a new secret and of its receipt, made over the API."""
        host = self.url.split("/")[2]
        answer = self.server.request(
            "POST", "/api/v1/share", form={"secret": text, **fields}, host=host
        )
        assert answer.status == 200, answer
        made = answer.json()
        return made["secret_key"], made["metadata_key"]

    def stored(self) -> tuple[int, int]:
        """Secrets and receipts in the database."""
        file = f"file:{self.server.data}/vault.db?mode=ro"
        (ahead,) = struct.unpack("=q", self.clock.read_bytes())
        now = time.time() + ahead
        with contextlib.closing(sqlite3.connect(file, uri=True)) as db:
            secrets, receipts = db.execute(COUNTS, (now,)).fetchone()
        return secrets, receipts

    def state(self, receipt_key: str) -> str:
        """As the API's receipt tells it."""
        host = self.url.split("/")[2]
        state: str = self.server.request("GET", f"/api/v1/private/{receipt_key}", host=host).json()[
            "state"
        ]
        return state

    def wait(self, seconds: int) -> None:
        """The server's clock goes on by this much, at once."""
        with self.clock.open("r+b") as file:  # in place: the server has it mapped
            shift = struct.unpack("=q", file.read(8))[0] + seconds
            file.seek(0)
            file.write(struct.pack("=q", shift))


@contextlib.contextmanager
def installed(
    folder: Path, settings: dict[str, str] | None = None, url: str = ""
) -> Iterator[Place]:
    """A server with every part of its pages shown, and the mirrored language. `url`: if it is not the printed address."""
    folder.mkdir(exist_ok=True)
    clock, terms = folder / "clock", folder / "terms.txt"
    clock.write_bytes(struct.pack("=q", 0))
    terms.write_text(TERMS)
    given = {
        "ONETIME_OPERATOR_NAME": OPERATOR,
        "ONETIME_OPERATOR_CONTACT": CONTACT,
        "ONETIME_TERMS_FILE": str(terms),
        "FAULTS_CLOCK": str(clock),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'faults' / 'clock'}",
        **(settings or {}),
    }
    command = (sys.executable, "-m", "tests.browser.pseudo", "serve")
    server = Server(folder, given, command=command).start()
    try:
        server.ready()
        yield Place(server, url or server.address, clock)
    finally:
        server.kill()
