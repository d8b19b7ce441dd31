"""Budgets: guesses at a passphrase, secrets and reveals of a network, and the hasher's queue."""

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime.app import App
from onetime.core.limits import PASSPHRASE_TOTAL
from onetime.core.vault import Wish
from onetime.crypto.hashing import Hasher
from onetime.errors import NotFound, OnetimeError, RateLimited, Unavailable, WrongPassphrase
from onetime.model import GUEST, Caller, Concealed, State
from tests.core.opening import START, Clock, network, opened, outcome, quick_hasher, watched

RIGHT = "battery staple"
PROTECTED = Wish(passphrase=RIGHT)
HOME = network(0)


async def protected(app: App) -> Concealed:
    return await app.vault.conceal("correct horse", PROTECTED)


async def guess(
    app: App, made: Concealed, caller: Caller = HOME, text: str = "guess"
) -> OnetimeError:
    with pytest.raises((WrongPassphrase, RateLimited)) as refused:
        await app.vault.reveal(made.secret_key, passphrase=text, caller=caller)
    error = refused.value
    assert isinstance(error, OnetimeError)
    return error


def left(error: OnetimeError) -> int | None:
    assert isinstance(error, WrongPassphrase)
    return error.attempts_left


def locked(error: OnetimeError) -> tuple[str, int | None]:
    assert isinstance(error, RateLimited)
    return error.budget, error.retry_after


async def tries(app: App, made: Concealed) -> int:
    return (await app.vault.receipt(made.receipt.receipt_key)).wrong_tries


# A wrong passphrase never burns, and is counted


async def test_a_wrong_passphrase_leaves_the_secret_in_place(onetime: App) -> None:
    made = await protected(onetime)
    for act in (onetime.vault.reveal, onetime.vault.burn):
        with pytest.raises(WrongPassphrase):
            await act(made.secret_key, passphrase="guess")
    assert await tries(onetime, made) == 2
    assert await onetime.vault.reveal(made.secret_key, passphrase=RIGHT) == "correct horse"


async def test_each_wrong_one_says_how_many_are_left_until_the_fifth_locks(onetime: App) -> None:
    made = await protected(onetime)
    assert [left(await guess(onetime, made)) for _ in range(5)] == [4, 3, 2, 1, 0]
    assert locked(await guess(onetime, made)) == ("passphrase from a network", 1800)


async def test_locked_means_that_the_right_one_is_refused_too(onetime: App) -> None:
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    hashes = onetime.hasher.made
    for act in (onetime.vault.reveal, onetime.vault.burn):
        with pytest.raises(RateLimited):
            await act(made.secret_key, passphrase=RIGHT, caller=HOME)
    with pytest.raises(RateLimited):
        await onetime.vault.burn_by_receipt(made.receipt.receipt_key, passphrase=RIGHT, caller=HOME)
    assert onetime.hasher.made == hashes
    assert await tries(onetime, made) == 5


async def test_a_lock_of_one_network_is_not_one_of_another(onetime: App) -> None:
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    secret = await onetime.vault.reveal(made.secret_key, passphrase=RIGHT, caller=network(1))
    assert secret == "correct horse"


async def test_a_lock_of_one_secret_is_not_one_of_another(onetime: App) -> None:
    made, other = await protected(onetime), await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    assert left(await guess(onetime, other)) == 4


async def test_twenty_from_everywhere_lock_for_everybody(onetime: App) -> None:
    made = await protected(onetime)
    for number in range(20):
        assert left(await guess(onetime, made, network(number))) == min(4, 19 - number)
    assert locked(await guess(onetime, made, network(99))) == ("passphrase", 1800)


async def test_after_the_lock_it_may_be_tried_again(onetime: App, clock: Clock) -> None:
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    clock.now = START + 1799
    assert locked(await guess(onetime, made)) == ("passphrase from a network", 1)
    clock.now = START + 1800
    assert left(await guess(onetime, made)) == 4
    assert await onetime.vault.reveal(made.secret_key, passphrase=RIGHT) == "correct horse"


async def test_asking_while_it_is_locked_does_not_make_the_lock_longer(
    onetime: App, clock: Clock
) -> None:
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    for clock.now in range(START + 100, START + 1800, 100):
        await guess(onetime, made)
    clock.now = START + 1800
    assert left(await guess(onetime, made)) == 4


async def test_the_window_opens_with_the_first_and_forgets_after_ten_minutes(
    onetime: App, clock: Clock
) -> None:
    made = await protected(onetime)
    for clock.now in (START, START + 1, START + 2, START + 599):
        await guess(onetime, made)
    clock.now = START + 600
    assert left(await guess(onetime, made)) == 4
    assert await tries(onetime, made) == 5


async def test_a_clock_set_back_neither_frees_nor_locks_for_longer(
    onetime: App, clock: Clock
) -> None:
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    clock.now = START - 3600
    name, wait = locked(await guess(onetime, made))
    assert name == "passphrase from a network"
    assert wait is not None
    assert wait <= 1800


# What is no attempt


@pytest.mark.parametrize(
    "text",
    ["", "\ud800abc", "x" * 513, "a" + "\u0315" * 150_000 + "\u0327" * 150_000],
    ids=["empty", "surrogate", "too long", "marks"],
)
async def test_what_can_be_no_passphrase_is_no_attempt(onetime: App, text: str) -> None:
    made = await protected(onetime)
    hashes = onetime.hasher.made
    with watched(onetime) as store:
        for _ in range(8):
            assert left(await guess(onetime, made, text=text)) is None
    assert "spend" not in store.verbs
    assert onetime.hasher.made == hashes
    assert await tries(onetime, made) == 0


async def test_the_right_one_is_given_back(onetime: App) -> None:
    first, second = await protected(onetime), await protected(onetime)
    for made in (first, second):
        for _ in range(4):
            await guess(onetime, made)
    await onetime.vault.reveal(first.secret_key, passphrase=RIGHT, caller=HOME)
    await onetime.vault.burn(second.secret_key, passphrase=RIGHT, caller=HOME)
    assert [await tries(onetime, made) for made in (first, second)] == [4, 4]


async def test_of_right_ones_at_once_none_is_told_as_wrong(onetime: App) -> None:
    made = await protected(onetime)
    outcomes = await asyncio.gather(
        *(
            outcome(onetime.vault.reveal(made.secret_key, passphrase=RIGHT, caller=network(number)))
            for number in range(12)
        )
    )
    assert sorted(outcomes) == ["NotFound"] * 11 + ["correct horse"]
    assert await tries(onetime, made) == 0


# The total of a lifetime


async def spend_the_total(app: App, clock: Clock, made: Concealed) -> None:
    """As fast as the budgets allow: one below the lock in every window."""
    for number in range(PASSPHRASE_TOTAL):
        if number and number % 19 == 0:
            clock.now += 600
        error = await guess(app, made, network(number))
    assert left(error) == 0


async def test_a_hundred_wrong_ones_close_it_for_good(onetime: App, clock: Clock) -> None:
    made = await protected(onetime)
    await spend_the_total(onetime, clock, made)
    assert clock.now - START == 3000

    for later in (0, 1800, 5 * 86_400):
        clock.now += later
        for text in ("guess", RIGHT):
            error = await guess(onetime, made, network(1000), text)
            assert locked(error) == ("passphrase total", None)
    assert (await onetime.vault.peek(made.secret_key)).has_passphrase
    receipt = await onetime.vault.receipt(made.receipt.receipt_key)
    assert (receipt.state, receipt.wrong_tries) == (State.NEW, 100)


async def test_a_closed_secret_is_burned_by_its_receipt(onetime: App, clock: Clock) -> None:
    made = await protected(onetime)
    await spend_the_total(onetime, clock, made)
    key = made.receipt.receipt_key
    with pytest.raises(RateLimited):
        await onetime.vault.burn_by_receipt(key, passphrase=RIGHT)

    receipt = await onetime.vault.burn_by_receipt(key)
    assert (receipt.state, receipt.wrong_tries) == (State.BURNED, 100)
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key, passphrase=RIGHT)


async def test_a_closed_secret_expires_in_its_time(onetime: App, clock: Clock) -> None:
    made = await protected(onetime)
    await spend_the_total(onetime, clock, made)
    clock.now = made.receipt.secret_expires_at
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key, passphrase=RIGHT)
    receipt = await onetime.vault.receipt(made.receipt.receipt_key)
    assert (receipt.state, receipt.wrong_tries) == (State.EXPIRED, 100)


# Midnight


async def test_at_midnight_a_networks_counters_begin_again_and_a_secrets_do_not(
    onetime: App, clock: Clock
) -> None:
    clock.now = START - START % 86_400 + 86_400 - 10
    made = await protected(onetime)
    for _ in range(5):
        await guess(onetime, made)
    assert locked(await guess(onetime, made))[0] == "passphrase from a network"

    clock.now += 20
    for expected in (4, 3, 2, 1, 0):
        assert left(await guess(onetime, made)) == expected
    assert locked(await guess(onetime, made))[0] == "passphrase from a network"
    for number in range(1, 11):
        await guess(onetime, made, network(number))
    assert locked(await guess(onetime, made, network(50)))[0] == "passphrase"
    assert await tries(onetime, made) == 20


async def test_a_right_one_that_is_checked_over_midnight_is_given_back(
    tmp_path: Path, clock: Clock
) -> None:
    hasher = quick_hasher(threads=1)
    async with opened(tmp_path, clock, hasher=hasher) as app:
        clock.now = START - START % 86_400 + 86_400 - 1
        made = await protected(app)
        with held(hasher):
            reveal = asyncio.create_task(
                app.vault.reveal(made.secret_key, passphrase=RIGHT, caller=HOME)
            )
            await until_made(hasher, 2)
            clock.now += 2
        assert await reveal == "correct horse"
        assert await tries(app, made) == 0


# Many at once


@pytest.mark.parametrize("limits", [True, False])
async def test_64_wrong_ones_at_once_spend_exactly_a_networks_budget(
    tmp_path: Path, clock: Clock, *, limits: bool
) -> None:
    async with opened(tmp_path, clock, limits=limits) as app:
        made = await protected(app)
        hashes = app.hasher.made
        outcomes = await asyncio.gather(
            *(
                outcome(
                    app.vault.reveal(made.secret_key, passphrase=f"guess {number}", caller=HOME)
                )
                for number in range(64)
            )
        )
        assert sorted(outcomes) == ["RateLimited"] * 59 + ["WrongPassphrase"] * 5
        assert app.hasher.made - hashes == 5
        assert await tries(app, made) == 5


@pytest.mark.parametrize("limits", [True, False])
async def test_64_wrong_ones_at_once_from_everywhere_spend_exactly_the_secrets_budget(
    tmp_path: Path, clock: Clock, *, limits: bool
) -> None:
    async with opened(tmp_path, clock, limits=limits) as app:
        made = await protected(app)
        hashes = app.hasher.made
        outcomes = await asyncio.gather(
            *(
                outcome(act(made.secret_key, passphrase=f"guess {number}", caller=network(number)))
                for number in range(32)
                for act in (app.vault.reveal, app.vault.burn)
            )
        )
        assert sorted(outcomes) == ["RateLimited"] * 44 + ["WrongPassphrase"] * 20
        assert app.hasher.made - hashes == 20
        assert await tries(app, made) == 20


async def test_a_right_one_among_wrong_ones_opens_once_or_is_refused(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock) as app:
        for place in (0, 2, 4, 5, 40):
            made = await protected(app)
            texts = ["guess"] * 64
            texts[place] = RIGHT
            outcomes = await asyncio.gather(
                *(
                    outcome(app.vault.reveal(made.secret_key, passphrase=text, caller=HOME))
                    for text in texts
                )
            )
            opens = place < 5
            assert outcomes[place] == ("correct horse" if opens else "RateLimited")
            assert outcomes.count("correct horse") == opens
            receipt = await app.vault.receipt(made.receipt.receipt_key)
            assert receipt.state is (State.REVEALED if opens else State.NEW)
            assert receipt.wrong_tries == (4 if opens else 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0, 1, 60, 601, 1801]), st.integers(0, 2), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
async def test_no_order_of_waiting_and_guessing_gets_more_than_the_budgets(
    onetime: App, clock: Clock, steps: list[tuple[int, int, bool]]
) -> None:
    made = await protected(onetime)
    tried: list[tuple[float, int]] = []
    for wait, number, by_burning in steps:
        clock.now += wait
        act = onetime.vault.burn if by_burning else onetime.vault.reveal
        said = await outcome(act(made.secret_key, passphrase="guess", caller=network(number)))
        assert said in {"WrongPassphrase", "RateLimited"}
        if said == "WrongPassphrase":
            tried.append((clock.now, number))
    assert await tries(onetime, made) == len(tried)
    for at, number in tried:
        # A window opens anywhere, so that up to twice a budget less one fits into ten minutes.
        near = [each for when, each in tried if at <= when < at + 600]
        assert near.count(number) <= 2 * 5 - 1
        assert len(near) <= 2 * 20 - 1


# The budgets of a network


async def test_a_network_makes_a_thousand_secrets_in_twenty_minutes(
    onetime: App, clock: Clock
) -> None:
    outcomes: list[str] = []
    for _ in range(11):
        outcomes += await asyncio.gather(
            *(outcome(onetime.vault.conceal("x", caller=HOME)) for _ in range(100))
        )
    assert outcomes == ["done"] * 1000 + ["RateLimited"] * 100
    with pytest.raises(RateLimited) as refused:
        await onetime.vault.conceal("x", caller=HOME)
    assert (refused.value.budget, refused.value.retry_after) == ("create", 1200)

    await onetime.vault.conceal("x", caller=network(1))
    clock.now += 1200
    await onetime.vault.conceal("x", caller=HOME)


async def test_reading_has_a_budget_of_its_own(onetime: App, clock: Clock) -> None:
    made = await onetime.vault.conceal("correct horse", caller=HOME)
    for _ in range(10):
        await asyncio.gather(
            *(outcome(onetime.vault.reveal("0" * 31, caller=HOME)) for _ in range(100))
        )
    with pytest.raises(RateLimited) as refused:
        await onetime.vault.reveal(made.secret_key, caller=HOME)
    assert (refused.value.budget, refused.value.retry_after) == ("reveal", 1200)
    await onetime.vault.conceal("x", caller=HOME)
    assert await onetime.vault.reveal(made.secret_key, caller=network(1)) == "correct horse"


async def test_switched_off_budgets_of_networks_leave_a_secrets_own(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, limits=False) as app:
        outcomes: list[str] = []
        for _ in range(11):
            outcomes += await asyncio.gather(*(outcome(app.vault.conceal("x")) for _ in range(100)))
        assert outcomes == ["done"] * 1100
        made = await protected(app)
        for number in range(20):
            await guess(app, made, network(number))
        assert locked(await guess(app, made, network(99))) == ("passphrase", 1800)


async def test_no_address_is_in_the_store(onetime: App, tmp_path: Path) -> None:
    caller = Caller(network="203.0.113.0/24")
    made = await onetime.vault.conceal("x", PROTECTED, caller=caller)
    await guess(onetime, made, caller)
    for file in (tmp_path / "data").iterdir():
        assert b"203.0.113" not in file.read_bytes()


# The hasher's queue


class held:  # noqa: N801 - reads as a word in `with held(hasher)`
    """All threads of the hasher are busy, for as long as this lasts."""

    def __init__(self, hasher: Hasher) -> None:
        self._threads = hasher._threads
        self._free = threading.Event()

    def __enter__(self) -> None:
        for _ in range(self._threads._max_workers):
            self._threads.submit(self._free.wait, 60)

    def __exit__(self, *_: object) -> None:
        self._free.set()


async def until_made(hasher: Hasher, count: int) -> None:
    """Until so many hashes have been handed to the threads."""
    async with asyncio.timeout(30):
        while hasher.made < count:  # noqa: ASYNC110 - it counts, and has nothing to wait for
            await asyncio.sleep(0)


async def test_beyond_the_queue_nothing_is_debited_and_everything_else_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    hasher = quick_hasher(threads=2, most_waiting=6)
    async with opened(tmp_path, clock, hasher=hasher) as app:
        made = [await protected(app) for _ in range(9)]
        with held(hasher):
            waiting = [
                asyncio.create_task(outcome(app.vault.reveal(each.secret_key, passphrase="guess")))
                for each in made[:8]
            ]
            await until_made(hasher, 9 + 8)
            for act in (app.vault.reveal, app.vault.burn):
                for passphrase in ("guess", RIGHT):
                    with pytest.raises(Unavailable) as refused:
                        await act(made[8].secret_key, passphrase=passphrase)
                    assert refused.value.retry_after > 0
            with pytest.raises(Unavailable):
                await protected(app)
            assert await tries(app, made[8]) == 0

            # None of this waits for a hash: all threads are still held while it is done.
            async with asyncio.timeout(60):
                for _ in range(20):
                    plain = await app.vault.conceal("plain")
                    assert (await app.vault.peek(plain.secret_key)).expires_at > START
                    assert await app.vault.reveal(plain.secret_key) == "plain"
                await app.vault.burn_by_receipt(made[7].receipt.receipt_key)
                await app.store.ready()
            assert not any(task.done() for task in waiting)
            assert hasher.made == 9 + 8
        assert await asyncio.gather(*waiting) == ["WrongPassphrase"] * 8
        assert [left(await guess(app, made[8], GUEST)) for _ in range(5)] == [4, 3, 2, 1, 0]


async def test_whoever_has_no_attempt_left_takes_no_place_in_the_queue(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, hasher=quick_hasher(threads=1, most_waiting=0)) as app:
        closed, other = await protected(app), await protected(app)
        for _ in range(5):
            await guess(app, closed)
        *refused, opened_ = await asyncio.gather(
            *(
                outcome(app.vault.burn(closed.secret_key, passphrase="guess", caller=HOME))
                for _ in range(64)
            ),
            outcome(app.vault.reveal(other.secret_key, passphrase=RIGHT)),
        )
        assert refused == ["RateLimited"] * 64
        assert opened_ == "correct horse"


async def test_a_caller_who_leaves_while_it_is_checked_has_used_the_attempt(
    tmp_path: Path, clock: Clock
) -> None:
    # Else a guesser would hang up before each answer and try for ever.
    hasher = quick_hasher(threads=1)
    async with opened(tmp_path, clock, hasher=hasher) as app:
        made = await protected(app)
        for number in range(5):
            with held(hasher):
                task = asyncio.create_task(
                    app.vault.reveal(made.secret_key, passphrase="guess", caller=HOME)
                )
                await until_made(hasher, 2 + number)
                task.cancel()
                await asyncio.wait([task])
        assert task.cancelled()
        assert await tries(app, made) == 5
        assert locked(await guess(app, made))[0] == "passphrase from a network"
