"""A create that is repeated by `once` gives the first answer, and never a second secret."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from onetime.app import App
from onetime.core.generate import Recipe
from onetime.core.vault import Wish
from onetime.errors import Invalid, NotFound
from onetime.model import Concealed, State
from tests.core.opening import DAY, Clock, network, opened

ONCE = bytes(range(16))


def count(app: App, table: str) -> int:
    store: Any = app.store
    return int(store._read(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - a name in this file


def keys(made: Concealed) -> tuple[str, str]:
    return made.secret_key, made.receipt.receipt_key


async def test_the_same_again_gives_the_same_answer(onetime: App, clock: Clock) -> None:
    wish = Wish(once=ONCE, passphrase="battery staple", ttl=3600)
    first = await onetime.vault.conceal("correct horse", wish)
    clock.now += 30
    again = await onetime.vault.conceal("correct horse", wish)

    assert keys(again) == keys(first)
    assert again.receipt.created_at == first.receipt.created_at
    assert again.value is None
    assert count(onetime, "secret") == 1
    secret = await onetime.vault.reveal(first.secret_key, passphrase="battery staple")
    assert secret == "correct horse"


async def test_anything_different_is_another_secret(onetime: App) -> None:
    made = [
        await onetime.vault.conceal("one", Wish(once=ONCE)),
        await onetime.vault.conceal("onE", Wish(once=ONCE)),
        await onetime.vault.conceal("one ", Wish(once=ONCE)),
        await onetime.vault.conceal("one", Wish(once=ONCE, passphrase="1234")),
        await onetime.vault.conceal("one", Wish(once=ONCE, passphrase="12345")),
        await onetime.vault.conceal("one", Wish(once=ONCE, ttl=60)),
        await onetime.vault.conceal("one", Wish(once=ONCE[::-1])),
        await onetime.vault.conceal("one", Wish()),
        await onetime.vault.conceal("one", Wish()),
        await onetime.vault.generate(Recipe(), Wish(once=ONCE)),
        await onetime.vault.generate(Recipe(length=13), Wish(once=ONCE)),
    ]
    assert len({each.secret_key for each in made}) == len(made) == count(onetime, "secret")


async def test_no_text_can_pretend_to_be_wishes(onetime: App) -> None:
    # The wishes and the text are told apart, whatever is in either.
    one = await onetime.vault.conceal("a", Wish(once=ONCE, passphrase='1234"]\0a'))
    two = await onetime.vault.conceal('a"]\0a', Wish(once=ONCE, passphrase="1234"))
    assert keys(one) != keys(two)


async def test_64_at_once_make_one_secret(onetime: App) -> None:
    made = await asyncio.gather(
        *(onetime.vault.conceal("correct horse", Wish(once=ONCE)) for _ in range(64))
    )
    assert len({keys(each) for each in made}) == 1
    assert (count(onetime, "secret"), count(onetime, "receipt"), count(onetime, "answer")) == (
        1,
        1,
        1,
    )


async def test_two_processes_at_once_make_one_secret(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as one, opened(tmp_path, clock) as other:
        made = await asyncio.gather(
            *(
                app.vault.conceal("correct horse", Wish(once=ONCE))
                for app in (one, other)
                for _ in range(32)
            )
        )
        assert len({keys(each) for each in made}) == 1
        assert count(one, "secret") == 1


async def test_of_64_at_once_at_most_two_see_a_generated_value(onetime: App) -> None:
    made = await asyncio.gather(
        *(onetime.vault.generate(Recipe(), Wish(once=ONCE)) for _ in range(64))
    )
    assert len({keys(each) for each in made}) == 1
    values = [each.value for each in made if each.value is not None]
    assert len(values) == 2
    assert values[0] == values[1] == await onetime.vault.reveal(made[0].secret_key)


@pytest.mark.parametrize("passphrase", ["", "battery staple"])
async def test_a_generated_value_is_answered_once_more_within_a_minute(
    onetime: App, clock: Clock, passphrase: str
) -> None:
    wish = Wish(once=ONCE, passphrase=passphrase)
    first = await onetime.vault.generate(Recipe(), wish)
    clock.now += 59
    second = await onetime.vault.generate(Recipe(), wish)
    third = await onetime.vault.generate(Recipe(), wish)
    assert keys(first) == keys(second) == keys(third)
    assert (second.value, third.value) == (first.value, None)
    assert third.receipt.wrong_tries == 0


async def test_a_generated_value_is_not_answered_after_its_minute(
    onetime: App, clock: Clock
) -> None:
    first = await onetime.vault.generate(Recipe(), Wish(once=ONCE))
    clock.now += 60
    second = await onetime.vault.generate(Recipe(), Wish(once=ONCE))
    assert keys(first) == keys(second)
    assert second.value is None


async def test_the_repeated_answer_tells_what_happened_since(onetime: App) -> None:
    first = await onetime.vault.conceal("correct horse", Wish(once=ONCE))
    await onetime.vault.reveal(first.secret_key)
    again = await onetime.vault.conceal("correct horse", Wish(once=ONCE))

    assert keys(again) == keys(first)
    assert again.receipt.state is State.REVEALED
    assert again.receipt.secret_key is None
    assert count(onetime, "secret") == 0


async def test_guessers_do_not_keep_the_sender_from_the_answer(onetime: App) -> None:
    wish = Wish(once=ONCE, passphrase="battery staple")
    first = await onetime.vault.generate(Recipe(), wish)
    for number in range(20):
        await asyncio.gather(
            onetime.vault.reveal(first.secret_key, passphrase="guess", caller=network(number)),
            return_exceptions=True,
        )
    again = await onetime.vault.generate(Recipe(), wish)
    assert keys(again) == keys(first)
    assert again.value is None
    assert again.receipt.wrong_tries == 20


async def test_a_repetition_after_the_receipts_end_makes_no_second_secret(
    onetime: App, clock: Clock
) -> None:
    wish = Wish(once=ONCE, ttl=60)
    await onetime.vault.conceal("correct horse", wish)
    clock.now += 120
    with pytest.raises(NotFound):
        await onetime.vault.conceal("correct horse", wish)


async def test_a_day_later_it_is_another_secret(onetime: App, clock: Clock) -> None:
    first = await onetime.vault.conceal("correct horse", Wish(once=ONCE))
    clock.now += DAY - 1
    assert keys(await onetime.vault.conceal("correct horse", Wish(once=ONCE))) == keys(first)
    clock.now += 1
    assert keys(await onetime.vault.conceal("correct horse", Wish(once=ONCE))) != keys(first)


@pytest.mark.parametrize("once", [b"1", b"\0" * 15])
async def test_what_somebody_else_may_have_chosen_too_is_refused(onetime: App, once: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        await onetime.vault.conceal("correct horse", Wish(once=once))
    assert (refused.value.field, refused.value.rule) == ("once", "too_short")
