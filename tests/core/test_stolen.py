"""What a thief of the data directory holds: everything but the links, and not the passphrase."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onetime.app import App
from onetime.core.generate import Recipe
from onetime.core.vault import Wish
from onetime.crypto import ids, seal
from onetime.crypto.hashing import argon2id
from onetime.crypto.keyring import RootKey, hkdf
from onetime.errors import Undecryptable, WrongPassphrase
from onetime.model import Concealed, Kind
from onetime.storage.vault.eraser import Eraser
from tests.core.opening import Clock, opened

TEXT = "the crow flies at midnight over the harbour"
PASSPHRASE = "battery staple"
ONCE = b"only the sender knows this"


async def every_journey(app: App, clock: Clock) -> list[Concealed]:
    """What is still alive at the end is returned."""
    vault = app.vault
    protected = Wish(passphrase=PASSPHRASE)
    read = await vault.conceal(TEXT)
    await vault.peek(read.secret_key)
    await vault.reveal(read.secret_key)
    burned = await vault.conceal(TEXT, protected)
    with pytest.raises(WrongPassphrase):
        await vault.reveal(burned.secret_key, passphrase="guess")
    await vault.burn(burned.secret_key, passphrase=PASSPHRASE)
    by_receipt = await vault.conceal(TEXT)
    await vault.burn_by_receipt(by_receipt.receipt.receipt_key)
    await vault.conceal(TEXT, Wish(ttl=60))
    clock.now += 60

    alive = [
        await vault.conceal(TEXT),
        await vault.conceal(TEXT, protected),
        await vault.conceal(TEXT, Wish(once=ONCE, passphrase=PASSPHRASE)),
        await vault.generate(Recipe(length=40), Wish(once=ONCE)),
    ]
    await vault.conceal(TEXT, Wish(once=ONCE, passphrase=PASSPHRASE))
    await vault.generated_value(alive[3].receipt.receipt_key)
    with pytest.raises(WrongPassphrase):
        await vault.reveal(alive[1].secret_key, passphrase="guess")
    return alive


def every_byte(folder: Path) -> bytes:
    """Of all files, the log of the database among them."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


def values(folder: Path) -> Iterator[bytes]:
    """Every value of every row."""
    db = sqlite3.connect(folder / "vault.db")
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name from the schema
            for value in row:
                if isinstance(value, bytes):
                    yield value
                elif value is not None:
                    yield str(value).encode()
    db.close()


async def test_what_opens_is_in_no_file(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as app:
        alive = await every_journey(app, clock)
        files = every_byte(tmp_path)
    hidden = [TEXT, PASSPHRASE, ONCE.decode()]
    for made in alive:
        hidden += [made.secret_key, made.receipt.receipt_key, made.value or TEXT]
    for text in hidden:
        assert text.encode() not in files
        assert text.encode().hex().encode() not in files
    # The search can find: the root key and a receipt's hash are there.
    assert (tmp_path / "root.key").read_bytes() in files
    assert ids.receipt_id(alive[0].receipt.receipt_key) in files


async def test_data_and_root_key_open_nothing_without_a_link(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as app:
        alive = await every_journey(app, clock)
    root = RootKey.of(bytes.fromhex((tmp_path / "root.key").read_text()))
    stored = list(values(tmp_path))
    # What could be a key: each 32 bytes of what is stored or derived, and what is made of it by every step there is.
    seeds = {value[at : at + 32] for value in stored for at in range(max(1, len(value) - 31))}
    seeds |= {root.seal, root.wrap, root.answer, root.verifier, bytes(32)}
    seeds = {seed for seed in seeds if len(seed) == 32}
    guesses = seeds | {hkdf(seed, "onetime/1 seal content") for seed in seeds}
    guesses |= {seal._wrapping_key(root, text) for text in (value.hex()[:31] for value in stored)}

    db = sqlite3.connect(tmp_path / "vault.db")
    boxes: list[tuple[bytes, bytes, bytes]] = []
    rows = db.execute(
        """SELECT secret_id, kind, created_at, secret_expires_at, head, number, body
        FROM receipt JOIN secret USING (number)"""
    ).fetchall()
    assert len(rows) == len(alive) + 1  # the expired one is not swept yet
    for secret_id, kind, created_at, expires_at, head, number, locked in rows:
        # Its key at rest lies beside it as long as it lives.
        body = Eraser().unlock(db, number, locked)
        place = seal.Place(secret_id, kind, created_at, expires_at)
        boxes.append((head[-12:], body, head[: seal._BOUND] + place.pack()))
    for table, column in (("receipt", "wrapped"), ("answer", "sealed")):
        for (box,) in db.execute(f"SELECT {column} FROM {table}"):  # noqa: S608 - names in this file
            if box:  # empty: the secret is gone
                boxes.append((box[4:16], box[16:], box[:4]))
    db.close()

    def opens(guess: bytes) -> int:
        found = 0
        for nonce, sealed, bound in boxes:
            try:
                AESGCM(guess).decrypt(nonce, sealed, bound)
            except InvalidTag:
                continue
            found += 1
        return found

    assert not any(opens(guess) for guess in guesses)
    # The same attack with a link succeeds.
    assert opens(seal.content_key(root, alive[0].secret_key)) == 1
    assert opens(seal._wrapping_key(root, alive[0].receipt.receipt_key)) == 1


async def test_link_data_and_root_key_do_not_open_a_protected_secret(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock) as app:
        made = await app.vault.conceal(TEXT, Wish(passphrase=PASSPHRASE))
    root = RootKey.of(bytes.fromhex((tmp_path / "root.key").read_text()))
    db = sqlite3.connect(tmp_path / "vault.db")
    [(head, number, locked, created_at, expires_at)] = db.execute(
        """SELECT head, number, body, created_at, secret_expires_at
        FROM receipt JOIN secret USING (number)"""
    )
    body = Eraser().unlock(db, number, locked)
    db.close()
    place = seal.Place(ids.secret_id(made.secret_key), Kind.CONCEALED, created_at, expires_at)
    parsed = seal.Head.parse(head)

    def key_with(passphrase: str) -> bytes:
        hashed = argon2id(passphrase, parsed.salt, parsed.cost) if passphrase else b""
        return seal.content_key(root, made.secret_key, hashed)

    for passphrase in ("", "guess", PASSPHRASE[:-1], PASSPHRASE.upper()):
        assert not seal.is_right(key_with(passphrase), parsed)
        with pytest.raises(Undecryptable):
            seal.open_(body, key_with(passphrase), place, parsed)
    assert seal.open_(body, key_with(PASSPHRASE), place, parsed).decode() == TEXT


def test_a_wish_does_not_print_what_is_nobodys_business() -> None:
    printed = repr(Wish(ttl=60, passphrase=PASSPHRASE, once=ONCE))
    assert "60" in printed
    assert PASSPHRASE not in printed
    assert repr(ONCE) not in printed


async def test_no_error_holds_what_was_given(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as app:
        made = await app.vault.conceal(TEXT, Wish(passphrase=PASSPHRASE))
        calls = [
            app.vault.reveal(made.secret_key, passphrase="a wrong guess"),
            app.vault.reveal(made.secret_key[::-1], passphrase="a wrong guess"),
            app.vault.conceal(TEXT * 5000),
            app.vault.conceal(TEXT, Wish(passphrase="a\ud800 wrong guess")),
            app.vault.conceal(TEXT, Wish(passphrase="a wrong guess" * 100)),
        ]
        for call in calls:
            with pytest.raises(Exception) as raised:  # noqa: PT011 - of every kind
                await call
            said = repr(raised.value) + str(vars(raised.value))
            assert not re.search(f"wrong guess|{made.secret_key}|{TEXT}", said)
