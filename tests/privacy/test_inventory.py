"""The inventory is true: what it lists exists, what exists it lists, and nothing outlives its rule."""

import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from markupsafe import escape

from onetime import log
from onetime.app import build
from onetime.background import SCRUB_SECONDS, SWEEP_SECONDS
from onetime.core import inventory, limits, vault
from onetime.core.inventory import ACCOUNTS, FIELDS, Category, Place
from onetime.crypto.hashing import Cost, Hasher
from onetime.metrics import Metrics
from onetime.settings import Settings
from onetime.storage.vault import steps
from tests.privacy import canary, journeys
from tests.privacy.journeys import Visitor
from tests.privacy.server import serving


def names(place: Place) -> set[str]:
    return {each.name for each in FIELDS if each.place is place}


def columns(path: Path) -> set[str]:
    """Every `table.column` of a database."""
    with closing(sqlite3.connect(path)) as db:
        return {
            f"{table}.{column}"
            for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        }


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A freshly made data directory."""
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=1_000_000)
    async with build(settings, hasher=Hasher(cost=Cost(passes=1, lanes=1, memory_kib=32))):
        shutil.copytree(settings.data_dir, tmp_path / "copy")
    return tmp_path / "copy"


# What the vault has in PostgreSQL alone; tests/storage/test_postgres.py looks there.
ONLY_POSTGRES = {"writer.size_bytes"}


async def test_every_column_is_listed_and_every_listed_column_exists(data: Path) -> None:
    assert names(Place.VAULT) - ONLY_POSTGRES == columns(data / "vault.db")


async def test_a_new_column_does_not_go_unseen(data: Path) -> None:
    with closing(sqlite3.connect(data / "vault.db")) as db:
        db.execute("ALTER TABLE receipt ADD COLUMN reader_address TEXT")
        db.execute("CREATE TABLE visit (address TEXT)")

    found = columns(data / "vault.db") - names(Place.VAULT)
    assert found == {"receipt.reader_address", "visit.address"}


async def test_every_file_is_listed(data: Path) -> None:
    assert canary.read(data).keys() == names(Place.FILE)


def test_every_log_field_is_listed() -> None:
    assert names(Place.LOG) == set(log.FIELDS)


def test_every_metric_and_label_is_listed() -> None:
    metrics = Metrics()
    metrics.request(method="GET", route="/", status=200, seconds=1)
    metrics.swept(secrets=1, receipts=1)
    text = metrics.text()

    found: dict[str, set[str]] = {
        name: set() for name in re.findall(r"# TYPE (\w+) \w+", text, re.ASCII)
    }
    for sample, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        name = sample if sample in found else sample.removesuffix("_bucket")
        found[name] |= set(re.findall(r'(\w+)="', labels))

    listed = {
        name: set(labels.split(","))
        for name, labels in (each[:-1].split("{") for each in names(Place.METRICS))
    }
    assert found == listed


def test_no_name_is_listed_twice() -> None:
    counted = Counter((each.place, each.name) for each in FIELDS)

    assert [each for each, count in counted.items() if count > 1] == []


def test_every_field_says_everything() -> None:
    for field in FIELDS:
        texts = (field.what, field.purpose, field.basis, field.retention, field.readers)
        for text in (*texts, field.encrypted, field.exported, field.erased):
            assert text
            assert text == text.strip()
            assert not text.endswith(".")


def test_what_is_about_a_person_has_a_basis_and_the_rest_says_that_it_is_not() -> None:
    for category in inventory.CATEGORIES:
        assert category.personal is ("GDPR" in category.basis), category.title


def test_nobody_has_cookies_and_storage_is_for_one_thing() -> None:
    for field in FIELDS:
        assert "cookie" not in field.name
    assert names(Place.BROWSER) == {"history", "receipts"}


# Real answers


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """Who has been everywhere; with a public address, so that every header is sent."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, LIMITS="off", BASE_URL="https://secrets.example/") as server:
        visitor = Visitor(server.url)
        key, _ = journeys.share(visitor)
        journeys.hostile(visitor, key)
        journeys.use_api(visitor)
        journeys.use_records(visitor)
        journeys.use_pages(visitor)
        for path in ("favicon.ico", "robots.txt", "info/about", "info/privacy"):
            visitor.send("GET", f"/{path}", Accept_Encoding="gzip")
        for link in re.findall(r'(?:href|src)="([^"]+)"', visitor.send("GET", "/").text):
            if "static" in link:
                visitor.send("GET", link, Accept_Encoding="gzip")
        empty = server.rows(
            """SELECT owner, listing_id, listing FROM receipt
            WHERE owner IS NOT NULL OR listing_id IS NOT NULL OR listing IS NOT NULL"""
        )
        empty += server.rows("SELECT * FROM token") + server.rows("SELECT * FROM session")
        assert empty == []  # what ACCOUNTS says
        shutil.copytree(server.data, folder / "lived")
        assert canary.read(folder / "lived").keys() == names(Place.FILE)
    return visitor


def test_every_header_of_a_real_answer_is_listed(visitor: Visitor) -> None:
    sent = {name.lower() for seen in visitor.answers for name, _ in seen.headers}

    assert sent - names(Place.HEADER) == set()
    # Sent where a budget is spent, which is off here, and to scripts of sites that the operator has named: none here.
    unsent = names(Place.HEADER) - sent - {"retry-after"}
    assert all(name.startswith("access-control-") for name in unsent)


def test_no_answer_sets_a_cookie(visitor: Visitor) -> None:
    assert len(visitor.answers) > 500
    for seen in visitor.answers:
        assert "set-cookie" not in {name.lower() for name, _ in seen.headers}


def test_the_privacy_page_shows_every_category_and_every_field(visitor: Visitor) -> None:
    (text,) = {
        seen.text for seen in visitor.answers if b"<h1>What we know about you</h1>" in seen.content
    }
    shown = [*inventory.ABSENT, *inventory.BEYOND]
    for category in inventory.CATEGORIES:
        shown += [category.title, category.purpose, category.retention, category.readers]
    for sentence in (*shown, *(field.name for field in FIELDS)):
        assert str(escape(sentence)) in text, sentence


def test_one_script_stores_something_in_the_browser_under_the_name_that_is_listed() -> None:
    """What it stores, and that somebody has to ask for it, is seen in tests/browser/test_share.py."""
    folder = Path(inventory.__file__).parent.parent / "static"
    for path in folder.rglob("*.js"):
        found = re.findall(
            r"localStorage|sessionStorage|indexedDB|document\.cookie|caches\.|serviceWorker",
            path.read_text(),
        )
        if path.name == "recent.js":
            assert set(found) == {"localStorage"}
            assert re.findall(r"Item\((\w+)", path.read_text()) == ["NAME"] * 4
            assert "const NAME = `receipts ${" in path.read_text()
        else:
            assert not found, path


# Rules

# It goes in the step in which the receipt with its number goes.
WITH_RECEIPT = "envelope"

RULED = sorted(
    {
        field.name.split(".")[0]
        for field in FIELDS
        if field.place is Place.VAULT and field.category.rule.until
    }
    - {WITH_RECEIPT}
)


def rule_of(table: str) -> inventory.Rule:
    rules = {
        field.category.rule
        for field in FIELDS
        if field.place is Place.VAULT
        and field.name.startswith(f"{table}.")
        and field.category is not ACCOUNTS
    }
    (rule,) = rules
    return rule


def test_tables_that_hold_something_of_people_have_an_end() -> None:
    assert RULED == ["answer", "counter", "daily_key", "receipt", "secret"]


def test_what_is_promised_is_what_the_loops_do() -> None:
    """Unreadable at its second; removed a grace later, in the next sweep, and out of the files in the next scrub."""
    longest = steps.GRACE_SECONDS + SWEEP_SECONDS + SCRUB_SECONDS
    for table in RULED:
        rule = rule_of(table)
        assert f"{table}.{rule.until}" in names(Place.VAULT)
        assert longest < rule.seconds


def test_sentences_with_numbers_are_true() -> None:
    half_an_hour = max(max(each.window, each.lock) for each in limits.BUDGETS.values())

    assert half_an_hour == 1800
    assert "half an hour" in inventory.COUNTERS.retention
    assert vault.ANSWER_SECONDS == 86_400
    assert inventory.REPEAT.retention == "One day"
    assert vault.RECEIPT_LIVES == 2
    assert inventory.RECEIPT.retention.startswith("Twice")
    assert inventory.SWEPT_SECONDS == 600
    assert "within ten minutes" in inventory.SECRET.retention


def _filled(db: sqlite3.Connection, table: str, marker: bytes, ends_at: int) -> None:
    """A row with the marker in every column of bytes."""
    values: dict[str, object] = {}
    for _, name, kind, _, _, _ in db.execute(f"PRAGMA table_info({table})"):
        values[name] = {"BLOB": marker + name.encode(), "TEXT": "conceal"}.get(kind, 1)
    if "expires_at" in values:
        values["expires_at"] = ends_at
    marks = ", ".join("?" * len(values))
    db.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",  # noqa: S608
        tuple(values.values()),
    )


@pytest.mark.parametrize("table", RULED)
async def test_what_is_over_is_in_no_file_when_the_rule_says_so(table: str, tmp_path: Path) -> None:
    """A row of each table, alone, on a service where nothing else happens."""
    now = 2_000_000_000
    marker = os.urandom(32)
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    clock: Callable[[], float] = lambda: now  # noqa: E731
    async with build(settings, clock=clock) as app:
        await app.store.scrub()
        with closing(sqlite3.connect(settings.data_dir / "vault.db")) as db:
            _filled(db, table, marker, now + 100)
            db.commit()
        looked_for = {"row": marker}
        assert canary.search(looked_for, canary.read(settings.data_dir))

        now += 100 + rule_of(table).seconds
        await app.store.sweep()
        await app.store.scrub()

        assert canary.search(looked_for, canary.read(settings.data_dir)) == []


async def test_what_an_envelope_has_beside_its_receipt_goes_with_it(tmp_path: Path) -> None:
    now = 2_000_000_000
    marker = os.urandom(32)
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    clock: Callable[[], float] = lambda: now  # noqa: E731
    async with build(settings, clock=clock) as app:
        await app.store.scrub()
        with closing(sqlite3.connect(settings.data_dir / "vault.db")) as db:
            _filled(db, "receipt", b"", now + 100)
            _filled(db, WITH_RECEIPT, marker, now + 100)
            db.commit()
        looked_for = {"row": marker}
        assert canary.search(looked_for, canary.read(settings.data_dir))

        now += 100 + rule_of("receipt").seconds
        await app.store.sweep()
        await app.store.scrub()

        assert canary.search(looked_for, canary.read(settings.data_dir)) == []


def test_the_page_of_categories_names_each_once() -> None:
    titles = [each.title for each in inventory.CATEGORIES]

    assert len(titles) == len(set(titles))
    assert all(isinstance(each, Category) for each in inventory.CATEGORIES)
