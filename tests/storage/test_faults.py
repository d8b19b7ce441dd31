"""When the store itself fails: in the middle of a batch, at its commit, or so that nobody knows whether it was committed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from onetime.errors import Conflict, Full, Unavailable
from onetime.model import Kind, Settled, State
from onetime.storage import port
from onetime.storage.port import Budget, Debit, Debited, NewAnswer, Stored, VaultStore
from tests.storage.adapters import (
    DAY,
    SHORT_PROOF,
    START,
    Clock,
    Faults,
    Place,
    name_of,
    new_secret,
)
from tests.storage.envelopes import (
    body_of,
    burning,
    claim_of,
    claiming,
    handed,
    new_envelope,
    right,
    settling,
    wrong,
)
from tests.storage.races import Refused, at_once, call, make, make_and_be_killed

NETWORK = Debit(key=name_of("network"), budget=Budget(limit=5, window=600, lock=1800))
MANY = Debit(key=name_of("many"), budget=Budget(limit=1000, window=600))


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def failing(place: Place, clock: Clock, faults: Faults) -> VaultStore:
    return await open_failing(place, clock, faults)


async def open_failing(place: Place, clock: Clock, faults: Faults) -> VaultStore:
    """A store in which `faults` may happen, with the secrets a, b, c and d and a generated one in it."""
    store: VaultStore = await place.open(clock, faults=faults, proof_seconds=SHORT_PROOF)
    for word in "abcd":
        await store.put(new_secret(word))
    await store.put(new_secret("generated", kind=Kind.GENERATED))
    faults.told.clear()
    faults.begun = faults.committed = 0
    return store


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it becomes true on another thread
            await asyncio.sleep(0.005)


async def state_of(store: VaultStore, word: str) -> State:
    receipt = await store.receipt(name_of(f"receipt {word}"))
    assert receipt is not None
    return receipt.state


def a_bit_of_everything() -> list[Any]:
    """A batch with puts, a winner and losers, refusals, counts and budgets; `check_everything` knows its only outcome."""
    kept = NewAnswer(answer_id=name_of("answer"), sealed=b"sealed", expires_at=START + DAY)
    return [
        call("put", new_secret("new"), answer=kept),
        call("take", name_of("secret a")),
        call("count", MANY),
        call("take", name_of("secret a")),
        call("burn", name_of("secret b")),
        call("take", name_of("secret b")),
        call("put", new_secret("c", body=b"other")),
        call("spend", name_of("secret c"), total=100, debits=[NETWORK]),
        call("count", MANY),
        call("put", new_secret("second"), answer=kept),
        call("show_once", name_of("receipt generated"), within=60),
        call("show_once", name_of("receipt generated"), within=60),
        call("put_token", name_of("token"), purpose="sign-in", body=b"t", expires_at=START + DAY),
        call("daily_key", 19_000, b"first", expires_at=START + DAY),
        call("daily_key", 19_000, b"second", expires_at=START + DAY),
        call("take", name_of("secret nothing")),
    ]


async def check_everything(answers: list[Any], store: VaultStore) -> None:
    """Nothing doubled, nothing lost: what was answered, and what is there now."""
    assert answers[0] == Stored()
    assert answers[1].body == b"body of a"
    assert answers[2] == Debited(left=999)
    assert answers[3] is None
    assert answers[4] is True
    assert answers[5] is None
    assert answers[6] == Refused("Conflict")
    assert answers[7] == Debited(left=4)
    assert answers[8] == Debited(left=998)
    assert answers[9] == Stored(earlier=b"sealed")
    assert answers[10].body == b"body of generated"
    assert answers[11] is None
    assert answers[12] is None
    assert answers[13:15] == [b"first", b"first"]
    assert answers[15] is None

    assert await state_of(store, "a") is State.REVEALED
    assert await state_of(store, "b") is State.BURNED
    assert await store.take(name_of("secret a")) is None
    assert await store.take(name_of("secret b")) is None
    assert await store.peek(name_of("secret second")) is None
    receipt = await store.receipt(name_of("receipt c"))
    assert receipt is not None
    assert receipt.wrong_tries == 1
    assert await store.count(MANY) == Debited(left=997)
    assert await store.count(NETWORK) == Debited(left=3)
    assert await store.take_token(name_of("token"), purpose="sign-in") == b"t"
    for word in ("new", "c", "d", "generated"):
        taken = await store.take(name_of(f"secret {word}"))
        assert taken is not None
        assert taken.body == f"body of {word}".encode()


async def test_a_batch_without_faults_is_one_commit(failing: VaultStore, faults: Faults) -> None:
    answers = await at_once(failing, a_bit_of_everything())
    assert (faults.begun, faults.committed) == (1, 1)
    await check_everything(answers, failing)


# An error of the store in the middle of a batch


@pytest.mark.parametrize("error", ["full", "ioerr"])
async def test_an_error_in_mid_batch_hurts_only_its_culprit(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, error: str
) -> None:
    faults.error, faults.broken = error, name_of("secret culprit")
    everything = a_bit_of_everything()
    # The culprit in the middle: what came before it was rolled back with it, what comes after would be alone.
    everything.insert(8, call("put", new_secret("culprit")))
    answers = await at_once(failing, everything)
    assert answers.pop(8) == Refused("Full" if error == "full" else "Unavailable")
    # Asked of another store, so that nothing but what was committed counts.
    other = await place.open(clock)
    assert await other.peek(name_of("secret culprit")) is None
    await check_everything(answers, other)


async def test_an_error_that_does_not_return_hurts_nobody(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults
) -> None:
    faults.broken, faults.how_often = name_of("secret new"), 1
    answers = await at_once(failing, a_bit_of_everything())
    if not place.adapter.fails_as_one:
        # Nothing else was undone, so there is nothing to do again.
        assert answers[0] == Refused("Full")
        assert await failing.put(new_secret("new")) == Stored()
        return
    await check_everything(answers, await place.open(clock))


async def test_several_culprits_in_a_batch_hurt_themselves(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults
) -> None:
    faults.broken = name_of("secret culprit")
    everything = a_bit_of_everything()
    for position in (0, 9, 18):
        everything.insert(position, call("put", new_secret("culprit")))
    answers = await at_once(failing, everything)
    for position in (18, 9, 0):
        assert answers.pop(position) == Refused("Full")
    await check_everything(answers, await place.open(clock))


async def test_the_store_goes_on_after_an_error(failing: VaultStore, faults: Faults) -> None:
    faults.broken = name_of("secret new")
    with pytest.raises(Full):
        await failing.put(new_secret("new"))
    faults.broken = None
    assert await failing.put(new_secret("new")) == Stored()
    assert await failing.take(name_of("secret new"))


# A commit of which nobody knows whether it happened


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_a_commit_without_an_answer_doubles_nothing_and_loses_nothing(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, commit: str
) -> None:
    faults.commit = commit
    answers = await at_once(failing, a_bit_of_everything())
    assert faults.told.count("COMMIT") > 1 or commit == "done"
    await check_everything(answers, await place.open(clock))


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_a_commit_without_an_answer_of_one_operation_is_settled(
    failing: VaultStore, faults: Faults, commit: str
) -> None:
    faults.commit = commit
    if commit == "done":
        taken = await failing.take(name_of("secret a"))
        assert taken is not None
        assert taken.body == b"body of a"
        assert await failing.take(name_of("secret a")) is None
        return
    # Not done. A store that blames the operation itself says so, and then nothing has happened; another does it again.
    taken = await make(failing, call("take", name_of("secret a")))
    if taken == Refused("Unavailable"):
        assert await state_of(failing, "a") is State.NEW
        taken = await failing.take(name_of("secret a"))
    assert taken is not None
    assert taken.body == b"body of a"


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_nobody_is_answered_before_the_outcome_is_proven(
    place: Place, clock: Clock, commit: str
) -> None:
    faults = Faults()
    store = await place.open(clock, faults=faults, proof_seconds=30)
    for word in "abcd":
        await store.put(new_secret(word))
    await store.put(new_secret("generated", kind=Kind.GENERATED))
    faults.commit, faults.refuses = commit, True
    callers = asyncio.create_task(at_once(store, a_bit_of_everything()))
    await until(lambda: faults.refused >= 2)
    assert not callers.done()
    faults.refuses = False
    await check_everything(await callers, store)


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_an_outcome_that_stays_unknown_gives_the_content_to_nobody(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, commit: str
) -> None:
    faults.commit, faults.refuses = commit, True
    loop = asyncio.get_running_loop()
    begin = loop.time()
    answers = await at_once(failing, a_bit_of_everything())
    assert loop.time() - begin >= SHORT_PROOF
    assert answers == [Refused("Unavailable")] * len(answers)

    faults.refuses = False
    other = await place.open(clock)
    for store in (failing, other):
        receipt = await store.receipt(name_of("receipt a"))
        assert receipt is not None
        assert not receipt.acknowledged
        assert receipt.state is (State.REVEALED if commit == "done" else State.NEW)
    if commit == "done":
        assert await failing.take(name_of("secret a")) is None
        assert await other.take(name_of("secret a")) is None
        assert (await failing.count(MANY)).left == 997
        # A repeated create finds that it was done.
        assert await failing.put(new_secret("new")) == Stored()
    else:
        assert (await failing.count(MANY)).left == 999
        assert await failing.peek(name_of("secret new")) is None
        await other.take(name_of("secret a"))
        assert await failing.take(name_of("secret a")) is None


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_what_is_put_after_an_unknown_outcome_can_be_read_by_every_process(
    place: Place, clock: Clock, faults: Faults, commit: str
) -> None:
    """Nothing that the lost transaction made may be believed, not even in memory."""
    store = await place.open(clock, faults=faults, proof_seconds=SHORT_PROOF)
    faults.commit, faults.refuses = commit, True
    with pytest.raises(Unavailable):
        await store.put(new_secret("first"))
    faults.refuses = False
    await store.put(new_secret("second"))
    other = await place.open(clock)
    taken = await other.take(name_of("secret second"))
    assert taken is not None
    assert taken.body == b"body of second"


async def test_a_store_that_stays_away_is_unavailable_and_comes_back(
    failing: VaultStore, faults: Faults
) -> None:
    faults.commit, faults.refuses = "undone", True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await failing.take(name_of("secret a"))
    with pytest.raises(Unavailable):
        await failing.ready()
    faults.refuses = False
    await failing.ready()
    assert await failing.take(name_of("secret a"))


# The same for claim and settle


async def put_envelopes(store: VaultStore) -> None:
    for word in (
        "claimed",
        "settled",
        "late",
        "burned",
        "by sender",
        "given up",
        "guessed",
        "kept",
    ):
        await store.put(new_envelope(word))
    for word in ("late", "given up"):
        assert await handed(store, claiming(word))


def a_bit_of_every_claim() -> list[Any]:
    """As `a_bit_of_everything`, for `check_every_claim`."""
    return [
        call("put", new_envelope("new")),
        claiming("claimed"),
        claiming("claimed", "laptop"),
        claiming("settled"),
        settling("settled"),
        settling("late"),
        burning("burned", open_hash=right("burned")),
        call("burn", name_of("secret by sender")),
        burning("given up", device="phone"),
        claiming("guessed", open_hash=wrong(1)),
        claiming("guessed", open_hash=wrong(2)),
        claiming("claimed"),
        call("put", new_envelope("new", created_at=START + 1)),
        call("put", new_envelope("kept", body=b"other")),
        claiming("settled"),
    ]


CLAIMED = port.Refused(why=port.Refusal.CLAIMED)


async def check_every_claim(answers: list[Any], store: VaultStore) -> None:
    settled = Settled(acknowledged_at=START, now=START)
    assert answers[0] == Stored()
    assert answers[1].body == body_of("claimed")
    assert answers[2] == CLAIMED
    assert answers[3].body == body_of("settled")
    assert answers[4:8] == [settled, settled, True, True]
    assert answers[8] == CLAIMED
    assert [each.left for each in answers[9:11]] == [9, 8]
    assert answers[11] == answers[1]
    assert answers[12:] == [Stored(created_at=START), Refused("Conflict"), None]

    expected = {
        "claimed": State.CLAIMED,
        "settled": State.REVEALED,
        "late": State.REVEALED,
        "burned": State.BURNED,
        "by sender": State.BURNED,
        "given up": State.REVEALED,
        "guessed": State.NEW,
        "kept": State.NEW,
        "new": State.NEW,
    }
    assert {word: await state_of(store, word) for word in expected} == expected
    assert await make(store, claiming("claimed")) == answers[1]
    for word in ("settled", "late"):
        assert await make(store, settling(word)) == settled
    for word, state in expected.items():
        if state is not State.NEW:
            assert not await handed(store, claiming(word, "laptop"))
        if state in {State.REVEALED, State.BURNED}:
            assert await make(store, claiming(word)) is None
    receipt = await store.receipt(name_of("receipt guessed"))
    assert receipt is not None
    assert receipt.wrong_tries == 2
    for word in ("guessed", "kept", "new"):
        assert await handed(store, claiming(word)) == body_of(word)


@pytest.mark.parametrize("error", ["full", "ioerr"])
async def test_an_error_in_mid_claim_hurts_only_that_claim(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, error: str
) -> None:
    await put_envelopes(failing)
    faults.error, faults.broken = error, claim_of("culprit")
    everything = a_bit_of_every_claim()
    everything.insert(6, claiming("kept", "culprit"))
    answers = await at_once(failing, everything)
    assert answers.pop(6) == Refused("Full" if error == "full" else "Unavailable")
    await check_every_claim(answers, await place.open(clock))


@pytest.mark.parametrize("commit", ["undone", "done", "full"])
async def test_claims_whose_commit_has_no_answer_are_doubled_and_lost_nowhere(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, commit: str
) -> None:
    await put_envelopes(failing)
    faults.commit = commit
    answers = await at_once(failing, a_bit_of_every_claim())
    await check_every_claim(answers, await place.open(clock))


@pytest.mark.parametrize("commit", ["undone", "done"])
async def test_a_claim_whose_outcome_stays_unknown_may_be_made_again_by_the_same_device(
    failing: VaultStore, place: Place, clock: Clock, faults: Faults, commit: str
) -> None:
    await put_envelopes(failing)
    faults.commit, faults.refuses = commit, True
    answers = await at_once(failing, a_bit_of_every_claim())
    assert answers == [Refused("Unavailable")] * len(answers)
    faults.refuses = False
    for store in (failing, await place.open(clock)):
        done = commit == "done"
        assert await state_of(store, "claimed") is (State.CLAIMED if done else State.NEW)
        assert await state_of(store, "settled") is (State.REVEALED if done else State.NEW)
        assert await state_of(store, "late") is (State.REVEALED if done else State.CLAIMED)
    # As if nothing had failed: who asks the same again is told the same, and nobody else gets anything.
    assert await handed(failing, claiming("claimed")) == body_of("claimed")
    assert await make(failing, claiming("claimed", "laptop")) == CLAIMED
    assert await handed(failing, claiming("late")) == (None if done else body_of("late"))
    assert await make(failing, settling("late")) == Settled(acknowledged_at=START, now=START)
    assert await make(failing, claiming("late")) is None


# What a process was doing when it was killed at its commit, and what has to be true when that was not done, and when it was.
# Each begins with the claims that it needs; the last one is the one that is killed.
KILLED: dict[str, list[Any]] = {
    "claim": [claiming()],
    "claim again": [claiming(), claiming()],
    "another claim": [claiming(), claiming(device="laptop")],
    "settle": [claiming(), settling()],
    "settle again": [claiming(), settling(), settling()],
    "burn by the sender": [call("burn", name_of("secret a"))],
    "burn by the link": [burning(open_hash=right())],
    "burn with the claim": [claiming(), burning(device="phone")],
    "wrong proof": [claiming(open_hash=wrong())],
    "without a window": [claiming(window=0)],
    "sweep": [claiming(), call("sweep")],
}


@pytest.mark.parametrize("commit", ["killed undone", "killed done"])
@pytest.mark.parametrize("act", KILLED)
async def test_whatever_was_running_when_it_was_killed_every_promise_is_kept(
    place: Place, clock: Clock, act: str, commit: str
) -> None:
    first = await place.open(clock)
    await first.put(new_envelope())
    await first.close()
    make_and_be_killed(place, clock, KILLED[act], commit=commit)

    done = commit == "killed done"
    vault = await place.open(clock)
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    expected = {
        "claim": (State.NEW, State.CLAIMED),
        "claim again": (State.CLAIMED, State.CLAIMED),
        "another claim": (State.CLAIMED, State.CLAIMED),
        "settle": (State.CLAIMED, State.REVEALED),
        "settle again": (State.REVEALED, State.REVEALED),
        "burn by the sender": (State.NEW, State.BURNED),
        "burn by the link": (State.NEW, State.BURNED),
        "burn with the claim": (State.CLAIMED, State.REVEALED),
        "wrong proof": (State.NEW, State.NEW),
        "without a window": (State.NEW, State.REVEALED),
        "sweep": (State.CLAIMED, State.CLAIMED),
    }[act][done]
    assert receipt.state is expected
    assert receipt.acknowledged == (act == "settle again" or (act == "settle" and done))
    assert receipt.wrong_tries == (act == "wrong proof" and done)

    # The device asks the same again. It gets the same bytes, unless it has given them up.
    for _ in range(2):
        again = await handed(vault, claiming())
        assert again == (body_of("a") if expected in {State.NEW, State.CLAIMED} else None)
        assert not await handed(vault, claiming(device="laptop"))
    settled = await make(vault, settling())
    assert (settled is None) == (expected is State.BURNED)
    assert await make(vault, claiming()) is None
    await vault.scrub()
    assert not place.holds(right())


# Callers that go away


async def test_a_taker_that_leaves_before_its_batch_begins_takes_nothing(
    failing: VaultStore, faults: Faults
) -> None:
    faults.gate.clear()
    running = asyncio.create_task(failing.take(name_of("secret a")))
    await until(lambda: faults.begun == 1)
    leaver = asyncio.create_task(failing.take(name_of("secret b")))
    await asyncio.sleep(0)
    await cancel(leaver)
    faults.gate.set()
    assert await running
    assert await state_of(failing, "b") is State.NEW
    assert await failing.take(name_of("secret b"))


async def test_a_taker_that_leaves_after_its_batch_began_has_taken(
    failing: VaultStore, faults: Faults
) -> None:
    faults.gate.clear()
    leaver = asyncio.create_task(failing.take(name_of("secret a")))
    await until(lambda: faults.begun == 1)
    await cancel(leaver)
    assert await state_of(failing, "a") is State.NEW  # nothing is committed yet
    faults.gate.set()
    # Answers come in order, so this one comes after that commit.
    assert await failing.take(name_of("secret a")) is None
    receipt = await failing.receipt(name_of("receipt a"))
    assert receipt is not None
    assert (receipt.state, receipt.acknowledged) == (State.REVEALED, False)


async def test_a_winner_that_leaves_does_not_make_a_loser_win(
    failing: VaultStore, faults: Faults
) -> None:
    faults.gate.clear()
    winner, loser = (asyncio.create_task(failing.take(name_of("secret a"))) for _ in range(2))
    await until(lambda: faults.begun == 1)
    await cancel(winner)
    faults.gate.set()
    assert await loser is None


async def test_a_sender_that_leaves_after_the_batch_began_may_repeat_the_put(
    failing: VaultStore, faults: Faults
) -> None:
    faults.gate.clear()
    leaver = asyncio.create_task(failing.put(new_secret("new")))
    await until(lambda: faults.begun == 1)
    await cancel(leaver)
    faults.gate.set()
    assert await failing.put(new_secret("new")) == Stored()
    assert await failing.take(name_of("secret new"))


async def test_a_negative_answer_waits_for_the_commit_as_well(
    failing: VaultStore, faults: Faults
) -> None:
    faults.gate.clear()
    winner = asyncio.create_task(failing.take(name_of("secret a")))
    loser = asyncio.create_task(failing.take(name_of("secret a")))
    refused = asyncio.create_task(failing.put(new_secret("b", body=b"other")))
    await until(lambda: faults.begun == 1)
    done, _ = await asyncio.wait([winner, loser, refused], timeout=0.05)
    assert done == set()
    faults.gate.set()
    await asyncio.wait([winner, loser, refused])
    assert winner.result() is not None
    assert loser.result() is None
    assert isinstance(refused.exception(), Conflict)


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_bug_in_one_operation_hurts_only_that_one(failing: VaultStore) -> None:
    """An id of a type that no store knows stands for a bug."""
    wrong: Any = object()
    bug: Awaitable[Any] = failing.take(wrong)
    answers = await asyncio.gather(
        failing.take(name_of("secret a")),
        failing.put(new_secret("new")),
        bug,
        failing.count(MANY),
        failing.take(name_of("secret a")),
        return_exceptions=True,
    )
    taken, stored, error, counted, again = answers
    assert isinstance(error, Exception)
    assert getattr(taken, "body", None) == b"body of a"
    assert (stored, counted, again) == (Stored(), Debited(left=999), None)
    assert await failing.take(name_of("secret new"))
    assert await failing.count(MANY) == Debited(left=998)
