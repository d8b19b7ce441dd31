"""Sixty-four callers for one thing: exactly one gets it, in one process and in four. `make faults` runs all rounds."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from onetime.model import Kind, State
from onetime.storage.port import Budget, Debit, NewAnswer, Stored, VaultStore
from tests.rounds import rounds
from tests.storage.adapters import DAY, START, Clock, Place, name_of, new_secret
from tests.storage.races import Call, Crew, at_once, call

CALLERS = 64
ROUNDS = rounds(12, 200)

BUDGET = Debit(key=name_of("network"), budget=Budget(limit=5, window=600, lock=1800))
WIDE = Debit(key=name_of("secret"), budget=Budget(limit=20, window=600, lock=1800))


class Field:
    """Where a race is run: the store as this process has it, and the same verbs called from several places at once."""

    def __init__(self, vault: VaultStore, crew: Crew | None) -> None:
        self.vault = vault
        self._crew = crew

    async def race(self, calls: Sequence[Call]) -> list[Any]:
        if self._crew is not None:
            return self._crew.make(calls)
        return await at_once(self.vault, calls)


@pytest.fixture(params=["one process", "four processes"])
async def ground(
    request: pytest.FixtureRequest, vault: VaultStore, place: Place, clock: Clock
) -> AsyncIterator[Field]:
    if request.param == "one process":
        yield Field(vault, None)
        return
    crew: Crew = request.getfixturevalue("crew")
    crew.open(place, clock)
    yield Field(vault, crew)
    crew.close_store()


def winners(answers: Sequence[Any], lost: Any = None) -> list[Any]:
    return [answer for answer in answers if answer is not lost]


async def test_one_of_many_takers_gets_the_secret(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        await ground.vault.put(secret)
        answers = await ground.race([call("take", secret.secret_id)] * CALLERS)
        assert [winner.body for winner in winners(answers)] == [secret.body]
        receipt = await ground.vault.receipt(secret.receipt_id)
        assert receipt is not None
        assert receipt.state is State.REVEALED


async def test_a_secret_is_either_taken_or_burned(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        await ground.vault.put(secret)
        # The order alternates by fours, so that each process has takers and burners.
        verbs = ["take" if (index // 4 + number) % 2 else "burn" for index in range(CALLERS)]
        answers = await ground.race([call(verb, secret.secret_id) for verb in verbs])
        won = [
            (verb, answer)
            for verb, answer in zip(verbs, answers, strict=True)
            if answer or answer is True
        ]
        assert len(won) == 1
        receipt = await ground.vault.receipt(secret.receipt_id)
        assert receipt is not None
        assert receipt.state is (State.REVEALED if won[0][0] == "take" else State.BURNED)


async def test_secrets_wanted_at_once_go_to_one_taker_each(ground: Field) -> None:
    for number in range(ROUNDS):
        secrets = [new_secret(f"{number} {each}") for each in range(16)]
        for secret in secrets:
            await ground.vault.put(secret)
        answers = await ground.race(
            [call("take", secrets[(index * 5 + index // 16) % 16].secret_id) for index in range(64)]
        )
        bodies = sorted(winner.body for winner in winners(answers))
        assert bodies == sorted(secret.body for secret in secrets)


async def test_one_of_many_users_gets_the_token(ground: Field) -> None:
    for number in range(ROUNDS):
        token = name_of(f"token {number}")
        await ground.vault.put_token(token, purpose="sign-in", body=b"t", expires_at=START + 60)
        answers = await ground.race([call("take_token", token, purpose="sign-in")] * CALLERS)
        assert winners(answers) == [b"t"]


async def test_one_of_many_holders_of_a_receipt_is_shown_the_generated_value(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}", kind=Kind.GENERATED)
        await ground.vault.put(secret)
        answers = await ground.race([call("show_once", secret.receipt_id, within=60)] * CALLERS)
        assert [winner.body for winner in winners(answers)] == [secret.body]


async def test_all_processes_have_one_key_a_day(ground: Field) -> None:
    for number in range(ROUNDS):
        offered = [f"key {number} {index}".encode() for index in range(CALLERS)]
        answers = await ground.race(
            [call("daily_key", number, key, expires_at=START + DAY) for key in offered]
        )
        assert len(set(answers)) == 1
        assert answers[0] in offered


async def test_one_create_of_many_with_one_answer_id_is_kept(ground: Field) -> None:
    for number in range(ROUNDS):
        secrets = [new_secret(f"{number} {index}") for index in range(CALLERS)]
        answers = await ground.race(
            [
                call(
                    "put",
                    secret,
                    answer=NewAnswer(
                        answer_id=name_of(f"answer {number}"),
                        sealed=secret.secret_id,
                        expires_at=START + DAY,
                    ),
                )
                for secret in secrets
            ]
        )
        firsts = [index for index, answer in enumerate(answers) if answer == Stored()]
        assert len(firsts) == 1
        first = secrets[firsts[0]].secret_id
        assert [answer.earlier for answer in answers if answer != Stored()] == [first] * 63
        kept = [secret for secret in secrets if await ground.vault.peek(secret.secret_id)]
        assert [secret.secret_id for secret in kept] == [first]


async def test_many_attempts_at_once_spend_exactly_the_budget(ground: Field, clock: Clock) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        await ground.vault.put(secret)
        own = Debit(key=name_of(f"network {number}"), budget=BUDGET.budget)
        wide = Debit(key=name_of(f"secret {number}"), budget=WIDE.budget)
        answers = await ground.race(
            [call("spend", secret.secret_id, total=100, debits=[own, wide])] * CALLERS
        )
        made = [answer for answer in answers if answer.refused is None]
        assert sorted(answer.left for answer in made) == [0, 1, 2, 3, 4]
        assert {answer.retry_after for answer in answers if answer.refused is not None} == {1800}
        receipt = await ground.vault.receipt(secret.receipt_id)
        assert receipt is not None
        assert receipt.wrong_tries == 5
        assert (await ground.vault.count(wide)).left == 20 - 5 - 1


async def test_many_attempts_at_once_spend_exactly_the_total_of_a_life(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        await ground.vault.put(secret)
        networks = [
            Debit(key=name_of(f"{number} {index}"), budget=BUDGET.budget)
            for index in range(CALLERS)
        ]
        answers = await ground.race(
            [call("spend", secret.secret_id, total=40, debits=[network]) for network in networks]
        )
        assert sum(answer.refused is None for answer in answers) == 40
        assert {answer.refused for answer in answers} == {None, -1}


async def test_every_use_is_counted_once(ground: Field) -> None:
    for number in range(ROUNDS):
        many = Debit(key=name_of(f"{number}"), budget=Budget(limit=1000, window=600))
        answers = await ground.race([call("count", many)] * CALLERS)
        assert sorted(answer.left for answer in answers) == list(range(1000 - CALLERS, 1000))


async def test_a_put_raced_by_its_own_repetition_is_one_secret(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        assert await ground.race([call("put", secret)] * 16) == [Stored()] * 16
        taken = await ground.race([call("take", secret.secret_id)] * 16)
        assert len(winners(taken)) == 1


async def test_takers_race_the_put_itself(ground: Field) -> None:
    for number in range(ROUNDS):
        secret = new_secret(f"{number}")
        calls = [call("take", secret.secret_id)] * CALLERS
        calls[CALLERS // 2 + number % 4] = call("put", secret)
        answers = await ground.race(calls)
        taken = [each for each in winners(answers) if each != Stored()]
        left = await ground.vault.take(secret.secret_id)
        assert len(taken) + (left is not None) == 1
