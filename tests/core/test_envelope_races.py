"""End-to-end secrets when everybody comes at once, when the service is away, and in any order of things."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime.app import App
from onetime.errors import OnetimeError
from onetime.model import Handed, State
from tests.core.opening import Clock, opened
from tests.core.sealed import Sealed, device, guess, pass_time
from tests.rounds import rounds

WINDOW = 600
TTL = 900


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[App, App]]:
    """Two applications on the same data, as two processes are."""
    async with (
        opened(tmp_path, clock, limits=False) as one,
        opened(tmp_path, clock, limits=False) as other,
    ):
        yield one, other


async def outcome(asked: Any) -> Any:
    """The envelope, the answer, or the name of the error."""
    try:
        given = await asked
    except OnetimeError as error:
        return type(error).__name__
    return given.body if isinstance(given, Handed) else given


async def in_random_order(calls: list[Any], order: random.Random) -> list[Any]:
    places = list(range(len(calls)))
    order.shuffle(places)
    tasks = {place: asyncio.create_task(outcome(calls[place])) for place in places}
    return [await tasks[place] for place in range(len(calls))]


async def test_of_readers_and_burners_at_once_one_wins_and_the_receipt_says_which(
    pair: tuple[App, App],
) -> None:
    order = random.Random(1)
    seen: set[State] = set()
    for _ in range(rounds(10, 200)):
        sealed = Sealed()
        await pair[0].envelopes.create(sealed.new())
        devices = [device(number) for number in range(4)]
        reads: list[Any] = [
            app.envelopes.reveal(sealed.link_proof, sealed.open_proof, claim)
            for claim in devices
            for app in pair
        ]
        burns: list[Any] = [
            app.envelopes.burn(sealed.link_proof, open_proof=sealed.open_proof) for app in pair
        ]
        burns += [
            app.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof) for app in pair
        ]
        outcomes = await in_random_order([*reads, *burns], order)
        told = await pair[1].envelopes.receipt(sealed.secret_id, sealed.receipt_proof)
        seen.add(told.state)

        readers = {index // 2 for index in range(8) if isinstance(outcomes[index], bytes)}
        burned = [each for each in outcomes[8:] if not isinstance(each, str)]
        assert len(readers) + len(burned) == 1
        if burned:
            assert told.state is State.BURNED
            assert set(outcomes[:8]) <= {"NotFound"}
        else:
            # The device had it once or twice, if no burn of the sender has ended its window before.
            assert {each for each in outcomes if isinstance(each, bytes)} == {sealed.body}
            assert {each for each in outcomes if isinstance(each, str)} <= {"Claimed", "NotFound"}
            assert told.state in {State.CLAIMED, State.REVEALED}
    assert State.BURNED in seen
    assert seen & {State.CLAIMED, State.REVEALED}


async def test_a_settle_amid_deliveries_ends_them(pair: tuple[App, App]) -> None:
    order = random.Random(2)
    for _ in range(rounds(10, 200)):
        sealed, phone = Sealed(), device("phone")
        await pair[0].envelopes.create(sealed.new())
        await pair[0].envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        calls: list[Any] = [
            app.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
            for app in pair
            for _ in range(3)
        ]
        calls += [app.envelopes.settle(sealed.link_proof, phone) for app in pair for _ in range(2)]
        outcomes = await in_random_order(calls, order)
        assert set(outcomes[:6]) <= {sealed.body, "NotFound"}
        assert len(set(outcomes[6:])) == 1
        for app in pair:
            again = app.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
            assert await outcome(again) == "NotFound"


async def test_whoever_leaves_during_a_reveal_asks_again_and_has_it(onetime: App) -> None:
    """Cancelled after any number of turns of the loop."""
    phone, laptop = device("phone"), device("laptop")
    for turns in range(12):
        sealed = Sealed()
        await onetime.envelopes.create(sealed.new())
        asked = onetime.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        task = asyncio.create_task(asked)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await onetime.store.ready()  # behind a claim that was handed in
        again = await onetime.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        assert again.body == sealed.body
        other = onetime.envelopes.reveal(sealed.link_proof, sealed.open_proof, laptop)
        assert await outcome(other) == "Claimed"


@pytest.mark.parametrize("away", [20 * 60, 86_400])
async def test_a_reader_whose_server_was_away_has_its_window_when_it_is_back(
    tmp_path: Path, clock: Clock, away: int
) -> None:
    sealed, phone = Sealed(), device("phone")
    async with opened(tmp_path, clock) as before:
        await before.envelopes.create(sealed.new(ttl=TTL))
        await before.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        await pass_time(before, clock, 60)
    clock.now += away
    async with opened(tmp_path, clock) as after:
        looked = await after.envelopes.look(sealed.link_proof)
        assert (looked.state, looked.window_ends_at) == (State.CLAIMED, clock.now + WINDOW)
        handed = await after.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        assert handed.body == sealed.body
        await pass_time(after, clock, WINDOW)
        again = after.envelopes.reveal(sealed.link_proof, sealed.open_proof, phone)
        assert await outcome(again) == "NotFound"


# Any story, held against a model of a few lines


@dataclass
class Model:
    """What has to be so of one secret, by the words of docs alone."""

    now: float
    expires_at: float
    state: State = State.NEW
    owner: str = ""
    window_ends_at: float = 0
    acknowledged: bool = False
    wrong: int = 0
    locked_until: float = 0
    had: set[str] = field(default_factory=set)

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        if self.state is State.NEW and self.now >= self.expires_at:
            self.state = State.EXPIRED
        if self.state is State.CLAIMED and self.now >= self.window_ends_at:
            self.state = State.REVEALED

    def prove(self, *, is_right: bool) -> str:
        """Of a new one."""
        if self.wrong >= 100:
            return "Closed"
        if self.now < self.locked_until:
            return "RateLimited"
        if is_right:
            return ""
        self.wrong += 1
        if self.wrong >= 10:
            self.locked_until = self.now + min(60 * 2 ** (self.wrong - 10), 3600)
        return "WrongPassphrase"

    def reveal(self, name: str, *, is_right: bool) -> str:
        if self.state is State.CLAIMED:
            return "body" if name == self.owner else "Claimed"
        if self.state is not State.NEW:
            return "NotFound"
        refused = self.prove(is_right=is_right)
        if refused:
            return refused
        self.state, self.owner, self.window_ends_at = State.CLAIMED, name, self.now + WINDOW
        self.had.add(name)
        return "body"

    def settle(self, name: str) -> str:
        if name != self.owner:
            return "NotFound"
        self.state, self.acknowledged = State.REVEALED, True
        return "done"

    def burn(self, *, is_right: bool) -> str:
        if self.state is State.CLAIMED:
            return "Claimed"
        if self.state is not State.NEW:
            return "NotFound"
        refused = self.prove(is_right=is_right)
        if refused:
            return refused
        self.state = State.BURNED
        return "done"

    def burn_with_claim(self, name: str) -> str:
        if self.state is not State.CLAIMED:
            return "NotFound"
        if name == self.owner:
            self.state = State.REVEALED
        return "Claimed"

    def burn_by_receipt(self) -> str:
        if self.state in {State.CLAIMED, State.REVEALED}:
            self.state = State.REVEALED
            return "Claimed"
        if self.state is not State.NEW:
            return "NotFound"
        self.state = State.BURNED
        return "done"


ACTS = [
    "reveal", "reveal", "wrong", "five wrong", "settle", "burn", "wrong burn", "burn with claim", "burn by receipt", "create again",
]  # fmt: skip

steps = st.lists(
    st.tuples(
        st.sampled_from(ACTS),
        st.sampled_from(["phone", "laptop"]),
        st.sampled_from([0, 0, 1, 59, 61, 299, 601]),
    ),
    max_size=14,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=rounds(60, 600))
@given(steps)
async def test_any_story_has_one_reader_and_is_told_truly(
    onetime: App, clock: Clock, story: list[tuple[str, str, int]]
) -> None:
    sealed, envelopes = Sealed(), onetime.envelopes
    await onetime.store.sweep()
    first = await envelopes.create(sealed.new(ttl=TTL))
    model = Model(now=clock.now, expires_at=clock.now + TTL)
    over_at = clock.now + 2 * TTL
    had: set[str] = set()
    for act, name, wait in story:
        await pass_time(onetime, clock, wait)
        model.pass_time(wait)
        if clock.now >= over_at:
            break
        claim = device(name)
        match act:
            case "reveal":
                said = await outcome(envelopes.reveal(sealed.link_proof, sealed.open_proof, claim))
                assert said == (
                    {"body": sealed.body}.get(
                        expected := model.reveal(name, is_right=True), expected
                    )
                )
                had |= {name} if isinstance(said, bytes) else set()
            case "wrong" | "five wrong":
                for number in range(5 if act == "five wrong" else 1):
                    said = await outcome(envelopes.reveal(sealed.link_proof, guess(number), claim))
                    expected = model.reveal(name, is_right=False)
                    assert said == {"body": sealed.body}.get(expected, expected)
                    had |= {name} if isinstance(said, bytes) else set()
            case "settle":
                said = await outcome(envelopes.settle(sealed.link_proof, claim))
                assert (said if isinstance(said, str) else "done") == model.settle(name)
            case "burn" | "wrong burn":
                is_right = act == "burn"
                proof = sealed.open_proof if is_right else guess()
                said = await outcome(envelopes.burn(sealed.link_proof, open_proof=proof))
                assert (said if isinstance(said, str) else "done") == model.burn(is_right=is_right)
            case "burn with claim":
                said = await outcome(envelopes.burn(sealed.link_proof, claim=claim))
                assert said == model.burn_with_claim(name)
            case "burn by receipt":
                burn = envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
                said = await outcome(burn)
                assert (said if isinstance(said, str) else "done") == model.burn_by_receipt()
            case _:
                said = await outcome(envelopes.create(sealed.new(ttl=TTL)))
                if model.state is State.NEW:
                    assert said.created_at == first.created_at
                else:
                    assert said == "Conflict"
        assert had == model.had
        await check(onetime, sealed, model)


async def check(onetime: App, sealed: Sealed, model: Model) -> None:
    told = await onetime.envelopes.receipt(sealed.secret_id, sealed.receipt_proof)
    assert (told.state, told.acknowledged) == (model.state, model.acknowledged)
    assert told.wrong_tries == model.wrong
    assert told.window_ends_at == (model.window_ends_at if model.state is State.CLAIMED else None)
    looked = await outcome(onetime.envelopes.look(sealed.link_proof))
    if model.state in {State.NEW, State.CLAIMED}:
        assert (looked.state, looked.window_ends_at) == (told.state, told.window_ends_at)
    else:
        assert looked == "NotFound"
