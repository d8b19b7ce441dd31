"""The root key's file: made on the first start, read on every other."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from onetime.crypto.keyring import KEY_BYTES, weakness
from onetime.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


def parse(text: str, name: str) -> bytes:
    """
    Raises:
        Misconfigured: not a key, or one that could be guessed. `name` is the setting or file it came from.
    """
    try:
        raw = bytes.fromhex(text.strip())
    except ValueError:
        raise Misconfigured(
            f"{name} must be {KEY_BYTES} bytes, written as {2 * KEY_BYTES} hexadecimal digits"
        ) from None
    wrong = weakness(raw)
    if wrong:
        raise Misconfigured(f"{name} {wrong}")
    return raw


def read_or_make(path: Path, *, may_make: bool) -> bytes:
    """The key in `path`. It is on the disk, name and all, before anything can be sealed with it, whoever made it.

    Raises:
        Misconfigured: it is missing and `may_make` is False, or it is not a key, or the file cannot be read or written.
    """
    try:
        if not path.exists():
            if not may_make:
                raise Misconfigured(
                    f"{path} is missing, but there is data that was written with it; restore the file"
                )
            _make(path)
        text = _read(path)
        _sync(path.parent)
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"{path}: {getattr(error, 'strerror', None) or 'not a key'}") from None
    return parse(text, str(path))


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="ascii") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Misconfigured(f"{path} is not a file")
        if found.st_uid not in {os.geteuid(), 0} or found.st_mode & 0o077:
            raise Misconfigured(f"{path} is not this user's alone; chown it and chmod 600")
        return file.read(1000)


def _make(path: Path) -> None:
    """Whole or not at all, and never over another one: of several processes that start at once, one makes it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
