"""The socket that the service listens on: an address and a port, or a file."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onetime.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onetime.settings import Settings

BACKLOG = 2048


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
