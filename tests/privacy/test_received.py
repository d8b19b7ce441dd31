"""Whole ways of end-to-end secrets, from a real browser and the real command, with everything that the server is sent: nothing
of it, and nothing that the server keeps, has a key, a passphrase or a text, in whatever form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from onetime.client import Client
from onetime.crypto import envelope
from tests import needs
from tests.browser.chromium import chromium
from tests.browser.place import Place, installed
from tests.browser.sealing import seal
from tests.browser.visitor import Visitor, visiting
from tests.cli.person import Person
from tests.cli.running import until
from tests.client.cutting import Line, Tap, cutting, tapping
from tests.privacy import canary
from tests.privacy.journeys import GUESS, PASSPHRASE, SECRET
from tests.privacy.received import (
    Known,
    kept_out_of_place,
    out_of_turn,
    requests_of,
    sent_out_of_place,
    unsent,
)

# Whole journeys, every byte searched: for `make faults`.
pytestmark = pytest.mark.full

TEXT, WORD, WRONG = SECRET.value, PASSPHRASE.value, GUESS.value


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(needs.chromium()) as browser:
        yield browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    needs.chromium()
    with installed(tmp_path_factory.mktemp("received"), {"ONETIME_LIMITS": "off"}) as place:
        yield place


@pytest.fixture(scope="module")
def tap(place: Place) -> Iterator[Tap]:
    with tapping(place.server.address) as tap:
        yield tap


@pytest.fixture(scope="module")
def line(tap: Tap) -> Iterator[Line]:
    """Before the tap, and before nothing else, so that it may be cut."""
    with cutting(tap.address) as line:
        yield line


@pytest.fixture(scope="module")
def window(browser: Browser, place: Place, tap: Tap) -> Iterator[Visitor]:
    with visiting(browser, replace(place, url=tap.address), strict=False) as window:
        yield window


@dataclass
class Trip:
    """Somebody's way through the service."""

    window: Visitor
    shell: Person
    tap: Tap
    line: Line
    known: Known = field(default_factory=Known)

    def __post_init__(self) -> None:
        self.known.text("text", TEXT, SECRET.core)
        self.known.text("passphrase", WORD, PASSPHRASE.core)
        self.known.text("wrong passphrase", WRONG, GUESS.core)

    @contextmanager
    def visit(self, address: str = "") -> Iterator[Visitor]:
        """A tab, of the sender or the reader."""
        tab = copy(self.window)
        tab.place = replace(tab.place, url=address or tab.place.url)
        tab.page = tab.context.new_page()
        yield tab
        tab.page.close()

    def share(self, visitor: Visitor, passphrase: str = "") -> str:
        """By the form; the link."""
        return self.note(visitor, visitor.share(TEXT, passphrase), passphrase)

    def note(self, visitor: Visitor, link: str, passphrase: str = "") -> str:
        """What the page of a result shows."""
        self.known.receipt(receipt_of(visitor))
        return self.known.link(link, passphrase)


@pytest.fixture
def trip(window: Visitor, tap: Tap, line: Line, tmp_path: Path) -> Trip:
    tap.forget()
    return Trip(window, Person(tap.address, tmp_path), tap, line)


def receipt_of(visitor: Visitor) -> str:
    address: str = visitor.page.evaluate("document.getElementById('receipt').href")
    return address


def press(visitor: Visitor, passphrase: str = "") -> None:
    if passphrase:
        visitor.page.fill("#passphrase", passphrase)
    visitor.send("#show")


def read(page: Page, text: str = TEXT) -> None:
    """It is shown, and then settled."""
    page.wait_for_selector("pre#secret")
    assert page.locator("pre#secret").text_content() == text
    until(lambda: page.evaluate("location.hash") == "")


# Ways, and what of the things that may be sent is not


def page_to_page(trip: Trip) -> None:
    with trip.visit() as alice, trip.visit() as bob:
        bob.open_link(trip.share(alice))
        press(bob)
        read(bob.page)


def page_to_page_with_a_passphrase(trip: Trip) -> None:
    """The wrong one first."""
    with trip.visit() as alice, trip.visit() as bob:
        link = trip.share(alice, WORD)
        bob.open_link(link)
        press(bob, WRONG)
        trip.known.wrong_passphrase(link, WRONG)
        bob.page.wait_for_selector("#passphrase-wrong:has-text('9 attempts left')")
        press(bob, WORD)
        read(bob.page)


def generated(trip: Trip) -> None:
    with trip.visit() as alice, trip.visit() as bob:
        alice.open()
        alice.page.click("label[for=kind-generate]")
        alice.send()
        link = trip.note(alice, alice.page.input_value("#link"))
        value = trip.known.text("generated", alice.page.inner_text("#value"))
        bob.open_link(link)
        press(bob)
        read(bob.page, value)


def page_to_command(trip: Trip) -> None:
    with trip.visit() as alice:
        link = trip.share(alice, WORD)
    said = trip.shell.run("reveal", link, passphrase=WORD)
    assert (said.code, said.out.decode()) == (0, TEXT)


def command_to_page(trip: Trip) -> None:
    link, receipt = trip.shell.share_both(TEXT.encode(), passphrase=WORD)
    trip.known.link(link, WORD)
    trip.known.receipt(receipt)
    with trip.visit() as bob:
        bob.open_link(link)
        press(bob, WORD)
        read(bob.page)
    assert trip.shell.state(receipt) == "opened, and it has arrived"


def receipt(trip: Trip) -> None:
    """Looked at, in the browser and by the command, and used to destroy."""
    with trip.visit() as alice:
        trip.share(alice)
        address = receipt_of(alice)
    assert trip.shell.state(address) == "new: nobody has opened it"
    with trip.visit() as alice:
        alice.open_link(address)
        alice.arrive("Not opened yet")
        alice.page.click("summary:text('Destroy the secret')")
        alice.send("#destroy")
        alice.arrive("Destroyed unread")


def burned_by_link(trip: Trip) -> None:
    with trip.visit() as alice:
        link = trip.share(alice, WORD)
    with trip.visit() as bob:
        bob.open_link(link)
        bob.page.click("#destroying summary")
        bob.page.fill("#burn-passphrase", WRONG)
        bob.send("#destroy")
        trip.known.wrong_passphrase(link, WRONG)
        bob.page.wait_for_selector("#burn-passphrase-wrong:has-text('9 attempts left')")
        bob.page.fill("#burn-passphrase", WORD)
        bob.send("#destroy")
        bob.arrive("The secret is destroyed")
        bob.page.goto("about:blank")
        bob.open_link(link)
        bob.arrive("There is no secret here")


def cut_and_tried_again(trip: Trip) -> None:
    line = trip.line
    with trip.visit(line.address) as alice:
        alice.open()
        alice.write(TEXT)
        with line.broken("e2e/create", "lost"):
            alice.send()
            alice.page.wait_for_selector("#summary:visible")
        alice.send()
        link = trip.note(alice, alice.page.input_value("#link"))
    with trip.visit(line.address) as bob:
        with line.broken("e2e/look", "body"):
            bob.open_link(link)
            bob.page.wait_for_selector("#trouble-wrong:not([hidden])")
        bob.page.click("#again")
        bob.page.wait_for_selector("#show")
        with line.broken("e2e/reveal", "lost"):
            press(bob)
            bob.page.wait_for_selector("#show-wrong:not([hidden])")
        with line.broken("e2e/settle", "head"):
            bob.page.reload()
            bob.page.wait_for_selector("text=The server does not know yet")
        bob.page.evaluate("dispatchEvent(new Event('online'))")
        read(bob.page)


def another_language(trip: Trip) -> None:
    """At each page, also where a claim was made and the answer lost."""
    with trip.visit() as alice:
        alice.open()
        alice.page.click("header a[hreflang=uk]")
        alice.page.wait_for_url("**/?lang=uk")
        alice.write(TEXT)
        alice.send()
        link = trip.note(alice, alice.page.input_value("#link"))
        alice.open_link(receipt_of(alice))
        alice.page.click("header a[hreflang=en]")
        alice.arrive("Not opened yet")
    line = trip.line
    with trip.visit() as bob:
        bob.open_link(link.replace(trip.tap.address, line.address))
        bob.page.click("header a[hreflang=uk]")
        bob.arrive("Вам надіслали секрет")
        with line.broken("e2e/reveal", "lost"):
            press(bob)
            bob.page.wait_for_selector("#show-wrong:not([hidden])")
        bob.page.click("header a[hreflang=en]")
        read(bob.page)


def remembered(trip: Trip) -> None:
    with trip.visit() as alice:
        trip.share(alice)
        alice.page.check("#remember")
        alice.open()
        with alice.context.expect_page() as opened:
            alice.page.click("#receipts a")
        opened.value.get_by_role("heading", name="Not opened yet").wait_for()
        opened.value.close()
        alice.page.reload()
        alice.page.click("#forget")
        alice.page.wait_for_selector("#forgotten:has-text('Forgotten')")


# Each way, and the questions that it takes.
WAYS: dict[Callable[[Trip], None], set[str]] = {
    page_to_page: {"create", "look", "reveal", "settle"},
    page_to_page_with_a_passphrase: {"create", "look", "reveal", "settle"},
    generated: {"create", "look", "reveal", "settle"},
    page_to_command: {"create", "look", "reveal", "settle"},
    command_to_page: {"terms", "create", "look", "reveal", "settle", "receipt"},
    receipt: {"create", "receipt", "receipt/burn"},
    burned_by_link: {"create", "look", "burn"},
    cut_and_tried_again: {"create", "look", "reveal", "settle"},
    another_language: {"create", "receipt", "look", "reveal", "settle"},
    remembered: {"create", "receipt"},
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_key_no_passphrase_and_no_text_is_sent_or_kept(
    way: Callable[[Trip], None], trip: Trip
) -> None:
    way(trip)
    requests = requests_of(trip.tap)
    files = canary.read(trip.window.place.server.folder)
    trip.known.claims(requests)

    asked = {each.path.partition("/api/e2e/")[2] for each in requests} - {""}
    assert asked == WAYS[way]
    assert sent_out_of_place(trip.tap, trip.known) == []
    assert out_of_turn(requests, trip.known) == []
    # The search is one for what is there: what these questions say was found where it belongs.
    expected = {"secret id", "open hash", "receipt hash"}
    if "look" in asked:
        expected.add("link proof")
    if {"reveal", "burn"} & asked:
        expected.add("open proof")
    if "reveal" in asked:
        expected.add("claim")
    if "receipt" in asked:
        expected.add("receipt proof")
    assert trip.known.sent.keys() - unsent(trip.tap, trip.known) >= expected

    assert {"data/vault.db", "data/vault.db-wal", "serve.out", "serve.err"} <= files.keys()
    assert kept_out_of_place(files, trip.known) == []
    stored = files["data/vault.db"] + files["data/vault.db-wal"]
    assert trip.known.sent["secret id"] in stored


# Twins that leak: the same search finds each

HEX = "Array.from({}, (byte) => byte.toString(16).padStart(2, '0')).join('')"
DIGEST = "new Uint8Array(await crypto.subtle.digest('SHA-256', {}))"
ENCODED = "new TextEncoder().encode({})"


def told(headers: str = "", body: str = "") -> str:
    said = f"method: 'POST', body: {body}" if body else f"headers: {{ {headers} }}"
    return f'fetch("/health/live", {{ {said} }})'


@dataclass(frozen=True)
class Leak:
    """Code that somebody might put behind a line of a script, and what is then found."""

    script: str
    behind: str
    code: str
    found: str


PREPARED = "  const id = await secretId(keys.linkProof);\n"
OPENING = "  const handed = await api.reveal({ linkProof: link.proof, openProof, claim: ours });\n"
OPENED = "  const content = await opened(link, passphrase, contentKey, handed);\n"

LEAKS = {
    "the key in an address": Leak(
        "part/reveal.js",
        OPENING,
        'fetch("/health/live?" + location.hash.slice(1))',
        "received *: link key, spelled, raw",
    ),
    "the key in a header": Leak(
        "part/reveal.js",
        OPENING,
        told(f"'X-Trace': {HEX.format('link.key')}"),
        "received *: link key, hex",
    ),
    "the key in JSON": Leak(
        "part/reveal.js",
        OPENING,
        told(body="JSON.stringify({ key: link.key })"),
        "received *: link key, numbers, by index",
    ),
    "the content key in a body": Leak(
        "part/reveal.js", OPENING, told(body="contentKey"), "received *: content key, raw"
    ),
    "the passphrase hashed": Leak(
        "part/reveal.js",
        OPENING,
        told(body=DIGEST.format(ENCODED.format("passphrase"))),
        "received *: passphrase, sha256, bytes",
    ),
    "the text that was opened": Leak(
        "part/reveal.js",
        OPENED,
        told("'X-Text': btoa(String.fromCharCode(...content.content))"),
        "received *: text, base64 at 0",
    ),
    "the text that is shared": Leak(
        "part/prepare.js",
        PREPARED,
        told("'X-Text': encodeURIComponent(text)"),
        "received *: text, url, script",
    ),
    "the receipt key": Leak(
        "part/prepare.js",
        PREPARED,
        told(f"'X-Trace': {HEX.format('receiptKey')}.toUpperCase()"),
        "received *: receipt key, HEX",
    ),
    "a proof in an address": Leak(
        "part/reveal.js",
        OPENING,
        f'fetch("/health/live?proof=" + {HEX.format("link.proof")})',
        "GET *: link proof, hex",
    ),
    "a proof as a referrer": Leak(
        "part/reveal.js",
        OPENING,
        f"""fetch("/health/live", {{
            referrer: "/secret?" + {HEX.format("openProof")}, referrerPolicy: "unsafe-url",
        }})""",
        "GET *: open proof, hex",
    ),
}


def put_in(context: BrowserContext) -> None:
    """Every leak into the scripts that it is for."""

    def change(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        for leak in LEAKS.values():
            if route.request.url.endswith(leak.script):
                assert text.count(leak.behind) == 1, leak
                text = text.replace(leak.behind, f"{leak.behind}{leak.code};\n")
        route.fulfill(response=answer, body=text)

    for script in {leak.script for leak in LEAKS.values()}:
        context.route(f"**/js/{script}", change)


@pytest.fixture(scope="module")
def leaked(
    browser: Browser, place: Place, tap: Tap, line: Line, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """What is found of one way with all of them."""
    tap.forget()
    shell = Person(tap.address, tmp_path_factory.mktemp("shell"))
    with visiting(browser, replace(place, url=tap.address), strict=False) as window:
        put_in(window.context)
        trip = Trip(window, shell, tap, line)
        with trip.visit() as alice, trip.visit() as bob:
            bob.open_link(trip.share(alice, WORD))
            press(bob, WORD)
            read(bob.page)
            until(lambda: sum(each.count(b"/health/live") for each in tap.received) == len(LEAKS))
    trip.known.claims(requests_of(tap))
    return sent_out_of_place(tap, trip.known)


@pytest.mark.parametrize("name", LEAKS)
def test_a_page_that_leaks_is_caught(name: str, leaked: list[str]) -> None:
    assert any(fnmatch(each, LEAKS[name].found) for each in leaked), leaked


def test_what_an_address_and_a_question_say_is_looked_at(trip: Trip) -> None:
    """What is no known value is found by being none."""
    made = seal(trip.window.place)
    trip.known.link(made.link)
    assert made.ask("look").status == 200
    with Client(trip.tap.address) as client:
        client.look(f"{trip.tap.address}{made.link}")
    (look,) = requests_of(trip.tap)
    stranger = look.body.replace(b'{"', b'{"more":"bWVocg","')
    asked = [look, replace(look, path="/secret?key=1"), replace(look, body=stranger)]
    assert out_of_turn(asked, trip.known) == ["POST /secret?key=1", "/api/e2e/look: more"]


def test_a_client_that_leaks_is_caught(trip: Trip) -> None:
    made = seal(trip.window.place)
    trip.known.link(made.link)

    class Leaking(httpx2.HTTPTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            request.headers["X-Trace"] = made.link_key.hex()
            return super().handle_request(request)

    with Client(trip.tap.address, transport=Leaking()) as client:
        client.look(f"{trip.tap.address}{made.link}")
    found = sent_out_of_place(trip.tap, trip.known)
    assert any(fnmatch(each, "received *: link key, hex") for each in found), found


@pytest.mark.parametrize(
    ("file", "leak", "expected"),
    [
        ("serve.err", lambda sent: sent["secret id"].hex().encode(), "serve.err: secret id, hex"),
        ("data/vault.db-wal", lambda sent: sent["claim"], "data/vault.db-wal: claim, raw"),
        ("data/vault.db", lambda sent: sent["open proof"], "data/vault.db: open proof, raw"),
    ],
)
def test_a_server_that_keeps_more_is_caught(
    file: str, leak: Callable[[dict[str, bytes]], bytes], expected: str
) -> None:
    known = Known()
    known.link(f"https://secrets.example/secret#{envelope.format_link_key(bytes(32))}")
    known.claim(bytes(range(16)))
    assert kept_out_of_place({file: b"x" + leak(known.sent) + b"y"}, known) == [expected]
    assert kept_out_of_place({"data/vault.db": known.sent["secret id"]}, known) == []
