"""`onetime serve`: bind, start, serve, drain.

One process serves by default. With more ONETIME_WORKERS, the first process binds the socket, starts the others on it, and
starts one again that has died. A worker's standard input is a pipe that only the first process holds open: when it closes,
the first process is no more, however it ended, and the worker drains and ends as well.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import ipaddress
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onetime.cli.terminal import exit_code, say
from onetime.errors import Misconfigured, OnetimeError, Unavailable
from onetime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import uvicorn

    from onetime.app import App
    from onetime.log import Log

# Modules of the extra `server`; the command alone is installed without them.
PARTS = ("babel", "httptools", "jinja2", "msgspec", "python_multipart", "uvicorn", "uvloop")

# From SIGTERM on, running requests have this long to finish. Supervisors usually kill after 30 seconds.
DRAIN_SECONDS = 20
BACKLOG = 2048

# Request line and headers together. Browsers and proxies stay far below; uvicorn itself has no bound here. What comes in one
# piece from the network may be larger by that piece.
MOST_HEAD_BYTES = 65_536
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})

# A worker that ends this soon after its start has not served. The next start waits a second, then twice as long each time.
SHORT_LIFE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 30.0
# How long after its drain time a worker is killed.
PATIENCE_SECONDS = 5.0


@click.command()
@click.option("--socket-fd", type=int, hidden=True, help="An inherited socket; set for workers.")
def serve(socket_fd: int | None) -> None:
    """Run the service.

    It is configured by environment variables; `onetime admin settings` shows them.
    """
    os.umask(0o077)
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


# The socket


@contextmanager
def listening_on(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; its file, if it has one, goes with it.

    Raises:
        Misconfigured: the port is in use, the address is not ours, or we may not.
    """
    if not host.startswith("unix:"):
        with _bind(host, port) as listening:
            yield listening
        return
    path = Path(host.removeprefix("unix:"))
    with _bind_file(path) as listening:
        made = path.stat().st_ino
        try:
            yield listening
        finally:
            if path.exists() and path.stat().st_ino == made:
                path.unlink()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise Misconfigured(
                f"ONETIME_PORT: port {port} of {host} is in use by another program"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise Misconfigured(f"ONETIME_HOST: {host} is not an address of this machine") from None
        raise Misconfigured(f"ONETIME_HOST: cannot listen on {host}: {_reason(error)}") from None
    return listening


def _bind_file(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        listening.bind(str(path))
        # A proxy of the same group may connect.
        path.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Misconfigured(f"ONETIME_HOST: cannot listen on {path}: {_reason(error)}") from None
    except Misconfigured:
        listening.close()
        raise
    return listening


def _remove_left_over(path: Path) -> None:
    """A socket file that nobody listens on was left by a process that is no more."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise Misconfigured(f"ONETIME_HOST: {path} is there and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise Misconfigured(f"ONETIME_HOST: {path} is in use by another program")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def address(settings: Settings, listening: socket.socket) -> str:
    """Where it can be reached from this machine."""
    name = listening.getsockname()
    if isinstance(name, str | bytes):
        return f"unix:{os.fsdecode(name)}"
    host = ipaddress.ip_address(name[0])
    if host.is_unspecified:
        host = ipaddress.ip_address("127.0.0.1" if host.version == 4 else "::1")
    shown = f"[{host}]" if host.version == 6 else f"{host}"
    return f"http://{shown}:{name[1]}{settings.base_path}/"


def _announce(settings: Settings, listening: socket.socket, log: Log) -> None:
    if not settings.limits:
        log.warning("limits are off", reason="ONETIME_LIMITS is off: no network has a budget")
    if not settings.base_url and not _is_loopback(settings.host):
        log.warning(
            "no public address",
            reason="ONETIME_BASE_URL is not set: only requests to loopback and to the bound address are answered",
        )
    say(f"Secrets are kept in {settings.data_dir.absolute()}")
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


def _server(app: App) -> uvicorn.Server:
    import uvicorn  # noqa: PLC0415
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol  # noqa: PLC0415

    from onetime.web import security  # noqa: PLC0415
    from onetime.web.asgi import Web  # noqa: PLC0415

    lines = [*security.headers(app.settings), *security.NO_STORE]
    headers = b"".join(b"%b: %b\r\n" % line for line in lines)

    class Connection(HttpToolsProtocol):
        """What cannot be understood as HTTP is refused in JSON and with our headers, like everything else under /api."""

        head_bytes = 0

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            scope: object = self.scope
            if not isinstance(scope, dict) or "path" in scope:  # between two heads
                self.head_bytes = 0
                return
            self.head_bytes += len(data)
            if self.head_bytes > MOST_HEAD_BYTES:
                self._refuse(431, b'{"error":"Request Header Fields Too Large"}')

        def on_headers_complete(self) -> None:
            # The parser ends a request that wishes for another protocol at its head, and would take its body for the next
            # request: a stranger's, where a proxy shares the connection among callers.
            if self.parser.should_upgrade() and any(
                name in BODY_HEADERS for name, _ in self.headers
            ):
                raise ValueError
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - always the same words
            self._refuse(400, b'{"error":"Bad Request"}')

        def _refuse(self, status: int, content: bytes) -> None:
            if self.transport.is_closing():
                return
            length = b"content-length: %d\r\n" % len(content)
            kind = b"content-type: application/json; charset=utf-8\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + headers + length + kind + content)
            self.transport.close()

        def _unsupported_upgrade_warning(self) -> None:
            """Nothing to warn of: the request is answered, its wish for another protocol is not."""

    class Server(uvicorn.Server):
        """Signals are ours: uvicorn would raise them again at the end, before the store is closed."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            Web(app),
            http=Connection,
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


def _supervise(settings: Settings, listening: socket.socket) -> int:
    """Start the workers, start again what dies, pass the end on."""
    from onetime.log import Log  # noqa: PLC0415

    # Everything that forbids a start is said once, here.
    asyncio.run(_check(settings))
    log = Log(time.time)
    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    # The other end stays open as long as this process lives, and in this process alone.
    pipe, _ = os.pipe()
    workers = [Worker() for _ in range(settings.workers)]
    for worker in workers:
        _start(worker, listening, pipe)
    _announce(settings, listening, log)
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
    return _stop([worker.process for worker in workers if worker.process is not None])


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


def _stop(processes: list[subprocess.Popen[bytes]]) -> int:
    """0 when all have drained and ended."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + DRAIN_SECONDS + PATIENCE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    # One that was told to end before it listened for that ends by the signal itself.
    return int(any(process.returncode not in {0, -signal.SIGTERM} for process in processes))


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
