"""What only the SQLite adapter promises: its file, its settings, its schema, and a disk that is full."""

import asyncio
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from onetime.errors import Conflict, Full, Misconfigured, Unavailable, Undecryptable
from onetime.model import State
from onetime.storage import port
from onetime.storage.port import NewSecret, Stored, VaultStore
from onetime.storage.vault.eraser import KEY_BYTES, NONCE_BYTES, PADDING_BYTES, SLOTS, Eraser
from onetime.storage.vault.schema import MIGRATIONS, integrity
from onetime.storage.vault.sqlite import SqliteVault
from onetime.storage.vault.steps import MOST_ENVELOPES_A_SHARD, SWEEP_BYTES
from onetime.storage.vault.transaction import Transaction, shard
from tests.needs import root
from tests.rounds import rounds
from tests.storage.adapters import (
    ADAPTERS,
    HOUR,
    SHORT_PROOF,
    START,
    Clock,
    Faults,
    Place,
    name_of,
    new_secret,
    sqlite_files,
)
from tests.storage.envelopes import body_of, claiming, handed, new_envelope, settling
from tests.storage.races import Crew, Refused, at_once, call, make

VERSION = len(MIGRATIONS) + 1
FIRST_SCHEMA = Path(__file__).with_name("schema_1.sql")
OLDER = (*MIGRATIONS, "CREATE TABLE added (one INTEGER) STRICT;\nINSERT INTO added VALUES (1);")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


class Opened:
    """Opens vaults, and closes them all at the end."""

    def __init__(self) -> None:
        self.vaults: list[SqliteVault] = []

    async def __call__(self, path: Path, clock: Clock, **options: Any) -> SqliteVault:
        vault = await SqliteVault.open(path, clock=clock, **options)
        self.vaults.append(vault)
        return vault


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    opened = Opened()
    yield opened
    for vault in opened.vaults:
        await vault.close()


def ask(path: Path, question: str) -> Any:
    db = sqlite3.connect(path)
    try:
        row = db.execute(question).fetchone()
    finally:
        db.close()
    return row and row[0]


def tell(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


# The file and its settings


async def test_every_commit_reaches_the_disk_and_every_deletion_is_zeroed(
    opened: Opened, path: Path, clock: Clock
) -> None:
    faults = Faults()
    vault = await opened(path, clock, connect=faults.connect, proof_seconds=SHORT_PROOF)
    await check_settings(vault)
    # The connection that follows an unknown outcome is held to the same.
    faults.commit = "done"
    await vault.put(new_secret())
    await check_settings(vault)


async def check_settings(vault: SqliteVault) -> None:
    def settings() -> dict[str, Any]:
        assert vault._db is not None
        return {
            name: vault._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "auto_vacuum")
        }

    assert await vault._on_thread(settings) == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "secure_delete": 1,
        "auto_vacuum": 2,  # INCREMENTAL
    }


async def test_nobody_else_may_read_the_files(opened: Opened, path: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        vault = await opened(path, clock, disk_reserve=10_000)
        await vault.put(new_secret())
    finally:
        os.umask(before)
    files = [*sqlite_files(str(path)), path.with_name("reserve")]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_what_was_answered_is_in_the_files_already(
    opened: Opened, path: Path, clock: Clock, tmp_path: Path
) -> None:
    """The files are copied at the moment of the answer, as they would be found after a power cut."""
    vault = await opened(path, clock)
    for number in range(5):
        secret = new_secret(f"{number}")
        for verb, argument, state in (
            ("put", secret, State.NEW),
            ("take", secret.secret_id, State.REVEALED),
        ):
            await getattr(vault, verb)(argument)
            copy = tmp_path / f"{number} {verb}"
            copy.mkdir()
            for file in (path, path.with_name("vault.db-wal")):
                shutil.copy(file, copy / file.name)
            found = await opened(copy / path.name, clock)
            receipt = await found.receipt(secret.receipt_id)
            assert receipt is not None
            assert receipt.state is state
            assert (await found.peek(secret.secret_id) is not None) == (state is State.NEW)


async def test_an_answer_comes_after_its_commit(opened: Opened, path: Path, clock: Clock) -> None:
    faults = Faults()
    vault = await opened(path, clock, connect=faults.connect)

    async def put(word: str) -> tuple[int, int]:
        at_call = faults.committed
        await vault.put(new_secret(word))
        return at_call, faults.committed

    for at_call, at_answer in await asyncio.gather(*(put(f"{each}") for each in range(50))):
        assert at_answer == at_call + 1
    assert not any(sql.startswith(("COMMIT;", "END")) for sql in faults.told)


async def test_a_vault_may_be_read_and_checked_beside_its_server(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)
    await asyncio.gather(*(vault.put(new_secret(f"{each}")) for each in range(100)))
    assert integrity(path) is None
    assert await vault.take(name_of("secret 1"))


# The schema


async def test_a_newer_schema_is_refused_and_left_alone(
    opened: Opened, path: Path, clock: Clock
) -> None:
    await (await opened(path, clock)).put(new_secret())
    tell(path, "UPDATE vault SET schema_version = schema_version + 1")
    with pytest.raises(Misconfigured, match="newer version"):
        await opened(path, clock)
    assert ask(path, "SELECT schema_version FROM vault") == VERSION + 1
    assert ask(path, "SELECT count(*) FROM secret") == 1


async def test_an_older_schema_is_brought_up_to_date_and_keeps_its_secrets(
    opened: Opened, path: Path, clock: Clock
) -> None:
    await (await opened(path, clock)).put(new_secret())
    for _ in range(2):
        vault = await opened(path, clock, migrations=OLDER)
        assert ask(path, "SELECT schema_version FROM vault") == VERSION + 1
        assert ask(path, "SELECT count(*) FROM added") == 1
    assert await vault.take(name_of("secret a"))


async def test_a_migration_happens_as_a_whole_or_not_at_all(
    opened: Opened, path: Path, clock: Clock
) -> None:
    await (await opened(path, clock)).put(new_secret())
    broken = (*OLDER, "CREATE TABLE more (one INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(Misconfigured, match="nowhere"):
        await opened(path, clock, migrations=broken)
    assert ask(path, "SELECT schema_version FROM vault") == VERSION
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name IN ('added', 'more')") == 0
    assert await (await opened(path, clock)).take(name_of("secret a"))


@pytest.fixture
def first_schema(path: Path) -> Path:
    """A vault of version 1 with a living secret, a read one and a generated one; the keys of their bodies are made by its rules."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(FIRST_SCHEMA.read_text())
    db.execute("INSERT INTO vault VALUES (1, 1, NULL)")
    db.execute("INSERT INTO root_key VALUES (1, ?)", (START + HOUR,))
    keys, nonce = Eraser(), os.urandom(NONCE_BYTES)
    db.execute("BEGIN")
    for word, state in (("living", "new"), ("read", "revealed"), ("generated", "new")):
        secret = new_secret(word)
        kind = "generate" if word == "generated" else "conceal"
        number = db.execute(
            """INSERT INTO receipt (shard, receipt_id, secret_id, kind, state, has_passphrase, created_at, secret_expires_at,
            expires_at, ended_at, wrapped) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)""",
            (
                shard(secret.secret_id),
                secret.receipt_id,
                secret.secret_id,
                kind,
                state,
                secret.created_at,
                secret.expires_at,
                secret.receipt_expires_at,
                START if state == "revealed" else None,
                secret.wrapped,
            ),
        ).lastrowid
        assert number is not None
        if state == "new":
            db.execute(
                "INSERT INTO secret VALUES (?, ?, 1, ?, ?)",
                (number, secret.expires_at, secret.head, keys.lock(db, number, secret.body, nonce)),
            )
    db.execute("COMMIT")
    db.close()
    return path


async def test_a_vault_of_the_first_schema_goes_on_and_takes_envelopes(
    opened: Opened, first_schema: Path, clock: Clock
) -> None:
    clock.now += 60
    first = await opened(first_schema, clock)
    assert ask(first_schema, "SELECT schema_version FROM vault") == VERSION
    for vault in (first, await opened(first_schema, clock)):
        receipt = await vault.receipt(name_of("receipt living"))
        assert receipt is not None
        assert (receipt.state, receipt.acknowledged_at, receipt.window_ends_at) == (
            State.NEW,
            None,
            None,
        )
        assert await vault.take(name_of("secret read")) is None
    assert await make(first, claiming("living")) is None
    taken = await first.take(name_of("secret living"))
    assert taken is not None
    assert taken.body == b"body of living"
    assert await first.show_once(name_of("receipt generated"), within=HOUR)

    await first.put(new_envelope("late", created_at=int(clock.now)))
    assert await handed(first, claiming("late")) == body_of("late")
    clock.now += 1200
    assert await handed(first, claiming("late")) == body_of("late")
    assert await make(first, settling("late"))
    clock.now += 3 * HOUR
    while (await first.sweep()).more:
        pass
    await first.scrub()
    for table in ("secret", "receipt", "envelope"):
        assert ask(first_schema, f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    assert integrity(first_schema) is None


async def test_an_upgraded_schema_is_the_same_as_a_new_one(
    opened: Opened, first_schema: Path, tmp_path: Path, clock: Clock
) -> None:
    fresh = tmp_path / "fresh.db"
    await opened(fresh, clock)
    before = schema_of(first_schema)
    assert before != schema_of(fresh)
    await opened(first_schema, clock)
    assert schema_of(first_schema) == schema_of(fresh)


def schema_of(path: Path) -> dict[str, Any]:
    """Tables with their columns, indices with theirs, triggers: whatever the words by which they were made."""
    db = sqlite3.connect(path)
    found: dict[str, Any] = {}
    try:
        for kind, name, table, sql in db.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        ).fetchall():
            if kind == "table":
                columns = db.execute(f"PRAGMA table_xinfo({name})").fetchall()
                indices = sorted(row[1:] for row in db.execute(f"PRAGMA index_list({name})"))
                strict = db.execute(f"PRAGMA table_list({name})").fetchone()[3:]
                found[f"{kind} {name}"] = (columns, indices, strict)
            elif kind == "index":
                columns = db.execute(f"PRAGMA index_xinfo({name})").fetchall()
                condition = sql.partition(" WHERE ")[2] if sql else ""
                found[f"{kind} {name}"] = (table, columns, condition)
            else:
                found[f"{kind} {name}"] = (table, sql.split())
    finally:
        db.close()
    return found


async def test_what_several_processes_upgrade_at_once_is_upgraded_once(
    first_schema: Path, clock: Clock, crew: Crew
) -> None:
    place = Place(ADAPTERS[0], str(first_schema))
    crew.open(place, clock)
    calls = [call("put", new_envelope(f"{each}")) for each in range(8)]
    assert crew.make(calls) == [Stored()] * 8
    crew.close_store()
    assert ask(first_schema, "SELECT schema_version FROM vault") == VERSION
    assert ask(first_schema, "SELECT count(*) FROM envelope") == 8


@pytest.fixture
def no_database(path: Path) -> bytes:
    content = b"this is no database at all" * 100
    path.write_bytes(content)
    return content


async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    opened: Opened, path: Path, clock: Clock, no_database: bytes
) -> None:
    with pytest.raises(Misconfigured, match="not a database"):
        await opened(path, clock)
    assert [file.read_bytes() for file in sqlite_files(str(path))] == [no_database]


async def test_the_database_of_another_program_is_refused(
    opened: Opened, path: Path, clock: Clock
) -> None:
    tell(path, "CREATE TABLE other (one)")
    with pytest.raises(Misconfigured):
        await opened(path, clock)
    assert ask(path, "SELECT count(*) FROM sqlite_schema") == 1


async def test_processes_that_make_the_same_file_at_once_make_one_vault(
    opened: Opened, tmp_path: Path, clock: Clock, crew: Crew
) -> None:
    for number in range(rounds(5, 50)):
        place = Place(ADAPTERS[0], str(tmp_path / f"{number}.db"))
        crew.open(place, clock)
        assert (
            crew.make([call("put", new_secret(f"{each}")) for each in range(4)]) == [Stored()] * 4
        )
        crew.close_store()
        path = Path(place.address)
        assert ask(path, "SELECT count(*) FROM vault") == 1
        assert ask(path, "SELECT count(*) FROM secret") == 4
        assert ask(path, "PRAGMA auto_vacuum") == 2
        assert ask(path, "PRAGMA journal_mode") == "wal"
        assert integrity(path) is None


# What is removed


async def test_a_body_lies_in_no_file_as_it_was_given(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)
    body = random.Random(4).randbytes(3000)
    await vault.put(new_secret(body=body))
    assert not holds(path, body)
    taken = await vault.take(name_of("secret a"))
    assert taken is not None
    assert taken.body == body


async def test_a_reader_in_the_way_delays_a_scrub_and_does_not_prevent_it(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock, connect=impatient)
    await vault.put(new_secret(body=bytes(3000)))
    locked, key = locked_of(path)["a"]
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM secret").fetchone()
    await vault.take(name_of("secret a"))
    await vault.scrub()
    # The reader still sees the secret, so the log must keep it.
    assert holds(path, locked)
    assert holds(path, key)
    reader.execute("COMMIT")
    reader.close()
    await vault.scrub()
    assert not holds(path, locked)
    assert not holds(path, key)


def impatient(path: Path, **options: Any) -> sqlite3.Connection:
    options["timeout"] = 0.05
    db: sqlite3.Connection = sqlite3.connect(path, **options)
    return db


async def test_a_crash_before_the_scrub_is_made_up_for_by_the_next_process(
    opened: Opened, path: Path, clock: Clock, tmp_path: Path
) -> None:
    vault = await opened(path, clock)
    await vault.put(new_secret("stays"))
    await vault.put(new_secret(body=bytes(3000)))
    locked, key = locked_of(path)["a"]
    await vault.take(name_of("secret a"))
    left = tmp_path / "left"
    left.mkdir()
    for file in sqlite_files(str(path)):
        shutil.copy(file, left / file.name)
    assert holds(left / path.name, locked)
    assert holds(left / path.name, key)
    again = await opened(left / path.name, clock)
    await again.scrub()
    assert not holds(left / path.name, locked)
    assert not holds(left / path.name, key)
    stays = await again.take(name_of("secret stays"))
    assert stays is not None
    assert stays.body == b"body of stays"


async def test_keys_of_many_that_are_gone_are_overwritten_and_the_blocks_of_old_ones_dropped(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)
    many = 2 * SLOTS + 10
    await asyncio.gather(*(vault.put(new_secret(f"{each}")) for each in range(many)))
    keys = {key for _, key in locked_of(path).values()}
    assert len(keys) == many
    assert ask(path, "SELECT count(*) FROM eraser") == 3
    clock.now += 3 * HOUR
    while (await vault.sweep()).more:
        pass
    await vault.scrub()
    data = b"\0".join(file.read_bytes() for file in sqlite_files(str(path)))
    assert not any(key in data for key in keys)
    assert ask(path, "SELECT count(*) FROM eraser") == 1
    late = new_secret("late", created_at=int(clock.now))
    await vault.put(late)
    assert await vault.take(late.secret_id)


async def test_a_damaged_body_is_not_given_up(opened: Opened, path: Path, clock: Clock) -> None:
    vault = await opened(path, clock)
    await vault.put(new_secret())
    tell(path, "UPDATE secret SET body = zeroblob(length(body))")
    with pytest.raises(Undecryptable):
        await vault.take(name_of("secret a"))
    receipt = await vault.receipt(name_of("receipt a"))
    assert receipt is not None
    assert receipt.state is State.NEW


def locked_of(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """For each secret what lies in the file of its body, and the key to that."""
    db = sqlite3.connect(path)
    blocks = dict(db.execute("SELECT block, slots FROM eraser"))
    found = {}
    for number, secret_id, body in db.execute(
        "SELECT number, secret_id, body FROM receipt JOIN secret USING (number)"
    ):
        word = secret_id[4:].rstrip(b".").decode().rpartition(" ")[2]
        start = PADDING_BYTES + number % SLOTS * KEY_BYTES
        found[word] = (body, blocks[number // SLOTS][start : start + KEY_BYTES])
    db.close()
    return found


def holds(path: Path, body: bytes, *, stretch: int = 16) -> bool:
    """Whether some stretch of `body` is in a file of the vault."""
    data = b"\0".join(file.read_bytes() for file in sqlite_files(str(path)))
    return any(
        body[at : at + stretch] in data for at in range(0, max(1, len(body) - stretch), stretch)
    )


def windows(path: Path) -> set[bytes]:
    """Every 16 bytes in a row of the vault's files."""
    data = b"\0".join(file.read_bytes() for file in sqlite_files(str(path)))
    return {data[at : at + 16] for at in range(len(data) - 15)}


async def test_of_many_secrets_of_all_sizes_no_key_is_left_to_what_pages_keep(
    opened: Opened, path: Path, clock: Clock
) -> None:
    """SQLite moves neighbours when rows go, and what it moves it may leave behind in the gap of a page."""
    for seed in range(rounds(2, 12)):
        random_ = random.Random(seed)
        here = path.with_name(f"{seed}.db")
        vault = await opened(here, clock)
        live: dict[int, bytes] = {}
        gone: list[bytes] = []
        for number in range(0, 2400, 40):
            bodies = {
                number + each: random_.randbytes(random_.randint(50, 1500)) for each in range(40)
            }
            await asyncio.gather(
                *(vault.put(new_secret(f"{each}", body=body)) for each, body in bodies.items())
            )
            live |= bodies
            leaving = random_.sample(sorted(live), len(live) * random_.randint(10, 80) // 100)
            locked = locked_of(here)
            await asyncio.gather(*(vault.take(name_of(f"secret {each}")) for each in leaving))
            for each in leaving:
                del live[each]
                gone.append(locked[f"{each}"][1])
        # A key may lie across two pages: then one half of it is in one piece.
        halves = {half for key in gone for half in (key[:16], key[16:])}
        assert len(halves & windows(here)) >= len(gone)
        await vault.scrub()
        assert not halves & windows(here)
        for number, body in live.items():
            taken = await vault.take(name_of(f"secret {number}"))
            assert taken is not None
            assert taken.body == body


# A full disk


async def test_a_real_full_store_in_mid_batch_hurts_only_what_needs_room(
    opened: Opened, path: Path, clock: Clock
) -> None:
    """SQLite's own limit of pages: the same error as from a full disk, and the same silent rollback."""
    vault = await opened(path, clock)
    for word in "abc":
        await vault.put(new_secret(word))

    def limit() -> None:
        assert vault._db is not None
        (pages,) = vault._db.execute("PRAGMA page_count").fetchone()
        vault._db.execute(f"PRAGMA max_page_count = {pages + 4}")

    await vault._on_thread(limit)
    taken, large, burned, small, again = await at_once(
        vault,
        [
            call("take", name_of("secret a")),
            call("put", new_secret("large", body=bytes(500_000))),
            call("burn", name_of("secret b")),
            call("put", new_secret("small")),
            call("take", name_of("secret a")),
        ],
    )
    assert taken.body == b"body of a"
    assert (large, burned, small, again) == (Refused("Full"), True, Stored(), None)
    other = await opened(path, clock)
    assert await other.peek(name_of("secret large")) is None
    assert await other.peek(name_of("secret a")) is None
    for word in ("c", "small"):
        assert await other.take(name_of(f"secret {word}"))


async def test_the_reserve_is_given_up_for_a_take_and_taken_again(
    opened: Opened, path: Path, clock: Clock
) -> None:
    faults = Faults(broken=None)
    vault = await opened(path, clock, connect=faults.connect, disk_reserve=100_000)
    reserve = path.with_name("reserve")
    assert reserve.stat().st_size == 100_000
    for word in "ab":
        await vault.put(new_secret(word))
    faults.commit = "full"
    # Alone in its batch, and still nobody's error: there was room, it only had to be made.
    assert await vault.take(name_of("secret a"))
    assert not reserve.exists()
    with pytest.raises(Full):
        await vault.put(new_secret("c"))
    assert await vault.burn(name_of("secret b"))
    await vault.scrub()
    assert reserve.stat().st_size == 100_000
    assert await vault.put(new_secret("c")) == Stored()


async def test_a_full_vault_still_answers_a_repeated_create(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock, max_bytes=1_000_000)
    body = bytes(50_000)
    words = [f"{each}" for each in range(30)]
    answers = [await make(vault, call("put", new_envelope(each, body=body))) for each in words]
    kept = answers.count(Stored())
    assert answers[kept:] == [Refused("Full")] * (30 - kept)
    assert await vault.put(new_envelope("0", body=body)) == Stored(created_at=START)
    with pytest.raises(Conflict):
        await vault.put(new_envelope("0", body=body + b"."))
    assert await handed(vault, claiming("0")) == body
    with pytest.raises(Conflict):
        await vault.put(new_envelope("0", body=body))
    with pytest.raises(Full):
        await vault.put(new_envelope("new", body=body))


async def test_the_total_size_is_a_limit_for_creates_alone(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock, max_bytes=2_000_000)
    body = bytes(50_000)
    answers = [
        await make(vault, call("put", new_secret(f"{each}", body=body))) for each in range(60)
    ]
    kept = answers.count(Stored())
    assert 30 < kept < 40
    assert answers == [Stored()] * kept + [Refused("Full")] * (60 - kept)
    answers = await at_once(vault, [call("put", new_secret("late", body=body))] * 3)
    assert answers == [Refused("Full")] * 3
    for number in range(5):
        assert await vault.take(name_of(f"secret {number}"))
    assert await vault.put(new_secret("late", body=body)) == Stored()


async def test_a_batch_of_creates_stops_at_the_limit_as_one_by_one(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock, max_bytes=1_000_000)
    calls = [call("put", new_secret(f"{each}", body=bytes(50_000))) for each in range(40)]
    answers = await at_once(vault, calls)
    kept = answers.count(Stored())
    assert 10 < kept < 20
    assert answers == [Stored()] * kept + [Refused("Full")] * (40 - kept)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """16 MiB, and nothing of it to anybody else."""
    root()
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["/bin/umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Take what is left of the disk, to the last byte."""
    other = folder / "other"
    with other.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return other


@pytest.mark.parametrize("size", [100, 3000, 60_000])
async def test_on_a_full_disk_reading_and_burning_go_on_and_creates_resume(
    opened: Opened, small_disk: Path, clock: Clock, size: int
) -> None:
    reserve = 2 * 1024 * 1024
    vault = await opened(small_disk / "vault.db", clock, disk_reserve=reserve)
    kept = 0
    try:
        while kept < 1000:
            await vault.put(new_secret(f"{kept}", body=bytes(size)))
            kept += 1
    except Full:
        # Refused early: the reserve is untouched.
        assert (small_disk / "reserve").stat().st_size == reserve
    assert kept > 50
    other = fill(small_disk)
    for number in range(0, kept // 2, 2):
        assert await vault.take(name_of(f"secret {number}"))
        assert await vault.burn(name_of(f"secret {number + 1}"))
    with pytest.raises(Full):
        await vault.put(new_secret("refused", body=bytes(size)))

    clock.now += HOUR + 600
    while (await vault.sweep()).more:
        pass
    await vault.scrub()
    other.unlink()
    await vault.scrub()
    assert (small_disk / "reserve").stat().st_size == reserve
    assert (small_disk / "vault.db").stat().st_size < 2_000_000
    late = new_secret("late", created_at=int(clock.now), body=bytes(size))
    assert await vault.put(late) == Stored()
    assert await vault.take(late.secret_id)


@pytest.mark.parametrize("size", [100, 60_000])
async def test_on_a_full_disk_claims_and_settles_go_on_and_keep_their_promises(
    opened: Opened, small_disk: Path, clock: Clock, size: int
) -> None:
    path, reserve = small_disk / "vault.db", 6 * 1024 * 1024
    vault = await opened(path, clock, disk_reserve=reserve)
    words = [f"{each}" for each in range(30)]
    for word in words:
        await vault.put(new_envelope(word, body=random.Random(word).randbytes(size)))
    await vault.scrub()
    fill(small_disk)
    first, repeated = new_envelope("0", body=random.Random("0").randbytes(size)), words[1]
    assert await vault.put(first) == Stored(created_at=START)
    with pytest.raises(Full):
        await vault.put(new_envelope("refused", body=bytes(size)))
    for number, word in enumerate(words):
        given = await make(vault, claiming(word))
        assert given.body == random.Random(word).randbytes(size)
        assert await make(vault, claiming(word, "laptop")) == port.Refused(why=port.Refusal.CLAIMED)
        if number % 3 == 0:
            assert await make(vault, settling(word))
        elif number % 3 == 1:
            assert (await make(vault, claiming(word))).body == given.body
    # The same for who opens it again, with what room there is.
    again = await opened(path, clock, disk_reserve=reserve)
    for number, word in enumerate(words):
        given = await handed(again, claiming(word))
        assert (given is None) == (number % 3 == 0)
        assert not await handed(again, claiming(word, "laptop"))
    assert await make(again, settling(repeated))
    assert await make(again, claiming(repeated)) is None


async def test_a_vault_on_a_full_disk_can_be_opened_and_emptied(
    opened: Opened, small_disk: Path, clock: Clock
) -> None:
    path = small_disk / "vault.db"
    first = await opened(path, clock, disk_reserve=2 * 1024 * 1024)
    for number in range(100):
        await first.put(new_secret(f"{number}", body=bytes(10_000)))
    await first.close()
    fill(small_disk)
    again = await opened(path, clock, disk_reserve=2 * 1024 * 1024)
    for number in range(100):
        assert await again.take(name_of(f"secret {number}"))
    with pytest.raises(Full):
        await again.put(new_secret("refused"))


# The writer


async def test_a_bug_in_one_operation_is_raised_there_and_nowhere_else(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)
    await vault.put(new_secret("a"))

    def bug(tx: Transaction) -> None:
        tx.run("UPDATE receipt SET state = 'burned'")
        raise ZeroDivisionError

    answers = await asyncio.gather(
        vault.put(new_secret("b")),
        vault._submit(bug),
        vault.take(name_of("secret a")),
        return_exceptions=True,
    )
    assert answers[0] == Stored()
    assert isinstance(answers[1], ZeroDivisionError)
    assert getattr(answers[2], "body", None) == b"body of a"
    # What it wrote before it failed is not there.
    assert await vault.take(name_of("secret b"))


async def test_a_file_that_another_program_locks_is_unavailable_and_comes_back(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault: VaultStore = await opened(path, clock, connect=impatient)
    await vault.put(new_secret())
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await vault.take(name_of("secret a"))
    assert await vault.peek(name_of("secret a"))  # reading waits for no writer
    lock.execute("ROLLBACK")
    lock.close()
    assert await vault.take(name_of("secret a"))


async def test_all_writing_is_done_on_one_thread(opened: Opened, path: Path, clock: Clock) -> None:
    threads: set[int] = set()

    class Noting(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if self.in_transaction:
                threads.add(threading.get_ident())
            return super().execute(sql, parameters)

    def connect(path: Path, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(path, factory=Noting, **options)

    vault = await opened(path, clock, connect=connect)
    await asyncio.gather(*(vault.put(new_secret(f"{each}")) for each in range(20)))
    await asyncio.gather(*(vault.take(name_of(f"secret {each}")) for each in range(20)))
    await vault.sweep()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_step_of_the_sweep_is_bounded_by_bytes(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)
    for number in range(60):
        await vault.put(new_secret(f"{number}", body=bytes(100_000)))
    await vault.put(new_secret("huge", body=bytes(SWEEP_BYTES + 1)))
    clock.now += HOUR + 600
    steps = []
    while True:
        swept = await vault.sweep()
        steps.append(swept.secrets)
        if not swept.more:
            break
    assert sum(steps) == 61
    assert max(steps) * 100_000 <= SWEEP_BYTES


async def test_nobody_crowds_a_shard_with_ids_of_their_choice(
    opened: Opened, path: Path, clock: Clock
) -> None:
    vault = await opened(path, clock)

    def crowding(number: int) -> NewSecret:
        tail = f"{number}".encode().ljust(28, b".")
        return new_envelope("a", secret_id=b"tag." + tail, receipt_id=b"tag.receipt " + tail)

    for number in range(MOST_ENVELOPES_A_SHARD):
        await vault.put(crowding(number))
    with pytest.raises(Conflict):
        await vault.put(crowding(MOST_ENVELOPES_A_SHARD))
    assert await vault.put(crowding(0)) == Stored(created_at=START)  # repeated, as before
    await vault.put(new_envelope("b"))
    # The ids of a sealed secret are ours: who has crowded its shard does not keep it out.
    await vault.put(new_secret("c", secret_id=b"tag.of c", receipt_id=b"tag.receipt of c"))
    clock.now += 2 * HOUR + 400
    while (await vault.sweep()).more:
        pass
    await vault.put(crowding(MOST_ENVELOPES_A_SHARD))
