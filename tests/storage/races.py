"""Many callers at once, in one process and in several, and what each of them was told.

A `Call` names a verb of the port and its arguments. `at_once` makes calls in this process; a `Crew` makes them in processes
of its own, which wait for one instant before they begin.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from onetime.errors import OnetimeError
from onetime.storage.port import VaultStore
from tests.storage.adapters import Clock, Faults, Opener, Place

# What a process may take to answer; reached only when something hangs.
PATIENCE_SECONDS = 60
# From an order to the instant at which all begin: enough for the order to reach the last process.
HEAD_START_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class Call:
    verb: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """An error instead of an answer: the name of its class."""

    error: str


def call(verb: str, *args: Any, **options: Any) -> Call:
    return Call(verb, args, options)


async def make(store: VaultStore, one: Call) -> Any:
    try:
        return await getattr(store, one.verb)(*one.args, **one.options)
    except OnetimeError as error:
        return Refused(type(error).__name__)


async def at_once(store: VaultStore, calls: Sequence[Call]) -> list[Any]:
    """The answers, in the order of the calls. All of them are handed in before the first is begun: one batch."""
    return list(await asyncio.gather(*(make(store, one) for one in calls)))


class Crew:
    """Processes that are told in turn to open a store, to make calls at one instant, and to close it."""

    def __init__(self, size: int) -> None:
        # Not fork: a copy of this process would hold its connections and locks.
        context = multiprocessing.get_context("spawn")
        self._members = []
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def __len__(self) -> int:
        return len(self._members)

    def open(self, place: Place, clock: Clock) -> None:
        self.close_store()
        self._tell(("open", place.adapter.open, place.address, clock.now))

    def make(self, calls: Sequence[Call]) -> list[Any]:
        """Deal the calls out like cards; the answers, in the order of the calls."""
        size = len(self._members)
        begin_at = time.monotonic() + HEAD_START_SECONDS
        for number, (_, pipe) in enumerate(self._members):
            pipe.send(("make", begin_at, calls[number::size]))
        answers: list[Any] = [None] * len(calls)
        for number, (_, pipe) in enumerate(self._members):
            answers[number::size] = _answer(pipe)
        return answers

    def close_store(self) -> None:
        self._tell(("close",))

    def close(self) -> None:
        for process, pipe in self._members:
            pipe.close()
            process.join(PATIENCE_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()

    def _tell(self, order: tuple[Any, ...]) -> None:
        for _, pipe in self._members:
            pipe.send(order)
        for _, pipe in self._members:
            _answer(pipe)


def make_and_die(place: Place, clock: Clock, calls: Sequence[Call]) -> list[Any]:
    """The calls, all at once, in a process that ends without a goodbye as soon as it has the last answer."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work_and_die, args=(theirs, place.adapter.open, place.address, clock.now, calls)
    )
    process.start()
    theirs.close()
    answers: list[Any] = _answer(ours)
    process.join(PATIENCE_SECONDS)
    ours.close()
    assert process.exitcode == 1
    process.close()
    return answers


def make_and_be_killed(place: Place, clock: Clock, calls: Sequence[Call], *, commit: str) -> None:
    """The calls, one after another, in a process that is killed at the commit of the last ("killed undone", "killed done")."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work_and_be_killed,
        args=(theirs, place.adapter.open, place.address, clock.now, calls, commit),
    )
    process.start()
    theirs.close()
    process.join(PATIENCE_SECONDS)
    # It got as far as the last call, and had no answer to it.
    assert process.exitcode == -signal.SIGKILL
    assert ours.recv() == "the last"
    ours.close()
    process.close()


def _answer(pipe: "Connection[Any, Any]") -> Any:
    if not pipe.poll(PATIENCE_SECONDS):
        message = f"no answer within {PATIENCE_SECONDS} s"
        raise TimeoutError(message)
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _work(pipe: "Connection[Any, Any]") -> None:
    asyncio.run(_serve(pipe))


async def _serve(pipe: "Connection[Any, Any]") -> None:
    store: VaultStore | None = None
    while True:
        try:
            order = await asyncio.to_thread(pipe.recv)
        except EOFError:
            break
        answer: Any = None
        try:
            match order:
                case ("open", opener, address, now):
                    store = await opener(address, Clock(now))
                case ("make", begin_at, calls):
                    assert store is not None
                    while time.monotonic() < begin_at:
                        time.sleep(0)  # noqa: ASYNC251 - nothing else is to run
                    answer = await at_once(store, calls)
                case ("close",):
                    if store is not None:
                        await store.close()
                        store = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to who gave the order
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pipe.send(answer)
    if store is not None:
        await store.close()


def _work_and_die(
    pipe: "Connection[Any, Any]",
    opener: Opener,
    address: str,
    now: float,
    calls: Sequence[Call],
) -> None:
    async def work() -> None:
        store = await opener(address, Clock(now))
        pipe.send(await at_once(store, calls))
        os._exit(1)

    asyncio.run(work())


def _work_and_be_killed(
    pipe: "Connection[Any, Any]",
    opener: Opener,
    address: str,
    now: float,
    calls: Sequence[Call],
    commit: str,
) -> None:
    async def work() -> None:
        faults = Faults()
        store = await opener(address, Clock(now), faults=faults)
        for one in calls[:-1]:
            await make(store, one)
        pipe.send("the last")
        faults.commit = commit
        await make(store, calls[-1])

    asyncio.run(work())
