"""The contract finds every broken twin, and the test that does is named here."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from onetime.storage.vault.sqlite import SqliteVault
from tests.storage import test_contract as contract
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
    CountsInMemory,
    ExpiresBySweep,
    ForgetsTheDead,
    GoesOnAfterRollback,
    KeepsTheKeys,
    KeepsTheLog,
    PeekThenDelete,
    RepeatsUnknown,
    RightInOneProcess,
    SetWiseTake,
    SpendsWithoutLooking,
    SweepsAtOnce,
    TokenTwice,
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
