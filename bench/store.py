"""The vault's SQLite adapter alone: operations a second through the group commit, without HTTP and encryption.

As many callers as the load has connections, each with one operation outstanding, on the servers' core. What the
adapter gets has the sizes that the server makes of a secret of 100 bytes and of 10 KB. `python -m bench.store`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterable, Iterator
from pathlib import Path

import uvloop

from bench.generator import CONNECTIONS, Void
from bench.servers import results
from onetime.crypto.ids import ALPHABET, TAG_LENGTH
from onetime.model import Kind
from onetime.storage.port import NewSecret
from onetime.storage.vault.sqlite import SqliteVault

SIZES = (100, 10_240)
# What the server stores beside the text: the sizes of `secret.head` and `receipt.wrapped`, and the tag of the body.
HEAD_BYTES = 55
WRAPPED_BYTES = 63
TAG_BYTES = 16
OPERATIONS = 10_000
ROUNDS = 5


def secrets(count: int, size: int, *, seed: int, now: int) -> Iterator[NewSecret]:
    """Random ids made like the real ones, since their order in an index is what costs; the rest is only as long."""
    dice = random.Random(seed)
    body = os.urandom(size + TAG_BYTES)
    head, wrapped = os.urandom(HEAD_BYTES), os.urandom(WRAPPED_BYTES)
    for _ in range(count):
        tag = "".join(dice.choices(ALPHABET, k=TAG_LENGTH)).encode()
        yield NewSecret(
            secret_id=tag + dice.randbytes(32),
            receipt_id=tag + dice.randbytes(32),
            kind=Kind.CONCEALED,
            has_passphrase=False,
            created_at=now,
            expires_at=now + 604_800,
            receipt_expires_at=now + 1_209_600,
            key_number=1,
            head=head,
            body=body,
            wrapped=wrapped,
        )


async def together(jobs: Iterable[Awaitable[object]], callers: int = CONNECTIONS) -> None:
    """Await them all, so many at a time."""
    waiting = iter(jobs)

    async def call() -> None:
        for job in waiting:
            await job

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())


async def _rate(jobs: Iterable[Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await together(jobs)
    return OPERATIONS / (time.perf_counter() - begin)


async def measure(path: Path) -> dict[str, float]:
    """Operations a second, the median of the rounds.

    Raises:
        Void: a take gave nothing.
    """
    store = await SqliteVault.open(path, clock=time.time)
    rates: dict[str, list[float]] = {}

    async def take(secret: NewSecret) -> None:
        taken = await store.take(secret.secret_id)
        if taken is None or taken.body != secret.body:
            raise Void("a take did not give what was put")

    try:
        for round_ in range(ROUNDS):
            for size in SIZES:
                batch = list(secrets(OPERATIONS, size, seed=round_ * 7 + size, now=store.now()))
                put = await _rate(store.put(each) for each in batch)
                random.Random(round_).shuffle(batch)
                took = await _rate(take(each) for each in batch)
                rates.setdefault(f"put, {size} bytes", []).append(put)
                rates.setdefault(f"take, {size} bytes", []).append(took)
    finally:
        await store.close()
    return {name: statistics.median(found) for name, found in rates.items()}


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="store-", dir=results()) as folder:
        rates = uvloop.run(measure(Path(folder) / "vault.db"))
    print(f"SQLite {sqlite3.sqlite_version}, {CONNECTIONS} callers, one core:")
    for name, rate in rates.items():
        print(f"  {name:18} {rate:9,.0f} a second")


if __name__ == "__main__":
    main()
