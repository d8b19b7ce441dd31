"""build(settings) -> App: the one place that names an adapter or reads a clock."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from onetime.core.envelope import Envelopes
from onetime.core.limits import Limits
from onetime.core.vault import Terms, Vault
from onetime.crypto.hashing import Hasher
from onetime.crypto.keyring import Keyring
from onetime.errors import Misconfigured
from onetime.log import Log
from onetime.metrics import Metrics
from onetime.storage import rootkey
from onetime.storage.port import KeyName
from onetime.storage.vault import schema
from onetime.storage.vault.sqlite import SqliteVault

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from onetime.settings import Settings
    from onetime.storage.port import KeyUse, VaultStore


# Between the clock of a process and that of its store.
CLOCK_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What every way in holds."""

    settings: Settings
    keyring: Keyring
    store: VaultStore
    hasher: Hasher
    vault: Vault
    envelopes: Envelopes
    metrics: Metrics
    log: Log

    @property
    def is_clock_off(self) -> bool:
        """Whether this process's clock and the store's differ by more than they should."""
        return abs(self.store.skew()) > CLOCK_SECONDS

    @property
    def body_limit(self) -> int:
        """Bytes of a request body: the largest secret in the least compact spelling (JSON escapes: six for one), and room
        for the other fields.
        """
        return 6 * self.settings.max_secret_bytes + 65_536


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    hasher: Hasher | None = None,
    log: Log | None = None,
) -> AsyncIterator[App]:
    """Put the pieces together, and take them apart at the end.

    Raises:
        Misconfigured: the data directory, the root key or the data does not allow a start.
        Unavailable: the store is behind a network and cannot be reached.
    """
    directory = data_directory(settings)
    keyring = read_keyring(settings, directory)
    hasher = hasher or Hasher()
    log = log or Log(clock)
    store = await _open_store(settings, directory, clock, log)
    try:
        await store.adopt(
            [KeyName(number=key.number, verifier=key.verifier) for key in keyring.keys]
        )
        terms = Terms(
            max_secret_bytes=settings.max_secret_bytes,
            min_ttl=settings.min_ttl,
            default_ttl=min(settings.default_ttl, settings.anonymous_max_ttl),
            max_ttl=settings.anonymous_max_ttl,
        )
        limits = Limits(store, network_budgets=settings.limits)
        yield App(
            settings=settings,
            keyring=keyring,
            store=store,
            hasher=hasher,
            vault=Vault(store, keyring, hasher, limits, terms),
            envelopes=Envelopes(store, limits, terms, reveal_window=settings.reveal_window),
            metrics=Metrics(),
            log=log,
        )
    finally:
        hasher.close()
        await store.close()
        log.flush()


async def _open_store(
    settings: Settings, directory: Path, clock: Callable[[], float], log: Log
) -> VaultStore:
    if settings.is_postgres or settings.is_valkey:
        adapter = _adapter(settings)
        kind = adapter.PostgresVault if settings.is_postgres else adapter.ValkeyVault
        store = await kind.open(
            settings.vault_url.reveal(), clock=clock, max_bytes=settings.vault_max_bytes
        )
        try:
            for doubt in await store.doubts():
                log.warning("the store cannot keep all promises", reason=doubt)
        except BaseException:
            await store.close()
            raise
        opened: VaultStore = store
        return opened
    return await SqliteVault.open(
        vault_file(directory),
        clock=clock,
        disk_reserve=settings.disk_reserve,
        max_bytes=settings.vault_max_bytes,
    )


def _adapter(settings: Settings) -> ModuleType:
    """The adapter, whose driver only those install who need it."""
    extra = "postgres" if settings.is_postgres else "valkey"
    try:
        return import_module(f"onetime.storage.vault.{extra}")
    except ImportError as error:
        raise Misconfigured(
            f"ONETIME_VAULT_URL: {error.name} is not installed; pip install 'onetime[server,{extra}]'"
        ) from None


async def prepare(settings: Settings) -> None:
    """Make the vault's schema in PostgreSQL or bring it up to date, or load its functions into Valkey.

    Raises:
        Misconfigured: there is nothing to prepare, or it cannot be done.
    """
    if not settings.is_postgres and not settings.is_valkey:
        raise Misconfigured(
            "ONETIME_VAULT_URL names no PostgreSQL or Valkey; a vault in a file needs nothing"
        )
    await _adapter(settings).prepare(settings.vault_url.reveal())


async def inspect_server(settings: Settings) -> list[KeyUse]:
    """What living secrets need, asked as a running service would; changes nothing.

    Raises:
        Misconfigured: the vault cannot be used with this ONETIME_VAULT_URL.
    """
    uses: list[KeyUse] = await _adapter(settings).inspect(settings.vault_url.reveal())
    return uses


def vault_file(directory: Path) -> Path:
    return directory / "vault.db"


def inspect(directory: Path) -> schema.Inspected:
    """What the vault says of itself. Raises Misconfigured where there is none."""
    return schema.inspect(vault_file(directory))


def integrity(directory: Path) -> str | None:
    """What is wrong with the vault's file; None if nothing."""
    return schema.integrity(vault_file(directory))


def data_directory(settings: Settings) -> Path:
    """
    Raises:
        Misconfigured: it is not there and cannot be made, or cannot be written to.
    """
    directory = settings.data_dir.absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without a name that another process could be trying at the same moment.
        with TemporaryFile(dir=directory):
            pass
        found = directory.stat()
    except OSError as error:
        raise Misconfigured(
            f"ONETIME_DATA_DIR: {directory} cannot be written to ({error.strerror})"
        ) from None
    if found.st_uid not in {os.geteuid(), 0} or found.st_mode & 0o022:
        # Whoever can put a file here can put his own key and his own vault here.
        raise Misconfigured(
            f"ONETIME_DATA_DIR: others can write to {directory}; chown it to this user and chmod go-w"
        )
    return directory


def read_keyring(settings: Settings, directory: Path) -> Keyring:
    """
    Raises:
        Misconfigured: a key is missing, malformed or weak.
    """
    given = settings.root_key.reveal()
    if given:
        current = rootkey.parse(given, "ONETIME_ROOT_KEY")
    else:
        current = rootkey.read_or_make(
            directory / "root.key", may_make=not vault_file(directory).exists()
        )
    older = [
        rootkey.parse(text, "ONETIME_OLD_ROOT_KEYS")
        for text in settings.old_root_keys.reveal().split(",")
        if text.strip()
    ]
    return Keyring(current, tuple(older))
