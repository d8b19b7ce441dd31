"""The contract finds every broken twin, and the test that does is named here."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from onetime.storage.vault.sqlite import SqliteVault
from tests.storage import test_contract as contract
from tests.storage import test_contract_envelope as claims
from tests.storage import test_faults, test_races
from tests.storage.adapters import (
    Adapter,
    Clock,
    Faults,
    OpenSqlite,
    Place,
    sqlite_files,
    sqlite_parts,
)
from tests.storage.races import Crew
from tests.storage.test_races import Field
from tests.storage.twins import (
    AnswersBeforeCommit,
    AnswersUnproven,
    BelievesUnknown,
    BurnsWhatWasRead,
    ClaimsInTwoSteps,
    CountsDeliveries,
    CountsInMemory,
    DebitsBehindTheTest,
    EndsWithTheSecret,
    ExpiresBySweep,
    ForgetsTheDead,
    ForgetsToDelete,
    GivesItOnce,
    GivesItToAnybody,
    GivesWindowsForEver,
    GoesOnAfterRollback,
    KeepsTheKeys,
    KeepsTheLog,
    KeepsTheProof,
    MarksWithoutDeleting,
    OpensWhileLocked,
    PeekThenDelete,
    PutsAnythingAgain,
    RemembersInMemory,
    RepeatsUnknown,
    RightInOneProcess,
    ServesUntilTheSweep,
    SettlesForAnybody,
    SettlesOnce,
    SetWiseTake,
    SleepsItsWindowsAway,
    SpendsWithoutLooking,
    SweepsAtOnce,
    TakesEnvelopes,
    TokenTwice,
    WakesEachProcess,
    WakesOnlyWhoWrites,
)

Test = Callable[..., Awaitable[None]]


class Bench:
    """One store of one kind, with everything that a test of the contract may ask for."""

    def __init__(self, kind: type[SqliteVault], folder: Path, crew: Crew) -> None:
        self._kind = kind
        self._folder = folder
        self._crew = crew
        self._number = 0

    async def run(self, test: Test, *, processes: bool = False, **facts: Any) -> None:
        """The test, on an empty store of its own. `processes`: its race is run by several."""
        self._number += 1
        place = Place(
            Adapter(self._kind.__name__, OpenSqlite(self._kind), sqlite_files, sqlite_parts),
            str(self._folder / f"{self._number}.db"),
        )
        clock = Clock()
        try:
            for name in inspect.signature(test).parameters:
                if name not in facts:
                    facts[name] = await self._fact(name, place, clock, facts, processes=processes)
            await test(**facts)
        finally:
            self._crew.close_store()
            await place.close()

    async def _fact(
        self, name: str, place: Place, clock: Clock, facts: dict[str, Any], *, processes: bool
    ) -> Any:
        match name:
            case "place":
                return place
            case "clock":
                return clock
            case "crew":
                return self._crew
            case "vault":
                return await place.open(clock)
            case "ground":
                vault = await place.open(clock)
                if processes:
                    self._crew.open(place, clock)
                return Field(vault, self._crew if processes else None)
            case "failing":
                faults = facts.setdefault("faults", Faults())
                return await test_faults.open_failing(place, clock, faults)
        raise LookupError(name)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path, crew: Crew) -> Bench:
    return Bench(request.param, tmp_path, crew)


def of(*kinds: type[SqliteVault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bench", kinds, indirect=True, ids=lambda kind: kind.__name__)


def fails() -> Any:
    """An assertion of the test must fail: any other error would be an accident."""
    return pytest.raises(AssertionError)


ONE_TAKER = test_races.test_one_of_many_takers_gets_the_secret


@of(SqliteVault)
async def test_the_true_adapter_passes_what_the_twins_fail(bench: Bench) -> None:
    await bench.run(ONE_TAKER)
    await bench.run(ONE_TAKER, processes=True)
    await bench.run(contract.test_every_process_sees_what_was_answered)
    await bench.run(test_faults.test_an_error_in_mid_batch_hurts_only_its_culprit, error="full")


@of(PeekThenDelete)
async def test_peek_then_delete_gives_a_secret_to_many(bench: Bench) -> None:
    with fails():
        await bench.run(ONE_TAKER)
    with fails():
        await bench.run(ONE_TAKER, processes=True)
    with fails():
        await bench.run(contract.test_one_id_many_times_in_a_batch_is_given_out_once)


@of(RightInOneProcess)
async def test_a_lock_inside_one_process_is_found_by_four(bench: Bench) -> None:
    await bench.run(ONE_TAKER)
    await bench.run(test_races.test_a_secret_is_either_taken_or_burned)
    with fails():
        await bench.run(ONE_TAKER, processes=True)


@of(AnswersBeforeCommit)
async def test_an_answer_before_its_commit_is_found_by_another_process_and_by_a_death(
    bench: Bench,
) -> None:
    await bench.run(contract.test_one_id_many_times_in_a_batch_is_given_out_once)
    with fails():
        await bench.run(contract.test_every_process_sees_what_was_answered)
    with fails():
        await bench.run(contract.test_what_was_answered_survives_the_death_of_the_process)


@of(SetWiseTake)
async def test_a_set_wise_take_serves_two_callers_of_one_batch(bench: Bench) -> None:
    with fails():
        await bench.run(contract.test_one_id_many_times_in_a_batch_is_given_out_once)
    with fails():
        await bench.run(ONE_TAKER)


@of(GoesOnAfterRollback)
@pytest.mark.parametrize("error", ["full", "ioerr"])
async def test_statements_after_a_silent_rollback_lose_what_was_answered(
    bench: Bench, error: str
) -> None:
    await bench.run(ONE_TAKER)
    with fails():
        await bench.run(test_faults.test_an_error_in_mid_batch_hurts_only_its_culprit, error=error)


UNKNOWN = test_faults.test_a_commit_without_an_answer_doubles_nothing_and_loses_nothing


@of(RepeatsUnknown)
async def test_repeating_an_unknown_commit_loses_what_was_done(bench: Bench) -> None:
    await bench.run(UNKNOWN, commit="undone")
    with fails():
        await bench.run(UNKNOWN, commit="done")


@of(BelievesUnknown)
async def test_believing_an_unknown_commit_answers_what_was_not_done(bench: Bench) -> None:
    await bench.run(UNKNOWN, commit="done")
    with fails():
        await bench.run(UNKNOWN, commit="undone")


@of(AnswersUnproven)
async def test_an_unproven_answer_is_found_while_the_store_is_away(bench: Bench) -> None:
    with fails():
        await bench.run(
            test_faults.test_an_outcome_that_stays_unknown_gives_the_content_to_nobody,
            commit="done",
        )


@of(ExpiresBySweep)
async def test_expiry_by_sweep_alone_is_found_at_the_second(bench: Bench) -> None:
    with fails():
        await bench.run(contract.test_a_secret_opens_until_the_second_it_expires)
    with fails():
        await bench.run(contract.test_what_is_gone_is_gone_for_every_verb, fate="expired")


@of(SweepsAtOnce)
async def test_a_sweep_without_patience_is_found_by_a_jumping_clock(bench: Bench) -> None:
    with fails():
        await bench.run(contract.test_a_short_jump_ahead_destroys_nothing)


@of(TokenTwice)
async def test_a_token_read_and_then_deleted_is_used_twice(bench: Bench) -> None:
    with fails():
        await bench.run(test_races.test_one_of_many_users_gets_the_token)


@of(CountsInMemory)
async def test_counting_in_memory_is_found_by_four_processes(bench: Bench) -> None:
    await bench.run(test_races.test_every_use_is_counted_once)
    with fails():
        await bench.run(test_races.test_every_use_is_counted_once, processes=True)


@of(SpendsWithoutLooking)
async def test_attempts_debited_in_a_second_step_exceed_the_budget(bench: Bench) -> None:
    with fails():
        await bench.run(test_races.test_many_attempts_at_once_spend_exactly_the_budget)


@of(ForgetsTheDead)
async def test_a_secret_without_tombstone_is_put_again(bench: Bench) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await bench.run(
            contract.test_an_id_cannot_be_used_again_while_its_receipt_lives, fate="revealed"
        )


@of(KeepsTheLog, KeepsTheKeys)
async def test_a_log_or_a_key_that_is_kept_is_found_in_the_files(bench: Bench) -> None:
    with fails():
        await bench.run(contract.test_what_was_taken_is_in_no_file_after_a_scrub)


# Claim and settle

ONE_CLAIMANT = test_races.test_one_of_many_claimants_gets_the_envelope_and_gets_it_again
ASLEEP = claims.test_a_window_that_was_slept_through_is_given_once_more
CELL = claims.test_every_verb_before_during_and_after_the_window

Story = tuple[Test, dict[str, Any]]


def story(test: Test, **facts: Any) -> Story:
    return test, facts


def cell(act: str, moment: str) -> Story:
    return CELL, {"act": act, "moment": moment}


# Each with the tests that find it.
CLAIM_TWINS: dict[type[SqliteVault], list[Story]] = {
    ClaimsInTwoSteps: [story(ONE_CLAIMANT), story(ONE_CLAIMANT, processes=True)],
    GivesItToAnybody: [
        story(ONE_CLAIMANT),
        story(claims.test_another_claim_never_gets_it_whatever_it_proves),
        cell("another claim", "during"),
    ],
    GivesItOnce: [
        story(claims.test_the_same_claim_gets_the_same_bytes_until_the_window_ends),
        story(test_races.test_one_claim_from_many_places_is_one_reader),
        cell("claim again", "during"),
    ],
    RemembersInMemory: [
        story(claims.test_a_claim_survives_the_death_of_the_process_that_answered),
        story(ONE_CLAIMANT, processes=True),
    ],
    ForgetsToDelete: [
        story(claims.test_a_settle_destroys_at_once_and_is_acknowledged_on_the_receipt),
        cell("settle", "during"),
    ],
    MarksWithoutDeleting: [
        story(claims.test_a_claim_and_its_settle_in_one_batch),
        story(test_races.test_after_a_settle_nobody_gets_it_whoever_raced),
    ],
    SettlesForAnybody: [
        story(claims.test_a_settle_with_a_foreign_claim_does_nothing),
        cell("settle with another claim", "during"),
    ],
    SettlesOnce: [
        story(claims.test_a_settle_repeated_is_given_the_same_answer),
        story(claims.test_a_settle_after_the_window_only_acknowledges, swept=True),
    ],
    ServesUntilTheSweep: [
        story(claims.test_after_the_window_there_is_nothing_for_anybody),
        cell("claim again", "after"),
    ],
    EndsWithTheSecret: [
        story(claims.test_a_claim_made_in_the_last_second_keeps_its_window_and_its_receipt),
    ],
    DebitsBehindTheTest: [
        story(test_races.test_many_wrong_proofs_at_once_spend_exactly_the_budget),
        story(claims.test_ten_wrong_proofs_are_free_and_the_tenth_locks),
    ],
    OpensWhileLocked: [
        story(claims.test_ten_wrong_proofs_are_free_and_the_tenth_locks),
        story(claims.test_wrong_proofs_of_one_batch_are_debited_one_by_one),
    ],
    CountsDeliveries: [story(claims.test_a_delivery_again_needs_no_proof_and_spends_nothing)],
    SleepsItsWindowsAway: [
        story(ASLEEP, kill=True, claimed_before=0),
        story(ASLEEP, kill=False, claimed_before=0),
    ],
    GivesWindowsForEver: [
        story(
            claims.test_a_window_is_given_again_only_once_however_often_it_is_slept_through,
            kill=True,
        ),
    ],
    WakesOnlyWhoWrites: [story(ASLEEP, kill=False, claimed_before=0)],
    WakesEachProcess: [
        story(claims.test_while_another_process_was_awake_no_window_was_slept_through),
    ],
    BurnsWhatWasRead: [cell("burn by the sender", "during")],
    TakesEnvelopes: [
        story(claims.test_the_verbs_of_sealed_secrets_give_no_envelope),
    ],
    KeepsTheProof: [
        story(
            claims.test_of_what_is_gone_no_file_holds_the_content_or_what_proved_it, end="settled"
        ),
    ],
}

FOUND = [(kind, test, facts) for kind, stories in CLAIM_TWINS.items() for test, facts in stories]


@pytest.mark.parametrize(
    ("bench", "test", "facts"),
    FOUND,
    indirect=["bench"],
    ids=[f"{kind.__name__}-{test.__name__}" for kind, test, _ in FOUND],
)
async def test_a_broken_claim_or_settle_is_found(
    bench: Bench, test: Test, facts: dict[str, Any]
) -> None:
    with fails():
        await bench.run(test, **facts)


TRUE = list({(test.__name__, str(facts)): (test, facts) for _, test, facts in FOUND}.values())


@of(SqliteVault)
async def test_the_true_adapter_passes_what_the_twins_of_claim_fail(bench: Bench) -> None:
    for test, facts in TRUE:
        await bench.run(test, **facts)


@of(PutsAnythingAgain)
@pytest.mark.parametrize("difference", claims.DIFFERENCES)
async def test_a_create_that_is_not_compared_is_found(bench: Bench, difference: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await bench.run(claims.test_a_put_with_one_difference_is_a_conflict, difference=difference)


@of(BelievesUnknown)
async def test_a_claim_that_is_believed_unproven_is_found(bench: Bench) -> None:
    with fails():
        await bench.run(
            test_faults.test_claims_whose_commit_has_no_answer_are_doubled_and_lost_nowhere,
            commit="undone",
        )


@of(AnswersBeforeCommit)
async def test_a_claim_that_is_answered_before_its_commit_is_found_by_a_death(
    bench: Bench,
) -> None:
    with fails():
        await bench.run(claims.test_a_claim_survives_the_death_of_the_process_that_answered)
