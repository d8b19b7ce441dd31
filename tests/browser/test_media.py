"""Other ways to look: on paper, with the system's own colours, without motion, without waiting, from any zone of time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, Route

from tests.browser.conftest import Visit
from tests.browser.place import Place
from tests.browser.visitor import SECRET, Visitor

# Other ways to look, one by one: for `make faults`.
pytestmark = pytest.mark.full

MOST_BYTES = 60_000

# What stands on a sheet of paper.
SHOWN = """() => [...document.querySelectorAll('body *')].filter(
    (each) => each.checkVisibility() && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
).map((each) => each.id || each.textContent.trim())"""

EDGES = """() => [...document.querySelectorAll('.button, .seal, .paper, input:not([type=hidden], [type=checkbox]), select, textarea')].filter(
    (each) => each.checkVisibility() && !each.matches('.unseen')
).filter((each) => {
    const style = getComputedStyle(each);
    return style.borderTopStyle === 'none' || style.borderTopColor === style.backgroundColor
        || style.borderTopColor === getComputedStyle(document.body).backgroundColor
        || parseFloat(style.borderTopWidth) === 0;
}).map((each) => each.outerHTML.slice(0, 100))"""


def reveal(visitor: Visitor, place: Place, secret: str = SECRET) -> None:
    visitor.open(f"secret/{place.share(secret)[0]}")
    visitor.send("#show")
    visitor.page.wait_for_selector("pre#secret")
    visitor.page.wait_for_load_state()  # its script has run


def test_paper_holds_the_secret_alone(visitor: Visitor, place: Place) -> None:
    reveal(visitor, place)
    visitor.page.emulate_media(media="print")
    assert visitor.page.evaluate(SHOWN) == ["secret"]
    assert (
        visitor.page.locator("#secret").evaluate("(it) => getComputedStyle(it).color")
        == "rgb(0, 0, 0)"
    )


def test_paper_holds_the_secret_alone_in_the_dark_too(visit: Visit, place: Place) -> None:
    with visit(theme="dark") as visitor:
        reveal(visitor, place)
        visitor.page.emulate_media(media="print")
        assert visitor.page.evaluate(SHOWN) == ["secret"]
        colours = "(it) => [getComputedStyle(it).color, getComputedStyle(it.parentElement).backgroundColor]"
        ink, paper = visitor.page.locator("#secret").evaluate(colours)
        assert ink == "rgb(0, 0, 0)"
        assert paper in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_systems_own_colours_keep_every_edge(theme: str, visit: Visit, place: Place) -> None:
    with visit(forced_colors="active", theme=theme) as visitor:
        visitor.open()
        assert visitor.page.evaluate(EDGES) == []
        visitor.share()
        assert visitor.page.evaluate(EDGES) == []
        visitor.open(f"secret/{place.share(passphrase='passphrase')[0]}")
        assert visitor.page.evaluate(EDGES) == []


def test_nothing_moves_for_whoever_does_not_want_it(visit: Visit, place: Place) -> None:
    moving = (
        "() => [...document.querySelectorAll('*')].filter((each) => ['', '::after', '::before'].some("
        "(part) => { const it = getComputedStyle(each, part); return it.transitionDuration !== '0s' || it.animationName !== 'none' }"
        ")).length"
    )
    with visit() as visitor:
        for path in ("", f"secret/{place.share()[0]}"):
            visitor.open(path)
            assert visitor.page.evaluate(moving) == 0
        visitor.page.emulate_media(reduced_motion="no-preference")
        assert visitor.page.evaluate(moving) > 0


# Weight and speed


@pytest.mark.parametrize("language", ["en", "uk"])
def test_the_first_page_with_everything_is_light(language: str, visit: Visit) -> None:
    with visit(language=language) as visitor:
        session = visitor.context.new_cdp_session(visitor.page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on(
            "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
        )
        visitor.open()
        visitor.page.wait_for_load_state("networkidle")
        icon = visitor.page.get_attribute("link[rel=icon]", "href")
        visitor.page.evaluate("(address) => fetch(address).then((it) => it.blob())", icon)
        visitor.page.wait_for_timeout(100)
        own = [each for each in visitor.requests if not each.url.startswith("data:")]
        assert len(sizes) == len(own) >= 8
        assert sum(sizes) < MOST_BYTES


def test_the_page_is_painted_and_works_before_its_script_arrives(visit: Visit) -> None:
    held: list[Route] = []
    with visit() as visitor:
        visitor.page.route("**/*.js", lambda route: held.append(route))  # noqa: PLW0108
        visitor.page.goto(visitor.place.url, wait_until="commit")
        visitor.page.wait_for_function(
            "() => performance.getEntriesByName('first-contentful-paint').length"
        )
        assert held
        visitor.write()
        visitor.page.click("#share button.first", no_wait_after=True)
        visitor.page.wait_for_selector("#link")
        for route in held:
            route.abort()


def test_without_the_style_nothing_is_lost(visit: Visit) -> None:
    with visit(strict=False) as visitor:
        visitor.page.route("**/*.css", lambda route: route.abort())
        link = visitor.share()
        visitor.open_link(link)
        visitor.send("#show")
        assert visitor.page.locator("pre#secret").text_content() == SECRET


# After the secret


WIPED = """() => {
    dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
    return document.documentElement.outerHTML;
}"""


def test_what_was_revealed_is_wiped_when_the_page_is_left(visit: Visit, place: Place) -> None:
    with visit() as visitor:
        reveal(visitor, place)
        assert SECRET in visitor.page.content()
        left = visitor.page.evaluate(WIPED)
        assert SECRET not in left
        assert "base64," not in left


def test_what_was_generated_or_written_is_wiped_when_the_page_is_left(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open()
        visitor.write()
        visitor.page.evaluate(WIPED)
        assert visitor.page.input_value("#secret") == ""
        visitor.open()
        visitor.page.click("label[for=kind-generate]")
        visitor.send()
        value = visitor.page.locator("#value").text_content()
        visitor.page.wait_for_load_state()  # its script has run
        assert value
        assert value not in visitor.page.evaluate(WIPED)


KEEPS = {
    "nothing": "",
    "a click elsewhere": "h1",
    "copied": "[data-copies=secret]",
    "saved": "#save",
}


def answer(visitor: Visitor, asked: list[str]) -> None:
    """Leave the page whatever it says, and write down that it said something."""

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    visitor.page.on("dialog", leave)


@pytest.mark.parametrize("way", KEEPS)
def test_leaving_is_warned_of_only_if_nothing_was_kept(
    way: str, visit: Visit, place: Place
) -> None:
    with visit(permissions=["clipboard-read", "clipboard-write"]) as visitor:
        asked: list[str] = []
        reveal(visitor, place)
        answer(visitor, asked)
        visitor.page.click("pre#secret")
        if KEEPS[way]:
            visitor.page.click(KEEPS[way])
        if way == "copied":
            visitor.page.wait_for_selector("#secret-said:has-text('Copied')")
        visitor.open()
        assert visitor.heading == "Share a secret, once"
        assert asked == ([] if way in {"copied", "saved"} else ["beforeunload"])


def test_copying_by_hand_is_keeping_too(visit: Visit, place: Place) -> None:
    with visit(permissions=["clipboard-read", "clipboard-write"]) as visitor:
        asked: list[str] = []
        reveal(visitor, place)
        answer(visitor, asked)
        visitor.page.click("pre#secret", click_count=3)
        visitor.page.keyboard.press("Control+c")
        visitor.open()
        assert asked == []


def test_whoever_stays_is_told_why(visit: Visit, place: Place) -> None:
    with visit() as visitor:
        reveal(visitor, place)
        visitor.page.on("dialog", lambda dialog: dialog.dismiss())
        visitor.page.click("pre#secret")
        visitor.page.evaluate("() => { location.href = '/' }")
        visitor.page.wait_for_selector("#unkept:visible")
        assert visitor.page.inner_text("#unkept") == "You have neither copied nor saved it."
        assert visitor.page.locator("#secret").text_content() == SECRET


# Times and languages


def test_times_are_in_the_readers_zone_with_script_and_in_utc_without(
    visit: Visit, script: bool, place: Place
) -> None:
    key, _ = place.share()
    with visit(script=script, timezone_id="Asia/Kathmandu") as visitor:
        visitor.open(f"secret/{key}")
        shown = visitor.page.inner_text("time")
        stamp = visitor.page.get_attribute("time", "datetime") or ""
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
        assert ("UTC" in shown) != script
        assert shown.endswith("GMT+5:45" if script else "UTC")
        hours = int(stamp[11:13]) * 60 + int(stamp[14:16]) + (5 * 60 + 45 if script else 0)
        assert f"{hours // 60 % 24:02}:{hours % 60:02}" in shown
        if script:
            assert "UTC" in (visitor.page.get_attribute("time", "title") or "")


def test_what_is_left_counts_on_without_being_read_out(visit: Visit, place: Place) -> None:
    key, _ = place.share(ttl="60")
    with visit() as visitor:
        visitor.open(f"secret/{key}")
        left = visitor.page.locator("[data-seconds]")
        first = left.inner_text()
        assert re.fullmatch(r"(60|59|58|57) seconds", first)
        visitor.page.wait_for_function(
            "(first) => document.querySelector('[data-seconds]').textContent !== first", arg=first
        )
        assert (
            left.evaluate("(it) => it.closest('[aria-live], [role=status], [role=timer]')") is None
        )


def test_numbers_and_times_are_in_the_pages_language(
    visit: Visit, script: bool, place: Place
) -> None:
    key, _ = place.share(ttl="604800")
    with visit(script=script, language="uk") as visitor:
        visitor.open(f"secret/{key}")
        assert "7 днів" in visitor.page.inner_text(".facts")
        assert re.match(r"\d{1,2}[\xa0 ]\w+ \d{4}", visitor.page.inner_text("time"))


def test_the_language_is_switched_without_script_and_cookie_and_stays(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.click("text='Українська'")
    assert visitor.page.get_attribute("html", "lang") == "uk"
    visitor.write()
    visitor.send()
    visitor.arrive("Посилання готове")
    link = visitor.page.input_value("#link")
    assert "lang=" not in link
    receipt = visitor.page.get_attribute("#receipt", "href")
    assert receipt
    visitor.page.goto(visitor.place.origin + receipt)
    assert visitor.page.get_attribute("html", "lang") == "uk"
    visitor.arrive("Секрет ще не переглянули")
    visitor.page.click("summary >> nth=0")
    visitor.page.click("details[open] button")
    visitor.arrive("Знищено непрочитаним")
    visitor.page.click("footer >> text='Приватність'")
    assert visitor.page.get_attribute("html", "lang") == "uk"
    visitor.page.click("text='English'")
    assert visitor.page.get_attribute("html", "lang") == "en"
    assert visitor.context.cookies() == []


def test_the_recipient_reads_in_their_own_language(visit: Visit, script: bool) -> None:
    with visit(script=script) as alice, visit(script=script, language="uk") as bob:
        bob.open_link(alice.share())
        bob.arrive("Вам надіслали секрет")
        assert bob.page.get_attribute("html", "lang") == "uk"


def test_the_mirrored_language_is_mirrored(visit: Visit) -> None:
    with visit(language="qps") as visitor:
        visitor.open()
        assert visitor.page.get_attribute("html", "dir") == "rtl"
        brand = visitor.page.locator(".brand").bounding_box()
        switch = visitor.page.locator(".head nav").bounding_box()
        assert brand
        assert switch
        assert brand["x"] > switch["x"]
        link = visitor.share()
        assert (
            visitor.page.locator("#link").evaluate("(it) => getComputedStyle(it).direction")
            == "ltr"
        )
        assert link.startswith(visitor.place.url)
