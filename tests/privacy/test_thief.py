"""A stolen database together with the root key opens nothing without the links; and where there is a passphrase, nothing
without it either.
"""

import asyncio
import hmac
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from onetime import errors
from onetime.app import App, build
from onetime.core.generate import Recipe
from onetime.core.vault import Wish
from onetime.crypto.hashing import Cost, Hasher
from onetime.model import Caller, Concealed
from onetime.settings import Settings
from tests.privacy.thief import Thief, labels, persons

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
TEXT = "the text of the secret"
PASSPHRASE = "the passphrase"
ONCE = bytes(range(16))


class Booty:
    """A copy of the data directory, and what its owners held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plain: Concealed
        self.guarded: Concealed
        self.generated: Concealed
        self.everything: list[Concealed] = []


@pytest.fixture(scope="module")
def booty(tmp_path_factory: pytest.TempPathFactory) -> Booty:
    """Every journey made once, then the theft, with the write-ahead log and all."""
    folder = tmp_path_factory.mktemp("stolen")
    settings = Settings(data_dir=folder / "data", disk_reserve=0)
    booty = Booty(folder / "copy")

    async def live() -> None:
        async with build(settings, hasher=Hasher(cost=QUICK)) as app:
            await _live(app, booty)
            shutil.copytree(settings.data_dir, booty.folder)

    asyncio.run(live())
    return booty


async def _live(app: App, booty: Booty) -> None:
    vault = app.vault
    guarded = Wish(passphrase=PASSPHRASE)
    booty.plain = await vault.conceal(TEXT, Wish(once=ONCE))
    booty.guarded = await vault.conceal(TEXT, guarded)
    booty.generated = await vault.generate(Recipe(), Wish(once=secrets.token_bytes(16)))
    read, burned, burned_by_link, tried = [await vault.conceal(TEXT, guarded) for _ in range(4)]
    short = await vault.conceal(TEXT, Wish(ttl=60))
    booty.everything = [booty.plain, booty.guarded, booty.generated, read, burned, tried, short]
    assert await vault.reveal(read.secret_key, passphrase=PASSPHRASE) == TEXT
    await vault.burn_by_receipt(burned.receipt.receipt_key)
    await vault.burn(burned_by_link.secret_key, passphrase=PASSPHRASE)
    with pytest.raises(errors.WrongPassphrase):
        await vault.reveal(tried.secret_key, passphrase="a guess")
    for each in booty.everything:
        await vault.receipt(each.receipt.receipt_key)
    assert await vault.generated_value(booty.generated.receipt.receipt_key)


def test_the_database_and_the_root_key_open_nothing(booty: Booty) -> None:
    assert Thief(booty.folder).opened() == set()


def test_ids_and_hashes_of_the_store_are_no_links(booty: Booty) -> None:
    thief = Thief(booty.folder)

    texts = [each.hex() for each in thief.blobs()]

    assert len(texts) > 20
    assert Thief(booty.folder, known=texts).opened() == set()


def test_a_link_opens_what_has_no_passphrase(booty: Booty) -> None:
    """The thief knows his trade: it is the link that he lacks."""
    assert Thief(booty.folder, known=[booty.plain.secret_key]).opened() == {TEXT.encode()}


def test_a_receipt_unwraps_its_own_link_and_no_other(booty: Booty) -> None:
    found = Thief(booty.folder, known=[booty.plain.receipt.receipt_key]).opened()

    assert found == {booty.plain.secret_key.encode()}


def test_the_one_time_value_of_a_form_opens_the_answer_to_it(booty: Booty) -> None:
    thief = Thief(booty.folder, known=["unused"])
    thief.known = [ONCE]

    both = booty.plain.secret_key + booty.plain.receipt.receipt_key
    assert thief.opened() == {both.encode()}


def test_a_link_opens_nothing_without_the_passphrase(booty: Booty) -> None:
    links = [booty.guarded.secret_key, booty.guarded.receipt.receipt_key]

    found = Thief(booty.folder, known=links).opened()

    assert TEXT.encode() not in found
    assert found == {booty.guarded.secret_key.encode()}  # by the receipt, as promised


def test_a_link_and_the_passphrase_open_it(booty: Booty) -> None:
    known = [booty.guarded.secret_key, PASSPHRASE]

    assert Thief(booty.folder, known=known).opened() == {TEXT.encode()}


def test_the_passphrase_alone_opens_nothing(booty: Booty) -> None:
    assert Thief(booty.folder, known=[PASSPHRASE]).opened() == set()


def test_another_root_key_opens_nothing_even_with_the_link(booty: Booty, tmp_path: Path) -> None:
    copy = shutil.copytree(booty.folder, tmp_path / "copy")
    (copy / "root.key").write_text(secrets.token_hex(32))

    known = [booty.plain.secret_key, booty.plain.receipt.receipt_key]
    assert Thief(copy, known=known).opened() == set()


def test_the_thief_tries_what_the_code_uses() -> None:
    assert {"onetime/1 seal", "onetime/1 wrap", "onetime/1 answer"} <= labels()
    assert {b"onetime seal", b"onetime wrap", b"onetime answer", b"onetime id"} <= persons()


async def test_a_network_is_found_with_the_key_of_its_day_alone(tmp_path: Path) -> None:
    """There are few networks: whoever has the key can try them all. Nothing else that is stored will do."""
    network = "192.0.2.0/24"
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    async with build(settings, hasher=Hasher(cost=QUICK)) as app:
        await app.vault.conceal(TEXT, caller=Caller(network=network))
        shutil.copytree(settings.data_dir, tmp_path / "copy")
    thief = Thief(tmp_path / "copy")

    def finds(keys: Iterable[bytes]) -> bool:
        counters = {row["key"] for row in thief.tables["counter"]}
        texts = [network.encode(), f"create {network}".encode()]
        return any(hmac.digest(key, text, "sha256") in counters for key in keys for text in texts)

    (of_the_day,) = thief.tables.pop("daily_key")
    assert isinstance(of_the_day["key"], bytes)
    assert finds([of_the_day["key"]])
    assert not finds(set(thief.keys()) - {of_the_day["key"]})


async def test_a_secret_that_is_gone_leaves_no_wrapped_content(tmp_path: Path) -> None:
    """After the take the link and the receipt open nothing in the files any more, and neither with the passphrase."""
    settings = Settings(data_dir=tmp_path / "data", disk_reserve=0)
    async with build(settings, clock=time.time, hasher=Hasher(cost=QUICK)) as app:
        gone = await app.vault.conceal(TEXT, Wish(passphrase=PASSPHRASE))
        await app.vault.reveal(gone.secret_key, passphrase=PASSPHRASE)
        known = [gone.secret_key, gone.receipt.receipt_key, PASSPHRASE]
        shutil.copytree(settings.data_dir, tmp_path / "copy")

    assert TEXT.encode() not in Thief(tmp_path / "copy", known=known).opened()
