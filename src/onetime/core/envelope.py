"""What may happen to an end-to-end secret: create, look, reveal, settle, burn; and the receipts that tell of it.

The server keeps what it cannot read. Who asks proves with every question that they hold the link or the receipt
(docs/envelope.md says how), and an unknown secret and one that is not theirs are the same answer. Reading order for a newcomer:
`reveal`, then `claim` in `storage.port`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from onetime.core.limits import ENVELOPE_TRIES
from onetime.core.vault import RECEIPT_LIVES
from onetime.crypto import envelope, ids
from onetime.errors import (
    Claimed,
    Closed,
    Invalid,
    NotFound,
    OnetimeError,
    RateLimited,
    TooLarge,
    WrongPassphrase,
)
from onetime.model import (
    GUEST,
    Caller,
    Created,
    EnvelopeReceipt,
    Handed,
    Kind,
    Look,
    NewEnvelope,
    Settled,
    State,
)
from onetime.storage.port import NewSecret, Refusal, Refused

if TYPE_CHECKING:
    from onetime.core.limits import Limits
    from onetime.core.vault import Terms
    from onetime.storage.port import StoredReceipt, VaultStore


class Envelopes:
    def __init__(
        self, store: VaultStore, limits: Limits, terms: Terms, *, reveal_window: int
    ) -> None:
        self._store = store
        self._limits = limits
        self.terms = terms
        self.reveal_window = reveal_window
        # The largest allowed text behind the longest header line.
        self.max_body_bytes = envelope.sealed_size(
            envelope.MOST_LINE_BYTES + terms.max_secret_bytes
        )

    async def create(self, new: NewEnvelope, *, caller: Caller = GUEST) -> Created:
        """Take an envelope in. Repeated to the letter while it is new: the first answer again.

        Raises:
            Invalid: `ttl` is out of range ("too_short", "too_long"), or `body` is no envelope ("malformed").
            TooLarge: more than the setting allows.
            Conflict: something else is, or was, under this id; or it is no longer new.
            RateLimited, Full, Unavailable.
        """
        ttl = self.terms.grant(new.ttl)
        self._check_body(new.body)
        await self._limits.count("create", caller)
        now = self._store.now()
        secret = NewSecret(
            secret_id=new.secret_id,
            receipt_id=_receipt_id(new.secret_id, new.receipt_hash),
            kind=Kind.ENVELOPE,
            has_passphrase=new.has_passphrase,
            created_at=now,
            expires_at=now + ttl,
            receipt_expires_at=now + RECEIPT_LIVES * ttl,
            key_number=0,
            head=b"",
            body=new.body,
            wrapped=b"",
            open_hash=new.open_hash,
        )
        stored = await self._store.put(secret)
        created_at = now if stored.created_at is None else stored.created_at
        return Created(
            created_at=created_at,
            secret_expires_at=created_at + ttl,
            expires_at=created_at + RECEIPT_LIVES * ttl,
            now=now,
        )

    async def look(self, link_proof: bytes) -> Look:
        """Look without consuming. Raises NotFound."""
        looked = await self._store.look(envelope.secret_id(link_proof))
        if looked is None:
            raise NotFound
        locked_until = looked.locked_until
        if locked_until is not None:  # A clock that was set back does not stretch it.
            locked_until = min(
                locked_until, looked.now + ENVELOPE_TRIES.lock_after(looked.wrong_tries)
            )
        return Look(
            state=looked.state,
            has_passphrase=looked.has_passphrase,
            size_bytes=looked.size_bytes,
            created_at=looked.created_at,
            secret_expires_at=looked.secret_expires_at,
            window_ends_at=looked.window_ends_at,
            attempts_left=0 if locked_until else ENVELOPE_TRIES.left(looked.wrong_tries),
            locked_until=locked_until,
            closed=looked.wrong_tries >= ENVELOPE_TRIES.total,
            now=looked.now,
        )

    async def reveal(
        self, link_proof: bytes, open_proof: bytes, claim: bytes, *, caller: Caller = GUEST
    ) -> Handed:
        """Hand the envelope to the first claim that brings both proofs, and for a while again to the same claim.

        So one device gets it, and a lost answer loses nothing: the claim is made before the first request.

        Raises:
            NotFound: never was, or is no longer.
            Claimed: by another device.
            WrongPassphrase, RateLimited, Closed, Undecryptable, Unavailable: it stays.
        """
        secret_id = envelope.secret_id(link_proof)
        try:
            await self._limits.count("reveal", caller)
        except RateLimited:
            # Who has claimed it may fetch it again whatever its neighbours have spent: the window would not wait.
            looked = await self._store.look(secret_id)
            if looked is None or looked.state is not State.CLAIMED:
                raise
        handed = await self._store.claim(
            secret_id,
            open_hash=envelope.proof_hash(open_proof),
            claim_hash=_claim_hash(claim),
            window=self.reveal_window,
            tries=ENVELOPE_TRIES,
        )
        if handed is None:
            raise NotFound
        if isinstance(handed, Refused):
            raise _refusal(handed)
        return handed

    async def settle(self, link_proof: bytes, claim: bytes) -> Settled:
        """The device has it: destroy the content now. Repeated, the same answer. Raises NotFound: this claim has nothing here."""
        settled = await self._store.settle(
            envelope.secret_id(link_proof), claim_hash=_claim_hash(claim)
        )
        if settled is None:
            raise NotFound
        return settled

    async def burn(
        self, link_proof: bytes, *, open_proof: bytes | None = None, claim: bytes | None = None
    ) -> int:
        """Destroy it unread, as the holder of the link; gives the instant. With the claim, end a window that runs.

        Raises:
            NotFound: never was, or is no longer.
            Claimed: too late, somebody has opened it; if that was this claim, the content is gone now.
            WrongPassphrase, RateLimited, Closed, Unavailable: it stays.
        """
        burned = await self._store.burn_proved(
            envelope.secret_id(link_proof),
            open_hash=b"" if open_proof is None else envelope.proof_hash(open_proof),
            claim_hash=b"" if claim is None else _claim_hash(claim),
            tries=ENVELOPE_TRIES,
        )
        if isinstance(burned, Refused):
            raise _refusal(burned)
        if not burned:
            raise NotFound
        return self._store.now()

    async def receipt(self, secret_id: bytes, receipt_proof: bytes) -> EnvelopeReceipt:
        """What the sender may know. Raises NotFound."""
        return _receipt(await self._find(secret_id, receipt_proof))

    async def burn_by_receipt(self, secret_id: bytes, receipt_proof: bytes) -> EnvelopeReceipt:
        """Destroy it unread, as its sender; gives the receipt as it is afterwards.

        Raises:
            NotFound: no such receipt, or its secret is no longer there.
            Claimed: too late, somebody has opened it; a window that ran is over now.
        """
        await self._find(secret_id, receipt_proof)
        if await self._store.burn(secret_id):
            return _receipt(await self._find(secret_id, receipt_proof))
        stored = await self._find(secret_id, receipt_proof)
        if stored.state in {State.CLAIMED, State.REVEALED}:
            raise Claimed
        raise NotFound

    def _check_body(self, body: bytes) -> None:
        if len(body) > self.max_body_bytes:
            raise TooLarge("body", limit_bytes=self.max_body_bytes, size_bytes=len(body))
        if not envelope.is_body(body):
            raise Invalid("body", "This is no envelope of version 1")

    async def _find(self, secret_id: bytes, receipt_proof: bytes) -> StoredReceipt:
        """The receipt's name holds the hash of its proof: a wrong one finds nothing."""
        proof_hash = envelope.proof_hash(receipt_proof)
        stored = await self._store.receipt(_receipt_id(secret_id, proof_hash))
        if stored is None or stored.secret_id != secret_id:
            raise NotFound
        return stored


def _receipt_id(secret_id: bytes, receipt_hash: bytes) -> bytes:
    """Both ids of a secret begin with the same tag (`storage.port`)."""
    return secret_id[: ids.TAG_LENGTH] + receipt_hash


def _claim_hash(claim: bytes) -> bytes:
    return hashlib.sha256(claim).digest()


def _refusal(refused: Refused) -> OnetimeError:
    match refused.why:
        case Refusal.CLAIMED:
            return Claimed()
        case Refusal.WRONG:
            return WrongPassphrase(attempts_left=refused.left)
        case Refusal.LOCKED:
            return RateLimited("passphrase", retry_after=refused.retry_after)
        case Refusal.CLOSED:
            return Closed()


def _receipt(stored: StoredReceipt) -> EnvelopeReceipt:
    return EnvelopeReceipt(
        state=stored.state,
        has_passphrase=stored.has_passphrase,
        created_at=stored.created_at,
        secret_expires_at=stored.secret_expires_at,
        expires_at=stored.expires_at,
        ended_at=stored.ended_at,
        acknowledged=stored.acknowledged,
        acknowledged_at=stored.acknowledged_at,
        window_ends_at=stored.window_ends_at,
        wrong_tries=stored.wrong_tries,
        closed=stored.wrong_tries >= ENVELOPE_TRIES.total,
        now=stored.now,
    )
