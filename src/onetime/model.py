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
    ENVELOPE = "envelope"  # encrypted by its sender: the server cannot read it


class State(StrEnum):
    """The fate of a secret, as its receipt tells it. NEW may become any other, CLAIMED only REVEALED; the others are final.

    CLAIMED: an end-to-end secret was handed to one reader's device, which may fetch it again for a while.
    """

    NEW = "new"
    CLAIMED = "claimed"
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


class NewEnvelope(Struct, frozen=True, kw_only=True, gc=False):
    """What a sender's device hands in: names and hashes of 32 bytes (docs/envelope.md), and the body. `ttl` None: the default."""

    secret_id: bytes
    open_hash: bytes
    receipt_hash: bytes
    has_passphrase: bool
    body: bytes
    ttl: int | None = None


class Created(Struct, frozen=True, kw_only=True, gc=False):
    """When an envelope came and until when it stays; `expires_at` is its receipt's."""

    created_at: int
    secret_expires_at: int
    expires_at: int
    now: int


class Look(Struct, frozen=True, kw_only=True, gc=False):
    """What the holder of a link may know of an envelope. `state` is NEW or CLAIMED; then the window ends at `window_ends_at`.

    `attempts_left` before the next lock, 0 while it is locked (`locked_until`) or `closed` for good.
    """

    state: State
    has_passphrase: bool
    size_bytes: int
    created_at: int
    secret_expires_at: int
    window_ends_at: int | None
    attempts_left: int
    locked_until: int | None
    closed: bool
    now: int


class Handed(Struct, frozen=True, kw_only=True, gc=False):
    """An envelope, handed to the one device that has claimed it; until `window_ends_at` it may fetch it again."""

    body: bytes
    window_ends_at: int
    now: int


class Settled(Struct, frozen=True, kw_only=True, gc=False):
    """When the reader's device first said that it has the content."""

    acknowledged_at: int
    now: int


class EnvelopeReceipt(Struct, frozen=True, kw_only=True, gc=False):
    """What the sender of an envelope may know. `ended_at` is when it was handed out, burned, or has expired.

    `acknowledged`: the reader's device has said that it arrived; else it counts as read all the same.
    `closed`: so many passphrases were wrong that no other is tried.
    """

    state: State
    has_passphrase: bool
    created_at: int
    secret_expires_at: int
    expires_at: int
    ended_at: int | None
    acknowledged: bool
    acknowledged_at: int | None
    window_ends_at: int | None
    wrong_tries: int
    closed: bool
    now: int


class Caller(Struct, frozen=True, kw_only=True, gc=False):
    """Who is asking. `network` is the /24 or /48 the request came from; it goes into rate counters only."""

    network: str = "unknown"


GUEST = Caller()
