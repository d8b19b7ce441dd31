"""Server-side encryption: the layout to the byte, what is bound, and what does not open."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from onetime.crypto import ids, seal
from onetime.crypto.hashing import Cost, argon2id
from onetime.crypto.keyring import RootKey
from onetime.crypto.passphrase import normal
from onetime.errors import Undecryptable
from tests.crypto import vectors
from tests.crypto.by_hand import Sealed

ROOT = RootKey.of(bytes.fromhex("8f1d9b6e25c04a73f2e8417bd05936ac7e14c3f8a96052bd1b8ed74f3360e59a"))
OTHER_ROOT = RootKey.of(bytes.fromhex("c1" * 16 + "3e" * 16))
KEY = "3t9xk0qz7m1v5w8r2y6n4b0c1d2tag7"
RECEIPT_KEY = "9q8w7e6r5t4y3u2i1o0p9a8s7d6tag7"
COST = Cost(passes=1, lanes=1, memory_kib=32)
SALT = bytes(range(16))
PLACE = seal.Place(ids.secret_id(KEY), "conceal", 1_785_000_000, 1_785_604_800)
TEXT = b"correct horse"


def key_of(passphrase: str = "", *, root: RootKey = ROOT, secret_key: str = KEY) -> bytes:
    hashed = argon2id(passphrase, SALT, COST) if passphrase else b""
    return seal.content_key(root, secret_key, hashed)


def sealed(passphrase: str = "") -> tuple[bytes, bytes]:
    key = key_of(passphrase)
    if not passphrase:
        return seal.seal(TEXT, key, PLACE, key_number=ROOT.number)
    return seal.seal(TEXT, key, PLACE, key_number=ROOT.number, cost=COST, salt=SALT)


def opened(head: bytes, body: bytes, passphrase: str = "", place: seal.Place = PLACE) -> bytes:
    return seal.open_(body, key_of(passphrase), place, seal.Head.parse(head))


@pytest.mark.parametrize("name", vectors.CASES)
def test_a_vector_is_what_the_description_gives_by_hand(name: str) -> None:
    assert json.loads((vectors.FOLDER / f"{name}.json").read_text()) == vectors.as_json(
        vectors.by_hand(name)
    )


def test_every_file_of_vectors_is_tested() -> None:
    assert {file.stem for file in vectors.FOLDER.iterdir()} == set(vectors.CASES)


@pytest.mark.parametrize("name", vectors.CASES)
def test_a_vector_opens(name: str) -> None:
    case = vectors.read(name)
    root = RootKey.of(case["root_key"])
    head = seal.Head.parse(case["head"])
    hashed = (
        argon2id(normal(case["passphrase"]), head.salt, head.cost) if case["passphrase"] else b""
    )
    key = seal.content_key(root, case["secret_key"], hashed)
    place = seal.Place(
        ids.secret_id(case["secret_key"]), case["kind"], case["created_at"], case["expires_at"]
    )

    assert head.key_number == root.number == int.from_bytes(case["key_number"])
    assert place.secret_id == case["secret_id"]
    assert key == case["content_key"]
    assert seal.is_right(key, head)
    assert seal.open_(case["body"], key, place, head) == case["plaintext"]


@pytest.mark.parametrize("passphrase", ["", "battery staple"])
def test_what_is_sealed_is_what_the_description_gives_by_hand(passphrase: str) -> None:
    head, body = sealed(passphrase)
    cost: dict[str, Any] = (
        {"passes": 1, "lanes": 1, "memory_kib": 32, "salt": SALT} if passphrase else {}
    )
    by_hand = Sealed(
        root_key=bytes.fromhex("8f1d9b6e25c04a73f2e8417bd05936ac7e14c3f8a96052bd1b8ed74f3360e59a"),
        secret_key=KEY,
        plaintext=TEXT,
        kind=PLACE.kind,
        created_at=PLACE.created_at,
        expires_at=PLACE.expires_at,
        nonce=head[-12:],
        passphrase=passphrase,
        **cost,
    )
    assert len(head) == 1 + 4 + 1 + 1 + 4 + 16 + 16 + 12
    assert head == by_hand.head
    assert body == by_hand.body
    assert len(body) == len(TEXT) + 16


def test_nonces_and_salts_are_never_the_same() -> None:
    assert len({sealed()[0][-12:] for _ in range(1000)}) == 1000
    assert len({seal.new_salt() for _ in range(1000)}) == 1000


@given(
    st.binary(max_size=2000),
    st.sampled_from(["conceal", "generate"]),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
)
def test_what_is_sealed_opens(text: bytes, kind: str, created_at: int, expires_at: int) -> None:
    keys = ids.new_keys()
    key = seal.content_key(ROOT, keys.secret_key)
    place = seal.Place(ids.secret_id(keys.secret_key), kind, created_at, expires_at)
    head, body = seal.seal(text, key, place, key_number=ROOT.number)
    parsed = seal.Head.parse(head)
    assert parsed.pack() == head
    assert seal.is_right(key, parsed)
    assert seal.open_(body, key, place, parsed) == text


OTHER_PLACES = {
    "id": structs.replace(PLACE, secret_id=ids.secret_id(RECEIPT_KEY)),
    "id of the receipt": structs.replace(PLACE, secret_id=ids.receipt_id(KEY)),
    "kind": structs.replace(PLACE, kind="generate"),
    "creation": structs.replace(PLACE, created_at=PLACE.created_at + 1),
    "expiry": structs.replace(PLACE, expires_at=PLACE.expires_at + 1),
    "times exchanged": structs.replace(
        PLACE, created_at=PLACE.expires_at, expires_at=PLACE.created_at
    ),
}


@pytest.mark.parametrize("place", OTHER_PLACES.values(), ids=OTHER_PLACES.keys())
def test_a_secret_in_another_place_does_not_open(place: seal.Place) -> None:
    head, body = sealed()
    with pytest.raises(Undecryptable):
        opened(head, body, place=place)


OTHER_HEADS: dict[str, dict[str, Any]] = {
    "key number": {"key_number": ROOT.number ^ 1},
    "passes": {"cost": replace(COST, passes=2)},
    "lanes": {"cost": replace(COST, lanes=2)},
    "memory": {"cost": replace(COST, memory_kib=33)},
    "salt": {"salt": SALT[::-1]},
    "nonce": {"nonce": bytes(12)},
}


@pytest.mark.parametrize("change", OTHER_HEADS.values(), ids=OTHER_HEADS.keys())
def test_a_secret_under_another_head_does_not_open_even_with_its_key(
    change: dict[str, Any],
) -> None:
    head, body = sealed("battery staple")
    other = structs.replace(seal.Head.parse(head), **change)
    with pytest.raises(Undecryptable):
        seal.open_(body, key_of("battery staple"), PLACE, other)


def test_the_version_is_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    head, body = sealed()
    parsed = seal.Head.parse(head)
    monkeypatch.setattr(seal, "VERSION", 2)
    with pytest.raises(Undecryptable):
        seal.open_(body, key_of(), PLACE, parsed)


def test_every_bit_of_the_body_matters() -> None:
    head, body = sealed()
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecryptable):
            opened(head, bytes(flipped))


def test_every_bit_of_the_head_matters() -> None:
    head, body = sealed("battery staple")
    key = key_of("battery staple")
    for bit in range(8 * len(head)):
        flipped = bytearray(head)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecryptable):  # noqa: PT012 - either step may refuse
            parsed = seal.Head.parse(bytes(flipped))
            if not seal.is_right(key, parsed):
                raise Undecryptable
            seal.open_(body, key, PLACE, parsed)


def test_what_is_cut_short_or_has_more_does_not_open() -> None:
    head, body = sealed()
    for length in range(len(body)):
        with pytest.raises(Undecryptable):
            opened(head, body[:length])
    for length in range(len(head)):
        with pytest.raises(Undecryptable):
            seal.Head.parse(head[:length])
    with pytest.raises(Undecryptable):
        opened(head, body + b"\0")
    with pytest.raises(Undecryptable):
        seal.Head.parse(head + b"\0")


def test_the_check_is_right_for_the_right_key_alone() -> None:
    head = seal.Head.parse(sealed("battery staple")[0])
    assert seal.is_right(key_of("battery staple"), head)
    for wrong in (
        key_of(),
        key_of("battery stapl"),
        key_of("battery staple", root=OTHER_ROOT),
        key_of("battery staple", secret_key=RECEIPT_KEY),
    ):
        assert not seal.is_right(wrong, head)


def test_the_check_tells_nothing_that_opens() -> None:
    head, body = sealed()
    parsed = seal.Head.parse(head)
    for guess in (parsed.check * 2, parsed.check.ljust(32, b"\0")):
        with pytest.raises(Undecryptable):
            seal.open_(body, guess, PLACE, parsed)


def test_the_receipt_key_alone_unwraps_the_secret_key() -> None:
    wrapped = seal.wrap(ROOT, RECEIPT_KEY, KEY)
    assert seal.key_number(wrapped) == ROOT.number
    assert KEY.encode() not in wrapped
    assert seal.unwrap(ROOT, RECEIPT_KEY, wrapped) == KEY
    for root, receipt_key in ((OTHER_ROOT, RECEIPT_KEY), (ROOT, KEY), (ROOT, RECEIPT_KEY[::-1])):
        with pytest.raises(Undecryptable):
            seal.unwrap(root, receipt_key, wrapped)


def test_every_bit_and_byte_of_a_wrapped_key_matters() -> None:
    wrapped = seal.wrap(ROOT, RECEIPT_KEY, KEY)
    assert len(wrapped) == 4 + 12 + 31 + 16
    for bit in range(8 * len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecryptable):
            seal.unwrap(ROOT, RECEIPT_KEY, bytes(flipped))
    for length in range(len(wrapped)):
        with pytest.raises(Undecryptable):
            seal.unwrap(ROOT, RECEIPT_KEY, wrapped[:length])


@given(st.binary(min_size=16, max_size=64), st.binary(max_size=500))
def test_a_stored_answer_opens_with_what_made_it_alone(once: bytes, answer: bytes) -> None:
    stored = seal.seal_answer(ROOT, once, answer)
    assert seal.open_answer(ROOT, once, stored) == answer
    with pytest.raises(Undecryptable):
        seal.open_answer(ROOT, once + b"\0", stored)
    with pytest.raises(Undecryptable):
        seal.open_answer(OTHER_ROOT, once, stored)


def test_a_stored_answer_and_a_wrapped_key_are_not_each_other() -> None:
    once = RECEIPT_KEY.encode()
    with pytest.raises(Undecryptable):
        seal.open_answer(ROOT, once, seal.wrap(ROOT, RECEIPT_KEY, KEY))
    with pytest.raises(Undecryptable):
        seal.unwrap(ROOT, RECEIPT_KEY, seal.seal_answer(ROOT, once, KEY.encode()))


def test_the_name_of_an_answer_depends_on_all_that_was_asked_and_on_once() -> None:
    once = bytes(range(16))
    names = {
        seal.answer_id(once, b"text"),
        seal.answer_id(once, b"texT"),
        seal.answer_id(once[::-1], b"text"),
        seal.answer_id(once + b"\0", b"text"),
    }
    assert len(names) == 4
    assert all(len(name) == 32 for name in names)
    assert seal.answer_id(once, b"text") in names
