"""One of several processes of an installation: `python -m tests.core.worker FOLDER CLOCK SETTINGS JOB NUMBER ARGUMENTS`.

It opens the application as any worker does, prints "ready", waits for a line, does its job with all calls at once, and
prints as JSON what came of it: how often each outcome, and how many hashes were made.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from onetime.app import App
from onetime.core.vault import Wish
from onetime.errors import Misconfigured
from tests.core.opening import Clock, network, opened, outcome, quick_hasher

Job = Callable[..., list[Awaitable[str]]]


def guess_from_one_network(
    app: App, number: int, secret_key: str, count: int
) -> list[Awaitable[str]]:
    caller = network(0)
    return [
        outcome(app.vault.reveal(secret_key, passphrase=f"guess {each}", caller=caller))
        for each in range(count)
    ]


def guess_from_everywhere(
    app: App, number: int, secret_key: str, count: int
) -> list[Awaitable[str]]:
    return [
        outcome(
            app.vault.reveal(secret_key, passphrase="guess", caller=network(number * count + each))
        )
        for each in range(count)
    ]


def open_(app: App, number: int, secret_key: str, passphrase: str) -> list[Awaitable[str]]:
    """The right passphrase, from a network of its own each time."""
    return [
        outcome(
            app.vault.reveal(secret_key, passphrase=passphrase, caller=network(number * 4 + each))
        )
        for each in range(4)
    ]


def conceal(app: App, number: int, count: int, size: int) -> list[Awaitable[str]]:
    return [outcome(app.vault.conceal("x" * size, caller=network(0))) for _ in range(count)]


def conceal_once(app: App, number: int, count: int, once: str) -> list[Awaitable[str]]:
    wish = Wish(once=bytes.fromhex(once))

    async def key() -> str:
        return (await app.vault.conceal("correct horse", wish)).secret_key

    return [outcome(key()) for _ in range(count)]


def name_key(app: App, number: int) -> list[Awaitable[str]]:
    """Which root key this process has."""

    async def verifier() -> str:
        return app.keyring.current.verifier.hex()

    return [verifier()]


JOBS: dict[str, Job] = {
    job.__name__: job
    for job in (
        guess_from_one_network,
        guess_from_everywhere,
        open_,
        conceal,
        conceal_once,
        name_key,
    )
}


async def work(job: str, number: int, arguments: list[Any], app: App) -> dict[str, Any]:
    outcomes = await asyncio.gather(*JOBS[job](app, number, *arguments))
    return {"outcomes": Counter(outcomes), "hashes": app.hasher.made}


async def main() -> None:
    folder, now, settings, job, number, arguments = sys.argv[1:]
    first = job == "name_key"
    if first:  # it is the start itself that is raced for
        print("ready", flush=True)
        sys.stdin.readline()
    try:
        async with opened(
            Path(folder), Clock(float(now)), hasher=quick_hasher(), **json.loads(settings)
        ) as app:
            if not first:
                print("ready", flush=True)
                sys.stdin.readline()
            print(json.dumps(await work(job, int(number), json.loads(arguments), app)), flush=True)
    except Misconfigured as error:
        print(json.dumps({"outcomes": {f"Misconfigured: {error}": 1}, "hashes": 0}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
