"""`onetime serve` with its vault in Valkey: several processes, and a server that goes and comes back."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.cli.running import Server, onetime, serving, until
from tests.storage import valkey

# From a request to 503, with what a busy machine adds.
AWAY_SECONDS = 4.0


@pytest.fixture(scope="module")
def database() -> Iterator[valkey.Server]:
    needs.need("valkey")
    server = valkey.Server()
    yield server
    server.remove()


@pytest.fixture
def server(database: valkey.Server, tmp_path: Path) -> Iterator[Server]:
    settings = {"ONETIME_VAULT_URL": database.url(), "ONETIME_WORKERS": "2"}
    asyncio.run(database.ask("FLUSHALL"))
    with serving(tmp_path, settings) as server:
        yield server


def test_it_says_where_secrets_are_and_gives_each_once_also_after_the_server_was_away(
    server: Server, database: valkey.Server
) -> None:
    assert f"Secrets are kept in valkey://127.0.0.1:{database.port}" in server.stdout()
    assert sorted(path.name for path in server.data.iterdir()) == ["root.key"]
    for number in range(20):
        secret_key = server.share(f"secret {number}")
        assert server.reveal(secret_key).json()["value"] == f"secret {number}"
        assert server.reveal(secret_key).status == 404
    secret_key = server.share("still here")
    database.stop()
    try:
        for method, path in (
            ("GET", "/health/ready"),
            ("POST", f"/api/v1/secret/{secret_key}"),
            ("GET", f"/secret/{secret_key}"),
        ):
            begun = time.monotonic()
            answer = server.request(method, path, form={} if method == "POST" else None)
            assert (answer.status, time.monotonic() - begun < AWAY_SECONDS) == (503, True), path
            assert int({name.lower(): text for name, text in answer.headers.items()}["retry-after"])
        assert server.request("GET", "/health/live").status == 200
    finally:
        database.start()
    until(lambda: server.request("GET", "/health/ready").status == 200)
    assert server.reveal(secret_key).json()["value"] == "still here"
    assert len(server.workers()) == 2


def test_a_start_without_its_server_is_one_line(database: valkey.Server, tmp_path: Path) -> None:
    for url, code, said in (
        ("valkey://onetime:hushhush@127.0.0.1:1", 75, "cannot be reached"),
        (database.url(user="nobody:hushhush@"), 78, "refuses this user or password"),
    ):
        settings = {"ONETIME_DATA_DIR": str(tmp_path / "data"), "ONETIME_VAULT_URL": url}
        for command in ("serve", "admin check", "admin prepare"):
            ended = onetime(*command.split(), settings=settings, cwd=tmp_path)
            (line,) = [each for each in (ended.stdout + ended.stderr).splitlines() if said in each]
            assert "ONETIME_VAULT_URL" in line
            assert ended.returncode == (1 if command == "admin check" else code)
            assert "hushhush" not in ended.stdout + ended.stderr
            assert "Traceback" not in ended.stderr


def test_prepare_loads_the_functions_and_check_finds_them(
    database: valkey.Server, tmp_path: Path
) -> None:
    for what in (["FUNCTION", "FLUSH"], ["FLUSHALL"]):
        asyncio.run(database.ask(*what))
    settings = {"ONETIME_DATA_DIR": str(tmp_path / "data"), "ONETIME_VAULT_URL": database.url()}
    assert onetime("admin", "check", settings=settings, cwd=tmp_path).returncode == 1
    prepared = onetime("admin", "prepare", settings=settings, cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    checked = onetime("admin", "check", settings=settings, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
