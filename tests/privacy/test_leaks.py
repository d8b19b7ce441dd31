"""Nothing that people send turns up in what the server prints or in any file it writes.

Each way through the service is taken against a live server, once straight and once through a proxy that it trusts; then
every form of every canary is looked for, while it runs and after it has stopped.
"""

import asyncio
import contextlib
import io
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from onetime import background
from onetime.app import build
from onetime.crypto import ids
from onetime.log import FIELDS, Log
from onetime.model import Concealed
from onetime.settings import Settings
from onetime.storage.vault import eraser
from onetime.storage.vault.eraser import Eraser
from tests.privacy import canary, journeys
from tests.privacy.canary import Canary
from tests.privacy.journeys import CANARIES, SECRET, Visitor
from tests.privacy.leaky import LEAKS
from tests.privacy.server import serving

# Whole journeys, every file searched: for `make faults`.
pytestmark = pytest.mark.full


def api(visitor: Visitor) -> None:
    journeys.use_api(visitor)
    journeys.use_records(visitor)
    journeys.share_by_api(visitor)


def pages(visitor: Visitor) -> None:
    journeys.use_pages(visitor)
    journeys.share_by_page(visitor, passphrase=journeys.PASSPHRASE.value)


def wrong_requests(visitor: Visitor) -> None:
    key, _ = journeys.share(visitor, passphrase=journeys.PASSPHRASE.value)
    journeys.hostile(visitor, key)


# What is done, and the settings it is done with.
WAYS: dict[str, tuple[Callable[[Visitor], None], dict[str, str]]] = {
    "API v1": (api, {}),
    "API v1, two processes": (api, {"WORKERS": "2"}),
    "pages": (pages, {}),
    "wrong requests": (wrong_requests, {}),
}


@dataclass
class Run:
    """What was found after one way had been taken."""

    running: dict[str, bytes]
    stopped: dict[str, bytes] = field(default_factory=dict)
    exit_code: int = -1
    keys: list[Canary] = field(default_factory=list)


@pytest.fixture(scope="module", params=list(WAYS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("server")
    use, settings = WAYS[request.param]
    with serving(folder, TRUSTED_PROXIES="127.0.0.1", METRICS="on", **settings) as server:
        straight = Visitor(server.url)
        proxied = [
            Visitor(server.url, source="127.0.0.1", forwarded=forwarded)
            for forwarded in (
                journeys.FORWARDED,
                f"{journeys.JUNK.value}, {journeys.FORWARDED_6}",
            )
        ]
        for visitor in (straight, *proxied):
            use(visitor)
        metrics = Visitor(server.url, source="127.0.0.1").send("GET", "/metrics")
        assert metrics.status == 200
        run = Run(server.places() | {"metrics": metrics.content})
        run.keys = [each for visitor in (straight, *proxied) for each in visitor.given]
        run.exit_code = server.stop()
        run.stopped = server.places()
        yield run


def test_nothing_that_was_sent_is_anywhere_while_it_runs(run: Run) -> None:
    files = {"data/vault.db", "data/vault.db-wal", "data/root.key"}
    assert {*files, "stdout", "stderr"} <= run.running.keys()
    assert canary.search(canary.needles(CANARIES), run.running) == []


def test_nothing_that_was_sent_is_anywhere_after_it_stopped(run: Run) -> None:
    assert run.exit_code == 0
    assert canary.search(canary.needles(CANARIES), run.stopped) == []


def test_no_key_that_was_given_out_is_anywhere(run: Run) -> None:
    assert run.keys
    for places in (run.running, run.stopped):
        assert canary.search(canary.needles(run.keys), places) == []


def test_the_store_does_know_them_by_their_own_hashes(run: Run) -> None:
    """Else the search above would look at the wrong files."""
    everything = b"".join(run.running.values())

    names = [each for each in run.keys if each.name in {"secret key", "receipt key"}]

    for each in names:
        own = ids.secret_id if each.name == "secret key" else ids.receipt_id
        assert own(each.value) in everything


def test_the_log_holds_its_fields_alone_and_something_of_every_request(run: Run) -> None:
    lines = run.stopped["stderr"].splitlines()

    assert lines
    for line in lines:
        found = json.loads(line)
        assert found.keys() <= set(FIELDS), line


@pytest.mark.parametrize("name", list(LEAKS))
def test_a_server_that_leaks_is_caught(name: str, tmp_path: Path) -> None:
    _, expected = LEAKS[name]
    with serving(tmp_path, ("tests.privacy.leaky", name), LIMITS="on") as server:
        visitor = Visitor(server.url)
        key, _ = journeys.share(visitor)
        visitor.form(f"/api/v1/secret/{key}", {"passphrase": journeys.PASSPHRASE.value})
        needles = canary.needles([*CANARIES, *visitor.given])
        found = canary.search(needles, server.places())

    assert any(fnmatch(each, expected) for each in found), found


@pytest.mark.parametrize("passphrase", ["", journeys.PASSPHRASE.value])
def test_a_secret_that_was_read_or_burned_is_in_no_file(passphrase: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        visitor = Visitor(server.url)
        with_passphrase = {"passphrase": passphrase} if passphrase else {}
        read, _ = journeys.share(visitor, **with_passphrase)
        _, burned = journeys.share(visitor, **with_passphrase)
        long, _ = journeys.share(visitor, secret=SECRET.value * 800, **with_passphrase)
        journeys.share(visitor, **with_passphrase)
        bodies = {
            f"body {number}, {at}": chunk
            for number, body in server.rows("SELECT number, body FROM secret")
            for at, chunk in enumerate(canary.chunks(bytes(body)))  # type: ignore[call-overload]
        }
        lying = canary.search(bodies, server.places())
        assert {each.split(" ")[2] for each in lying} == {"1,", "2,", "3,", "4,"}

        assert visitor.form(f"/api/v1/secret/{read}", with_passphrase).status == 200
        assert visitor.form(f"/api/v1/secret/{long}", with_passphrase).status == 200
        assert visitor.form(f"/api/v1/private/{burned}/burn", with_passphrase).status == 200
        assert server.stop() == 0

        left = canary.search(bodies, server.places())
        assert {each.split(" ")[2] for each in left} == {"4,"}


def test_what_was_taken_before_a_crash_is_in_no_file_after_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        visitor = Visitor(server.url)
        key, _ = journeys.share(visitor, secret=SECRET.value * 100)
        ((body,),) = server.rows("SELECT body FROM secret")
        assert isinstance(body, bytes)
        pieces = {str(at): chunk for at, chunk in enumerate(canary.chunks(body))}
        assert visitor.form(f"/api/v1/secret/{key}", {}).status == 200
        server.kill()
        assert canary.search(pieces, server.places())

    with serving(tmp_path) as server:
        deadline = time.monotonic() + 30
        while canary.search(pieces, server.places()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert canary.search(pieces, server.places()) == []


async def test_what_was_taken_is_in_no_file_while_the_service_runs(tmp_path: Path) -> None:
    """What the loops do, with the files open: it does not take the end of the program."""
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    async with build(settings, log=Log(time.time, io.StringIO())) as app:
        made = await app.vault.conceal("text " * 3000)
        with contextlib.closing(sqlite3.connect(settings.data_dir / "vault.db")) as db:
            (body,) = db.execute("SELECT body FROM secret").fetchone()
        pieces = {str(at): chunk for at, chunk in enumerate(canary.chunks(body))}
        await app.vault.reveal(made.secret_key)
        assert canary.search(pieces, canary.read(settings.data_dir))

        await app.store.scrub()

        assert canary.search(pieces, canary.read(settings.data_dir)) == []
        assert (settings.data_dir / "vault.db-wal").exists()


@pytest.mark.parametrize("sizes", [[20], [100, 300], [300, 900, 1500], [20, 6000]])
async def test_among_many_the_taken_leave_nothing_and_the_others_stay(
    tmp_path: Path, sizes: list[int]
) -> None:
    """SQLite leaves copies of rows in pages that it splits, joins and moves: so what it holds is locked once more, and the
    keys of what was taken are in no file.
    """
    choice = random.Random(1)
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0, limits=False)
    async with build(settings, log=Log(time.time, io.StringIO())) as app:
        keys: dict[bytes, bytes] = {}
        bodies: dict[bytes, bytes] = {}
        living: list[Concealed] = []
        gone: list[Concealed] = []
        for _ in range(12):
            texts = ["x" * choice.choice(sizes) for _ in range(25)]
            living += await asyncio.gather(*[app.vault.conceal(text) for text in texts])
            for secret_id, key, body in _stored(settings.data_dir / "vault.db"):
                keys[secret_id], bodies[secret_id] = key, body
            choice.shuffle(living)
            taken, living = living[:15], living[15:]
            await asyncio.gather(*[app.vault.reveal(each.secret_key) for each in taken])
            gone += taken
        await app.store.scrub()
        files = canary.read(settings.data_dir)

    def found(secrets: list[Concealed], values: dict[bytes, bytes]) -> set[str]:
        """By either half: the end of a page may lie between them."""
        halves = {}
        for each in secrets:
            value = values[ids.secret_id(each.secret_key)]
            halves[f"{each.secret_key} 1"], halves[f"{each.secret_key} 2"] = value[:16], value[-16:]
        return {each.split(": ")[1].split()[0] for each in canary.search(halves, files)}

    assert found(gone, keys) == set()
    assert found(living, keys) == {each.secret_key for each in living}
    assert found([*gone, *living], bodies) == set()


def _stored(path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Id, key at rest and sealed body, without that lock, of each living secret."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "SELECT number, secret_id, body FROM receipt JOIN secret USING (number)"
        ).fetchall()
        slots = dict(db.execute("SELECT block, slots FROM eraser"))
        for number, secret_id, locked in rows:
            start = eraser._start(number)
            key = slots[number // eraser.SLOTS][start : start + eraser.KEY_BYTES]
            yield secret_id, key, Eraser().unlock(db, number, locked)


def test_the_files_are_cleaned_more_often_than_once_a_minute() -> None:
    assert background.SCRUB_SECONDS < 60
