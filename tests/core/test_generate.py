"""How a generated secret is made up."""

import itertools
import math
import random
import string
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onetime.app import App
from onetime.core import generate as module
from onetime.core.generate import Recipe, generate
from onetime.errors import Invalid

UPPERCASE, LOWERCASE, DIGITS = string.ascii_uppercase, string.ascii_lowercase, string.digits
SYMBOLS = set("!@#$%^&*()_-+=[]{}|:;\"'<>,.?/~`")
AMBIGUOUS = set("ilo1IO0")
SETS = {
    "uppercase": set(UPPERCASE),
    "lowercase": set(LOWERCASE),
    "numbers": set(DIGITS),
    "symbols": SYMBOLS,
}
FALLBACK = set(UPPERCASE + LOWERCASE + DIGITS + "*$!?()@#%^") - AMBIGUOUS

recipes = st.builds(
    Recipe,
    length=st.integers(1, 128),
    uppercase=st.booleans(),
    lowercase=st.booleans(),
    numbers=st.booleans(),
    symbols=st.booleans(),
    exclude_ambiguous=st.booleans(),
)


def sets_of(recipe: Recipe) -> list[set[str]]:
    return [letters for name, letters in SETS.items() if getattr(recipe, name)]


def test_without_wishes_it_has_12_characters_of_all_sets_none_ambiguous() -> None:
    assert len(SYMBOLS) == 31
    for _ in range(200):
        value = generate(Recipe())
        assert len(value) == 12
        assert all(set(value) & letters for letters in SETS.values())
        assert not set(value) & AMBIGUOUS


@given(recipes)
def test_every_set_that_is_on_is_there_and_no_other(recipe: Recipe) -> None:
    value = set(generate(recipe))
    on = sets_of(recipe)
    assert all(value & letters for letters in on)
    assert value <= (set().union(*on) if on else FALLBACK)
    assert not (recipe.exclude_ambiguous and value & AMBIGUOUS)


@given(recipes)
def test_the_length_is_what_was_asked_or_one_of_each_set(recipe: Recipe) -> None:
    assert len(generate(recipe)) == max(recipe.length, len(sets_of(recipe)))


@pytest.mark.parametrize("count", range(5))
def test_a_length_of_one_is_raised_to_the_number_of_sets(count: int) -> None:
    for names in itertools.combinations(SETS, count):
        recipe = Recipe(length=1, **{name: name in names for name in SETS})
        assert len(generate(recipe)) == max(1, count)


def test_with_every_set_off_it_falls_back_and_is_never_ambiguous() -> None:
    off = dict.fromkeys(SETS, False)
    seen: set[str] = set()
    for _ in range(100):
        seen |= set(generate(Recipe(length=128, exclude_ambiguous=False, **off)))
    assert seen == FALLBACK


def test_ambiguous_characters_come_back_when_they_are_wanted() -> None:
    seen = set().union(*(generate(Recipe(length=128, exclude_ambiguous=False)) for _ in range(100)))
    assert seen == set().union(*SETS.values())


@pytest.mark.parametrize(
    ("length", "rule"),
    [
        (0, "too_short"),
        (-1, "too_short"),
        (-(2**63), "too_short"),
        (129, "too_long"),
        (2**31, "too_long"),
        (2**63, "too_long"),
        (10**400, "too_long"),
    ],
)
async def test_other_lengths_are_refused(onetime: App, length: int, rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        await onetime.vault.generate(Recipe(length=length))
    assert (refused.value.field, refused.value.rule) == ("length", rule)


def is_fair(make: Callable[[], str], letters: set[str]) -> bool:
    """Whether characters of one set, and their places, are equally frequent; by chance False once in 10^9."""
    values = [make() for _ in range(4000)]
    if any(len(value) != len(values[0]) for value in values):
        return False
    counted = Counter("".join(values))
    expected = sum(counted.values()) / len(letters)
    if any(abs(counted[letter] - expected) > 7 * math.sqrt(expected) for letter in letters):
        return False
    # The first of the alphabet must be as frequent in every place.
    half = set(sorted(letters)[: len(letters) // 2])
    expected = len(values) * len(half) / len(letters)
    return all(
        abs(sum(letter in half for letter in place) - expected) < 7 * math.sqrt(expected)
        for place in zip(*values, strict=True)
    )


def test_every_character_of_a_set_is_equally_likely_in_every_place() -> None:
    recipe = Recipe(
        length=20, uppercase=False, lowercase=False, symbols=False, exclude_ambiguous=False
    )
    assert is_fair(lambda: generate(recipe), set(DIGITS))
    assert not is_fair(lambda: "".join(sorted(generate(recipe))), set(DIGITS))
    assert not is_fair(
        lambda: "".join(random.choice("01234567890") for _ in range(20)), set(DIGITS)
    )


def test_each_set_is_equally_likely_in_every_place() -> None:
    # Without the shuffle the first four places would betray their sets.
    values = [generate(Recipe(length=4)) for _ in range(4000)]
    for place in zip(*values, strict=True):
        for letters in SETS.values():
            found = sum(letter in letters for letter in place)
            assert abs(found - 1000) < 7 * math.sqrt(1000)


def test_it_comes_from_the_systems_generator_and_no_seed_repeats_it() -> None:
    values = set()
    for _ in range(500):
        random.seed(1)
        values.add(generate(Recipe()))
    assert len(values) == 500
    assert isinstance(module._random, random.SystemRandom)
