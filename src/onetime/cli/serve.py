"""`onetime serve`: bind, start, serve, drain.

One process serves by default. With more ONETIME_WORKERS, the first process binds the socket and looks after the others
(cli/workers.py).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from onetime.cli.listening import BACKLOG, address, listening_on
from onetime.cli.terminal import exit_code, say
from onetime.cli.workers import supervise
from onetime.errors import Misconfigured, OnetimeError, Unavailable
from onetime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn

    from onetime.app import App
    from onetime.log import Log

# Modules of the extra `server`; the command alone is installed without them.
PARTS = (
    "argon2",
    "babel",
    "httptools",
    "jinja2",
    "msgspec",
    "python_multipart",
    "uvicorn",
    "uvloop",
)

# From SIGTERM on, running requests have this long to finish. Supervisors usually kill after 30 seconds.
DRAIN_SECONDS = 20

# New objects between two collections; Python's own 700 would be one for every ten requests.
GARBAGE = 20_000

# How long after its drain time a worker is killed.
PATIENCE_SECONDS = 5.0


@click.command()
@click.option("--socket-fd", type=int, hidden=True, help="An inherited socket; set for workers.")
def serve(socket_fd: int | None) -> None:
    """Run the service.

    It is configured by environment variables; `onetime admin settings` shows them.
    """
    os.umask(0o077)
    # A process that dies must not leave its memory, which holds texts that are on their way, in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allow_files()
    settings = Settings.from_env(os.environ)
    need_parts()
    if socket_fd is not None:
        _work(settings, socket.socket(fileno=socket_fd))
        return
    with listening_on(settings.host, settings.port) as listening:
        if settings.workers == 1:
            _run(settings, listening, is_worker=False)
        else:
            raise SystemExit(_supervise(settings, listening))


def _allow_files() -> None:
    """As many as the system grants: each connection is one, and the usual soft limit is for programs that use select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a hard limit and do not grant it.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def need_parts() -> None:
    """
    Raises:
        Misconfigured: the command is installed without what serves.
    """
    try:
        for name in PARTS:
            importlib.import_module(name)
    except ImportError as error:
        raise Misconfigured(
            f"{error.name} is not installed; to serve: pip install 'onetime[server]'"
        ) from None


def _announce(settings: Settings, listening: socket.socket, log: Log) -> None:
    if not settings.limits:
        log.warning("limits are off", reason="ONETIME_LIMITS is off: no network has a budget")
    if not settings.base_url and not _is_loopback(settings.host):
        log.warning(
            "no public address",
            reason="ONETIME_BASE_URL is not set: only requests to loopback and to the bound address are answered",
        )
    say(f"Secrets are kept in {settings.vault_place}")
    if settings.base_url:
        say(f"Links begin with {settings.base_url}")
    say(f"Onetime is ready at {address(settings, listening)}")


def _is_loopback(host: str) -> bool:
    return not host.startswith("unix:") and ipaddress.ip_address(host).is_loopback


# One process


def _run(settings: Settings, listening: socket.socket, *, is_worker: bool) -> None:
    import uvloop  # noqa: PLC0415 - the command alone is installed without it

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listening, is_worker=is_worker))


async def _serve(settings: Settings, listening: socket.socket, *, is_worker: bool) -> None:
    from onetime import background  # noqa: PLC0415
    from onetime.app import build  # noqa: PLC0415

    _log_as_json()
    async with build(settings) as app:
        server = _server(app)
        _collect_less_often()
        _end_on_signals(server)
        if is_worker:
            _end_with_first_process(server)
        else:
            _announce(settings, listening, app.log)
        loops = asyncio.create_task(background.run(app))
        try:
            await server.serve(sockets=[listening])
        finally:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
            try:
                await app.store.scrub()
            except Unavailable as error:
                app.log.warning("scrub failed", reason=str(error))


def _collect_less_often() -> None:
    """What stands now stays, and a request leaves no cycles: the collector needs not walk through everything so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 100)


def _server(app: App) -> uvicorn.Server:
    import uvicorn  # noqa: PLC0415

    from onetime.web import connection, security  # noqa: PLC0415
    from onetime.web.asgi import Web  # noqa: PLC0415

    lines = [*security.headers(app.settings), *security.NO_STORE]
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connection.most_open(files)

    def is_full() -> None:
        app.log.warning(
            "too many connections",
            count=most,
            reason="As many connections are open as one process may have; more are refused",
        )

    class Ours(connection.Connection):
        bounds = connection.Bounds(
            patience_seconds=connection.patience_seconds(app.body_limit),
            most_open=most,
            refusal_headers=b"".join(b"%b: %b\r\n" % line for line in lines),
            when_full=is_full,
        )

    class Server(uvicorn.Server):
        """Signals are ours: uvicorn would raise them again at the end, before the store is closed."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            Web(app),
            http=Ours,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )


def _end_on_signals(server: uvicorn.Server) -> None:
    """The first signal drains; a second Ctrl+C waits for nobody."""

    def interrupt() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
    loop.add_signal_handler(signal.SIGINT, interrupt)


def _end_with_first_process(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    pipe = sys.stdin.fileno()

    def closed() -> None:
        loop.remove_reader(pipe)
        server.should_exit = True

    loop.add_reader(pipe, closed)


# Several processes


def _work(settings: Settings, listening: socket.socket) -> None:
    """What forbids a start was on the terminal when the first process started; a worker has only the log."""
    from onetime.log import Log  # noqa: PLC0415

    try:
        _run(settings, listening, is_worker=True)
    except OnetimeError as error:
        Log(time.time).failure("worker cannot serve", reason=str(error))
        raise SystemExit(exit_code(error)) from None


def _supervise(settings: Settings, listening: socket.socket) -> int:
    from onetime.log import Log  # noqa: PLC0415

    # Everything that forbids a start is said once, here.
    asyncio.run(_check(settings))
    log = Log(time.time)
    return supervise(
        settings.workers,
        listening,
        log,
        started=lambda: _announce(settings, listening, log),
        patience=DRAIN_SECONDS + PATIENCE_SECONDS,
    )


async def _check(settings: Settings) -> None:
    from onetime.app import build  # noqa: PLC0415

    async with build(settings):
        pass


# Logs of libraries


class JsonLines(logging.Handler):
    """What libraries log, as an event without its values: they may hold anything of a request."""

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.name,
            "where": f"{record.module}:{record.lineno}",
        }
        if record.exc_info and record.exc_info[0]:
            line["reason"] = record.exc_info[0].__name__
        elif record.name.startswith("uvicorn"):
            # Its messages are constants with places for values; asyncio's are ready text.
            line["reason"] = str(record.msg)
        sys.stderr.write(json.dumps(line) + "\n")


def _log_as_json() -> None:
    root = logging.getLogger()
    root.handlers[:] = [JsonLines()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
