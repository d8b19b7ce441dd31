"""Errors as HTTP: one table of statuses. A dialect that says it otherwise has an `on_error` of its own."""

from __future__ import annotations

from onetime import errors

# Looked up along the class's line of descent, so a subclass without a row has its parent's.
STATUS: dict[type[errors.OnetimeError], int] = {
    errors.OnetimeError: 500,
    errors.Invalid: 400,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.WrongPassphrase: 403,
    errors.Conflict: 409,
    errors.RateLimited: 429,
    errors.Disabled: 403,
    errors.Undecryptable: 503,
    errors.Unavailable: 503,
}


def status(error: errors.OnetimeError) -> int:
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def retry_after(error: errors.OnetimeError) -> int | None:
    """Seconds, where waiting helps."""
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        return error.retry_after
    return None
