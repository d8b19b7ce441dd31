"""The scenarios: what is done to a server. Each writes a history and judges nothing itself, but for what no request can show.

A scenario is a function from a `Run` to nothing. `SCENARIOS` is the list; `perform` runs one and judges it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import load
from tests.faults.client import Client, Keys
from tests.faults.device import Devices
from tests.faults.history import Act, Event, History, Kind, Outcome, operations, read
from tests.faults.judge import Verdict, judge
from tests.faults.server import ONETIME, Failed, Server, small_disk

SWEEP_SECONDS = 600  # the server's promise: what has expired is swept within this
WINDOW_SECONDS = 600  # the server's promise: who has claimed an end-to-end secret may have it again for this long
STEP_SECONDS = 55  # of a clock that is moved so slowly that the service has not slept
AWAY_SECONDS = 1200  # for which a service is away that has slept
SHORT_SECONDS = 59  # to the last second of what lives a minute
SHARE_BYTES = 60_000  # of a secret that is to take space


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it. `disk_bytes` and `reserve_bytes` are those of the small disk."""

    processes: int = 4
    connections: int = 16  # of each process
    storms: int = 100  # secrets that everybody wants at once
    mix_seconds: float = 8.0
    kills: int = 20
    load_seconds: float = 1.5  # before each kill or stop
    stops: int = 5
    slow: int = 24  # requests that surely run when the server is asked to stop
    disk_bytes: int = 64_000_000
    reserve_bytes: int = 8_000_000
    keep: int = 120  # secrets that are there before the disk fills or the clock turns
    resume_seconds: float = 120.0  # until creates go on, once there is room again
    sweeps: bool = True  # whether to wait for sweeps, which takes real time
    sweep_seconds: float = SWEEP_SECONDS + 30.0  # until one has surely been


FULL = Size()
QUICK = Size(
    processes=2,
    storms=12,
    mix_seconds=1.0,
    kills=3,
    load_seconds=0.5,
    stops=1,
    slow=8,
    disk_bytes=24_000_000,
    reserve_bytes=4_000_000,
    keep=40,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One performance of a scenario against one kind of server."""

    command: Sequence[str]
    folder: Path
    history: History
    seed: int
    size: Size

    def server(
        self,
        *,
        data_dir: Path | None = None,
        settings: dict[str, str] | None = None,
        shifted: bool = False,
    ) -> Server:
        return Server(
            self.command,
            self.folder,
            self.history,
            data_dir=data_dir,
            settings=settings,
            shifted=shifted,
        )

    def plans(self, server: Server, name: str) -> list[load.Plan]:
        """One for each process; `name` tells this turn's processes from all others."""
        return [
            load.Plan(
                base=server.base,
                folder=self.folder,
                process=f"{name}-{number}",
                seed=self.seed,
                connections=self.size.connections,
            )
            for number in range(self.size.processes)
        ]

    def client(self, server: Server, process: str = "main") -> Client:
        return Client(server.base, self.history, process)

    def devices(self, server: Server, process: str = "main") -> Devices:
        return Devices(server.base, self.history, process)

    def audit(self, server: Server, processes: str = "*", markers: str = "") -> None:
        """Ask about every secret that these processes shared, whose marker begins so."""
        done = [
            each
            for each in operations(read(self.folder, processes))
            if each.marker.startswith(markers)
        ]
        asyncio.run(load.audit(server.base, self.history, done, process="audit"))

    def broken(self, rule: str, text: str) -> None:
        self.history.add(Event.broken(rule, text))


# --- races ---


def race(run: Run) -> None:
    """Many readers in several processes on one secret at a time, then a mix of everything."""
    _race(run, workers=1)


def race_workers(run: Run) -> None:
    """The same against four processes of the server."""
    _race(run, workers=4)


def _race(run: Run, workers: int) -> None:
    server = run.server(settings={"ONETIME_WORKERS": str(workers)})
    try:
        server.start()
        targets = asyncio.run(_targets(run, server))
        load.Storm(run.plans(server, "storm"), targets).run()
        with load.mix(run.plans(server, "mix"), run.size.mix_seconds):
            pass
        asyncio.run(load.tell_each(server.base, run.history, "main", "story"))
        run.audit(server)
        server.check_alive()
    finally:
        server.end()


async def _targets(run: Run, server: Server) -> list[load.Target | load.Wanted]:
    rng = random.Random(run.seed)
    client, devices = run.client(server), run.devices(server)
    targets: list[load.Target | load.Wanted] = []
    for number in range(run.size.storms):
        if number % 2:
            marker = f"wanted.{number}"
            await devices.create(marker, size=rng.choice(["small", "medium"]))
            targets.append(load.Wanted(marker=marker, burns=rng.random() < 0.4))
            continue
        keys = await client.conceal(f"target.{number}", size=rng.choice([40, 2000]))
        if keys:
            kind: load.Race = rng.choice(["reveal", "reveal", "reveal", "both", "burn"])
            targets.append(load.Target(keys=keys, race=kind))
    client.close()
    devices.close()
    return targets


# --- kill -9 ---


def kill(run: Run) -> None:
    """SIGKILL to the whole process group in mid-load, and a start on the same data, again and again."""
    _kill(run, workers=1, kills=run.size.kills)


def kill_workers(run: Run) -> None:
    """The same, a few times, against four processes of the server."""
    _kill(run, workers=4, kills=max(1, run.size.kills // 4))


def _kill(run: Run, workers: int, kills: int) -> None:
    rng = random.Random(run.seed)
    waiting: list[str] = []
    server = run.server(settings={"ONETIME_WORKERS": str(workers)})
    try:
        server.start()
        for turn in range(kills):
            with load.mix(run.plans(server, f"kill{turn}"), 60):
                time.sleep(run.size.load_seconds * rng.uniform(0.5, 1.5))
                asyncio.run(_last_words(run, server, f"last{turn}"))
                server.kill()
            server.start()
            run.audit(server, "main", f"last{turn}.")
            # Half of what is left has to survive the next kill as well.
            waiting.append(f"kill{turn}-*")
            if turn % 2 or turn == kills - 1:
                for processes in waiting:
                    run.audit(server, processes)
                waiting.clear()
        server.check_alive()
    finally:
        server.end()


async def _last_words(run: Run, server: Server, name: str) -> None:
    """A little of everything at one moment; the last answer is hardly there when the server is killed."""
    clients = [run.client(server) for _ in range(4)]
    devices = [run.devices(server) for _ in range(8)]
    kept = [await client.conceal(f"{name}.kept.{each}") for each, client in enumerate(clients)]
    markers = [f"{name}.{each}" for each in range(6)]
    for marker in markers:
        await devices[0].create(marker)
    for marker in markers[4:]:
        await devices[0].claim(marker, marker)
    asked: list[Coroutine[Any, Any, object]] = [
        *(each.claim(marker, marker) for each, marker in zip(devices[:4], markers, strict=False)),
        *(
            each.settle(marker, marker)
            for each, marker in zip(devices[4:6], markers[4:], strict=True)
        ),
        *(each.create(f"{name}.new.{number}") for number, each in enumerate(devices[6:])),
        *(clients[each].conceal(f"{name}.new.sealed.{each}") for each in range(2)),
        *(clients[each].reveal(keys) for each in range(2, 4) if (keys := kept[each])),
    ]
    await asyncio.gather(*asked)
    for connection in [each.connection for each in clients] + [each.connection for each in devices]:
        connection.close()


# --- SIGTERM ---


def term(run: Run) -> None:
    """SIGTERM under load: what runs is finished, the exit code is 0, what was acknowledged is there afterwards."""
    server = run.server()
    try:
        server.start()
        for turn in range(run.size.stops):
            with load.mix(run.plans(server, f"term{turn}"), 60):
                time.sleep(run.size.load_seconds)
                asyncio.run(_stop_amid(run, server, turn))
            server.start()
            run.audit(server, f"term{turn}-*")
            run.audit(server, "main", f"slow{turn}.")
        server.check_alive()
    finally:
        server.end()


async def _stop_amid(run: Run, server: Server, turn: int) -> None:
    """Stop it while requests run whose body has not quite arrived, and some that hash a passphrase."""

    async def slow(number: int) -> None:
        client = run.client(server)
        with contextlib.suppress(OSError):
            await client.conceal(f"slow{turn}.{number}", size=2000, hold=0.6)
        client.close()

    async def hashed(number: int) -> None:
        await asyncio.sleep(0.15)
        client = run.client(server)
        with contextlib.suppress(OSError):
            await client.conceal(f"slow{turn}.hashed.{number}", passphrase="correct horse")
        client.close()

    async def stop() -> None:
        await asyncio.sleep(0.3)
        since = server.signal_stop()
        await asyncio.to_thread(server.wait_stopped, since)

    numbers = range(run.size.slow)
    await asyncio.gather(stop(), *map(slow, numbers), *map(hashed, numbers))


# --- full disk ---


def disk(run: Run) -> None:
    """A full disk, twice: somebody else fills it and removes that again; then secrets fill it and expire.

    Both times creates are refused, reveals and burns go on, and creates go on once there is room, without a restart.
    """
    with small_disk(run.folder, run.size.disk_bytes) as mounted:
        server = run.server(
            data_dir=mounted / "data",
            settings={"ONETIME_DISK_RESERVE": str(run.size.reserve_bytes)},
            shifted=True,
        )
        try:
            server.start()
            asyncio.run(_fill_from_outside(run, server, mounted / "filler"))
            if run.size.sweeps:
                asyncio.run(_fill_with_secrets(run, server))
            run.audit(server)
            server.check_alive()
        finally:
            server.end()


async def _fill_from_outside(run: Run, server: Server, filler: Path) -> None:
    kept = await _keep(run, server, "outside", ttl=86_400)
    markers = await _keep_envelopes(run, server, "outside.e2e")
    since = time.monotonic()
    await asyncio.to_thread(_write_until_full, filler)
    # What little the server may have kept open for itself is soon used.
    refused = await _create_until_refused(run, server, "outside.full", ttl=86_400)
    if not refused:
        run.broken("no-refusal", "creates went on although the disk was full")
    await _take_some(run, server, kept, "while the disk was full")
    await _claim_some(run, server, markers, "while the disk was full")
    await asyncio.to_thread(filler.unlink)
    await _await_room(
        run,
        server,
        "outside.again",
        "the disk had room again",
        creates=5,
        patience=run.size.resume_seconds,
    )
    run.history.add(Event.now(Kind.FULL, since=since))


async def _fill_with_secrets(run: Run, server: Server) -> None:
    ttl = (
        3 * SWEEP_SECONDS
    )  # longer than it takes to fill the disk, and their receipts outlive the sweep
    kept = await _keep(run, server, "inside", ttl=86_400)
    since = time.monotonic()
    refused = await _create_until_refused(run, server, "inside.full", ttl=ttl)
    if not refused:
        run.broken("no-refusal", "creates went on and on")
    await _take_some(run, server, kept, "while the vault filled the disk")
    server.shift_clock(ttl + SWEEP_SECONDS)
    # A quarter of the disk, so that the reserve alone cannot be what makes room.
    await _await_room(
        run,
        server,
        "inside.again",
        "what filled the disk had expired for ten minutes",
        creates=(run.size.disk_bytes - 2 * run.size.reserve_bytes) // 4 // SHARE_BYTES,
        patience=run.size.sweep_seconds,
    )
    run.history.add(Event.now(Kind.FULL, since=since))


async def _keep(
    run: Run, server: Server, name: str, *, ttl: int, size: int = 600, count: int = 0
) -> list[Keys]:
    client = run.client(server)
    kept = [
        await client.conceal(f"{name}.kept.{number}", size=size, ttl=ttl)
        for number in range(count or run.size.keep)
    ]
    client.close()
    return [keys for keys in kept if keys]


async def _keep_envelopes(
    run: Run, server: Server, name: str, *, ttl: int = 86_400, count: int = 0
) -> list[str]:
    """Their markers. Each create is sent twice, as after an answer that was lost."""
    devices = run.devices(server)
    markers = [f"{name}.{number}" for number in range(count or run.size.keep // 2)]
    for marker in markers:
        for _ in range(2):
            await devices.create(marker, ttl=ttl)
    devices.close()
    return markers


async def _claim_some(run: Run, server: Server, markers: Sequence[str], when: str) -> None:
    """Claim most, and have some again, settle some and withdraw some: every one has to succeed."""
    devices = run.devices(server)
    failed = 0
    for number, marker in enumerate(markers):
        asked = []
        if number % 5 == 4:
            asked.append(await devices.withdraw(marker))
        else:
            asked += [await devices.claim(marker, marker) for _ in range(2)]
            if number % 2:
                asked.append(await devices.settle(marker, marker))
        await devices.claim(marker, f"{marker}.stranger")
        await devices.track(marker)
        failed += any(each.outcome is not Outcome.OK for each in asked)
    devices.close()
    if failed:
        run.broken("takes-stopped", f"{failed} claims, settles and burns failed {when}")


def _write_until_full(path: Path) -> None:
    block = b"\0" * 65_536
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while len(block) > 1:
            if file.write(block) < len(block):
                block = block[: len(block) // 2]


async def _create_until_refused(run: Run, server: Server, name: str, *, ttl: int) -> bool:
    """Eight callers at once, until each has been refused five times; false if that never came."""
    most = run.size.disk_bytes // SHARE_BYTES // 2  # twice what the disk can hold

    async def fill(caller: int) -> bool:
        rng = random.Random(f"{run.seed} {name} {caller}")
        client = run.client(server, f"{name}.{caller}")
        refused, number = 0, 0
        while refused < 5 and number < most:
            number += 1
            lives = ttl if caller % 4 else 86_400  # a quarter has to be there in the end
            size = rng.choice([300, SHARE_BYTES])  # a small one may fit where a large one does not
            keys = await client.conceal(f"{name}.{caller}.{number}", size=size, ttl=lives)
            refused += keys is None
        client.close()
        return refused == 5

    return all(await asyncio.gather(*(fill(caller) for caller in range(8))))


async def _take_some(run: Run, server: Server, kept: Sequence[Keys], when: str) -> None:
    """Read a third and burn a third: every one has to succeed."""
    client = run.client(server)
    failed = 0
    for number, keys in enumerate(kept):
        if number % 3 == 0:
            failed += (await client.reveal(keys)).outcome is not Outcome.OK
        elif number % 3 == 1:
            failed += (await client.burn(keys)).outcome is not Outcome.OK
        await client.receipt(keys)
    client.close()
    if failed:
        run.broken("takes-stopped", f"{failed} reveals and burns failed {when}")


async def _await_room(
    run: Run, server: Server, name: str, when: str, *, creates: int, patience: float
) -> None:
    """Until that many creates have succeeded."""
    client = run.client(server)
    deadline = time.monotonic() + patience
    created, number = 0, 0
    while created < creates and time.monotonic() < deadline:
        number += 1
        if await client.conceal(f"{name}.{number}", size=SHARE_BYTES, ttl=86_400):
            created += 1
        else:
            await asyncio.sleep(0.2)
    client.close()
    if created < creates:
        text = f"{created} of {creates} creates in {patience:.0f} s after {when}"
        run.broken("did-not-resume", text)


# --- the clock ---


def clock(run: Run) -> None:
    """Time passes and turns back: secrets at their second, a jump forward, the sweep, and an hour backwards.

    What was read, burned or swept stays gone all the while, and everything else is there.
    """
    server = run.server(settings={"ONETIME_DISK_RESERVE": "0"}, shifted=True)
    data = run.folder / "data"
    try:
        server.start()
        long = asyncio.run(_keep(run, server, "long", ttl=86_400))
        asyncio.run(_at_their_second(run, server))
        gone = long[: len(long) // 2]
        asyncio.run(_take_some(run, server, gone, "before the clock turned"))
        if run.size.sweeps:
            swept = asyncio.run(_keep_much(run, server, data))
            # Receipts live twice as long as their secrets, so these are still there after the jump.
            server.shift_clock(3 * SWEEP_SECONDS + 60)
            _await_sweep(run, data, len(swept) * SHARE_BYTES // 2)
            before = time.time() + 2 * SWEEP_SECONDS + 60
            run.history.add(Event.now(Kind.SWEPT, before=before))
            gone += swept
            asyncio.run(_ask_again(run, server, gone))

        server.shift_clock(-3600)
        asyncio.run(_ask_again(run, server, gone))
        asyncio.run(_keep(run, server, "earlier", ttl=86_400))
        settled = asyncio.run(_through_a_window(run, server))
        server.shift_clock(-3600)
        asyncio.run(_claim_again(run, server, settled))
        asyncio.run(_through_a_sleep(run, server))
        server.stop()
        server.start()
        run.audit(server)
        server.check_alive()
    finally:
        server.end()


async def _at_their_second(run: Run, server: Server) -> None:
    """Read secrets of one minute just before and just after their second, one at a time."""
    short = await _keep(run, server, "short", ttl=60)
    client = run.client(server)
    server.shift_clock(SHORT_SECONDS)
    for keys in short:
        await client.receipt(keys)
        await client.reveal(keys)
        await client.receipt(keys)
        await asyncio.sleep(1.5 / max(1, len(short)))
    client.close()


async def _through_a_window(run: Run, server: Server) -> list[str]:
    """Claim, and ask again until the window is over, in steps in which the service is awake; a third settles. Gives those."""
    markers = await _keep_envelopes(run, server, "window")
    devices = run.devices(server)
    failed = 0
    for step in range(WINDOW_SECONDS // STEP_SECONDS + 1):
        server.shift_clock(step * STEP_SECONDS - 3600)
        for number, marker in enumerate(markers):
            is_settled = number % 3 == 0 and step > 5
            claim = await devices.claim(marker, marker)
            failed += claim.status != (404 if is_settled else 200)
            await devices.claim(marker, f"{marker}.stranger")
            if number % 3 == 0 and step >= 5:
                await devices.settle(marker, marker)
            await devices.track(marker)
    if failed:
        run.broken("lost", f"{failed} claims were not answered in their window as before")
    server.shift_clock(WINDOW_SECONDS + STEP_SECONDS - 3600)
    over = [await devices.claim(marker, marker) for marker in markers]
    late = sum(each.status != 404 for each in over)
    if late:
        run.broken("returned-late", f"{late} were given after their window")
    devices.close()
    return markers[::3]


async def _through_a_sleep(run: Run, server: Server) -> None:
    """Claim, and have the service away for twenty minutes, twice: the window is given once more, and only once."""
    markers = await _keep_envelopes(run, server, "asleep")
    devices = run.devices(server)
    for marker in markers:
        await devices.claim(marker, marker)
    for turn, expected in enumerate((200, 404), start=1):
        await asyncio.to_thread(server.kill)
        server.shift_clock(turn * AWAY_SECONDS - 3600)
        await asyncio.to_thread(server.start)
        asked = [await devices.claim(marker, marker) for marker in markers]
        for marker in markers:
            await devices.claim(marker, f"{marker}.stranger")
        wrong = sum(each.status != expected for each in asked)
        if wrong:
            run.broken("slept-away", f"{wrong} not answered with {expected} after sleep {turn}")
    devices.close()


async def _claim_again(run: Run, server: Server, markers: Sequence[str]) -> None:
    """Of what was settled nothing comes back."""
    devices = run.devices(server)
    for marker in markers:
        await devices.track(marker)
        await devices.claim(marker, marker)
        await devices.claim(marker, f"{marker}.stranger")
        await devices.settle(marker, marker)
    devices.close()


async def _keep_much(run: Run, server: Server, data: Path) -> list[Keys]:
    """So much that the data directory cannot be half as large before it is swept, whatever a log takes now."""
    size_bytes = await asyncio.to_thread(_size_of, data)
    count = max(run.size.keep, 4 * size_bytes // SHARE_BYTES)
    return await _keep(run, server, "swept", ttl=2 * SWEEP_SECONDS, size=SHARE_BYTES, count=count)


def _await_sweep(run: Run, data: Path, size_bytes: int) -> None:
    """Until the data directory is no larger than that: the only sign of a sweep that can be seen from outside."""
    deadline = time.monotonic() + run.size.sweep_seconds
    while _size_of(data) > size_bytes:
        if time.monotonic() > deadline:
            run.broken(
                "never-swept", f"what expired takes space {run.size.sweep_seconds:.0f} s later"
            )
            return
        time.sleep(0.1)


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


async def _ask_again(run: Run, server: Server, gone: Sequence[Keys]) -> None:
    client = run.client(server)
    for keys in gone:
        await client.receipt(keys)
        await client.reveal(keys)
        await client.burn(keys)
    client.close()


# --- all of them ---

SCENARIOS: dict[str, Callable[[Run], None]] = {
    "race": race,
    "race-workers": race_workers,
    "kill": kill,
    "kill-workers": kill_workers,
    "term": term,
    "disk": disk,
    "clock": clock,
}

# What a scenario cannot do without, by the names of tests/needs.py.
NEEDS: dict[str, tuple[str, ...]] = {"disk": ("root",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    name: str
    seconds: float
    verdict: Verdict


def perform(
    name: str, folder: Path, *, seed: int, size: Size, command: Sequence[str] = ONETIME
) -> Result:
    """Run one scenario in an empty folder, which keeps its histories, and judge it."""
    since = time.monotonic()
    history = History(folder / "main.jsonl")
    run = Run(command=command, folder=folder, history=history, seed=seed, size=size)
    try:
        SCENARIOS[name](run)
        # Silence would pass every rule.
        if not any(each.act is Act.REVEAL for each in operations(read(folder))):
            run.broken("nothing-done", "no reveal was ever asked for")
    except (Failed, OSError) as error:
        run.broken("failed", f"{type(error).__name__}: {error}")
    finally:
        history.close()
    lines = read(folder)
    if not lines:
        raise RuntimeError(f"the history in {folder} is gone")
    return Result(name=name, seconds=time.monotonic() - since, verdict=judge(lines))
