"""The figures of docs/passphrases.md: made from the limits, right, and what the rules really allow."""

import functools
import re
from pathlib import Path

import pytest

from onetime.core.limits import BUDGETS, PASSPHRASE_TOTAL
from onetime.core.vault import LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE, Wish
from onetime.crypto.hashing import DEFAULT_COST
from onetime.errors import RateLimited, WrongPassphrase
from onetime.storage.port import Budget
from tests.core.opening import DAY, START, Clock, network, opened
from tests.docs import guesses

NETWORK, SECRET = BUDGETS["passphrase from a network"], BUDGETS["passphrase"]


def test_the_page_shows_the_figures() -> None:
    text = guesses.PAGE.read_text()
    assert guesses.page_with(guesses.figures()) == text, "python -m tests.docs.guesses --write"


def test_the_pages_prose_names_the_same_limits() -> None:
    text = re.sub(r"\s+", " ", guesses.PAGE.read_text())
    for said in (
        f"{SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters",
        f"A secret takes {PASSPHRASE_TOTAL} wrong ones",
        f"a secret and a network ({NETWORK.limit})",
        f"from everywhere ({SECRET.limit})",
        f"a window of {NETWORK.window} seconds",
        f"locks for {NETWORK.lock} seconds",
        f"{DEFAULT_COST.memory_kib // 1024} MiB and two passes with one lane",
        "4 × 24 + 4 = 100",
        "19 × 5 + 5 = 100",
        f"up to {2 * NETWORK.limit - 1} and {2 * SECRET.limit - 1}",
    ):
        assert said in text, said
    assert (NETWORK.window, NETWORK.lock) == (SECRET.window, SECRET.lock)
    assert (DEFAULT_COST.passes, DEFAULT_COST.lanes) == (2, 1)


@pytest.mark.parametrize("budget", [NETWORK, SECRET], ids=["network", "secret"])
def test_no_other_way_of_guessing_is_faster(budget: Budget) -> None:
    """Tried: in each window any number below the lock, or all of it and the lock."""

    @functools.cache
    def best(seconds: int) -> int:
        if seconds < 0:
            return 0
        below = budget.limit - 1 + best(seconds - budget.window)
        return max(below, budget.limit + best(seconds - budget.lock))

    for seconds in [*range(0, DAY, 300), *range(599, DAY, 600), *range(1799, DAY, 1800)]:
        expected = min(PASSPHRASE_TOTAL, best(seconds))
        assert guesses.most_guesses(budget, seconds) == expected


@pytest.mark.parametrize("budget", [NETWORK, SECRET], ids=["network", "secret"])
def test_the_time_and_the_number_fit(budget: Budget) -> None:
    for count in range(1, PASSPHRASE_TOTAL + 1):
        seconds = guesses.least_seconds(budget, count)
        assert guesses.most_guesses(budget, seconds) >= count
        assert seconds == 0 or guesses.most_guesses(budget, seconds - 1) < count


@pytest.mark.parametrize("networks", [1, 1000])
async def test_the_rules_allow_what_the_page_says_and_no_more(
    tmp_path: Path, networks: int
) -> None:
    budget = NETWORK if networks == 1 else SECRET
    clock = Clock(START - START % DAY)
    began = clock.now
    async with opened(tmp_path, clock) as app:
        made = await app.vault.conceal("x", Wish(passphrase="battery staple"))
        made_so_far = 0

        async def guess() -> None:
            caller = network(made_so_far % networks)
            await app.vault.burn(made.secret_key, passphrase="guess", caller=caller)

        while made_so_far < PASSPHRASE_TOTAL:
            for _ in range(min(budget.limit - 1, PASSPHRASE_TOTAL - made_so_far)):
                with pytest.raises(WrongPassphrase):
                    await guess()
                made_so_far += 1
            if PASSPHRASE_TOTAL - made_so_far:
                clock.now += budget.window
        assert clock.now - began == guesses.least_seconds(budget, PASSPHRASE_TOTAL)
        with pytest.raises(RateLimited) as closed:
            await guess()
        assert closed.value.retry_after is None


def test_a_cards_rate_is_what_the_page_reckons() -> None:
    assert guesses.card_rate() == pytest.approx(1e12 / (2 * 2 * 19 * 1_048_576))
    assert 12_000 < guesses.card_rate() < 13_000


def test_times_and_chances_by_hand() -> None:
    core, card, _ = guesses.GUESSERS
    assert guesses.expected_seconds(10_000, core) == pytest.approx(125)
    assert guesses.expected_seconds(26**6, core) / 86_400 == pytest.approx(44.69, abs=0.01)
    assert guesses.expected_seconds(26**6, card) / 3600 == pytest.approx(3.42, abs=0.01)
    assert guesses.chance(10_000) == 0.01
    assert guesses.chance(50) == 1.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.1, "under a second"),
        (12.4, "12 seconds"),
        (125, "2.1 minutes"),
        (50 * 60, "50 minutes"),
        (4 * 3600, "4 hours"),
        (45 * 86_400, "45 days"),
        (4.6e6 * 365.25 * 86_400, "4.6 million years"),
    ],
)
def test_times_are_said_in_two_digits(seconds: float, said: str) -> None:
    assert guesses.in_words(seconds) == said
