"""The connection to the one PostgreSQL server that may write: made, checked, lost, and made again.

A session is told all that the promise rests on (SESSION), whatever the server's own defaults are. Of a connection that was
given up the server's side may still be running, even committing: before a new one is used, that process is ended and waited for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from onetime.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from datetime import datetime

Connect = Callable[..., Awaitable[asyncpg.Connection]]

SESSION = {
    "application_name": "onetime",
    # A commit is on the disk (and on synchronous replicas, where there are some) before anybody is answered.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "search_path": "pg_catalog",
    # Milliseconds. A process that stops in mid-transaction keeps nobody's rows for longer than callers wait.
    "statement_timeout": "5000",
    "lock_timeout": "1500",
    "idle_in_transaction_session_timeout": "1000",
    # Statements are few, small and known: one plan for each, by index, also while a table is young and has no statistics.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # Kilobytes. What a batch takes is on its way to its readers and must not pass through a temporary file.
    "work_mem": "131072",
}

CHECK = """SELECT current_setting('fsync') AS fsync, pg_is_in_recovery() AS is_replica, pg_backend_pid() AS pid,
(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started"""
# Milliseconds to wait for its end. A process of the same role may be ended by it.
END = """SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"""

OLDEST_SERVER = (14, 0)

# What a lost connection sounds like; nothing else is wrong, so it is made again.
LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)


class Primary:
    """At most one connection, made when it is asked for. Not for two tasks at once."""

    def __init__(self, url: str, *, connect: Connect = asyncpg.connect) -> None:
        self._url = url
        self._connect = connect
        self._ssl = _encryption(url)
        self._db: asyncpg.Connection | None = None
        self._process: tuple[int, datetime] | None = None
        self._given_up: tuple[int, datetime] | None = None
        self._closed = False

    async def connection(self) -> asyncpg.Connection:
        """
        Raises:
            Misconfigured: the server is not safe to use.
            Others: LOST, or what PostgreSQL says of a wrong name or password.
        """
        if self._closed:
            raise Unavailable("The store is closed")
        if self._db is not None and not self._db.is_closed():
            return self._db
        self.give_up()
        db = await self._connect(
            self._url,
            server_settings=SESSION,
            target_session_attrs="primary",
            max_cached_statement_lifetime=0,
            ssl=self._ssl,
        )
        try:
            process = await self._check(db)
            if self._given_up is not None:
                await self._end(db, *self._given_up)
                self._given_up = None
        except BaseException:
            db.terminate()
            raise
        self._db, self._process = db, process
        return db

    @staticmethod
    async def _end(db: asyncpg.Connection, pid: int, started: datetime) -> None:
        if await db.fetchval(END, pid, started) is False:
            raise TimeoutError

    async def roll_back(self, deadline: float) -> None:
        """Whatever is open on the connection, if there is one."""
        if self._db is None or self._db.is_closed():
            return
        try:
            await bounded(self._db.execute("ROLLBACK"), deadline)
        except (*LOST, asyncpg.PostgresError):
            self.give_up()

    def give_up(self) -> None:
        """Nothing of the connection is believed any more."""
        if self._db is not None:
            self._db.terminate()
            self._given_up = self._process
            self._db = None

    async def close(self) -> None:
        self._closed = True
        db, self._db = self._db, None
        if db is not None and not db.is_closed():
            try:
                await db.close(timeout=1)
            except LOST:
                db.terminate()

    @staticmethod
    async def _check(db: asyncpg.Connection) -> tuple[int, datetime]:
        version = db.get_server_version()
        if version[:2] < OLDEST_SERVER:
            raise Misconfigured(
                f"ONETIME_VAULT_URL: PostgreSQL {version[0]} is too old; {OLDEST_SERVER[0]} is needed"
            )
        found = await db.fetchrow(CHECK)
        if found["fsync"] != "on":
            # After a power cut it may bring back what was read, or have lost what was kept.
            raise Misconfigured(
                "ONETIME_VAULT_URL: this PostgreSQL runs with fsync=off and cannot keep the promise; "
                "set fsync=on"
            )
        if found["is_replica"]:
            raise asyncpg.TargetServerAttributeNotMatched
        return found["pid"], found["started"]


def _encryption(url: str) -> Any:
    """What `asyncpg.connect` takes as `ssl`. Where the URL says nothing, what leaves the machine is encrypted and the server
    has to show a certificate of its name.
    """
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    if "sslmode" in options:
        return None
    hosts = [*options.get("host", [])]
    hosts += [
        each.rpartition(":")[0] or each for each in parts.netloc.rpartition("@")[2].split(",")
    ]
    if all(_is_here(host) for host in hosts if host):
        return None
    if "sslrootcert" in options:
        return "verify-full"
    return ssl.create_default_context()


def _is_here(host: str) -> bool:
    host = host.strip("[]")
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def bounded(waiting: Any, deadline: float) -> Any:
    """
    Raises:
        TimeoutError: at `deadline`, by the loop's clock.
    """
    async with asyncio.timeout_at(deadline):
        return await waiting
