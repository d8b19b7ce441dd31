"""The terminal: all reading and printing. The rules:

- What a command was asked for goes to standard output, one fact a line, so that it can be piped.
- Everything else goes to standard error, beginning with `onetime: `, no capital, no full stop.
- A mistake of the person's ends with one line and an exit code of EXIT_CODES, never with a traceback.
"""

from __future__ import annotations

import sys
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

# Beside those of errors: a command that does not exist or was called wrongly, and Ctrl+C.
USAGE = 64
INTERRUPTED = 130


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
