"""What may happen to a secret: conceal, generate, peek, reveal, burn; and the receipts that tell of it.

These are the rules for sealed secrets: the server encrypts, and holds the key only while a request carries it. Reading
order for a newcomer: `reveal`, then `storage.port`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetime.model import GUEST, Caller, Concealed, Peek, Receipt

if TYPE_CHECKING:
    from onetime.core.generate import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a sender asks for beside the text. `ttl` None: the default. `clamp`: bring a lifetime that is not allowed into
    the allowed range instead of refusing it (the compatible APIs' contract).

    `once` makes a create idempotent: 16 or more random bytes, kept by the sender; the same `once` with the same text and
    wishes gives the first answer again for 24 hours.
    """

    ttl: int | None = None
    passphrase: str = ""
    clamp: bool = False
    once: bytes = b""


class Vault:
    async def conceal(self, text: str, wish: Wish = Wish(), *, caller: Caller = GUEST) -> Concealed:
        """Take a secret in.

        Raises:
            Invalid: `text` is empty ("empty") or holds unpaired surrogates; `ttl` out of range ("ttl"); `passphrase` "too_short" or "too_long".
            TooLarge: more than the setting allows.
            RateLimited, Full, Unavailable.
        """
        raise NotImplementedError

    async def generate(self, recipe: Recipe, wish: Wish = Wish(), *, caller: Caller = GUEST) -> Concealed:
        """Make a secret up and conceal it; the answer holds its value."""
        raise NotImplementedError

    async def peek(self, secret_key: str) -> Peek:
        """Look without consuming. Raises NotFound."""
        raise NotImplementedError

    async def reveal(self, secret_key: str, *, passphrase: str = "", caller: Caller = GUEST) -> str:
        """Give up the secret, to one caller, once.

        Raises:
            NotFound: never was, or is no longer.
            WrongPassphrase, RateLimited, Undecryptable, Unavailable: it stays.
        """
        raise NotImplementedError

    async def burn(self, secret_key: str, *, passphrase: str = "", caller: Caller = GUEST) -> None:
        """Destroy it unread, as the holder of the link. Raises as `reveal`."""
        raise NotImplementedError

    async def receipt(self, receipt_key: str) -> Receipt:
        """What the sender may know. Raises NotFound."""
        raise NotImplementedError

    async def generated_value(self, receipt_key: str) -> str | None:
        """The value of a generated secret without passphrase, once, within 60 seconds of its making and while it is new."""
        raise NotImplementedError

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
        raise NotImplementedError
