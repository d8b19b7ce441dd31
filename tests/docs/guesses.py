"""How many guesses at a passphrase are possible, and what they find: the figures of docs/passphrases.md.

`python -m tests.docs.guesses` prints the tables; `--write` puts them into the page; `--measure` times one hash here.
"""

import sys
import time
from dataclasses import dataclass

from onetime.core.limits import BUDGETS, PASSPHRASE_TOTAL
from onetime.crypto.hashing import DEFAULT_COST, argon2id
from onetime.storage.port import Budget
from tests.needs import ROOT

PAGE = ROOT / "docs" / "passphrases.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365.25 * 86_400

# How many there are, if each is equally likely: 10 digits, 26 letters, the 7776 words of five dice.
KINDS = {
    "four digits": 10**4,
    "six lower-case letters": 26**6,
    "four words of 7776": 7776**4,
}

# One hash of DEFAULT_COST on one core of a common server, in seconds; `--measure` says what it takes here.
CORE_SECONDS = 0.025
# A graphics card is bound by its memory: at best it moves this many bytes a second ...
CARD_BYTES_PER_SECOND = 1e12
# ... and of each block of each pass of Argon2 at least one read and one write go through it.
MOVES = 2


@dataclass(frozen=True)
class Guesser:
    name: str
    guesses_per_second: float


def card_rate() -> float:
    """Guesses a second of one graphics card, at most."""
    bytes_moved = DEFAULT_COST.passes * DEFAULT_COST.memory_kib * 1024 * MOVES
    return CARD_BYTES_PER_SECOND / bytes_moved


GUESSERS = (
    Guesser("one core", 1 / CORE_SECONDS),
    Guesser("one graphics card", card_rate()),
    Guesser("a thousand cards", 1000 * card_rate()),
)


def most_guesses(budget: Budget, seconds: float, total: int = PASSPHRASE_TOTAL) -> int:
    """The most that the budget lets through from an instant on, for `seconds`.

    The best way is to stay one below the lock in every window and to spend all of the last one: a lock costs more than
    the one guess that it is the price of.
    """
    whole_windows = int(seconds // budget.window)
    return min(total, (budget.limit - 1) * whole_windows + budget.limit)


def least_seconds(budget: Budget, guesses: int) -> int:
    """How long so many guesses take at least."""
    windows = -(-max(0, guesses - budget.limit) // (budget.limit - 1))
    return windows * budget.window


def chance(kind: int) -> float:
    """That a guesser who has all guesses of a secret's life finds it."""
    return min(1.0, PASSPHRASE_TOTAL / kind)


def expected_seconds(kind: int, guesser: Guesser) -> float:
    """Half of all, on average."""
    return kind / 2 / guesser.guesses_per_second


def in_words(seconds: float) -> str:
    """To two digits."""
    if seconds < 1:
        return "under a second"
    for unit, name in ((YEAR, "years"), (DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{_two_digits(seconds / unit)} {name}"
    return f"{_two_digits(seconds)} seconds"


def one_in(probability: float) -> str:
    return "always" if probability >= 1 else f"1 in {_two_digits(1 / probability)}"


def _two_digits(number: float) -> str:
    rounded = float(f"{number:.2g}")
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if rounded >= size:
            return f"{rounded / size:g} {name}"
    return f"{rounded:,g}" if rounded >= 10 else f"{rounded:g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def figures() -> str:
    network, secret = BUDGETS["passphrase from a network"], BUDGETS["passphrase"]
    spans = {"ten minutes": 599, "an hour": HOUR - 1, "a day": DAY - 1}
    online = _table(
        ["Guesses, at most, within", *spans, "a secret's life", "which takes"],
        [
            [
                name,
                *(str(most_guesses(budget, seconds)) for seconds in spans.values()),
                str(PASSPHRASE_TOTAL),
                in_words(least_seconds(budget, PASSPHRASE_TOTAL)),
            ]
            for name, budget in (("from one network", network), ("from many networks", secret))
        ],
    )
    found = _table(
        ["", "How many there are", "Found online, in a secret's whole life"],
        [[name, _two_digits(kind), one_in(chance(kind))] for name, kind in KINDS.items()],
    )
    offline = _table(
        ["Found offline, on average, by", *(each.name for each in GUESSERS)],
        [
            ["guesses a second", *(_two_digits(each.guesses_per_second) for each in GUESSERS)],
            *(
                [name, *(in_words(expected_seconds(kind, each)) for each in GUESSERS)]
                for name, kind in KINDS.items()
            ),
        ],
    )
    return f"{online}\n{found}\n{offline}"


def page_with(figures_: str) -> str:
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{figures_}\n{END}{after}"


def measure() -> float:
    """Seconds for one hash here: the fastest of twenty."""
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        argon2id("battery staple", bytes(16), DEFAULT_COST)
        taken.append(time.perf_counter() - began)
    return min(taken)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(f"{measure() * 1000:.0f} ms")
    elif "--write" in sys.argv:
        PAGE.write_text(page_with(figures()))
    else:
        print(figures())
