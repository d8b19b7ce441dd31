"""`onetime admin`: for whoever runs the service."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import time
from base64 import b64encode
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from onetime import __version__
from onetime.cli.serve import need_parts
from onetime.cli.terminal import say
from onetime.errors import Misconfigured, Unavailable
from onetime.settings import PREFIX, Sensitive, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field
    from pathlib import Path

    from onetime.crypto.keyring import Keyring

MEGABYTE = 1_000_000


@click.group()
def admin() -> None:
    """Look after an installation."""
    os.umask(0o077)


# Settings


@admin.command()
@click.option("--markdown", is_flag=True, help="The page docs/settings.md instead.")
def settings(*, markdown: bool) -> None:
    """Every setting with the value in force; secrets as ***."""
    if markdown:
        for line in page():
            say(line)
        return
    now = Settings.from_env(os.environ)
    for each in fields(Settings):
        say(f"{variable(each)}={shown(getattr(now, each.name))}")


def variable(each: Field[Any]) -> str:
    return PREFIX + each.name.upper()


def shown(value: object) -> str:
    """As it would be written in the environment."""
    if isinstance(value, Sensitive):
        return f"{value}" if value.reveal() else ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return "" if value is None else f"{value}"


def page() -> Iterator[str]:
    """docs/settings.md, line by line. A test holds the file against it."""
    yield "# Settings"
    yield ""
    yield "<!-- Made by `onetime admin settings --markdown`; the reasons are written in src/onetime/settings.py. -->"
    yield ""
    yield "The service is configured by environment variables. Nothing has to be set to try it."
    yield ""
    yield "- Sizes are bytes, times are seconds. Whole numbers may be written `10_000_000`. Switches are `on` or `off`."
    yield "- Instead of a variable, the same name with `_FILE` at its end may name a file to read the value from, as"
    yield "  container secrets are given: `ONETIME_ROOT_KEY_FILE=/run/secrets/root_key`. Both at once are refused."
    yield "- A variable that begins with `ONETIME_` and is not listed here stops the start: a typing error must not"
    yield "  quietly mean the default. The names that existing clients read (`ONETIME_CUSTID`, `ONETIME_APIKEY`,"
    yield "  `ONETIME_SERVER`) do not."
    yield "- `onetime admin settings` shows the values in force; root keys and the vault's URL as `***`."
    yield ""
    yield "| Variable | Default | What it is |"
    yield "|---|---|---|"
    for each in fields(Settings):
        default = shown(each.default)
        yield f"| `{variable(each)}` | {f'`{default}`' if default else ''} | {_reason(each)} |"


def _reason(each: Field[Any]) -> str:
    least, most = each.metadata["least"], each.metadata["most"]
    bounds = [f"at least {least}"] if least else []
    bounds += [f"at most {most}"] if most else []
    reason: str = each.metadata["reason"]
    return f"{reason} ({', '.join(bounds)})" if bounds else reason


# What browsers are given


@admin.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with sizes and integrity.")
def assets(*, as_json: bool) -> None:
    """SHA-256 and path of every style, script and picture that this version serves.

    The lines are what sha256sum --check reads. Neither a running service nor its data is needed.
    """
    need_parts()
    from onetime.web.pages import static  # noqa: PLC0415 - needs the server's parts

    folder = f"static/{static.VERSION}"
    digests = {name: sha256(file.content) for name, file in static.FILES.items()}
    if not as_json:
        for name, digest in digests.items():
            say(f"{digest.hexdigest()}  {folder}/{name}")
        return
    files = [
        {
            "path": f"{folder}/{name}",
            "size_bytes": len(static.FILES[name].content),
            "sha256": digest.hexdigest(),
            "integrity": f"sha256-{b64encode(digest.digest()).decode()}",
        }
        for name, digest in digests.items()
    ]
    say(json.dumps({"version": __version__, "folder": folder, "files": files}, indent=2))


# A vault in PostgreSQL or Valkey


@admin.command()
def prepare() -> None:
    """Make the vault in PostgreSQL or Valkey, or bring it up to date.

    onetime serve does it by itself when its role may; with fewer rights, this is run first, with ONETIME_VAULT_URL of the owner.
    """
    now = Settings.from_env(os.environ)
    need_parts()
    from onetime import app  # noqa: PLC0415 - needs the server's parts

    asyncio.run(app.prepare(now))
    say(f"The vault in {now.vault_place} is up to date")


# The check


class Finding(NamedTuple):
    good: bool
    line: str


@admin.command()
def check() -> None:
    """Integrity, permissions, key and free space; exit code 1 if something is wrong.

    It changes nothing and may run while the service does.
    """
    now = Settings.from_env(os.environ)
    need_parts()
    found = list(_findings(now))
    for good, line in found:
        say(f"{'ok   ' if good else 'WRONG'} {line}")
    if not all(good for good, _ in found):
        raise SystemExit(1)


def _findings(settings: Settings) -> Iterator[Finding]:
    from onetime.app import data_directory, vault_file  # noqa: PLC0415 - needs the server's parts

    directory = settings.data_dir.absolute()
    if settings.is_postgres or settings.is_valkey:
        yield from _server(settings, directory)
        return
    if not vault_file(directory).is_file():
        yield Finding(False, f"there is no vault in {directory}; onetime serve makes one")
        return
    try:
        data_directory(settings)
        yield Finding(True, f"{directory} can be written to")
    except Misconfigured as error:
        yield Finding(False, str(error))
    yield from _modes(directory)
    yield from _integrity(directory)
    yield from _vault(settings, directory)
    yield _free_space(settings, directory)


def _server(settings: Settings, directory: Path) -> Iterator[Finding]:
    from onetime.app import data_directory, inspect_server, read_keyring  # noqa: PLC0415

    try:
        data_directory(settings)
        keyring = read_keyring(settings, directory)
        yield from _modes(directory)
        uses = asyncio.run(inspect_server(settings))
    except (Misconfigured, Unavailable) as error:
        yield Finding(False, str(error))
        return
    yield Finding(True, f"the vault in {settings.vault_place} answers")
    yield from _keys(keyring, None, uses)


def _modes(directory: Path) -> Iterator[Finding]:
    loose = [
        f"{path} can be read by others (mode {mode:o}); cure: chmod go= {path}"
        for path, mode in _files(directory)
        if mode & 0o077
    ]
    yield from (Finding(False, line) for line in loose)
    if not loose:
        yield Finding(True, "nobody else can read the data directory")


def _files(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted([directory, *directory.iterdir()]):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:  # the log of a vault comes and goes with the service
            continue
        if not stat.S_ISSOCK(mode):
            yield path, stat.S_IMODE(mode)


def _integrity(directory: Path) -> Iterator[Finding]:
    from onetime.app import integrity, vault_file  # noqa: PLC0415

    wrong = integrity(directory)
    yield Finding(wrong is None, wrong or f"{vault_file(directory)} is whole")


def _vault(settings: Settings, directory: Path) -> Iterator[Finding]:
    from onetime.app import inspect, read_keyring  # noqa: PLC0415

    try:
        keyring = read_keyring(settings, directory)
        inspected = inspect(directory)
    except Misconfigured as error:
        yield Finding(False, str(error))
        return
    if inspected.schema_version > inspected.newest_schema:
        yield Finding(
            False,
            f"the vault was written by a newer version (schema {inspected.schema_version}, "
            f"this program knows {inspected.newest_schema})",
        )
    yield from _keys(keyring, inspected.verifier, inspected.key_uses)
    used, most = inspected.used_bytes, settings.vault_max_bytes
    yield Finding(
        used < most, f"the vault takes {used // MEGABYTE} of {most // MEGABYTE} megabytes"
    )
    if settings.disk_reserve:
        held = inspected.reserve_bytes >= settings.disk_reserve
        yield Finding(
            held,
            "the disk reserve stands by"
            if held
            else "the disk reserve is given up: nothing new is taken in until the disk has room for it twice",
        )


def _keys(keyring: Keyring, verifier: bytes | None, uses: list[KeyUse]) -> Iterator[Finding]:
    fits = verifier is None or verifier in {key.verifier for key in keyring.keys}
    yield Finding(
        fits,
        "the root key is the one of this data"
        if fits
        else "the root key is not the one that this data was written with",
    )
    listed = {key.number for key in keyring.keys}
    for use in uses:
        until = datetime.fromtimestamp(use.needed_until, UTC).isoformat(" ", "minutes")
        is_needed = use.needed_until > time.time()
        if use.number not in listed and is_needed:
            yield Finding(
                False, f"a root key that secrets need until {until} is not in ONETIME_OLD_ROOT_KEYS"
            )
        elif use.number in listed and use.number != keyring.current.number:
            yield Finding(
                True,
                f"an older root key is needed until {until}"
                if is_needed
                else "an older root key is needed no more; take it from ONETIME_OLD_ROOT_KEYS",
            )


def _free_space(settings: Settings, directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    return Finding(free >= settings.disk_reserve, f"{free // MEGABYTE} megabytes of disk are free")


if TYPE_CHECKING:
    from onetime.storage.port import KeyUse
