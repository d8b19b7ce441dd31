"""What happens when everybody comes at once, when clocks jump, and when somebody leaves in the middle."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime.app import App
from onetime.core.generate import Recipe
from onetime.core.vault import Wish
from onetime.errors import Conflict, NotFound
from onetime.model import State
from onetime.storage.port import StoredSecret
from tests.core.opening import START, Clock, network, opened, outcome
from tests.rounds import rounds

RIGHT = "battery staple"


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[App, App]]:
    """Two applications on the same data, as two processes are. Without budgets of networks all verbs take equally long."""
    async with (
        opened(tmp_path, clock, limits=False) as one,
        opened(tmp_path, clock, limits=False) as other,
    ):
        yield one, other


async def in_random_order(calls: list[Any], order: random.Random) -> list[str]:
    """Outcomes, in the order given; the calls start in another."""
    places = list(range(len(calls)))
    order.shuffle(places)
    tasks = {place: asyncio.create_task(outcome(calls[place])) for place in places}
    return [await tasks[place] for place in range(len(calls))]


@pytest.mark.parametrize("passphrase", ["", RIGHT], ids=["plain", "passphrase"])
async def test_of_reveals_and_burns_at_once_one_wins_and_the_receipt_says_which(
    pair: tuple[App, App], passphrase: str
) -> None:
    order = random.Random(1)
    seen: set[State] = set()
    for _ in range(rounds(10, 200)):
        made = await pair[0].vault.conceal("correct horse", Wish(passphrase=passphrase))
        key = made.receipt.receipt_key
        calls: list[Any] = [
            act(made.secret_key, passphrase=passphrase, caller=network(number))
            for number in range(4)
            for app in pair
            for act in (app.vault.reveal, app.vault.burn)
        ]
        calls += [app.vault.burn_by_receipt(key, passphrase=passphrase) for app in pair]
        outcomes = await in_random_order(calls, order)

        receipt = await pair[1].vault.receipt(key)
        assert sorted(set(outcomes)) in (
            ["NotFound", "correct horse"],
            ["NotFound", "done"],
        )
        assert outcomes.count("NotFound") == len(calls) - 1
        was_read = "correct horse" in outcomes
        assert receipt.state is (State.REVEALED if was_read else State.BURNED)
        assert receipt.wrong_tries == 0
        seen.add(receipt.state)
    assert seen == {State.REVEALED, State.BURNED}


async def test_a_wrong_one_at_the_same_moment_neither_burns_nor_blocks(
    pair: tuple[App, App],
) -> None:
    order = random.Random(2)
    for _ in range(rounds(10, 200)):
        made = await pair[0].vault.conceal("correct horse", Wish(passphrase=RIGHT))
        texts = ["guess"] * 4 + [RIGHT]
        calls = [
            order.choice(pair).vault.reveal(
                made.secret_key, passphrase=text, caller=network(number)
            )
            for number, text in enumerate(texts)
        ]
        outcomes = await in_random_order(calls, order)
        assert outcomes[4] == "correct horse"
        # Those that come after it find nothing.
        assert set(outcomes[:4]) <= {"WrongPassphrase", "NotFound"}
        receipt = await pair[0].vault.receipt(made.receipt.receipt_key)
        assert receipt.state is State.REVEALED
        assert receipt.wrong_tries == outcomes.count("WrongPassphrase")


async def test_showing_a_value_and_revealing_it_do_not_disturb_each_other(
    pair: tuple[App, App],
) -> None:
    order = random.Random(3)
    for _ in range(rounds(10, 200)):
        made = await pair[0].vault.generate(Recipe())
        key = made.receipt.receipt_key
        calls = [app.vault.generated_value(key) for app in pair for _ in range(4)]
        calls += [app.vault.reveal(made.secret_key) for app in pair for _ in range(4)]
        outcomes = await in_random_order(calls, order)
        shown, revealed = outcomes[:8], outcomes[8:]
        # Never more than once each; an ended secret is not an error of its receipt.
        assert sorted(set(shown)) in (["done"], ["done", made.value], [made.value, "done"])
        assert shown.count(made.value or "") <= 1
        assert sorted(revealed, key=lambda each: each == made.value) == ["NotFound"] * 7 + [
            made.value
        ]


async def test_what_ends_between_the_looks_is_no_error_of_the_receipt(onetime: App) -> None:
    """A value is asked for; between the receipt and the secret somebody reads it."""
    made = await onetime.vault.generate(Recipe())
    peek = onetime.store.peek

    async def read_first(secret_id: bytes) -> StoredSecret | None:
        await onetime.store.take(secret_id)
        return await peek(secret_id)

    onetime.store.peek = read_first  # type: ignore[method-assign]
    assert await onetime.vault.generated_value(made.receipt.receipt_key) is None


async def test_the_same_request_again_gets_nothing(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(passphrase=RIGHT))
    await onetime.vault.reveal(made.secret_key, passphrase=RIGHT)
    for _ in range(10):
        with pytest.raises(NotFound):
            await onetime.vault.reveal(made.secret_key, passphrase=RIGHT)
    assert (await onetime.vault.receipt(made.receipt.receipt_key)).wrong_tries == 0


async def test_stored_rows_put_back_by_hand_do_not_revive(onetime: App) -> None:
    """A thief with the row of a living secret offers it again after it was read."""
    made = await onetime.vault.conceal("correct horse")
    kept: list[Any] = []
    put = onetime.store.put

    async def keeping(secret: Any, **options: Any) -> Any:
        kept.append(secret)
        return await put(secret, **options)

    onetime.store.put = keeping  # type: ignore[method-assign]
    made = await onetime.vault.conceal("correct horse")
    await onetime.vault.reveal(made.secret_key)
    with pytest.raises(Conflict):
        await put(kept[0])
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key)


@pytest.mark.parametrize("jump", [-86_400, -3600, -1, 3600, 86_400 * 400])
async def test_what_has_ended_stays_ended_wherever_the_clock_jumps(
    onetime: App, clock: Clock, jump: int
) -> None:
    read = await onetime.vault.conceal("read")
    burned = await onetime.vault.conceal("burned")
    await onetime.vault.reveal(read.secret_key)
    await onetime.vault.burn(burned.secret_key)
    for clock.now in (START + jump, START):
        for made in (read, burned):
            for act in (onetime.vault.peek, onetime.vault.reveal, onetime.vault.burn):
                with pytest.raises(NotFound):
                    await act(made.secret_key)
    assert (await onetime.vault.receipt(read.receipt.receipt_key)).state is State.REVEALED
    assert (await onetime.vault.receipt(burned.receipt.receipt_key)).state is State.BURNED


async def test_a_clock_that_jumps_ahead_for_a_moment_destroys_nothing(
    onetime: App, clock: Clock
) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(ttl=60))
    clock.now = START + 60 + 299
    await onetime.store.sweep()
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key)
    clock.now = START + 59
    assert await onetime.vault.reveal(made.secret_key) == "correct horse"


async def test_what_was_swept_stays_away_and_its_receipt_does_not_say_new(
    onetime: App, clock: Clock
) -> None:
    made = await onetime.vault.generate(Recipe(), Wish(ttl=400))
    clock.now = START + 400 + 300
    await onetime.store.sweep()
    clock.now = START + 30
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key)
    receipt = await onetime.vault.receipt(made.receipt.receipt_key)
    assert (receipt.state, receipt.secret_key) == (State.EXPIRED, None)
    assert await onetime.vault.generated_value(made.receipt.receipt_key) is None


async def test_whoever_leaves_during_a_reveal_either_had_it_or_left_it(onetime: App) -> None:
    """Cancelled after any number of turns of the loop: read by nobody, or readable by one."""
    for turns in range(12):
        made = await onetime.vault.conceal("correct horse")
        task = asyncio.create_task(onetime.vault.reveal(made.secret_key))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        had_it = not task.cancelled()
        await onetime.store.ready()  # behind a take that was handed in
        receipt = await onetime.vault.receipt(made.receipt.receipt_key)
        again = await outcome(onetime.vault.reveal(made.secret_key))
        assert again == ("correct horse" if receipt.state is State.NEW else "NotFound")
        assert not (had_it and again == "correct horse")


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reveal", "burn", "burn_by_receipt", "wrong", "peek", "receipt", "value", "sweep"]
        ),
        st.sampled_from([0, 1, 59, 61, 3600]),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps, st.booleans())
async def test_any_story_ends_once_and_is_told_truly(
    onetime: App, clock: Clock, story: list[tuple[str, int]], generated: bool
) -> None:
    wish = Wish(ttl=600, passphrase=RIGHT)
    vault = onetime.vault
    made = await (vault.generate(Recipe(), wish) if generated else vault.conceal("text", wish))
    text = made.value or "text"
    began, ended, wrong = clock.now, None, 0
    for step, wait in story:
        clock.now += wait
        if ended is None and clock.now >= began + 600:
            ended = State.EXPIRED
        match step:
            case "reveal":
                said = await outcome(vault.reveal(made.secret_key, passphrase=RIGHT))
                assert said == (text if ended is None else "NotFound")
                ended = ended or State.REVEALED
            case "burn":
                said = await outcome(vault.burn(made.secret_key, passphrase=RIGHT))
                assert said == ("done" if ended is None else "NotFound")
                ended = ended or State.BURNED
            case "burn_by_receipt":
                said = await outcome(vault.burn_by_receipt(made.receipt.receipt_key))
                assert said == ("done" if ended is None else "NotFound")
                ended = ended or State.BURNED
            case "wrong":
                caller = network(random.Random(wrong).randrange(60_000))
                said = await outcome(vault.burn(made.secret_key, passphrase="no", caller=caller))
                assert said == ("WrongPassphrase" if ended is None else "NotFound")
                wrong += ended is None
            case "peek":
                said = await outcome(vault.peek(made.secret_key))
                assert said == ("done" if ended is None else "NotFound")
            case "value" if clock.now < began + 1200:
                value = await vault.generated_value(made.receipt.receipt_key, passphrase=RIGHT)
                assert value in (None, text if generated and clock.now < began + 60 else None)
            case "sweep":
                await onetime.store.sweep()
        if clock.now < began + 1200:
            receipt = await vault.receipt(made.receipt.receipt_key)
            assert receipt.state is (ended or State.NEW)
            assert receipt.wrong_tries == wrong
            assert (receipt.secret_key is None) == (ended is not None)
        else:
            with pytest.raises(NotFound):
                await vault.receipt(made.receipt.receipt_key)
