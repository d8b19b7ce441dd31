"""The nouns, on one page: frozen values without I/O.

A *secret* is what is shared. Its *receipt* stays with the sender, outlives it and tells its fate.
Instants (`..._at`) are whole seconds since 1970, UTC; `ttl` is a number of seconds asked for.

The values are msgspec's structs: several are made for each request, and a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """Where the text of a secret came from."""

    CONCEALED = "conceal"
    GENERATED = "generate"


class State(StrEnum):
    """The fate of a secret, as its receipt tells it. NEW may become any other; the others are final."""

    NEW = "new"
    REVEALED = "revealed"
    BURNED = "burned"
    EXPIRED = "expired"


class Receipt(Struct, frozen=True, kw_only=True, gc=False):
    """What the sender may know, true at the instant `now` of the store's clock.

    `secret_key` is there only while the secret lives and for the holder of the receipt key.
    `ended_at` is when the secret was revealed or burned, or its expiry once that has passed.
    """

    receipt_key: str
    kind: Kind
    state: State
    has_passphrase: bool
    created_at: int
    secret_expires_at: int
    expires_at: int
    ended_at: int | None
    wrong_tries: int
    now: int
    secret_key: str | None = None

    @property
    def ttl(self) -> int:
        """The granted lifetime of the secret in seconds; does not shrink."""
        return self.secret_expires_at - self.created_at


class Concealed(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to a sender: both keys, and for a generated secret its value."""

    secret_key: str
    receipt: Receipt
    value: str | None = None


class Peek(Struct, frozen=True, kw_only=True, gc=False):
    """What the holder of a link may know before opening it."""

    has_passphrase: bool
    created_at: int
    expires_at: int
    now: int


class Caller(Struct, frozen=True, kw_only=True, gc=False):
    """Who is asking. `network` is the /24 or /48 the request came from; it goes into rate counters only."""

    network: str = "unknown"


GUEST = Caller()
