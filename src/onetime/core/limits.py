"""The rate limits and budgets: one table, one question.

Counters are kept by the store, shared by all processes, under keys that name nobody: for a network prefix, its HMAC under
a key that is random per installation and day and expires a day later. It is not derived from the root key, or a thief of
both could try all networks.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetime.errors import RateLimited
from onetime.storage.port import Budget, Debit, Tries

if TYPE_CHECKING:
    from onetime.model import Caller
    from onetime.storage.port import VaultStore

DAY = 86_400

BUDGETS = {
    # Creating and reading, each for one network (reference 0.9).
    "create": Budget(limit=1000, window=1200),
    "reveal": Budget(limit=1000, window=1200),
    # Wrong passphrases at one sealed secret: from one network, and from everywhere (reference 0.9).
    "passphrase from a network": Budget(limit=5, window=600, lock=1800),
    "passphrase": Budget(limit=20, window=600, lock=1800),
}

# Wrong passphrases in a secret's whole life. A patient guesser from many networks stays one below the lock, gets 19 in ten
# minutes, and has spent it within the hour; a four-digit number is then guessed with a chance of 1 in 100.
# docs/passphrases.md has the arithmetic.
PASSPHRASE_TOTAL = 100

# Wrong open proofs at one end-to-end secret. Nobody guesses without the link, so it has no budgets of networks.
ENVELOPE_TRIES = Tries(free=10, lock=60, longest_lock=3600, total=100)


class Limits:
    """`network_budgets` False switches off those of a network, never a secret's own."""

    def __init__(self, store: VaultStore, *, network_budgets: bool) -> None:
        self._store = store
        self._network_budgets = network_budgets
        self._day = -1
        self._key = b""

    async def count(self, name: str, caller: Caller) -> None:
        """One use by `caller` of the budget `name`.

        Raises:
            RateLimited: it is spent.
        """
        if not self._network_budgets:
            return
        debit = Debit(key=await self._counter(name, caller.network), budget=BUDGETS[name])
        made = await self._store.count(debit)
        if made.refused is not None:
            raise RateLimited(name, retry_after=made.retry_after)

    async def attempt(self, secret_id: bytes, caller: Caller) -> Attempt | None:
        """Debit one attempt at the passphrase of a secret, before it is tested. None: there is no such secret.

        Raises:
            RateLimited: no attempt is left now; without `retry_after` none ever.
        """
        names = ("passphrase from a network", "passphrase")
        keys = (
            await self._counter(names[0], f"{secret_id.hex()} {caller.network}"),
            hashlib.sha256(b"passphrase " + secret_id).digest(),
        )
        debits = [
            Debit(key=key, budget=BUDGETS[name]) for key, name in zip(keys, names, strict=True)
        ]
        made = await self._store.spend(secret_id, total=PASSPHRASE_TOTAL, debits=debits)
        if made is None:
            return None
        if made.refused is not None:
            name = "passphrase total" if made.refused < 0 else names[made.refused]
            raise RateLimited(name, retry_after=made.retry_after)
        return Attempt(debits=debits, left=made.left)

    async def _counter(self, name: str, subject: str) -> bytes:
        now = self._store.now()
        if now // DAY != self._day:
            day = now // DAY
            self._key = await self._store.daily_key(day, os.urandom(32), expires_at=(day + 2) * DAY)
            self._day = day
        return hmac.digest(self._key, f"{name} {subject}".encode(), "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A debited attempt: what to give back if it proves right, and how many are left if not."""

    debits: Sequence[Debit]
    left: int
