"""How a generated secret is made up (reference 0.12): four sets of characters, at least one of each that is on, none that
is easily mistaken for another, then shuffled; everything from the system's CSPRNG.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from secrets import SystemRandom

from onetime.errors import Invalid

SYMBOLS = "!@#$%^&*()_-+=[]{}|:;\"'<>,.?/~`"
AMBIGUOUS = frozenset("ilo1IO0")
FALLBACK = string.ascii_letters + string.digits + "*$!?()@#%^"
DEFAULT_LENGTH = 12
MOST_LENGTH = 128

_random = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`length` below the number of sets that are on is raised to it."""

    length: int = DEFAULT_LENGTH
    uppercase: bool = True
    lowercase: bool = True
    numbers: bool = True
    symbols: bool = True
    exclude_ambiguous: bool = True


def generate(recipe: Recipe) -> str:
    """
    Raises:
        Invalid: a length of 0 or less ("too_short") or more than 128 ("too_long").
    """
    if recipe.length > MOST_LENGTH:
        raise Invalid("length", f"At most {MOST_LENGTH} characters", rule="too_long")
    if recipe.length <= 0:
        raise Invalid("length", "At least one character", rule="too_short")
    on = (
        (recipe.uppercase, string.ascii_uppercase),
        (recipe.lowercase, string.ascii_lowercase),
        (recipe.numbers, string.digits),
        (recipe.symbols, SYMBOLS),
    )
    sets = [letters for wanted, letters in on if wanted] or [FALLBACK]
    if recipe.exclude_ambiguous or not any(wanted for wanted, _ in on):
        sets = [
            "".join(letter for letter in letters if letter not in AMBIGUOUS) for letters in sets
        ]
    picked = [_random.choice(letters) for letters in sets]
    everything = "".join(sets)
    picked += [_random.choice(everything) for _ in range(recipe.length - len(picked))]
    _random.shuffle(picked)
    return "".join(picked)
