"""Load from processes of their own: a storm on one secret at a time, and a mix of everything.

Each process writes a history of its own. It ends when its time is over or when the server is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Literal

from tests.faults.client import Client, Keys, keys_of
from tests.faults.device import Devices
from tests.faults.history import Act, History, Operation, Outcome

BARRIER_SECONDS = 60.0
STORIES = 9  # that are told of end-to-end secrets

Race = Literal["reveal", "burn", "both"]  # what the callers of a storm do


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A secret that everybody wants at once."""

    keys: Keys
    race: Race


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process does; it may have `connections` requests open at a time."""

    base: str
    folder: Path
    process: str
    seed: int
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An end-to-end secret that everybody wants at once, each as a device of its own; `burns`: some want it destroyed."""

    marker: str
    burns: bool = False


class Storm:
    """Processes that meet before each target and then all ask for it at once."""

    def __init__(self, plans: Sequence[Plan], targets: Sequence[Target | Wanted]) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(len(plans))
        self._processes = [
            context.Process(target=_storm, args=(plan, targets, self._barrier), daemon=True)
            for plan in plans
        ]

    def run(self) -> None:
        with _running(self._processes):
            for process in self._processes:
                process.join()
        if any(process.exitcode for process in self._processes):
            raise RuntimeError("a process of the storm failed")


@contextlib.contextmanager
def mix(plans: Sequence[Plan], seconds: float) -> Iterator[None]:
    """Mixed load while the block runs; it ends after `seconds`, or when the server is gone.

    Leaving the block waits for that. Entering it waits until every process has begun.
    """
    context: SpawnContext = multiprocessing.get_context("spawn")
    begun = context.Barrier(len(plans) + 1)
    processes = [
        context.Process(target=_mix, args=(plan, seconds, begun), daemon=True) for plan in plans
    ]
    with _running(processes):
        begun.wait(BARRIER_SECONDS)
        yield
        for process in processes:
            process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process of the load failed")


@contextlib.contextmanager
def _running(processes: Sequence[SpawnProcess]) -> Iterator[None]:
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()


def _storm(plan: Plan, targets: Sequence[Target | Wanted], barrier: Barrier) -> None:
    history = History(plan.folder / f"{plan.process}.jsonl")
    asyncio.run(_run_storm(plan, targets, barrier, history))
    history.close()


async def _run_storm(
    plan: Plan, targets: Sequence[Target | Wanted], barrier: Barrier, history: History
) -> None:
    rng = random.Random(f"{plan.seed} {plan.process}")
    clients = [Client(plan.base, history, plan.process) for _ in range(plan.connections)]
    devices = [Devices(plan.base, history, plan.process) for _ in range(plan.connections)]
    connections = [each.connection for each in clients] + [each.connection for each in devices]
    for target in targets:
        for connection in connections:
            await connection.open()
        # Blocks the loop, on purpose: nothing else is to run, and all processes go on at once.
        barrier.wait(BARRIER_SECONDS)
        if isinstance(target, Wanted):
            await _want(devices, target, plan.process, rng)
            continue
        acts = [_act(target.race, rng) for _ in clients]
        await asyncio.gather(
            *(_take(client, target.keys, act) for client, act in zip(clients, acts, strict=True))
        )
        await clients[0].receipt(target.keys)
    for connection in connections:
        connection.close()


async def _want(
    devices: Sequence[Devices], target: Wanted, process: str, rng: random.Random
) -> None:
    """Each asks twice: whoever was first gets it again."""
    marker = target.marker

    async def ask(number: int, devices: Devices) -> None:
        if target.burns and rng.random() < 0.3:
            await rng.choice([devices.destroy, devices.withdraw])(marker)
            return
        for _ in range(2):
            await devices.claim(marker, f"{process}.{number}")

    await asyncio.gather(*(ask(number, each) for number, each in enumerate(devices)))
    await devices[0].track(marker)


def _act(race: Race, rng: random.Random) -> Act:
    if race == "both":
        return rng.choice([Act.REVEAL, Act.BURN])
    return Act(race)


async def _take(client: Client, keys: Keys, act: Act) -> Operation:
    return await (client.burn(keys) if act is Act.BURN else client.reveal(keys))


def _mix(plan: Plan, seconds: float, begun: Barrier) -> None:
    history = History(plan.folder / f"{plan.process}.jsonl")
    begun.wait(BARRIER_SECONDS)
    asyncio.run(_run_mix(plan, time.monotonic() + seconds, history))
    history.close()


async def _run_mix(plan: Plan, until: float, history: History) -> None:
    # A story has up to three requests open at once, so a third as many stories as connections.
    stories = max(1, plan.connections // 3)
    await asyncio.gather(*(_stories(plan, number, until, history) for number in range(stories)))


async def _stories(plan: Plan, number: int, until: float, history: History) -> None:
    """Every other one tells of end-to-end secrets, beginning with another story each."""
    rng = random.Random(f"{plan.seed} {plan.process} {number}")
    clients = [Client(plan.base, history, plan.process) for _ in range(3)]
    devices = [Devices(plan.base, history, plan.process) for _ in range(3)]
    told = 0
    first = number // 2 * 5 + int(plan.process.rpartition("-")[2])
    with contextlib.suppress(OSError):  # nobody listens any more
        while time.monotonic() < until:
            told += 1
            marker = f"{plan.process}.{number}.{told}"
            if number % 2:
                await _story_of_devices(first + told, rng, devices, marker)
            else:
                await _story(rng, clients, marker)
    for client, device in zip(clients, devices, strict=True):
        client.close()
        device.close()


async def _story(rng: random.Random, clients: Sequence[Client], marker: str) -> None:
    """What may happen to one secret. A third of them are left for whoever comes after."""
    one, two, three = clients
    size = rng.choice([40, 100, 100, 1000, 1000, 8000])
    keys = await one.conceal(marker, size=size, ttl=rng.choice([600, 3600, 86_400]))
    if keys is None:
        return
    match rng.randrange(9):
        case 0 | 1:
            await _all(one.reveal(keys), two.reveal(keys), three.reveal(keys))
        case 2:
            await _all(one.reveal(keys), two.burn(keys), three.receipt(keys))
        case 3:
            await _all(one.burn(keys), two.burn(keys), three.reveal(keys))
        case 4:
            await one.receipt(keys)
            await one.reveal(keys)
            await one.receipt(keys)
        case 5:
            await one.burn(keys)
            await _all(one.reveal(keys), two.receipt(keys))
        case _:
            pass


async def tell_each(base: str, history: History, process: str, marker: str) -> None:
    """Every story of end-to-end secrets once, however little time there was for the mix."""
    devices = [Devices(base, history, process) for _ in range(3)]
    for number in range(STORIES):
        await _story_of_devices(number, random.Random(number), devices, f"{marker}.{number}")
    for each in devices:
        each.close()


async def _story_of_devices(
    number: int, rng: random.Random, devices: Sequence[Devices], marker: str
) -> None:
    """The same for an end-to-end secret. Some are left new, and some claimed and not settled."""
    one, two, three = devices
    phone, laptop, other = (f"{marker}.{name}" for name in ("phone", "laptop", "other"))
    size = rng.choice(["small", "small", "medium", "large"])
    made = await one.create(marker, size=size, ttl=rng.choice([600, 3600, 86_400]))
    if made.outcome is Outcome.UNKNOWN:
        # Nobody knows whether it came, so it is sent again.
        made = await one.create(marker, size=size, ttl=made.facts["asked_ttl"])
    if made.outcome is not Outcome.OK:
        return
    match number % STORIES:
        case 0:
            claims = [
                one.claim(marker, phone),
                two.claim(marker, laptop),
                three.claim(marker, other),
            ]
            await _all(*claims)
            await _all(one.claim(marker, phone), two.claim(marker, laptop), three.track(marker))
        case 2:
            await _all(one.claim(marker, phone), two.destroy(marker), three.withdraw(marker))
            await one.track(marker)
        case 3:
            await _all(one.claim(marker, phone), two.claim(marker, phone))
            await _all(one.settle(marker, phone), two.claim(marker, phone), three.track(marker))
            await _all(one.claim(marker, phone), two.settle(marker, phone))
        case 4:
            for _ in range(rng.randrange(1, 4)):
                await two.claim(marker, laptop, proof=False)
            await one.claim(marker, phone)
            await _all(
                one.claim(marker, phone, proof=False), two.claim(marker, laptop, proof=False)
            )
        case 5:
            ttl = made.facts["asked_ttl"]
            await _all(
                one.create(marker, size=size, ttl=ttl), two.create(marker, size=size, ttl=ttl)
            )
            await _all(one.claim(marker, phone), two.create(marker, size=size, ttl=ttl))
        case 6:
            await one.claim(marker, phone)
            await _all(two.withdraw(marker), three.claim(marker, phone))
            await _all(one.claim(marker, phone), two.track(marker), three.settle(marker, phone))
        case 7 | 8:
            await one.claim(marker, phone)
            await two.settle(marker, laptop)  # which never had it
            await one.settle(marker, phone)
        case _:
            pass


async def _all(*asked: Coroutine[Any, Any, Operation]) -> None:
    """Wait for every one, then pass on the first error."""
    done = await asyncio.gather(*asked, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each


async def audit(
    base: str, history: History, done: Sequence[Operation], *, process: str, connections: int = 16
) -> None:
    """Ask about every secret that was acknowledged: its receipt, its value, its value again, its receipt.

    After that the judge can say of each what became of it.
    """
    known = [keys for operation in done if (keys := keys_of(operation))]
    waiting = iter(known)

    async def ask(client: Client) -> None:
        for keys in waiting:
            await client.receipt(keys)
            await client.reveal(keys)
            again = await client.reveal(keys)
            if again.outcome is Outcome.REFUSED:
                await client.burn(keys)
            await client.receipt(keys)
        client.close()

    await asyncio.gather(*(ask(Client(base, history, process)) for _ in range(connections)))
    await _audit_devices(base, history, done, process=process, connections=connections)


async def _audit_devices(
    base: str, history: History, done: Sequence[Operation], *, process: str, connections: int
) -> None:
    """Every device that asked for an end-to-end secret asks again, and a stranger; each says that it has it, and asks once more."""
    asked: dict[str, list[str]] = {}
    for operation in done:
        if operation.act is Act.CREATE and operation.outcome is Outcome.OK:
            asked.setdefault(operation.marker, [])
    for operation in done:
        if operation.act is Act.CLAIM and operation.marker in asked:
            asked[operation.marker].append(operation.device)
    waiting = iter(asked.items())

    async def ask(devices: Devices) -> None:
        for marker, names in waiting:
            await devices.track(marker)
            everybody = [*dict.fromkeys(names), f"{marker}.stranger"]
            claims = [await devices.claim(marker, name) for name in everybody]
            await devices.track(marker)
            for claim in claims:
                if claim.found:
                    await devices.claim(marker, claim.device)
                    await devices.settle(marker, claim.device)
                    await devices.settle(marker, claim.device)
            for name in everybody:
                await devices.claim(marker, name)
            await devices.track(marker)
        devices.close()

    await asyncio.gather(*(ask(Devices(base, history, process)) for _ in range(connections)))
