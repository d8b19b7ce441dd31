"""One vault, many ways in: what was made through one is watched, read and burned through every other, in the words of each.

A sealed secret has the doors v1, v2, v3 and the pages; an end-to-end one its own API, and the pages by way of it (a browser does
that in tests/browser). Neither kind is known at the doors of the other.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

from onetime.crypto.envelope import to_base64_url
from tests.web.api import sealing
from tests.web.api.transcript import Clock, opened

TEXT = "correct horse їжак"
TTL = 3600
FATES = ("new", "revealed", "burned", "expired")

Client = httpx2.AsyncClient


@dataclass(frozen=True)
class Keys:
    secret: str
    receipt: str


class Door(Protocol):
    """`states` are its words for FATES. Passphrases are given where there are any; pages need none to burn by the receipt."""

    states: tuple[str, str, str, str]

    async def make(self, client: Client, passphrase: str) -> Keys: ...
    async def state(self, client: Client, keys: Keys) -> str: ...
    async def is_there(self, client: Client, keys: Keys) -> bool: ...
    async def read(self, client: Client, keys: Keys, passphrase: str) -> str | None: ...
    async def burn(self, client: Client, keys: Keys, passphrase: str) -> bool: ...


class V1:
    states = ("new", "received", "burned", "expired")

    async def make(self, client: Client, passphrase: str) -> Keys:
        asked = {"secret": TEXT, "ttl": TTL, "passphrase": passphrase}
        made = (await client.post("/api/v1/share", json=asked)).json()
        return Keys(made["secret_key"], made["metadata_key"])

    async def state(self, client: Client, keys: Keys) -> str:
        return str((await client.get(f"/api/v1/private/{keys.receipt}")).json()["state"])

    async def is_there(self, client: Client, keys: Keys) -> bool:
        """It can look from the sender's side alone."""
        found = (await client.post(f"/api/v1/metadata/{keys.receipt}")).json()
        return bool(found.get("secret_ttl"))

    async def read(self, client: Client, keys: Keys, passphrase: str) -> str | None:
        asked = {"passphrase": passphrase}
        answer = await client.post(f"/api/v1/secret/{keys.secret}", data=asked)
        return str(answer.json()["value"]) if answer.status_code == 200 else None

    async def burn(self, client: Client, keys: Keys, passphrase: str) -> bool:
        asked = {"passphrase": passphrase}
        answer = await client.post(f"/api/v1/receipt/{keys.receipt}/burn", data=asked)
        return answer.status_code == 200 and answer.json()["state"]["state"] == "burned"


@dataclass(frozen=True)
class Records:
    """v2 and v3, with an account or as a guest."""

    base: str
    receipt: str = "receipt"
    states = FATES

    async def make(self, client: Client, passphrase: str) -> Keys:
        asked = {"secret": {"secret": TEXT, "ttl": TTL, "passphrase": passphrase}}
        made = (await client.post(f"{self.base}/secret/conceal", json=asked)).json()["record"]
        return Keys(made["secret"]["identifier"], made["receipt"]["identifier"])

    async def state(self, client: Client, keys: Keys) -> str:
        found = (await client.get(f"{self.base}/{self.receipt}/{keys.receipt}")).json()["record"]
        state = str(found["state"])
        assert found["secret_state"] == ("new" if state == "new" else None)
        for name in ("revealed", "burned", "expired"):
            assert found[f"is_{name}"] is (state == name)
        assert found["is_received"] is found["is_revealed"]
        assert found["is_destroyed"] is (state != "new")
        return state

    async def is_there(self, client: Client, keys: Keys) -> bool:
        status = self.base.removesuffix("/guest")
        found = await client.get(f"{status}/secret/{keys.secret}/status")
        shown = await client.get(f"{self.base}/secret/{keys.secret}")
        assert (shown.status_code == 200) == ("details" in found.json())
        return shown.status_code == 200

    async def read(self, client: Client, keys: Keys, passphrase: str) -> str | None:
        asked = {"passphrase": passphrase, "continue": True}
        answer = await client.post(f"{self.base}/secret/{keys.secret}/reveal", json=asked)
        return str(answer.json()["record"]["secret_value"]) if answer.status_code == 200 else None

    async def burn(self, client: Client, keys: Keys, passphrase: str) -> bool:
        asked = {"passphrase": passphrase, "continue": True}
        path = f"{self.base}/{self.receipt}/{keys.receipt}/burn"
        answer = await client.post(path, json=asked)
        return answer.status_code == 200 and answer.json()["record"]["is_burned"] is True


class Pages:
    """Without script."""

    states = (
        "Not opened yet",
        "Opened",
        "Destroyed unread",
        "Expired: nobody opened it in time",
    )

    async def make(self, client: Client, passphrase: str) -> Keys:
        asked = {"secret": TEXT, "ttl": str(TTL), "passphrase": passphrase}
        page = (await client.post("/", data=asked)).text
        (secret,) = set(re.findall("/secret/([0-9a-z]{31})", page))
        (receipt,) = set(re.findall("/receipt/([0-9a-z]{31})", page))
        return Keys(secret, receipt)

    async def state(self, client: Client, keys: Keys) -> str:
        return _title(await client.get(f"/receipt/{keys.receipt}"))

    async def is_there(self, client: Client, keys: Keys) -> bool:
        return (await client.get(f"/secret/{keys.secret}")).status_code == 200

    async def read(self, client: Client, keys: Keys, passphrase: str) -> str | None:
        asked = {"show": "yes", "passphrase": passphrase}
        answer = await client.post(f"/secret/{keys.secret}", data=asked)
        return TEXT if _title(answer) == "Your secret" and TEXT in answer.text else None

    async def burn(self, client: Client, keys: Keys, passphrase: str) -> bool:
        del passphrase
        answer = await client.post(
            f"/receipt/{keys.receipt}/burn", data={"burn": "yes"}, follow_redirects=True
        )
        return _title(answer) == "Destroyed unread"


def _title(answer: httpx2.Response) -> str:
    found = re.search("<title>(.*?)</title>", answer.text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1]).partition(" · ")[0].strip()


DOORS: dict[str, Door] = {
    "v1": V1(),
    "v2": Records("/api/v2"),
    "v2 private": Records("/api/v2", "private"),
    "v2 guest": Records("/api/v2/guest"),
    "v3 guest": Records("/api/v3/guest"),
    "pages": Pages(),
}
MAKERS = ("v1", "v2", "v3 guest", "pages")
PAIRS = list(product(MAKERS, DOORS))

every_pair = pytest.mark.parametrize(
    ("maker", "other"),
    [(DOORS[maker], DOORS[other]) for maker, other in PAIRS],
    ids=[f"{maker} then {other}" for maker, other in PAIRS],
)
every_passphrase = pytest.mark.parametrize("passphrase", ["", "battery ї"], ids=["open", "closed"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(tmp_path: Path, clock: Clock) -> AsyncIterator[Client]:
    async with opened(tmp_path, clock) as (_, client):
        yield client


async def everywhere(client: Client, keys: Keys, fate: str) -> None:
    """Every door tells the same fate, each in its own word."""
    for name, door in DOORS.items():
        said = await door.state(client, keys)
        assert said == door.states[FATES.index(fate)], name
        assert await door.is_there(client, keys) is (fate == "new"), name


@every_pair
@every_passphrase
async def test_what_one_has_made_another_reads_once(
    client: Client, maker: Door, other: Door, passphrase: str
) -> None:
    keys = await maker.make(client, passphrase)
    await everywhere(client, keys, "new")

    if passphrase:
        assert await other.read(client, keys, "a guess") is None
        await everywhere(client, keys, "new")
    assert await other.read(client, keys, passphrase) == TEXT

    await everywhere(client, keys, "revealed")
    for door in DOORS.values():
        assert await door.read(client, keys, passphrase) is None
        assert await door.burn(client, keys, passphrase) is False


@every_pair
@every_passphrase
async def test_what_one_has_made_another_burns(
    client: Client, maker: Door, other: Door, passphrase: str
) -> None:
    keys = await maker.make(client, passphrase)

    if passphrase and not isinstance(other, Pages):
        assert await other.burn(client, keys, "a guess") is False
        await everywhere(client, keys, "new")
    assert await other.burn(client, keys, passphrase) is True

    await everywhere(client, keys, "burned")
    for door in DOORS.values():
        assert await door.read(client, keys, passphrase) is None


@pytest.mark.parametrize("maker", [DOORS[name] for name in MAKERS], ids=MAKERS)
async def test_what_one_has_made_expires_for_all(client: Client, clock: Clock, maker: Door) -> None:
    keys = await maker.make(client, "")
    clock.now += TTL - 1
    await everywhere(client, keys, "new")
    clock.now += 1
    await everywhere(client, keys, "expired")
    for door in DOORS.values():
        assert await door.read(client, keys, "") is None


@pytest.mark.parametrize("guesser", DOORS.values(), ids=DOORS)
async def test_wrong_passphrases_at_one_door_lock_all(client: Client, guesser: Door) -> None:
    keys = await DOORS["v3 guest"].make(client, "battery")
    for _ in range(5):
        assert await guesser.read(client, keys, "a guess") is None

    for door in DOORS.values():
        assert await door.read(client, keys, "battery") is None
    await everywhere(client, keys, "new")


# The other kind


async def envelope_state(client: Client, sealed: sealing.Sealed) -> str:
    return str((await sealing.ask(client, "receipt", sealed.receipt())).json()["state"])


async def test_an_envelope_has_a_door_of_its_own(client: Client, clock: Clock) -> None:
    read, burned, expired = [await sealing.created(client) for _ in range(3)]
    assert {await envelope_state(client, each) for each in (read, burned, expired)} == {"new"}

    answer = await sealing.ask(client, "reveal", read.revealing())
    assert answer.content == read.body
    assert await envelope_state(client, read) == "claimed"
    await sealing.ask(client, "settle", read.claiming())
    await sealing.ask(client, "receipt/burn", burned.receipt())
    clock.now += 604_800

    assert await envelope_state(client, read) == "revealed"
    assert await envelope_state(client, burned) == "burned"
    assert await envelope_state(client, expired) == "expired"


@pytest.mark.parametrize("name", DOORS)
async def test_no_other_door_knows_an_envelope(client: Client, name: str) -> None:
    """Not by any of the words that its sender or its reader has."""
    sealed = await sealing.created(client)
    door = DOORS[name]
    for word in {**sealed.revealing(), **sealed.receipt()}.values():
        keys = Keys(word, word)
        assert await door.read(client, keys, "") is None
        assert await door.burn(client, keys, "") is False
    assert await envelope_state(client, sealed) == "new"


@pytest.mark.parametrize("maker", [DOORS[name] for name in MAKERS], ids=MAKERS)
async def test_the_door_of_envelopes_knows_no_sealed_secret(client: Client, maker: Door) -> None:
    keys = await maker.make(client, "")
    for key in (keys.secret, keys.receipt):
        raw = key.encode().ljust(32, b"\0")
        word = to_base64_url(raw)
        claim = to_base64_url(raw[:16])
        for path, words in {
            "look": {"link_proof": word},
            "reveal": {"link_proof": word, "open_proof": word, "claim": claim},
            "burn": {"link_proof": word, "open_proof": word},
            "receipt": {"secret_id": word, "receipt_proof": word},
            "receipt/burn": {"secret_id": word, "receipt_proof": word},
        }.items():
            assert (await sealing.ask(client, path, words)).status_code == 404
    await everywhere(client, keys, "new")
