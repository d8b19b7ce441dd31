"""Argon2id, what counts as the same passphrase, and the bounded queue in front of the hasher."""

import asyncio
import sys
import threading
import unicodedata

import pytest
from argon2.exceptions import HashingError
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from onetime.crypto import hashing
from onetime.crypto.hashing import DEFAULT_COST, Cost, Hasher, argon2id
from onetime.crypto.passphrase import LONGEST_SPELLING, has_unassigned, normal
from onetime.errors import Invalid, Unavailable

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
SALT = bytes(range(16))


def test_the_reference_gives_what_the_standard_says() -> None:
    # RFC 9106, section 5.3. It has a secret and associated data, which passphrases here do not use.
    theirs = Argon2id(
        salt=b"\x02" * 16,
        length=32,
        iterations=3,
        lanes=4,
        memory_cost=32,
        secret=b"\x03" * 8,
        ad=b"\x04" * 12,
    )
    expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    assert theirs.derive(b"\x01" * 32).hex() == expected


@pytest.mark.parametrize(
    "cost",
    [QUICK, DEFAULT_COST, Cost(passes=3, lanes=4, memory_kib=64)],
    ids=["quick", "default", "lanes"],
)
@pytest.mark.parametrize("passphrase", ["1234", "battery staple", "пароль 🦔", "a\0b", "x" * 512])
def test_argon2id_equals_the_reference(passphrase: str, cost: Cost) -> None:
    theirs = Argon2id(
        salt=SALT,
        length=32,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    assert argon2id(passphrase, SALT, cost) == theirs.derive(passphrase.encode())


def test_the_default_cost_is_what_owasp_recommends() -> None:
    assert Cost(passes=2, lanes=1, memory_kib=19456) == DEFAULT_COST


def test_a_hash_that_gets_no_memory_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object, **__: object) -> bytes:
        raise HashingError("Memory allocation error")

    monkeypatch.setattr(hashing, "hash_secret_raw", starved)
    with pytest.raises(Unavailable):
        argon2id("battery staple", SALT, QUICK)


def test_composed_and_decomposed_are_one_passphrase() -> None:
    assert normal("cafe\u0301") == normal("caf\u00e9") == "caf\u00e9"
    assert normal("\u1112\u1161\u11ab") == normal("\ud55c")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("abcd", "ABCD"),
        ("abcd", " abcd"),
        ("abcd", "abcd "),
        ("abcd", "abcd\n"),
        ("abcd", "abcd\0"),
        ("abcd", "\uff41bcd"),  # a wide a: NFC, not NFKC
        ("ﬁne", "fine"),
        ("straße", "strasse"),
        ("пароль", "?0@>;L"),  # what is left of it at one byte a character
        ("ab\u200bcd", "abcd"),
        ("ab\u00a0cd", "ab cd"),
    ],
)
def test_nothing_is_trimmed_or_folded(one: str, two: str) -> None:
    assert argon2id(normal(one), SALT, QUICK) != argon2id(normal(two), SALT, QUICK)


@given(st.text(st.characters(codec="utf-8"), max_size=LONGEST_SPELLING))
def test_normalising_twice_changes_nothing(passphrase: str) -> None:
    assert normal(normal(passphrase)) == normal(passphrase)


@pytest.mark.parametrize("passphrase", ["\ud800abc", "abc\udfff", "\udc00\ud800pass"])
def test_surrogates_without_a_partner_are_refused(passphrase: str) -> None:
    with pytest.raises(Invalid) as refused:
        normal(passphrase)
    assert (refused.value.field, refused.value.rule) == ("passphrase", "malformed")


def test_what_is_far_too_long_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    # Sorting a run of combining marks takes the square of its length: this one would hold the event loop for minutes.
    marks = "a" + "\u0315" * 150_000 + "\u0327" * 150_000
    normalised: list[int] = []

    def counting(form: str, text: str) -> str:
        normalised.append(len(text))
        return text

    monkeypatch.setattr(unicodedata, "normalize", counting)
    with pytest.raises(Invalid) as refused:
        normal(marks)
    assert refused.value.rule == "too_long"
    assert normalised == []


def test_no_spelling_of_128_characters_is_too_long_to_be_normalised() -> None:
    # So none of all code points may have more than four in its longest spelling.
    longest = max(
        len(unicodedata.normalize("NFD", chr(point))) for point in range(sys.maxunicode + 1)
    )
    assert longest * 128 <= LONGEST_SPELLING
    assert normal("\u1f82" * 128) == normal(unicodedata.normalize("NFD", "\u1f82" * 128))


def test_what_unicode_does_not_know_is_unassigned() -> None:
    assert has_unassigned("abc\u0378")
    assert has_unassigned("abc\U000e0080")
    assert has_unassigned("abc\uffff")
    assert not has_unassigned("abc \u0457 \u200b \u202e \0 \ue000 🦔")


async def test_a_seat_hashes_the_normal_form() -> None:
    hasher = Hasher(cost=QUICK)
    try:
        with hasher.seat() as seat:
            made = await seat.hash("cafe\u0301", SALT, QUICK)
    finally:
        hasher.close()
    assert made == argon2id("caf\u00e9", SALT, QUICK)
    assert hasher.made == 1


def test_the_queue_is_bounded_and_every_seat_comes_back() -> None:
    hasher = Hasher(cost=QUICK, threads=1, most_waiting=1)
    with hasher.seat(), hasher.seat():
        for _ in range(3):
            with pytest.raises(Unavailable) as refused, hasher.seat():
                pass
            assert refused.value.retry_after > 0
    with pytest.raises(ZeroDivisionError), hasher.seat():
        raise ZeroDivisionError
    with hasher.seat(), hasher.seat():
        pass


async def test_a_caller_who_leaves_cannot_make_more_hashes_run_at_once_than_there_are_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher = Hasher(cost=QUICK, threads=2, most_waiting=2)
    release = threading.Event()
    running: list[int] = []
    most = 0

    def held(passphrase: str, salt: bytes, cost: Cost) -> bytes:
        nonlocal most
        running.append(1)
        most = max(most, len(running))
        release.wait(30)
        running.pop()
        return b""

    monkeypatch.setattr(hashing, "argon2id", held)

    async def guess() -> None:
        with hasher.seat() as seat:
            await seat.hash("guess", SALT, QUICK)

    try:
        for _ in range(10):
            callers = [asyncio.create_task(guess()) for _ in range(4)]
            await asyncio.sleep(0)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        assert most <= 2
    finally:
        release.set()
        hasher.close()
