"""A link to what its sender has encrypted: every state that its reader can meet, and that none of them loses or tells anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, Request, Route

from onetime.crypto import envelope
from onetime.crypto.envelope import File
from tests.browser.chromium import HOST
from tests.browser.conftest import Visit
from tests.browser.place import OPERATOR, Place, installed
from tests.browser.proxy import free_port
from tests.browser.sealing import Sealed, seal
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor, visiting
from tests.cli.running import until
from tests.web.pages.test_exact import LINE_ENDS, NASTY

GONE = "There is no secret here"
READY = "Someone sent you a secret"
SHOWN = "Here is your secret"
OTHER_TAB = "Opened on this device a moment ago, in another tab."
BROKEN_OFF = "The connection broke off. Nothing is lost: try again."

# What is said of a request that was refused or cut, and what is meant by it.
EXPECTED = re.compile(r"/api/e2e/|net::ERR_")


@pytest.fixture
def bob(visit: Visit) -> Iterator[Visitor]:
    """Who has been sent a link; in the end nothing has happened that no page may do."""
    with visit(strict=False) as bob:
        yield bob
        assert [fault for fault in bob.faults() if not EXPECTED.search(fault)] == []
        assert_unsaid(bob.requests)


def assert_unsaid(requests: list[Request]) -> None:
    """Nothing of a key, a passphrase or a text is in any request."""
    for request in requests:
        assert "#" not in request.headers.get("referer", "")
        sent = f"{urlsplit(request.url)._replace(fragment='').geturl()} {request.headers} {request.post_data}"
        for told in (SECRET, PASSPHRASE, *KEYS):
            assert told not in sent, urlsplit(request.url).path


KEYS: list[str] = []


def sealed(place: Place, content: str | bytes = SECRET, **more: object) -> Sealed:
    made = seal(place, content, **more)  # type: ignore[arg-type]  # handed on as they are
    KEYS.append(made.fragment)
    return made


def follow(visitor: Visitor, fragment: str) -> None:
    visitor.page.goto(f"{visitor.place.url}secret{visitor.query}#{fragment}")
    heading(visitor.page)


def heading(page: Page) -> str:
    page.wait_for_selector("h1")
    return page.inner_text("h1")


def arrive(page: Page, words: str) -> None:
    """The page that says so."""
    page.wait_for_selector(f"h1:text-is('{words}')")


def press(visitor: Visitor, passphrase: str = "") -> None:
    if passphrase:
        visitor.page.fill("#passphrase", passphrase)
    visitor.page.click("#show button:not([type])")


def shown(page: Page) -> str | None:
    arrive(page, SHOWN)
    return page.locator("#secret").text_content()


def settled(page: Page) -> None:
    until(lambda: page.evaluate("location.hash") == "")


def posts(visitor: Visitor, name: str) -> list[Request]:
    return [each for each in visitor.requests if each.url.endswith(f"/api/e2e/{name}")]


def claims(visitor: Visitor) -> list[str]:
    return [json.loads(each.post_data or "")["claim"] for each in posts(visitor, "reveal")]


def said(page: Page, control: str) -> str:
    page.wait_for_selector(f"#{control}-wrong:not([hidden])")
    return page.inner_text(f"#{control}-wrong")


@contextmanager
def broken(page: Page, name: str, *, answered: bool = False) -> Iterator[None]:
    """The connection breaks off at each such request; `answered`: when the server has done it, and the answer is lost."""

    def cut(route: Route) -> None:
        if answered:
            assert route.fetch().ok
        route.abort("connectionreset")

    page.route(f"**/api/e2e/{name}", cut)
    yield
    page.unroute(f"**/api/e2e/{name}")


def refused(page: Page, name: str, status: int, code: str, **more: int) -> None:
    """The server says no, the next time."""
    error = {"code": code, "message": "No", **more}
    page.route(
        f"**/api/e2e/{name}",
        lambda route: route.fulfill(status=status, json={"error": error}),
        times=1,
    )


# Before the button


def test_before_the_button_the_recipient_reads_what_this_is(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    arrive(bob.page, READY)
    text = bob.page.inner_text("main")
    for words in ("It can be opened once.", OPERATOR, "days left", "This server\ncannot read it"):
        assert words in text, words
    assert bob.page.title() == "Someone sent you a secret · Onetime"
    assert bob.page.locator(".button.first:visible").count() == 1
    assert [each.url.rpartition("/")[2] for each in bob.requests if each.method == "POST"] == [
        "look"
    ]
    assert made.status()["state"] == "new"


def test_looking_and_reloading_open_nothing(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    bob.page.reload()
    arrive(bob.page, READY)
    bob.page.emulate_media(color_scheme="dark")
    assert bob.page.url.endswith(f"secret#{made.fragment}")
    assert bob.page.evaluate("history.state") is None
    assert made.status()["state"] == "new"


def test_the_page_is_the_same_for_every_secret(bob: Visitor, place: Place) -> None:
    pages = set()
    for made in (sealed(place), sealed(place, passphrase=PASSPHRASE)):
        follow(bob, made.fragment)
        pages.add(bob.document().body())
    assert len(pages) == 1


# It opens, once


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "passphrase"])
def test_it_opens_once(bob: Visitor, visit: Visit, place: Place, passphrase: str) -> None:
    made = sealed(place, passphrase=passphrase)
    follow(bob, made.fragment)
    press(bob, passphrase)
    assert shown(bob.page) == SECRET
    assert bob.focused == "done"
    settled(bob.page)
    assert bob.page.url == f"{place.url}secret"
    assert bob.page.evaluate("history.state") == {"gone": True}
    bob.page.wait_for_selector("text=The secret is deleted from the server")
    assert made.status()["acknowledged"] is True
    assert not bob.page.is_visible("header nav")
    with visit(strict=False) as second:
        follow(second, made.fragment)
        arrive(second.page, GONE)
        settled(second.page)


def test_it_says_that_it_is_opening_and_stays_responsive(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    follow(bob, made.fragment)
    bob.page.evaluate(
        """() => {
            globalThis.said = [];
            globalThis.longest = 0;
            const status = document.getElementById("opening");
            new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
            let last = performance.now();
            const beat = () => {
                const now = performance.now();
                longest = Math.max(longest, now - last);
                last = now;
                setTimeout(beat, 5);
            };
            beat();
        }"""
    )
    press(bob, PASSPHRASE)
    assert shown(bob.page) == SECRET
    assert bob.page.evaluate("said")[0] == "Opening…"
    # 600,000 rounds take ten times as long, on a worker of the browser's own.
    assert bob.page.evaluate("longest") < 150


def test_two_presses_are_one(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place).fragment)
    bob.page.dblclick("#show button.first")
    assert shown(bob.page) == SECRET
    settled(bob.page)
    assert len(posts(bob, "reveal")) == 1


def test_what_was_sealed_is_what_is_shown_saved_and_copied(
    bob: Visitor, place: Place, tmp_path: Path
) -> None:
    bob.page.add_init_script("navigator.clipboard.writeText = async (text) => { copied = text }")
    for case, text in (NASTY | LINE_ENDS).items():
        follow(bob, sealed(place, text).fragment)
        bob.page.wait_for_selector("#show")
        press(bob)
        assert shown(bob.page) == text, case
        with bob.page.expect_download() as download:
            bob.page.click("#save")
        download.value.save_as(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes().decode() == text, case
        assert download.value.suggested_filename == "secret.txt"
        bob.page.click("[data-copies=secret]")
        assert bob.page.evaluate("copied") == text, case


def test_what_is_in_it_cannot_do_anything(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place, "<img src=x onerror='hit=1'><script>hit=1</script>").fragment)
    press(bob)
    shown(bob.page)
    assert bob.page.evaluate("document.querySelectorAll('#secret *').length") == 0
    assert bob.page.evaluate("typeof hit") == "undefined"
    kind = bob.page.evaluate(
        "fetch(document.getElementById('save').href).then((it) => it.headers.get('content-type'))"
        ".catch(() => '')"
    )
    # The policy lets no script fetch it; where one could, it would still be bytes and no page.
    assert kind in {"", "application/octet-stream"}
    bob.said.clear()


def test_what_cannot_be_seen_is_counted(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place, "a\u202eb\u200bc\0\n").fragment)
    press(bob)
    shown(bob.page)
    text = bob.page.inner_text("main")
    assert "It holds 3 characters that cannot be seen here." in text
    assert "7 characters, 1 line" in text


# Passphrases


def test_a_wrong_passphrase_says_how_many_are_left_and_costs_nothing_more(
    bob: Visitor, place: Place
) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    follow(bob, made.fragment)
    arrive(bob.page, "This secret has a passphrase")
    press(bob, "guess")
    assert said(bob.page, "passphrase") == "That is not the passphrase. 9 attempts left."
    assert bob.focused == "passphrase-wrong"
    assert bob.page.title() == "Error: wrong passphrase · Onetime"
    assert bob.page.get_attribute("#passphrase", "aria-invalid") == "true"
    press(bob, PASSPHRASE)
    assert shown(bob.page) == SECRET
    assert made.status()["wrong_tries"] == 1
    assert len(set(claims(bob))) == 1


def test_the_last_attempt_locks_and_the_wait_is_counted_down(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    for _ in range(8):
        assert made.guess().status == 403
    bob.page.clock.install()
    follow(bob, made.fragment)
    press(bob, "guess")
    assert "1 attempt left" in said(bob.page, "passphrase")
    press(bob, "guess")
    bob.page.wait_for_selector("#passphrase-wrong:has-text('Too many tries.')")
    assert "The secret is still here." in said(bob.page, "passphrase")
    assert re.search(r"Try again in (1 minute|5\d seconds)\.", said(bob.page, "passphrase"))
    assert bob.page.title().startswith("Error: too many tries")
    asked = len(posts(bob, "reveal"))
    press(bob, PASSPHRASE)  # It rests: nothing is asked.
    assert len(posts(bob, "reveal")) == asked
    bob.page.clock.run_for(30_000)
    assert re.search(r"in (29|30|31) seconds", said(bob.page, "passphrase"))
    bob.page.clock.run_for(31_000)
    assert bob.page.is_hidden("#passphrase-wrong")
    place.wait(61)
    press(bob, PASSPHRASE)
    assert shown(bob.page) == SECRET


def test_a_lock_is_said_as_the_page_comes(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    for _ in range(10):
        made.guess()
    follow(bob, made.fragment)
    assert said(bob.page, "passphrase").startswith("Too many tries. Try again in")
    assert bob.page.title() == "This secret has a passphrase · Onetime"


def test_one_that_stays_closed_says_so(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    follow(bob, made.fragment)
    for _ in range(200):  # Each of the 100 wrong ones, and the locks between them.
        answer = made.guess()
        place.wait(int(answer.headers.get("retry-after", "0")))
    assert answer.json()["error"]["code"] == "closed"
    press(bob, PASSPHRASE)
    arrive(bob.page, "This secret stays closed")
    bob.page.reload()
    arrive(bob.page, "This secret stays closed")
    assert made.status()["closed"] is True


def test_a_passphrase_that_is_no_text_is_a_wrong_one(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place, passphrase=PASSPHRASE).fragment)
    press(bob, "x" * 600)
    assert said(bob.page, "passphrase") == "That is not the passphrase."
    assert posts(bob, "reveal") == []


# The connection breaks off


def test_lost_before_the_server_had_it(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    with broken(bob.page, "reveal"):
        press(bob)
        assert said(bob.page, "show") == BROKEN_OFF
    assert bob.focused == "show-wrong"
    assert bob.page.evaluate("history.state.claim.length") == 22
    assert made.status()["state"] == "new"
    press(bob)
    assert shown(bob.page) == SECRET
    assert len(set(claims(bob))) == 1


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "passphrase"])
def test_lost_on_its_way_back(bob: Visitor, place: Place, passphrase: str) -> None:
    made = sealed(place, passphrase=passphrase)
    control = "passphrase" if passphrase else "show"
    follow(bob, made.fragment)
    with broken(bob.page, "reveal", answered=True):
        press(bob, passphrase)
        assert said(bob.page, control) == BROKEN_OFF
    assert made.status()["state"] == "claimed"
    press(bob, passphrase)
    assert shown(bob.page) == SECRET
    assert len(set(claims(bob))) == 1
    settled(bob.page)
    assert made.status()["acknowledged"] is True


def test_the_network_gone_and_back(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place).fragment)
    bob.context.set_offline(True)
    press(bob)
    assert said(bob.page, "show") == BROKEN_OFF
    bob.context.set_offline(False)
    press(bob)
    assert shown(bob.page) == SECRET


def test_no_answer_as_the_page_comes(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    with broken(bob.page, "look"):
        follow(bob, made.fragment)
        assert said(bob.page, "trouble") == BROKEN_OFF
    bob.page.click("#again")
    bob.page.wait_for_selector("#show")
    press(bob)
    assert shown(bob.page) == SECRET


def test_the_server_is_told_later_when_it_could_not_be_told_at_once(
    bob: Visitor, place: Place
) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    with broken(bob.page, "settle"):
        press(bob)
        assert shown(bob.page) == SECRET
        bob.page.wait_for_selector("text=The server does not know yet that it has arrived")
        assert bob.page.url.endswith(made.fragment)
        assert made.status()["state"] == "claimed"
    settled(bob.page)
    assert made.status()["acknowledged"] is True
    assert bob.page.locator("#secret").text_content() == SECRET
    assert "does not know yet" not in bob.page.inner_text("main")


# Reload, discard, another language: the claim is this tab's


def leave_unsettled(visitor: Visitor, made: Sealed, passphrase: str = "") -> None:
    """The server has handed it out, and the answer was lost."""
    follow(visitor, made.fragment)
    with broken(visitor.page, "reveal", answered=True):
        press(visitor, passphrase)
        said(visitor.page, "passphrase" if passphrase else "show")


def test_a_reload_after_the_claim_shows_it(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    leave_unsettled(bob, made)
    bob.page.reload()
    assert shown(bob.page) == SECRET
    settled(bob.page)
    assert made.status()["acknowledged"] is True


def test_a_reload_of_what_is_shown_and_not_settled_shows_it_again(
    bob: Visitor, place: Place
) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    with broken(bob.page, "settle"):
        press(bob)
        shown(bob.page)
        bob.page.click("#save")
        bob.page.wait_for_selector("text=The server does not know yet")
    with broken(bob.page, "settle"):
        bob.page.reload()
        assert shown(bob.page) == SECRET


def test_a_reload_of_what_is_settled_says_that_it_is_gone(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place).fragment)
    press(bob)
    shown(bob.page)
    settled(bob.page)
    bob.page.click("#save")
    bob.page.reload()
    arrive(bob.page, GONE)


def test_after_a_reload_the_passphrase_is_asked_for_again(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    leave_unsettled(bob, made, PASSPHRASE)
    bob.page.reload()
    assert said(bob.page, "passphrase").startswith("Enter the passphrase once more")
    assert bob.page.is_hidden("#destroying")
    press(bob, "guess")
    until(lambda: said(bob.page, "passphrase") == "That is not the passphrase.")
    press(bob, PASSPHRASE)
    assert shown(bob.page) == SECRET
    assert made.status()["wrong_tries"] == 0


def test_a_page_from_the_browsers_memory_is_loaded_anew(bob: Visitor, place: Place) -> None:
    """What it had was wiped when it went."""
    made = sealed(place)
    leave_unsettled(bob, made)
    bob.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert shown(bob.page) == SECRET


def test_a_tab_that_was_discarded_comes_back_with_it(bob: Visitor, place: Place) -> None:
    """As a browser does it: another document, made from the address and the state that the entry of the history has."""
    made = sealed(place)
    leave_unsettled(bob, made)
    bob.open("info/about")
    bob.page.go_back()
    assert shown(bob.page) == SECRET


def test_another_tab_does_not_have_the_claim(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    leave_unsettled(bob, made)
    page = bob.context.new_page()
    page.goto(bob.page.url)
    arrive(page, OTHER_TAB)
    assert page.url.endswith(made.fragment)


def test_another_language_before_the_claim_keeps_the_link(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    bob.page.hover("header a[hreflang=uk]")
    assert (bob.page.get_attribute("header a[hreflang=uk]", "href") or "").endswith(made.fragment)
    bob.page.click("header a[hreflang=uk]")
    arrive(bob.page, "Вам надіслали секрет")
    assert bob.page.url == f"{place.url}secret?lang=uk#{made.fragment}"
    press(bob)
    arrive(bob.page, "Ось ваш секрет")
    settled(bob.page)
    assert bob.page.url == f"{place.url}secret?lang=uk"


def test_another_language_after_the_claim_keeps_the_claim(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    leave_unsettled(bob, made)
    bob.page.click("header a[hreflang=uk]")
    arrive(bob.page, "Ось ваш секрет")
    assert bob.page.locator("#secret").text_content() == SECRET
    assert len(set(claims(bob))) == 1


def test_after_the_window_it_is_explained(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    with broken(bob.page, "settle"):
        press(bob)
        shown(bob.page)
        bob.page.click("#save")
        # A window that the service has slept through is given once more: it could not have been used.
        place.wait(601)
        assert made.ask("look").status == 200
        place.wait(601)
        bob.page.reload()
        arrive(bob.page, "You have opened it already")
    assert "For 10 minutes after that this tab could show it again" in bob.page.inner_text("main")
    settled(bob.page)
    assert made.status()["acknowledged"] is False


# Somebody else


def test_a_second_tab_learns_where_it_is_shown(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    page = bob.context.new_page()
    page.goto(f"{place.url}secret#{made.fragment}")
    arrive(page, READY)
    follow(bob, made.fragment)
    press(bob)
    shown(bob.page)
    settled(bob.page)
    page.click("#show button.first")
    arrive(page, OTHER_TAB)
    assert "#" not in page.url
    late = bob.context.new_page()
    late.goto(f"{place.url}secret#{made.fragment}")
    arrive(late, OTHER_TAB)


def test_opened_by_somebody_else_before(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    assert made.reveal().status == 200
    follow(bob, made.fragment)
    arrive(bob.page, "Somebody has just opened it")
    assert made.settle().status == 200
    bob.page.reload()
    arrive(bob.page, GONE)
    settled(bob.page)


def test_opened_by_somebody_else_meanwhile(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    assert made.reveal().status == 200
    press(bob)
    arrive(bob.page, "Somebody has just opened it")


def test_never_was_opened_destroyed_and_expired_are_one_page(bob: Visitor, place: Place) -> None:
    opened, destroyed, expired = (sealed(place, ttl=3600) for _ in range(3))
    opened.reveal()
    opened.settle()
    assert destroyed.burn().status == 200
    place.wait(3600)
    never = envelope.format_link_key(envelope.new_link_key())
    pages = set()
    for fragment in (opened.fragment, destroyed.fragment, expired.fragment, never):
        follow(bob, fragment)
        arrive(bob.page, GONE)
        settled(bob.page)
        pages.add(bob.page.inner_html("main"))
    assert len(pages) == 1


# Destroying it unread


def test_its_reader_destroys_it_unread(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    bob.page.click("summary:text('Destroy it unread')")
    bob.page.click("#destroy button:not([type])")
    arrive(bob.page, "The secret is destroyed")
    settled(bob.page)
    assert made.status()["state"] == "burned"


def test_destroying_needs_the_passphrase(bob: Visitor, place: Place) -> None:
    made = sealed(place, passphrase=PASSPHRASE)
    follow(bob, made.fragment)
    bob.page.click("summary:text('Destroy it unread')")
    bob.page.fill("#burn-passphrase", "guess")
    bob.page.click("#destroy button:not([type])")
    assert said(bob.page, "burn-passphrase") == "That is not the passphrase. 9 attempts left."
    assert made.status()["state"] == "new"
    bob.page.fill("#burn-passphrase", PASSPHRASE)
    bob.page.click("#destroy button:not([type])")
    arrive(bob.page, "The secret is destroyed")
    assert made.status()["state"] == "burned"


def test_destroying_when_it_is_gone_or_given_out(bob: Visitor, place: Place) -> None:
    for act, words in ((Sealed.burn, GONE), (Sealed.reveal, "Somebody has just opened it")):
        made = sealed(place)
        follow(bob, made.fragment)
        bob.page.click("summary:text('Destroy it unread')")
        act(made)
        bob.page.click("#destroy button:not([type])")
        arrive(bob.page, words)


# What does not open


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "passphrase"])
def test_what_does_not_open_is_explained_and_not_settled(
    bob: Visitor, place: Place, passphrase: str
) -> None:
    made = sealed(place, passphrase=passphrase, damaged=True)
    follow(bob, made.fragment)
    press(bob, passphrase)
    arrive(bob.page, "The secret cannot be read")
    assert "Until" in bob.page.inner_text("main")
    assert made.status()["state"] == "claimed"
    assert posts(bob, "settle") == []
    assert bob.page.evaluate("history.state.claim.length") == 22
    if passphrase:
        bob.page.click("#again")
        assert said(bob.page, "passphrase").startswith("Enter the passphrase once more")
    else:
        with bob.page.expect_request("**/api/e2e/reveal"):
            bob.page.click("#again")
        arrive(bob.page, "The secret cannot be read")
    assert len(set(claims(bob))) == 1


def test_a_text_that_is_none_is_not_shown(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place, b"\xff\xfe broken").fragment)
    press(bob)
    arrive(bob.page, "The secret cannot be read")


# Files


def test_files_are_saved_one_by_one_and_settled_when_they_are(
    bob: Visitor, place: Place, tmp_path: Path
) -> None:
    files = (
        File(name="report: <1>.html", type="text/html", size=5),
        File(name="..con.txt", type="text/plain", size=3),
        File(name="nothing", type="image/svg+xml", size=0),
        File(name="invoice.pdf \u00a0\u2800\u3164 .exe", type="application/pdf", size=0),
        File(name="COM\u00b9.txt", type="text/plain", size=0),
    )
    made = sealed(place, b"<b>hiabc", files=files)
    follow(bob, made.fragment)
    press(bob)
    arrive(bob.page, SHOWN)
    assert bob.page.locator(".files .name").all_inner_texts() == [each.name for each in files]
    saved = []
    for link in bob.page.locator(".files a").all():
        assert made.status()["state"] == "claimed"
        with bob.page.expect_download() as download:
            link.click()
        download.value.save_as(tmp_path / "saved")
        saved.append((download.value.suggested_filename, (tmp_path / "saved").read_bytes()))
    assert saved == [
        ("report_ _1_.html", b"<b>hi"),
        ("_con.txt", b"abc"),
        ("nothing", b""),
        ("invoice.pdf .exe", b""),
        ("_COM\u00b9.txt", b""),
    ]
    settled(bob.page)
    assert made.status()["acknowledged"] is True


# Links that did not arrive whole


@pytest.mark.parametrize(
    "spell",
    [
        lambda key: f"{key}.",
        lambda key: f"{key})",
        lambda key: f"{key}%3E",
        lambda key: f"{key[:20]}%20{key[20:]}",
        lambda key: f"#{key}",
        lambda key: key.replace(key[3], f"%{ord(key[3]):02x}"),
        lambda key: f"{key[:9]}\u00ad{key[9:]}",
    ],
)
def test_what_is_unambiguous_is_repaired(
    bob: Visitor, place: Place, spell: Callable[[str], str]
) -> None:
    made = sealed(place)
    follow(bob, spell(made.fragment))
    arrive(bob.page, READY)
    assert bob.page.url.endswith(f"/secret#{made.fragment}")


@pytest.mark.parametrize("cut", [0, 1, 41, 42])
def test_a_link_that_was_cut_off_may_be_pasted(bob: Visitor, place: Place, cut: int) -> None:
    made = sealed(place)
    follow(bob, made.fragment[:cut])
    arrive(bob.page, "This link was cut off")
    assert bob.page.get_by_label("Paste all of it here").is_visible()
    bob.page.fill("#whole", f"Here it is: {place.url}secret#{made.fragment[:30]}")
    bob.page.click("#paste button")
    assert said(bob.page, "whole") == "There is no whole link in this."
    assert [each for each in bob.requests if each.method == "POST"] == []
    bob.page.fill("#whole", f"Here it is: <{place.url}secret#{made.fragment}>. Bye.")
    bob.page.click("#paste button")
    arrive(bob.page, READY)
    assert bob.page.url.endswith(f"/secret#{made.fragment}")


def test_a_newer_link_sends_nothing(bob: Visitor, place: Place) -> None:
    follow(bob, f"2.{sealed(place).fragment}")
    arrive(bob.page, "This link needs a newer program.")
    assert [each for each in bob.requests if each.method == "POST"] == []


def test_another_link_in_the_same_tab_is_another_page(bob: Visitor, place: Place) -> None:
    first, second = sealed(place), sealed(place, "another", passphrase=PASSPHRASE)
    follow(bob, first.fragment)
    follow(bob, second.fragment)
    arrive(bob.page, "This secret has a passphrase")


# Too many, and busy


def test_a_network_that_asks_too_often_is_told_for_how_long(bob: Visitor, place: Place) -> None:
    made = sealed(place)
    follow(bob, made.fragment)
    refused(bob.page, "reveal", 429, "rate_limited", retry_after=90)
    press(bob)
    assert re.fullmatch(
        r"Too many tries\. Try again in (2 minutes|\d\d seconds)\. The secret is still here\.",
        said(bob.page, "show"),
    )
    press(bob)
    assert len(posts(bob, "reveal")) == 1
    assert made.status()["state"] == "new"


def test_a_busy_server_says_for_how_long(bob: Visitor, place: Place) -> None:
    bob.page.clock.install()
    made = sealed(place)
    refused(bob.page, "look", 503, "unavailable", retry_after=3)
    follow(bob, made.fragment)
    assert re.fullmatch(
        r"Too many at the moment\. Try again in [23] seconds\. Nothing is lost\.",
        said(bob.page, "trouble"),
    )
    bob.page.clock.run_for(4000)
    bob.page.click("#again")
    bob.page.wait_for_selector("#show")
    refused(bob.page, "reveal", 500, "error")
    press(bob)
    assert "Nothing is lost" in said(bob.page, "show")


# Leaving


def test_who_leaves_without_keeping_it_is_asked(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place).fragment)
    press(bob)
    shown(bob.page)
    settled(bob.page)
    asked = []

    def stay(dialog: object) -> None:
        asked.append(dialog)
        dialog.dismiss()  # type: ignore[attr-defined]  # Playwright's Dialog

    bob.page.on("dialog", stay)
    bob.page.click("#done")  # A browser asks only somebody who has done something.
    with pytest.raises(Error):
        bob.page.reload(timeout=2000)
    assert len(asked) == 1
    assert bob.page.inner_text("#unkept") == "You have neither copied nor saved it."
    bob.page.click("#save")
    assert bob.page.is_hidden("#unkept")
    bob.page.reload()
    arrive(bob.page, GONE)


def test_what_is_left_behind_is_wiped(bob: Visitor, place: Place) -> None:
    follow(bob, sealed(place, passphrase=PASSPHRASE).fragment)
    bob.page.fill("#passphrase", PASSPHRASE)
    bob.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert bob.page.input_value("#passphrase") == ""
    press(bob, PASSPHRASE)
    shown(bob.page)
    bob.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert bob.page.locator("#secret").text_content() == ""
    assert bob.page.get_attribute("#save", "href") is None


# Without script, and where no browser encrypts


def test_without_script_it_says_what_is_needed(visit: Visit, place: Place) -> None:
    made = sealed(place)
    with visit(script=False) as bob:
        bob.page.goto(f"{place.url}{made.link}")
        assert bob.heading == "This link needs JavaScript"
        text = bob.page.inner_text("main")
        assert "Nothing has been opened." in text
        assert "onetime reveal" in text
        assert "One moment" not in text
        assert "has not come" not in text
    assert made.status()["state"] == "new"


def test_a_script_that_does_not_come_is_told_of(visit: Visit, place: Place) -> None:
    with visit(strict=False) as bob:
        bob.page.route("**/js/part/offer.js", lambda route: route.abort())
        bob.page.goto(f"{place.url}{sealed(place).link}")
        late = bob.page.locator("text=Nothing has been opened: reload the page.")
        assert late.is_hidden()
        bob.page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # Seconds.
        assert late.is_visible()
        assert not bob.page.is_visible("h1")


def test_on_an_insecure_origin_it_says_so_and_asks_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/"
    settings = {"ONETIME_PORT": str(port), "ONETIME_BASE_URL": url}
    with (
        installed(tmp_path / "insecure", settings, url) as place,
        visiting(browser, place) as bob,
    ):
        follow(bob, sealed(place).fragment)
        arrive(bob.page, "The link cannot be opened on this page")
        assert "Nothing has been opened." in bob.page.inner_text("main")
        assert [each for each in bob.requests if each.method == "POST"] == []


def test_a_browser_that_is_too_old_is_told_so(bob: Visitor, place: Place) -> None:
    bob.page.add_init_script("delete AbortSignal.timeout")
    follow(bob, sealed(place).fragment)
    arrive(bob.page, "The link cannot be opened in this browser")
