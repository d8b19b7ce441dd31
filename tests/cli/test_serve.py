"""One process: its first start, where it listens, and what is left after a kill."""

import secrets
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import Server, serving


def modes(directory: Path) -> dict[str, str]:
    return {
        path.name: f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in [directory, *directory.iterdir()]
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_the_first_start_makes_what_only_its_owner_may_read(umask: int, tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_DISK_RESERVE": "1000000"}, umask=umask) as server:
        server.share("something")
        assert modes(server.data) == {
            "data": "700",
            "root.key": "600",
            "vault.db": "600",
            "vault.db-wal": "600",
            "vault.db-shm": "600",
            "reserve": "600",
        }


def test_it_says_where_the_data_lives_and_where_it_answers(server: Server) -> None:
    assert server.stdout() == [
        f"Secrets are kept in {server.data}",
        f"Onetime is ready at {server.address}",
    ]
    assert server.address.startswith("http://127.0.0.1:")
    assert not server.address.endswith(":0/")


def test_what_is_shared_is_revealed_once(server: Server) -> None:
    secret_key = server.share("correct horse")
    assert server.reveal(secret_key).json()["value"] == "correct horse"
    assert server.reveal(secret_key).status == 404


@pytest.mark.parametrize(
    ("host", "begins"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        # Everywhere: what is printed can be typed into a browser on this machine.
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::", "http://[::1]:"),
    ],
)
def test_it_listens_on_either_kind_of_address(host: str, begins: str, tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_HOST": host}) as server:
        assert server.address.startswith(begins)
        assert server.reveal(server.share("here")).json()["value"] == "here"


def test_it_listens_on_a_socket_file_that_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "onetime.sock"
    with serving(tmp_path, {"ONETIME_HOST": f"unix:{path}"}) as server:
        assert server.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert server.reveal(server.share("here")).json()["value"] == "here"
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        assert not path.exists()


def test_a_socket_file_that_was_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "onetime.sock"
    with serving(tmp_path, {"ONETIME_HOST": f"unix:{path}"}) as server:
        server.kill()
        assert path.exists()
    with serving(tmp_path, {"ONETIME_HOST": f"unix:{path}"}) as server:
        assert server.request("GET", "/health/ready").status == 200


def test_the_variables_of_existing_clients_do_not_stop_it(tmp_path: Path) -> None:
    theirs = {
        "ONETIME_CUSTID": "alice@example.org",
        "ONETIME_APIKEY": "0123456789abcdef",
        "ONETIME_SERVER": "https://eu.onetimesecret.com",
    }
    with serving(tmp_path, theirs) as server:
        assert server.request("GET", "/health/live").status == 200


def test_with_a_public_address_it_says_both(tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_BASE_URL": "https://x.example/ots"}) as server:
        assert server.stdout()[1] == "Links begin with https://x.example/ots/"
        assert server.address.startswith("http://127.0.0.1:")
        assert server.address.endswith("/ots/")
        for path in ("/ots/", "/"):
            page = server.request("GET", path, host="x.example")
            assert page.status == 200
            assert b"/ots/" in page.body


def test_another_host_is_sent_away_and_the_log_names_the_setting(server: Server) -> None:
    assert server.request("GET", "/", host="secrets.example").status == 421
    assert server.request("GET", "/health/ready", host="secrets.example").status == 200
    reasons = [str(line.get("reason")) for line in server.log() if line["event"] == "unknown host"]
    assert len(reasons) == 1
    assert "ONETIME_BASE_URL" in reasons[0]
    assert "secrets.example" not in server.stderr()


def test_limits_that_are_off_are_said_at_every_start(tmp_path: Path) -> None:
    for _ in range(2):
        with serving(tmp_path, {"ONETIME_LIMITS": "off"}) as server:
            said = [line for line in server.log() if line["event"] == "limits are off"]
            assert len(said) == 1
            assert "ONETIME_LIMITS" in said[0]["reason"]


def test_an_address_for_everybody_without_a_public_one_is_warned_about(tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_HOST": "0.0.0.0"}) as server:
        [said] = [line for line in server.log() if line["event"] == "no public address"]
        assert "ONETIME_BASE_URL" in said["reason"]


def test_everything_on_standard_error_is_json(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    server.request("GET", "/health/ready")
    events = [line["event"] for line in server.log()]
    assert "uvicorn.error" in events
    assert "this is not" not in server.stderr()


def test_a_killed_server_comes_back_with_everything_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        keys = [server.share(f"secret {number}") for number in range(20)]
        read, kept = keys[:10], keys[10:]
        for secret_key in read:
            assert server.reveal(secret_key).status == 200
        server.kill()
    with serving(tmp_path) as server:
        assert [server.reveal(secret_key).status for secret_key in read] == [404] * 10
        values = [server.reveal(secret_key).json()["value"] for secret_key in kept]
        assert values == [f"secret {number}" for number in range(10, 20)]


def test_two_that_start_at_once_on_one_directory_share_one_key(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    settings = {"ONETIME_DATA_DIR": str(tmp_path / "shared")}
    servers = [Server(folder, settings).start() for folder in folders]
    try:
        one, two = (server.ready() for server in servers)
        for first, second in ((one, two), (two, one)):
            secret_key = first.share("for either")
            assert second.reveal(secret_key).json()["value"] == "for either"
            assert first.reveal(secret_key).status == 404
        assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == [
            "root.key",
            "vault.db",
            "vault.db-shm",
            "vault.db-wal",
        ]
    finally:
        for server in servers:
            server.kill()


def test_its_root_key_is_on_the_disk_before_it_answers(server: Server) -> None:
    assert len(bytes.fromhex((server.data / "root.key").read_text().strip())) == 32


def test_older_data_is_opened_as_it_is(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        secret_key = server.share("from before")
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
        assert db.execute("SELECT count(*) FROM secret").fetchone() == (1,)
    with serving(tmp_path) as server:
        assert server.reveal(secret_key).json()["value"] == "from before"


def test_a_root_key_is_changed_as_the_page_of_operators_says(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        before = server.share("sealed with the old key")
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    old_key = (server.data / "root.key").rename(server.data / "old.key")
    (server.data / "root.key").write_text(f"{secrets.token_hex(32)}\n")
    (server.data / "root.key").chmod(0o600)
    with serving(tmp_path, {"ONETIME_OLD_ROOT_KEYS_FILE": str(old_key)}) as server:
        after = server.share("sealed with the new key")
        assert server.reveal(before).json()["value"] == "sealed with the old key"
        assert server.reveal(after).json()["value"] == "sealed with the new key"
