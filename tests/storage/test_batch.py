"""How operations become batches. The store here is a list: what is in it was committed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from onetime.errors import Conflict, Unavailable
from onetime.storage.batch import GroupCommit, Operation

Log = list[Any]


class Ledger:
    """Applies batches to `log` when `gate` lets it, and remembers them."""

    def __init__(self) -> None:
        self.log: Log = []
        self.batches: list[int] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, operations: Sequence[Operation[Log, Any]]) -> list[Any]:
        self.batches.append(len(operations))
        self.begun.set()
        await self.gate.wait()
        results: list[Any] = []
        for operation in operations:
            try:
                results.append(operation(self.log))
            except Conflict as refusal:
                results.append(refusal)
        return results


def write(word: Any) -> Operation[Log, Any]:
    def operation(log: Log) -> Any:
        log.append(word)
        return word

    return operation


def refuse(log: Log) -> None:
    raise Conflict("no")


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


async def test_what_arrives_during_a_commit_shares_the_next(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    ledger.gate.clear()
    first = asyncio.create_task(commits.submit(write(0)))
    await ledger.begun.wait()
    rest = [asyncio.create_task(commits.submit(write(number))) for number in range(1, 11)]
    await asyncio.sleep(0)
    assert ledger.log == []
    ledger.gate.set()
    assert await asyncio.gather(first, *rest) == list(range(11))
    assert ledger.batches == [1, 10]
    assert ledger.log == list(range(11))


async def test_an_operation_alone_waits_for_nobody(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    for number in range(3):
        assert await commits.submit(write(number)) == number
    assert ledger.batches == [1, 1, 1]


async def test_nobody_is_answered_before_the_commit(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    ledger.gate.clear()
    callers = [asyncio.create_task(commits.submit(write(number))) for number in range(3)]
    await ledger.begun.wait()
    done, _ = await asyncio.wait(callers, timeout=0.05)
    assert done == set()
    ledger.gate.set()
    await asyncio.gather(*callers)


async def test_a_batch_is_bounded_in_operations(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit, most_operations=4)
    await asyncio.gather(*(commits.submit(write(number)) for number in range(10)))
    assert ledger.batches == [4, 4, 2]
    assert ledger.log == list(range(10))


async def test_a_batch_is_bounded_in_bytes(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit, most_bytes=100)
    sizes = [40, 60, 1, 99, 1]
    await asyncio.gather(
        *(commits.submit(write(number), size=size) for number, size in enumerate(sizes))
    )
    assert ledger.batches == [2, 2, 1]
    assert ledger.log == list(range(5))


async def test_an_operation_larger_than_a_batch_gets_one_of_its_own(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit, most_bytes=100)
    await asyncio.gather(
        *(commits.submit(write(number), size=size) for number, size in enumerate([10, 500, 10]))
    )
    assert ledger.batches == [1, 1, 1]
    assert ledger.log == [0, 1, 2]


async def test_a_refusal_reaches_only_its_caller(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    operations = [write("before"), refuse, write("after")]
    answers = await asyncio.gather(*map(commits.submit, operations), return_exceptions=True)
    assert (answers[0], answers[2]) == ("before", "after")
    assert isinstance(answers[1], Conflict)
    assert ledger.batches == [3]


async def test_who_is_cancelled_before_the_batch_begins_is_withdrawn(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    ledger.gate.clear()
    running = asyncio.create_task(commits.submit(write("running")))
    await ledger.begun.wait()
    waiting = [asyncio.create_task(commits.submit(write(number))) for number in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    ledger.gate.set()
    assert await asyncio.gather(running, *waiting[::2]) == ["running", 0, 2]
    assert waiting[1].cancelled()
    assert ledger.log == ["running", 0, 2]


async def test_who_is_cancelled_after_the_batch_began_is_carried_out(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    ledger.gate.clear()
    callers = [asyncio.create_task(commits.submit(write(number))) for number in range(3)]
    await ledger.begun.wait()
    callers[1].cancel()
    await asyncio.wait([callers[1]])
    assert callers[1].cancelled()
    ledger.gate.set()
    assert await asyncio.gather(*callers[::2]) == [0, 2]
    assert ledger.log == [0, 1, 2]


async def test_a_batch_of_which_everybody_is_cancelled_does_not_begin(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit)
    ledger.gate.clear()
    running = asyncio.create_task(commits.submit(write("running")))
    await ledger.begun.wait()
    waiting = asyncio.create_task(commits.submit(write("waiting")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    ledger.gate.set()
    await running
    await commits.close()
    assert ledger.batches == [1]
    assert ledger.log == ["running"]


async def test_closing_waits_for_what_was_handed_in_and_refuses_the_rest(ledger: Ledger) -> None:
    commits = GroupCommit(ledger.commit, most_operations=2)
    ledger.gate.clear()
    callers = [asyncio.create_task(commits.submit(write(number))) for number in range(5)]
    await ledger.begun.wait()
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await commits.submit(write("late"))
    assert not closing.done()
    ledger.gate.set()
    await closing
    assert [caller.result() for caller in callers] == list(range(5))
    assert ledger.log == list(range(5))


async def test_a_commit_that_breaks_its_word_and_raises_leaves_nobody_waiting(
    ledger: Ledger,
) -> None:
    broken = True

    async def commit(operations: Sequence[Operation[Log, Any]]) -> Sequence[Any]:
        if broken:
            raise RuntimeError("it was never to raise")
        return await ledger.commit(operations)

    commits = GroupCommit(commit)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(
            *(commits.submit(write(number)) for number in range(3)), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [RuntimeError] * 3
    broken = False
    assert await commits.submit(write("next")) == "next"
