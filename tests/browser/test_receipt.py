"""The receipt of what its sender has encrypted: every state it can tell, and destroying the secret unread."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from onetime.crypto import envelope
from tests.browser.conftest import Visit
from tests.browser.place import Place
from tests.browser.sealing import Sealed, seal
from tests.browser.test_reveal import EXPECTED, arrive, broken, heading, refused, said
from tests.browser.visitor import PASSPHRASE, Visitor
from tests.cli.running import until

NEW = "Not opened yet"
UNSURE = "Handed out; arrival not confirmed. Treat it as read."
TOO_LATE = "Too late: someone has opened it."


@pytest.fixture
def alice(visit: Visit) -> Iterator[Visitor]:
    """Who has kept a receipt; in the end nothing has happened that no page may do."""
    with visit(strict=False) as alice:
        yield alice
        assert [fault for fault in alice.faults() if not EXPECTED.search(fault)] == []
        for request in alice.requests:
            assert "#" not in request.headers.get("referer", "")


def follow(visitor: Visitor, made: Sealed) -> None:
    visitor.page.goto(f"{visitor.place.url}receipt{visitor.query}#{made.receipt_fragment}")
    heading(visitor.page)


def asked(visitor: Visitor) -> int:
    return len([each for each in visitor.requests if each.url.endswith("/api/e2e/receipt")])


def timeline(page: Page) -> list[str]:
    return page.locator(".time b").all_inner_texts()


def destroy(visitor: Visitor) -> None:
    visitor.page.click("summary:text('Destroy the secret')")
    visitor.page.click("text='Yes, destroy it'")


def test_not_opened_yet(alice: Visitor, place: Place) -> None:
    made = seal(place, passphrase=PASSPHRASE)
    follow(alice, made)
    arrive(alice.page, NEW)
    text = alice.page.inner_text("main")
    assert "No wrong passphrases so far" in text
    assert "7 days left" in text
    assert made.fragment not in alice.page.content()
    assert timeline(alice.page) == [
        "Created",
        "Waiting for the recipient",
        "Disappears if nobody opens it",
    ]
    assert alice.page.url.endswith(f"/receipt#{made.receipt_fragment}")
    made.guess()
    alice.page.click("text='Look again'")
    alice.page.wait_for_selector("text=1 wrong passphrase was tried")


def test_without_a_passphrase_there_is_no_word_of_it(alice: Visitor, place: Place) -> None:
    follow(alice, seal(place))
    arrive(alice.page, NEW)
    assert alice.page.inner_text("#tries") == ""


def test_opened_just_now_and_then_opened(alice: Visitor, place: Place) -> None:
    made = seal(place)
    assert made.reveal().status == 200
    follow(alice, made)
    arrive(alice.page, "Opened just now")
    assert timeline(alice.page) == [
        "Created",
        "Handed out",
        "Waiting for the reader’s device to confirm",
    ]
    assert re.search(r"Until \d.* it may fetch the secret again", alice.page.inner_text("main"))
    assert made.settle().status == 200
    alice.page.click("text='Look again'")
    arrive(alice.page, "Opened")
    assert timeline(alice.page) == ["Created", "Opened"]
    assert alice.page.is_hidden("text='Look again'")


def test_handed_out_and_never_confirmed(alice: Visitor, place: Place) -> None:
    made = seal(place)
    assert made.reveal().status == 200
    place.wait(601)
    made.status()
    place.wait(601)  # The first window was slept through, and given once more.
    follow(alice, made)
    arrive(alice.page, UNSURE)
    assert timeline(alice.page) == ["Created", "Handed out", "Arrival not confirmed"]


def test_destroyed_by_its_sender(alice: Visitor, place: Place) -> None:
    made = seal(place)
    follow(alice, made)
    destroy(alice)
    arrive(alice.page, "Destroyed unread")
    assert alice.focused == "title"
    assert timeline(alice.page) == ["Created", "Destroyed unread"]
    assert made.status()["state"] == "burned"
    assert made.reveal().status == 404
    alice.page.reload()
    arrive(alice.page, "Destroyed unread")


def test_expired(alice: Visitor, place: Place) -> None:
    made = seal(place, ttl=3600)
    place.wait(3600)
    follow(alice, made)
    arrive(alice.page, "Expired: nobody opened it in time")
    assert timeline(alice.page) == ["Created", "Expired"]


def test_closed_for_good(alice: Visitor, place: Place) -> None:
    made = seal(place, passphrase=PASSPHRASE)
    follow(alice, made)
    assert alice.page.is_hidden("#closed")
    for _ in range(200):
        place.wait(int(made.guess().headers.get("retry-after", "0")))
    alice.page.click("text='Look again'")
    alice.page.wait_for_selector("#closed:not([hidden])")
    text = alice.page.inner_text("main")
    assert "100 wrong passphrases were tried" in text
    assert "It stays closed now: destroy it and send a new one." in text
    destroy(alice)
    arrive(alice.page, "Destroyed unread")


@pytest.mark.parametrize("settles", [True, False], ids=["settled", "in the window"])
def test_a_sender_who_is_too_late_is_told_so(alice: Visitor, place: Place, settles: bool) -> None:
    made = seal(place)
    follow(alice, made)
    made.reveal()
    if settles:
        made.settle()
    destroy(alice)
    alice.page.wait_for_selector("#too-late:not([hidden])")
    assert alice.page.inner_text("#too-late") == TOO_LATE
    assert alice.page.title().startswith("Error: too late")
    assert alice.focused == "too-late"
    arrive(alice.page, "Opened" if settles else UNSURE)


def test_destroying_what_is_no_longer_there(alice: Visitor, place: Place) -> None:
    made = seal(place)
    follow(alice, made)
    made.burn()
    destroy(alice)
    arrive(alice.page, "Destroyed unread")


def test_a_receipt_that_is_gone(alice: Visitor, place: Place) -> None:
    made = seal(place, ttl=60)
    place.wait(121)
    follow(alice, made)
    arrive(alice.page, "There is no receipt here")
    until(lambda: alice.page.evaluate("location.hash") == "")
    alice.page.reload()
    arrive(alice.page, "There is no receipt here")


def test_it_asks_when_somebody_comes_back_and_not_by_itself(alice: Visitor, place: Place) -> None:
    made = seal(place)
    alice.page.clock.install()
    follow(alice, made)
    arrive(alice.page, NEW)
    alice.page.clock.run_for(600_000)
    assert asked(alice) == 1
    made.reveal()
    alice.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    arrive(alice.page, "Opened just now")
    for _ in range(3):
        alice.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert asked(alice) == 2
    made.settle()
    alice.page.clock.run_for(6000)
    alice.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    arrive(alice.page, "Opened")
    alice.page.clock.run_for(6000)
    alice.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert asked(alice) == 3  # Nothing more can come of it.


def test_nothing_new_is_said(alice: Visitor, place: Place) -> None:
    follow(alice, seal(place))
    alice.page.click("summary:text('Destroy the secret')")
    alice.page.click("text='Look again'")
    alice.page.wait_for_selector("#looked:has-text('Nothing new')")
    assert alice.page.is_visible("text='Yes, destroy it'")  # What was unfolded stays so.


def test_no_answer_and_then_one(alice: Visitor, place: Place) -> None:
    made = seal(place)
    with broken(alice.page, "receipt"):
        follow(alice, made)
        assert said(alice.page, "trouble") == "The connection broke off. Try again."
    alice.page.click("#again")
    arrive(alice.page, NEW)
    with broken(alice.page, "receipt"):
        alice.page.click("#again")
        assert said(alice.page, "again") == "The connection broke off. Try again."
    arrive(alice.page, NEW)
    refused(alice.page, "receipt/burn", 503, "unavailable", retry_after=7)
    destroy(alice)
    assert re.fullmatch(
        r"Too many at the moment\. Try again in [67] seconds\.", said(alice.page, "destroy")
    )
    assert made.status()["state"] == "new"


@pytest.mark.parametrize("cut", [0, 1, 43, 84, 85])
def test_an_address_that_was_cut_off_may_be_pasted(alice: Visitor, place: Place, cut: int) -> None:
    made = seal(place)
    alice.page.goto(f"{place.url}receipt#{made.receipt_fragment[:cut]}")
    arrive(alice.page, "This address was cut off")
    assert asked(alice) == 0
    alice.page.fill("#whole", made.receipt_fragment[:50])
    alice.page.click("#paste button")
    assert said(alice.page, "whole") == "There is no whole address in this."
    alice.page.fill("#whole", f"({place.url}receipt#{made.receipt_fragment}).")
    alice.page.click("#paste button")
    arrive(alice.page, NEW)


def test_a_newer_address_sends_nothing(alice: Visitor, place: Place) -> None:
    alice.page.goto(f"{place.url}receipt#2.{seal(place).receipt_fragment}")
    arrive(alice.page, "This receipt needs a newer program")
    assert asked(alice) == 0


def test_a_wrong_receipt_key_is_told_nothing(alice: Visitor, place: Place) -> None:
    made = seal(place)
    made.receipt = envelope.ReceiptLink(made.receipt.secret_id, envelope.new_receipt_key())
    follow(alice, made)
    arrive(alice.page, "There is no receipt here")


def test_another_language_keeps_it(alice: Visitor, place: Place) -> None:
    made = seal(place)
    follow(alice, made)
    alice.page.click("header a[hreflang=uk]")
    arrive(alice.page, "Секрет ще не переглянули")
    assert alice.page.url == f"{place.url}receipt?lang=uk#{made.receipt_fragment}"


def test_without_script_it_says_what_is_needed(visit: Visit, place: Place) -> None:
    with visit(script=False) as alice:
        alice.page.goto(f"{place.url}{seal(place).receipt_link}")
        assert alice.heading == "This receipt needs JavaScript"
        assert "onetime status" in alice.page.inner_text("main")
