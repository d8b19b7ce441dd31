"""What may happen to a secret: conceal, generate, peek, reveal, burn; and the receipts that tell of it.

These are the rules for sealed secrets: the server encrypts, and holds the key only while a request carries it. Reading
order for a newcomer: `reveal`, then `storage.port`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from onetime.core.generate import generate
from onetime.crypto import ids, seal
from onetime.crypto.passphrase import has_unassigned, normal
from onetime.errors import (
    Invalid,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
    Undecryptable,
    WrongPassphrase,
)
from onetime.model import GUEST, Caller, Concealed, Kind, Peek, Receipt, State
from onetime.storage.port import NewAnswer, NewSecret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onetime.core.generate import Recipe
    from onetime.core.limits import Limits
    from onetime.crypto.hashing import Hasher
    from onetime.crypto.keyring import Keyring
    from onetime.storage.port import Debit, StoredSecret, VaultStore

# Code points after NFC. Four, because documented clients use `1234` (reference, decision 18).
SHORTEST_PASSPHRASE = 4
LONGEST_PASSPHRASE = 128

# A receipt outlives its secret (reference 0.8).
RECEIPT_LIVES = 2
# How long a create with the same `once` gives the first answer, and how many bytes make one that nobody else has.
ANSWER_SECONDS = 86_400
SHORTEST_ONCE = 16
# How long the value of a generated secret may be shown once more to its maker (reference 6.8).
SHOWN_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a sender asks for beside the text. `ttl` None: the default. `clamp`: bring a lifetime that is not allowed into
    the allowed range instead of refusing it (the compatible APIs' contract).

    `once` makes a create idempotent: 16 or more random bytes, kept by the sender; the same `once` with the same text and
    wishes gives the first answer again for 24 hours.
    """

    ttl: int | None = None
    passphrase: str = field(default="", repr=False)
    clamp: bool = False
    once: bytes = field(default=b"", repr=False)


NO_WISH = Wish()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator allows: bytes and seconds."""

    max_secret_bytes: int
    min_ttl: int
    default_ttl: int
    max_ttl: int

    def grant(self, ttl: int | None, *, clamp: bool = False) -> int:
        """The lifetime for what was asked for. `clamp`: the nearest that is allowed, instead of a refusal.

        Raises:
            Invalid: `ttl` is "too_short" or "too_long".
        """
        asked = self.default_ttl if ttl is None else ttl
        if clamp or ttl is None:
            return max(self.min_ttl, min(asked, self.max_ttl))
        if asked < self.min_ttl:
            raise Invalid("ttl", f"At least {self.min_ttl} seconds", rule="too_short")
        if asked > self.max_ttl:
            raise Invalid("ttl", f"At most {self.max_ttl} seconds", rule="too_long")
        return asked


class Vault:
    def __init__(
        self, store: VaultStore, keyring: Keyring, hasher: Hasher, limits: Limits, terms: Terms
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._hasher = hasher
        self._limits = limits
        self.terms = terms

    async def conceal(
        self, text: str, wish: Wish = NO_WISH, *, caller: Caller = GUEST
    ) -> Concealed:
        """Take a secret in.

        Raises:
            Invalid: `text` is "empty" or not Unicode ("malformed"), `ttl` is out of range ("too_short", "too_long"), or
                `passphrase` is "too_short", "too_long", "malformed" or "unassigned", or `once` is "too_short".
            TooLarge: more than the setting allows.
            NotFound: it repeats, by `once`, a create whose receipt has expired.
            RateLimited, Full, Unavailable.
        """
        self._check_passphrase(wish.passphrase)
        plaintext = self._plaintext(text)
        return await self._put(plaintext, Kind.CONCEALED, wish, caller, plaintext)

    async def generate(
        self, recipe: Recipe, wish: Wish = NO_WISH, *, caller: Caller = GUEST
    ) -> Concealed:
        """Make a secret up and conceal it. The answer holds its value; repeated by `once`, only as `generated_value` does.

        Raises: as `conceal` and `core.generate.generate`.
        """
        value = generate(recipe)
        self._check_passphrase(wish.passphrase)
        asked = json.dumps(asdict(recipe)).encode()
        return await self._put(value.encode(), Kind.GENERATED, wish, caller, asked)

    async def peek(self, secret_key: str) -> Peek:
        """Look without consuming. Raises NotFound."""
        return _peeked(await self._find(secret_key))

    async def check(self, secret_key: str, *, passphrase: str, caller: Caller = GUEST) -> Peek:
        """Whether the passphrase is right, where there is one, and nothing else: an attempt is debited as in `reveal`, and given
        back. Raises as `reveal`.
        """
        stored = await self._find(secret_key)
        _, debits = await self._prove(stored, secret_key, passphrase, caller)
        await self._give_back(stored, debits)
        return _peeked(stored)

    async def reveal(self, secret_key: str, *, passphrase: str = "", caller: Caller = GUEST) -> str:
        """Give up the secret, to one caller, once.

        Everything that can fail comes before `take` or is decided by it: a wrong passphrase or a missing key leaves the secret
        in place. After `take` there is nothing but the opening, so a lost response loses the secret rather than showing it
        twice.

        Raises:
            NotFound: never was, or is no longer.
            WrongPassphrase, RateLimited, Undecryptable, Unavailable: it stays.
        """
        value, _ = await self.reveal_whole(secret_key, passphrase=passphrase, caller=caller)
        return value

    async def reveal_whole(
        self, secret_key: str, *, passphrase: str = "", caller: Caller = GUEST
    ) -> tuple[str, Peek]:
        """As `reveal`, and what a look would have told just before."""
        await self._limits.count("reveal", caller)
        if not passphrase:
            # Most secrets have none, and the current root key sealed them: a guess that saves them a look.
            key, proof = self._plain_proof(secret_key)
            taken = await self._store.take(ids.secret_id(secret_key), proof=proof)
            if taken is not None:
                return _open(taken, key), _peeked(taken)
        stored = await self._find(secret_key)
        key, debits = await self._prove(stored, secret_key, passphrase, caller)
        taken = await self._store.take(stored.secret_id, refund=debits)
        if taken is None:
            await self._give_back(stored, debits)
            raise NotFound
        return _open(taken, key), _peeked(taken)

    async def burn(self, secret_key: str, *, passphrase: str = "", caller: Caller = GUEST) -> None:
        """Destroy it unread, as the holder of the link. Raises as `reveal`."""
        stored = await self._find(secret_key)
        _, debits = await self._prove(stored, secret_key, passphrase, caller)
        if not await self._store.burn(stored.secret_id, refund=debits):
            await self._give_back(stored, debits)
            raise NotFound

    async def receipt(self, receipt_key: str) -> Receipt:
        """What the sender may know. Raises NotFound."""
        if not ids.is_key(receipt_key):
            raise NotFound
        stored = await self._store.receipt(ids.receipt_id(receipt_key))
        # The sender of an end-to-end secret chooses the name of its receipt, and may choose one of ours.
        if stored is None or stored.kind is Kind.ENVELOPE:
            raise NotFound
        return Receipt(
            receipt_key=receipt_key,
            kind=stored.kind,
            state=stored.state,
            has_passphrase=stored.has_passphrase,
            created_at=stored.created_at,
            secret_expires_at=stored.secret_expires_at,
            expires_at=stored.expires_at,
            ended_at=stored.ended_at,
            wrong_tries=stored.wrong_tries,
            now=stored.now,
            secret_key=(
                self._unwrap(receipt_key, stored.wrapped) if stored.state is State.NEW else None
            ),
        )

    async def generated_value(self, receipt_key: str, *, passphrase: str = "") -> str | None:
        """The value of a generated secret, once, within 60 seconds of its making and while it is new.

        None as well where it has a passphrase and none is given.

        Raises:
            NotFound: no such receipt.
            WrongPassphrase, RateLimited, Undecryptable, Unavailable: nothing was shown.
        """
        receipt = await self.receipt(receipt_key)
        if receipt.kind is not Kind.GENERATED or receipt.secret_key is None:
            return None
        if receipt.has_passphrase and not passphrase:
            return None
        if receipt.now - receipt.created_at >= SHOWN_SECONDS:
            return None
        try:
            stored = await self._find(receipt.secret_key)
            key, debits = await self._prove(stored, receipt.secret_key, passphrase, GUEST)
        except NotFound:  # it ended since the receipt was read
            return None
        await self._give_back(stored, debits)
        shown = await self._store.show_once(ids.receipt_id(receipt_key), within=SHOWN_SECONDS)
        return _open(shown, key) if shown else None

    async def burn_by_receipt(
        self, receipt_key: str, *, passphrase: str | None = None, caller: Caller = GUEST
    ) -> Receipt:
        """Destroy it unread, as its sender; gives the receipt as it is afterwards.

        With `passphrase` None the receipt key suffices (pages); otherwise it must be right where the secret has one (the
        compatible APIs' contract).

        Raises:
            NotFound: no such receipt, or its secret is no longer there.
            WrongPassphrase, RateLimited, Unavailable: it stays.
        """
        receipt = await self.receipt(receipt_key)
        if receipt.secret_key is None:
            raise NotFound
        if passphrase is not None:
            await self.burn(receipt.secret_key, passphrase=passphrase, caller=caller)
        elif not await self._store.burn(ids.secret_id(receipt.secret_key)):
            raise NotFound
        return await self.receipt(receipt_key)

    # The way in

    def _plaintext(self, text: str) -> bytes:
        if not text:
            raise Invalid("secret", "There is nothing to share", rule="empty")
        try:
            plaintext = text.encode()
        except UnicodeEncodeError:
            raise Invalid("secret", "The text is not valid Unicode") from None
        limit = self.terms.max_secret_bytes
        if len(plaintext) > limit:
            raise TooLarge("secret", limit_bytes=limit, size_bytes=len(plaintext))
        return plaintext

    @staticmethod
    def _check_passphrase(passphrase: str) -> None:
        if not passphrase:
            return
        length = len(normal(passphrase))
        if length < SHORTEST_PASSPHRASE:
            raise Invalid(
                "passphrase", f"At least {SHORTEST_PASSPHRASE} characters", rule="too_short"
            )
        if length > LONGEST_PASSPHRASE:
            raise Invalid("passphrase", f"At most {LONGEST_PASSPHRASE} characters", rule="too_long")
        if has_unassigned(passphrase):
            raise Invalid(
                "passphrase", "It has characters that Unicode does not know", rule="unassigned"
            )

    async def _put(
        self, plaintext: bytes, kind: Kind, wish: Wish, caller: Caller, asked: bytes
    ) -> Concealed:
        ttl = self.terms.grant(wish.ttl, clamp=wish.clamp)
        if wish.once and len(wish.once) < SHORTEST_ONCE:
            raise Invalid("once", f"At least {SHORTEST_ONCE} bytes", rule="too_short")
        await self._limits.count("create", caller)
        keys = ids.new_keys()
        root = self._keyring.current
        created_at = self._store.now()
        place = seal.Place(ids.secret_id(keys.secret_key), kind, created_at, created_at + ttl)
        hashed = b""
        if wish.passphrase:
            salt = seal.salt_of(wish.once) if wish.once else seal.new_salt()
            with self._hasher.seat() as seat:
                cost = self._hasher.cost
                hashed = await seat.hash(wish.passphrase, salt, cost)
            key = seal.content_key(root, keys.secret_key, hashed)
            head, body = seal.seal(
                plaintext, key, place, key_number=root.number, cost=cost, salt=salt
            )
        else:
            key = seal.content_key(root, keys.secret_key)
            head, body = seal.seal(plaintext, key, place, key_number=root.number)
        secret = NewSecret(
            secret_id=place.secret_id,
            receipt_id=ids.receipt_id(keys.receipt_key),
            kind=kind,
            has_passphrase=bool(wish.passphrase),
            created_at=created_at,
            expires_at=created_at + ttl,
            receipt_expires_at=created_at + RECEIPT_LIVES * ttl,
            key_number=root.number,
            head=head,
            body=body,
            wrapped=seal.wrap(root, keys.receipt_key, keys.secret_key),
        )
        answer = self._answer(keys, wish, kind, asked, hashed, created_at)
        stored = await self._store.put(secret, answer=answer)
        if stored.earlier is not None:
            return await self._first_answer(stored.earlier, wish)
        return Concealed(
            secret_key=keys.secret_key,
            receipt=Receipt(
                receipt_key=keys.receipt_key,
                kind=kind,
                state=State.NEW,
                has_passphrase=secret.has_passphrase,
                created_at=created_at,
                secret_expires_at=secret.expires_at,
                expires_at=secret.receipt_expires_at,
                ended_at=None,
                wrong_tries=0,
                now=created_at,
                secret_key=keys.secret_key,
            ),
            value=plaintext.decode() if kind is Kind.GENERATED else None,
        )

    def _answer(
        self,
        keys: ids.KeyPair,
        wish: Wish,
        kind: Kind,
        asked: bytes,
        hashed: bytes,
        created_at: int,
    ) -> NewAnswer | None:
        """What a repetition of this create finds: both keys, readable with `once` alone.

        Its name says the passphrase's hash, not the passphrase: a guess at it costs no less here than elsewhere.
        """
        if not wish.once:
            return None
        wishes = json.dumps([kind, wish.ttl, wish.clamp, hashed.hex()]).encode()
        answer = "".join(keys).encode("ascii")
        return NewAnswer(
            answer_id=seal.answer_id(wish.once, wishes + b"\0" + asked),
            sealed=seal.seal_answer(self._keyring.current, wish.once, answer),
            expires_at=created_at + ANSWER_SECONDS,
        )

    async def _first_answer(self, sealed: bytes, wish: Wish) -> Concealed:
        """The answer of the create that came first, with its receipt as it is now. Raises NotFound: it has expired."""
        root = self._keyring.find(seal.key_number(sealed))
        if root is None:
            raise Undecryptable
        both = seal.open_answer(root, wish.once, sealed).decode("ascii")
        secret_key, receipt_key = both[: ids.KEY_LENGTH], both[ids.KEY_LENGTH :]
        try:
            value = await self.generated_value(receipt_key, passphrase=wish.passphrase)
        except RateLimited:  # somebody has been guessing; the answer does not wait for that
            value = None
        receipt = await self.receipt(receipt_key)
        return Concealed(secret_key=secret_key, receipt=receipt, value=value)

    # The way out

    async def _find(self, secret_key: str) -> StoredSecret:
        if not ids.is_key(secret_key):
            raise NotFound
        stored = await self._store.peek(ids.secret_id(secret_key))
        if stored is None:
            raise NotFound
        return stored

    def _plain_proof(self, secret_key: str) -> tuple[bytes, bytes]:
        """Content key and proof of a secret that the current root key sealed without a passphrase.

        Raises:
            NotFound: this is no key.
        """
        if not ids.is_key(secret_key):
            raise NotFound
        root = self._keyring.current
        key = seal.content_key(root, secret_key)
        return key, seal.plain_proof(root, key)

    async def _prove(
        self, stored: StoredSecret, secret_key: str, passphrase: str, caller: Caller
    ) -> tuple[bytes, Sequence[Debit]]:
        """The content key, once it has proved right; and what to give back, where an attempt was debited.

        The budget comes before the seat in the hasher's queue: whoever has none left occupies no place in it.

        Raises:
            WrongPassphrase, RateLimited, Undecryptable, Unavailable, NotFound.
        """
        head = seal.Head.parse(stored.head)
        root = self._keyring.find(head.key_number)
        if root is None:
            raise Undecryptable
        if not stored.has_passphrase:
            key = seal.content_key(root, secret_key)
            if not seal.is_right(key, head):
                raise Undecryptable
            return key, ()
        if not _can_be_passphrase(passphrase):
            raise WrongPassphrase(attempts_left=None)
        attempt = await self._limits.attempt(stored.secret_id, caller)
        if attempt is None:
            raise NotFound
        try:
            with self._hasher.seat() as seat:
                hashed = await seat.hash(passphrase, head.salt, head.cost)
        except Unavailable:
            await self._give_back(stored, attempt.debits)
            raise
        key = seal.content_key(root, secret_key, hashed)
        if not seal.is_right(key, head):
            raise WrongPassphrase(attempts_left=attempt.left)
        return key, attempt.debits

    async def _give_back(self, stored: StoredSecret, debits: Sequence[Debit]) -> None:
        if debits:
            await self._store.refund(stored.secret_id, debits)

    def _unwrap(self, receipt_key: str, wrapped: bytes) -> str | None:
        root = self._keyring.find(seal.key_number(wrapped))
        return seal.unwrap(root, receipt_key, wrapped) if root else None


def _can_be_passphrase(text: str) -> bool:
    """Whether it could ever have been set. What could not is no attempt."""
    try:
        return bool(normal(text))
    except Invalid:
        return False


def _peeked(stored: StoredSecret) -> Peek:
    return Peek(
        has_passphrase=stored.has_passphrase,
        created_at=stored.created_at,
        expires_at=stored.expires_at,
        now=stored.now,
    )


def _open(stored: StoredSecret, key: bytes) -> str:
    place = seal.Place(stored.secret_id, stored.kind, stored.created_at, stored.expires_at)
    return seal.open_(stored.body, key, place, seal.Head.parse(stored.head)).decode()
