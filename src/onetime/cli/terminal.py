"""The terminal: all reading and printing. The rules:

- What a command was asked for goes to standard output, one fact a line, so that it can be piped.
- Everything else goes to standard error, beginning with `onetime: `, no capital, no full stop.
- A mistake of the person's ends with one line and an exit code of EXIT_CODES, never with a traceback.
- Colours and labels are for a terminal alone, and colours only without NO_COLOR.
- What is typed unseen is read from the terminal itself, whatever standard input is.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Iterable
from typing import NoReturn

import click

from onetime import errors

# As in sysexits.h where it has a word for it. Looked up along the class's line of descent.
EXIT_CODES: dict[type[errors.OnetimeError], int] = {
    errors.OnetimeError: 70,
    errors.Invalid: 65,
    errors.Unauthenticated: 77,
    errors.Forbidden: 77,
    errors.NotFound: 66,
    errors.WrongPassphrase: 77,
    errors.Conflict: 65,
    errors.RateLimited: 75,
    errors.Disabled: 69,
    errors.Undecryptable: 74,
    errors.Unavailable: 75,
    errors.Foreign: 76,
    errors.Misconfigured: 78,
}

# Beside those of errors: a command that does not exist or was called wrongly, an output that could not be written whole, and
# Ctrl+C.
USAGE = 64
UNWRITTEN = 73
INTERRUPTED = 130

STDIN, STDOUT = 0, 1


def say(line: str) -> None:
    print(line, flush=True)


def warn(line: str) -> None:
    print(f"onetime: {line}", file=sys.stderr, flush=True)


def fail(error: errors.OnetimeError) -> NoReturn:
    warn(str(error))
    raise SystemExit(exit_code(error))


def exit_code(error: errors.OnetimeError) -> int:
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return EXIT_CODES[errors.OnetimeError]


def run(command: click.Command) -> NoReturn:
    """Run it with the arguments of this process; every end that is not a bug becomes an exit code and at most one line."""
    try:
        code = command.main(prog_name="onetime", standalone_mode=False)
    except errors.OnetimeError as error:
        fail(error)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        raise SystemExit(USAGE) from None
    except click.ClickException as error:
        warn(error.format_message().rstrip("."))
        raise SystemExit(USAGE) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(code or 0)


# Writing


def write(content: bytes) -> None:
    """All of it, to standard output, without a buffer that could fail later; where that is a file, it is on the disk.

    Raises:
        OSError: the reader has gone, or the disk is full.
    """
    left = memoryview(content)
    while left:
        left = left[os.write(STDOUT, left) :]
    if stat.S_ISREG(os.fstat(STDOUT).st_mode):
        os.fsync(STDOUT)


def end_line() -> None:
    """The next prompt of a shell gets a line of its own; not on standard output, which is not ours to add to."""
    print(file=sys.stderr, flush=True)


def is_terminal() -> bool:
    return os.isatty(STDOUT)


def has_colours() -> bool:
    """Source: no-color.org."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def labelled(rows: Iterable[tuple[str, str]]) -> bytes:
    """Each value behind its label, on a line of its own that no frame or wrapping gets into, so that it can be copied.

    Where the labels stand out in bold, the first value does in green: it is what the command was called for.
    """
    from rich.cells import cell_len  # noqa: PLC0415 - only for a terminal, and it takes its time to load
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    rows = list(rows)
    width = max(cell_len(label) for label, _ in rows)
    console = Console(color_system="standard" if has_colours() else None, highlight=False)
    with console.capture() as capture:
        for number, (label, value) in enumerate(rows):
            padded = label + " " * (width - cell_len(label) + 2)
            style = "" if number else "green"
            console.print(Text.assemble((padded, "bold"), (value, style)), soft_wrap=True)
    return capture.get().encode()


def qr(text: str) -> bytes:
    """A code to photograph: two modules a character, dark on light where there are colours; else the light ones are drawn."""
    import segno  # noqa: PLC0415 - only when it is asked for

    rows = [bytes(row) for row in segno.make(text, micro=False).matrix_iter(border=4)]
    if len(rows) % 2:
        rows.append(bytes(len(rows[0])))
    start, end = ("\x1b[40;97m", "\x1b[0m") if has_colours() else ("", "")
    lines = (
        start + "".join("█▀▄ "[2 * up + down] for up, down in zip(above, below, strict=True)) + end
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    )
    return "".join(f"{line}\n" for line in lines).encode()


# Reading


def read(descriptor: int, most_bytes: int) -> bytes:
    """To its end, or one byte more than `most_bytes`.

    Raises:
        OSError: there is nothing to read from.
    """
    content = bytearray()
    while len(content) <= most_bytes:
        piece = os.read(descriptor, min(65_536, most_bytes + 1 - len(content)))
        if not piece:
            break
        content += piece
    return bytes(content)


def can_ask() -> bool:
    """Whether there is a terminal to type at."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def ask_unseen(prompt: str) -> str:
    """One line that is not shown while it is typed; at the terminal, never from standard input."""
    try:
        return getpass.getpass(prompt)
    except (EOFError, KeyboardInterrupt):
        end_line()
        raise click.Abort from None
