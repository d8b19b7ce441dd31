"""What may happen to a secret, as sentences."""

import re
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime.app import App
from onetime.core.generate import Recipe
from onetime.core.vault import Wish
from onetime.errors import (
    Full,
    Invalid,
    NotFound,
    OnetimeError,
    TooLarge,
    Undecryptable,
    WrongPassphrase,
)
from onetime.model import Concealed, Kind, State
from tests.core.opening import DAY, START, Clock, opened, watched

NOBODYS = "0" * 31


# One reader, once


async def test_a_secret_is_revealed_once(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse")

    assert await onetime.vault.reveal(made.secret_key) == "correct horse"
    with pytest.raises(NotFound):
        await onetime.vault.reveal(made.secret_key)


async def test_looking_changes_nothing(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(passphrase="battery staple"))
    for _ in range(3):
        seen = await onetime.vault.peek(made.secret_key)
        assert (seen.has_passphrase, seen.created_at) == (True, START)
        assert seen.expires_at == START + 7 * DAY
        assert (await onetime.vault.receipt(made.receipt.receipt_key)) == made.receipt


async def test_a_burned_secret_is_gone(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse")

    await onetime.vault.burn(made.secret_key)
    for act in (onetime.vault.reveal, onetime.vault.burn, onetime.vault.peek):
        with pytest.raises(NotFound):
            await act(made.secret_key)


async def test_the_sender_burns_by_the_receipt_with_or_without_the_passphrase(onetime: App) -> None:
    first = await onetime.vault.conceal("one", Wish(passphrase="battery staple"))
    second = await onetime.vault.conceal("two", Wish(passphrase="battery staple"))

    without = await onetime.vault.burn_by_receipt(first.receipt.receipt_key)
    key = second.receipt.receipt_key
    for wrong in ("", "guess"):
        with pytest.raises(WrongPassphrase):
            await onetime.vault.burn_by_receipt(key, passphrase=wrong)
    given_ = await onetime.vault.burn_by_receipt(key, passphrase="battery staple")

    assert (without.state, given_.state) == (State.BURNED, State.BURNED)
    assert given_.wrong_tries == 1
    with pytest.raises(NotFound):
        await onetime.vault.burn_by_receipt(key)


async def test_a_receipt_key_opens_nothing_and_a_secret_key_is_no_receipt(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse")
    for act in (onetime.vault.peek, onetime.vault.reveal, onetime.vault.burn):
        with pytest.raises(NotFound):
            await act(made.receipt.receipt_key)
    for look in (onetime.vault.receipt, onetime.vault.burn_by_receipt):
        with pytest.raises(NotFound):
            await look(made.secret_key)
    assert await onetime.vault.reveal(made.secret_key) == "correct horse"


async def test_a_secret_is_unreadable_at_its_second(onetime: App, clock: Clock) -> None:
    early = await onetime.vault.conceal("early", Wish(ttl=60))
    late = await onetime.vault.conceal("late", Wish(ttl=60))

    clock.now = START + 59.999
    assert await onetime.vault.reveal(early.secret_key) == "early"
    clock.now = START + 60
    for act in (onetime.vault.peek, onetime.vault.reveal, onetime.vault.burn):
        with pytest.raises(NotFound):
            await act(late.secret_key)


async def test_a_receipt_lives_twice_as_long_as_its_secret(onetime: App, clock: Clock) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(ttl=60))
    assert made.receipt.expires_at == START + 120

    clock.now = START + 119
    assert (await onetime.vault.receipt(made.receipt.receipt_key)).state is State.EXPIRED
    clock.now = START + 120
    with pytest.raises(NotFound):
        await onetime.vault.receipt(made.receipt.receipt_key)


# The receipt's holder sees the truth


async def revealed(app: App, clock: Clock, made: Concealed) -> None:
    await app.vault.reveal(made.secret_key)


async def burned(app: App, clock: Clock, made: Concealed) -> None:
    await app.vault.burn(made.secret_key)


async def burned_by_receipt(app: App, clock: Clock, made: Concealed) -> None:
    await app.vault.burn_by_receipt(made.receipt.receipt_key)


async def expired(app: App, clock: Clock, made: Concealed) -> None:
    clock.now += 90


async def swept(app: App, clock: Clock, made: Concealed) -> None:
    clock.now += 600
    while (await app.store.sweep()).more:
        pass


ENDS = {
    revealed: State.REVEALED,
    burned: State.BURNED,
    burned_by_receipt: State.BURNED,
    expired: State.EXPIRED,
}


@pytest.mark.parametrize(("end", "state"), ENDS.items())
async def test_a_receipt_tells_how_it_ended(
    onetime: App, clock: Clock, end: Callable[..., Any], state: State
) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(ttl=80))
    assert made.receipt.state is State.NEW
    assert made.receipt.secret_key == made.secret_key

    clock.now += 5
    await end(onetime, clock, made)
    receipt = await onetime.vault.receipt(made.receipt.receipt_key)

    assert receipt.state is state
    assert receipt.ended_at == (START + 80 if state is State.EXPIRED else START + 5)
    assert receipt.secret_key is None
    assert (receipt.created_at, receipt.secret_expires_at) == (START, START + 80)
    assert (receipt.ttl, receipt.wrong_tries) == (80, 0)


# Never existed, read, burned, expired: one answer, and the same work


def traced(app: App, statements: list[str]) -> None:
    """Every statement that SQLite runs, without the values in it."""
    store: Any = app.store

    def note(statement: str) -> None:
        statements.append(re.sub(r"x?'[^']*'|\b\d+\b", "?", statement, flags=re.IGNORECASE))

    for connection in (store._reader, store._db):
        connection.set_trace_callback(note)


@pytest.mark.parametrize("passphrase", ["", "guess"])
@pytest.mark.parametrize("act", ["peek", "reveal", "burn"])
async def test_whoever_holds_only_a_link_cannot_tell_why_there_is_nothing(
    onetime: App, clock: Clock, act: str, passphrase: str
) -> None:
    keys = {"never": NOBODYS}
    for end in (*ENDS, swept):
        made = await onetime.vault.conceal("correct horse", Wish(ttl=80))
        await end(onetime, clock, made)
        keys[end.__name__] = made.secret_key
    options = {"passphrase": passphrase} if act != "peek" else {}
    hashes = onetime.hasher.made
    statements: list[str] = []
    traced(onetime, statements)

    seen: dict[str, Any] = {}
    for name, key in keys.items():
        statements.clear()
        with watched(onetime) as store, pytest.raises(OnetimeError) as refused:
            await getattr(onetime.vault, act)(key, **options)
        error = refused.value
        seen[name] = (type(error), str(error), vars(error), store.verbs, list(statements))

    assert all(each == seen["never"] for each in seen.values()), seen
    assert seen["never"][0] is NotFound
    assert seen["never"][4]
    counted = ["count"] if act == "reveal" else []
    tried = ["take"] if act == "reveal" and not passphrase else []
    assert seen["never"][3] == [*counted, *tried, "peek"]
    assert onetime.hasher.made == hashes


async def test_a_protected_secret_that_is_gone_costs_no_hash_and_no_attempt(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(passphrase="battery staple"))
    await onetime.vault.reveal(made.secret_key, passphrase="battery staple")
    hashes = onetime.hasher.made

    for passphrase in ("battery staple", "guess", ""):
        with pytest.raises(NotFound):
            await onetime.vault.reveal(made.secret_key, passphrase=passphrase)
    assert onetime.hasher.made == hashes
    assert (await onetime.vault.receipt(made.receipt.receipt_key)).wrong_tries == 0


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0",
        NOBODYS + "0",
        NOBODYS.upper() + "A",
        "../../etc/passwd",
        "\ud800" * 31,
        "0\n" * 500_000,
    ],
)
async def test_what_is_no_key_is_not_even_looked_up(onetime: App, key: str) -> None:
    vault = onetime.vault
    with watched(onetime) as store:
        for act in (vault.peek, vault.burn, vault.receipt, vault.burn_by_receipt):
            with pytest.raises(NotFound):
                await act(key)
    assert store.verbs == []


# Byte for byte

NASTY = {
    "NUL": "a\0b\0",
    "only NUL": "\0",
    "CR": "a\rb",
    "CRLF": "a\r\nb\r\n",
    "leading newline": "\ncorrect horse",
    "trailing newlines": "correct horse\n\n\n",
    "blanks and tabs": "  \t correct \t horse \t ",
    "only a blank": " ",
    "bidi": "abc\u202e\u2066dcba\u2069\u202c",
    "zero width": "a\u200b\u200c\u200d\ufeffb",
    "byte order mark": "\ufeffcorrect horse",
    "not normalised": "cafe\u0301 caf\u00e9 \ufb01 \u212b",
    "ukrainian": "Їжак з'їв ґрунт — «ні»",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈🇺🇦",
    "noncharacters": "\ufffe\uffff\U0010ffff\ufffd",
    "control": "".join(map(chr, [*range(1, 32), *range(127, 160)])),
    "line separators": "a\u2028b\u2029c\x0bd\x0ce\x85f",
    "html": "</textarea><script>alert('x')</script>&lt;&#0;",
    "quotes": "\"'`\\ $(id) ${x} %s %00 {{7*7}} {0}",
    "sql": "'); DROP TABLE secret; --",
    "json": '{"a": "\\ud800", "b": null}',
    "combining marks": "e" + "\u0301" * 500,
    "right-to-left": "שלום עולם مرحبا",
    "unassigned": "\u0378\U000e0080",
    "private use": "\ue000\U000f0000",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("passphrase", ["", "battery staple"], ids=["plain", "passphrase"])
async def test_what_is_revealed_is_what_was_given(onetime: App, text: str, passphrase: str) -> None:
    made = await onetime.vault.conceal(text, Wish(passphrase=passphrase))
    given_back = await onetime.vault.reveal(made.secret_key, passphrase=passphrase)
    assert given_back.encode() == text.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text(st.characters(codec="utf-8"), min_size=1))
async def test_any_unicode_comes_back(onetime: App, text: str) -> None:
    made = await onetime.vault.conceal(text)
    assert await onetime.vault.reveal(made.secret_key) == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800", "ok \ud83d"])
async def test_a_surrogate_without_its_partner_is_refused(onetime: App, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        await onetime.vault.conceal(text)
    assert (refused.value.field, refused.value.rule) == ("secret", "malformed")


async def test_nothing_is_not_shared(onetime: App) -> None:
    with pytest.raises(Invalid) as refused:
        await onetime.vault.conceal("")
    assert (refused.value.field, refused.value.rule) == ("secret", "empty")


async def test_the_limit_counts_bytes_and_says_so(onetime: App) -> None:
    made = await onetime.vault.conceal("ї" * 50_000)
    assert await onetime.vault.reveal(made.secret_key) == "ї" * 50_000
    with pytest.raises(TooLarge) as refused:
        await onetime.vault.conceal("ї" * 50_000 + "x")
    assert (refused.value.limit_bytes, refused.value.size_bytes) == (100_000, 100_001)


async def test_what_is_refused_leaves_nothing_and_costs_nothing(onetime: App) -> None:
    bad: list[tuple[str, Wish]] = [
        ("", Wish()),
        ("\ud800", Wish()),
        ("x" * 100_001, Wish()),
        ("x", Wish(ttl=59)),
        ("x", Wish(passphrase="abc")),
        ("x", Wish(once=b"short")),
    ]
    with watched(onetime) as store:
        for text, wish in bad:
            with pytest.raises(Invalid):
                await onetime.vault.conceal(text, wish)
    assert store.verbs == []
    assert onetime.hasher.made == 0


# Lifetimes


@pytest.mark.parametrize(
    ("ttl", "granted"),
    [
        (None, 7 * DAY),
        (60, 60),
        (61, 61),
        (7 * DAY, 7 * DAY),
    ],
)
async def test_a_lifetime_in_the_range_is_granted(
    onetime: App, ttl: int | None, granted: int
) -> None:
    for clamp in (False, True):
        made = await onetime.vault.conceal("x", Wish(ttl=ttl, clamp=clamp))
        assert made.receipt.ttl == granted
        assert (await onetime.vault.peek(made.secret_key)).expires_at == START + granted


@pytest.mark.parametrize(
    ("ttl", "rule", "clamped"),
    [
        (59, "too_short", 60),
        (0, "too_short", 60),
        (-1, "too_short", 60),
        (-(2**63) - 1, "too_short", 60),
        (7 * DAY + 1, "too_long", 7 * DAY),
        (30 * DAY, "too_long", 7 * DAY),
        (2**31, "too_long", 7 * DAY),
        (2**63, "too_long", 7 * DAY),
        (2**64 + 60, "too_long", 7 * DAY),
        (10**400, "too_long", 7 * DAY),
    ],
)
async def test_a_lifetime_out_of_the_range_is_refused_or_where_the_contract_wants_it_clamped(
    onetime: App, ttl: int, rule: str, clamped: int
) -> None:
    with pytest.raises(Invalid) as refused:
        await onetime.vault.conceal("x", Wish(ttl=ttl))
    assert (refused.value.field, refused.value.rule) == ("ttl", rule)
    made = await onetime.vault.conceal("x", Wish(ttl=ttl, clamp=True))
    assert made.receipt.ttl == clamped


async def test_the_operator_sets_the_lifetimes(tmp_path: Path, clock: Clock) -> None:
    async with opened(
        tmp_path, clock, min_ttl=10, default_ttl=1000, max_ttl=2000, anonymous_max_ttl=500
    ) as app:
        assert (await app.vault.conceal("x")).receipt.ttl == 500
        assert (await app.vault.conceal("x", Wish(ttl=10))).receipt.ttl == 10
        assert (await app.vault.conceal("x", Wish(ttl=1, clamp=True))).receipt.ttl == 10
        assert (await app.vault.conceal("x", Wish(ttl=9999, clamp=True))).receipt.ttl == 500
        with pytest.raises(Invalid):
            await app.vault.conceal("x", Wish(ttl=501))


# Passphrases, when they are set


@pytest.mark.parametrize(
    ("passphrase", "rule"),
    [
        ("abc", "too_short"),
        ("   ", "too_short"),
        ("🦔🦔🦔", "too_short"),
        ("e\u0301" * 3, "too_short"),  # six code points, three after NFC
        ("x" * 129, "too_long"),
        ("ї" * 129, "too_long"),
        ("x" * 1_000_000, "too_long"),
        ("a" + "\u0315" * 150_000 + "\u0327" * 150_000, "too_long"),
        ("abcd\ud800", "malformed"),
        ("abcd\u0378", "unassigned"),
        ("abcd\uffff", "unassigned"),
    ],
    ids=lambda value: value if len(value) < 12 and value.isascii() else f"{len(value)} letters",
)
async def test_a_passphrase_that_will_not_do_is_refused(
    onetime: App, passphrase: str, rule: str
) -> None:
    wish = Wish(passphrase=passphrase)
    for make in (partial(onetime.vault.conceal, "x"), partial(onetime.vault.generate, Recipe())):
        with pytest.raises(Invalid) as refused:
            await make(wish)
        assert (refused.value.field, refused.value.rule) == ("passphrase", rule)
        assert passphrase not in str(refused.value)
    assert onetime.hasher.made == 0


@pytest.mark.parametrize(
    "passphrase",
    [
        "1234",
        "    ",
        " 12 ",
        "🦔🦔🦔🦔",
        "ї" * 128,
        "e\u0301" * 128,
        "\u1f82" * 128,
        "\0\0\0\0",
        "a\u202eb\u200b",
    ],
    ids=lambda value: f"{len(value)} letters",
)
async def test_a_passphrase_of_4_to_128_characters_protects(onetime: App, passphrase: str) -> None:
    made = await onetime.vault.conceal("x", Wish(passphrase=passphrase))
    for wrong in (passphrase + " ", passphrase[:-1], passphrase + "\0"):
        with pytest.raises(WrongPassphrase):
            await onetime.vault.reveal(made.secret_key, passphrase=wrong)
    assert await onetime.vault.reveal(made.secret_key, passphrase=passphrase) == "x"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("\u0457\u0436ak", "\u0456\u0308\u0436ak"),
        ("\ud55cabc", "\u1112\u1161\u11ababc"),
    ],
)
async def test_composed_and_decomposed_open_each_other(onetime: App, one: str, other: str) -> None:
    for set_, used in ((one, other), (other, one)):
        made = await onetime.vault.conceal("x", Wish(passphrase=set_))
        assert await onetime.vault.reveal(made.secret_key, passphrase=used) == "x"


async def test_a_passphrase_for_a_secret_without_one_is_ignored(onetime: App) -> None:
    made = await onetime.vault.conceal("x")
    assert await onetime.vault.reveal(made.secret_key, passphrase="whatever") == "x"
    assert onetime.hasher.made == 0


# Generated secrets


async def test_a_generated_secret_is_what_is_revealed(onetime: App) -> None:
    made = await onetime.vault.generate(Recipe(length=20))
    assert made.value is not None
    assert len(made.value) == 20
    assert made.receipt.kind is Kind.GENERATED
    assert await onetime.vault.reveal(made.secret_key) == made.value


async def test_its_maker_sees_the_value_once_more_within_a_minute(
    onetime: App, clock: Clock
) -> None:
    made = await onetime.vault.generate(Recipe())
    late = await onetime.vault.generate(Recipe())

    clock.now = START + 59
    assert await onetime.vault.generated_value(made.receipt.receipt_key) == made.value
    assert await onetime.vault.generated_value(made.receipt.receipt_key) is None
    clock.now = START + 60
    assert await onetime.vault.generated_value(late.receipt.receipt_key) is None
    assert await onetime.vault.reveal(made.secret_key) == made.value


async def test_what_was_concealed_is_never_shown_to_its_maker(onetime: App) -> None:
    made = await onetime.vault.conceal("correct horse")
    assert made.value is None
    assert await onetime.vault.generated_value(made.receipt.receipt_key) is None


async def test_a_protected_value_is_shown_to_whoever_has_the_passphrase_too(onetime: App) -> None:
    made = await onetime.vault.generate(Recipe(), Wish(passphrase="battery staple"))
    key = made.receipt.receipt_key
    assert await onetime.vault.generated_value(key) is None
    with pytest.raises(WrongPassphrase):
        await onetime.vault.generated_value(key, passphrase="guess")
    assert await onetime.vault.generated_value(key, passphrase="battery staple") == made.value
    assert (await onetime.vault.receipt(key)).wrong_tries == 1


async def test_after_its_minute_a_protected_value_costs_neither_hash_nor_attempt(
    onetime: App, clock: Clock
) -> None:
    made = await onetime.vault.generate(Recipe(), Wish(passphrase="battery staple"))
    clock.now += 60
    hashes = onetime.hasher.made
    key = made.receipt.receipt_key
    assert await onetime.vault.generated_value(key, passphrase="battery staple") is None
    assert await onetime.vault.generated_value(key, passphrase="guess") is None
    assert onetime.hasher.made == hashes


@pytest.mark.parametrize("end", [revealed, burned, burned_by_receipt, expired])
async def test_a_value_is_not_shown_once_it_has_ended(
    onetime: App, clock: Clock, end: Callable[..., Any]
) -> None:
    made = await onetime.vault.generate(Recipe(), Wish(ttl=60))
    await end(onetime, clock, made)
    assert await onetime.vault.generated_value(made.receipt.receipt_key) is None


# What does not open stays


def changed(folder: Path, statement: str, *values: object) -> None:
    db = sqlite3.connect(folder / "data" / "vault.db")
    with db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


@pytest.mark.parametrize("at", [0, 1, 27, 42])
async def test_a_changed_head_is_found_before_anything_is_taken(
    onetime: App, tmp_path: Path, at: int
) -> None:
    made = await onetime.vault.conceal("correct horse")
    [[head]] = onetime.store._read("SELECT head FROM secret")  # type: ignore[attr-defined]
    wrong = bytearray(head)
    wrong[at] ^= 1
    changed(tmp_path, "UPDATE secret SET head = ?", bytes(wrong))
    with pytest.raises(Undecryptable):
        await onetime.vault.reveal(made.secret_key)
    assert (await onetime.vault.receipt(made.receipt.receipt_key)).state is State.NEW

    changed(tmp_path, "UPDATE secret SET head = ?", head)
    assert await onetime.vault.reveal(made.secret_key) == "correct horse"


async def test_a_protected_secret_that_is_said_to_be_open_does_not_open(
    onetime: App, tmp_path: Path
) -> None:
    made = await onetime.vault.conceal("correct horse", Wish(passphrase="battery staple"))
    changed(tmp_path, "UPDATE receipt SET has_passphrase = 0")
    with pytest.raises(Undecryptable):
        await onetime.vault.reveal(made.secret_key)


async def test_the_total_size_of_the_vault_is_bounded_and_reading_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, vault_max_bytes=1_000_000) as app:
        made: list[Concealed] = []
        with pytest.raises(Full) as refused:  # noqa: PT012 - which one is refused is not the point
            for _ in range(200):
                made.append(await app.vault.conceal("x" * 10_000))  # noqa: PERF401
        assert 70 < len(made) < 100
        assert str(refused.value)
        assert refused.value.retry_after > 0

        for each in made[:50]:
            assert await app.vault.reveal(each.secret_key) == "x" * 10_000
        await app.vault.burn_by_receipt(made[50].receipt.receipt_key)
        assert await app.vault.reveal((await app.vault.conceal("again")).secret_key) == "again"
