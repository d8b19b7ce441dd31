"""Sharing where the browser encrypts: what the server gets, what the sender gets, and what happens when something goes wrong."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from playwright.sync_api import Browser, Dialog, Error, Request, Route

from onetime.client import Client
from onetime.errors import WrongPassphrase
from tests import needs
from tests.browser import axe
from tests.browser.chromium import HOST, launch
from tests.browser.conftest import Visit
from tests.browser.place import Place, installed
from tests.browser.proxy import free_port
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor, visiting
from tests.cli.running import until
from tests.rounds import in_full

CREATE = "**/api/e2e/create"

OWN = "Without JavaScript, this server sees your text while you send it."
INSECURE = "This address is not https, so the browser does not encrypt here"
OLD = "This browser cannot encrypt here: this server sees your text while you send it."


@pytest.fixture
def alice(visit: Visit) -> Iterator[Visitor]:
    """With script; what she keeps and is refused is looked at by the tests."""
    with visit(strict=False) as alice:
        yield alice


@pytest.fixture
def bob(place: Place) -> Iterator[Client]:
    """Who gets the link, and opens it with another program."""
    with Client(place.url) as bob:
        yield bob


def creations(visitor: Visitor) -> list[Request]:
    return [each for each in visitor.requests if each.url.endswith("/api/e2e/create")]


def sent(request: Request) -> tuple[dict[str, str], bytes | None]:
    """What of a request is about the secret."""
    headers = {name: value for name, value in request.headers.items() if "onetime" in name}
    return headers, request.post_data_buffer


def heard(visitor: Visitor) -> bytes:
    """Everything that left the browser."""
    parts: list[bytes] = []
    for each in visitor.requests:
        parts += [each.url.encode(), json.dumps(each.all_headers()).encode()]
        parts.append(each.post_data_buffer or b"")
    return b"\n".join(parts)


def spellings(text: str) -> set[bytes]:
    """Of a text, in what a request may be written in."""
    raw = text.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), text.encode("utf-16-le")}
    found |= {quote(text).encode(), quote_plus(text).encode(), json.dumps(text)[1:-1].encode()}
    for start in range(3):  # base64 of it, wherever it begins in what is encoded
        for encode in (b64encode, urlsafe_b64encode):
            found.add(encode(b"\0" * start + raw)[4 if start else 0 :].rstrip(b"=")[:-1])
    return found


def result(visitor: Visitor) -> str:
    """The link, as soon as it is there."""
    return visitor.page.input_value("#link")


def receipt(visitor: Visitor) -> str:
    address = visitor.page.get_attribute("#receipt", "href")
    assert address
    return visitor.place.origin + address


def generate(visitor: Visitor) -> str:
    visitor.open()
    visitor.page.click("label[for=kind-generate]")
    visitor.send()
    return visitor.page.locator("#value").text_content() or ""


def summary(visitor: Visitor) -> str:
    """What the form complains of, as soon as it does."""
    visitor.page.wait_for_selector("#summary:visible")
    return visitor.page.inner_text("#summary")


# What the server gets


def test_the_link_and_the_receipt_work_and_the_text_is_exact(
    alice: Visitor, bob: Client, place: Place
) -> None:
    link = alice.share("їжак\n\t<b>&amp;</b> \u202e👩‍👩‍👧‍👦\n")
    assert re.fullmatch(re.escape(place.url) + r"secret#[A-Za-z0-9_-]{43}", link)
    assert re.fullmatch(re.escape(place.url) + r"receipt#[A-Za-z0-9_-]{86}", receipt(alice))
    assert bob.receipt(receipt(alice)).state == "new"
    assert not bob.look(link).has_passphrase
    revealed = bob.reveal(link)
    assert revealed.text == "їжак\n\t<b>&amp;</b> \u202e👩‍👩‍👧‍👦\n"
    bob.settle(revealed)
    assert bob.receipt(receipt(alice)).state == "revealed"


def test_neither_text_nor_key_nor_passphrase_leaves_the_browser(alice: Visitor) -> None:
    link = alice.share(SECRET, PASSPHRASE)
    key, kept = link.partition("#")[2], receipt(alice).partition("#")[2]
    alice.page.click("#code summary")
    alice.page.wait_for_selector("svg.qr")
    everything = heard(alice)
    assert len(creations(alice)) == 1
    for hidden in (SECRET, PASSPHRASE, normalize("NFD", PASSPHRASE), key, kept, kept[43:]):
        for spelling in spellings(hidden):
            assert spelling not in everything
    # The same search finds what is sent without script.
    assert "onetime-secret-id" in everything.decode("utf-8", "replace")
    assert "#" not in "".join(each.url for each in alice.requests)


def test_what_is_searched_for_is_found_where_the_server_encrypts(visit: Visit) -> None:
    with visit(script=False) as visitor:
        visitor.share(SECRET, PASSPHRASE)
        for seen in (SECRET, PASSPHRASE):
            assert any(spelling in heard(visitor) for spelling in spellings(seen))


def test_a_generated_password_is_made_in_the_browser(alice: Visitor, bob: Client) -> None:
    value = generate(alice)
    assert len(value) == 16
    assert not any(spelling in heard(alice) for spelling in spellings(value))
    assert bob.reveal(result(alice)).text == value


def test_the_choices_of_a_generated_password_count(alice: Visitor) -> None:
    alice.open()
    alice.page.click("label[for=kind-generate]")
    alice.page.get_by_label("24 characters").check()
    alice.page.get_by_label("With symbols").uncheck()
    alice.send()
    value = alice.page.locator("#value").text_content() or ""
    assert len(value) == 24
    assert value.isalnum()


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_passphrase_is_one_however_it_is_composed(
    written: Any, alice: Visitor, bob: Client
) -> None:
    passphrase = "Їжак їсть йогурт"
    link = alice.share(passphrase=normalize(written, passphrase))
    assert alice.page.is_visible("#tell-passphrase")
    assert bob.look(link).has_passphrase
    with pytest.raises(WrongPassphrase):
        bob.reveal(link, passphrase="їжак їсть йогурт")
    assert bob.reveal(link, passphrase=passphrase).text == SECRET


def test_without_a_passphrase_nothing_is_said_of_one(alice: Visitor) -> None:
    alice.share()
    assert not alice.page.is_visible("#tell-passphrase")


def test_the_lifetime_is_the_one_that_was_chosen(alice: Visitor, bob: Client) -> None:
    alice.open()
    alice.write()
    alice.page.select_option("#ttl", "3600")
    alice.send()
    look = bob.look(result(alice))
    assert look.secret_expires_at - look.created_at == 3600


# What the sender gets


def test_the_result_takes_the_focus_and_the_title_and_keeps_nothing_of_the_form(
    alice: Visitor,
) -> None:
    alice.share(SECRET, PASSPHRASE)
    assert alice.heading == "The link is ready"
    assert alice.focused == "done"
    assert alice.page.title() == "The link is ready · Onetime"
    assert alice.page.url == alice.place.url
    assert alice.page.evaluate("() => history.state") is None
    assert alice.page.locator(".head nav").count() == 0
    assert SECRET not in alice.page.content()
    assert PASSPHRASE not in alice.page.content()
    key = result(alice).partition("#")[2]
    assert key not in alice.page.content(), "only as the value of the field"


def test_a_reload_of_the_result_is_an_empty_form(alice: Visitor, place: Place) -> None:
    alice.share(SECRET, PASSPHRASE)
    alice.page.click("[data-copies=link]")
    stored = place.stored()
    alice.page.reload()
    assert alice.heading == "Share a secret, once"
    assert alice.page.input_value("#secret") == alice.page.input_value("#passphrase") == ""
    assert place.stored() == stored


def test_the_code_is_of_the_link(alice: Visitor) -> None:
    link = alice.share()
    alice.page.click("#code summary")
    picture = alice.page.locator("svg.qr")
    assert picture.get_attribute("role") == "img"
    assert picture.get_attribute("aria-label") == "QR code of the link for the recipient"
    drawn = """async ([page, link]) => {
        const { draw } = await import(page.replace('page/home.js', 'part/qr.js'));
        return draw(link).lastChild.getAttribute('d');
    }"""
    script = alice.page.get_attribute("script[type=module]", "src")
    expected = alice.page.evaluate(drawn, [script, link])
    assert picture.locator("path").last.get_attribute("d") == expected


def test_a_code_that_cannot_be_fetched_says_so(alice: Visitor) -> None:
    alice.open()
    alice.page.route("**/qr.js", lambda route: route.abort())
    alice.write()
    alice.send()
    result(alice)
    alice.page.click("#code summary")
    alice.page.wait_for_selector("#drawn:has-text('Copy the link instead')")


def test_the_system_shares_the_link(visit: Visit) -> None:
    with visit(strict=False) as visitor:
        visitor.context.add_init_script(
            "navigator.share = (what) => { window.shared = what; return Promise.resolve(); }"
        )
        link = visitor.share()
        visitor.page.click("#pass-on")
        assert visitor.page.evaluate("() => window.shared") == {"url": link}


def test_where_the_system_shares_nothing_there_is_no_button(visit: Visit) -> None:
    with visit(strict=False) as visitor:
        visitor.context.add_init_script("delete Navigator.prototype.share")
        visitor.share()
        assert not visitor.page.is_visible("#pass-on")


@pytest.mark.parametrize(
    "taken", ["", "[data-copies=link]", "#code summary"], ids=["", "copied", "code"]
)
def test_leaving_is_warned_of_if_the_link_was_not_taken(taken: str, visit: Visit) -> None:
    with visit(permissions=["clipboard-read", "clipboard-write"], strict=False) as visitor:
        asked: list[str] = []

        def leave(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        visitor.page.on("dialog", leave)
        visitor.share()
        visitor.page.click("h1")
        if taken:
            visitor.page.click(taken)
        if "copies" in taken:
            visitor.page.wait_for_selector("#link-said:has-text('Copied')")
        visitor.page.click("text='Share another secret'")
        visitor.page.wait_for_selector("#share")
        assert asked == ([] if taken else ["beforeunload"])


def test_back_shows_neither_text_nor_link(browser: Browser, place: Place) -> None:
    """With the memory of pages that browsers have."""
    other = launch(browser.browser_type, needs.chromium(), keeps_pages=True)
    try:
        with visiting(other, place, strict=False) as visitor:
            link = visitor.share(SECRET)
            key = link.partition("#")[2]
            visitor.page.click("footer >> text='About'")
            visitor.page.wait_for_url("**/info/about")
            with suppress(Error):
                visitor.page.go_back(wait_until="commit")
            visitor.page.wait_for_selector("#share")
            assert visitor.page.input_value("#secret") == ""
            assert SECRET not in visitor.page.content()
            assert key not in visitor.page.content()
            assert visitor.page.locator("#link").count() == 0
    finally:
        other.close()


# When something goes wrong


def test_a_double_click_sends_once(alice: Visitor, place: Place) -> None:
    secrets, receipts = place.stored()
    alice.open()
    alice.write(passphrase=PASSPHRASE)
    alice.page.dblclick("#share button.first")
    result(alice)
    assert len(creations(alice)) == 1
    assert place.stored() == (secrets + 1, receipts + 1)


def test_while_it_is_sent_the_button_rests_and_that_is_said(alice: Visitor) -> None:
    held: list[Route] = []
    alice.open()
    alice.page.route(CREATE, lambda route: held.append(route))  # noqa: PLW0108
    alice.write()
    said = alice.page.locator("#sending")
    assert said.get_attribute("role") == "status"
    assert said.text_content() == ""
    alice.send()
    alice.page.wait_for_selector("#sending:has-text('Making the link…')")
    assert alice.page.is_disabled("#share button.first")
    alice.page.evaluate("() => document.getElementById('share').requestSubmit()")
    until(lambda: held)
    held[0].continue_()
    result(alice)
    assert len(creations(alice)) == 1


def lost_before(route: Route) -> None:
    route.abort("connectionreset")


def lost_after(route: Route) -> None:
    """The server has it, and its answer does not arrive."""
    assert route.fetch().status == 201
    route.abort("connectionreset")


def broken_off(route: Route) -> None:
    assert route.fetch().status == 201
    route.fulfill(status=201, content_type="application/json", body='{"created_at": 17')


def from_a_gateway(route: Route) -> None:
    assert route.fetch().status == 201
    route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>")


@pytest.mark.parametrize("cut", [lost_before, lost_after, broken_off, from_a_gateway])
def test_a_lost_connection_loses_nothing_and_makes_no_second_secret(
    cut: Callable[[Route], None], alice: Visitor, bob: Client, place: Place
) -> None:
    secrets, receipts = place.stored()
    alice.open()
    alice.write(SECRET, PASSPHRASE)
    alice.page.route(CREATE, cut)
    alice.send()
    assert "The connection broke off. Nothing is lost: try again." in summary(alice)
    assert alice.focused == "summary"
    assert alice.page.title().startswith("Error: The connection broke off.")
    assert alice.page.input_value("#secret") == SECRET
    assert alice.page.input_value("#passphrase") == PASSPHRASE
    assert alice.page.is_enabled("#share button.first")
    alice.page.unroute(CREATE)
    alice.send()
    link = result(alice)
    assert place.stored() == (secrets + 1, receipts + 1)
    first, second = creations(alice)
    assert sent(first) == sent(second)
    assert bob.reveal(link, passphrase=PASSPHRASE).text == SECRET


def test_a_made_up_password_is_the_same_when_it_is_sent_again(alice: Visitor, bob: Client) -> None:
    alice.open()
    alice.page.click("label[for=kind-generate]")
    alice.page.route(CREATE, lost_after)
    alice.send()
    summary(alice)
    alice.page.unroute(CREATE)
    alice.send()
    value = alice.page.locator("#value").text_content()
    first, second = creations(alice)
    assert sent(first) == sent(second)
    assert bob.reveal(result(alice)).text == value


@pytest.mark.parametrize("edit", ["#secret", "#passphrase", "#ttl"])
def test_what_was_changed_after_a_lost_answer_is_a_new_secret(
    edit: str, alice: Visitor, bob: Client, place: Place
) -> None:
    secrets, _ = place.stored()
    alice.open()
    alice.write(SECRET, PASSPHRASE)
    alice.page.route(CREATE, lost_after)
    alice.send()
    summary(alice)
    alice.page.unroute(CREATE)
    if edit == "#ttl":
        alice.page.select_option(edit, "3600")
    else:
        alice.page.fill(edit, "something else")
    alice.send()
    link = result(alice)
    first, second = creations(alice)
    assert first.headers["onetime-secret-id"] != second.headers["onetime-secret-id"]
    assert place.stored()[0] == secrets + 2
    passphrase = "something else" if edit == "#passphrase" else PASSPHRASE
    text = "something else" if edit == "#secret" else SECRET
    assert bob.reveal(link, passphrase=passphrase).text == text


def test_what_is_over_when_it_is_sent_again_is_made_anew(
    alice: Visitor, bob: Client, place: Place
) -> None:
    """Its answer was lost, and it has expired since: the server says that there was something of this name."""
    alice.open()
    alice.write()
    alice.page.select_option("#ttl", "3600")
    alice.page.route(CREATE, lost_after)
    alice.send()
    summary(alice)
    alice.page.unroute(CREATE)
    place.wait(3600)
    alice.send()
    assert bob.reveal(result(alice)).text == SECRET


REFUSED: dict[str, tuple[int, dict[str, Any], str]] = {
    "rate limited": (
        429,
        {"code": "rate_limited", "retry_after": 17},
        "Too many at the moment. Try again in 20 seconds.",
    ),
    "for long": (
        429,
        {"code": "rate_limited", "retry_after": 1700},
        "Too many at the moment. Try again in 30 minutes.",
    ),
    "for longer": (
        429,
        {"code": "rate_limited", "retry_after": 86_400},
        "Too many at the moment. Try again in 1 hour.",
    ),
    "at the moment": (429, {"code": "rate_limited"}, "Too many at the moment"),
    "full": (
        503,
        {"code": "full", "retry_after": 60},
        "No room for new secrets now. Reading still works.",
    ),
    "busy": (
        503,
        {"code": "unavailable", "retry_after": 5},
        "The server is busy, and nothing was kept. Try again in 5 seconds.",
    ),
    "a mistake": (500, {"code": "error"}, "The server did not take it."),
    "another site": (403, {"code": "cross_origin"}, "The server did not take it."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_said_and_keeps_what_was_written(case: str, alice: Visitor) -> None:
    status, problem, words = REFUSED[case]
    alice.open()
    alice.write(SECRET, PASSPHRASE)
    alice.page.route(
        CREATE,
        lambda route: route.fulfill(
            status=status,
            content_type="application/json",
            body=json.dumps({"error": {"message": "In English", **problem}}),
        ),
    )
    alice.send()
    said = summary(alice)
    assert "The link was not made" in said
    assert f"{words} What you have written is still here." in said
    assert alice.focused == "summary"
    assert alice.page.title() == f"Error: {words} · Onetime"
    assert alice.page.input_value("#secret") == SECRET
    assert alice.page.input_value("#passphrase") == PASSPHRASE
    alice.page.unroute(CREATE)
    alice.send()
    result(alice)
    assert alice.page.title() == "The link is ready · Onetime"


def test_a_real_limit_is_said_too(browser: Browser, tmp_path: Any) -> None:
    """Of how large an envelope may be, as the server has it."""
    with (
        installed(tmp_path, {"ONETIME_MAX_SECRET_BYTES": "2000"}) as place,
        visiting(browser, place, strict=False) as visitor,
    ):
        visitor.open()
        visitor.page.evaluate("() => { document.getElementById('secret').dataset.mostBytes = 9e9 }")
        visitor.write("x" * 100_000)
        visitor.send()
        assert "2\u00a0kB is the limit." in summary(visitor)
        assert visitor.page.get_attribute("#secret", "aria-invalid") == "true"


def test_a_mistake_of_the_browser_is_said_and_nothing_is_sent(alice: Visitor) -> None:
    alice.open()
    alice.page.evaluate("() => { crypto.subtle.encrypt = () => Promise.reject(new Error('no')) }")
    alice.write()
    alice.send()
    assert "Something went wrong in this browser, and nothing was sent." in summary(alice)
    assert creations(alice) == []
    assert alice.page.input_value("#secret") == SECRET


WRONG = {
    "nothing": ("", "", "secret"),
    "too long": ("x" * 112_345, "", "secret"),
    "short": (SECRET, "abc", "passphrase"),
    "long": (SECRET, "a" * 129, "passphrase"),
    "far too long": (SECRET, "a" * 600, "passphrase"),
    "unassigned": (SECRET, "abcd\u0378", "passphrase"),
}

SEEN = """(field) => {
    const control = document.getElementById(field);
    const text = (id) => document.getElementById(id).innerText.trim();
    return {
        title: document.title,
        focus: document.activeElement.id,
        summary: text('summary').split('\\n').slice(0, 2),
        leads: document.querySelector('#summary a').getAttribute('href'),
        at: text(`${field}-wrong`),
        invalid: [...document.querySelectorAll('[aria-invalid=true]')].map((each) => each.id),
        bad: [...document.querySelectorAll('.bad')].map((each) => each.querySelector('label').htmlFor),
        described: control.getAttribute('aria-describedby'),
        promise: document.querySelector('.intro p')?.checkVisibility() ?? false,
    };
}"""


@pytest.mark.parametrize("language", ["uk", in_full("en")])
@pytest.mark.parametrize("case", WRONG)
def test_the_browser_complains_as_the_server_does(case: str, language: str, visit: Visit) -> None:
    """Without script the server says it; only that a text is too long is counted more exactly here."""
    secret, passphrase, field = WRONG[case]
    seen = []
    for script in (True, False):
        with visit(script=script, language=language, strict=False) as visitor:
            visitor.open()
            visitor.write(secret, passphrase)
            visitor.send()
            summary(visitor)
            seen.append(visitor.page.evaluate(SEEN, field))
            if script:
                assert creations(visitor) == []
                assert visitor.page.input_value("#secret") == secret
                assert visitor.page.input_value("#passphrase") == passphrase
    ours, theirs = (json.dumps(each, ensure_ascii=False) for each in seen)
    size = r"112[.,\s]345 \w+|112.кБ|112.kB"
    assert re.sub(size, "SIZE", ours) == re.sub(size, "SIZE", theirs)


def test_half_a_character_is_refused(alice: Visitor) -> None:
    alice.open()
    alice.page.evaluate("() => { document.getElementById('secret').value = 'a\\ud800b' }")
    alice.send()
    assert "This text holds characters that cannot be kept" in summary(alice)
    assert creations(alice) == []


def test_a_lifetime_that_nobody_offers_is_refused(alice: Visitor) -> None:
    alice.open()
    alice.write()
    alice.page.evaluate("() => { document.querySelector('#ttl :checked').value = '604801' }")
    alice.send()
    assert "Choose between 1 minute and 7 days." in summary(alice)
    assert creations(alice) == []


def test_what_was_corrected_is_no_longer_wrong(alice: Visitor) -> None:
    alice.open()
    alice.write(SECRET, "abc")
    alice.send()
    summary(alice)
    alice.page.click("#summary a")
    assert alice.focused == "passphrase"
    alice.write("", PASSPHRASE)
    alice.send()
    alice.page.wait_for_selector("#summary:has-text('Write the secret')")
    assert alice.page.locator("[aria-invalid]").count() == 1
    assert not alice.page.is_visible("#passphrase-wrong")
    alice.write(SECRET)
    alice.send()
    result(alice)


# Where the browser cannot encrypt


def honest(visitor: Visitor) -> None:
    """It says that the server sees the text, and nowhere that it cannot."""
    shown = visitor.page.inner_text("main")
    assert "This server sees the text" in shown
    assert "sees it in passing" in shown
    assert "cannot read it" not in shown
    assert "End-to-end" not in shown


def test_without_script_the_server_encrypts_and_that_is_said_first(
    visit: Visit, place: Place
) -> None:
    with visit(script=False) as visitor:
        visitor.open()
        honest(visitor)
        main = visitor.page.inner_text("main")
        assert main.index(OWN) < main.index("Your secret")
        assert "With JavaScript on, your browser encrypts it instead." in main
        link = visitor.share()
        assert link.startswith(f"{place.url}secret/")


def test_over_plain_http_from_another_machine_the_server_encrypts_and_that_is_said(
    browser: Browser, tmp_path: Any
) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/"
    settings = {"ONETIME_PORT": str(port), "ONETIME_BASE_URL": url}
    with (
        installed(tmp_path, settings, url) as place,
        visiting(browser, place) as visitor,
    ):
        visitor.open()
        visitor.page.wait_for_selector("#warning:visible")
        honest(visitor)
        main = visitor.page.inner_text("main")
        assert main.index(INSECURE) < main.index("Your secret")
        assert visitor.share().startswith(f"{url}secret/")
        assert not visitor.page.locator("#remember").count()


def test_in_an_old_browser_the_server_encrypts_and_that_is_said(visit: Visit, place: Place) -> None:
    with visit() as visitor:
        visitor.context.add_init_script(
            "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })"
        )
        visitor.open()
        visitor.page.wait_for_selector("#warning:visible")
        honest(visitor)
        assert OLD in visitor.page.inner_text("main")
        assert axe.violations(visitor.page) == []
        assert visitor.share().startswith(f"{place.url}secret/")


def test_until_the_script_has_come_nothing_else_is_said(visit: Visit, place: Place) -> None:
    held: list[Route] = []
    with visit() as visitor:
        visitor.page.route("**/sharing.js", lambda route: held.append(route))  # noqa: PLW0108
        visitor.page.goto(visitor.place.url, wait_until="commit")
        visitor.page.wait_for_selector("#share button.first")
        until(lambda: held)
        honest(visitor)
        visitor.write()
        visitor.page.click("#share button.first", no_wait_after=True)
        assert result(visitor).startswith(f"{place.url}secret/")
        for route in held:
            route.abort()


def test_when_the_script_has_come_it_says_who_can_read(alice: Visitor) -> None:
    alice.open()
    alice.page.wait_for_selector(".sight .blind")
    shown = alice.page.inner_text("main")
    assert "cannot read it" in shown
    assert "End-to-end encrypted." in shown
    assert "sees the text" not in shown
    assert "sees it in passing" not in shown
    assert not alice.page.is_visible("#warning")
    alice.page.click("label[for=kind-generate]")
    assert "Your browser makes it up" in alice.page.inner_text("#panel-generate")


# Receipts that this device remembers

KEPT = "() => Object.entries({ ...localStorage })"


def kept(visitor: Visitor) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = visitor.page.evaluate(KEPT)
    return found


def test_nothing_is_remembered_unless_somebody_asks_for_it(visit: Visit) -> None:
    with visit() as visitor:
        visitor.share()
        visitor.page.click("[data-copies=link]")
        visitor.page.click("text='Share another secret'")
        visitor.page.wait_for_selector("#share")
        assert not visitor.page.is_visible("#recent")


def test_a_receipt_is_remembered_and_nothing_that_opens_the_secret(
    alice: Visitor, bob: Client
) -> None:
    link = alice.share(SECRET, PASSPHRASE)
    address = receipt(alice)
    alice.page.check("#remember")
    ((name, value),) = kept(alice)
    times = bob.receipt(address)
    assert name == "receipts /"
    assert json.loads(value) == [
        {
            "link": address.partition("#")[2],
            "created": times.created_at,
            "expires": times.expires_at,
        }
    ]
    assert link.partition("#")[2] not in value
    alice.page.uncheck("#remember")
    assert kept(alice) == []
    alice.page.check("#remember")
    alice.page.click("[data-copies=link]")
    alice.page.click("text='Share another secret'")
    alice.page.wait_for_selector("#recent:visible")
    listed = alice.page.locator("#receipts a")
    assert listed.count() == 1
    assert listed.inner_text().startswith("Receipt of ")
    assert address.endswith(listed.get_attribute("href") or "?")
    assert "#" not in alice.page.inner_text("#recent")


def test_all_are_forgotten_with_one_click(alice: Visitor) -> None:
    for _ in range(2):
        alice.share()
        alice.page.check("#remember")
    alice.open()
    assert alice.page.locator("#receipts a").count() == 2
    alice.page.click("#forget")
    assert kept(alice) == []
    assert not alice.page.is_visible("#recent")
    assert alice.focused == "forgotten"
    assert "Forgotten on this device." in alice.page.inner_text("#forgotten")
    alice.page.reload()
    assert not alice.page.is_visible("#recent")


def test_what_has_ended_goes_by_itself_and_what_is_no_receipt_is_not_shown(alice: Visitor) -> None:
    alice.share()
    alice.page.check("#remember")
    ((name, value),) = kept(alice)
    (own,) = json.loads(value)
    others: list[Any] = [
        {**own, "link": "a" * 86, "expires": 1},
        {**own, "link": "javascript:alert(1)"},
        {**own, "link": 'b" onclick=' + "b" * 86},
        {**own, "created": "now"},
        None,
        7,
    ]
    alice.page.evaluate(
        "([name, value]) => localStorage.setItem(name, value)", [name, json.dumps([own, *others])]
    )
    alice.open()
    alice.page.wait_for_selector("#recent:visible")
    assert alice.page.locator("#receipts a").count() == 1
    assert [json.loads(value) for _, value in kept(alice)] == [[own]]
    alice.page.evaluate("(name) => localStorage.setItem(name, '{')", name)
    alice.open()
    assert not alice.page.is_visible("#recent")


def test_a_browser_that_keeps_nothing_is_not_asked_to(visit: Visit) -> None:
    with visit(strict=False) as visitor:
        visitor.context.add_init_script(
            "Object.defineProperty(window, 'localStorage',"
            " { get() { throw new DOMException('no', 'SecurityError') } })"
        )
        visitor.share()
        assert not visitor.page.is_visible("#remember")
        assert visitor.said == []
