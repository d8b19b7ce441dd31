"""`onetime admin`: for whoever runs the service."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from onetime.cli.terminal import say
from onetime.errors import Misconfigured
from onetime.settings import PREFIX, Settings

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def admin() -> None:
    """Look after an installation."""


@admin.command()
def settings() -> None:
    """Every setting with the value in force."""
    now = Settings.from_env(os.environ)
    for each in fields(Settings):
        say(f"{PREFIX}{each.name.upper()}={_shown(getattr(now, each.name))}")


@admin.command()
def check() -> None:
    """Integrity, permissions, key and free space. Ends with 1 if something is wrong."""
    findings = asyncio.run(_findings(Settings.from_env(os.environ)))
    for good, line in findings:
        say(f"{'ok   ' if good else 'WRONG'} {line}")
    if not all(good for good, _ in findings):
        raise SystemExit(1)


async def _findings(settings: Settings) -> list[tuple[bool, str]]:
    from onetime.app import data_directory, read_keyring, vault_file  # noqa: PLC0415

    directory = settings.data_dir.absolute()
    if not vault_file(directory).exists():
        return [(False, f"there is no vault in {directory}; `onetime serve` makes one")]
    findings = []
    try:
        data_directory(settings)
        findings.append((True, f"the data directory {directory} can be written to"))
        keyring = read_keyring(settings, directory)
        findings.append((True, "the root key can be read"))
        findings += await _vault_findings(settings, directory, keyring)
    except Misconfigured as error:
        findings.append((False, str(error)))
    findings += _modes(directory)
    findings.append(_space(settings, directory))
    return findings


async def _vault_findings(
    settings: Settings, directory: Path, keyring: Keyring
) -> list[tuple[bool, str]]:
    from onetime.app import vault_file  # noqa: PLC0415
    from onetime.storage.port import KeyName  # noqa: PLC0415
    from onetime.storage.vault.sqlite import SqliteVault, integrity  # noqa: PLC0415

    path = vault_file(directory)
    wrong = integrity(path)
    findings = [(wrong is None, wrong or f"{path} is whole")]
    store = await SqliteVault.open(
        path, clock=time.time, disk_reserve=0, max_bytes=settings.vault_max_bytes
    )
    try:
        names = [KeyName(number=key.number, verifier=key.verifier) for key in keyring.keys]
        await store.adopt(names)
        findings.append((True, "the root key is the one of this data"))
        for use in await store.key_uses():
            if use.number != keyring.current.number:
                until = datetime.fromtimestamp(use.needed_until, UTC).isoformat(" ", "seconds")
                findings.append((True, f"an older root key may go after {until}"))
    finally:
        await store.close()
    return findings


def _modes(directory: Path) -> list[tuple[bool, str]]:
    findings = []
    for path in sorted([directory, *directory.iterdir()]):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            findings.append((False, f"{path} can be read by others (mode {mode:o}); chmod go-rwx"))
    return findings or [(True, "nobody else can read the data directory")]


def _space(settings: Settings, directory: Path) -> tuple[bool, str]:
    free = shutil.disk_usage(directory).free
    enough = free >= settings.disk_reserve
    return enough, f"{free // 1_000_000} MB are free on the disk"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return "" if value is None else f"{value}"


if TYPE_CHECKING:
    from onetime.crypto.keyring import Keyring
