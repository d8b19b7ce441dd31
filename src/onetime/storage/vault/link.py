"""The connection to the one Valkey server that may write: made, checked, lost, and made again.

Only valkey-py's connections are used, without its pools and clients: those repeat commands by themselves, and whether a
command may be repeated is what the vault has to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from valkey import exceptions
from valkey.asyncio.connection import Connection, SSLConnection

from onetime.errors import Misconfigured, Unavailable

DEFAULT_PORT = 6379
# Where several hosts are named, one that is silent keeps nobody from the next.
HOST_SECONDS = 0.5
OLDEST_SERVER = 9

# A library has the name of its version, so that processes of two versions may run side by side.
TEXT = files("onetime.storage.vault").joinpath("valkey.lua").read_text(encoding="utf-8")
VERSION = sha256(TEXT.encode()).hexdigest()[:12]
LIBRARY = f"#!lua name=onetime_{VERSION}\n{TEXT.replace('ONETIME_', f'onetime_{VERSION}_')}"

# What a lost connection sounds like, or a server that cannot serve for the moment and has done nothing.
LOST = (
    OSError,
    TimeoutError,
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
)
TLS = frozenset({"valkeys", "rediss"})

Command = Sequence[bytes | str | int]


class Line(Connection):
    """One connection."""

    @property
    def is_cut(self) -> bool:
        """Whether it is known to lead nowhere: what is sent now would never arrive."""
        return self._reader is None or self._reader.at_eof()

    async def connect(self) -> None:
        """And sign in."""
        await super().connect()

    async def send(self, commands: Iterable[Command]) -> None:
        """Without waiting for replies."""
        await self.send_packed_command(self.pack_commands(commands), check_health=False)

    async def ask(self, *command: bytes | str | int) -> Any:
        await self.send([command])
        return await self.read_response()


class EncryptedLine(SSLConnection, Line):
    """The same, to a server that has shown a certificate of its name."""


Dial = Callable[[str], Line]


def addresses(url: str) -> list[str]:
    """A URL for each of its hosts, of which one is the primary."""
    parts = urlsplit(url)
    signs_in, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{signs_in}{at}{host}").geturl() for host in hosts.split(",")]


def replicas(url: str) -> int:
    """How many replicas have to have what is answered."""
    return int(parse_qs(urlsplit(url).query).get("replicas", ["0"])[0])


def dial(url: str) -> Line:
    """A connection to the one host of `url`, that is not made yet."""
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": parts.port or DEFAULT_PORT,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "socket_timeout": None,
        "lib_name": None,
        "lib_version": None,
    }
    if parts.scheme not in TLS:
        return Line(**options)
    (authority,) = parse_qs(parts.query).get("ca", [None])
    return EncryptedLine(
        **options, ssl_ca_certs=authority, ssl_cert_reqs="required", ssl_check_hostname=True
    )


class Link:
    """At most one connection, made when it is asked for. Not for two tasks at once.

    Without a `library` the functions have to be there.
    """

    def __init__(self, url: str, *, dial: Dial = dial, library: str | None = LIBRARY) -> None:
        self._addresses = addresses(url)
        self._dial = dial
        self._library = library
        self._line: Line | None = None
        self._closed = False

    async def line(self) -> Line:
        """
        Raises:
            Misconfigured: the server is not safe to use.
            Others: LOST, or what Valkey says of a wrong name or password.
        """
        if self._closed:
            raise Unavailable("The store is closed")
        if self._line is not None and not self._line.is_cut:
            return self._line
        await self.give_up()
        *others, last = self._addresses
        for address in others:
            with contextlib.suppress(*LOST):
                async with asyncio.timeout(HOST_SECONDS):
                    self._line = await self._made(address)
                return self._line
        self._line = await self._made(last)
        return self._line

    async def _made(self, address: str) -> Line:
        line = self._dial(address)
        try:
            await line.connect()
            await _check(line)
            await _load(line, self._library)
        except BaseException:
            await _drop(line)
            raise
        return line

    async def give_up(self) -> None:
        """Nothing of the connection is believed any more."""
        line, self._line = self._line, None
        if line is not None:
            await _drop(line)

    async def close(self) -> None:
        self._closed = True
        await self.give_up()


async def _drop(line: Line) -> None:
    with contextlib.suppress(*LOST):
        await line.disconnect(nowait=True)


async def facts(line: Line, section: str) -> dict[str, str]:
    """What INFO says."""
    said = (await line.ask("INFO", section)).decode()
    pairs = (each.partition(":") for each in said.splitlines() if ":" in each)
    return {name: value for name, _, value in pairs}


async def _check(line: Line) -> None:
    server = await facts(line, "server")
    # Another program that speaks like it does not say this.
    if int(server.get("valkey_version", "0").partition(".")[0]) < OLDEST_SERVER:
        raise Misconfigured(
            f"ONETIME_VAULT_URL: this server is too old or no Valkey; {OLDEST_SERVER} is needed"
        )
    if (await facts(line, "cluster")).get("cluster_enabled") == "1":
        raise Misconfigured(
            "ONETIME_VAULT_URL: this Valkey is a node of a cluster; name a single server"
        )
    memory = await facts(line, "memory")
    if memory.get("maxmemory_policy") != "noeviction":
        # Anything else removes what nobody has read, or the receipt of what was.
        raise Misconfigured(
            f"ONETIME_VAULT_URL: this Valkey runs with maxmemory-policy {memory.get('maxmemory_policy')} and cannot "
            "keep the promise; set noeviction"
        )
    if (await facts(line, "replication")).get("role") != "master":
        raise exceptions.ReadOnlyError


async def _load(line: Line, library: str | None) -> None:
    """The functions of this version, if they are not there yet."""
    try:
        await line.ask("FCALL", f"onetime_{VERSION}_key_uses", 0, "", "0", "0")
    except exceptions.ResponseError as error:
        if not is_without_functions(error):
            raise
    else:
        return
    absent = Misconfigured(
        "ONETIME_VAULT_URL: the functions of this version are not there; run `onetime admin prepare` with "
        "ONETIME_VAULT_URL of a user that may load them"
    )
    if library is None:
        raise absent
    try:
        await line.ask("FUNCTION", "LOAD", library)
    except exceptions.NoPermissionError:
        raise absent from None
    except exceptions.ResponseError as error:
        if "already exists" not in f"{error}":  # another process was faster
            raise


def is_without_functions(error: exceptions.ResponseError) -> bool:
    """A server that was emptied or set up anew meanwhile."""
    return "Function not found" in f"{error}"


def is_here(url: str) -> bool:
    """Whether what is said to the server stays on this machine."""
    return all(_is_here(urlsplit(address).hostname or "localhost") for address in addresses(url))


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
