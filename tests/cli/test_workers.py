"""Several processes: they start again when they die, and none is left when the first one ends, however it ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from onetime.cli.workers import LONGEST_WAIT_SECONDS, SHORT_LIFE_SECONDS, Worker
from tests.cli.running import Server, is_running, serving, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, {"ONETIME_WORKERS": "2"}) as server:
        yield server


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, {"ONETIME_WORKERS": "4"}) as server:
        yield server


def ended(server: Server) -> list[str]:
    return [line["reason"] for line in server.log() if line["event"] == "worker ended"]


def test_four_workers_serve_one_vault(four: Server) -> None:
    assert len(four.workers()) == 4
    for number in range(20):
        secret_key = four.share(f"secret {number}")
        assert four.reveal(secret_key).json()["value"] == f"secret {number}"
        assert four.reveal(secret_key).status == 404


def test_a_worker_that_was_killed_is_started_again(server: Server) -> None:
    victim, other = server.workers()
    secret_key = server.share("still here")
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(server.workers()) == 2 and victim not in server.workers())
    assert other in server.workers()
    assert ended(server) == ["Exit code -9; it is started again"]
    assert server.reveal(secret_key).json()["value"] == "still here"


def test_sigterm_ends_them_all(four: Server) -> None:
    workers = four.workers()
    four.send(signal.SIGTERM)
    assert four.wait() == 0
    assert [pid for pid in workers if is_running(pid)] == []


def test_workers_end_when_the_first_process_is_killed(server: Server) -> None:
    """Also one that was started later, and one that has not come up yet."""
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(server.workers()) == 2 and victim not in server.workers())
    workers = server.workers()
    server.process.kill()
    server.process.wait()
    until(lambda: not any(is_running(pid) for pid in workers))


def test_workers_that_cannot_start_are_not_started_in_a_hurry(server: Server) -> None:
    """The key goes away under a running service: who serves goes on, and what cannot come back is tried at leisure."""
    (server.data / "root.key").rename(server.data / "gone")
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: "Exit code 78; it is started again" in ended(server))
    assert server.request("GET", "/health/ready").status == 200
    assert len(ended(server)) == 2
    (server.data / "gone").rename(server.data / "root.key")
    until(lambda: len(server.workers()) == 2)


def test_a_false_start_is_followed_by_a_longer_wait_each_time() -> None:
    worker = Worker()
    waits = []
    now = 0.0
    for _ in range(8):
        worker.started_at = now
        worker.ended(now + 0.5)
        waits.append(worker.start_at - now - 0.5)
        now = worker.start_at
    assert waits == [
        1,
        2,
        4,
        8,
        16,
        LONGEST_WAIT_SECONDS,
        LONGEST_WAIT_SECONDS,
        LONGEST_WAIT_SECONDS,
    ]
    worker.started_at = now
    worker.ended(now + SHORT_LIFE_SECONDS)
    assert worker.start_at == now + SHORT_LIFE_SECONDS
