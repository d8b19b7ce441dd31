"""Several processes on one socket: the first starts the others, and starts one again that has died.

A worker's standard input is a pipe that only the first process holds open: when it closes, the first process is no more,
however it ended, and the worker drains and ends as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetime.cli.terminal import INTERRUPTED

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from onetime.log import Log

# A worker that ends this soon after its start has not served. The next start waits a second, then twice as long each time.
SHORT_LIFE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 30.0

# A worker that is told to end before it has come up ends by the signal itself.
GOOD_ENDS = frozenset({0, -signal.SIGTERM, -signal.SIGINT, INTERRUPTED})


@dataclass(slots=True)
class Worker:
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_seconds: float = 0.0

    def ended(self, now: float) -> None:
        """When the next one starts: at once after a life, later and later after a false start."""
        self.process = None
        short = now - self.started_at < SHORT_LIFE_SECONDS
        self.wait_seconds = min(max(1.0, 2 * self.wait_seconds), LONGEST_WAIT_SECONDS) * short
        self.start_at = now + self.wait_seconds


def supervise(
    count: int, listening: socket.socket, log: Log, *, started: Callable[[], None], patience: float
) -> int:
    """Start the workers, start again what dies, pass the end on; the exit code.

    `patience` is how many seconds the workers have to end before they are killed.
    """
    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    # The other end stays open as long as this process lives, and in this process alone.
    pipe, _ = os.pipe()
    workers = [Worker() for _ in range(count)]
    for worker in workers:
        _start(worker, listening, pipe)
    started()
    while not ending:
        now = time.monotonic()
        for worker in workers:
            if worker.process is None:
                if now >= worker.start_at:
                    _start(worker, listening, pipe)
            elif (code := worker.process.poll()) is not None:
                worker.ended(now)
                log.warning("worker ended", reason=f"Exit code {code}; it is started again")
        time.sleep(0.1)
    # Nobody shall wait in the queue of a socket that is no longer served.
    listening.close()
    running = [worker.process for worker in workers if worker.process is not None]
    return _stop(running, patience)


def _start(worker: Worker, listening: socket.socket, pipe: int) -> None:
    # -P: a folder named onetime where we were started is not the program.
    command = [sys.executable, "-P", "-m", "onetime", "serve"]
    worker.started_at = time.monotonic()
    try:
        worker.process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, "--socket-fd", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=pipe,
        )
    except OSError:
        # No process or memory to be had now.
        worker.ended(worker.started_at)


def _stop(processes: list[subprocess.Popen[bytes]], patience: float) -> int:
    """0 when all have drained and ended."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return int(any(process.returncode not in GOOD_ENDS for process in processes))
