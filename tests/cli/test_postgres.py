"""`onetime serve` with its vault in PostgreSQL: several processes, and a database that goes and comes back."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.cli.running import ONETIME, Server, environ, onetime, serving, until
from tests.storage import postgres

# From a request to 503, with what a busy machine adds.
AWAY_SECONDS = 4.0


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.Server]:
    needs.need("postgres")
    server = postgres.Server()
    asyncio.run(server.make_database(shifted=False))
    yield server
    server.remove()


@pytest.fixture
def server(database: postgres.Server, tmp_path: Path) -> Iterator[Server]:
    settings = {"ONETIME_VAULT_URL": database.url(), "ONETIME_WORKERS": "2"}
    asyncio.run(database.empty())
    with serving(tmp_path, settings) as server:
        yield server


def test_it_says_where_secrets_are_and_both_workers_give_each_once(
    server: Server, database: postgres.Server
) -> None:
    assert f"Secrets are kept in postgresql://127.0.0.1:{database.port}/onetime" in server.stdout()
    assert sorted(path.name for path in server.data.iterdir()) == ["root.key"]
    for number in range(20):
        secret_key = server.share(f"secret {number}")
        assert server.reveal(secret_key).json()["value"] == f"secret {number}"
        assert server.reveal(secret_key).status == 404


def test_a_database_that_is_away_is_503_at_once_and_service_resumes_by_itself(
    server: Server, database: postgres.Server
) -> None:
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


def test_a_start_without_its_database_is_one_line(
    database: postgres.Server, tmp_path: Path
) -> None:
    for url, code, said in (
        ("postgresql://onetime:hushhush@127.0.0.1:1/onetime", 75, "cannot be reached"),
        (f"postgresql://nobody:hushhush@127.0.0.1:{database.port}/onetime", 78, "PostgreSQL: "),
    ):
        settings = {"ONETIME_DATA_DIR": str(tmp_path / "data"), "ONETIME_VAULT_URL": url}
        for command in ("serve", "admin check", "admin prepare"):
            ended = onetime(*command.split(), settings=settings, cwd=tmp_path)
            (line,) = [each for each in (ended.stdout + ended.stderr).splitlines() if said in each]
            assert "ONETIME_VAULT_URL" in line
            assert ended.returncode == (1 if command == "admin check" else code)
            assert "hushhush" not in ended.stdout + ended.stderr
            assert "Traceback" not in ended.stderr


def test_ten_processes_may_prepare_at_once(database: postgres.Server, tmp_path: Path) -> None:
    asyncio.run(database.run("CREATE DATABASE ten OWNER onetime", database="postgres"))
    settings = {
        "ONETIME_DATA_DIR": str(tmp_path / "data"),
        "ONETIME_VAULT_URL": database.url(database="ten"),
    }
    started = [
        subprocess.Popen(
            [ONETIME, "admin", "prepare"],
            env=environ(settings),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(10)
    ]
    for process in started:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert onetime("admin", "check", settings=settings, cwd=tmp_path).returncode == 0


def test_prepare_makes_the_schema_and_check_finds_it(
    database: postgres.Server, tmp_path: Path
) -> None:
    asyncio.run(database.run("CREATE DATABASE made OWNER onetime", database="postgres"))
    settings = {
        "ONETIME_DATA_DIR": str(tmp_path / "data"),
        "ONETIME_VAULT_URL": database.url(database="made"),
    }
    assert onetime("admin", "check", settings=settings, cwd=tmp_path).returncode == 1
    prepared = onetime("admin", "prepare", settings=settings, cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    checked = onetime("admin", "check", settings=settings, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    without = onetime(
        "admin", "prepare", settings={"ONETIME_DATA_DIR": str(tmp_path)}, cwd=tmp_path
    )
    assert without.returncode == 78
