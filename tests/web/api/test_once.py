"""`Idempotency-Key`: a create of v1, v2 and v3 that is sent again is answered as the first, for a day."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from onetime.core.vault import ANSWER_SECONDS
from onetime.web.api import wish
from tests.rounds import rounds
from tests.web.api.transcript import Clock, opened


@dataclass(frozen=True)
class Way:
    """How a dialect says a create, and where its answer has the keys and a generated value."""

    conceal: str
    generate: str
    is_flat: bool = False

    async def ask(
        self, client: httpx2.AsyncClient, path: str, fields: dict[str, Any], **headers: str
    ) -> httpx2.Response:
        asked = fields if self.is_flat else {"secret": fields}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post(path, json=asked, headers=sent)

    def keys(self, answer: httpx2.Response) -> tuple[str, str]:
        assert answer.status_code == 200, answer.text
        made = answer.json()
        if self.is_flat:
            return made["secret_key"], made["metadata_key"]
        return made["record"]["secret"]["key"], made["record"]["receipt"]["key"]

    def value(self, answer: httpx2.Response) -> str | None:
        made = answer.json()
        found = made.get("value") if self.is_flat else made["record"]["secret"].get("secret_value")
        assert found is None or isinstance(found, str)
        return found


WAYS = {
    "v1": Way("/api/v1/share", "/api/v1/generate", is_flat=True),
    "v2": Way("/api/v2/secret/conceal", "/api/v2/secret/generate"),
    "v2 guest": Way("/api/v2/guest/secret/conceal", "/api/v2/guest/secret/generate"),
    "v3 guest": Way("/api/v3/guest/secret/conceal", "/api/v3/guest/secret/generate"),
}
FIELDS = {"secret": "hello", "ttl": 3600}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(tmp_path: Path, clock: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path, clock) as (_, client):
        yield client


def new_key() -> str:
    return secrets.token_hex(16)


@every_way
async def test_the_same_create_with_the_same_key_is_one_secret(
    client: httpx2.AsyncClient, clock: Clock, way: Way, tmp_path: Path
) -> None:
    key = new_key()
    first = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)
    clock.now += 600
    again = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)

    assert way.keys(again) == way.keys(first)
    with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
        assert db.execute("SELECT count(*) FROM secret").fetchone() == (1,)


@every_way
async def test_many_at_once_are_one(client: httpx2.AsyncClient, way: Way) -> None:
    key = new_key()
    answers = await asyncio.gather(
        *(way.ask(client, way.conceal, FIELDS, idempotency_key=key) for _ in range(rounds(16, 200)))
    )

    assert len({way.keys(answer) for answer in answers}) == 1


@every_way
async def test_another_key_or_none_is_another_secret(client: httpx2.AsyncClient, way: Way) -> None:
    headers: list[dict[str, str]] = [{}, {}, {"idempotency_key": new_key()}]
    headers += [{"idempotency_key": new_key()}]
    answers = [await way.ask(client, way.conceal, FIELDS, **each) for each in headers]

    assert len({way.keys(answer) for answer in answers}) == 4


@every_way
@pytest.mark.parametrize(
    "change", [{"secret": "other"}, {"ttl": 3601}, {"passphrase": "1234"}], ids=str
)
async def test_something_else_under_the_same_key_is_something_else(
    client: httpx2.AsyncClient, way: Way, change: dict[str, Any]
) -> None:
    key = new_key()
    first = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)
    other = await way.ask(client, way.conceal, {**FIELDS, **change}, idempotency_key=key)

    assert way.keys(other) != way.keys(first)


@every_way
async def test_the_key_lasts_for_a_day(client: httpx2.AsyncClient, clock: Clock, way: Way) -> None:
    key, fields = new_key(), {**FIELDS, "ttl": 604_800}
    first = await way.ask(client, way.conceal, fields, idempotency_key=key)
    clock.now += ANSWER_SECONDS - 1
    again = await way.ask(client, way.conceal, fields, idempotency_key=key)
    clock.now += 1
    later = await way.ask(client, way.conceal, fields, idempotency_key=key)

    assert way.keys(again) == way.keys(first)
    assert way.keys(later) != way.keys(first)


@every_way
async def test_what_has_been_read_is_not_made_again(client: httpx2.AsyncClient, way: Way) -> None:
    key = new_key()
    first = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)
    secret, receipt = way.keys(first)
    assert (await client.post(f"/api/v1/secret/{secret}")).json()["value"] == "hello"

    again = (await way.ask(client, way.conceal, FIELDS, idempotency_key=key)).json()

    if way.is_flat:
        assert (again["metadata_key"], again["state"]) == (receipt, "received")
    else:
        states = {again["record"][name]["state"] for name in ("receipt", "secret")}
        assert (again["record"]["receipt"]["key"], states) == (receipt, {"revealed"})
    assert (await client.post(f"/api/v1/secret/{secret}")).status_code == 404


@every_way
async def test_a_generated_value_is_shown_once_more_and_then_no_more(
    client: httpx2.AsyncClient, clock: Clock, way: Way
) -> None:
    """So that an answer that was lost on the way is not lost for good; `generated_value` has the rule."""
    key = new_key()
    first = await way.ask(client, way.generate, {}, idempotency_key=key)
    second = await way.ask(client, way.generate, {}, idempotency_key=key)
    third = await way.ask(client, way.generate, {}, idempotency_key=key)

    assert way.keys(first) == way.keys(second) == way.keys(third)
    assert way.value(first)
    assert way.value(second) == way.value(first)
    assert way.value(third) is None

    key = new_key()
    await way.ask(client, way.generate, {}, idempotency_key=key)
    clock.now += 60
    assert way.value(await way.ask(client, way.generate, {}, idempotency_key=key)) is None


async def test_all_dialects_have_one_memory(client: httpx2.AsyncClient) -> None:
    key = new_key()
    answers = [
        way.keys(await way.ask(client, way.conceal, FIELDS, idempotency_key=key))
        for way in WAYS.values()
    ]

    assert len(set(answers)) == 1


GOOD = [
    "0" * 32,
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    '"6F9619FF-8B86-D011-B42D-00C04FC964FF"',
    "01ARZ3NDEKTSV4RRFFQ69G5FAVAA",
    "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1s",
    "x" * 22,
    "f" * 255,
]
BAD = [
    "",
    '""',
    "1234",
    "0" * 31,
    "6f9619ff-8b86-d011-b42d-00c04fc964f",
    "-" * 40,
    "x" * 21,
    "x" * 256,
    "a b" * 20,
    "f" * 32 + '"',
    "ї" * 32,
]


@every_way
@pytest.mark.parametrize("key", GOOD)
async def test_a_long_key_is_taken(client: httpx2.AsyncClient, way: Way, key: str) -> None:
    first = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)
    again = await way.ask(client, way.conceal, FIELDS, idempotency_key=key)

    assert way.keys(first) == way.keys(again)


@every_way
@pytest.mark.parametrize("key", BAD)
async def test_a_short_key_is_refused_and_makes_nothing(
    client: httpx2.AsyncClient, way: Way, key: str, tmp_path: Path
) -> None:
    asked = FIELDS if way.is_flat else {"secret": FIELDS}
    headers = [(b"idempotency-key", key.encode())]
    answer = await client.post(way.conceal, json=asked, headers=headers)

    assert answer.status_code == (404 if way.is_flat else 422)
    assert wish.ONCE_TEXT in answer.json().values()
    with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
        assert db.execute("SELECT count(*) FROM secret").fetchone() == (0,)


async def test_without_the_key_the_answer_is_noise(
    client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    """What is kept for the repetition holds neither the key of the request nor those of the secret in the clear."""
    way, key = WAYS["v3 guest"], new_key()
    made = way.keys(await way.ask(client, way.conceal, FIELDS, idempotency_key=key))
    with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
        everything = b"".join(
            bytes(str(value), "utf-8") if not isinstance(value, bytes) else value
            for row in db.execute("SELECT * FROM answer")
            for value in row
        )
    assert everything
    for known in (key, *made):
        assert known.encode() not in everything
        assert bytes.fromhex(key) not in everything
