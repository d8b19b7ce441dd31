"""The root key: what derives from it, which ones are refused, and rotation."""

import hashlib
import secrets

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from onetime.crypto.keyring import Keyring, RootKey, hkdf, weakness

RAW = bytes.fromhex("8f1d9b6e25c04a73f2e8417bd05936ac7e14c3f8a96052bd1b8ed74f3360e59a")
OTHER = hashlib.sha256(RAW).digest()


def test_hkdf_gives_what_the_standard_says() -> None:
    # RFC 5869, test case 3: no salt, no info; its 42 bytes begin with one block of 32.
    key = bytes.fromhex("0b" * 22)
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf(key, "").hex() == expected


@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8")), st.integers(1, 32))
def test_hkdf_equals_that_of_cryptography(key: bytes, label: str, length: int) -> None:
    theirs = HKDF(algorithm=SHA256(), length=length, salt=None, info=label.encode())
    assert hkdf(key, label, length) == theirs.derive(key)


@pytest.mark.parametrize("length", [-1, 0, 33, 1000])
def test_hkdf_refuses_what_one_block_does_not_give(length: int) -> None:
    with pytest.raises(ValueError, match="one block"):
        hkdf(RAW, "label", length)


def test_what_derives_from_a_root_key_is_fixed() -> None:
    root = RootKey.of(RAW)
    assert root.number == int.from_bytes(hkdf(RAW, "onetime/1 number", 4), "big")
    assert [root.verifier, root.seal, root.wrap, root.answer] == [
        hkdf(RAW, f"onetime/1 {label}") for label in ("verifier", "seal", "wrap", "answer")
    ]


def test_nothing_that_derives_from_it_equals_another_or_the_key() -> None:
    root = RootKey.of(RAW)
    assert len({RAW, root.verifier, root.seal, root.wrap, root.answer}) == 5
    assert root.number.to_bytes(4) not in RAW + root.seal + root.wrap + root.answer + root.verifier


def test_a_root_key_prints_nothing_that_opens() -> None:
    printed = repr(RootKey.of(RAW))
    for hidden in (RootKey.of(RAW).seal, RootKey.of(RAW).wrap, RootKey.of(RAW).answer):
        assert repr(hidden) not in printed
        assert hidden.hex() not in printed


def test_the_first_key_seals_and_all_are_found_by_number() -> None:
    ring = Keyring(RAW, (OTHER,))
    assert ring.current == RootKey.of(RAW)
    assert ring.find(RootKey.of(RAW).number) == RootKey.of(RAW)
    assert ring.find(RootKey.of(OTHER).number) == RootKey.of(OTHER)
    assert ring.find(RootKey.of(OTHER).number ^ 1) is None


def test_a_key_that_is_listed_twice_is_one_key() -> None:
    ring = Keyring(RAW, (RAW, OTHER))
    assert ring.find(RootKey.of(RAW).number) == ring.current


WEAK = {
    "zeros": bytes(32),
    "one letter": b"\xff" * 32,
    "counting": bytes(range(32)),
    "counting down": bytes(range(255, 223, -1)),
    "counting in sevens": bytes(7 * step % 256 for step in range(32)),
    "counting twice": bytes(range(16)) * 2,
    "counting there and back": bytes([*range(16), *range(15, -1, -1)]),
    "counting, two runs": bytes([*range(16), *range(240, 256)]),
    "digits of hexadecimal": bytes.fromhex("0123456789abcdef" * 4),
    "digits there and back": bytes.fromhex("0123456789abcdeffedcba9876543210" * 2),
    "the test key of a standard": bytes.fromhex("00112233445566778899aabbccddeeff" * 2),
    "half a key twice": RAW[:16] * 2,
    "a quarter four times": RAW[:8] * 4,
    "dead beef": bytes.fromhex("deadbeef" * 8),
    "words": b"correct horse battery staple 123",
    "words and a line's end": b"Correct Horse Battery Staple 12\n",
    "a hash as text": hashlib.sha256(b"x").hexdigest()[:32].encode(),
    "base64": b"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ",
    "ukrainian": "щабель ґрунтівки!".encode(),
    "too short": RAW[:31],
    "too long": RAW + b"\x01",
    "empty": b"",
}


@pytest.mark.parametrize("raw", WEAK.values(), ids=WEAK.keys())
def test_a_key_that_could_be_guessed_is_refused(raw: bytes) -> None:
    assert weakness(raw)


def test_a_random_key_is_not_refused() -> None:
    # The rules together refuse a random one about once in 10^11.
    assert not any(weakness(secrets.token_bytes(32)) for _ in range(5000))


def test_why_it_is_refused_does_not_repeat_the_key() -> None:
    for raw in WEAK.values():
        said = weakness(raw) or ""
        assert not raw or raw.hex() not in said
