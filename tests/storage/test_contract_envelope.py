"""What every vault store promises of end-to-end secrets: claim and settle. Each runs on every adapter."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from onetime.errors import Conflict
from onetime.model import Handed, Kind, Settled, State
from onetime.storage.port import (
    Budget,
    Debit,
    Refusal,
    Refused,
    Stored,
    StoredReceipt,
    Swept,
    VaultStore,
)
from tests.storage.adapters import DAY, HOUR, START, Clock, Place, name_of, new_secret
from tests.storage.envelopes import (
    TRIES,
    WINDOW,
    body_of,
    burning,
    claim_of,
    claiming,
    handed,
    new_envelope,
    pass_time,
    right,
    settling,
    sweep,
    wrong,
)
from tests.storage.races import Call, at_once, call, make, make_and_die

A = name_of("secret a")
LATE = 50_000  # seconds for which a secret lives that is to outlive everything else

CLAIMED = Refused(why=Refusal.CLAIMED)
CLOSED = Refused(why=Refusal.CLOSED)


def locked(seconds: int) -> Refused:
    return Refused(why=Refusal.LOCKED, retry_after=seconds)


def wrong_with(left: int) -> Refused:
    return Refused(why=Refusal.WRONG, left=left)


async def receipt_of(vault: VaultStore, word: str = "a") -> StoredReceipt:
    found = await vault.receipt(name_of(f"receipt {word}"))
    assert found is not None
    return found


async def state_of(vault: VaultStore, word: str = "a") -> State:
    return (await receipt_of(vault, word)).state


# Claim, and the same claim again


async def test_a_claim_gets_what_was_put_and_the_instant_its_window_ends(vault: VaultStore) -> None:
    body = bytes(range(256)) * 300
    await vault.put(new_envelope(body=body))
    assert await make(vault, claiming()) == Handed(
        body=body, window_ends_at=START + WINDOW, now=START
    )


async def test_the_same_claim_gets_the_same_bytes_until_the_window_ends(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    await vault.put(new_envelope())
    first = await make(vault, claiming())
    other = await place.open(clock)
    for seconds in (0, 1, 299, 299):
        await pass_time(vault, clock, seconds)
        for store in (vault, other):
            again = await make(store, claiming())
            assert again == msgspec.structs.replace(first, now=int(clock.now))
    await pass_time(vault, clock, 0.9)
    assert await handed(vault, claiming()) == body_of("a")
    await pass_time(vault, clock, 0.1)
    assert await make(vault, claiming()) is None
    assert await make(other, claiming()) is None


async def test_another_claim_never_gets_it_whatever_it_proves(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(ttl=LATE))
    assert await handed(vault, claiming())
    for _ in range(2):
        for open_hash in (right(), wrong(), b""):
            assert await make(vault, claiming(device="laptop", open_hash=open_hash)) == CLAIMED
        await pass_time(vault, clock, WINDOW - 1)
    await pass_time(vault, clock, 1)
    assert await make(vault, claiming(device="laptop")) is None
    assert (await receipt_of(vault)).wrong_tries == 0


async def test_after_the_window_there_is_nothing_for_anybody(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(ttl=LATE))
    assert await handed(vault, claiming())
    for seconds in (WINDOW, 400, DAY // 4):
        await pass_time(vault, clock, seconds)
        assert await vault.look(A) is None
        assert await make(vault, claiming()) is None
        assert await make(vault, claiming(device="laptop")) is None
        assert await make(vault, burning(open_hash=right(), device="phone")) is False
        assert await vault.burn(A) is False
        assert await state_of(vault) is State.REVEALED


@pytest.mark.parametrize("device", ["phone", "laptop"])
async def test_a_window_of_zero_gives_it_once(vault: VaultStore, place: Place, device: str) -> None:
    await vault.put(new_envelope())
    parts = place.parts(A)
    assert await make(vault, claiming(window=0)) == Handed(
        body=body_of("a"), window_ends_at=START, now=START
    )
    assert await make(vault, claiming(device=device, window=0)) is None
    assert await make(vault, claiming(device=device)) is None
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.ended_at, receipt.window_ends_at) == (
        State.REVEALED,
        START,
        None,
    )
    await vault.scrub()
    assert not any(place.holds(part) for part in parts)


async def test_without_a_window_the_arrival_can_still_be_acknowledged(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming(window=0))
    assert await make(vault, settling()) == Settled(acknowledged_at=START, now=START)
    assert (await receipt_of(vault)).acknowledged


async def test_a_claim_made_in_the_last_second_keeps_its_window_and_its_receipt(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(ttl=60))
    await pass_time(vault, clock, 59.9)
    first = await make(vault, claiming())
    assert first.window_ends_at == START + 59 + WINDOW
    # Past the second of the secret, and that of its receipt.
    for _ in range(9):
        await pass_time(vault, clock, 60)
        assert await handed(vault, claiming()) == body_of("a")
        receipt = await receipt_of(vault)
        assert (receipt.state, receipt.window_ends_at) == (State.CLAIMED, first.window_ends_at)
    clock.now = first.window_ends_at
    await sweep(vault)
    assert await make(vault, claiming()) is None
    # The receipt outlives what it tells of, also what the sweep has still to remove.
    await pass_time(vault, clock, 360)
    assert await state_of(vault) is State.REVEALED
    assert await make(vault, settling()) == Settled(
        acknowledged_at=int(clock.now), now=int(clock.now)
    )


async def test_a_secret_can_be_claimed_until_its_second(vault: VaultStore, clock: Clock) -> None:
    for word in "ab":
        await vault.put(new_envelope(word))
    clock.now = START + HOUR - 0.1
    assert await handed(vault, claiming("a"))
    clock.now = START + HOUR
    assert await make(vault, claiming("b")) is None
    assert await make(vault, claiming("b", open_hash=wrong())) is None
    assert await vault.look(name_of("secret b")) is None
    receipt = await receipt_of(vault, "b")
    assert (receipt.state, receipt.ended_at, receipt.wrong_tries) == (
        State.EXPIRED,
        START + HOUR,
        0,
    )


async def test_of_claims_in_one_batch_the_first_wins_and_its_repetitions_are_served(
    vault: VaultStore,
) -> None:
    await vault.put(new_envelope())
    devices = ["first", "second", "first", "third", "first"]
    answers = await at_once(vault, [claiming(device=device) for device in devices])
    given = [each.body if isinstance(each, Handed) else each for each in answers]
    assert given == [body_of("a"), CLAIMED, body_of("a"), CLAIMED, body_of("a")]


async def test_what_never_was_is_nothing_for_every_verb(vault: VaultStore) -> None:
    assert await vault.look(A) is None
    assert await make(vault, claiming()) is None
    assert await make(vault, settling()) is None
    assert await make(vault, burning(open_hash=right(), device="phone")) is False


async def test_a_receipt_id_is_no_secret_id(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    receipt_id = name_of("receipt a")
    assert await vault.look(receipt_id) is None
    for one in (claiming(), settling(), burning(open_hash=right())):
        assert not await make(vault, Call(one.verb, (receipt_id,), one.options))
    assert await state_of(vault) is State.NEW


# Look


async def test_a_look_shows_what_the_link_may_know_and_changes_nothing(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(has_passphrase=True, body=bytes(12_345)))
    for _ in range(3):
        looked = await vault.look(A)
        assert looked is not None
        assert looked.state is State.NEW
        assert looked.has_passphrase is True
        assert looked.size_bytes == 12_345
        assert (looked.created_at, looked.secret_expires_at) == (START, START + HOUR)
        assert (looked.window_ends_at, looked.wrong_tries, looked.locked_until) == (None, 0, None)
        assert looked.now == START
    assert await handed(vault, claiming())
    await pass_time(vault, clock, 10)
    looked = await vault.look(A)
    assert looked is not None
    assert (looked.state, looked.window_ends_at) == (State.CLAIMED, START + WINDOW)
    assert looked.secret_expires_at == START + HOUR
    await make(vault, settling())
    assert await vault.look(A) is None


# Settle


async def test_a_settle_destroys_at_once_and_is_acknowledged_on_the_receipt(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    await vault.put(new_envelope())
    parts = place.parts(A)
    assert await handed(vault, claiming())
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.ended_at, receipt.window_ends_at) == (
        State.CLAIMED,
        START,
        START + WINDOW,
    )
    assert (receipt.acknowledged, receipt.acknowledged_at) == (False, None)
    await pass_time(vault, clock, 5)
    assert await make(vault, settling()) == Settled(acknowledged_at=START + 5, now=START + 5)
    assert await make(vault, claiming()) is None
    assert await make(vault, claiming(device="laptop")) is None
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.ended_at, receipt.window_ends_at) == (
        State.REVEALED,
        START,
        None,
    )
    assert (receipt.acknowledged, receipt.acknowledged_at) == (True, START + 5)
    await vault.scrub()
    assert not any(place.holds(part) for part in parts)


async def test_a_settle_repeated_is_given_the_same_answer(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    for seconds in (0, 7, WINDOW, 600):
        await pass_time(vault, clock, seconds)
        assert await make(vault, settling()) == Settled(acknowledged_at=START, now=int(clock.now))
    assert (await receipt_of(vault)).acknowledged_at == START


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
async def test_a_settle_after_the_window_only_acknowledges(
    vault: VaultStore, clock: Clock, swept: bool
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    late = WINDOW + (400 if swept else 0)
    await pass_time(vault, clock, late)
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.acknowledged) == (State.REVEALED, False)
    settled = Settled(acknowledged_at=START + late, now=START + late)
    assert await make(vault, settling()) == settled
    assert await make(vault, claiming()) is None
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.ended_at, receipt.acknowledged_at) == (
        State.REVEALED,
        START,
        START + late,
    )


async def test_a_settle_with_a_foreign_claim_does_nothing(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    for _ in range(2):
        assert await make(vault, settling(device="laptop")) is None
        assert await vault.settle(A, claim_hash=b"") is None
        assert not (await receipt_of(vault)).acknowledged
        await pass_time(vault, clock, WINDOW // 2 - 1)
    assert await handed(vault, claiming()) == body_of("a")


@pytest.mark.parametrize("claim_hash", [claim_of("phone"), b""], ids=["a claim", "no claim"])
async def test_a_settle_before_the_claim_does_nothing(vault: VaultStore, claim_hash: bytes) -> None:
    await vault.put(new_envelope())
    assert await vault.settle(A, claim_hash=claim_hash) is None
    assert await state_of(vault) is State.NEW
    assert await handed(vault, claiming()) == body_of("a")


async def test_a_settle_is_answered_as_long_as_the_receipt_and_waits_for_no_sweep(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    await pass_time(vault, clock, 2 * HOUR - 1)
    assert await make(vault, settling())
    await pass_time(vault, clock, 1)
    assert await make(vault, settling()) is None


async def test_a_claim_and_its_settle_in_one_batch(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    early, first, settled, again, other, once_more = await at_once(
        vault,
        [
            settling(),
            claiming(),
            settling(),
            claiming(),
            claiming(device="laptop"),
            settling(),
        ],
    )
    assert early is None
    assert first.body == body_of("a")
    assert settled == once_more == Settled(acknowledged_at=START, now=START)
    assert (again, other) == (None, None)


# Sealed secrets and these keep apart


async def test_the_verbs_of_sealed_secrets_give_no_envelope(vault: VaultStore) -> None:
    debit = Debit(key=name_of("network"), budget=Budget(limit=5, window=600, lock=1800))
    await vault.put(new_envelope())
    assert await vault.peek(A) is None
    assert await vault.take(A) is None
    assert await vault.show_once(name_of("receipt a"), within=HOUR) is None
    assert await vault.spend(A, total=100, debits=[debit]) is None
    assert (await receipt_of(vault)).wrong_tries == 0
    await make(vault, claiming(open_hash=wrong()))
    await vault.refund(A, [])
    assert (await receipt_of(vault)).wrong_tries == 1
    assert await handed(vault, claiming()) == body_of("a")


async def test_while_it_is_claimed_the_verbs_of_sealed_secrets_give_no_envelope(
    vault: VaultStore,
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    assert await vault.peek(A) is None
    assert await vault.take(A) is None
    assert await vault.show_once(name_of("receipt a"), within=HOUR) is None
    assert await vault.spend(A, total=100, debits=[]) is None
    assert await handed(vault, claiming()) == body_of("a")


@pytest.mark.parametrize("kind", [Kind.CONCEALED, Kind.GENERATED])
async def test_a_sealed_secret_is_claimed_by_nobody(vault: VaultStore, kind: Kind) -> None:
    sealed = new_secret(kind=kind)
    await vault.put(sealed)
    assert await vault.look(A) is None
    for open_hash in (right(), b""):
        assert await make(vault, claiming(open_hash=open_hash)) is None
        assert await make(vault, burning(open_hash=open_hash, device="phone")) is False
    assert await make(vault, settling()) is None
    assert await vault.settle(A, claim_hash=b"") is None
    taken = await vault.take(A)
    assert taken is not None
    assert taken.body == sealed.body
    receipt = await receipt_of(vault)
    assert (receipt.acknowledged_at, receipt.window_ends_at) == (None, None)


# Put


async def test_a_put_repeated_is_told_when_the_first_came(vault: VaultStore, clock: Clock) -> None:
    first = new_envelope()
    assert await vault.put(first) == Stored()
    assert await vault.put(first) == Stored(created_at=START)
    await pass_time(vault, clock, 100)
    # A moment later its instants are others, and its lifetime is the same.
    assert await vault.put(new_envelope(created_at=START + 100)) == Stored(created_at=START)
    receipt = await receipt_of(vault)
    assert (receipt.created_at, receipt.secret_expires_at, receipt.expires_at) == (
        START,
        START + HOUR,
        START + 2 * HOUR,
    )
    assert await handed(vault, claiming()) == body_of("a")


DIFFERENCES: dict[str, dict[str, Any]] = {
    "another body": {"body": body_of("b")},
    "a longer body": {"body": body_of("a") + b"."},
    "another open proof": {"open_hash": wrong()},
    "another receipt": {"receipt_id": name_of("receipt a")[:4] + name_of("receipt b")[4:]},
    "another secret": {"secret_id": name_of("secret a")[:4] + name_of("secret b")[4:]},
    "another passphrase bit": {"has_passphrase": True},
    "a longer life": {"ttl": HOUR + 1},
    "a receipt of a longer life": {"receipt_expires_at": START + 3 * HOUR},
    "not end-to-end": {"open_hash": None, "kind": Kind.CONCEALED},
}


@pytest.mark.parametrize("difference", DIFFERENCES)
async def test_a_put_with_one_difference_is_a_conflict(vault: VaultStore, difference: str) -> None:
    await vault.put(new_envelope())
    with pytest.raises(Conflict):
        await vault.put(new_envelope(**DIFFERENCES[difference]))
    assert await vault.put(new_envelope()) == Stored(created_at=START)
    assert await handed(vault, claiming()) == body_of("a")


async def test_an_envelope_under_the_id_of_a_sealed_secret_is_a_conflict(vault: VaultStore) -> None:
    await vault.put(new_secret())
    with pytest.raises(Conflict):
        await vault.put(new_envelope())
    assert await vault.take(A)


ENDS: dict[str, list[Call] | float] = {
    "claimed": [claiming()],
    "settled": [claiming(), settling()],
    "burned": [call("burn", A)],
    "burned by its link": [burning(open_hash=right())],
    "expired": HOUR,
    "swept": HOUR + 600,
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_put_repeated_when_it_is_no_longer_new_is_a_conflict(
    vault: VaultStore, clock: Clock, end: str
) -> None:
    await vault.put(new_envelope())
    happens = ENDS[end]
    if isinstance(happens, list):
        for one in happens:
            assert await make(vault, one)
    else:
        await pass_time(vault, clock, happens)
    before = await state_of(vault)
    for created_at in (START, int(clock.now)):
        with pytest.raises(Conflict):
            await vault.put(new_envelope(created_at=created_at))
    assert await state_of(vault) is before


async def test_a_put_repeated_after_wrong_tries_forgives_none(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    await make(vault, claiming(open_hash=wrong()))
    assert await vault.put(new_envelope()) == Stored(created_at=START)
    assert (await receipt_of(vault)).wrong_tries == 1


# Every verb, before, during and after the window. The secret lives 900 seconds; a phone claims it at 600, so its window ends
# at 1200.

LIFE, CLAIMED_AT = 900, 600

Act = Callable[[VaultStore, Clock], Any]


def one(made: Call) -> Act:
    async def act(vault: VaultStore, clock: Clock) -> Any:
        return await make(vault, made)

    return act


async def _expire(vault: VaultStore, clock: Clock) -> Any:
    await pass_time(vault, clock, max(START + LIFE - clock.now, 0))
    return await vault.look(A)


async def _sweep_when_due(vault: VaultStore, clock: Clock) -> Any:
    looked = await vault.look(A)
    ends_at = START + CLAIMED_AT + WINDOW
    if looked is not None and looked.state is State.NEW:
        ends_at = START + LIFE
    await pass_time(vault, clock, ends_at + 299 - clock.now)
    assert await sweep(vault) == 0
    clock.now += 1
    return await vault.sweep()


ACTS: dict[str, Act] = {
    "burn by the sender": one(call("burn", A)),
    "burn by the link, with the proof": one(burning(open_hash=right())),
    "burn by the link, with a wrong proof": one(burning(open_hash=wrong())),
    "burn by the link, with the claim": one(burning(device="phone")),
    "burn by the link, with both": one(burning(open_hash=right(), device="phone")),
    "burn by the link, with another claim": one(burning(device="laptop")),
    "expiry": _expire,
    "sweep": one(call("sweep")),
    "sweep, when it is due": _sweep_when_due,
    "settle": one(settling()),
    "settle with another claim": one(settling(device="laptop")),
    "claim again": one(claiming()),
    "claim again without the proof": one(claiming(open_hash=b"")),
    "another claim": one(claiming(device="laptop")),
    "another claim without the proof": one(claiming(device="laptop", open_hash=wrong())),
}

# The answer, the receipt's state, whether it is acknowledged, and whether the content is still in the file. "again": the phone
# gets it; "it": whoever asks gets it.
Cell = tuple[str, State, bool, bool]

NEW, CLAIM, READ = State.NEW, State.CLAIMED, State.REVEALED
BURNED, EXPIRED = State.BURNED, State.EXPIRED

TABLE: dict[str, tuple[Cell, Cell, Cell]] = {
    # before the window, during it, after it
    "burn by the sender": (
        ("burned", BURNED, False, False),
        ("no", READ, False, False),
        ("no", READ, False, False),
    ),
    "burn by the link, with the proof": (
        ("burned", BURNED, False, False),
        ("claimed", CLAIM, False, True),
        ("no", READ, False, True),
    ),
    "burn by the link, with a wrong proof": (
        ("wrong", NEW, False, True),
        ("claimed", CLAIM, False, True),
        ("no", READ, False, True),
    ),
    "burn by the link, with the claim": (
        ("no", NEW, False, True),
        ("claimed", READ, False, False),
        ("no", READ, False, True),
    ),
    "burn by the link, with both": (
        ("burned", BURNED, False, False),
        ("claimed", READ, False, False),
        ("no", READ, False, True),
    ),
    "burn by the link, with another claim": (
        ("no", NEW, False, True),
        ("claimed", CLAIM, False, True),
        ("no", READ, False, True),
    ),
    "expiry": (
        ("nothing", EXPIRED, False, True),
        ("a claimed one", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
    "sweep": (
        ("0 swept", NEW, False, True),
        ("0 swept", CLAIM, False, True),
        ("0 swept", READ, False, True),
    ),
    "sweep, when it is due": (
        ("1 swept", EXPIRED, False, False),
        ("1 swept", READ, False, False),
        ("1 swept", READ, False, False),
    ),
    "settle": (
        ("nothing", NEW, False, True),
        ("settled", READ, True, False),
        ("settled", READ, True, False),
    ),
    "settle with another claim": (
        ("nothing", NEW, False, True),
        ("nothing", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
    "claim again": (
        ("the content", CLAIM, False, True),
        ("the content", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
    "claim again without the proof": (
        ("wrong", NEW, False, True),
        ("the content", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
    "another claim": (
        ("the content", CLAIM, False, True),
        ("claimed", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
    "another claim without the proof": (
        ("wrong", NEW, False, True),
        ("claimed", CLAIM, False, True),
        ("nothing", READ, False, True),
    ),
}


def named(answer: Any) -> str:
    match answer:
        case Handed(body=body):
            return "the content" if body == body_of("a") else "something else"
        case Refused(why=why):
            return why.value
        case Settled():
            return "settled"
        case Swept(secrets=secrets):
            return f"{secrets} swept"
        case None:
            return "nothing"
        case bool():
            return "burned" if answer else "no"
        case _:
            return f"a {answer.state.value} one"


@pytest.mark.parametrize("moment", ["before", "during", "after"])
@pytest.mark.parametrize("act", ACTS)
async def test_every_verb_before_during_and_after_the_window(
    vault: VaultStore, place: Place, clock: Clock, act: str, moment: str
) -> None:
    await vault.put(new_envelope(ttl=LIFE))
    parts = place.parts(A)
    if moment == "before":
        await pass_time(vault, clock, 300)
    else:
        await pass_time(vault, clock, CLAIMED_AT)
        assert await handed(vault, claiming())
        await pass_time(vault, clock, 60 if moment == "during" else WINDOW)
    answer = named(await ACTS[act](vault, clock))
    receipt = await receipt_of(vault)
    await vault.scrub()
    is_held = [place.holds(part) for part in parts]
    assert all(is_held) or not any(is_held)
    expected = TABLE[act][["before", "during", "after"].index(moment)]
    held = all(is_held) if parts else expected[3]
    assert (answer, receipt.state, receipt.acknowledged, held) == expected
    # Whatever it was: after it, nobody gets it but the one who had it, and only where it is said to be there.
    readers = {
        device for device in ("phone", "laptop") if await handed(vault, claiming(device=device))
    }
    if moment == "before" and answer != "the content":
        # Nobody had it: the first who asks now does, if it is there.
        assert readers == ({"phone"} if receipt.state is NEW else set())
    elif receipt.state is CLAIM:
        assert readers == {"laptop" if moment == "before" and act == "another claim" else "phone"}
    else:
        assert readers == set()


def test_every_act_is_in_the_table() -> None:
    assert ACTS.keys() == TABLE.keys()


# Attempts


async def test_ten_wrong_proofs_are_free_and_the_tenth_locks(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope())
    for number in range(9):
        answer = await make(vault, claiming(open_hash=wrong(number)))
        assert answer == wrong_with(9 - number)
        looked = await vault.look(A)
        assert looked is not None
        assert (looked.wrong_tries, looked.locked_until) == (number + 1, None)
    assert await make(vault, claiming(open_hash=wrong(9))) == wrong_with(0)
    looked = await vault.look(A)
    assert looked is not None
    assert (looked.wrong_tries, looked.locked_until) == (10, START + 60)
    # The right proof is refused as well: else a lock would be no lock for whoever guesses.
    clock.now += 59
    for open_hash in (right(), wrong()):
        assert await make(vault, claiming(open_hash=open_hash)) == locked(1)
        assert await make(vault, burning(open_hash=open_hash)) == locked(1)
    assert (await receipt_of(vault)).wrong_tries == 10
    clock.now += 1
    looked = await vault.look(A)
    assert looked is not None
    assert looked.locked_until is None
    assert await handed(vault, claiming()) == body_of("a")
    assert (await receipt_of(vault)).wrong_tries == 10


async def test_each_lock_is_twice_as_long_up_to_an_hour_and_after_a_hundred_it_is_closed(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(ttl=7 * DAY))
    for number in range(10):
        assert await make(vault, claiming(open_hash=wrong(number)))
    lock = 60
    for number in range(11, 101):
        assert await make(vault, claiming()) == locked(lock)
        clock.now += lock - 1
        assert await make(vault, claiming()) == locked(1)
        clock.now += 1
        assert await make(vault, claiming(open_hash=wrong(number))) == wrong_with(0)
        assert (await receipt_of(vault)).wrong_tries == number
        lock = min(2 * lock, 3600)
    for _ in range(2):
        assert await make(vault, claiming()) == CLOSED
        assert await make(vault, claiming(open_hash=wrong())) == CLOSED
        assert await make(vault, burning(open_hash=right())) == CLOSED
        assert (await receipt_of(vault)).wrong_tries == 100
        clock.now += DAY // 2
    # It is still the sender's, and the clock's.
    assert await vault.burn(A) is True


def test_what_is_left_before_the_next_lock() -> None:
    assert [TRIES.left(number) for number in (0, 1, 9, 10, 11, 98, 99, 100, 101)] == [
        10, 9, 1, 1, 1, 1, 1, 0, 0,
    ]  # fmt: skip
    assert [TRIES.lock_after(number) for number in (0, 9, 10, 11, 15, 16, 17, 99)] == [
        0, 0, 60, 120, 1920, 3600, 3600, 3600,
    ]  # fmt: skip


async def test_a_wrong_burn_spends_the_same_budget(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    for number in range(10):
        verb = claiming if number % 2 else burning
        assert await make(vault, verb(open_hash=wrong(number))) == wrong_with(9 - number)
    assert await make(vault, burning(open_hash=right())) == locked(60)
    assert (await receipt_of(vault)).wrong_tries == 10


async def test_a_burn_without_any_proof_spends_nothing(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    for _ in range(20):
        assert await make(vault, burning()) is False
        assert await make(vault, burning(device="phone")) is False
    assert (await receipt_of(vault)).wrong_tries == 0


async def test_a_delivery_again_needs_no_proof_and_spends_nothing(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope())
    for number in range(9):
        await make(vault, claiming(open_hash=wrong(number)))
    assert await handed(vault, claiming())
    for number in range(30):
        assert await handed(vault, claiming(open_hash=wrong(number))) == body_of("a")
        assert await make(vault, claiming(device="x", open_hash=wrong(number))) == CLAIMED
    assert (await receipt_of(vault)).wrong_tries == 9


async def test_wrong_proofs_of_one_batch_are_debited_one_by_one(vault: VaultStore) -> None:
    await vault.put(new_envelope())
    guesses = [claiming(open_hash=wrong(number)) for number in range(12)]
    guesses.append(claiming())
    answers = await at_once(vault, guesses)
    expected = [wrong_with(left) for left in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
    assert answers == [*expected, *[locked(60)] * 3]
    assert (await receipt_of(vault)).wrong_tries == 10


async def test_guesses_at_one_secret_are_nothing_to_another(vault: VaultStore) -> None:
    for word in "ab":
        await vault.put(new_envelope(word))
    for number in range(12):
        await make(vault, claiming("a", open_hash=wrong(number)))
    assert await handed(vault, claiming("b")) == body_of("b")
    assert (await receipt_of(vault, "b")).wrong_tries == 0


@pytest.mark.parametrize("back", [DAY, HOUR, 30])
async def test_a_clock_set_back_stretches_no_lock(
    vault: VaultStore, clock: Clock, back: int
) -> None:
    await vault.put(new_envelope(created_at=START - 2 * DAY, ttl=7 * DAY))
    for number in range(11):
        await make(vault, claiming(open_hash=wrong(number)))
        clock.now += 60 * (number == 9)
    assert await make(vault, claiming()) == locked(120)
    clock.now -= back
    assert await make(vault, claiming()) == locked(120)
    clock.now += 120
    assert await handed(vault, claiming()) == body_of("a")


async def test_a_clock_set_back_after_a_free_try_locks_nothing(
    vault: VaultStore, clock: Clock
) -> None:
    await vault.put(new_envelope(created_at=START - DAY, ttl=7 * DAY))
    assert await make(vault, claiming(open_hash=wrong())) == wrong_with(9)
    clock.now -= HOUR
    looked = await vault.look(A)
    assert looked is not None
    assert looked.locked_until is None
    assert await handed(vault, claiming()) == body_of("a")


# A window that the service slept through


async def slept(place: Place, vault: VaultStore, clock: Clock, seconds: int, *, kill: bool) -> Any:
    """The service as it is after a while in which it did nothing: killed and started again, or frozen."""
    if kill:
        await vault.close()
    clock.now += seconds
    return await place.open(clock) if kill else vault


KILLED = pytest.mark.parametrize("kill", [True, False], ids=["killed", "frozen"])


@KILLED
@pytest.mark.parametrize("claimed_before", [0, 45, 550])
async def test_a_window_that_was_slept_through_is_given_once_more(
    vault: VaultStore, place: Place, clock: Clock, kill: bool, claimed_before: int
) -> None:
    await vault.put(new_envelope(ttl=900))
    assert await handed(vault, claiming())
    await pass_time(vault, clock, claimed_before)
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    woken_at = int(clock.now)
    # Whoever asks first, and whatever: it is there.
    looked = await vault.look(A)
    assert looked is not None
    assert (looked.state, looked.window_ends_at) == (State.CLAIMED, woken_at + WINDOW)
    receipt = await receipt_of(vault)
    assert (receipt.state, receipt.ended_at) == (State.CLAIMED, START)
    assert await make(vault, claiming(device="laptop")) == CLAIMED
    await pass_time(vault, clock, WINDOW - 1)
    assert await make(vault, claiming()) == Handed(
        body=body_of("a"), window_ends_at=woken_at + WINDOW, now=int(clock.now)
    )
    await pass_time(vault, clock, 1)
    assert await make(vault, claiming()) is None
    # Only once.
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    assert await make(vault, claiming()) is None
    assert await vault.look(A) is None


@KILLED
@pytest.mark.parametrize("first", ["receipt", "sweep", "claim", "settle", "another claim", "put"])
async def test_after_a_sleep_the_window_is_there_whatever_is_asked_first(
    vault: VaultStore, place: Place, clock: Clock, kill: bool, first: str
) -> None:
    await vault.put(new_envelope(ttl=900))
    assert await handed(vault, claiming())
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    match first:
        case "receipt":
            assert await state_of(vault) is State.CLAIMED
        case "sweep":
            assert await sweep(vault) == 0
        case "settle":
            assert await make(vault, settling())
            assert await make(vault, claiming()) is None
            return
        case "another claim":
            assert await make(vault, claiming(device="laptop")) == CLAIMED
        case "put":
            await vault.put(new_envelope("b", created_at=int(clock.now)))
    assert await handed(vault, claiming()) == body_of("a")


@KILLED
async def test_a_window_is_given_again_only_once_however_often_it_is_slept_through(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    assert await handed(vault, claiming())
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    assert await make(vault, claiming()) is None
    assert await state_of(vault) is State.REVEALED


@KILLED
@pytest.mark.parametrize("asleep", [WINDOW - 60, WINDOW, 10 * WINDOW])
async def test_a_window_that_was_over_before_the_sleep_stays_over(
    vault: VaultStore, place: Place, clock: Clock, kill: bool, asleep: int
) -> None:
    await vault.put(new_envelope(ttl=20 * WINDOW))
    assert await handed(vault, claiming())
    await pass_time(vault, clock, WINDOW)
    assert await make(vault, claiming()) is None
    vault = await slept(place, vault, clock, asleep, kill=kill)
    assert await vault.look(A) is None
    assert await make(vault, claiming()) is None
    assert await state_of(vault) is State.REVEALED


@KILLED
async def test_a_window_that_ended_between_two_sweeps_and_was_answered_so_stays_over(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    await vault.put(new_envelope())
    await pass_time(vault, clock, 30)
    assert await handed(vault, claiming())
    await pass_time(vault, clock, WINDOW - 5)
    clock.now += 10
    assert await make(vault, claiming()) is None
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    assert await make(vault, claiming()) is None
    assert await vault.look(A) is None


@KILLED
async def test_a_short_break_gives_nothing_away(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    vault = await slept(place, vault, clock, 100, kill=kill)
    await sweep(vault)
    await pass_time(vault, clock, WINDOW - 101)
    assert await handed(vault, claiming())
    await pass_time(vault, clock, 1)
    assert await make(vault, claiming()) is None


async def test_while_another_process_was_awake_no_window_was_slept_through(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    frozen, awake = vault, await place.open(clock)
    await pass_time(awake, clock, WINDOW + 120)  # over, and not swept yet
    assert await frozen.look(A) is None
    assert await make(frozen, claiming()) is None
    assert await make(await place.open(clock), claiming()) is None
    assert await state_of(frozen) is State.REVEALED


@KILLED
async def test_what_was_settled_or_ended_before_the_sleep_stays_gone(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    ends = {
        "settled": settling("settled"),
        "burned": burning("burned", device="phone"),
        "by-sender": call("burn", name_of("secret by-sender")),
    }
    for word, end in ends.items():
        await vault.put(new_envelope(word))
        assert await handed(vault, claiming(word))
        await make(vault, end)
    await vault.put(new_envelope("new"))
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    for word in ends:
        assert await make(vault, claiming(word)) is None
        assert await state_of(vault, word) is State.REVEALED
    assert await state_of(vault, "new") is State.NEW
    assert await handed(vault, claiming("new"))


@KILLED
async def test_a_receipt_outlives_a_window_that_is_given_again(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    await vault.put(new_envelope(ttl=60))
    assert await handed(vault, claiming())
    # Its receipt would have been over, and it would have been swept.
    vault = await slept(place, vault, clock, DAY, kill=kill)
    assert await sweep(vault) == 0
    assert await state_of(vault) is State.CLAIMED
    assert await handed(vault, claiming()) == body_of("a")
    await pass_time(vault, clock, WINDOW + 360)
    assert await state_of(vault) is State.REVEALED


@KILLED
async def test_a_window_slept_through_after_the_clock_was_set_back_is_given_again(
    vault: VaultStore, place: Place, clock: Clock, kill: bool
) -> None:
    await sweep(vault)
    clock.now -= HOUR
    await vault.put(new_envelope(created_at=int(clock.now)))
    assert await handed(vault, claiming())
    vault = await slept(place, vault, clock, 20 * 60, kill=kill)
    assert await handed(vault, claiming()) == body_of("a")
    await pass_time(vault, clock, WINDOW)
    assert await make(vault, claiming()) is None


# Clocks that jump


async def test_a_jump_ahead_for_a_moment_ends_no_window(vault: VaultStore, clock: Clock) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    await pass_time(vault, clock, 60)
    clock.now += DAY
    await sweep(vault)
    clock.now -= DAY
    await sweep(vault)
    assert await handed(vault, claiming()) == body_of("a")
    assert await make(vault, claiming(device="laptop")) == CLAIMED


@pytest.mark.parametrize("jump", [-DAY, -60, 60, WINDOW, DAY])
async def test_a_jump_gives_it_to_nobody_else(vault: VaultStore, clock: Clock, jump: int) -> None:
    await vault.put(new_envelope(created_at=START - 2 * DAY, ttl=9 * DAY))
    assert await handed(vault, claiming())
    clock.now += jump
    for _ in range(30):
        await pass_time(vault, clock, 60)
        assert not await handed(vault, claiming(device="laptop"))
    clock.now = START
    assert not await handed(vault, claiming(device="laptop"))


@pytest.mark.parametrize("jump", [-DAY, -HOUR, -1, HOUR])
@pytest.mark.parametrize(
    "end",
    [
        settling(),
        burning(device="phone"),
        call("burn", A),
        call("sweep"),
    ],
    ids=["settled", "burned with the claim", "burned by the sender", "swept"],
)
async def test_no_jump_brings_back_what_was_given_up(
    vault: VaultStore, clock: Clock, end: Call, jump: int
) -> None:
    await vault.put(new_envelope(created_at=START - DAY, ttl=7 * DAY))
    assert await handed(vault, claiming())
    if end.verb == "sweep":
        await pass_time(vault, clock, WINDOW + 300)
    await make(vault, end)
    jumps = (clock.now + jump, START, START + 1)
    for clock.now in jumps:
        assert await vault.look(A) is None
        assert await make(vault, claiming()) is None
        assert await make(vault, claiming(device="laptop")) is None
        assert await state_of(vault) is State.REVEALED


# The receipt tells it


async def test_a_receipt_tells_claimed_then_revealed_and_when(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    await vault.put(new_envelope(owner=b"account", listing_id=name_of("list a"), listing=b"x"))

    async def told() -> StoredReceipt:
        """The same by every way to it."""
        by_id = await receipt_of(vault)
        assert await vault.receipt(name_of("list a")) == by_id
        assert await vault.receipts_of(b"account", limit=5) == [by_id]
        assert await receipt_of(await place.open(clock)) == by_id
        return by_id

    new = await told()
    assert (new.state, new.ended_at, new.window_ends_at) == (State.NEW, None, None)
    assert (new.acknowledged, new.acknowledged_at, new.wrong_tries) == (False, None, 0)
    await pass_time(vault, clock, 10)
    await make(vault, claiming(open_hash=wrong()))
    assert await handed(vault, claiming())
    await pass_time(vault, clock, 10)
    await make(vault, claiming(device="laptop"))
    claimed = await told()
    assert claimed == msgspec.structs.replace(
        new,
        state=State.CLAIMED,
        ended_at=START + 10,
        window_ends_at=START + 10 + WINDOW,
        wrong_tries=1,
        now=START + 20,
    )
    await pass_time(vault, clock, WINDOW - 10.5)
    assert (await told()).state is State.CLAIMED
    await pass_time(vault, clock, 0.5)
    revealed = await told()
    assert revealed == msgspec.structs.replace(
        claimed, state=State.REVEALED, window_ends_at=None, now=int(clock.now)
    )
    await make(vault, settling())
    assert await told() == msgspec.structs.replace(
        revealed, acknowledged=True, acknowledged_at=int(clock.now)
    )


# What stays in the files


TRACES: dict[str, list[Call] | float] = {
    "settled": [claiming(), settling()],
    "burned": [call("burn", A)],
    "burned by its link": [burning(open_hash=right())],
    "burned in its window": [claiming(), call("burn", A)],
    "given up by its device": [claiming(), burning(device="phone")],
    "given once": [claiming(window=0)],
    "swept": HOUR + 360,
}


@pytest.mark.parametrize("end", TRACES)
async def test_of_what_is_gone_no_file_holds_the_content_or_what_proved_it(
    vault: VaultStore, place: Place, clock: Clock, end: str
) -> None:
    body = body_of("a") * 40
    for word in ("before", "a", "behind"):
        await vault.put(new_envelope(word, **({"body": body} if word == "a" else {})))
    parts = [*place.parts(A), right()]
    assert all(place.holds(part) for part in parts) or not place.files()
    happens = TRACES[end]
    if isinstance(happens, list):
        for one in happens:
            await make(vault, one)
    else:
        await pass_time(vault, clock, happens)
    await vault.scrub()
    assert not any(place.holds(part) for part in [*parts, body])


async def test_when_its_receipt_is_gone_no_file_holds_the_claim(
    vault: VaultStore, place: Place, clock: Clock
) -> None:
    await vault.put(new_envelope(ttl=900))
    assert await handed(vault, claiming())
    await make(vault, settling())
    await pass_time(vault, clock, 3 * HOUR)
    await vault.scrub()
    assert not place.holds(claim_of("phone"))
    # The id is free again, for whoever has it.
    assert await vault.put(new_envelope(created_at=int(clock.now))) == Stored()


async def test_no_file_holds_a_claim_or_a_body_as_they_were_given(
    vault: VaultStore, place: Place
) -> None:
    await vault.put(new_envelope())
    assert await handed(vault, claiming())
    assert not place.holds(body_of("a"))


# Deaths


async def test_a_claim_survives_the_death_of_the_process_that_answered(
    place: Place, clock: Clock
) -> None:
    before = await place.open(clock)
    for word in ("claimed", "settled", "burned", "guessed"):
        await before.put(new_envelope(word))
    await before.close()
    stored, claimed, other, settled_first, settled, burned, guessed = make_and_die(
        place,
        clock,
        [
            call("put", new_envelope("put")),
            claiming("claimed"),
            claiming("claimed", "laptop"),
            claiming("settled"),
            settling("settled"),
            burning("burned", open_hash=right("burned")),
            claiming("guessed", open_hash=wrong()),
        ],
    )
    assert stored == Stored()
    assert claimed.body == body_of("claimed")
    assert other == CLAIMED
    assert settled_first.body == body_of("settled")
    assert settled == Settled(acknowledged_at=START, now=START)
    assert burned is True
    assert guessed == wrong_with(9)

    vault = await place.open(clock)
    assert await vault.put(new_envelope("put")) == Stored(created_at=START)
    assert await handed(vault, claiming("put"))
    # The device that had no answer asks again, and is the only one that is answered.
    assert await make(vault, claiming("claimed", "laptop")) == CLAIMED
    assert await make(vault, claiming("claimed")) == claimed
    assert await make(vault, claiming("settled")) is None
    assert await make(vault, settling("settled")) == settled
    assert await make(vault, claiming("burned")) is None
    assert (await receipt_of(vault, "guessed")).wrong_tries == 1
    states = [await state_of(vault, word) for word in ("claimed", "settled", "burned", "guessed")]
    assert states == [State.CLAIMED, State.REVEALED, State.BURNED, State.NEW]


async def test_a_device_that_leaves_in_mid_claim_may_ask_again(vault: VaultStore) -> None:
    """Cancelled after any number of turns of the loop: claimed by nobody or by it, and never lost."""
    for turns in range(10):
        word = f"{turns}"
        await vault.put(new_envelope(word))
        task = asyncio.create_task(handed(vault, claiming(word)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await vault.ready()
        assert await handed(vault, claiming(word)) == body_of(word)
        assert await make(vault, claiming(word, "laptop")) == CLAIMED
