"""What stops a start: each with one clear line, an exit code, and nothing left behind."""

import asyncio
import hashlib
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from onetime.app import build
from onetime.settings import Settings
from tests import needs
from tests.cli.running import onetime, serving

KEY = hashlib.sha256(b"the first").hexdigest()
OTHER_KEY = hashlib.sha256(b"another").hexdigest()


def refusal(settings: dict[str, str]) -> str:
    """The line on standard error, after everything around it has been looked at."""
    said = onetime("serve", settings=settings)
    assert (said.returncode, said.stdout) == (78, ""), said
    assert said.stderr.startswith("onetime: ")
    assert said.stderr.count("\n") == 1
    return said.stderr.removeprefix("onetime: ").rstrip("\n")


def make_data(directory: Path) -> Path:
    """As a first start leaves it."""

    async def start() -> None:
        async with build(Settings(data_dir=directory, disk_reserve=0)):
            pass

    asyncio.run(start())
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"ONETIME_PROT": "1"},
            "ONETIME_PROT: there is no such setting; did you mean ONETIME_PORT?",
        ),
        ({"ONETIME_COLOUR": "red"}, "ONETIME_COLOUR: there is no such setting"),
        ({"ONETIME_PORT": "http"}, "ONETIME_PORT: must be a whole number"),
        ({"ONETIME_LIMITS": "no"}, "ONETIME_LIMITS: must be on or off"),
        (
            {"ONETIME_ROOT_KEY": KEY, "ONETIME_ROOT_KEY_FILE": "/run/key"},
            "ONETIME_ROOT_KEY and ONETIME_ROOT_KEY_FILE are both set; keep one",
        ),
        (
            {"ONETIME_ROOT_KEY_FILE": "/nowhere/key"},
            "ONETIME_ROOT_KEY_FILE: cannot read /nowhere/key: No such file or directory",
        ),
        (
            {"ONETIME_TERMS_FILE": "/nowhere/terms"},
            "ONETIME_TERMS_FILE: cannot read /nowhere/terms: No such file or directory",
        ),
        (
            {"ONETIME_MAX_TTL": "60"},
            "ONETIME_DEFAULT_TTL must lie between ONETIME_MIN_TTL and ONETIME_MAX_TTL",
        ),
    ],
)
def test_a_wrong_setting(settings: dict[str, str], line: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert refusal({"ONETIME_DATA_DIR": str(data)} | settings) == line
    assert not data.exists()


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("secret", "must be 32 bytes, written as 64 hexadecimal digits"),
        (KEY[:-2], "must be 32 bytes, written as 64 hexadecimal digits"),
        ("00" * 32, "repeats itself; make one with: openssl rand -hex 32"),
        (bytes(range(32)).hex(), "counts; make one with: openssl rand -hex 32"),
        (b"correct horse battery staple 123".hex(), "is text; make one with: openssl rand -hex 32"),
    ],
)
def test_a_root_key_that_is_none_or_can_be_guessed(key: str, why: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    given = {"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"}
    assert refusal(given | {"ONETIME_ROOT_KEY": key}) == f"ONETIME_ROOT_KEY {why}"
    assert refusal(given | {"ONETIME_OLD_ROOT_KEYS": key}) == f"ONETIME_OLD_ROOT_KEYS {why}"
    (data / "root.key").write_text(key)
    assert refusal(given) == f"{data / 'root.key'} {why}"
    assert not (data / "vault.db").exists()


def test_another_root_key_than_that_of_the_data(data: Path) -> None:
    given = {"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"}
    line = refusal(given | {"ONETIME_ROOT_KEY": OTHER_KEY})
    assert line.startswith(
        "ONETIME_ROOT_KEY (or root.key) is not the key this data was written with"
    )
    (data / "root.key").write_text(OTHER_KEY)
    assert refusal(given) == line


def test_data_without_its_root_key(data: Path) -> None:
    (data / "root.key").unlink()
    line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line.startswith(f"{data / 'root.key'} is missing, but there is data")
    assert not (data / "root.key").exists()


def test_data_of_a_newer_version(data: Path) -> None:
    with closing(sqlite3.connect(data / "vault.db")) as db, db:
        db.execute("UPDATE vault SET schema_version = schema_version + 1")
    line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line.startswith("The vault was written by a newer version (schema ")


def test_a_file_that_is_no_database(data: Path) -> None:
    for path in data.glob("vault.db*"):
        path.unlink()
    (data / "vault.db").write_bytes(b"This was a letter to my aunt. " * 300)
    line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line == f"{data / 'vault.db'}: file is not a database"
    assert (data / "vault.db").read_bytes().startswith(b"This was a letter")


def test_a_database_of_something_else(data: Path) -> None:
    for path in data.glob("vault.db*"):
        path.unlink()
    with closing(sqlite3.connect(data / "vault.db")) as db, db:
        db.execute("CREATE TABLE song (title TEXT)")
    line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line.startswith(f"{data / 'vault.db'}: ")


def test_a_file_in_place_of_the_data_directory(tmp_path: Path) -> None:
    """Permission bits do not bind root, and tests may run as root: this binds everybody."""
    data = tmp_path / "data"
    data.write_text("")
    line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line.startswith(f"ONETIME_DATA_DIR: {data} cannot be written to")
    line = refusal({"ONETIME_DATA_DIR": str(data / "below"), "ONETIME_PORT": "0"})
    assert line.startswith(f"ONETIME_DATA_DIR: {data / 'below'} cannot be written to")


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """A mount over itself that nobody may write to; needs root."""
    needs.root()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    assert mount
    assert umount
    subprocess.run([mount, "--bind", directory, directory], check=True)
    try:
        subprocess.run([mount, "-o", "remount,ro,bind", directory], check=True)
        yield
    finally:
        subprocess.run([umount, directory], check=True)


def test_a_data_directory_on_a_read_only_disk(data: Path) -> None:
    with read_only(data):
        line = refusal({"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"})
    assert line == f"ONETIME_DATA_DIR: {data} cannot be written to (Read-only file system)"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_port_that_is_in_use(host: str, tmp_path: Path) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server(("::1" if ":" in host else "127.0.0.1", 0), family=family) as other:
        port = other.getsockname()[1]
        data = tmp_path / "data"
        line = refusal(
            {"ONETIME_DATA_DIR": str(data), "ONETIME_HOST": host, "ONETIME_PORT": str(port)}
        )
    assert line == f"ONETIME_PORT: port {port} of {host} is in use by another program"
    assert not data.exists()


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    # 192.0.2.0/24 is for documentation and belongs to no machine (RFC 5737).
    line = refusal({"ONETIME_HOST": "192.0.2.1", "ONETIME_DATA_DIR": str(tmp_path / "data")})
    assert line == "ONETIME_HOST: 192.0.2.1 is not an address of this machine"


def test_a_socket_file_that_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "onetime.sock"
    with serving(tmp_path, {"ONETIME_HOST": f"unix:{path}"}) as server:
        line = refusal({"ONETIME_HOST": f"unix:{path}", "ONETIME_DATA_DIR": str(tmp_path / "d")})
        assert line == f"ONETIME_HOST: {path} is in use by another program"
        assert server.request("GET", "/health/ready").status == 200


def test_a_socket_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "onetime.sock"
    path.write_text("mine")
    given = {"ONETIME_DATA_DIR": str(tmp_path / "data")}
    line = refusal(given | {"ONETIME_HOST": f"unix:{path}"})
    assert line == f"ONETIME_HOST: {path} is there and is not a socket"
    assert path.read_text() == "mine"
    line = refusal(given | {"ONETIME_HOST": "unix:/nowhere/onetime.sock"})
    assert line == "ONETIME_HOST: cannot listen on /nowhere/onetime.sock: No such file or directory"
    line = refusal(given | {"ONETIME_HOST": f"unix:/tmp/{'x' * 120}"})
    assert line.endswith(": AF_UNIX path too long")


@pytest.mark.parametrize("settings", [{"ONETIME_WORKERS": "4"}, {"ONETIME_WORKERS": "1"}])
def test_with_any_number_of_workers_it_is_said_once(data: Path, settings: dict[str, str]) -> None:
    (data / "root.key").write_text(OTHER_KEY)
    assert "is not the key" in refusal(
        {"ONETIME_DATA_DIR": str(data), "ONETIME_PORT": "0"} | settings
    )
