"""The tables of the vault's file, how they came to be, and what can be asked of a file without serving from it.

Table `receipt` is what stays of a secret until its receipt expires; table `secret` holds the content under the same
number, and loses the row at the moment of the take. Numbers instead of ids tie them, and one index of small numbers, the
shard tags, finds both ids: of all indexes only that one is in random order, which is what keeps a million rows as fast as
a thousand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetime.errors import Misconfigured
from onetime.storage.port import KeyUse

if TYPE_CHECKING:
    from pathlib import Path

# STRICT tables; RETURNING came with 3.35.
OLDEST_SQLITE = (3, 37, 0)

# How long a connection waits for a lock that another process has.
BUSY_SECONDS = 5.0

SCHEMA = """
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema_version INTEGER NOT NULL,
    verifier BLOB,                      -- of the current root key
    awake_at INTEGER NOT NULL DEFAULT 0 -- when a process last said that it serves
) STRICT;
CREATE TABLE root_key (
    number INTEGER PRIMARY KEY,
    needed_until INTEGER NOT NULL       -- the latest expiry of a secret that it sealed
) STRICT;
CREATE TABLE writer (
    writer BLOB PRIMARY KEY,            -- random, one a process and connection
    token BLOB NOT NULL,                -- random, one a commit
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE receipt (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a key in `eraser` goes with it
    shard INTEGER NOT NULL,             -- the tag that both ids begin with, as a number
    receipt_id BLOB NOT NULL,
    secret_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,                -- new, claimed, revealed, burned; expired is computed until it is swept
    has_passphrase INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    secret_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,                   -- of a claimed one: when it was claimed
    acknowledged INTEGER NOT NULL DEFAULT 0,
    wrong_tries INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0,   -- a generated value has been shown on the receipt
    wrapped BLOB NOT NULL,
    owner BLOB,
    listing_id BLOB,
    listing BLOB
) STRICT;
CREATE INDEX receipt_shard ON receipt (shard);
CREATE INDEX receipt_expires ON receipt (expires_at);
CREATE INDEX receipt_owner ON receipt (owner, created_at) WHERE owner IS NOT NULL;
CREATE UNIQUE INDEX receipt_listing ON receipt (listing_id) WHERE listing_id IS NOT NULL;
CREATE TABLE secret (
    number INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL                  -- last: reading the head does not touch its pages; locked by `eraser`
) STRICT;
CREATE INDEX secret_expires ON secret (expires_at);
CREATE TABLE envelope (                 -- what the receipt of an end-to-end secret has beside
    number INTEGER PRIMARY KEY,
    open_hash BLOB NOT NULL,            -- of the open proof; empty once it opens nothing
    claim_hash BLOB,                    -- of the first claim
    window_ends_at INTEGER,             -- while it is claimed
    acknowledged_at INTEGER,
    locked_until INTEGER NOT NULL DEFAULT 0,
    woken INTEGER NOT NULL DEFAULT 0    -- its window was slept through, and given once more
) STRICT;
CREATE INDEX envelope_window ON envelope (window_ends_at) WHERE window_ends_at IS NOT NULL;
CREATE TRIGGER envelope_goes AFTER DELETE ON receipt BEGIN
    DELETE FROM envelope WHERE number = OLD.number;
END;
CREATE TABLE eraser (
    block INTEGER PRIMARY KEY,          -- number divided by eraser.SLOTS
    slots BLOB NOT NULL
) STRICT;
CREATE TABLE answer (
    answer_id BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX answer_expires ON answer (expires_at);
CREATE TABLE counter (
    key BLOB NOT NULL UNIQUE,
    used INTEGER NOT NULL,
    window_ends_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX counter_expires ON counter (expires_at);
CREATE TABLE daily_key (
    day INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE token (
    token_id BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX token_expires ON token (expires_at);
CREATE TABLE session (
    session_id BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires_at);
"""

# Statements that bring version n to n + 1 are at index n - 1. All of them run in one transaction.
MIGRATIONS: tuple[str, ...] = (
    """ALTER TABLE vault ADD COLUMN awake_at INTEGER NOT NULL DEFAULT 0;
CREATE TABLE envelope (
    number INTEGER PRIMARY KEY,
    open_hash BLOB NOT NULL,
    claim_hash BLOB,
    window_ends_at INTEGER,
    acknowledged_at INTEGER,
    locked_until INTEGER NOT NULL DEFAULT 0,
    woken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX envelope_window ON envelope (window_ends_at) WHERE window_ends_at IS NOT NULL;
CREATE TRIGGER envelope_goes AFTER DELETE ON receipt BEGIN
    DELETE FROM envelope WHERE number = OLD.number;
END;
""",
)

USED = """SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a vault's file says of itself. `verifier` is of the current root key; `reserve_bytes` of the disk stand by."""

    schema_version: int
    newest_schema: int
    verifier: bytes | None
    key_uses: list[KeyUse]
    used_bytes: int
    reserve_bytes: int


def inspect(path: Path) -> Inspected:
    """Reads only, so it may run beside a server.

    Raises:
        Misconfigured: it is no vault, or cannot be read.
    """
    reserve = path.with_name("reserve")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            version, verifier = db.execute("SELECT schema_version, verifier FROM vault").fetchone()
            uses = db.execute("SELECT number, needed_until FROM root_key").fetchall()
            (used,) = db.execute(USED).fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Misconfigured(f"{path}: {error}") from None
    return Inspected(
        schema_version=version,
        newest_schema=len(MIGRATIONS) + 1,
        verifier=verifier,
        key_uses=[KeyUse(number=number, needed_until=until) for number, until in uses],
        used_bytes=used,
        reserve_bytes=reserve.stat().st_size if reserve.exists() else 0,
    )


def integrity(path: Path) -> str | None:
    """What SQLite finds wrong with the file; None if nothing."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            found = [row[0] for row in db.execute("PRAGMA integrity_check(10)")]
        finally:
            db.close()
    except sqlite3.Error as error:
        return f"{path}: {error}"
    return None if found == ["ok"] else f"{path}: {'; '.join(found)}"


def bring_up_to_date(db: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Make the schema or migrate it, in one transaction; several processes may start at once."""
    newest = len(migrations) + 1
    db.execute("BEGIN IMMEDIATE")
    try:
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not tables:
            _script(db, SCHEMA)
            db.execute("INSERT INTO vault (one, schema_version) VALUES (1, ?)", (newest,))
        (version,) = db.execute("SELECT schema_version FROM vault").fetchone()
        if version > newest:
            raise Misconfigured(  # noqa: TRY301 - the transaction is rolled back below
                f"The vault was written by a newer version (schema {version}, this program knows {newest})"
            )
        for statements in migrations[version - 1 :]:
            _script(db, statements)
        db.execute("UPDATE vault SET schema_version = ?", (newest,))
    except BaseException:
        roll_back(db)
        raise
    db.execute("COMMIT")


def _script(db: sqlite3.Connection, statements: str) -> None:
    """Connection.executescript would commit first."""
    pending = ""
    for line in statements.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            db.execute(pending)
            pending = ""


def roll_back(db: sqlite3.Connection) -> None:
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        # The connection is beyond use; the next one starts from what is committed.
        pass
