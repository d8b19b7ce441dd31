"""`onetime serve`: bind, start, serve, drain.

One process serves by default. With ONETIME_WORKERS more, the first binds the socket and starts the others on it, and starts
one again that has died.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onetime.cli.terminal import say, warn
from onetime.errors import Misconfigured
from onetime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# Seconds that running requests have to finish after SIGTERM.
DRAIN_SECONDS = 30
BACKLOG = 2048


@click.command()
@click.option("--socket-fd", type=int, hidden=True, help="An inherited socket; set for workers.")
def serve(socket_fd: int | None) -> None:
    """Run the service. It is configured by environment variables; see docs/settings.md."""
    os.umask(0o077)
    settings = Settings.from_env(os.environ)
    try:
        import uvicorn  # noqa: F401, PLC0415 - the client alone is installed without it
    except ImportError:
        raise Misconfigured("serving needs more parts: pip install 'onetime[server]'") from None
    if socket_fd is not None:
        raise SystemExit(_run(settings, socket.socket(fileno=socket_fd), announce=False))
    listening = bind(settings.host, settings.port)
    if settings.workers == 1:
        raise SystemExit(_run(settings, listening, announce=True))
    raise SystemExit(_supervise(settings, listening))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Misconfigured: the port is in use, the address is not ours, or we may not.
    """
    if host.startswith("unix:"):
        return _bind_file(Path(host.removeprefix("unix:")))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Misconfigured(_why_not(error, host, port)) from None
    return listening


def _bind_file(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()  # left by a process that is no more
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Misconfigured(_why_not(error, f"unix:{path}", 0)) from None
    return listening


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        where = host if host.startswith("unix:") else f"port {port} of {host}"
        return f"ONETIME_PORT: {where} is in use by another program"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"ONETIME_HOST: {host} is not an address of this machine"
    return f"ONETIME_HOST: cannot listen on {host} ({error.strerror})"


def address(settings: Settings, listening: socket.socket) -> str:
    """What to type into a browser."""
    if settings.base_url:
        return settings.base_url
    name = listening.getsockname()
    if isinstance(name, str | bytes):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}/"


def _announce(settings: Settings, listening: socket.socket) -> None:
    say(f"Secrets are kept in {settings.data_dir.absolute()}")
    say(f"Onetime is ready at {address(settings, listening)}")
    if not settings.limits:
        warn("ONETIME_LIMITS is off: no budget holds back any network")


def _run(settings: Settings, listening: socket.socket, *, announce: bool) -> int:
    import uvloop  # noqa: PLC0415 - as uvicorn

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, listening, announce=announce))


async def _serve(settings: Settings, listening: socket.socket, *, announce: bool) -> int:
    import uvicorn  # noqa: PLC0415

    from onetime import background  # noqa: PLC0415
    from onetime.app import build  # noqa: PLC0415
    from onetime.web.asgi import Web  # noqa: PLC0415

    class Server(uvicorn.Server):
        """Signals are ours: uvicorn would raise them again at the end, before the store is closed."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    _log_as_json()
    async with build(settings) as app:
        config = uvicorn.Config(
            Web(app),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        loops = asyncio.create_task(background.run(app))
        if announce:
            _announce(settings, listening)
        if not settings.limits:
            app.log.warning("limits are off", reason="ONETIME_LIMITS is off")
        try:
            await server.serve(sockets=[listening])
        finally:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
            await app.store.scrub()
    return 0


def _supervise(settings: Settings, listening: socket.socket) -> int:
    """Start the workers, start again what dies, pass the end on."""
    # Everything that forbids a start is said once, here.
    asyncio.run(_check(settings))
    command = [sys.executable, "-m", "onetime", "serve", "--socket-fd", str(listening.fileno())]
    listening.set_inheritable(True)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - ourselves
            command, pass_fds=[listening.fileno()]
        )

    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    workers = [start() for _ in range(settings.workers)]
    _announce(settings, listening)
    while not ending:
        time.sleep(0.2)
        for index, worker in enumerate(workers):
            if worker.poll() is not None and not ending:
                warn("a worker has ended and is started again")
                workers[index] = start()
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    codes = [worker.wait() for worker in workers]
    return max(abs(code) for code in codes)


async def _check(settings: Settings) -> None:
    from onetime.app import build  # noqa: PLC0415

    async with build(settings):
        pass


class _JsonLines(logging.Handler):
    """What libraries log, as an event without its values: they may hold anything of a request."""

    def emit(self, record: logging.LogRecord) -> None:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.name,
            "reason": str(record.msg),
        }
        sys.stderr.write(json.dumps(line) + "\n")


def _log_as_json() -> None:
    root = logging.getLogger()
    root.handlers[:] = [_JsonLines()]
    root.setLevel(logging.WARNING)
