"""What is PostgreSQL's alone: commits without an answer, servers that go and come back, rights, and what stays on the disk."""

import asyncio
import io
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from onetime.app import build
from onetime.core import inventory
from onetime.errors import Misconfigured, Unavailable
from onetime.log import Log
from onetime.model import State
from onetime.settings import Settings
from onetime.storage.port import Stored, VaultStore
from onetime.storage.vault import primary, sql, steps
from onetime.storage.vault.envelope import SLEPT_SECONDS
from onetime.storage.vault.postgres import PostgresVault, Step, inspect, prepare
from tests import needs
from tests.storage import postgres
from tests.storage.adapters import HOUR, START, Clock, name_of, new_secret
from tests.storage.cutting import Proxy
from tests.storage.envelopes import claiming, handed, new_envelope, settling
from tests.storage.postgres import ROLE, Server
from tests.storage.races import Refused, at_once, call, make
from tests.storage.tls import Authority, ending_tls

# What breaks the server on purpose is for `make faults`; the contract runs in `make test`.
pytestmark = pytest.mark.full

# From a call to "Unavailable", with what a busy machine adds.
AWAY_SECONDS = 4.0


@pytest.fixture
async def url() -> str:
    """An empty vault on the shared server."""
    needs.need("postgres")
    return await postgres.empty_vault()


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server to break; whole again after each test."""
    needs.need("postgres")
    server = Server()
    asyncio.run(server.make_database(shifted=False))
    yield server
    server.remove()


@pytest.fixture
async def stores() -> AsyncIterator[list[VaultStore]]:
    """Closed at the end."""
    opened: list[VaultStore] = []
    yield opened
    for store in opened:
        await store.close()


B = name_of("secret b")


def fresh(word: str = "a", **facts: Any) -> Any:
    return new_secret(word, created_at=int(time.time()), **facts)


async def state_of(store: VaultStore, word: str) -> State | None:
    receipt = await store.receipt(name_of(f"receipt {word}"))
    return receipt.state if receipt else None


async def unavailable_within(seconds: float, asked: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await asked
    assert time.monotonic() - begun < seconds


# A commit without an answer, cut on its way


@pytest.mark.parametrize(
    "cut", ["forwarded", "withheld", "forwarded silently", "withheld silently"]
)
async def test_a_commit_that_is_cut_doubles_nothing_and_loses_nothing(
    url: str, stores: list[VaultStore], cut: str
) -> None:
    await cut_at_commit(url, stores, cut, PostgresVault)


async def cut_at_commit(
    url: str, stores: list[VaultStore], cut: str, kind: type[PostgresVault]
) -> None:
    async with Proxy(int(url.rpartition(":")[2].partition("/")[0])) as proxy:
        through = url.replace(f":{proxy.port}/", f":{proxy.own_port}/")
        store = await kind.open(through, patience=2 if cut.endswith("silently") else 20)
        stores.append(store)
        for word in "ab":
            await store.put(fresh(word))
        proxy.at_commit = cut
        calls = [
            call("take", name_of("secret a")),
            call("take", name_of("secret a")),
            call("put", fresh("c")),
        ]
        answers = await at_once(store, calls)
        assert not proxy.at_commit
        if cut == "withheld silently":
            # Found out to be undone, but the callers' time is over. They may try again.
            assert answers == [Refused("Unavailable")] * 3
            answers = await at_once(store, calls)
        taken, again, put = answers
        assert taken is not None
        assert taken.body == b"body of a"
        assert (again, put) == (None, Stored())
        other = await PostgresVault.open(url)
        stores.append(other)
        assert await other.take(name_of("secret a")) is None
        assert await state_of(other, "a") is State.REVEALED
        for word in "bc":
            assert await other.take(name_of(f"secret {word}"))


@pytest.mark.parametrize("cut", ["forwarded", "withheld"])
async def test_an_outcome_that_stays_unknown_gives_the_content_to_nobody(
    url: str, stores: list[VaultStore], cut: str
) -> None:
    async with Proxy(int(url.rpartition(":")[2].partition("/")[0])) as proxy:
        through = url.replace(f":{proxy.port}/", f":{proxy.own_port}/")
        store = await PostgresVault.open(through, proof_seconds=0.5, patience=20)
        stores.append(store)
        await store.put(fresh())
        proxy.at_commit, proxy.refuses = cut, True
        await unavailable_within(5, store.take(name_of("secret a")))
        assert proxy.refused
        proxy.refuses = False
        taken = await store.take(name_of("secret a"))
        assert await state_of(store, "a") is State.REVEALED
        if cut == "forwarded":
            assert taken is None
        else:
            assert taken is not None


async def test_a_claim_whose_commit_is_cut_is_the_claimants(
    url: str, stores: list[VaultStore]
) -> None:
    async with Proxy(int(url.rpartition(":")[2].partition("/")[0])) as proxy:
        through = url.replace(f":{proxy.port}/", f":{proxy.own_port}/")
        store = await PostgresVault.open(
            through, connect=postgres.connecting(Clock()), clock=Clock()
        )
        stores.append(store)
        await store.put(new_envelope())
        proxy.at_commit = "forwarded"
        assert await handed(store, claiming())
        proxy.at_commit = "withheld"
        assert (await make(store, settling())).acknowledged_at == START
        assert await make(store, claiming()) is None


# Connections and servers that go


async def test_a_connection_that_the_server_ended_is_made_again_unseen(
    own: Server, stores: list[VaultStore]
) -> None:
    await own.empty()
    store = await PostgresVault.open(own.url(), patience=20)
    stores.append(store)
    secrets = [fresh(f"{number}") for number in range(60)]
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'onetime'"

    async def live(secret: Any) -> list[Any]:
        await asyncio.sleep(0.01 * int(secret.body.split()[-1]))
        put = await store.put(secret)
        seen = await store.peek(secret.secret_id)
        taken = [await store.take(secret.secret_id) for _ in range(2)]
        return [put, seen is not None, *(each and each.body for each in taken)]

    async def disturb() -> None:
        for _ in range(6):
            await own.run(kill)
            await asyncio.sleep(0.08)

    *lives, _ = await asyncio.gather(*map(live, secrets), disturb())
    assert lives == [[Stored(), True, secret.body, None] for secret in secrets]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
async def test_a_server_that_is_away_is_unavailable_and_when_it_is_back_all_is_there(
    own: Server, stores: list[VaultStore], how: signal.Signals
) -> None:
    await own.empty()
    store = await PostgresVault.open(own.url())
    stores.append(store)
    for word in "ab":
        await store.put(fresh(word))
    taken = await store.take(name_of("secret a"))
    assert taken is not None
    own.stop(how)
    try:
        asked = (
            store.take(B),
            store.peek(B),
            store.receipt(B),
            store.ready(),
            store.put(fresh("c")),
        )
        await asyncio.gather(*(unavailable_within(AWAY_SECONDS, each) for each in asked))
    finally:
        own.start()
    await store.ready()
    assert await store.take(name_of("secret a")) is None
    assert await state_of(store, "a") is State.REVEALED
    assert await store.take(name_of("secret b"))


async def test_a_server_that_stands_still_hangs_nobody(
    own: Server, stores: list[VaultStore]
) -> None:
    await own.empty()
    store = await PostgresVault.open(own.url())
    stores.append(store)
    for word in "abc":
        await store.put(fresh(word))
    await store.peek(name_of("secret a"))
    own.pause()
    try:
        await asyncio.gather(
            unavailable_within(AWAY_SECONDS, store.take(name_of("secret a"))),
            unavailable_within(AWAY_SECONDS, store.peek(name_of("secret b"))),
        )
        # Also who comes later, and waits behind others.
        first = asyncio.create_task(make(store, call("take", name_of("secret b"))))
        await asyncio.sleep(0.2)
        later = [
            unavailable_within(AWAY_SECONDS, store.take(name_of("secret c"))) for _ in range(3)
        ]
        await asyncio.gather(*later)
        assert await first == Refused("Unavailable")
    finally:
        own.resume()
    await store.ready()
    answers = [await make(store, call("take", name_of(f"secret {word}"))) for word in "abc"]
    states = [await state_of(store, word) for word in "abc"]
    assert states == [State.REVEALED] * 3
    assert all(answer is not None for answer in answers)


async def test_a_process_that_stands_still_keeps_nobody_from_its_rows(
    url: str, stores: list[VaultStore]
) -> None:
    """One that has begun and does not commit; the server ends its session."""
    clock = Clock()
    store = await PostgresVault.open(
        url, connect=postgres.connecting(clock), clock=clock, patience=20
    )
    stores.append(store)
    await store.put(new_secret())
    stuck = await asyncpg.connect(url, server_settings=primary.SESSION)
    await stuck.execute("BEGIN")
    await stuck.fetch(
        "SELECT * FROM onetime.apply($1, $2, $3, 0, 1, $4)",
        b"stuck", b"token", PostgresVault._locks([_taking("a")]), [_taking("a").record],
    )  # fmt: skip
    assert await store.take(name_of("secret a"))
    stuck.terminate()


def _taking(word: str) -> Step[None]:
    secret_id = name_of(f"secret {word}")
    return Step("take", lambda _: None, names=[secret_id], numbers=[0], blobs=[secret_id, b""])


# Batches that cross


class WithoutLocks(PostgresVault):
    """Locks nothing in order, so that two batches may wait for each other; PostgreSQL then ends one."""

    @staticmethod
    def _locks(batch: Any) -> list[int]:  # noqa: ARG004
        return []


async def crossing(kind: type[PostgresVault], url: str, rounds: Sequence[int]) -> int:
    """Two stores take the same secrets in opposite order, and each is given out once. How often the server found a ring."""
    clock = Clock()
    both = [
        await kind.open(url, connect=postgres.connecting(clock), clock=clock, patience=30)
        for _ in range(2)
    ]
    before = await _deadlocks(url)
    try:
        for number in rounds:
            secrets = [new_secret(f"{number} {each}") for each in range(40)]
            await asyncio.gather(*(both[0].put(secret) for secret in secrets))
            orders = secrets, secrets[::-1]
            taken = await asyncio.gather(
                *(
                    store.take(secret.secret_id)
                    for store, order in zip(both, orders, strict=True)
                    for secret in order
                )
            )
            given = sorted(each.body for each in taken if each)
            assert given == sorted(secret.body for secret in secrets)
    finally:
        for store in both:
            await store.close()
    return await _deadlocks(url) - before


async def _deadlocks(url: str) -> int:
    db = await asyncpg.connect(url)
    await db.execute("SELECT pg_stat_force_next_flush()")
    number: int = await db.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    await db.close()
    return number


async def test_batches_that_cross_wait_in_one_order(url: str) -> None:
    assert await crossing(PostgresVault, url, range(12)) == 0


async def test_a_ring_is_tried_again_and_nobody_notices(url: str) -> None:
    for number in range(0, 20, 2):
        if await crossing(WithoutLocks, url, range(number, number + 2)):
            return
    pytest.fail("no two batches met")


# Twins, broken on purpose: the tests above find them


class RepeatsUnknown(PostgresVault):
    """A commit without an answer counts as not done."""

    async def _has_happened(self, token: bytes) -> bool:
        await super()._has_happened(token)
        return False


class BelievesUnknown(PostgresVault):
    """A commit without an answer counts as done."""

    async def _has_happened(self, token: bytes) -> bool:
        await super()._has_happened(token)
        return True


@pytest.mark.parametrize(
    ("twin", "cut"), [(RepeatsUnknown, "forwarded"), (BelievesUnknown, "withheld")]
)
async def test_who_guesses_about_a_commit_is_found_out(
    url: str, stores: list[VaultStore], twin: type[PostgresVault], cut: str
) -> None:
    await cut_at_commit(url, stores, cut, PostgresVault)
    url = await postgres.empty_vault()
    with pytest.raises(AssertionError):
        await cut_at_commit(url, stores, cut, twin)


# Looks, and removes what it has seen.
PEEK_THEN_DELETE = """CREATE OR REPLACE FUNCTION onetime.take(
    p_now bigint, p_secret_id bytea, p_proof bytea, p_refund boolean, p_keys bytea[],
    OUT numbers bigint[], OUT words text[], OUT blobs bytea[], OUT gone bigint
) LANGUAGE plpgsql SET search_path = onetime AS $$
BEGIN
    SELECT ARRAY[r.has_passphrase::integer, r.created_at, r.secret_expires_at], ARRAY[r.kind],
        ARRAY[s.head, e.slots, s.body] INTO numbers, words, blobs
    FROM receipt r JOIN secret s USING (number) JOIN eraser e ON e.block = r.number
    WHERE r.secret_id = p_secret_id AND r.state = 'new';
    UPDATE receipt SET state = 'revealed', ended_at = p_now WHERE secret_id = p_secret_id;
    DELETE FROM secret USING receipt r WHERE r.number = secret.number AND r.secret_id = p_secret_id;
END $$"""


async def test_the_row_alone_lets_one_caller_through_and_a_look_before_does_not(
    own: Server,
) -> None:
    """Without the locks that a batch takes first: other programs might be at the table."""
    await own.run("DROP DATABASE IF EXISTS twin WITH (FORCE)")
    await own.make_database("twin")
    address = own.url(database="twin")
    await crossing(WithoutLocks, address, range(3))
    await own.run(PEEK_THEN_DELETE, database="twin")
    with pytest.raises(AssertionError):
        await crossing(WithoutLocks, address, range(3, 30))


# The start


async def test_ten_may_start_at_once(own: Server, stores: list[VaultStore]) -> None:
    await own.run("DROP DATABASE IF EXISTS ten WITH (FORCE)", "CREATE DATABASE ten OWNER onetime")
    stores += await asyncio.gather(
        *(PostgresVault.open(own.url(database="ten"), patience=20) for _ in range(10))
    )
    for number, store in enumerate(stores):
        assert await store.put(fresh(f"{number}")) == Stored()
    assert await stores[0].take(name_of("secret 9"))


async def test_a_server_without_fsync_is_refused(own: Server, stores: list[VaultStore]) -> None:
    served = await PostgresVault.open(own.url())
    stores.append(served)
    own.stop()
    own.start(fsync="off")
    try:
        with pytest.raises(Misconfigured, match="fsync=off"):
            await PostgresVault.open(own.url())
        # Nor is it served from when it comes to be that later.
        answers = await at_once(served, [call("put", fresh("f")), call("take", B), call("peek", B)])
        assert answers == [Refused("Unavailable")] * 3
    finally:
        own.stop()
        own.start()
    await served.ready()


async def test_a_replica_is_refused(own: Server) -> None:
    own.stop()
    signal_file = own.data / "standby.signal"
    signal_file.touch()
    try:
        own.start()
        with pytest.raises(Unavailable, match="replica"):
            await PostgresVault.open(own.url())
    finally:
        own.stop()
        signal_file.unlink()
        own.start()


async def test_a_role_that_may_not_sign_in_any_more_is_a_store_that_is_away(
    own: Server, stores: list[VaultStore]
) -> None:
    store = await PostgresVault.open(own.url())
    stores.append(store)
    await own.run(
        f"ALTER ROLE {ROLE} NOLOGIN",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'onetime'",
    )
    try:
        calls = [call("take", B), call("peek", B), call("put", fresh("f"))]
        assert await at_once(store, calls) == [Refused("Unavailable")] * 3
    finally:
        await own.run(f"ALTER ROLE {ROLE} LOGIN")
    await store.ready()


async def test_a_newer_schema_is_refused_and_an_older_one_brought_up_to_date(own: Server) -> None:
    await own.run("DROP DATABASE IF EXISTS ages WITH (FORCE)", "CREATE DATABASE ages OWNER onetime")
    address = own.url(database="ages")
    await prepare(address)
    newer = ("CREATE TABLE onetime.later (one integer)",)
    db = await asyncpg.connect(address)
    await asyncio.gather(sql.bring_up_to_date(db, newer))
    assert await db.fetchval("SELECT schema_version FROM onetime.vault") == 2
    assert await db.fetchval("SELECT count(*) FROM onetime.later") == 0
    await db.close()
    with pytest.raises(Misconfigured, match="newer version"):
        await PostgresVault.open(address)
    with pytest.raises(Misconfigured):
        await inspect(address)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("postgresql://me:hushhush@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://me:hushhush@nowhere.invalid/x", "cannot be reached"),
        ("postgresql://me:hushhush@127.0.0.1:{port}/onetime", "PostgreSQL: "),
        ("postgresql://onetime:hushhush@127.0.0.1:{port}/nothing", "PostgreSQL: "),
        ("postgresql://me:hushhush@127.0.0.1:{port}/onetime?sslmode=hushhush", "sslmode"),
        ("postgresql://me:hushhush@127.0.0.1:{port}/onetime?sslmode=require", "cannot be reached"),
    ],
)
async def test_what_is_wrong_with_the_url_is_one_line_without_the_password(
    own: Server, tmp_path: Path, wrong: str, said: str
) -> None:
    settings = Settings.from_env(
        {"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": wrong.format(port=own.port)}
    )
    with pytest.raises(Unavailable if said == "cannot be reached" else Misconfigured) as caught:
        async with build(settings):
            pass
    line = str(caught.value)
    assert line.startswith("ONETIME_VAULT_URL: ")
    assert said in line
    assert "hushhush" not in line + repr(settings) + settings.vault_place
    assert "\n" not in line


async def test_without_the_driver_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("onetime.storage.vault.p")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delattr("onetime.storage.vault.postgres", raising=False)
    settings = Settings.from_env(
        {"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": "postgresql://db/onetime"}
    )
    with pytest.raises(Misconfigured, match=r"pip install 'onetime\[server,postgres\]'"):
        async with build(settings):
            pass


@pytest.mark.parametrize(
    ("url_", "encrypted"),
    [
        ("postgresql://db.example/onetime", True),
        ("postgresql://u:p@10.0.0.7:5432/onetime", True),
        ("postgresql://127.0.0.1,db.example/onetime", True),
        ("postgresql://db.example/onetime?sslmode=disable", False),
        ("postgresql://u@127.0.0.1:5432/onetime", False),
        ("postgresql://u@[::1]:5432/onetime", False),
        ("postgresql:///onetime?host=/run/postgresql", False),
    ],
)
def test_what_leaves_the_machine_is_encrypted_unless_the_url_says_otherwise(
    url_: str, encrypted: bool
) -> None:
    assert (primary._encryption(url_) is not None) is encrypted


@pytest.mark.parametrize(
    ("made_for", "trusted", "said"),
    [
        ("127.0.0.1", "ours", ""),
        ("127.0.0.1", "another", "certificate verify failed"),
        ("db.example", "ours", "certificate verify failed"),
    ],
    ids=["right", "wrong authority", "wrong name"],
)
async def test_over_tls_the_server_has_to_be_the_one_that_the_url_names(
    url: str, stores: list[VaultStore], tmp_path: Path, made_for: str, trusted: str, said: str
) -> None:
    authorities = {name: Authority(tmp_path / "tls", name) for name in ("ours", "another")}
    context = authorities["ours"].context(made_for)
    port = int(url.rpartition(":")[2].partition("/")[0])
    async with ending_tls(port, context) as own_port:
        through = url.replace(f":{port}/", f":{own_port}/")
        through += f"?sslmode=verify-full&sslrootcert={authorities[trusted].file}"
        if said:
            with pytest.raises(Unavailable, match=said):
                await PostgresVault.open(through)
            return
        store = await PostgresVault.open(through, patience=20)
        stores.append(store)
        await store.put(fresh())
        assert await store.take(name_of("secret a"))
        await store.close()


# Clocks


async def test_a_clock_that_is_off_changes_nothing_and_is_said(
    url: str, stores: list[VaultStore], tmp_path: Path
) -> None:
    settings = Settings.from_env({"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": url})
    async with build(settings, clock=lambda: time.time() + 60) as app:
        assert app.is_clock_off
        assert 59 < app.store.skew() < 62
        assert abs(app.store.now() - time.time()) < 2
    async with build(settings, clock=lambda: time.time() - 20) as app:
        assert not app.is_clock_off

    ahead, behind = [
        await PostgresVault.open(url, clock=lambda shift=shift: time.time() + shift, patience=20)  # type: ignore[misc]
        for shift in (1800, -1800)
    ]
    stores += [ahead, behind]
    await ahead.put(fresh("a", ttl=HOUR))
    await behind.put(fresh("b", ttl=HOUR))
    assert abs(ahead.now() - behind.now()) <= 1
    assert await behind.take(name_of("secret a"))
    assert await ahead.take(name_of("secret b"))


# Rights


SERVICE = "onetime_service"


@pytest.fixture(scope="module")
def documented() -> str:
    """The statements of docs/storage.md that make a role for the service."""
    text = (needs.ROOT / "docs" / "storage.md").read_text()
    blocks: list[str] = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    (block,) = (each for each in blocks if SERVICE in each)
    return block


@pytest.fixture
async def service(own: Server, documented: str) -> AsyncIterator[str]:
    """The address with which a service signs in that may do no more than it has to."""
    await own.empty()
    await own.run(documented.replace("'…'", "'x'"))
    yield own.url(SERVICE)
    await own.run(f"DROP OWNED BY {SERVICE}", f"DROP ROLE {SERVICE}")


async def test_the_service_needs_no_more_than_the_documented_role(
    own: Server, service: str, stores: list[VaultStore]
) -> None:
    store = await PostgresVault.open(service)
    stores.append(store)
    await store.put(fresh(owner=b"alice"))
    await store.put(new_envelope("e", created_at=int(time.time())))
    assert await store.peek(name_of("secret a"))
    assert await store.receipts_of(b"alice", limit=5)
    assert await store.take(name_of("secret a"))
    assert await handed(store, claiming("e"))
    assert await make(store, settling("e"))
    await store.sweep()
    await store.ready()
    before = own.ask("SELECT pg_relation_filenode('onetime.eraser')")
    await store.scrub()
    assert own.ask("SELECT pg_relation_filenode('onetime.eraser')") != before
    assert await inspect(service) is not None


SAID = "SELECT obj_description('onetime'::regnamespace, 'pg_namespace')"

# {} is a table.
FORBIDDEN = (
    "SELECT * FROM {}",
    "SELECT count(*) FROM {}",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "COPY {} TO STDOUT",
    "CREATE VIEW onetime.seen AS SELECT * FROM {}",
    "CREATE TABLE onetime.copy (LIKE {})",
)


async def test_functions_of_the_same_version_are_taken_as_they_are_by_who_may_not_replace_them(
    own: Server, service: str, stores: list[VaultStore]
) -> None:
    """As in the middle of an upgrade of several machines."""
    db = await own.admin()
    try:
        said = await db.fetchval(SAID)
        await db.execute(f"COMMENT ON SCHEMA onetime IS '{said[:-4]}0000'")
        stores.append(await PostgresVault.open(service))
        await inspect(service)
        assert await db.fetchval(SAID) != said
        stores.append(await PostgresVault.open(own.url()))
        assert await db.fetchval(SAID) == said
        await db.execute("COMMENT ON SCHEMA onetime IS 'Onetime vault 0 of before'")
        with pytest.raises(Misconfigured, match="admin prepare"):
            await PostgresVault.open(service)
        await db.execute(f"COMMENT ON SCHEMA onetime IS '{said}'")
    finally:
        await db.close()


async def test_a_thief_of_its_password_can_neither_list_nor_read(
    service: str, own: Server, stores: list[VaultStore]
) -> None:
    store = await PostgresVault.open(own.url())
    stores.append(store)
    await store.put(fresh(owner=b"alice"))
    admin = await own.admin()
    await admin.execute("ANALYZE")
    tables = [
        row["relname"]
        for row in await admin.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'onetime'::regnamespace AND relkind = 'r'"
        )
    ]
    functions = await admin.fetch(
        "SELECT oid::regprocedure::text AS name, proname FROM pg_proc WHERE pronamespace = 'onetime'::regnamespace"
    )
    assert len(tables) == 12
    thief = await asyncpg.connect(service)
    try:
        for table in tables:
            for statement in FORBIDDEN:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await thief.execute(statement.format(f"onetime.{table}"))
        doors = set()
        for name, proname in functions:
            if await thief.fetchval("SELECT has_function_privilege($1, 'EXECUTE')", name):
                doors.add(proname)
        assert doors == {"apply", "read", "written"}
        samples = "SELECT count(*) FROM pg_stats WHERE schemaname = 'onetime'"
        assert await thief.fetchval(samples) == 0
        assert await admin.fetchval(samples) > 0
        # The doors have no verb that lists: whoever knows no id gets nothing.
        for verb in ("select", "list", "all", "scan"):
            with pytest.raises(asyncpg.CaseNotFoundError):
                await thief.fetch("SELECT * FROM onetime.read($1)", [(verb, [], [], [])])
        # To read is to remove.
        taken = await PostgresVault.open(service)
        stores.append(taken)
        assert await taken.take(name_of("secret a"))
        assert await state_of(store, "a") is State.REVEALED
    finally:
        await thief.close()
        await admin.close()


async def test_what_a_server_or_a_role_cannot_keep_is_said_at_the_start(
    own: Server, service: str, tmp_path: Path
) -> None:
    async def said() -> list[str]:
        """What the log of a start warns of, by its first words."""
        stream = io.StringIO()
        settings = Settings.from_env(
            {"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": service}
        )
        async with build(settings, log=Log(time.time, stream)):
            pass
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line["reason"].partition(":")[0] for line in lines if line["level"] == "warning"]

    own.stop()
    own.start(wal_recycle="off")
    assert await said() == []
    own.stop()
    own.start(full_page_writes="off", archive_mode="on", archive_command="true")
    await own.run(f"REVOKE MAINTAIN ON onetime.eraser FROM {SERVICE}")
    assert await said() == [
        "full_page_writes is off",
        "archive_mode is on",
        "wal_recycle is on",
        "this role may not VACUUM",
    ]
    own.stop()
    own.start()


async def test_without_rights_or_schema_the_start_says_what_to_do(own: Server) -> None:
    await own.run(
        "DROP DATABASE IF EXISTS bare WITH (FORCE)", "CREATE DATABASE bare",
        "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN",
    )  # fmt: skip
    with pytest.raises(Misconfigured, match="onetime admin prepare"):
        await PostgresVault.open(own.url("poor", "bare"))
    with pytest.raises(Misconfigured, match="grant it USAGE"):
        await PostgresVault.open(own.url("poor"))


# What stays


async def test_statistics_hold_no_samples(own: Server, stores: list[VaultStore]) -> None:
    await own.empty()
    store = await PostgresVault.open(own.url())
    stores.append(store)
    for number in range(20):
        await store.put(fresh(f"stat {number}", owner=b"alice"))
    await own.run("ANALYZE")
    sampled = own.ask(
        "SELECT DISTINCT tablename || '.' || attname FROM pg_stats WHERE schemaname = 'onetime'"
    )
    bytes_ = own.ask(
        """SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'onetime' AND data_type = 'bytea'"""
    )
    assert "receipt.created_at" in sampled
    assert not {*sampled} & {*bytes_}


async def test_with_the_documented_settings_the_log_of_writes_forgets_as_well(
    own: Server, stores: list[VaultStore]
) -> None:
    """No file of the whole cluster then holds the key that the content was locked under."""
    own.stop()
    own.start(wal_recycle="off")
    store = await PostgresVault.open(own.url(), patience=20)
    stores.append(store)
    await store.put(fresh("wal"))
    key = own.key_of(name_of("secret wal"))
    assert _holders(own, key)
    await store.take(name_of("secret wal"))
    await store.scrub()
    for _ in range(2):
        await own.run("SELECT pg_switch_wal()", "CHECKPOINT")
    assert _holders(own, key) == []


def _holders(server: Server, content: bytes) -> list[Path]:
    return [
        path for path in server.data.rglob("*") if path.is_file() and content in path.read_bytes()
    ]


async def test_the_vaults_size_is_what_lives_in_it(url: str, stores: list[VaultStore]) -> None:
    clock = Clock()
    options: dict[str, Any] = {
        "connect": postgres.connecting(clock), "clock": clock, "max_bytes": 100_000, "patience": 20,
    }  # fmt: skip
    one, other = [await PostgresVault.open(url, **options) for _ in range(2)]
    stores += [one, other]
    for number in range(4):
        await (one, other)[number % 2].put(new_secret(f"{number}", body=bytes(20_000)))
    full = call("put", new_secret("too much", body=bytes(20_000)))
    assert await make(other, full) == Refused("Full")
    assert await make(other, call("put", new_secret("0", body=bytes(20_000)))) == Stored()
    assert await other.take(name_of("secret 0"))
    assert await make(one, full) == Stored()
    assert await make(one, call("put", new_secret("more", body=bytes(20_000)))) == Refused("Full")
    clock.now += 2 * HOUR
    await one.sweep()
    late = new_secret("late", body=bytes(80_000), created_at=int(clock.now))
    assert await make(other, call("put", late)) == Stored()


# The same as elsewhere


def test_numbers_in_the_functions_are_those_of_the_program() -> None:
    text = sql.FUNCTIONS
    assert f"sweep(v_now, {steps.GRACE_SECONDS}, {steps.SWEEP_ROWS})" in text
    assert f"p_awake_at > {SLEPT_SECONDS} THEN" in text
    assert f"wake(v_now, {SLEPT_SECONDS})" in text


# Where the two schemas differ, and why; sql/tables.sql says more.
ONLY_SQLITE = {"receipt.shard", "sqlite_sequence.name", "sqlite_sequence.seq"}


async def test_every_column_is_in_the_inventory(url: str) -> None:
    db = await asyncpg.connect(url)
    rows = await db.fetch(
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'onetime'"
    )
    await db.close()
    listed = {each.name for each in inventory.FIELDS if each.place is inventory.Place.VAULT}
    assert {row[0] for row in rows} - {"step.verb"} == listed - ONLY_SQLITE


def test_the_role_of_the_tests_is_no_superuser(own: Server) -> None:
    assert ROLE not in own.ask("SELECT rolname FROM pg_roles WHERE rolsuper")
