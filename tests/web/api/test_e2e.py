"""The API of end-to-end secrets: what each call does, and how it says no."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from onetime.app import App
from onetime.core.limits import BUDGETS, ENVELOPE_TRIES
from onetime.crypto import envelope
from onetime.errors import NotFound
from onetime.model import Caller
from tests.web.api.sealing import Sealed, Words, ask, create, created, other, refusal
from tests.web.api.transcript import START, Clock, opened

WEEK = 604_800
WINDOW = 600
NOT_FOUND = (404, {"code": "not_found"})
CLAIMED = (409, {"code": "claimed"})
CONFLICT = (409, {"code": "conflict"})
CLOSED = (429, {"code": "closed"})

Client = httpx2.AsyncClient
Wait = Callable[[int], Awaitable[None]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def served(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[App, Client]]:
    async with opened(tmp_path, clock) as both:
        yield both


@pytest.fixture
def client(served: tuple[App, Client]) -> Client:
    return served[1]


@pytest.fixture
def wait(served: tuple[App, Client], clock: Clock) -> Wait:
    """Time passes, and the service is awake: a window that it has slept through would be given once more."""

    async def wait(seconds: int) -> None:
        for at in range(0, seconds, 60):
            clock.now += min(60, seconds - at)
            await served[0].store.ready()

    return wait


async def said(client: Client, path: str, words: Words) -> dict[str, Any]:
    answer = await ask(client, path, words)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def no(client: Client, path: str, words: Words) -> tuple[int, dict[str, Any]]:
    return refusal(await ask(client, path, words))


async def reveal(client: Client, sealed: Sealed) -> bytes:
    answer = await ask(client, "reveal", sealed.revealing())
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def receipt(**more: Any) -> dict[str, Any]:
    """Of a secret that was made at the beginning, with what has become of it."""
    return {
        "state": "new",
        "has_passphrase": False,
        "created_at": START,
        "secret_expires_at": START + WEEK,
        "expires_at": START + 2 * WEEK,
        "ended_at": None,
        "acknowledged": False,
        "acknowledged_at": None,
        "window_ends_at": None,
        "wrong_tries": 0,
        "closed": False,
        "now": START,
        **more,
    }


# Each call, as it should go


async def test_the_terms(client: Client) -> None:
    answer = await client.get("/api/e2e/terms")

    assert answer.headers["cache-control"] == "no-store"
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "version": 1,
            "max_body_bytes": envelope.sealed_size(envelope.MOST_LINE_BYTES + 100_000),
            "max_secret_bytes": 100_000,
            "min_ttl": 60,
            "default_ttl": WEEK,
            "max_ttl": WEEK,
            "reveal_window": WINDOW,
            "now": START,
        },
    )
    head = await client.head("/api/e2e/terms")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


async def test_the_terms_are_the_operators(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "max_secret_bytes": 7,
        "min_ttl": 300,
        "default_ttl": 350,
        "anonymous_max_ttl": 400,
    }
    async with opened(tmp_path, Clock(), reveal_window=0, **asked) as (_, client):
        terms = (await client.get("/api/e2e/terms")).json()
        assert (
            terms
            | {
                "max_secret_bytes": 7,
                "min_ttl": 300,
                "default_ttl": 350,
                "max_ttl": 400,
                "reveal_window": 0,
            }
            == terms
        )
        assert (await create(client, Sealed())).json()["secret_expires_at"] == START + 350
        refused = refusal(await create(client, Sealed(), ttl="299"))
        assert refused == (400, {"code": "invalid", "field": "ttl", "rule": "too_short"})


async def test_an_envelope_goes_from_one_device_to_the_other(client: Client, clock: Clock) -> None:
    sealed = Sealed(b"correct horse")
    made = await create(client, sealed, ttl="3600")
    assert (made.status_code, made.json()) == (
        201,
        {
            "created_at": START,
            "secret_expires_at": START + 3600,
            "expires_at": START + 7200,
            "now": START,
        },
    )
    look = {
        "state": "new",
        "has_passphrase": False,
        "size_bytes": len(sealed.body),
        "created_at": START,
        "secret_expires_at": START + 3600,
        "window_ends_at": None,
        "attempts_left": ENVELOPE_TRIES.free,
        "locked_until": None,
        "closed": False,
        "now": START,
    }
    assert await said(client, "look", sealed.link()) == look

    clock.now += 10
    answer = await ask(client, "reveal", sealed.revealing())
    assert answer.headers["onetime-window-ends-at"] == str(START + 10 + WINDOW)
    assert answer.headers["onetime-now"] == str(START + 10)
    found = envelope.open_(sealed.keys.content_key, answer.content)
    assert found.content == b"correct horse"
    claimed = {"state": "claimed", "window_ends_at": START + 10 + WINDOW, "now": START + 10}
    assert await said(client, "look", sealed.link()) == look | claimed

    clock.now += 5
    settled = {"acknowledged_at": START + 15, "now": START + 15}
    assert await said(client, "settle", sealed.claiming()) == settled
    clock.now += 5
    assert await said(client, "settle", sealed.claiming()) == settled | {"now": START + 20}
    assert await no(client, "look", sealed.link()) == NOT_FOUND
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="revealed",
        secret_expires_at=START + 3600,
        expires_at=START + 7200,
        ended_at=START + 10,
        acknowledged=True,
        acknowledged_at=START + 15,
        now=START + 20,
    )


async def test_the_same_claim_gets_the_same_bytes_while_its_window_lasts(
    client: Client, wait: Wait
) -> None:
    """Whatever the open proof: the claim is enough."""
    sealed = await created(client)
    first = await reveal(client, sealed)
    await wait(WINDOW - 1)
    again = await ask(client, "reveal", other(sealed.revealing(), "open_proof"))
    assert again.content == first == sealed.body
    assert again.headers["onetime-window-ends-at"] == str(START + WINDOW)
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="claimed", ended_at=START, window_ends_at=START + WINDOW, now=START + WINDOW - 1
    )

    await wait(1)

    assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="revealed", ended_at=START, now=START + WINDOW
    )
    late = {"acknowledged_at": START + WINDOW, "now": START + WINDOW}
    assert await said(client, "settle", sealed.claiming()) == late


async def test_another_claim_gets_nothing(client: Client) -> None:
    sealed = await created(client)
    await reveal(client, sealed)
    stranger = other(sealed.revealing(), "claim")

    assert await no(client, "reveal", stranger) == CLAIMED
    assert await no(client, "settle", other(sealed.claiming(), "claim")) == NOT_FOUND
    assert await reveal(client, sealed) == sealed.body


async def test_one_of_many_claims_gets_it(client: Client) -> None:
    sealed = await created(client)
    racers = [other(sealed.revealing(), "claim") for _ in range(32)]

    answers = await asyncio.gather(*(ask(client, "reveal", racer) for racer in racers))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 31


async def test_the_window_may_be_switched_off(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock(), reveal_window=0) as (_, client):
        sealed = await created(client)
        assert await reveal(client, sealed) == sealed.body
        assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND


# Create


async def test_a_create_that_is_repeated_is_answered_as_the_first(
    client: Client, clock: Clock
) -> None:
    sealed = Sealed()
    first = (await create(client, sealed)).json()
    clock.now += 100
    again = await create(client, sealed)

    assert (again.status_code, again.json()) == (201, first | {"now": START + 100})


CHANGES: list[dict[str, Any]] = [
    {"passphrase": "yes"},
    {"ttl": "60"},
    {"open_hash": "A" * 43},
    {"receipt_hash": "A" * 43},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_a_create_that_differs_is_a_conflict(client: Client, change: Words) -> None:
    sealed = await created(client)

    assert refusal(await create(client, sealed, **change)) == CONFLICT
    assert await said(client, "receipt", sealed.receipt()) == receipt()
    assert await reveal(client, sealed) == sealed.body


async def test_another_body_under_the_same_id_is_a_conflict(client: Client) -> None:
    sealed = await created(client)
    body = Sealed(b"another").body

    answer = await client.post("/api/e2e/create", content=body, headers=sealed.headers())

    assert refusal(answer) == CONFLICT
    assert await reveal(client, sealed) == sealed.body


@pytest.mark.parametrize("end", ["reveal", "settle", "burn", "expire"])
async def test_what_is_no_longer_new_is_not_created_again(
    client: Client, clock: Clock, end: str
) -> None:
    sealed = await created(client)
    if end in {"reveal", "settle"}:
        await reveal(client, sealed)
    if end == "settle":
        await said(client, "settle", sealed.claiming())
    if end == "burn":
        await said(client, "burn", sealed.opening())
    if end == "expire":
        clock.now += WEEK

    assert refusal(await create(client, sealed)) == CONFLICT


@pytest.mark.parametrize(
    ("ttl", "granted"), [(None, WEEK), ("60", 60), ("3600", 3600), (str(WEEK), WEEK)]
)
async def test_the_lifetime_is_what_was_asked_for(
    client: Client, ttl: str | None, granted: int
) -> None:
    made = (await create(client, Sealed(), ttl=ttl)).json()

    assert made["secret_expires_at"] == START + granted
    assert made["expires_at"] == START + 2 * granted


@pytest.mark.parametrize(
    ("ttl", "rule"), [("0", "too_short"), ("59", "too_short"), (str(WEEK + 1), "too_long")]
)
async def test_a_lifetime_beyond_the_limits_is_refused(client: Client, ttl: str, rule: str) -> None:
    refused = refusal(await create(client, Sealed(), ttl=ttl))

    assert refused == (400, {"code": "invalid", "field": "ttl", "rule": rule})


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_519 * 1, 100_000])
async def test_every_allowed_size_arrives(client: Client, size: int) -> None:
    sealed = await created(client, content=os.urandom(size))

    assert await reveal(client, sealed) == sealed.body
    assert envelope.open_(sealed.keys.content_key, sealed.body).content == sealed.content


# Passphrases


async def test_a_wrong_open_proof_spends_an_attempt_and_nothing_else(
    client: Client, clock: Clock
) -> None:
    sealed = await created(client, has_passphrase=True)
    wrong = other(sealed.revealing(), "open_proof")
    free = ENVELOPE_TRIES.free
    for left in reversed(range(free)):
        refused = await no(client, "reveal", wrong)
        assert refused == (403, {"code": "wrong_passphrase", "attempts_left": left})
    assert await no(client, "reveal", sealed.revealing()) == (
        429,
        {"code": "rate_limited", "retry_after": 60},
    )
    look = await said(client, "look", sealed.link())
    assert (look["attempts_left"], look["locked_until"]) == (0, START + 60)
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        has_passphrase=True, wrong_tries=free
    )

    clock.now += 60

    assert await reveal(client, sealed) == sealed.body


async def test_a_burn_with_a_wrong_open_proof_spends_one_too(client: Client) -> None:
    sealed = await created(client)

    refused = await no(client, "burn", other(sealed.opening(), "open_proof"))

    assert refused == (403, {"code": "wrong_passphrase", "attempts_left": ENVELOPE_TRIES.free - 1})
    assert (await said(client, "receipt", sealed.receipt()))["wrong_tries"] == 1


async def test_a_lock_does_not_stand_between_the_claimant_and_the_envelope(client: Client) -> None:
    sealed = await created(client)
    await reveal(client, sealed)
    stranger = other(other(sealed.revealing(), "open_proof"), "claim")
    for _ in range(ENVELOPE_TRIES.free + 1):
        assert await no(client, "reveal", stranger) == CLAIMED

    assert await reveal(client, sealed) == sealed.body


async def test_after_a_hundred_wrong_ones_it_is_closed_to_everybody_but_its_sender(
    client: Client, clock: Clock
) -> None:
    sealed = await created(client, has_passphrase=True)
    wrong = other(sealed.revealing(), "open_proof")
    tries = 0
    while tries < ENVELOPE_TRIES.total:
        status, error = await no(client, "reveal", wrong)
        if status == 403:
            tries += 1
        else:
            clock.now += error["retry_after"]

    assert await no(client, "reveal", sealed.revealing()) == CLOSED
    assert await no(client, "burn", sealed.opening()) == CLOSED
    look = await said(client, "look", sealed.link())
    assert (look["closed"], look["attempts_left"]) == (True, 0)
    about = await said(client, "receipt", sealed.receipt())
    assert (about["closed"], about["wrong_tries"], about["state"]) == (True, 100, "new")
    assert (await said(client, "receipt/burn", sealed.receipt()))["state"] == "burned"


# Burn


async def test_the_holder_of_the_link_burns(client: Client, clock: Clock) -> None:
    sealed = await created(client)
    clock.now += 1

    assert await said(client, "burn", sealed.opening()) == {"state": "burned", "now": START + 1}
    assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND
    assert await no(client, "burn", sealed.opening()) == NOT_FOUND
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="burned", ended_at=START + 1, now=START + 1
    )


async def test_a_claim_that_has_nothing_burns_nothing(client: Client) -> None:
    sealed = await created(client)

    assert (await ask(client, "burn", sealed.claiming())).status_code >= 400
    assert await reveal(client, sealed) == sealed.body


async def test_while_a_window_lasts_only_its_claim_ends_it(client: Client) -> None:
    sealed = await created(client)
    await reveal(client, sealed)

    assert await no(client, "burn", sealed.opening()) == CLAIMED
    assert await no(client, "burn", other(sealed.claiming(), "claim")) == CLAIMED
    assert await reveal(client, sealed) == sealed.body
    assert await no(client, "burn", sealed.claiming()) == CLAIMED
    assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND
    assert (await said(client, "receipt", sealed.receipt()))["state"] == "revealed"


async def test_the_sender_burns(client: Client, clock: Clock) -> None:
    sealed = await created(client)
    clock.now += 1
    burned = receipt(state="burned", ended_at=START + 1, now=START + 1)

    assert await said(client, "receipt/burn", sealed.receipt()) == burned
    assert await said(client, "receipt", sealed.receipt()) == burned
    assert await no(client, "look", sealed.link()) == NOT_FOUND
    assert await no(client, "receipt/burn", sealed.receipt()) == NOT_FOUND


async def test_the_sender_comes_too_late_and_ends_the_window(client: Client) -> None:
    sealed = await created(client)
    await reveal(client, sealed)

    assert await no(client, "receipt/burn", sealed.receipt()) == CLAIMED
    assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND
    assert await no(client, "receipt/burn", sealed.receipt()) == CLAIMED
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="revealed", ended_at=START
    )


async def test_what_has_expired_is_gone_and_then_its_receipt(client: Client, clock: Clock) -> None:
    sealed = await created(client)
    clock.now += WEEK

    assert await no(client, "look", sealed.link()) == NOT_FOUND
    assert await no(client, "reveal", sealed.revealing()) == NOT_FOUND
    assert await no(client, "receipt/burn", sealed.receipt()) == NOT_FOUND
    assert await said(client, "receipt", sealed.receipt()) == receipt(
        state="expired", ended_at=START + WEEK, now=START + WEEK
    )
    clock.now += WEEK
    assert await no(client, "receipt", sealed.receipt()) == NOT_FOUND


# Who has no business here


def questions(sealed: Sealed) -> Iterator[tuple[str, Words]]:
    """Everything that somebody without the link and the receipt can ask about a secret whose id is known."""
    for words in (other(sealed.revealing(), "link_proof"), guessed(sealed)):
        yield "look", {"link_proof": words["link_proof"]}
        yield "reveal", words
        yield "settle", {name: words[name] for name in ("link_proof", "claim")}
        yield "burn", {name: words[name] for name in ("link_proof", "claim")}
        yield "burn", {name: words[name] for name in ("link_proof", "open_proof")}
    for path in ("receipt", "receipt/burn"):
        yield path, other(sealed.receipt(), "receipt_proof")
        yield path, {**sealed.receipt(), "receipt_proof": sealed.opening()["open_proof"]}
        yield path, other(sealed.receipt(), "secret_id")


def guessed(sealed: Sealed) -> Words:
    """The id is no proof."""
    return {**sealed.revealing(), "link_proof": sealed.secret_id}


async def exactly(client: Client, path: str, words: Words) -> tuple[Any, ...]:
    """All of an answer but the number of its request."""
    answer = await ask(client, path, words)
    headers = [line for line in answer.headers.raw if line[0].lower() != b"x-request-id"]
    return answer.status_code, headers, answer.content


async def test_an_unknown_secret_and_one_of_somebody_else_are_the_same_to_the_byte(
    client: Client, clock: Clock
) -> None:
    unknown = await exactly(client, "look", Sealed().link())
    burned = await created(client)
    await said(client, "burn", burned.opening())
    settled = await created(client)
    await reveal(client, settled)
    await said(client, "settle", settled.claiming())
    expired = Sealed()
    await create(client, expired, ttl="60")
    clock.now += 60
    living = await created(client)
    claimed = await created(client)
    await reveal(client, claimed)
    before = [await said(client, "receipt", each.receipt()) for each in (living, claimed)]

    assert unknown[0] == 404
    for sealed in (Sealed(), burned, settled, expired, living, claimed):
        for path, words in questions(sealed):
            assert await exactly(client, path, words) == unknown, path
    for sealed in (Sealed(), burned, expired):
        assert await exactly(client, "look", sealed.link()) == unknown
        assert await exactly(client, "reveal", sealed.revealing()) == unknown
        assert await exactly(client, "settle", sealed.claiming()) == unknown
        assert await exactly(client, "burn", sealed.opening()) == unknown

    after = [await said(client, "receipt", each.receipt()) for each in (living, claimed)]
    assert after == before
    assert await reveal(client, living) == living.body
    assert await reveal(client, claimed) == claimed.body


async def test_the_compatible_api_does_not_know_it(client: Client) -> None:
    sealed = await created(client)
    for word in (sealed.secret_id, sealed.link()["link_proof"]):
        key = word.lower().replace("_", "x").replace("-", "x")[:31]
        assert (await client.post(f"/api/v1/secret/{key}")).status_code == 404
    assert await reveal(client, sealed) == sealed.body


# Budgets


async def test_a_network_has_so_many_creates(served: tuple[App, Client]) -> None:
    app, client = served
    sealed = Sealed()
    busy = Caller(network="192.0.2.0/24")
    uses = range(BUDGETS["create"].limit)
    await asyncio.gather(*(app.vault.conceal("hello", caller=busy) for _ in uses))

    status, error = refusal(await create(client, sealed))

    assert (status, error["code"]) == (429, "rate_limited")
    assert 0 < error["retry_after"] <= BUDGETS["create"].window
    assert await no(client, "receipt", sealed.receipt()) == NOT_FOUND


async def test_a_network_has_so_many_reveals_and_a_claim_needs_none(
    served: tuple[App, Client],
) -> None:
    app, client = served
    claimed, living = await created(client), await created(client)
    await reveal(client, claimed)
    busy = Caller(network="192.0.2.0/24")

    async def use() -> None:
        with pytest.raises(NotFound):
            await app.envelopes.reveal(os.urandom(32), b"", b"", caller=busy)

    await asyncio.gather(*(use() for _ in range(BUDGETS["reveal"].limit - 1)))

    status, error = await no(client, "reveal", living.revealing())
    assert (status, error["code"]) == (429, "rate_limited")
    assert 0 < error["retry_after"] <= BUDGETS["reveal"].window
    assert await reveal(client, claimed) == claimed.body


def test_the_id_is_the_hash_of_the_link_proof() -> None:
    """The words of these tests are those of docs/envelope.md."""
    sealed = Sealed()
    assert sealed.secret_id == envelope.to_base64_url(
        hashlib.sha256(sealed.keys.link_proof).digest()
    )
