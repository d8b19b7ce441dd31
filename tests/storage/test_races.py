"""Sixty-four callers for one thing: exactly one gets it, in one process and in four. `make faults` runs all rounds."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from onetime.model import Handed, Kind, Settled, State
from onetime.storage.port import (
    Budget,
    Debit,
    NewAnswer,
    Refusal,
    Refused,
    Stored,
    StoredReceipt,
    VaultStore,
)
from tests.rounds import rounds
from tests.storage.adapters import DAY, START, Clock, Place, name_of, new_secret
from tests.storage.envelopes import (
    WINDOW,
    body_of,
    burning,
    claiming,
    new_envelope,
    right,
    settling,
    wrong,
)
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


# End-to-end secrets

CLAIMED = Refused(why=Refusal.CLAIMED)


async def receipt_of(ground: Field, word: str) -> StoredReceipt:
    found = await ground.vault.receipt(name_of(f"receipt {word}"))
    assert found is not None
    return found


def had(answers: Sequence[Any]) -> list[int]:
    """Who was given something: the places of their calls."""
    return [place for place, answer in enumerate(answers) if isinstance(answer, Handed)]


async def test_one_of_many_claimants_gets_the_envelope_and_gets_it_again(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        calls = [claiming(word, device) for device in range(CALLERS)]
        answers = await ground.race(calls)
        assert len(had(answers)) == 1
        winner = had(answers)[0]
        assert answers[winner].body == body_of(word)
        assert [each for each in answers if each != CLAIMED] == [answers[winner]]
        # Everybody asks again, the winner from every process.
        again = await ground.race([*calls, *[calls[winner]] * 16])
        assert had(again) == [winner, *range(CALLERS, CALLERS + 16)]
        assert [again[place] for place in had(again)] == [answers[winner]] * 17
        receipt = await receipt_of(ground, word)
        assert (receipt.state, receipt.window_ends_at) == (State.CLAIMED, START + WINDOW)


async def test_one_claim_from_many_places_is_one_reader(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        answers = await ground.race([claiming(word)] * CALLERS)
        assert (
            answers
            == [Handed(body=body_of(word), window_ends_at=START + WINDOW, now=START)] * CALLERS
        )


async def test_without_a_window_one_of_many_claims_gets_it_once(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        answers = await ground.race(
            [claiming(word, device % 2, window=0) for device in range(CALLERS)]
        )
        assert len(had(answers)) == 1
        assert answers.count(None) == CALLERS - 1


async def test_after_a_settle_nobody_gets_it_whoever_raced(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        await ground.vault.claim(*claiming(word).args, **claiming(word).options)
        calls = [
            (settling(word), claiming(word), claiming(word, "laptop"))[(index // 4 + number) % 3]
            for index in range(CALLERS)
        ]
        answers = await ground.race(calls)
        for one, answer in zip(calls, answers, strict=True):
            if one.verb == "settle":
                assert answer == Settled(acknowledged_at=START, now=START)
            elif one == claiming(word):
                assert answer is None or answer.body == body_of(word)
            else:
                assert answer in (None, CLAIMED)
        assert await ground.race([claiming(word), claiming(word, "laptop")] * 8) == [None] * 16
        receipt = await receipt_of(ground, word)
        assert (receipt.state, receipt.acknowledged_at) == (State.REVEALED, START)


async def test_an_envelope_is_either_claimed_or_burned(ground: Field) -> None:
    seen = set()
    for number in range(2 * ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        burns = [
            burning(word, open_hash=right(word)),
            call("burn", name_of(f"secret {word}")),
        ]
        calls = [
            (claiming(word, index), *burns)[(index // 4 + number) % 3] for index in range(CALLERS)
        ]
        answers = await ground.race(calls)
        burned = answers.count(True)
        assert len(had(answers)) + burned == 1
        receipt = await receipt_of(ground, word)
        if burned:
            assert receipt.state is State.BURNED
        else:
            # A burn by the sender has ended the window, if one came after the claim.
            assert receipt.state in {State.CLAIMED, State.REVEALED}
        assert not receipt.acknowledged
        seen.add(bool(burned))
    assert seen == {True, False}


async def test_many_wrong_proofs_at_once_spend_exactly_the_budget(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        verbs = (claiming, burning)
        answers = await ground.race(
            [verbs[guess // 4 % 2](word, open_hash=wrong(guess)) for guess in range(CALLERS)]
        )
        tried = [each for each in answers if each.why is Refusal.WRONG]
        assert sorted(each.left for each in tried) == list(range(10))
        locked = Refused(why=Refusal.LOCKED, retry_after=60)
        assert [each for each in answers if each.why is not Refusal.WRONG] == [locked] * 54
        assert (await receipt_of(ground, word)).wrong_tries == 10


async def test_the_right_proof_amid_wrong_ones_is_tried_or_locked_out_and_costs_none(
    ground: Field,
) -> None:
    seen = set()
    for number in range(2 * ROUNDS):
        word = f"{number}"
        await ground.vault.put(new_envelope(word))
        calls = [claiming(word, guess, open_hash=wrong(guess)) for guess in range(CALLERS)]
        place = number * 5 % CALLERS
        calls[place] = claiming(word, "phone")
        answers = await ground.race(calls)
        tried = sum(getattr(each, "why", None) is Refusal.WRONG for each in answers)
        assert (await receipt_of(ground, word)).wrong_tries == tried
        if had(answers):
            assert had(answers) == [place]
            assert tried < 10
        else:
            assert answers[place] == Refused(why=Refusal.LOCKED, retry_after=60)
            assert tried == 10
        seen.add(bool(had(answers)))
    assert seen == {True, False}


async def test_a_create_raced_by_its_own_repetition_is_one_envelope(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        calls = [call("put", new_envelope(word, created_at=START + each % 3)) for each in range(16)]
        answers = await ground.race(calls)
        assert answers.count(Stored()) == 1
        created_at = START + answers.index(Stored()) % 3
        assert answers.count(Stored(created_at=created_at)) == 15
        assert (await receipt_of(ground, word)).created_at == created_at
        claimed = await ground.race([claiming(word, device) for device in range(16)])
        assert len(had(claimed)) == 1


async def test_different_envelopes_under_one_id_are_one(ground: Field) -> None:
    for number in range(ROUNDS):
        word = f"{number}"
        bodies = [body_of(f"{word} {each}") for each in range(16)]
        answers = await ground.race([call("put", new_envelope(word, body=body)) for body in bodies])
        assert answers.count(Stored()) == 1
        claimed = await ground.race([claiming(word)])
        assert claimed[0].body == bodies[answers.index(Stored())]
