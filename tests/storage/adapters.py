"""The stores that keep the contract, and how a test opens them: again and again, here and in other processes.

A new adapter is one line in ADAPTERS: how to open it, and where its files lie. What goes wrong on purpose is `Faults`; the
adapter's opener turns it into errors of its own store.
"""

import hashlib
import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onetime.model import Kind
from onetime.storage.port import NewSecret, VaultStore
from onetime.storage.vault import eraser
from onetime.storage.vault.postgres import PostgresVault
from onetime.storage.vault.sqlite import SqliteVault
from onetime.storage.vault.valkey import ValkeyVault
from tests.storage import postgres, valkey

# When every test begins: any instant will do, but not one at which differences could hide.
START = 1_700_000_000
HOUR = 3600
DAY = 86_400
# How long the store waits for the proof of a commit, where a test wants it in vain.
SHORT_PROOF = 0.3


@dataclass(slots=True)
class Clock:
    """The store's clock; time passes by `clock.now += 60`."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Faults:
    """What goes wrong inside the store, and what it was told.

    `broken` is an id: a statement that writes with it among its values fails with `error`; `how_often` bounds that.
    `commit`: the next commit fails as "undone" or as "done", which sounds the same to the store, or as "full"; or the process is
    killed at it, as "killed undone" or "killed done". `refuses`: new connections are refused. `gate`, once cleared, stops the writer where its next transaction would begin.
    """

    broken: bytes | None = None
    error: str = "full"
    how_often: int = 1_000_000
    commit: str | None = None
    refuses: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    begun: int = 0
    committed: int = 0
    refused: int = 0
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def connect(self, path: Path, **options: Any) -> sqlite3.Connection:
        if self.refuses:
            self.refused += 1
            raise _sqlite_error("unable to open database file", sqlite3.SQLITE_CANTOPEN)
        db = sqlite3.connect(path, factory=BreakingConnection, **options)
        db.faults = self
        return db


class BreakingConnection(sqlite3.Connection):
    """Fails as `faults` says, in the way SQLite does: SQLITE_FULL and SQLITE_IOERR roll the transaction back unasked."""

    faults: Faults

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        faults = getattr(self, "faults", None)
        if faults is None:
            return super().execute(sql, parameters)
        faults.told.append(sql)
        if sql == "BEGIN IMMEDIATE":
            faults.begun += 1
            faults.gate.wait()
        if sql == "COMMIT":
            return self._commit(faults)
        if (
            self.in_transaction
            and faults.broken is not None
            and faults.how_often
            and not sql.lstrip().startswith("SELECT")
            and faults.broken in tuple(parameters)
        ):
            faults.how_often -= 1
            super().execute("ROLLBACK")
            raise _named_error(faults.error)
        return super().execute(sql, parameters)

    def _commit(self, faults: Faults) -> sqlite3.Cursor:
        fault, faults.commit = faults.commit, None
        if fault == "full":
            super().execute("ROLLBACK")
        if fault == "killed undone":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault in {"undone", "full"}:
            raise _named_error("full" if fault == "full" else "ioerr")
        done = super().execute("COMMIT")
        if fault == "killed done":
            os.kill(os.getpid(), signal.SIGKILL)
        faults.committed += 1
        if fault == "done":
            raise _named_error("ioerr")
        return done


def _named_error(name: str) -> sqlite3.OperationalError:
    if name == "full":
        return _sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)
    return _sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)


def _sqlite_error(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


# Opens the store at an address. It travels to other processes, so it can be pickled.
Opener = Callable[..., Awaitable[VaultStore]]


@dataclass(frozen=True, slots=True)
class OpenSqlite:
    kind: type[SqliteVault] = SqliteVault

    async def __call__(
        self,
        address: str,
        clock: Callable[[], float],
        *,
        faults: Faults | None = None,
        **options: Any,
    ) -> VaultStore:
        if faults is not None:
            options.setdefault("connect", faults.connect)
        return await self.kind.open(Path(address), clock=clock, **options)


def sqlite_files(address: str) -> Iterable[Path]:
    return Path(address).parent.glob(f"{Path(address).name}*")


def sqlite_parts(address: str, secret_id: bytes) -> list[bytes]:
    """The key of its own that a body is locked under, and the locked body."""
    db = sqlite3.connect(address)
    try:
        number, body = db.execute(
            "SELECT number, body FROM receipt JOIN secret USING (number) WHERE secret_id = ?",
            (secret_id,),
        ).fetchone()
        (slots,) = db.execute(
            "SELECT slots FROM eraser WHERE block = ?", (number // eraser.SLOTS,)
        ).fetchone()
    finally:
        db.close()
    start = eraser._start(number)
    return [slots[start : start + eraser.KEY_BYTES], body]


async def sqlite_address(folder: Path) -> str:
    return str(folder / "vault.db")


@dataclass(frozen=True, slots=True)
class OpenPostgres:
    kind: type[PostgresVault] = PostgresVault

    async def __call__(
        self,
        address: str,
        clock: Callable[[], float],
        *,
        faults: Faults | None = None,
        **options: Any,
    ) -> VaultStore:
        options.setdefault("connect", postgres.connecting(clock, faults))
        # On a busy machine a test may wait longer than a visitor should.
        options.setdefault("patience", 20)
        return await self.kind.open(address, clock=clock, **options)


async def postgres_address(folder: Path) -> str:
    return await postgres.empty_vault()


@dataclass(frozen=True, slots=True)
class OpenValkey:
    kind: type[ValkeyVault] = ValkeyVault

    async def __call__(
        self,
        address: str,
        clock: Callable[[], float],
        *,
        faults: Faults | None = None,
        **options: Any,
    ) -> VaultStore:
        # On a busy machine a test may wait longer than a visitor should.
        options.setdefault("patience", 20)
        return await self.kind.open(
            address, clock=clock, **valkey.shifted(clock, faults), **options
        )


async def valkey_address(folder: Path) -> str:
    return await valkey.empty_vault()


@dataclass(frozen=True, slots=True)
class Adapter:
    """`parts`: all that the files hold of a living secret's content; nothing for a store without files. `address` makes an
    empty store, and may use a folder for it. `needs` is a name of tests.needs. `fails_as_one`: an error of the store undoes a whole
    batch, which is done again.
    """

    name: str
    open: Opener
    files: Callable[[str], Iterable[Path]]
    parts: Callable[[str, bytes], list[bytes]]
    address: Callable[[Path], Awaitable[str]] = sqlite_address
    needs: str = ""
    fails_as_one: bool = True


ADAPTERS = (
    Adapter("sqlite", OpenSqlite(), sqlite_files, sqlite_parts),
    Adapter(
        "postgres", OpenPostgres(), postgres.files, postgres.parts, postgres_address, "postgres"
    ),
    Adapter(
        "valkey",
        OpenValkey(),
        valkey.no_files,
        valkey.no_parts,
        valkey_address,
        "valkey",
        fails_as_one=False,
    ),
)


@dataclass(slots=True)
class Place:
    """An empty store of one adapter, to be opened any number of times. `close` closes all that were opened."""

    adapter: Adapter
    address: str
    opened: list[VaultStore] = field(default_factory=list)

    async def open(self, clock: Callable[[], float], **options: Any) -> Any:
        store = await self.adapter.open(self.address, clock, **options)
        self.opened.append(store)
        return store

    def files(self) -> list[Path]:
        """Every file in which the store keeps something; none for a store behind a network."""
        return sorted(self.adapter.files(self.address))

    def parts(self, secret_id: bytes) -> list[bytes]:
        return self.adapter.parts(self.address, secret_id)

    def holds(self, content: bytes) -> bool:
        """Whether a file holds a stretch of 16 bytes of `content`; 64 of them are looked for, less than a page apart."""
        data = b"\0".join(path.read_bytes() for path in self.files())
        step = max(16, len(content) // 64)
        return any(
            content[at : at + 16] in data for at in range(0, max(1, len(content) - 15), step)
        )

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


def name_of(word: str) -> bytes:
    """An id as the store knows them, the same for the same word: `tag (4) | 35 bytes`.

    The tag is that of the last part, so `secret a` and `receipt a` lie on one shard.
    """
    tag = hashlib.sha256(word.rpartition(" ")[2].encode()).hexdigest()[:4]
    return tag.encode() + word.encode().ljust(35, b".")


def new_secret(word: str = "a", **facts: Any) -> NewSecret:
    """A secret that lives an hour and a receipt that lives two, both named after `word`."""
    created_at = facts.pop("created_at", START)
    ttl = facts.pop("ttl", HOUR)
    known: dict[str, Any] = {
        "secret_id": name_of(f"secret {word}"),
        "receipt_id": name_of(f"receipt {word}"),
        "kind": Kind.CONCEALED,
        "has_passphrase": False,
        "created_at": created_at,
        "expires_at": created_at + ttl,
        "receipt_expires_at": created_at + 2 * ttl,
        "key_number": 1,
        "head": f"head of {word}".encode(),
        "body": f"body of {word}".encode(),
        "wrapped": f"wrapped key of {word}".encode(),
    }
    return NewSecret(**known | facts)
