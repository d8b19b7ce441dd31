"""Keys, and the names under which a store knows them."""

import math
import os
from collections import Counter
from collections.abc import Sequence

import pytest

from onetime.crypto import ids, seal
from tests.crypto.by_hand import blake2b

KEY = "3t9xk0qz7m1v5w8r2y6n4b0c1d2tag7"
SECRET_ID = "74616737d9ad95c40625dfe5bc9dae545006e55f5ec643afa5ac83ba2d35156453201327"
RECEIPT_ID = "7461673767a93a3a8042115661d83e546fda3f9c09d76e78cffb613907914666662ecc6d"
TOKEN_ID = "e3b99ab95c09e98d9259c846d2d95f6c60f599fdeb832a5cd7f3215e69daf4f2"


def test_a_key_is_31_letters_and_digits() -> None:
    for key in ids.new_keys():
        assert len(key) == 31
        assert set(key) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
        assert ids.is_key(key)


def test_the_two_keys_share_their_last_four_and_nothing_else() -> None:
    for _ in range(200):
        secret_key, receipt_key = ids.new_keys()
        assert secret_key[-4:] == receipt_key[-4:]
        # 27 places that agree by chance: expected 0.75, 14 or more once in 10^14.
        same = sum(one == two for one, two in zip(secret_key[:27], receipt_key[:27], strict=True))
        assert same < 14


def test_27_free_letters_carry_139_bits() -> None:
    own = ids.KEY_LENGTH - ids.TAG_LENGTH
    assert own == 27
    assert math.floor(own * math.log2(len(ids.ALPHABET))) == 139


def is_uniform(keys: Sequence[str]) -> bool:
    """False for random keys about once in 10^10."""
    places = [Counter(place) for place in zip(*keys, strict=True)]
    expected = len(keys) / 36
    # 35 degrees of freedom: above 130 once in 10^12.
    for place in places:
        if sum((place[letter] - expected) ** 2 / expected for letter in ids.ALPHABET) >= 130:
            return False
    total = sum(places, Counter[str]())
    expected *= len(places)
    return all(abs(total[letter] - expected) < 7 * math.sqrt(expected) for letter in ids.ALPHABET)


def test_letters_are_uniform_in_every_place() -> None:
    assert is_uniform([ids.new_keys().secret_key for _ in range(7200)])


def test_letters_that_are_a_little_more_frequent_would_be_noticed() -> None:
    biased = ["".join(ids.ALPHABET[byte % 36] for byte in os.urandom(31)) for _ in range(7200)]
    assert not is_uniform(biased)


def test_no_key_comes_twice() -> None:
    keys = [key for _ in range(5000) for key in ids.new_keys()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY[:-1],
        KEY + "0",
        KEY.upper(),
        KEY[:-1] + "\n",
        KEY + "\n",
        " " + KEY[1:],
        KEY[:-1] + "\u0455",  # a Cyrillic letter that looks like s
        KEY[:-1] + "\u0661",  # an Arabic digit
        KEY[:-1] + "\uff11",  # a wide digit
        KEY[:-1] + "\u017f",  # a letter whose capital is S
        KEY[:-1] + "\ud800",
        KEY[:-1] + "\0",
        "0" * 1_000_000,
    ],
)
def test_anything_else_is_no_key(text: str) -> None:
    assert not ids.is_key(text)


def test_the_store_sees_the_tag_and_a_hash() -> None:
    raw = KEY.encode()
    assert ids.secret_id(KEY) == b"tag7" + blake2b(raw, person=b"onetime id")
    assert ids.receipt_id(KEY) == b"tag7" + blake2b(raw, person=b"onetime rcpt id")
    assert ids.token_id("0a" * 20) == blake2b(b"0a" * 20, person=b"onetime token")


def test_what_the_store_sees_is_fixed() -> None:
    assert ids.secret_id(KEY).hex() == SECRET_ID
    assert ids.receipt_id(KEY).hex() == RECEIPT_ID
    assert ids.token_id("0a" * 20).hex() == TOKEN_ID


def test_every_purpose_has_a_person_of_its_own() -> None:
    persons = [
        value
        for module in (ids, seal)
        for name, value in vars(module).items()
        if name.startswith("PERSON_")
    ]
    assert len(persons) == 7
    assert len(set(persons)) == len(persons)
    assert all(0 < len(person) <= 16 for person in persons)
    # BLAKE2b fills up with zeros: two that differ in them alone would be one.
    assert len({person.rstrip(b"\0") for person in persons}) == len(persons)


def test_a_token_is_40_hexadecimal_digits() -> None:
    tokens = {ids.new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(len(token) == 40 and set(token) <= set("0123456789abcdef") for token in tokens)
