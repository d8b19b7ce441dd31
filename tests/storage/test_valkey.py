"""What is Valkey's alone: functions without a reply, servers that go and come back, and what stays in the log of writes."""

import asyncio
import io
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkey.exceptions import NoPermissionError

from onetime.app import build
from onetime.core import inventory
from onetime.errors import Misconfigured, Unavailable
from onetime.log import Log
from onetime.model import State
from onetime.settings import Settings
from onetime.storage.port import KeyName, Session, Stored, VaultStore
from onetime.storage.vault import link, steps
from onetime.storage.vault.envelope import SLEPT_SECONDS
from onetime.storage.vault.valkey import SCHEMA_VERSION, ValkeyVault, _Round, inspect, prepare
from tests import needs
from tests.storage import valkey
from tests.storage.adapters import HOUR, Clock, name_of, new_secret
from tests.storage.cutting import Proxy
from tests.storage.envelopes import claiming, handed, new_envelope, settling
from tests.storage.races import Refused, at_once, call, make
from tests.storage.tls import Authority, ending_tls
from tests.storage.valkey import Server

# What breaks the server on purpose is for `make faults`; the contract runs in `make test`.
pytestmark = pytest.mark.full

# From a call to "Unavailable", with what a busy machine adds; where the operation was sent, five seconds more.
AWAY_SECONDS = 3.0
SENT_SECONDS = 7.0
A, B = name_of("secret a"), name_of("secret b")
TAKE = b"_take\r\n"


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server to break; whole again after each test."""
    needs.need("valkey")
    server = Server()
    yield server
    server.remove()


@pytest.fixture
async def url(own: Server) -> str:
    """Of an empty vault."""
    await own.ask("FLUSHALL")
    return own.url()


@pytest.fixture
async def stores() -> AsyncIterator[list[VaultStore]]:
    """Closed at the end."""
    opened: list[VaultStore] = []
    yield opened
    for store in opened:
        await store.close()


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


# A function without a reply, cut on its way


CUTS = ["forwarded", "withheld", "forwarded silently", "withheld silently"]


@pytest.mark.parametrize("cut", CUTS)
async def test_a_function_whose_reply_is_cut_doubles_nothing_and_loses_nothing(
    own: Server, url: str, stores: list[VaultStore], cut: str
) -> None:
    await cut_at_take(own, stores, cut, ValkeyVault)


async def cut_at_take(
    own: Server, stores: list[VaultStore], cut: str, kind: type[ValkeyVault]
) -> None:
    async with Proxy(own.port, commit=TAKE) as proxy:
        patience = 0.5 if cut.endswith("silently") else 20
        store = await kind.open(own.url(port=proxy.own_port), patience=patience)
        stores.append(store)
        for word in "ab":
            await store.put(fresh(word))
        proxy.at_commit = cut
        answers = await at_once(store, [call("take", A), call("take", A), call("put", fresh("c"))])
        assert not proxy.at_commit
        taken, again, put = answers
        assert taken is not None
        assert taken.body == b"body of a"
        assert (again, put) == (None, Stored())
        other = await ValkeyVault.open(own.url())
        stores.append(other)
        assert await other.take(A) is None
        assert await state_of(other, "a") is State.REVEALED
        for word in "bc":
            assert await other.take(name_of(f"secret {word}"))


@pytest.mark.parametrize("cut", ["forwarded", "withheld"])
async def test_an_outcome_that_stays_unknown_gives_the_content_to_nobody(
    own: Server, url: str, stores: list[VaultStore], cut: str
) -> None:
    async with Proxy(own.port, commit=TAKE) as proxy:
        store = await ValkeyVault.open(own.url(port=proxy.own_port), proof_seconds=0.5, patience=20)
        stores.append(store)
        await store.put(fresh())
        proxy.at_commit, proxy.refuses = cut, True
        await unavailable_within(AWAY_SECONDS, store.take(A))
        assert proxy.refused
        proxy.refuses = False
        taken = await store.take(A)
        assert (taken is None) == (cut == "forwarded")
        assert await state_of(store, "a") is State.REVEALED


async def test_a_claim_whose_reply_is_cut_is_the_claimants(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    async with Proxy(own.port, commit=b"_claim\r\n") as proxy:
        store = await ValkeyVault.open(own.url(port=proxy.own_port), patience=20)
        stores.append(store)
        await store.put(new_envelope(created_at=int(time.time())))
        proxy.at_commit = "forwarded"
        assert await handed(store, claiming())
        assert await make(store, settling())
        assert await make(store, claiming()) is None


class Forgets(ValkeyVault):
    """Sends again what has no reply, as another operation: what client libraries do by themselves."""

    async def _ask(self, link_: Any, round_: _Round, proof_at: float) -> None:
        for place in round_.open:
            round_.batch[place].token = name_of(f"{time.monotonic_ns()}")
        await super()._ask(link_, round_, proof_at)


class TakesForFailed(ValkeyVault):
    """What has no reply was not done."""

    async def _ask(self, link_: Any, round_: _Round, proof_at: float) -> None:
        try:
            await super()._ask(link_, round_, proof_at)
        except link.LOST as error:
            round_.given_up(Unavailable(f"{error}"))


@pytest.mark.parametrize("twin", [Forgets, TakesForFailed])
async def test_who_guesses_about_a_reply_is_found_out(
    own: Server, url: str, stores: list[VaultStore], twin: type[ValkeyVault]
) -> None:
    with pytest.raises((AssertionError, AttributeError)):
        await cut_at_take(own, stores, "forwarded", twin)


async def test_what_comes_after_its_time_does_nothing(url: str, stores: list[VaultStore]) -> None:
    """A copy of an operation that lay in a buffer while its caller was told that nobody knows."""
    store = await ValkeyVault.open(url)
    stores.append(store)
    await store.put(fresh())
    line = link.dial(url)
    await line.connect()
    late = int((time.time() - 1) * 1e6)
    name = f"onetime_{link.VERSION}_take"
    assert (await line.ask("FCALL", name, 0, b"late", late, A, b""))[1:] == [b"late"]
    await line.disconnect()
    assert await store.take(A)


# Servers that go


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
async def test_a_server_that_is_away_is_unavailable_and_when_it_is_back_all_is_there(
    own: Server, url: str, stores: list[VaultStore], how: signal.Signals
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    for word in "ab":
        await store.put(fresh(word))
    await store.put(new_envelope("e", created_at=int(time.time())))
    body = await handed(store, claiming("e"))
    assert await store.take(A)
    await store.peek(B)
    own.stop(how)
    try:
        asked = (store.take(B), store.peek(B), store.ready(), store.put(fresh("c")))
        await asyncio.gather(*(unavailable_within(AWAY_SECONDS, each) for each in asked))
    finally:
        own.start()
    await store.ready()
    assert await store.take(A) is None
    assert await state_of(store, "a") is State.REVEALED
    assert await store.take(B)
    assert await handed(store, claiming("e")) == body


async def test_a_server_that_is_killed_under_load_keeps_what_it_has_answered(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url, patience=20, proof_seconds=20)
    stores.append(store)

    async def live(number: int) -> list[Any]:
        secret = fresh(f"{number}")
        await asyncio.sleep(0.005 * number)
        put = await store.put(secret)
        taken = [await store.take(secret.secret_id) for _ in range(2)]
        return [put, *(each and each.body for each in taken)]

    async def kill() -> None:
        for _ in range(2):
            await asyncio.sleep(0.15)
            await asyncio.to_thread(own.stop)
            await asyncio.to_thread(own.start)

    *lives, _ = await asyncio.gather(*map(live, range(100)), kill())
    assert lives == [[Stored(), f"body of {number}".encode(), None] for number in range(100)]


async def test_a_server_that_stands_still_hangs_nobody_and_does_nothing_late(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    for word in "ab":
        await store.put(fresh(word))
    await store.peek(A)
    own.pause()
    try:
        first = asyncio.create_task(unavailable_within(SENT_SECONDS, store.take(A)))
        await asyncio.sleep(0.1)
        await asyncio.gather(
            unavailable_within(AWAY_SECONDS, store.take(B)),
            unavailable_within(AWAY_SECONDS, store.peek(B)),
        )
        await first
    finally:
        own.resume()
    await store.ready()
    # Whoever was told that nobody knows may try again.
    assert await store.take(A)
    assert await store.take(B)


async def follow(replica: Server, primary: Server, *, port: int | None = None) -> None:
    """Until the replica has what the primary has."""
    await replica.ask("REPLICAOF", "127.0.0.1", port or primary.port)
    async with asyncio.timeout(20):
        while b"master_link_status:up" not in await replica.ask("INFO", "replication"):  # noqa: ASYNC110 - it is another program
            await asyncio.sleep(0.05)


@pytest.fixture
def two() -> Iterator[tuple[Server, Server]]:
    needs.need("valkey")
    servers = Server(), Server()
    yield servers
    for server in servers:
        server.remove()


@pytest.fixture
async def pair(two: tuple[Server, Server]) -> tuple[Server, Server, str]:
    """A primary, its replica, and the address of both."""
    primary, replica = two
    await follow(replica, primary)
    return primary, replica, f"{primary.url()},127.0.0.1:{replica.port}?replicas=1"


async def test_without_waiting_a_failover_loses_and_brings_back_as_documented(
    two: tuple[Server, Server], stores: list[VaultStore]
) -> None:
    primary, replica = two
    async with Proxy(primary.port) as proxy:
        await follow(replica, primary, port=proxy.own_port)
        store = await ValkeyVault.open(primary.url())
        stores.append(store)
        await store.put(fresh())
        await primary.ask("WAIT", 1, 10_000)
        proxy.refuses = True
        proxy.cut()
        assert await store.take(A)
        assert await store.put(fresh("b")) == Stored()
        primary.stop()
        await replica.ask("REPLICAOF", "NO", "ONE")
        promoted = await ValkeyVault.open(replica.url())
        stores.append(promoted)
        assert await promoted.take(A)
        assert await promoted.take(B) is None


async def test_with_replicas_a_failover_loses_nothing_and_brings_nothing_back(
    pair: tuple[Server, Server, str], stores: list[VaultStore]
) -> None:
    primary, replica, url = pair
    store = await ValkeyVault.open(url, patience=20, proof_seconds=20)
    stores.append(store)
    numbers = range(60)

    async def live(number: int) -> list[Any]:
        secret = fresh(f"{number}")
        await asyncio.sleep(0.01 * number)
        put = await make(store, call("put", secret))
        taken = [await make(store, call("take", secret.secret_id)) for _ in range(2)]
        return [put, *(getattr(each, "body", None) for each in taken)]

    async def fail_over() -> None:
        await asyncio.sleep(0.2)
        await asyncio.to_thread(primary.stop)
        await replica.ask("REPLICAOF", "NO", "ONE")
        # Without a replica nobody would be answered.
        await asyncio.to_thread(primary.start)
        await primary.ask("REPLICAOF", "127.0.0.1", replica.port)

    *lives, _ = await asyncio.gather(*map(live, numbers), fail_over())
    assert lives == [[Stored(), f"body of {number}".encode(), None] for number in numbers]


async def test_what_no_replica_has_is_answered_to_nobody(
    pair: tuple[Server, Server, str], stores: list[VaultStore]
) -> None:
    primary, replica, url = pair
    store = await ValkeyVault.open(url, proof_seconds=1.5)
    stores.append(store)
    await store.put(fresh())
    await store.put(fresh("b"))
    assert await store.take(B)
    replica.pause()
    try:
        await unavailable_within(AWAY_SECONDS + 1, store.take(A))
    finally:
        replica.resume()
    assert await store.doubts() == []
    alone = await ValkeyVault.open(primary.url())
    stores.append(alone)
    assert [each.partition(":")[0] for each in await alone.doubts()] == [
        "replicas are 1, and 0 are waited for"
    ]


async def test_a_server_that_lost_its_functions_gets_them_again(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url, patience=20)
    stores.append(store)
    await store.put(fresh())
    await own.ask("FUNCTION", "FLUSH")
    assert await store.take(A)


async def test_ten_may_start_at_once(own: Server, url: str, stores: list[VaultStore]) -> None:
    await own.ask("FUNCTION", "FLUSH")
    stores += await asyncio.gather(*(ValkeyVault.open(url, patience=20) for _ in range(10)))
    for number, store in enumerate(stores):
        assert await store.put(fresh(f"{number}")) == Stored()


# The start


async def test_a_vault_of_a_newer_version_is_refused(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    keys = [KeyName(number=1, verifier=b"v")]
    await store.adopt(keys)
    await own.ask("HSET", "onetime:vault", "schema_version", SCHEMA_VERSION + 1)
    with pytest.raises(Misconfigured, match="newer version"):
        await store.adopt(keys)


async def test_a_server_that_may_evict_is_refused(own: Server, url: str) -> None:
    await own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Misconfigured, match="maxmemory-policy allkeys-lru"):
            await ValkeyVault.open(url)
    finally:
        await own.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_replica_is_refused(own: Server, url: str) -> None:
    await own.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(Unavailable, match="is a replica"):
            await ValkeyVault.open(url)
    finally:
        await own.ask("REPLICAOF", "NO", "ONE")


async def test_a_wrong_address_or_password_is_one_line_without_it(own: Server, url: str) -> None:
    with pytest.raises(Unavailable, match=r"^ONETIME_VAULT_URL: Valkey cannot be reached") as away:
        await ValkeyVault.open("valkey://me:secret-word@127.0.0.1:1")
    with pytest.raises(Misconfigured, match="refuses this user or password") as refused:
        await ValkeyVault.open(own.url(user="me:secret-word@"))
    for said in (f"{away.value}", f"{refused.value}"):
        assert "secret-word" not in said
        assert "\n" not in said


async def test_what_a_server_cannot_keep_is_said_at_the_start(
    own: Server, url: str, tmp_path: Path
) -> None:
    async def said() -> list[str]:
        stream = io.StringIO()
        settings = Settings.from_env({"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": url})
        async with build(settings, log=Log(time.time, stream)):
            pass
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line["reason"].partition(":")[0] for line in lines if line["level"] == "warning"]

    assert await said() == []
    await own.ask("CONFIG", "SET", "appendfsync", "everysec", "save", "3600 1")
    assert await said() == ["appendfsync is everysec", "save is set"]
    await own.ask("CONFIG", "SET", "appendfsync", "always", "save", "", "appendonly", "no")
    assert await said() == ["appendonly is off"]
    await own.ask("CONFIG", "SET", "appendonly", "yes")


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
    own: Server,
    url: str,
    stores: list[VaultStore],
    tmp_path: Path,
    made_for: str,
    trusted: str,
    said: str,
) -> None:
    authorities = {name: Authority(tmp_path / "tls", name) for name in ("ours", "another")}
    context = authorities["ours"].context(made_for)
    async with ending_tls(own.port, context, request=b"") as own_port:
        through = f"valkeys://127.0.0.1:{own_port}?ca={authorities[trusted].file}"
        if said:
            with pytest.raises(Unavailable, match=said):
                await ValkeyVault.open(through)
            return
        store = await ValkeyVault.open(through, patience=20)
        stores.append(store)
        await store.put(fresh())
        assert await store.take(A)
        await store.close()


# Clocks


async def test_a_clock_that_is_off_changes_nothing_and_is_said(
    url: str, stores: list[VaultStore], tmp_path: Path
) -> None:
    settings = Settings.from_env({"ONETIME_DATA_DIR": str(tmp_path), "ONETIME_VAULT_URL": url})
    async with build(settings, clock=lambda: time.time() + 60) as app:
        assert app.is_clock_off
        assert 59 < app.store.skew() < 62
    ahead, behind = [
        await ValkeyVault.open(url, clock=lambda shift=shift: time.time() + shift, patience=20)  # type: ignore[misc]
        for shift in (1800, -1800)
    ]
    stores += [ahead, behind]
    await ahead.put(fresh("a", ttl=HOUR))
    await behind.put(fresh("b", ttl=HOUR))
    assert abs(ahead.now() - behind.now()) <= 1
    assert await behind.take(A)
    assert await ahead.take(B)


async def test_a_clock_that_is_set_while_it_runs_delays_nothing(
    url: str, stores: list[VaultStore]
) -> None:
    clock = Clock(time.time())
    store = await ValkeyVault.open(url, clock=clock)
    stores.append(store)
    for word, jump in (("a", -7200), ("b", 14400)):
        clock.now += jump
        assert await store.put(fresh(word)) == Stored()
        assert await store.take(name_of(f"secret {word}"))


# Rights


async def test_the_service_needs_no_more_than_the_documented_user(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    text = (needs.ROOT / "docs" / "storage.md").read_text()
    (rule,) = (line.strip() for line in text.splitlines() if "ACL SETUSER onetime" in line)
    await own.ask(*rule.replace(">…", ">word").split())
    service = own.url(user="onetime:word@")
    await own.ask("FUNCTION", "FLUSH")
    for start in (ValkeyVault.open, inspect):
        with pytest.raises(Misconfigured, match="onetime admin prepare"):
            await start(service)
    await prepare(url)
    assert await inspect(service) == []
    store = await ValkeyVault.open(service, patience=20)
    stores.append(store)
    await use_every_verb(store)
    assert await store.doubts() == []
    await store.scrub()
    for forbidden in (
        ["KEYS", "*"], ["SCAN", "0"], ["RANDOMKEY"], ["EVAL", "return 1", "0"], ["FLUSHALL"],
        ["FUNCTION", "FLUSH"], ["CONFIG", "SET", "appendonly", "no"], ["MONITOR"], ["CLIENT", "LIST"],
        ["REPLICAOF", "127.0.0.1", "1"], ["ACL", "LIST"], ["SAVE"], ["SORT", "x"], ["DUMP", "x"],
    ):  # fmt: skip
        with pytest.raises(NoPermissionError):
            await own.ask(*forbidden, user="onetime:word@")
    await store.close()
    await own.ask("ACL", "DELUSER", "onetime")


async def use_every_verb(store: VaultStore) -> None:
    now = int(time.time())
    await store.put(fresh(owner=b"alice", listing_id=name_of("listing"), listing=b"l"))
    await store.put(fresh("b"))
    for word in "efg":
        await store.put(new_envelope(word, created_at=now))
    assert await store.peek(A)
    assert await store.receipts_of(b"alice", limit=5)
    assert await store.take(A)
    assert await store.burn(B)
    assert await handed(store, claiming("e"))
    assert await make(store, settling("e"))
    assert await handed(store, claiming("f"))
    assert await store.look(name_of("secret g"))
    await store.daily_key(1, b"k", expires_at=now + HOUR)
    await store.put_token(name_of("t"), purpose="p", body=b"b", expires_at=now + HOUR)
    session = Session(
        session_id=name_of("s"), account=b"alice", data=b"d", created_at=now, expires_at=now + HOUR
    )
    await store.put_session(session)
    assert await store.sessions_of(b"alice") == [session]
    await store.sweep()
    await store.ready()


# What stays


async def test_every_key_has_an_end_and_every_field_is_in_the_inventory(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    await use_every_verb(store)
    listed = {each.name for each in inventory.FIELDS if each.place is inventory.Place.VAULT}
    await store.adopt([KeyName(number=1, verifier=b"v")])
    columns = {each.partition(".")[2] for each in listed}
    _, keys = await own.ask("SCAN", "0", "COUNT", "10000")
    assert len(keys) > 20
    for key in keys:
        assert await own.ask("TTL", key) > 0, key
        if await own.ask("TYPE", key) == b"hash" and key != b"onetime:root_key":
            fields = {each.decode() for each in await own.ask("HKEYS", key)}
            # A number that counts, and a receipt's place in the list of its owner.
            assert fields <= columns | {"number", "entry"}, key


async def test_what_was_read_leaves_the_log_of_writes(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    body = b"something that nobody else says"
    await store.put(fresh(body=body))
    await store.put(fresh("b"))

    def holders() -> list[Path]:
        return [path for path in own.files() if body in path.read_bytes()]

    assert holders()
    assert await store.take(A)
    # Not before its token has gone.
    await store.scrub()
    assert holders()
    _, keys = await own.ask("SCAN", "0", "COUNT", "10000")
    await own.ask("DEL", *(key for key in keys if key.startswith(b"onetime:op:")))
    await store.scrub()
    assert holders() == []
    assert await store.take(B)


async def test_where_memory_is_full_creates_are_refused_and_reading_goes_on(
    own: Server, url: str, stores: list[VaultStore]
) -> None:
    store = await ValkeyVault.open(url)
    stores.append(store)
    await store.put(fresh())
    await store.put(new_envelope("e", created_at=int(time.time())))
    await own.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        assert await make(store, call("put", fresh("b"))) == Refused("Full")
        assert await store.take(A)
        assert await handed(store, claiming("e"))
        assert await make(store, settling("e"))
        await store.sweep()
    finally:
        await own.ask("CONFIG", "SET", "maxmemory", "0")


async def test_the_vaults_size_is_what_lives_in_it(url: str, stores: list[VaultStore]) -> None:
    one, other = [await ValkeyVault.open(url, max_bytes=100_000) for _ in range(2)]
    stores += [one, other]
    for number in range(4):
        await (one, other)[number % 2].put(fresh(f"{number}", body=bytes(20_000)))
    full = call("put", fresh("too much", body=bytes(20_000)))
    assert await make(other, full) == Refused("Full")
    assert await other.take(name_of("secret 0"))
    assert await make(one, full) == Stored()
    assert await make(one, call("put", fresh("more", body=bytes(20_000)))) == Refused("Full")


# The same as elsewhere


def test_numbers_in_the_functions_are_those_of_the_program() -> None:
    for name, value in {
        "GRACE": steps.GRACE_SECONDS, "ROWS": steps.SWEEP_ROWS, "SLEPT": SLEPT_SECONDS,
    }.items():  # fmt: skip
        assert f"local {name} = {value} " in link.TEXT


async def test_the_shared_server_has_the_clock_of_the_test() -> None:
    needs.need("valkey")
    assert valkey.SHIFTED != link.LIBRARY
    address = await valkey.empty_vault()
    store = await ValkeyVault.open(address, clock=Clock(5), **valkey.shifted(Clock(5)))
    assert store.now() == 5
    await store.close()
