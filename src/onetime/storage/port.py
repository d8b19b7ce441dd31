"""What every vault store promises. The docstrings are the contract; tests/storage/test_contract.py is the
contract as code, and every adapter passes it.

**One promise:** of any number of callers, in any number of processes, a secret is given to exactly one. What is
acknowledged survives a crash, a kill or a power cut; what was given up never comes back.

For every verb:
- It is one step. It has happened when it returns, durably; no answer, positive or negative, leaves before the
  commit it depends on. Where the outcome of a commit is unknown the adapter finds out before it answers, and
  raises `Unavailable` when it cannot within five seconds: then nobody ever gets the content.
- Operations take effect in arrival order, as if alone. One that a rule refuses disturbs nobody.
- Cancelled before its batch begins, it is withdrawn; after that it completes and its result is dropped.
- Time is the store's clock (`now`), read once a batch. Outcomes are computed from times when asked and never
  wait for the sweep: content is unreadable at its second.
- `Unavailable`: the store did not answer, safe to try again. `Full`: no room for something new; all verbs that
  read or remove go on.

Ids are what the store may know: tags and hashes (`crypto.ids`), never keys. Bytes in `head`, `body`, `wrapped` are
opaque to the store.

The values are msgspec's structs: several are made for each request, and a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onetime.model import Handed, Kind, Settled, State


class NewSecret(Struct, frozen=True, kw_only=True, gc=False):
    """A secret and its receipt on the way in; both appear together or not at all.

    Both ids begin with the same shard tag (`crypto.ids.TAG_LENGTH` bytes). `head` is read by `peek`, `body` leaves only through
    `take` (and `show_once`), or `claim`. `key_number` names the root key that sealed it, 0 none. `owner` is the account that
    lists it, `listing_id` and `listing` its second name there.

    With `open_hash`, the SHA-256 of what opens it, it is an end-to-end secret: it leaves through `claim` alone.
    """

    secret_id: bytes
    receipt_id: bytes
    kind: Kind
    has_passphrase: bool
    created_at: int
    expires_at: int
    receipt_expires_at: int
    key_number: int
    head: bytes
    body: bytes
    wrapped: bytes
    open_hash: bytes | None = None
    owner: bytes | None = None
    listing_id: bytes | None = None
    listing: bytes | None = None


class NewAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """The sealed answer of an idempotent create, found again by `answer_id` until `expires_at`."""

    answer_id: bytes
    sealed: bytes
    expires_at: int


class Stored(Struct, frozen=True, kw_only=True, gc=False):
    """`earlier` is the sealed answer of the create that came first under the same `answer_id`; nothing was written.

    `created_at` is the instant of an end-to-end secret that was there already; nothing was written either.
    """

    earlier: bytes | None = None
    created_at: int | None = None


class StoredSecret(Struct, frozen=True, kw_only=True, gc=False):
    """A living secret as `peek`, `take` and `show_once` give it; `body` is empty from `peek`."""

    secret_id: bytes
    kind: Kind
    has_passphrase: bool
    created_at: int
    expires_at: int
    head: bytes
    body: bytes
    now: int


class StoredReceipt(Struct, frozen=True, kw_only=True, gc=False):
    """A receipt as of `now`: `state` already says EXPIRED when the secret's time is over, REVEALED when the window is; swept or not.

    End-to-end secrets only: `acknowledged` (when: `acknowledged_at`): the reader's device confirmed the arrival;
    `window_ends_at` while it is claimed, and `ended_at` is then the instant of the claim.
    """

    receipt_id: bytes
    secret_id: bytes
    kind: Kind
    state: State
    has_passphrase: bool
    created_at: int
    secret_expires_at: int
    expires_at: int
    ended_at: int | None
    acknowledged: bool
    wrong_tries: int
    wrapped: bytes
    listing: bytes | None
    now: int
    acknowledged_at: int | None = None
    window_ends_at: int | None = None


class Looked(Struct, frozen=True, kw_only=True, gc=False):
    """A living end-to-end secret as `look` gives it: NEW, or CLAIMED until `window_ends_at`.

    `locked_until` is in the future while no proof is tried.
    """

    state: State
    has_passphrase: bool
    size_bytes: int
    created_at: int
    secret_expires_at: int
    window_ends_at: int | None
    wrong_tries: int
    locked_until: int | None
    now: int


class Tries(Struct, frozen=True, kw_only=True, gc=False):
    """What wrong open proofs cost: the one number `free` locks for `lock` seconds, each after it twice as long up to
    `longest_lock`; after `total` of them none is tried any more.
    """

    free: int
    lock: int
    longest_lock: int
    total: int

    def lock_after(self, wrong_tries: int) -> int:
        """Seconds."""
        if wrong_tries < self.free:
            return 0
        doublings = min(wrong_tries - self.free, 30)
        return min(self.lock << doublings, self.longest_lock)

    def left(self, wrong_tries: int) -> int:
        """Proofs that may be wrong before the next lock, once no lock runs."""
        if wrong_tries >= self.total:
            return 0
        return min(max(self.free - wrong_tries, 1), self.total - wrong_tries)


class Refusal(StrEnum):
    CLAIMED = "claimed"  # by another claim
    WRONG = "wrong"  # the open proof; one attempt was spent
    LOCKED = "locked"
    CLOSED = "closed"  # for good


class Refused(Struct, frozen=True, kw_only=True, gc=False):
    """Why an end-to-end secret was not given up. `left` attempts before the next lock; `retry_after` in seconds."""

    why: Refusal
    left: int = 0
    retry_after: int | None = None


class Budget(Struct, frozen=True, kw_only=True, gc=False):
    """At most `limit` in a window of `window` seconds that opens with the first; reaching it locks for `lock` seconds.

    Without a lock the refusal ends with the window.
    """

    limit: int
    window: int
    lock: int = 0


class Debit(Struct, frozen=True, kw_only=True, gc=False):
    """One use of the budget that the counter `key` (opaque bytes) keeps."""

    key: bytes
    budget: Budget


class Debited(Struct, frozen=True, kw_only=True, gc=False):
    """`refused` is the index of the first debit that was not possible: then none was made.

    `left` is the least that remains of any budget after this; `retry_after` is seconds, None where waiting does not help.
    """

    left: int = 0
    refused: int | None = None
    retry_after: int | None = None


class Session(Struct, frozen=True, kw_only=True, gc=False):
    """`session_id` is the hash of the token in the cookie; `account` whose it is; `data` opaque."""

    session_id: bytes
    account: bytes
    data: bytes
    created_at: int
    expires_at: int


class Swept(Struct, frozen=True, kw_only=True, gc=False):
    """`more`: there was more than one step's worth; call again."""

    secrets: int
    receipts: int
    others: int
    more: bool


class KeyName(Struct, frozen=True, kw_only=True, gc=False):
    """A root key as the store may know it: a number, and a verifier that proves it is the same key."""

    number: int
    verifier: bytes


class KeyUse(Struct, frozen=True, kw_only=True, gc=False):
    """Until when a living secret needs the root key `number`."""

    number: int
    needed_until: int


class VaultStore(Protocol):
    """See the module."""

    def now(self) -> int:
        """The store's clock, whole seconds, as this process last learned it."""
        ...

    def skew(self) -> float:
        """Seconds that this process's own clock is ahead of the store's; 0 where they are one."""
        ...

    async def adopt(self, keys: Sequence[KeyName]) -> None:
        """Remember `keys` (the current one first), after making sure that they fit what is stored.

        Raises:
            Misconfigured: the data belongs to a key that is not listed, or living secrets need one.
        """
        ...

    async def key_uses(self) -> list[KeyUse]: ...

    async def put(self, secret: NewSecret, *, answer: NewAnswer | None = None) -> Stored:
        """Take in a secret and its receipt. Repeated to the letter while the secret is new: the same answer again.

        An end-to-end secret may repeat later: its instants may differ, its lifetime may not; `Stored.created_at` says when it came.

        Raises:
            Conflict: something different lives, or lived until its receipt expires, under one of the ids. A store may refuse
                so what comes under an id that begins as many others do, too: nobody's random one does.
            Full: the disk or the vault's total size does not allow another one.
        """
        ...

    async def peek(self, secret_id: bytes) -> StoredSecret | None:
        """Look at a living secret without its body; committed state, changes nothing."""
        ...

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        """Remove a living sealed secret and hand it over in one step; the receipt says REVEALED.

        One caller of any number gets it; the others get None, as for what never was. So does a caller whose `proof` is not
        found in the secret's head, and the secret stays. `refund` gives back the attempt
        that `spend` debited before the passphrase proved right.

        Raises:
            Undecryptable: what is stored was damaged; it stays.
        """
        ...

    async def show_once(self, receipt_id: bytes, *, within: int) -> StoredSecret | None:
        """The body of a generated secret that is still new, once, in its first `within` seconds; it stays where it is."""
        ...

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        """Destroy a living secret unread; False when there is none. The receipt says BURNED.

        Of a claimed one the content goes and the window ends, but it was handed out: the receipt says REVEALED, the answer False.
        """
        ...

    # End-to-end secrets

    async def look(self, secret_id: bytes) -> Looked | None:
        """Look at a living or claimed end-to-end secret; committed state, changes nothing."""
        ...

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        """Bind a living secret to one claim and hand its body over; the receipt says CLAIMED.

        The first claim with the right `open_hash` wins. For `window` seconds, past the secret's expiry if need be, the same claim
        gets the same body again, whatever its `open_hash`; every other is refused, and after the window all get None. A window
        of 0 removes the content in the same step. A wrong `open_hash` debits one of `tries` in the same step. A
        window during which no process of the service was awake is given once more.

        Raises:
            Undecryptable: what is stored was damaged; it stays.
        """
        ...

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        """Destroy what the claim got, whose device has it: the receipt says REVEALED and acknowledged. Repeated, the same answer.

        After the window it only acknowledges. None: this claim has nothing here.
        """
        ...

    async def burn_proved(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, tries: Tries
    ) -> bool | Refused:
        """Destroy an end-to-end secret as the holder of its link: a living one with the right `open_hash` (a wrong one is
        debited as by `claim`); False when there is none. Of a claimed one `claim_hash` ends the window; it is refused all the same.
        Either may be empty.
        """
        ...

    async def receipt(self, receipt_id: bytes) -> StoredReceipt | None:
        """By its own id or by its listing id."""
        ...

    async def receipts_of(
        self, owner: bytes, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        """Living receipts of an account, newest first, created before the instant `before`."""
        ...

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        """Debit one attempt at a living secret's passphrase: from `total` for its whole life (counted on its
        receipt as `wrong_tries`; index -1 in `Debited.refused`) and from each of `debits`; all or none. None: no such secret.
        """
        ...

    async def refund(self, secret_id: bytes, debits: Sequence[Debit]) -> None:
        """Give an attempt back that turned out right; also lifts a lock that it caused."""
        ...

    async def count(self, debit: Debit) -> Debited:
        """One use of a budget that belongs to no secret."""
        ...

    async def daily_key(self, day: int, candidate: bytes, *, expires_at: int) -> bytes:
        """The key of that day (days since 1970), which is the first candidate any process offered."""
        ...

    async def put_token(
        self, token_id: bytes, *, purpose: str, body: bytes, expires_at: int
    ) -> None:
        """Keep something that may be used once (a magic link, a challenge). Raises Conflict when the id is known."""
        ...

    async def take_token(self, token_id: bytes, *, purpose: str) -> bytes | None:
        """Use it up: one caller gets the body. Another purpose is not there."""
        ...

    async def put_session(self, session: Session) -> None:
        """Raises Conflict when the id is known."""
        ...

    async def session(self, session_id: bytes) -> Session | None: ...

    async def sessions_of(self, account: bytes) -> list[Session]: ...

    async def extend_session(self, session_id: bytes, *, expires_at: int) -> bool: ...

    async def end_session(self, session_id: bytes) -> bool: ...

    async def end_sessions_of(self, account: bytes, *, but: bytes | None = None) -> int: ...

    async def sweep(self) -> Swept:
        """Remove a bounded number of things whose time passed five minutes ago or more.

        The delay is for clocks: one that jumps ahead for a moment destroys nothing.
        """
        ...

    async def scrub(self) -> None:
        """Leave no trace of removed content in the store's files, and give their space back. Costly; not a verb of callers."""
        ...

    async def ready(self) -> None:
        """Really ask the store, with a write where that is possible. Raises Unavailable or Full."""
        ...

    async def close(self) -> None:
        """What has been handed in completes first."""
        ...
