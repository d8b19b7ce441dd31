"""Argon2id for passphrases (and, with accounts, passwords).

Hashing is the one computation here that is long enough to wait for. It runs on a few worker threads, and the queue in front
of them is bounded: at `cost.memory_kib` a hash, more at once would let a stranger fill the memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw

from onetime.crypto.passphrase import normal
from onetime.errors import Unavailable

HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    passes: int
    lanes: int
    memory_kib: int


# OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane.
DEFAULT_COST = Cost(passes=2, lanes=1, memory_kib=19 * 1024)

THREADS = 2
# At 30 to 40 ms a hash and two threads, the last in the queue waits for about half a second.
MOST_WAITING = 32


class Hasher:
    """`made` counts hashes so far: tests compare work, not time."""

    def __init__(
        self, *, cost: Cost = DEFAULT_COST, threads: int = THREADS, most_waiting: int = MOST_WAITING
    ) -> None:
        self.cost = cost
        self.made = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="hasher")
        self._room = threads + most_waiting

    @contextmanager
    def seat(self) -> Iterator[Seat]:
        """A place in the queue, taken before anything that an overflow would have to undo.

        Raises:
            Unavailable: too many are waiting.
        """
        if self._room <= 0:
            raise Unavailable("Too many passphrases are being checked", retry_after=2)
        self._room -= 1
        try:
            yield Seat(self)
        finally:
            self._room += 1

    async def run(self, passphrase: str, salt: bytes, cost: Cost) -> bytes:
        self.made += 1
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, argon2id, normal(passphrase), salt, cost
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Seat:
    hasher: Hasher

    async def hash(self, passphrase: str, salt: bytes, cost: Cost) -> bytes:
        """32 bytes of Argon2id over the normalised passphrase."""
        return await self.hasher.run(passphrase, salt, cost)


def argon2id(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """
    Raises:
        Unavailable: there is no memory for it.
    """
    try:
        return hash_secret_raw(
            passphrase.encode(),
            salt,
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=HASH_BYTES,
            type=Type.ID,
        )
    except HashingError as error:
        raise Unavailable(f"A passphrase could not be hashed: {error}") from None
