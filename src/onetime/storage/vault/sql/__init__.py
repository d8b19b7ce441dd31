"""The vault's schema in PostgreSQL: its tables and functions, and how they come there.

The functions are the verbs (steps.sql, envelope.sql) and the doors to them (doors.sql). A role that may only call the doors can
put and take, and cannot list: that is why they are functions and not statements.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from onetime.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

SCHEMA = "onetime"

# Statements that bring version n to n + 1 are at index n - 1. Functions that do not fit the programs of before are a new version,
# too; otherwise processes of both may run side by side.
MIGRATIONS: tuple[str, ...] = ()

# Of this program in any database; it is held while the schema is looked at and changed.
MIGRATION_LOCK = int.from_bytes(b"onetime!") >> 1


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


TABLES = _text("tables.sql")
FUNCTIONS = "\n".join(_text(name) for name in ("steps.sql", "envelope.sql", "doors.sql"))
DIGEST = sha256(FUNCTIONS.encode()).hexdigest()[:16]

# Functions are everybody's until they are taken back, and tables nobody's. Whoever may use the schema may use the doors.
RIGHTS = f"""
REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION apply(bytea, bytea, bigint[], bigint, bigint, step[]), read(step[]), written(bytea) TO PUBLIC;
"""

STATE = """SELECT n.oid IS NOT NULL AS is_there, pg_has_role(n.nspowner, 'USAGE') AS is_ours,
has_schema_privilege(n.oid, 'USAGE') AS is_open, obj_description(n.oid, 'pg_namespace') AS said,
has_database_privilege(current_database(), 'CREATE') AS may_create
FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1"""

PREPARE = "run `onetime admin prepare` with ONETIME_VAULT_URL of the role that owns it"


async def look(db: asyncpg.Connection) -> None:
    """
    Raises:
        Misconfigured: the vault is not there, is another version's, or this role may not use it.
    """
    if not _is_right(await db.fetchrow(STATE, SCHEMA), len(MIGRATIONS) + 1):
        raise Misconfigured(f"ONETIME_VAULT_URL: there is no vault of this version; {PREPARE}")


async def bring_up_to_date(db: asyncpg.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Make the schema or migrate it, in one transaction; any number of processes may start at once.

    What it is said in the comment of the schema: `Onetime vault <version of the tables> <digest of the functions>`, which a role
    without any rights to the tables can read.

    Raises:
        Misconfigured: it was written by a newer version, or this role may not bring it up to date.
    """
    newest = len(migrations) + 1
    said = _said(newest)
    if _is_right(await db.fetchrow(STATE, SCHEMA), newest):
        return
    async with db.transaction():
        await db.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await db.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        state = await db.fetchrow(STATE, SCHEMA)
        if _is_right(state, newest):
            return
        version = _version(state, newest)
        if not state["is_there"]:
            await db.execute(f"CREATE SCHEMA {SCHEMA}")
        await db.execute(f"SET LOCAL search_path = {SCHEMA}")
        if version is None:
            await db.execute(TABLES)
            await db.execute("INSERT INTO vault (one, schema_version) VALUES (1, $1)", newest)
        else:
            for statements in migrations[version - 1 :]:
                await db.execute(statements)
            await db.execute("UPDATE vault SET schema_version = $1", newest)
        await db.execute(FUNCTIONS + RIGHTS)
        await db.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{said}'")


def _said(version: int) -> str:
    return f"Onetime vault {version} {DIGEST}"


def _is_right(state: Any, newest: int) -> bool:
    """Whether there is nothing to do. Functions of one version fit each other, so whoever may not replace them takes them as they are."""
    if state["is_ours"]:
        return bool(state["said"] == _said(newest))
    return bool(state["is_open"] and _stated(state) == newest)


def _stated(state: Any) -> int | None:
    """The version of the tables."""
    words = (state["said"] or "").split()
    return int(words[2]) if words[:2] == ["Onetime", "vault"] else None


def _version(state: Any, newest: int) -> int | None:
    """Of the tables that are there; None if there are none and they may be made."""
    if not state["is_there"]:
        if not state["may_create"]:
            raise Misconfigured(f"ONETIME_VAULT_URL: there is no vault in this database; {PREPARE}")
        return None
    version = _stated(state)
    if version is not None and version > newest:
        raise Misconfigured(
            f"The vault was written by a newer version (schema {version}, this program knows {newest})"
        )
    if not state["is_ours"]:
        if version is None or not state["is_open"]:
            raise Misconfigured(
                f"ONETIME_VAULT_URL: this role may not use the schema {SCHEMA}; grant it USAGE"
            )
        raise Misconfigured(f"The vault has to be brought up to date; {PREPARE}")
    return version  # None: an empty schema that was made for us
