"""Which server: `--server`, else ONETIME_SERVER, else `server` in the configuration file.

The file is `onetime/config.toml` in XDG_CONFIG_HOME, which is `~/.config` when not set:

    server = "https://secrets.example/"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from onetime.cli.words import _
from onetime.errors import Misconfigured

VARIABLE = "ONETIME_SERVER"
MEMBERS = {"server"}


def server(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """
    Raises:
        Misconfigured: none is named, or the file is not one.
    """
    named = given or environ.get(VARIABLE) or _from_file(file(environ))
    if not named:
        raise Misconfigured(
            _(
                "no server is named; give --server, set ONETIME_SERVER or write server = … into %(file)s"
            )
            % {"file": file(environ)}
        )
    return named


def file(environ: Mapping[str, str]) -> Path:
    """Source: XDG Base Directory Specification; a relative path there is to be ignored."""
    base = Path(environ.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME") or "~").expanduser() / ".config"
    return base / "onetime" / "config.toml"


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or _("it is not UTF-8 text")
        raise Misconfigured(f"{path}: {why}") from None
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{path}: {error}") from None
    for name in found.keys() - MEMBERS:
        raise Misconfigured(
            _("%(file)s: there is no setting %(name)s") % {"file": path, "name": name}
        )
    value = found.get("server", "")
    if not isinstance(value, str):
        raise Misconfigured(_("%(file)s: server has to be an address in quotes") % {"file": path})
    return value
