"""What is true of every page in every state: accessible, whole at any width, nothing asked of others, nothing kept.

One tour a language visits every state once and writes down what it sees; the tests read the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize

from tests.browser import axe
from tests.browser.conftest import Visit
from tests.browser.enveloped import links
from tests.browser.place import Place
from tests.browser.states import pages
from tests.browser.visitor import Visitor, visiting
from tests.rounds import in_full

# Of colours only the theme decides, so in the dark only they are looked at again.
COLOURS = ("color-contrast", "link-in-text-block")

# 1280 by 800 at 400 %.
NARROW = ViewportSize(width=320, height=200)
TELEPHONE = ViewportSize(width=360, height=740)
WIDE = ViewportSize(width=1280, height=800)

OVERFLOWING = """() => {
    const width = document.documentElement.clientWidth;
    if (document.scrollingElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')].filter(
        (each) => each.getBoundingClientRect().right > width + .5 || each.getBoundingClientRect().left < -.5
    ).slice(0, 3).map((each) => each.outerHTML.slice(0, 120));
}"""

# Buttons, fields, what unfolds, and links that stand alone; links in sentences are as tall as their line.
SMALL = """() => [...document.querySelectorAll(
    'button, a[href], summary, select, input:not([type=hidden]), textarea, .choice, .kinds label'
)].filter((each) => each.checkVisibility({ visibilityProperty: true })
    && !each.matches('p a:not(.button), li a, .skip, .unseen, .choice input')).filter((each) => {
    const { width, height } = each.getBoundingClientRect();
    const least = each.matches('.button.first') ? 52 : 44;
    return height < least - .01 || (width < 44 && !each.matches('nav a'));
}).map((each) => `${each.outerHTML.slice(0, 100)} ${each.getBoundingClientRect().height}`)"""

# Two sentences without a blank between them, as they are seen; of what somebody wrote, that is their business.
GLUED = r"""() => [...document.querySelectorAll('main :is(p, li, dd, h1, h2)')].filter(
    (each) => each.checkVisibility()
).map(
    (each) => each.innerText
).filter((text) => /[\p{L}\d)][.?:]\p{Lu}\p{Ll}/u.test(text))"""

# A passphrase of four words wants to be seen while it is typed.
CRAMPED = """() => [...document.querySelectorAll('input[type=password]')].filter(
    (each) => each.checkVisibility() && each.getBoundingClientRect().width < 160
).map((each) => `${each.id}: ${each.getBoundingClientRect().width}`)"""

GUARD = {
    "spellcheck": "false",
    "translate": "no",
    "autocomplete": "off",
    "autocapitalize": "off",
    "autocorrect": "off",
    "data-1p-ignore": "",
    "data-lpignore": "true",
    "data-bwignore": "",
    "data-form-type": "other",
}
UNGUARDED = """(guard) => [...document.querySelectorAll('textarea, pre, input[type=password], input[type=text]')].filter(
    (each) => Object.entries(guard).some(([name, value]) => each.getAttribute(name) !== value)
).map((each) => each.outerHTML.slice(0, 120))"""

# What makes a browser ask for more than the page, or ask it early.
HINTS = """() => [...document.querySelectorAll(
    'link, script[type=speculationrules], iframe, object, embed, video, audio, [ping], meta[http-equiv]'
)].filter((each) => !['icon', 'stylesheet'].includes(each.rel)).map((each) => each.outerHTML)"""

# What a state is about is no fault of its page.
CAUSED = {
    "result, remembered": "storage of ",
    "form, with receipts": "storage of ",
    "form, connection lost": "net::ERR_FAILED",
    "error, from another site": "403 for /api/e2e/create",
    "link, connection lost": "net::ERR_FAILED",
    "link, wrong passphrase": "403 for /api/e2e/reveal",
    "link, wrong passphrase to destroy": "403 for /api/e2e/burn",
    "link, gone": "404 for /api/e2e/look",
    "kept receipt, too late": "409 for /api/e2e/receipt/burn",
    "kept receipt, gone": "404 for /api/e2e/receipt",
}

UNSPOKEN = "() => document.querySelectorAll('[aria-live], [role=timer], [role=log], [role=marquee]').length"


@dataclass
class Tour:
    """By state, what was found wrong; an empty list is good."""

    found: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def of(self, aspect: str) -> dict[str, list[str]]:
        return {state: each[aspect] for state, each in self.found.items() if each.get(aspect)}

    def look(self, state: str, visitor: Visitor, *, script: bool, colours: bool) -> None:
        page = visitor.page
        notes: dict[str, list[str]] = {}
        notes["small"] = page.evaluate(SMALL)
        notes["unguarded"] = page.evaluate(UNGUARDED, GUARD)
        notes["glued"] = page.evaluate(GLUED)
        notes["hints"] = page.evaluate(HINTS)
        notes["spoken"] = ["a live region"] * page.evaluate(UNSPOKEN)
        if script:
            notes["axe"] = axe.violations(page)
            if colours:
                page.emulate_media(color_scheme="dark")
                notes["axe in the dark"] = axe.violations(page, COLOURS)
                page.emulate_media(color_scheme="light")
        page.set_viewport_size(NARROW)
        notes["too wide"] = page.evaluate(OVERFLOWING)
        page.set_viewport_size(TELEPHONE)
        notes["cramped"] = page.evaluate(CRAMPED)
        page.set_viewport_size(NARROW)
        notes["small and narrow"] = page.evaluate(SMALL)
        if colours and script:
            notes["axe when narrow"] = axe.violations(
                page, ("target-size", "scrollable-region-focusable")
            )
        page.set_viewport_size(WIDE)
        self.found[state] = notes


WAYS: dict[str, dict[str, Any]] = {
    "English": {"language": "en"},
    "mirrored": {"language": "qps"},
    "Ukrainian": {"language": "uk"},
    "no script": {"language": "en", "script": False},
}


# Two tours, so that neither takes too long for one test.
PARTS = {"pages": pages, "links": links}


@pytest.fixture(
    # `make test` goes the first way, `make faults` the others.
    scope="module",
    params=[
        (name, part) if name == "English" else in_full((name, part))
        for name in WAYS
        for part in PARTS
    ],
    ids=", ".join,
)
def tour(request: pytest.FixtureRequest, browser: Browser, place: Place) -> Tour:
    name, part = request.param
    way = WAYS[name]
    tour = Tour()
    known: set[str] = set()
    with visiting(browser, place, strict=False, **way) as visitor:
        for state in PARTS[part](visitor):
            tour.look(
                state,
                visitor,
                script=way.get("script", True),
                colours=name == "English",
            )
            for fault in visitor.faults():
                if fault not in known and not (state in CAUSED and CAUSED[state] in fault):
                    tour.faults.append(f"{state}: {fault}")
                known.add(fault)
    return tour


def test_axe_finds_nothing(tour: Tour) -> None:
    assert tour.of("axe") == {}
    assert tour.of("axe in the dark") == {}
    assert tour.of("axe when narrow") == {}


def test_no_page_scrolls_sideways_at_320_pixels(tour: Tour) -> None:
    assert tour.of("too wide") == {}


def test_what_is_pressed_is_large_enough(tour: Tour) -> None:
    assert tour.of("small") == {}
    assert tour.of("small and narrow") == {}


def test_fields_for_passphrases_have_room_on_a_telephone(tour: Tour) -> None:
    assert tour.of("cramped") == {}


def test_between_sentences_there_is_a_blank(tour: Tour) -> None:
    assert tour.of("glued") == {}


def test_what_is_secret_is_guarded_from_the_browsers_helpers(tour: Tour) -> None:
    assert tour.of("unguarded") == {}


def test_no_page_gives_a_browser_reason_to_ask_early(tour: Tour) -> None:
    assert tour.of("hints") == {}


def test_no_clock_is_read_out(tour: Tour) -> None:
    assert tour.of("spoken") == {}


def test_nobody_else_is_asked_nothing_is_kept_and_nothing_complains(tour: Tour) -> None:
    assert tour.faults == []


def test_every_state_was_seen(tour: Tour) -> None:
    if "link" not in tour.found:
        assert len(tour.found) >= 34
    elif "link, opening" in tour.found:
        assert len(tour.found) >= 32
    else:
        assert len(tour.found) == 2  # without script


def test_the_checks_see_what_is_wrong(visit: Visit) -> None:
    """Twins: pages spoilt on purpose, one for each check."""
    with visit(strict=False) as visitor:
        visitor.open()
        page = visitor.page
        assert any("color-contrast" in each for each in axe.broken(page))
        page.evaluate("() => { document.querySelector('.button.first').style.minBlockSize = '0' }")
        assert page.evaluate(SMALL) != []
        page.evaluate("() => document.querySelector('textarea').removeAttribute('translate')")
        assert len(page.evaluate(UNGUARDED, GUARD)) == 1
        page.evaluate("() => { document.querySelector('#secret-hint').append('One.Two') }")
        assert len(page.evaluate(GLUED)) == 1
        page.evaluate("() => { document.querySelector('.joined').style.inlineSize = '12rem' }")
        page.evaluate("() => { document.querySelector('.joined').style.flexWrap = 'nowrap' }")
        assert len(page.evaluate(CRAMPED)) == 1
        page.set_viewport_size(NARROW)
        page.evaluate("() => { document.querySelector('h1').style.inlineSize = '30rem' }")
        assert page.evaluate(OVERFLOWING) != []
        page.evaluate(
            "() => { const it = document.createElement('link'); it.rel = 'prefetch'; it.href = '/x';"
            " document.head.append(it); localStorage.a = 1; document.cookie = 'b=1';"
            " fetch('https://elsewhere.example/').catch(() => 0); indexedDB.open('c') }"
        )
        assert len(page.evaluate(HINTS)) == 1
        page.wait_for_timeout(200)
        faults = "\n".join(visitor.faults())
        for fault in (
            "cookie b",
            "storage of",
            "indexeddb",
            "violates the following Content Security",
        ):
            assert fault in faults
