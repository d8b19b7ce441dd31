"""What an operator sees: the check of an installation, and its settings."""

import base64
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from onetime import __version__
from onetime.settings import PREFIX, Settings
from onetime.web.pages.static import STYLES
from tests.cli.running import Server, onetime, serving
from tests.needs import ROOT

KEY = hashlib.sha256(b"a root key").hexdigest()
OPERATE = (ROOT / "docs" / "operate.md").read_text()
OTHER_KEY = hashlib.sha256(b"another").hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        server.share("something to keep")
        yield server


def check(data: Path, settings: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """Exit code and lines."""
    given = {"ONETIME_DATA_DIR": str(data), "ONETIME_DISK_RESERVE": "0"}
    said = onetime("admin", "check", settings=given | (settings or {}))
    assert said.stderr == ""
    return said.returncode, said.stdout.splitlines()


def wrong(lines: list[str]) -> list[str]:
    return [line.removeprefix("WRONG ") for line in lines if line.startswith("WRONG ")]


def snapshot(data: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in data.iterdir()}


def test_a_sound_installation_while_it_serves(server: Server) -> None:
    code, lines = check(server.data)
    assert code == 0
    assert lines[:-1] == [
        f"ok    {server.data} can be written to",
        "ok    nobody else can read the data directory",
        f"ok    {server.data / 'vault.db'} is whole",
        "ok    the root key is the one of this data",
        "ok    the vault takes 0 of 10000 megabytes",
    ]
    assert lines[-1].endswith(" megabytes of disk are free")
    secret_key = server.share("and it goes on")
    assert server.reveal(secret_key).json()["value"] == "and it goes on"


def test_a_sound_installation_at_rest(server: Server) -> None:
    server.kill()
    assert check(server.data)[0] == 0


def test_it_changes_nothing(server: Server) -> None:
    """Not even the key that the data belongs to, where the operator is about to change it."""
    server.kill()
    old_key = (server.data / "root.key").read_text().strip()
    check(server.data)
    before = snapshot(server.data)
    code, _ = check(server.data, {"ONETIME_ROOT_KEY": KEY, "ONETIME_OLD_ROOT_KEYS": old_key})
    assert code == 0
    assert snapshot(server.data) == before


def test_an_installation_that_is_not_there(tmp_path: Path) -> None:
    data = tmp_path / "nothing"
    code, lines = check(data)
    assert (code, lines) == (1, [f"WRONG there is no vault in {data}; onetime serve makes one"])
    assert not data.exists()


def test_what_others_can_read(server: Server) -> None:
    (server.data / "vault.db").chmod(0o640)
    server.data.chmod(0o755)
    code, lines = check(server.data)
    assert code == 1
    vault = server.data / "vault.db"
    assert wrong(lines) == [
        f"{server.data} can be read by others (mode 755); cure: chmod go= {server.data}",
        f"{vault} can be read by others (mode 640); cure: chmod go= {vault}",
    ]


def test_another_root_key(server: Server) -> None:
    code, lines = check(server.data, {"ONETIME_ROOT_KEY": OTHER_KEY})
    assert code == 1
    assert wrong(lines)[0] == "the root key is not the one that this data was written with"


def test_a_root_key_that_is_missing(server: Server) -> None:
    (server.data / "root.key").unlink()
    code, lines = check(server.data)
    assert code == 1
    assert "is missing, but there is data" in wrong(lines)[0]
    assert not (server.data / "root.key").exists()


def test_older_root_keys(server: Server) -> None:
    old_key = (server.data / "root.key").read_text().strip()
    server.kill()
    rotated = {"ONETIME_ROOT_KEY": KEY, "ONETIME_OLD_ROOT_KEYS": old_key}
    (server.folder / "next").mkdir()
    shutil.copytree(server.data, server.folder / "next" / "data")
    with serving(server.folder / "next", rotated) as after:
        code, lines = check(after.data, rotated)
        assert code == 0
        assert any(line.startswith("ok    an older root key is needed until 20") for line in lines)
        code, lines = check(after.data, {"ONETIME_ROOT_KEY": KEY})
        assert code == 1
        assert wrong(lines)[0].startswith("a root key that secrets need until 20")
        with closing(sqlite3.connect(after.data / "vault.db")) as db, db:
            db.execute("UPDATE root_key SET needed_until = 1")
        code, lines = check(after.data, rotated)
        assert code == 0
        assert any("older root key is needed no more" in line for line in lines)


def test_a_file_with_a_fault(server: Server) -> None:
    for number in range(200):
        server.share(f"{number} " + "x" * 2000)
    server.kill()
    with closing(sqlite3.connect(server.data / "vault.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (server.data / "vault.db").open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for at in range(3 * 4096, size, 2 * 4096):
            file.seek(at)
            file.write(b"\xa5" * 64)
    code, lines = check(server.data)
    assert code == 1
    assert any(str(server.data / "vault.db") in line for line in wrong(lines))


def test_a_file_that_is_no_vault(server: Server) -> None:
    server.kill()
    for path in server.data.glob("vault.db*"):
        path.unlink()
    (server.data / "vault.db").write_bytes(b"a letter to my aunt " * 500)
    (server.data / "vault.db").chmod(0o600)
    code, lines = check(server.data)
    assert code == 1
    assert f"{server.data / 'vault.db'}: file is not a database" in wrong(lines)


def test_data_of_a_newer_version(server: Server) -> None:
    with closing(sqlite3.connect(server.data / "vault.db")) as db, db:
        db.execute("UPDATE vault SET schema_version = schema_version + 1")
    code, lines = check(server.data)
    assert code == 1
    assert wrong(lines)[0].startswith("the vault was written by a newer version")


def test_no_room(server: Server) -> None:
    for number in range(12):
        server.share(f"{number} " + "x" * 99_000)
    code, lines = check(server.data, {"ONETIME_VAULT_MAX_BYTES": "1000000"})
    assert (code, wrong(lines)) == (1, ["the vault takes 1 of 1 megabytes"])
    code, lines = check(server.data, {"ONETIME_DISK_RESERVE": str(10**18)})
    assert code == 1
    assert wrong(lines)[0].startswith("the disk reserve is given up: ")
    assert wrong(lines)[1].endswith("megabytes of disk are free")


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    for command in ("check", "settings"):
        said = onetime("admin", command, settings={"ONETIME_PORT": "http"})
        line = "onetime: ONETIME_PORT: must be a whole number\n"
        assert (said.returncode, said.stdout, said.stderr) == (78, "", line)


def test_the_settings_in_force(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    said = onetime(
        "admin",
        "settings",
        settings={
            "ONETIME_ROOT_KEY_FILE": str(key),
            "ONETIME_PORT": "8080",
            "ONETIME_LIMITS": "off",
            "ONETIME_TRUSTED_PROXIES": "10.0.0.1,fd00::/8",
            "ONETIME_BASE_URL": "https://X.example",
        },
    )
    shown = dict(line.split("=", 1) for line in said.stdout.splitlines())
    assert list(shown) == [PREFIX + each.name.upper() for each in fields(Settings)]
    assert shown["ONETIME_ROOT_KEY"] == "***"
    assert shown["ONETIME_OLD_ROOT_KEYS"] == ""
    assert shown["ONETIME_PORT"] == "8080"
    assert shown["ONETIME_LIMITS"] == "off"
    assert shown["ONETIME_TRUSTED_PROXIES"] == "10.0.0.1/32,fd00::/8"
    assert shown["ONETIME_BASE_URL"] == "https://x.example/"
    assert KEY not in said.stdout + said.stderr


def test_what_is_shown_can_be_set_again(tmp_path: Path) -> None:
    shown = dict(line.split("=", 1) for line in onetime("admin", "settings").stdout.splitlines())
    again = onetime("admin", "settings", settings=shown).stdout
    assert dict(line.split("=", 1) for line in again.splitlines()) == shown


# What browsers are given

STATIC = ROOT / "src" / "onetime" / "static"


@dataclass(frozen=True)
class Listed:
    text: str

    @property
    def hashes(self) -> dict[str, str]:
        """By paths."""
        return {line[66:]: line[:64] for line in self.text.splitlines()}


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    """What is printed where there is nothing of an installation, and nothing comes to be."""
    empty = tmp_path / "empty"
    empty.mkdir()
    said = onetime("admin", "assets", settings={"ONETIME_DATA_DIR": str(empty / "data")}, cwd=empty)
    assert (said.returncode, said.stderr) == (0, "")
    assert list(empty.iterdir()) == []
    return Listed(said.stdout)


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_hash_of_every_file_is_that_of_what_is_served(listed: Listed, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        served = {path: server.request("GET", f"/{path}") for path in listed.hashes}
        page = server.request("GET", "/").body.decode()
    assert {path: hashed(answer.body) for path, answer in served.items()} == listed.hashes
    # At the address that pages name, and nothing that they name is left out.
    assert {answer.headers["cache-control"] for answer in served.values()} == {
        "public, max-age=31536000, immutable"
    }
    named = set(re.findall(r'(?:href|src)="/(static/[^"]+)"', page))
    assert len(named) >= 3
    assert named <= listed.hashes.keys()


def test_the_hash_of_every_file_is_that_of_the_one_in_the_repository(listed: Listed) -> None:
    static = ROOT / "src" / "onetime" / "static"
    hashes = {path.split("/", 2)[2]: found for path, found in listed.hashes.items()}
    files = {
        path.relative_to(static).as_posix(): hashed(path.read_bytes())
        for path in static.rglob("*")
        if path.is_file() and path.suffix != ".css"
    }
    # The parts of the style sheet are served as one.
    assert hashes.keys() - files.keys() == {"css/look.css"}
    parts = [static / "css" / f"{name}.css" for name in STYLES]
    files["css/look.css"] = hashed(b"\n".join(part.read_bytes() for part in parts))
    assert hashes == files


# What the document asks of curl, for machines without it.
CURL = f"""#!{sys.executable}
import pathlib, sys, urllib.request
*flags, path, address = sys.argv[1:]
assert flags == ["-sSf", "--create-dirs", "-o"], flags
pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
urllib.request.urlretrieve(address, path)
"""


def test_the_commands_of_the_document_find_a_file_that_is_another(
    listed: Listed, tmp_path: Path
) -> None:
    found = re.search(
        r"(?<=    \$ )while read.*?--strict SHA256SUMS$", OPERATE, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    script = found[0].replace("\n    $ ", "\n").replace("https://secrets.example/", "$SERVER")
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL)
    curl.chmod(0o755)
    path = f"{curl.parent}:{os.environ['PATH']}"
    first = next(iter(listed.hashes))
    same = (listed.text, 0, "")
    other = ("0" * 64 + listed.text[64:], 1, f"{first}: FAILED\n")
    with serving(tmp_path) as server:
        for text, code, printed in (same, other):
            folder = tmp_path / str(code)
            folder.mkdir()
            (folder / "SHA256SUMS").write_text(text)
            said = subprocess.run(
                ["/bin/sh", "-euc", script],
                cwd=folder,
                env=os.environ | {"PATH": path, "SERVER": server.address},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (said.returncode, said.stdout) == (code, printed), said.stderr


def test_the_same_list_for_programs(listed: Listed) -> None:
    said = json.loads(onetime("admin", "assets", "--json").stdout)
    assert said["version"] == __version__
    assert {each["path"]: each["sha256"] for each in said["files"]} == listed.hashes
    assert {each["path"].rpartition(said["folder"] + "/")[0] for each in said["files"]} == {""}
    for each in said["files"]:
        kind, _, digest = each["integrity"].partition("-")
        assert kind == "sha256"
        assert base64.b64decode(digest).hex() == each["sha256"]
        assert each["size_bytes"] > 0
