"""Every error this program raises on purpose.

    OnetimeError
    ├── Invalid             the request is wrong; `field` says where
    │   └── TooLarge        ... because of its size
    ├── Unauthenticated     nobody is signed in, or the token is bad
    ├── Forbidden           somebody is, and may not
    ├── NotFound            never was, revealed, burned or expired: callers cannot tell which
    ├── WrongPassphrase     the secret is there and stays there
    ├── Conflict            taken, or changed by somebody else meanwhile
    │   └── Claimed         ... opened by another device: too late to open or burn it
    ├── RateLimited         `retry_after` seconds from now it may work
    │   └── Closed          ... never: too many passphrases were wrong
    ├── Disabled            the operator has switched this off
    ├── Undecryptable       no configured key opens it; nothing was consumed
    ├── Unavailable         the store did not answer; safe to try again
    │   ├── Full            no room for another secret; reading and burning go on
    │   ├── Unreachable     the client's: the server did not answer, or not all of it arrived
    │   └── Foreign         the client's: what answers there does not speak our API
    └── Misconfigured       a setting, a key or the data directory forbids to start

Rules raise, edges render: an error knows nothing of HTTP or exit codes. `code` is a stable word for
programs and translations; the message is an English sentence that may be logged, so it never holds
a secret, a passphrase, a token or an id.
"""

from __future__ import annotations


class OnetimeError(Exception):
    code = "error"


class Invalid(OnetimeError):
    """`field` is the parameter's name in our words, `rule` a stable word for what it broke."""

    code = "invalid"

    def __init__(self, field: str, message: str, *, rule: str = "malformed") -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule


class TooLarge(Invalid):
    """`size_bytes` is what came, where it is known; `limit_bytes` what is allowed."""

    code = "too_large"

    def __init__(self, field: str, *, limit_bytes: int, size_bytes: int | None = None) -> None:
        super().__init__(field, f"The limit is {limit_bytes} bytes", rule="too_large")
        self.limit_bytes = limit_bytes
        self.size_bytes = size_bytes


class Unauthenticated(OnetimeError):
    code = "unauthenticated"


class Forbidden(OnetimeError):
    code = "forbidden"


class NotFound(OnetimeError):
    code = "not_found"

    def __init__(self, message: str = "There is nothing here") -> None:
        super().__init__(message)


class WrongPassphrase(OnetimeError):
    """`attempts_left` before a lock; 0: this was the last one. None: nothing was tried, what was given is none."""

    code = "wrong_passphrase"

    def __init__(self, *, attempts_left: int | None) -> None:
        super().__init__("That is not the passphrase")
        self.attempts_left = attempts_left


class Conflict(OnetimeError):
    code = "conflict"


class Claimed(Conflict):
    code = "claimed"

    def __init__(self) -> None:
        super().__init__("Someone has opened it")


class RateLimited(OnetimeError):
    """`budget` names the row of `core.limits`; without `retry_after` it does not end by waiting."""

    code = "rate_limited"

    def __init__(self, budget: str, *, retry_after: int | None) -> None:
        super().__init__(f"The budget {budget} is spent")
        self.budget = budget
        self.retry_after = retry_after


class Closed(RateLimited):
    code = "closed"

    def __init__(self) -> None:
        super().__init__("passphrase total", retry_after=None)


class Disabled(OnetimeError):
    code = "disabled"


class Undecryptable(OnetimeError):
    code = "undecryptable"

    def __init__(self, message: str = "No configured key opens this") -> None:
        super().__init__(message)


class Unavailable(OnetimeError):
    """`retry_after` in seconds."""

    code = "unavailable"

    def __init__(self, message: str = "The store did not answer", *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Full(Unavailable):
    code = "full"

    def __init__(self, message: str = "There is no room for another secret") -> None:
        super().__init__(message, retry_after=60)


class Unreachable(Unavailable):
    """`server` is its host, `reason` a few English words. `may_have_arrived`: it may have done what it was asked for."""

    code = "unreachable"

    def __init__(self, server: str, reason: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(f"{server} did not answer: {reason}")
        self.server = server
        self.reason = reason
        self.may_have_arrived = may_have_arrived


class Foreign(Unavailable):
    code = "foreign"


class Misconfigured(OnetimeError):
    """The message is one line for the operator and names the setting or file to change."""

    code = "misconfigured"
