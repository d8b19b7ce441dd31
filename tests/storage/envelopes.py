"""End-to-end secrets for the tests: what a sender hands in, who asks for it with what, and time while the service is awake."""

import hashlib
import random
from typing import Any

from onetime.model import Handed, Kind
from onetime.storage.port import NewSecret, Refused, Tries, VaultStore
from tests.storage.adapters import Clock, name_of, new_secret
from tests.storage.races import Call, call, make

WINDOW = 600
TRIES = Tries(free=10, lock=60, longest_lock=3600, total=100)


def body_of(word: str) -> bytes:
    """Noise, as an envelope is; the same for the same word."""
    return random.Random(word).randbytes(500)


def right(word: str = "a") -> bytes:
    """The hash of the proof that opens the secret of that name."""
    return hashlib.sha256(f"open {word}".encode()).digest()


def wrong(guess: object = "") -> bytes:
    return hashlib.sha256(f"guess {guess}".encode()).digest()


def claim_of(device: object) -> bytes:
    """The hash of the claim that a device has made."""
    return hashlib.sha256(f"claim of {device}".encode()).digest()


def new_envelope(word: str = "a", **facts: Any) -> NewSecret:
    """It lives an hour, its receipt two; both are named after `word`."""
    known: dict[str, Any] = {
        "kind": Kind.ENVELOPE,
        "key_number": 0,
        "head": b"",
        "wrapped": b"",
        "body": body_of(word),
        "open_hash": right(word),
    }
    return new_secret(word, **known | facts)


def claiming(
    word: str = "a",
    device: object = "phone",
    *,
    open_hash: bytes | None = None,
    window: int = WINDOW,
) -> Call:
    """A claim of a device that has the right proof, or another."""
    return call(
        "claim",
        name_of(f"secret {word}"),
        open_hash=right(word) if open_hash is None else open_hash,
        claim_hash=claim_of(device),
        window=window,
        tries=TRIES,
    )


def settling(word: str = "a", device: object = "phone") -> Call:
    return call("settle", name_of(f"secret {word}"), claim_hash=claim_of(device))


def burning(word: str = "a", *, open_hash: bytes = b"", device: object | None = None) -> Call:
    """By who holds the link."""
    return call(
        "burn_proved",
        name_of(f"secret {word}"),
        open_hash=open_hash,
        claim_hash=b"" if device is None else claim_of(device),
        tries=TRIES,
    )


async def handed(vault: VaultStore, one: Call) -> bytes | None:
    """What a claim was given; None if it was refused or there was nothing."""
    answer: Handed | Refused | None = await make(vault, one)
    return answer.body if isinstance(answer, Handed) else None


async def sweep(vault: VaultStore) -> int:
    """How many secrets it removed."""
    removed = 0
    while True:
        swept = await vault.sweep()
        removed += swept.secrets
        if not swept.more:
            return removed


async def pass_time(vault: VaultStore, clock: Clock, seconds: float) -> None:
    """While the service is awake: it sweeps every minute, and at the end. Time that it sleeps through is `clock.now += 60`."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(clock.now + 60, end)
        await sweep(vault)
