"""Space set aside on the disk of a vault.

On a full disk SQLite cannot even delete: a removal is written to the log first. So a file of `size` bytes stands by. While
it stands, creating is refused before the disk is really full; if something else fills the disk all the same, the file is
given up and reading, burning and sweeping go on in its place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Reserve:
    """`size` 0: none is kept, and the disk's own end is the limit."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._held = False

    def room(self) -> int:
        """Bytes that new secrets may take from the disk. What the log needs to remove others is not among them."""
        if self._size and not self._held:
            return 0
        return self._free() - min(self._size, 16 * 1024 * 1024)

    def release(self) -> bool:
        """Give the space up, for those who remove; False when there was none."""
        self._held = False
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def restore(self) -> None:
        """Take the space again once there is twice as much."""
        if not self._size:
            return
        try:
            if self._path.lstat().st_size >= self._size:
                self._held = True
                return
        except FileNotFoundError:
            pass
        self._held = False
        if self._free() < 2 * self._size:
            return
        try:
            self._path.unlink(missing_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb"):
                os.posix_fallocate(descriptor, 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
        else:
            self._held = True

    def _free(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize
