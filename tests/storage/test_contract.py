"""What every vault store promises (`onetime.storage.port`), as sentences; each runs on every adapter."""

import asyncio
import itertools
import random
from typing import Any

import msgspec
import pytest

from onetime.errors import Conflict, Misconfigured, Unavailable
from onetime.model import Kind, State
from onetime.storage.port import (
    Budget,
    Debit,
    Debited,
    KeyName,
    NewAnswer,
    NewSecret,
    Session,
    Stored,
    VaultStore,
)
from tests.storage.adapters import DAY, HOUR, START, Clock, Place, name_of, new_secret
from tests.storage.races import Crew, Refused, at_once, call, make_and_die

# The fates of a secret, and what its receipt says of each.
FATES = {
    "revealed": State.REVEALED,
    "burned": State.BURNED,
    "expired": State.EXPIRED,
    "swept": State.EXPIRED,
}
GONE = pytest.mark.parametrize("fate", FATES)
# Fates that no clock may undo. What has expired and is not swept yet comes back with its time.
FINAL = pytest.mark.parametrize("fate", ["revealed", "burned", "swept"])

WINDOW = Budget(limit=3, window=600)
LOCK = Budget(limit=5, window=600, lock=1800)


async def sweep(vault: VaultStore) -> None:
    while (await vault.sweep()).more:
        pass


async def bring(vault: VaultStore, clock: Clock, fate: str, secret: NewSecret) -> None:
    """Put `secret` and let it meet its fate."""
    await vault.put(secret)
    match fate:
        case "revealed":
            assert await vault.take(secret.secret_id)
        case "burned":
            assert await vault.burn(secret.secret_id)
        case "expired":
            clock.now = secret.expires_at
        case "swept":
            clock.now = secret.expires_at + 600
            await sweep(vault)


async def state_of(vault: VaultStore, secret: NewSecret) -> State | None:
    receipt = await vault.receipt(secret.receipt_id)
    return None if receipt is None else receipt.state


def debit(word: str = "network", budget: Budget = LOCK) -> Debit:
    return Debit(key=name_of(word), budget=budget)


# Put


async def test_a_secret_comes_out_as_it_went_in(vault: VaultStore) -> None:
    every_byte = bytes(range(256)) * 40
    secret = new_secret(body=every_byte, head=every_byte[:300], has_passphrase=True)
    assert await vault.put(secret) == Stored()

    taken = await vault.take(secret.secret_id)
    assert taken is not None
    assert (taken.body, taken.head) == (secret.body, secret.head)
    assert (taken.secret_id, taken.kind) == (secret.secret_id, Kind.CONCEALED)
    assert taken.has_passphrase
    assert (taken.created_at, taken.expires_at) == (secret.created_at, secret.expires_at)
    assert taken.now == START


async def test_a_take_whose_proof_is_not_in_the_head_leaves_the_secret(vault: VaultStore) -> None:
    secret = new_secret(head=b"version \x00 proof \xff nonce")
    await vault.put(secret)

    for wrong in (b"another", b"proof \xfe", b"PROOF", secret.head + b"\x00"):
        assert await vault.take(secret.secret_id, proof=wrong) is None
    receipt = await vault.receipt(secret.receipt_id)
    assert receipt is not None
    assert receipt.state is State.NEW

    assert await vault.take(secret.secret_id, proof=b"\x00 proof \xff") is not None
    assert await vault.take(secret.secret_id, proof=b"\x00 proof \xff") is None


async def test_an_empty_body_and_a_large_one_are_kept(vault: VaultStore) -> None:
    large = random.Random(1).randbytes(1_000_000)
    await vault.put(new_secret("empty", body=b"", head=b""))
    await vault.put(new_secret("large", body=large))

    empty = await vault.take(name_of("secret empty"))
    taken = await vault.take(name_of("secret large"))
    assert empty is not None
    assert empty.body == b""
    assert taken is not None
    assert taken.body == large


async def test_a_put_repeated_to_the_letter_gets_the_same_answer(vault: VaultStore) -> None:
    secret = new_secret()
    assert await vault.put(secret) == Stored()
    assert await vault.put(secret) == Stored()
    assert await vault.take(secret.secret_id)
    assert await vault.take(secret.secret_id) is None


@pytest.mark.parametrize(
    "different",
    [
        {"secret_id": name_of("other a")},
        {"receipt_id": name_of("other a")},
        {"kind": Kind.GENERATED},
        {"has_passphrase": True},
        {"created_at": START - 1},
        {"expires_at": START + 60},
        {"receipt_expires_at": START + 3 * HOUR},
        {"key_number": 2},
        {"head": b"other"},
        {"body": b"other"},
        {"wrapped": b"other"},
        {"owner": b"other"},
        {"listing_id": name_of("other")},
        {"listing": b"other"},
    ],
    ids=lambda different: next(iter(different)),
)
async def test_something_different_under_a_known_id_is_a_conflict(
    vault: VaultStore, different: dict[str, Any]
) -> None:
    secret = new_secret(owner=b"alice", listing_id=name_of("listing"), listing=b"listing")
    await vault.put(secret)
    with pytest.raises(Conflict):
        await vault.put(msgspec.structs.replace(secret, **different))

    taken = await vault.take(secret.secret_id)
    assert taken is not None
    assert (taken.body, taken.expires_at) == (secret.body, secret.expires_at)


async def test_a_listing_id_that_another_receipt_has_is_a_conflict(vault: VaultStore) -> None:
    await vault.put(new_secret("a", listing_id=name_of("listing")))
    with pytest.raises(Conflict):
        await vault.put(new_secret("b", listing_id=name_of("listing")))
    assert await vault.peek(name_of("secret b")) is None


@GONE
async def test_an_id_cannot_be_used_again_while_its_receipt_lives(
    vault: VaultStore, clock: Clock, fate: str
) -> None:
    secret = new_secret()
    await bring(vault, clock, fate, secret)
    late = {"expires_at": START + 9 * HOUR, "receipt_expires_at": START + 18 * HOUR}
    for again in (
        secret,
        new_secret("a", receipt_id=name_of("other a"), **late),
        new_secret("a", secret_id=name_of("other a"), **late),
    ):
        with pytest.raises(Conflict):
            await vault.put(again)
    assert await state_of(vault, secret) is FATES[fate]
    assert await vault.peek(secret.secret_id) is None


async def test_an_id_is_free_again_when_its_receipt_is_swept(
    vault: VaultStore, clock: Clock
) -> None:
    await bring(vault, clock, "revealed", new_secret())
    clock.now += DAY
    await sweep(vault)
    await vault.put(new_secret(created_at=START + DAY, body=b"another"))
    taken = await vault.take(name_of("secret a"))
    assert taken is not None
    assert taken.body == b"another"


# The answer of an idempotent create


def answer(sealed: bytes = b"sealed answer", *, expires_at: int = START + DAY) -> NewAnswer:
    return NewAnswer(answer_id=name_of("answer"), sealed=sealed, expires_at=expires_at)


async def test_a_create_repeated_with_its_answer_id_gets_the_first_answer(
    vault: VaultStore,
) -> None:
    assert await vault.put(new_secret("a"), answer=answer()) == Stored()
    again = await vault.put(new_secret("b"), answer=answer(b"another"))
    assert again == Stored(earlier=b"sealed answer")
    assert await vault.peek(name_of("secret b")) is None
    assert await vault.receipt(name_of("receipt b")) is None


async def test_an_answer_is_kept_after_its_secret_is_gone(vault: VaultStore) -> None:
    await vault.put(new_secret("a"), answer=answer())
    await vault.take(name_of("secret a"))
    assert (await vault.put(new_secret("b"), answer=answer())).earlier == b"sealed answer"


async def test_an_answer_is_forgotten_at_its_second(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_secret("a"), answer=answer(expires_at=START + 60))
    clock.now += 59
    assert (await vault.put(new_secret("b"), answer=answer())).earlier
    clock.now += 1
    assert await vault.put(new_secret("b"), answer=answer(b"second")) == Stored()
    assert (await vault.put(new_secret("c"), answer=answer())).earlier == b"second"


async def test_a_refused_put_leaves_no_answer(vault: VaultStore) -> None:
    await vault.put(new_secret("a"))
    with pytest.raises(Conflict):
        await vault.put(new_secret("a", body=b"other"), answer=answer())
    assert await vault.put(new_secret("b"), answer=answer()) == Stored()


# Peek, take, burn


async def test_a_peek_shows_the_head_and_changes_nothing(vault: VaultStore) -> None:
    secret = new_secret(has_passphrase=True)
    await vault.put(secret)
    for _ in range(3):
        seen = await vault.peek(secret.secret_id)
        assert seen is not None
        assert (seen.head, seen.body, seen.has_passphrase) == (secret.head, b"", True)
        assert (seen.created_at, seen.expires_at, seen.now) == (START, START + HOUR, START)
    assert await state_of(vault, secret) is State.NEW
    assert await vault.take(secret.secret_id)


async def test_what_never_was_is_none(vault: VaultStore) -> None:
    nothing = name_of("nothing")
    assert await vault.peek(nothing) is None
    assert await vault.take(nothing) is None
    assert await vault.burn(nothing) is False
    assert await vault.receipt(nothing) is None
    assert await vault.show_once(nothing, within=60) is None
    assert await vault.spend(nothing, total=100, debits=[debit()]) is None
    assert await vault.take_token(nothing, purpose="sign-in") is None
    assert await vault.session(nothing) is None
    assert await vault.receipts_of(nothing, limit=10) == []
    assert await vault.sessions_of(nothing) == []


async def test_a_receipt_id_opens_no_secret(vault: VaultStore) -> None:
    secret = new_secret(listing_id=name_of("listing"))
    await vault.put(secret)
    for wrong in (secret.receipt_id, name_of("listing")):
        assert await vault.peek(wrong) is None
        assert await vault.take(wrong) is None
        assert await vault.burn(wrong) is False
    assert await vault.receipt(secret.secret_id) is None


@GONE
async def test_what_is_gone_is_gone_for_every_verb(
    vault: VaultStore, clock: Clock, fate: str
) -> None:
    secret = new_secret(kind=Kind.GENERATED)
    await bring(vault, clock, fate, secret)
    await gone_for_every_verb(vault, secret)
    assert await state_of(vault, secret) is FATES[fate]


async def gone_for_every_verb(vault: VaultStore, secret: NewSecret) -> None:
    assert await vault.peek(secret.secret_id) is None
    assert await vault.take(secret.secret_id) is None
    assert await vault.burn(secret.secret_id) is False
    assert await vault.show_once(secret.receipt_id, within=DAY) is None
    assert await vault.spend(secret.secret_id, total=100, debits=[debit()]) is None


async def test_a_take_ends_in_revealed_and_a_burn_in_burned(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_secret("a"))
    await vault.put(new_secret("b"))
    clock.now += 10
    await vault.take(name_of("secret a"))
    await vault.burn(name_of("secret b"))
    clock.now += 10
    for word, state in (("a", State.REVEALED), ("b", State.BURNED)):
        receipt = await vault.receipt(name_of(f"receipt {word}"))
        assert receipt is not None
        assert (receipt.state, receipt.ended_at) == (state, START + 10)
        assert not receipt.acknowledged


async def test_a_secret_opens_until_the_second_it_expires(vault: VaultStore, clock: Clock) -> None:
    for word in "abcd":
        await vault.put(new_secret(word))
    clock.now = START + HOUR - 1
    assert await vault.peek(name_of("secret a"))
    assert await vault.take(name_of("secret a"))
    assert await vault.burn(name_of("secret b"))
    clock.now = START + HOUR
    assert await vault.peek(name_of("secret c")) is None
    assert await vault.take(name_of("secret c")) is None
    assert await vault.burn(name_of("secret c")) is False
    receipt = await vault.receipt(name_of("receipt d"))
    assert receipt is not None
    assert (receipt.state, receipt.ended_at) == (State.EXPIRED, START + HOUR)


async def test_expiry_waits_for_no_sweep_and_for_no_whole_second(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_secret())
    clock.now = START + HOUR - 0.001
    assert await vault.peek(name_of("secret a"))
    clock.now = START + HOUR + 0.001
    assert await vault.take(name_of("secret a")) is None


# Time that does not run straight


@FINAL
async def test_a_clock_set_back_revives_nothing(
    vault: VaultStore, place: Place, clock: Clock, fate: str
) -> None:
    secret = new_secret(kind=Kind.GENERATED)
    await bring(vault, clock, fate, secret)
    for back in (HOUR, DAY):
        clock.now -= back
        await gone_for_every_verb(vault, secret)
        assert await state_of(vault, secret) is FATES[fate]
        with pytest.raises(Conflict):
            await vault.put(secret)
    await sweep(vault)
    await vault.scrub()
    again = await place.open(clock)
    await gone_for_every_verb(again, secret)
    assert await state_of(again, secret) is FATES[fate]


async def test_a_short_jump_ahead_destroys_nothing(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_secret(listing_id=name_of("listing")))
    await vault.put_token(name_of("token"), purpose="sign-in", body=b"t", expires_at=START + HOUR)
    clock.now += HOUR + 240
    await sweep(vault)
    await vault.scrub()
    assert await vault.peek(name_of("secret a")) is None
    clock.now -= HOUR + 240
    taken = await vault.take(name_of("secret a"))
    assert taken is not None
    assert taken.body == b"body of a"
    assert await vault.take_token(name_of("token"), purpose="sign-in") == b"t"


async def test_a_clock_set_back_stretches_neither_window_nor_lock(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_secret(ttl=30 * DAY))
    for _ in range(WINDOW.limit):
        await vault.count(debit("window", WINDOW))
    for _ in range(LOCK.limit):
        await vault.count(debit("lock", LOCK))
    clock.now -= 5 * HOUR
    window = await vault.count(debit("window", WINDOW))
    lock = await vault.count(debit("lock", LOCK))
    assert window.retry_after is not None
    assert window.retry_after <= WINDOW.window
    assert lock.retry_after is not None
    assert lock.retry_after <= LOCK.lock
    clock.now += LOCK.lock
    assert (await vault.count(debit("lock", LOCK))).refused is None
    assert (await vault.count(debit("window", WINDOW))).refused is None


# Receipts


async def test_a_receipt_tells_all_it_was_given(vault: VaultStore, clock: Clock) -> None:
    secret = new_secret(
        has_passphrase=True,
        kind=Kind.GENERATED,
        owner=b"alice",
        listing_id=name_of("listing"),
        listing=b"listing of a",
    )
    await vault.put(secret)
    clock.now += 5
    by_id = await vault.receipt(secret.receipt_id)
    assert by_id is not None
    assert by_id == await vault.receipt(name_of("listing"))
    assert [by_id] == await vault.receipts_of(b"alice", limit=10)
    assert (by_id.receipt_id, by_id.secret_id) == (secret.receipt_id, secret.secret_id)
    assert (by_id.kind, by_id.state, by_id.has_passphrase) == (Kind.GENERATED, State.NEW, True)
    assert (by_id.created_at, by_id.secret_expires_at) == (START, START + HOUR)
    assert (by_id.expires_at, by_id.ended_at) == (START + 2 * HOUR, None)
    assert (by_id.wrapped, by_id.listing) == (secret.wrapped, secret.listing)
    assert (by_id.wrong_tries, by_id.acknowledged, by_id.now) == (0, False, START + 5)


async def test_a_receipt_outlives_its_secret_and_goes_at_its_second(
    vault: VaultStore, clock: Clock
) -> None:
    secret = new_secret(owner=b"alice", listing_id=name_of("listing"))
    await bring(vault, clock, "swept", secret)
    clock.now = secret.receipt_expires_at - 1
    assert await state_of(vault, secret) is State.EXPIRED
    clock.now += 1
    assert await vault.receipt(secret.receipt_id) is None
    assert await vault.receipt(name_of("listing")) is None
    assert await vault.receipts_of(b"alice", limit=10) == []


@pytest.mark.parametrize("fate", ["revealed", "burned", "swept"])
async def test_a_receipt_keeps_no_key_to_a_secret_that_is_gone(
    vault: VaultStore, clock: Clock, fate: str
) -> None:
    secret = new_secret()
    await bring(vault, clock, fate, secret)
    receipt = await vault.receipt(secret.receipt_id)
    assert receipt is not None
    assert receipt.wrapped == b""


async def test_receipts_of_an_owner_come_newest_first_and_in_pages(vault: VaultStore) -> None:
    for number in range(5):
        word = f"{number}"
        await vault.put(new_secret(word, created_at=START - number, owner=b"alice"))
    await vault.put(new_secret("of bob", owner=b"bob"))
    await vault.put(new_secret("of nobody"))

    first = await vault.receipts_of(b"alice", limit=2)
    rest = await vault.receipts_of(b"alice", limit=10, before=first[-1].created_at)
    assert [each.created_at - START for each in first + rest] == [0, -1, -2, -3, -4]
    assert [each.secret_id for each in await vault.receipts_of(b"bob", limit=10)] == [
        name_of("secret of bob")
    ]


# A generated value on its receipt


async def test_a_generated_value_is_shown_once_and_stays(vault: VaultStore) -> None:
    secret = new_secret(kind=Kind.GENERATED)
    await vault.put(secret)
    shown = await vault.show_once(secret.receipt_id, within=60)
    assert shown is not None
    assert (shown.body, shown.head, shown.secret_id) == (secret.body, secret.head, secret.secret_id)
    assert await vault.show_once(secret.receipt_id, within=60) is None
    assert await state_of(vault, secret) is State.NEW
    assert await vault.take(secret.secret_id)


async def test_a_concealed_value_is_never_shown_on_its_receipt(vault: VaultStore) -> None:
    await vault.put(new_secret())
    assert await vault.show_once(name_of("receipt a"), within=60) is None


async def test_a_generated_value_is_shown_only_in_its_first_seconds(
    vault: VaultStore, clock: Clock
) -> None:
    for word in "ab":
        await vault.put(new_secret(word, kind=Kind.GENERATED))
    clock.now += 59
    assert await vault.show_once(name_of("receipt a"), within=60)
    clock.now += 1
    assert await vault.show_once(name_of("receipt b"), within=60) is None


# Attempts at a passphrase


async def test_an_attempt_is_debited_from_every_budget_and_told_on_the_receipt(
    vault: VaultStore,
) -> None:
    await vault.put(new_secret())
    wide = debit("secret", Budget(limit=20, window=600, lock=1800))
    lefts = [
        await vault.spend(name_of("secret a"), total=100, debits=[debit(), wide]) for _ in range(3)
    ]
    assert lefts == [Debited(left=4), Debited(left=3), Debited(left=2)]
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.wrong_tries == 3
    # The wide budget was debited as well: of its 20, 3 are gone.
    assert await vault.count(wide) == Debited(left=16)


async def test_the_attempt_that_reaches_the_limit_locks(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_secret(ttl=DAY))

    async def spend() -> Debited | None:
        return await vault.spend(name_of("secret a"), total=100, debits=[debit()])

    for left in (4, 3, 2, 1, 0):
        assert await spend() == Debited(left=left)
    assert await spend() == Debited(refused=0, retry_after=1800)
    clock.now += 1799
    assert await spend() == Debited(refused=0, retry_after=1)
    clock.now += 1
    after = await spend()
    assert after is not None
    assert after.refused is None


async def test_a_window_opens_with_the_first_attempt_and_ends(
    vault: VaultStore, clock: Clock
) -> None:
    for left in (2, 1, 0):
        assert await vault.count(debit("window", WINDOW)) == Debited(left=left)
        clock.now += 100
    assert await vault.count(debit("window", WINDOW)) == Debited(refused=0, retry_after=300)
    clock.now += 300
    assert await vault.count(debit("window", WINDOW)) == Debited(left=2)


async def test_an_attempt_is_debited_everywhere_or_nowhere(vault: VaultStore) -> None:
    await vault.put(new_secret())
    narrow = debit("narrow", Budget(limit=1, window=600))
    wide = debit("wide", Budget(limit=9, window=600))
    assert await vault.spend(name_of("secret a"), total=100, debits=[wide, narrow])
    refused = await vault.spend(name_of("secret a"), total=100, debits=[wide, narrow])
    assert refused is not None
    assert refused.refused == 1
    assert await vault.count(wide) == Debited(left=7)
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.wrong_tries == 1


async def test_the_total_of_a_life_is_never_exceeded_and_does_not_end_by_waiting(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_secret(ttl=30 * DAY))

    async def spend() -> Debited | None:
        clock.now += HOUR
        return await vault.spend(name_of("secret a"), total=3, debits=[debit()])

    assert [each and each.left for each in [await spend(), await spend(), await spend()]] == [
        2,
        1,
        0,
    ]
    assert await spend() == Debited(refused=-1, retry_after=None)
    clock.now += 20 * DAY
    assert await spend() == Debited(refused=-1, retry_after=None)
    # The sender still may burn it, and whoever proves the right to it may take it.
    assert await vault.burn(name_of("secret a")) is True


async def test_a_refund_gives_the_attempt_back_and_lifts_the_lock(vault: VaultStore) -> None:
    await vault.put(new_secret())
    for _ in range(LOCK.limit):
        await vault.spend(name_of("secret a"), total=5, debits=[debit()])
    refused = await vault.spend(name_of("secret a"), total=5, debits=[debit()])
    assert refused is not None
    assert refused.refused is not None

    await vault.refund(name_of("secret a"), [debit()])
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.wrong_tries == 4
    assert await vault.spend(name_of("secret a"), total=5, debits=[debit()]) == Debited(left=0)
    assert await vault.count(debit()) == Debited(refused=0, retry_after=1800)


@pytest.mark.parametrize("verb", ["take", "burn"])
async def test_the_end_of_a_secret_gives_its_right_attempt_back(
    vault: VaultStore, verb: str
) -> None:
    await vault.put(new_secret())
    for _ in range(LOCK.limit):
        await vault.spend(name_of("secret a"), total=100, debits=[debit()])
    assert await getattr(vault, verb)(name_of("secret a"), refund=[debit()])
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.wrong_tries == 4
    assert await vault.count(debit()) == Debited(left=0)


async def test_who_gets_nothing_is_refunded_nothing(vault: VaultStore) -> None:
    await vault.put(new_secret())
    await vault.spend(name_of("secret a"), total=100, debits=[debit()])
    await vault.take(name_of("secret a"))
    assert await vault.take(name_of("secret a"), refund=[debit()]) is None
    assert await vault.burn(name_of("secret a"), refund=[debit()]) is False
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.wrong_tries == 1
    assert await vault.count(debit()) == Debited(left=3)


async def test_a_refund_without_an_attempt_makes_no_budget_larger(vault: VaultStore) -> None:
    await vault.put(new_secret("a"))
    await vault.put(new_secret("b"))
    await vault.refund(name_of("secret a"), [debit()])
    await vault.take(name_of("secret b"), refund=[debit()])
    for word in "ab":
        receipt = await vault.receipt(name_of(f"receipt {word}"))
        assert receipt is not None
        assert receipt.wrong_tries == 0
    assert await vault.count(debit()) == Debited(left=4)


async def test_budgets_of_different_keys_know_nothing_of_each_other(vault: VaultStore) -> None:
    for _ in range(WINDOW.limit):
        await vault.count(debit("one network", WINDOW))
    assert await vault.count(debit("another", WINDOW)) == Debited(left=2)


# A day's key


async def test_the_key_of_a_day_is_the_first_that_was_offered(vault: VaultStore) -> None:
    assert await vault.daily_key(19_000, b"first", expires_at=START + DAY) == b"first"
    assert await vault.daily_key(19_000, b"second", expires_at=START + DAY) == b"first"
    assert await vault.daily_key(19_001, b"second", expires_at=START + DAY) == b"second"


async def test_the_key_of_a_day_is_swept(vault: VaultStore, clock: Clock) -> None:
    await vault.daily_key(19_000, b"first", expires_at=START + HOUR)
    clock.now += HOUR + 600
    swept = await vault.sweep()
    assert swept.others == 1
    assert await vault.daily_key(19_000, b"new", expires_at=START + DAY) == b"new"


# Tokens


async def test_a_token_is_used_once(vault: VaultStore) -> None:
    token = name_of("token")
    await vault.put_token(token, purpose="sign-in", body=b"for alice", expires_at=START + 60)
    assert await vault.take_token(token, purpose="sign-in") == b"for alice"
    assert await vault.take_token(token, purpose="sign-in") is None


async def test_a_token_of_another_purpose_is_not_there_and_stays(vault: VaultStore) -> None:
    token = name_of("token")
    await vault.put_token(token, purpose="sign-in", body=b"for alice", expires_at=START + 60)
    assert await vault.take_token(token, purpose="reset") is None
    assert await vault.take_token(token, purpose="sign-in") == b"for alice"


async def test_a_token_works_until_its_second(vault: VaultStore, clock: Clock) -> None:
    for word in "ab":
        await vault.put_token(name_of(word), purpose="sign-in", body=b"t", expires_at=START + 60)
    clock.now += 59
    assert await vault.take_token(name_of("a"), purpose="sign-in") == b"t"
    clock.now += 1
    assert await vault.take_token(name_of("b"), purpose="sign-in") is None


async def test_a_token_id_that_is_known_is_a_conflict(vault: VaultStore) -> None:
    token = name_of("token")
    await vault.put_token(token, purpose="sign-in", body=b"first", expires_at=START + 60)
    for purpose in ("sign-in", "reset"):
        with pytest.raises(Conflict):
            await vault.put_token(token, purpose=purpose, body=b"second", expires_at=START + 60)
    assert await vault.take_token(token, purpose="sign-in") == b"first"


# Sessions


def session(word: str = "a", account: bytes = b"alice", *, created_at: int = START) -> Session:
    return Session(
        session_id=name_of(f"session {word}"),
        account=account,
        data=f"data of {word}".encode(),
        created_at=created_at,
        expires_at=created_at + HOUR,
    )


async def test_a_session_comes_back_until_its_second(vault: VaultStore, clock: Clock) -> None:
    await vault.put_session(session())
    clock.now += HOUR - 1
    assert await vault.session(name_of("session a")) == session()
    assert await vault.sessions_of(b"alice") == [session()]
    clock.now += 1
    assert await vault.session(name_of("session a")) is None
    assert await vault.sessions_of(b"alice") == []


async def test_a_session_id_that_is_known_is_a_conflict(vault: VaultStore) -> None:
    await vault.put_session(session())
    with pytest.raises(Conflict):
        await vault.put_session(session(account=b"charlie"))
    assert await vault.session(name_of("session a")) == session()


async def test_a_session_is_extended_only_while_it_lives(vault: VaultStore, clock: Clock) -> None:
    await vault.put_session(session())
    assert await vault.extend_session(name_of("session a"), expires_at=START + 2 * HOUR)
    clock.now += 2 * HOUR - 1
    assert await vault.session(name_of("session a"))
    clock.now += 1
    assert not await vault.extend_session(name_of("session a"), expires_at=START + DAY)
    assert await vault.session(name_of("session a")) is None
    assert not await vault.extend_session(name_of("nothing"), expires_at=START + DAY)


async def test_a_session_ends_once(vault: VaultStore) -> None:
    await vault.put_session(session())
    assert await vault.end_session(name_of("session a")) is True
    assert await vault.end_session(name_of("session a")) is False
    assert await vault.session(name_of("session a")) is None


async def test_all_sessions_of_an_account_end_but_one(vault: VaultStore) -> None:
    for word in "abc":
        await vault.put_session(session(word))
    await vault.put_session(session("of bob", b"bob"))
    assert await vault.end_sessions_of(b"alice", but=name_of("session b")) == 2
    assert await vault.sessions_of(b"alice") == [session("b")]
    assert await vault.end_sessions_of(b"alice") == 1
    assert await vault.sessions_of(b"alice") == []
    assert await vault.sessions_of(b"bob") == [session("of bob", b"bob")]


# The sweep


async def test_a_sweep_removes_what_expired_five_minutes_ago_and_nothing_else(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_secret("old"), answer=answer(expires_at=START + HOUR))
    await vault.put(new_secret("young", ttl=2 * HOUR))
    await vault.put_token(name_of("t"), purpose="sign-in", body=b"t", expires_at=START + HOUR)
    await vault.put_session(session())
    await vault.count(debit("window", WINDOW))
    clock.now = START + HOUR + 299
    swept = await vault.sweep()
    # The counter's window ended long ago; the rest is not due.
    assert (swept.secrets, swept.receipts, swept.others, swept.more) == (0, 0, 1, False)
    clock.now += 1
    swept = await vault.sweep()
    assert (swept.secrets, swept.receipts, swept.others, swept.more) == (1, 0, 3, False)
    assert await vault.take(name_of("secret young"))
    clock.now = START + 2 * HOUR + 300
    swept = await vault.sweep()
    assert (swept.secrets, swept.receipts, swept.others, swept.more) == (0, 1, 0, False)


async def test_a_sweep_goes_in_bounded_steps_and_says_when_there_is_more(
    vault: VaultStore, clock: Clock
) -> None:
    number = 1200
    secrets = [new_secret(f"{each}") for each in range(number)]
    await asyncio.gather(*(vault.put(secret) for secret in secrets))
    clock.now += DAY
    steps = [await vault.sweep()]
    while steps[-1].more:
        steps.append(await vault.sweep())
    assert sum(step.secrets for step in steps) == number
    assert sum(step.receipts for step in steps) == number
    assert max(step.secrets + step.receipts for step in steps) < number


async def test_what_was_taken_is_in_no_file_after_a_scrub(vault: VaultStore, place: Place) -> None:
    content = random.Random(2)
    bodies = {name: content.randbytes(size) for name, size in (("small", 100), ("large", 50_000))}
    for word, body in bodies.items():
        await vault.put(new_secret(word, body=body))
    await vault.put(new_secret("neighbour", body=content.randbytes(100)))
    parts = [part for word in bodies for part in place.parts(name_of(f"secret {word}"))]
    assert all(place.holds(part) for part in parts)
    await vault.take(name_of("secret small"))
    await vault.burn(name_of("secret large"))
    await vault.scrub()
    for part in [*parts, *bodies.values()]:
        assert not place.holds(part)


async def test_what_was_swept_is_in_no_file_after_a_scrub_and_its_space_is_given_back(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    content = random.Random(3)
    await vault.scrub()
    before = sum(path.stat().st_size for path in place.files())
    bodies = [content.randbytes(50_000) for _ in range(20)]
    for number, body in enumerate(bodies):
        await vault.put(new_secret(f"{number}", body=body))
    parts = [place.parts(name_of(f"secret {number}")) for number in range(len(bodies))]
    await vault.scrub()
    full = sum(path.stat().st_size for path in place.files())
    clock.now += HOUR + 600
    await sweep(vault)
    await vault.scrub()
    after = sum(path.stat().st_size for path in place.files())
    for part in [*bodies, *itertools.chain(*parts)]:
        assert not place.holds(part)
    assert full - before >= 1_000_000 or not place.files()
    assert after - before < 200_000


async def test_a_scrub_beside_callers_disturbs_none_of_them(vault: VaultStore) -> None:
    secrets = [new_secret(f"{each}", body=bytes(20_000)) for each in range(40)]

    async def live(secret: NewSecret) -> bool:
        await vault.put(secret)
        return await vault.take(secret.secret_id) is not None

    *lived, _, _ = await asyncio.gather(*map(live, secrets), vault.scrub(), vault.scrub())
    assert all(lived)


# Keys


CURRENT, OLDER, OTHER = (KeyName(number=n, verifier=bytes([n]) * 16) for n in (2, 1, 3))


async def test_a_store_is_adopted_again_with_the_same_key(place: Place, clock: Clock) -> None:
    for _ in range(2):
        await (await place.open(clock)).adopt([CURRENT])


async def test_another_key_is_refused(place: Place, clock: Clock) -> None:
    await (await place.open(clock)).adopt([CURRENT])
    again = await place.open(clock)
    with pytest.raises(Misconfigured):
        await again.adopt([OTHER])
    await again.adopt([CURRENT])


async def test_a_new_key_is_adopted_beside_the_older_one(place: Place, clock: Clock) -> None:
    await (await place.open(clock)).adopt([OLDER])
    await (await place.open(clock)).adopt([CURRENT, OLDER])
    await (await place.open(clock)).adopt([CURRENT])


async def test_an_older_key_may_go_when_no_living_secret_needs_it(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.adopt([OLDER])
    await vault.put(new_secret("a", key_number=OLDER.number))
    await vault.put(new_secret("b", key_number=OLDER.number, ttl=2 * HOUR))
    await vault.adopt([CURRENT, OLDER])
    await vault.put(new_secret("c", key_number=CURRENT.number))
    with pytest.raises(Misconfigured):
        await vault.adopt([CURRENT])
    uses = {use.number: use.needed_until for use in await vault.key_uses()}
    assert uses == {OLDER.number: START + 2 * HOUR, CURRENT.number: START + HOUR}
    clock.now = START + 2 * HOUR
    await vault.adopt([CURRENT])


# The same for everybody


async def test_every_process_sees_what_was_answered(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    other = await place.open(clock)
    for number in range(5):
        secret = new_secret(f"{number}")
        await vault.put(secret)
        assert await other.peek(secret.secret_id)
        assert await vault.take(secret.secret_id)
        assert await other.peek(secret.secret_id) is None
        assert await state_of(other, secret) is State.REVEALED
        assert await other.take(secret.secret_id) is None


async def test_what_was_answered_survives_the_death_of_the_process(
    place: Place, clock: Clock
) -> None:
    before = await place.open(clock)
    await before.put(new_secret("taken"))
    await before.close()
    secret, token = new_secret("put"), name_of("token")
    stored, taken, counted, kept = make_and_die(
        place,
        clock,
        [
            call("put", secret),
            call("take", name_of("secret taken")),
            call("count", debit("window", WINDOW)),
            call("put_token", token, purpose="sign-in", body=b"t", expires_at=START + 60),
        ],
    )
    assert stored == Stored()
    assert taken.body == b"body of taken"
    assert counted == Debited(left=2)
    assert kept is None

    vault = await place.open(clock)
    assert await vault.take(name_of("secret taken")) is None
    assert await state_of(vault, new_secret("taken")) is State.REVEALED
    assert await vault.take(secret.secret_id)
    assert await vault.count(debit("window", WINDOW)) == Debited(left=1)
    assert await vault.take_token(token, purpose="sign-in") == b"t"


async def test_a_new_store_may_be_opened_by_several_processes_at_once(
    place: Place, clock: Clock, crew: Crew
) -> None:
    crew.open(place, clock)
    answers = crew.make([call("put", new_secret(f"{each}")) for each in range(8)])
    taken = crew.make([call("take", name_of(f"secret {each}")) for each in range(8)])
    crew.close_store()
    assert answers == [Stored()] * 8
    assert [each.body for each in taken] == [f"body of {each}".encode() for each in range(8)]


# One batch


async def test_operations_of_one_moment_take_effect_in_the_order_they_came(
    vault: VaultStore,
) -> None:
    secret = new_secret()
    answers = await at_once(
        vault,
        [
            call("take", secret.secret_id),
            call("put", secret),
            call("spend", secret.secret_id, total=100, debits=[debit()]),
            call("take", secret.secret_id, refund=[debit()]),
            call("take", secret.secret_id),
            call("put", secret),
            call("burn", secret.secret_id),
        ],
    )
    before, stored, spent, taken, *rest = answers
    assert before is None
    assert stored == Stored()
    assert spent == Debited(left=4)
    assert taken.body == secret.body
    assert rest == [None, Refused("Conflict"), False]


async def test_one_id_many_times_in_a_batch_is_given_out_once(vault: VaultStore) -> None:
    secrets = [new_secret(word) for word in "abc"]
    for secret in secrets:
        await vault.put(secret)
    calls = [call("take", secret.secret_id) for _ in range(10) for secret in secrets]
    answers = await at_once(vault, calls)
    # As if alone: the first of each id, in the order they came.
    assert [each.body for each in answers[:3]] == [secret.body for secret in secrets]
    assert answers[3:] == [None] * 27


async def test_a_refusal_in_a_batch_disturbs_nobody(vault: VaultStore) -> None:
    await vault.put(new_secret("a"))
    await vault.put(new_secret("b"))
    first, refused, taken, again, last = await at_once(
        vault,
        [
            call("put", new_secret("c")),
            call("put", new_secret("b", body=b"other")),
            call("take", name_of("secret a")),
            call("take", name_of("secret a")),
            call("put", new_secret("d")),
        ],
    )
    assert (first, refused, again, last) == (Stored(), Refused("Conflict"), None, Stored())
    assert taken.body == b"body of a"
    for word in "bcd":
        found = await vault.take(name_of(f"secret {word}"))
        assert found is not None
        assert found.body == f"body of {word}".encode()


async def test_a_later_operation_sees_what_an_earlier_one_of_its_batch_did(
    vault: VaultStore,
) -> None:
    answers = await at_once(
        vault, [call("count", debit("window", WINDOW)) for _ in range(WINDOW.limit + 2)]
    )
    assert [each.left for each in answers[:3]] == [2, 1, 0]
    assert [each.refused for each in answers[3:]] == [0, 0]


# Ready and closed


async def test_a_store_that_can_write_is_ready(vault: VaultStore, clock: Clock) -> None:
    await vault.ready()
    assert vault.now() == START
    clock.now += 1.9
    assert vault.now() == START + 1


async def test_what_was_handed_in_completes_before_the_store_closes(
    place: Place, clock: Clock
) -> None:
    store = await place.open(clock)
    secrets = [new_secret(f"{each}") for each in range(50)]
    *answers, _ = await asyncio.gather(*(store.put(each) for each in secrets), store.close())
    assert answers == [Stored()] * 50
    again = await place.open(clock)
    for secret in secrets:
        assert await again.take(secret.secret_id)


async def test_a_closed_store_is_unavailable(place: Place, clock: Clock) -> None:
    store = await place.open(clock)
    await store.close()
    with pytest.raises(Unavailable):
        await store.put(new_secret())
    with pytest.raises(Unavailable):
        await store.take(name_of("secret a"))
    with pytest.raises(Unavailable):
        await store.peek(name_of("secret a"))
    with pytest.raises(Unavailable):
        await store.ready()
