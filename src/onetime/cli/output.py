"""Where a revealed secret goes: standard output, a file, or a child. Each says when it has arrived, and not before.

What can fail is tried before the secret is asked for, so that a sealed one, which comes once, is not asked for in vain.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onetime.cli import terminal
from onetime.cli.words import _

# What a terminal could take for a command: all controls but tab and newline, those of eight bits too.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# As on the page (part/opened.js). The joiners are part of emoji and of several scripts.
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp"})
_SEEN = "\n\t\u200c\u200d"

NOT_FOUND, NOT_EXECUTABLE = 127, 126


class Unwritten(Exception):
    """Not all of it arrived; the message says why. With `code`, a child has said so by its own."""

    def __init__(self, message: str, code: int = terminal.UNWRITTEN) -> None:
        super().__init__(message)
        self.code = code


def to_stdout(content: bytes) -> None:
    """The bytes, and no other.

    Raises:
        Unwritten
    """
    try:
        terminal.write(content)
    except BrokenPipeError:
        raise Unwritten(_("nobody reads the output")) from None
    except OSError as error:
        raise Unwritten(
            _("the output could not be written: %(why)s") % {"why": error.strerror}
        ) from None


def is_safe_to_show(content: bytes) -> bool:
    """Text without what could act on a terminal."""
    try:
        return not _CONTROLS.search(content.decode())
    except UnicodeDecodeError:
        return False


def unseen(content: bytes) -> int:
    """How many characters of a text are not seen where it is shown, and may turn others around or hide them."""
    return sum(
        unicodedata.category(letter) in _UNSEEN and letter not in _SEEN
        for letter in content.decode()
    )


def made_visible(content: bytes) -> bytes:
    """Text with every control, and the backslash that marks them, spelled out."""
    text = content.decode(errors="backslashreplace").replace("\\", "\\\\")
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text).encode()


@contextmanager
def file(path: Path, *, force: bool) -> Iterator[Callable[[bytes], None]]:
    """A way to save into a file of that name, readable by its owner alone, that is there whole or not at all.

    Raises:
        Unwritten: now, where it can be known now.
    """
    if path.is_dir():
        raise Unwritten(_("%(file)s is a directory") % {"file": path})
    if os.path.lexists(path) and not force:
        raise Unwritten(_("%(file)s is there already; --force replaces it") % {"file": path})
    try:
        # Readable by its owner alone from the first byte on.
        descriptor, name = tempfile.mkstemp(prefix=".onetime-", dir=path.parent)
    except OSError as error:
        raise _unwritten(path, error) from None
    temporary = Path(name)

    def save(content: bytes) -> None:
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as stream:
                stream.write(content)
            os.fsync(descriptor)
            _rename(temporary, path, force=force)
            _sync_directory(path.parent)
        except FileExistsError:
            raise Unwritten(
                _("%(file)s is there already; --force replaces it") % {"file": path}
            ) from None
        except OSError as error:
            raise _unwritten(path, error) from None

    try:
        yield save
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            temporary.unlink()


def _unwritten(path: Path, error: OSError) -> Unwritten:
    return Unwritten(
        _("%(file)s could not be written: %(why)s") % {"file": path, "why": error.strerror}
    )


def _rename(temporary: Path, path: Path, *, force: bool) -> None:
    """Without `force`, what somebody else has put there meanwhile stays: a link replaces nothing, a rename does."""
    if force:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}:
            raise
        # A file system without links: the name is taken first, and then replaced.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        temporary.replace(path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def program(command: tuple[str, ...]) -> str:
    """The file that the first word names.

    Raises:
        Unwritten: with the code that a shell would give.
    """
    found = shutil.which(command[0])
    if found is None:
        is_there = os.sep in command[0] and Path(command[0]).exists()
        message = _("%(name)s cannot be run") if is_there else _("%(name)s is no program here")
        code = NOT_EXECUTABLE if is_there else NOT_FOUND
        raise Unwritten(message % {"name": command[0]}, code)
    return found


def to_child(command: tuple[str, ...], content: bytes, variable: str | None) -> None:
    """To a program's standard input, or into a variable of its environment; it is not shown.

    Raises:
        Unwritten: it did not end well; `code` is its own, or what a shell gives for the signal that ended it.
    """
    found = program(command)
    environ = dict(os.environb)
    if variable is not None:
        if b"\0" in content:
            raise Unwritten(_("it holds a NUL, which no variable can; leave --env out"))
        environ[variable.encode()] = content
    # Ctrl+C is for the child, which shares the terminal; this process waits for what it makes of it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = _run(found, command, None if variable is not None else content, environ, before)
    except OSError as error:
        message = _("%(name)s could not be run: %(why)s") % {
            "name": command[0],
            "why": error.strerror,
        }
        raise Unwritten(message, NOT_EXECUTABLE) from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        code = 128 - code if code < 0 else code
        message = _("%(name)s ended with %(code)d") % {"name": command[0], "code": code}
        raise Unwritten(message, code)


def _run(
    found: str,
    command: tuple[str, ...],
    content: bytes | None,
    environ: dict[bytes, bytes],
    interrupt: object,
) -> int:
    def restore() -> None:
        if interrupt is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    stdin = None if content is None else subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - what the person has asked for
        command,
        executable=found,
        stdin=stdin,
        env=environ,
        preexec_fn=restore,  # noqa: PLW1509 - one thread
    ) as child:
        if child.stdin is not None and content is not None:
            # It may have seen enough, or read nothing: how it ends says whether that was right.
            with suppress(BrokenPipeError):
                child.stdin.write(content)
                child.stdin.flush()
            with suppress(BrokenPipeError):
                child.stdin.close()
        return child.wait()
