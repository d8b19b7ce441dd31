"""Share, read once, destroy, be late: as people do it. With script what they share is encrypted in their browser, without it by
the server.
"""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, Error

from tests import needs
from tests.browser.chromium import launch
from tests.browser.conftest import Visit
from tests.browser.place import Place
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor, visiting
from tests.cli.running import until

GONE = "There is no secret here"


def reveal(visitor: Visitor, passphrase: str = "") -> None:
    if passphrase:
        visitor.page.fill("#passphrase", passphrase)
    visitor.send("#show")


def shown(visitor: Visitor) -> str:
    return visitor.page.locator("#secret").text_content() or ""


def read(visitor: Visitor, text: str = SECRET) -> None:
    """And nobody after."""
    visitor.page.locator("pre#secret").wait_for()
    assert shown(visitor) == text
    visitor.page.wait_for_selector("p:has-text('The secret is deleted from the server')")


def receipt_of(visitor: Visitor) -> str:
    """The address behind the button of the result."""
    visitor.page.wait_for_selector("#link")
    address = visitor.page.get_attribute("#receipt", "href")
    assert address
    return address


def test_a_secret_is_shared_and_read_by_one(visitor: Visitor, visit: Visit, script: bool) -> None:
    link = visitor.share()
    assert visitor.heading == "The link is ready"
    assert ("/secret#" in link) == script
    with visit(script=script) as bob:
        bob.open_link(link)
        bob.arrive("Someone sent you a secret")
        reveal(bob)
        read(bob)
    with visit(script=script, strict=False) as second:
        second.open_link(link)
        second.arrive(GONE)


def test_a_generated_password_is_shown_to_its_sender_and_to_one_reader(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.click("label[for=kind-generate]")
    assert not visitor.page.is_visible("#secret")
    visitor.send()
    value = visitor.page.locator("#value").text_content()
    assert value
    assert len(value) == 16
    visitor.open_link(visitor.page.input_value("#link"))
    reveal(visitor)
    read(visitor, value)


def test_the_other_choices_of_a_generated_password_count(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.click("label[for=kind-generate]")
    visitor.page.get_by_label("24 characters").check()
    visitor.page.get_by_label("With symbols").uncheck()
    visitor.send()
    value = visitor.page.locator("#value").text_content() or ""
    assert len(value) == 24
    assert value.isalnum()


def test_a_wrong_passphrase_destroys_nothing_and_the_right_one_opens(
    visit: Visit, script: bool
) -> None:
    with visit(script=script, strict=False) as visitor:
        link = visitor.share(passphrase=PASSPHRASE)
        visitor.open_link(link)
        visitor.arrive("This secret has a passphrase")
        reveal(visitor, "guess")
        visitor.page.wait_for_selector(f".wrong:has-text('{9 if script else 4} attempts left')")
        reveal(visitor, PASSPHRASE)
        read(visitor)


def test_too_many_wrong_passphrases_lock_and_say_for_how_long(
    visitor: Visitor, place: Place
) -> None:
    key, receipt = place.share(passphrase=PASSPHRASE)
    visitor.open(f"secret/{key}")
    for left in ("4 attempts left", "3 attempts left", "2 attempts left", "1 attempt left", "No"):
        reveal(visitor, "guess")
        assert left in visitor.page.inner_text("#wrong")
    reveal(visitor, PASSPHRASE)
    assert "Try again in 30 minutes. The secret is still here." in visitor.page.inner_text("#wrong")
    assert visitor.page.title().startswith("Error: too many tries")
    place.wait(1800)
    reveal(visitor, PASSPHRASE)
    assert shown(visitor) == "correct horse"
    visitor.open(f"receipt/{receipt}")
    assert "5 wrong passphrases were tried" in visitor.page.inner_text("main")


def test_the_sender_destroys_a_secret_by_its_receipt(visit: Visit, script: bool) -> None:
    with visit(script=script, strict=False) as visitor:
        link = visitor.share()
        visitor.open(receipt_of(visitor))
        visitor.arrive("Not opened yet")
        visitor.page.click("summary:text('Destroy the secret')")
        visitor.page.click("text='Yes, destroy it'")
        visitor.arrive("Destroyed unread")
        visitor.open_link(link)
        visitor.arrive(GONE)


def test_the_receipt_opens_beside_the_result(visitor: Visitor) -> None:
    visitor.share()
    with visitor.context.expect_page() as opened:
        visitor.page.click("text='Open the receipt'")
    opened.value.wait_for_selector("h1:text('Not opened yet')")
    assert visitor.heading == "The link is ready"


def test_a_sender_who_is_too_late_is_told_so(visit: Visit, script: bool) -> None:
    with visit(script=script, strict=False) as visitor:
        link = visitor.share()
        visitor.open(receipt_of(visitor))
        visitor.arrive("Not opened yet")
        with visit(script=script) as bob:
            bob.open_link(link)
            reveal(bob)
            read(bob)
        visitor.page.click("summary:text('Destroy the secret')")
        visitor.page.click("text='Yes, destroy it'")
        visitor.arrive("Opened")
        assert visitor.page.inner_text("#too-late") == "Too late: someone has opened it."
        assert visitor.page.title().startswith("Error: ")
        assert visitor.focused == "too-late"


def test_the_recipient_destroys_it_unread(visitor: Visitor, place: Place) -> None:
    key, receipt = place.share()
    visitor.open(f"secret/{key}")
    visitor.page.click("summary:text('Destroy it unread')")
    visitor.page.click("text='Destroy the secret'")
    assert visitor.heading == "The secret is destroyed"
    visitor.open(f"receipt/{receipt}")
    assert visitor.heading == "Destroyed unread"


def test_the_recipient_needs_the_passphrase_to_destroy_it(visitor: Visitor, place: Place) -> None:
    key, receipt = place.share(passphrase=PASSPHRASE)
    visitor.open(f"secret/{key}")
    visitor.page.click("summary:text('Destroy it unread')")
    visitor.page.fill("#burn-passphrase", "guess")
    visitor.page.click("text='Destroy the secret'")
    visitor.page.wait_for_selector("details[open] #wrong")
    assert visitor.focused == "wrong"
    assert place.state(receipt) == "new"
    visitor.page.fill("#burn-passphrase", PASSPHRASE)
    visitor.page.click("text='Destroy the secret'")
    assert visitor.heading == "The secret is destroyed"


def test_an_expired_secret_is_gone_and_its_receipt_says_why(visitor: Visitor, place: Place) -> None:
    key, receipt = place.share(ttl="3600")
    visitor.open(f"secret/{key}")
    place.wait(3600)
    reveal(visitor)
    assert visitor.heading == GONE
    visitor.open(f"receipt/{receipt}")
    assert visitor.heading == "Expired: nobody opened it in time"


def test_whatever_became_of_a_secret_its_link_leads_to_one_page(
    visitor: Visitor, place: Place
) -> None:
    (read, _), (burned, _), (expired, _) = (place.share(ttl="3600") for _ in range(3))
    assert place.server.reveal(read).status == 200
    visitor.open(f"secret/{burned}")
    visitor.page.click("summary:text('Destroy it unread')")
    visitor.page.click("text='Destroy the secret'")
    place.wait(3600)
    pages = set()
    for key in ("0" * 31, read, burned, expired):
        visitor.open(f"secret/{key}")
        assert visitor.document().status == 404
        pages.add(visitor.page.content().replace(key, "KEY"))
    assert len(pages) == 1


def test_a_double_click_makes_one_secret(visitor: Visitor, place: Place) -> None:
    secrets, receipts = place.stored()
    visitor.open()
    visitor.write()
    visitor.page.dblclick("#share button.first")
    visitor.page.wait_for_selector("#link")
    assert place.stored() == (secrets + 1, receipts + 1)


def test_a_double_click_shows_the_secret_and_not_the_page_after_it(
    visitor: Visitor, script: bool, place: Place
) -> None:
    """Without script a second press can reach the server after the first has been answered; the browser then shows that
    the link is used up, and nobody else has the text. With script there is no second press.
    """
    key, _ = place.share()
    visitor.open(f"secret/{key}")
    visitor.page.dblclick("#show button.first")
    visitor.page.wait_for_selector("#secret" if script else "h1")
    posts = [each for each in visitor.requests if each.method == "POST"]
    assert not script or len(posts) == 1


def test_reloading_the_result_gives_the_same_link(visit: Visit, place: Place) -> None:
    """The server's; one that the browser has encrypted is nowhere else, and a reload shows an empty form (test_share.py)."""
    with visit(script=False) as visitor:
        link = visitor.share()
        stored = place.stored()
        visitor.page.reload()
        assert visitor.page.input_value("#link") == link
        assert place.stored() == stored


def test_reloading_the_result_does_not_show_a_generated_password_again(
    visit: Visit, place: Place
) -> None:
    with visit(script=False) as visitor:
        visitor.open()
        visitor.page.click("label[for=kind-generate]")
        visitor.send()
        value = visitor.page.locator("#value").text_content()
        stored = place.stored()
        visitor.page.reload()
        assert place.stored() == stored
        assert value is not None
        assert visitor.heading == "The link is ready"


def test_line_ends_of_a_form_become_line_feeds(visitor: Visitor) -> None:
    link = visitor.share("one\r\ntwo\r\n\r\nthree\r\n")
    visitor.open_link(link)
    reveal(visitor)
    read(visitor, "one\ntwo\n\nthree\n")


def test_old_addresses_lead_to_the_new_ones(visitor: Visitor, place: Place) -> None:
    key, receipt = place.share()
    for old in ("private", "metadata"):
        visitor.open(f"{old}/{receipt}")
        assert visitor.heading == "Not opened yet"
    visitor.open(f"l/{key}")
    assert visitor.heading == "Someone sent you a secret"
    visitor.open("privacy")
    assert visitor.heading == "What we know about you"


# Back, with the memory of pages that browsers have


@pytest.fixture(scope="module")
def remembering(browser: Browser) -> Iterator[Browser]:
    other = launch(browser.browser_type, needs.chromium(), keeps_pages=True)
    yield other
    other.close()


@pytest.fixture
def returning(remembering: Browser, place: Place, script: bool) -> Iterator[Visitor]:
    with visiting(remembering, place, script=script, strict=False) as visitor:
        yield visitor


def back(visitor: Visitor) -> None:
    """Chromium shows a page of its own instead of one that was the answer to a form."""
    with suppress(Error):
        visitor.page.go_back(wait_until="commit")


def content(visitor: Visitor) -> str:
    """Of whatever page stands there in the end."""

    def read() -> str:
        with suppress(Error):
            return visitor.page.content()
        return ""

    return until(read)


def test_the_browser_of_these_tests_remembers_pages(returning: Visitor, script: bool) -> None:
    """What may be kept comes back as it was left: here with what was done to it."""
    returning.open("info/about")
    returning.page.evaluate("() => document.querySelector('h1').append('!')")
    returning.page.click("footer >> text='Privacy'")
    returning.page.wait_for_selector("h1:text('What we know about you')")
    back(returning)
    returning.page.wait_for_selector("h1:text('!')")


def test_back_after_the_secret_shows_nothing_of_it(returning: Visitor, place: Place) -> None:
    key, _ = place.share(SECRET)
    returning.open(f"secret/{key}")
    reveal(returning)
    assert shown(returning) == SECRET
    returning.page.wait_for_load_state()  # its script has run
    returning.page.click("text='Answer with a secret of your own'")
    returning.page.wait_for_selector("#share")
    back(returning)
    assert SECRET not in content(returning)
    returning.open(f"secret/{key}")
    assert returning.heading == GONE


def test_back_to_the_form_and_sending_again_makes_no_second_secret(
    returning: Visitor, script: bool, place: Place
) -> None:
    """With script the result has come in the place of the form: one step away from it, and back."""
    secrets, receipts = place.stored()
    returning.share()
    assert place.stored() == (secrets + 1, receipts + 1)
    if script:
        returning.page.click("footer >> text='Privacy'")
        returning.page.wait_for_url("**/info/privacy")
    back(returning)
    returning.page.wait_for_selector("#share")
    returning.send()
    returning.page.wait_for_selector("#summary:visible, #link")
    assert place.stored() == (secrets + 1, receipts + 1)


def test_back_after_another_page_shows_no_generated_password(
    returning: Visitor, place: Place
) -> None:
    returning.open()
    returning.page.click("label[for=kind-generate]")
    returning.send()
    value = returning.page.locator("#value").text_content()
    assert value
    returning.page.wait_for_load_state()  # its script has run
    returning.page.click("text='Share another secret'")
    returning.page.wait_for_selector("#share")
    back(returning)
    assert value not in content(returning)
