"""The connection breaks off: at each step of a secret's way, at each point of the request and its answer. What the person
reads, what the server has done by then, and how a second try ends.

`before`: the request does not arrive. `lost`: it does, and nothing comes back. `head`: not the whole head of the answer, which
browsers take for one all the same where there is no https. `body`: half of its body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import pytest
from playwright.sync_api import Browser, Error, Page, Route

from onetime.client import Client
from tests.browser.place import Place
from tests.browser.sealing import Sealed, seal
from tests.browser.test_reveal import (
    BROKEN_OFF,
    EXPECTED,
    GONE,
    READY,
    SHOWN,
    arrive,
    assert_unsaid,
    claims,
    follow,
    press,
    said,
    settled,
    shown,
)
from tests.browser.visitor import PASSPHRASE, Visitor, visiting
from tests.cli.running import until
from tests.client.cutting import How, Line, cutting
from tests.rounds import in_full

# Each cut takes seconds: for `make faults`.
pytestmark = pytest.mark.full

HOWS: tuple[How, ...] = ("before", "lost", "head", "body")
TEXT = "Ґанок\n  і «щастя»\u202e\t👩\u200d👧\0"
UNKNOWN = "The server does not know yet that it has arrived, and deletes it within 10 minutes."
DELETED = "The secret is deleted from the server and the link no longer works."

# An answer that never came, and one that broke off; the others are of one kind with these.
every_how = pytest.mark.parametrize(
    "how", [how if how in {"lost", "head"} else in_full(how) for how in HOWS]
)
whether_done = pytest.mark.parametrize("how", ["before", "lost"])
every_how_and_passphrase = pytest.mark.parametrize(
    ("how", "passphrase"),
    [
        *(
            pytest.param(how, "", id=how, marks=() if how in {"lost", "head"} else pytest.mark.full)
            for how in HOWS
        ),
        pytest.param("lost", PASSPHRASE, id="lost, passphrase"),
    ],
)


def done_by(how: How) -> bool:
    """Whether the server has done what it was asked."""
    return how != "before"


@pytest.fixture(scope="module")
def line(place: Place) -> Iterator[Line]:
    with cutting(place.server.address) as line:
        yield line


@pytest.fixture(scope="module")
def whoever(browser: Browser, place: Place, line: Line) -> Iterator[Visitor]:
    """At the other end of the line. One for all: the browser keeps our scripts, as everybody's does."""
    with visiting(browser, replace(place, url=line.address), strict=False) as whoever:
        yield whoever


@pytest.fixture
def person(whoever: Visitor, line: Line) -> Iterator[Visitor]:
    """In a tab of their own."""
    line.requests.clear()
    whoever.requests.clear()
    whoever.page = whoever.context.new_page()
    yield whoever
    assert [fault for fault in whoever.faults() if not EXPECTED.search(fault)] == []
    assert_unsaid(whoever.requests)
    whoever.page.close()


def fate(made: Sealed) -> tuple[str, bool]:
    told = made.status()
    return told["state"], told["acknowledged"]


def read_once(person: Visitor, made: Sealed) -> None:
    """It is shown here, exactly, and nobody is given it any more; the receipt says so."""
    assert shown(person.page) == TEXT
    settled(person.page)
    assert len(set(claims(person))) == 1
    assert made.reveal().status == 404
    assert fate(made) == ("revealed", True)


# Sharing


@every_how_and_passphrase
def test_create(person: Visitor, line: Line, passphrase: str, how: How) -> None:
    page = person.page
    before = person.place.stored()
    person.open()
    person.write(TEXT, passphrase)
    with line.broken("e2e/create", how):
        person.send()
        page.wait_for_selector("#summary:visible")
        assert BROKEN_OFF in page.inner_text("#summary")
        assert page.input_value("#secret") == TEXT
    person.send()
    link = page.input_value("#link")
    receipt = page.evaluate("document.getElementById('receipt').href")
    secrets, receipts = person.place.stored()
    assert (secrets, receipts) == (before[0] + 1, before[1] + 1)
    assert len({(each.head, each.body) for each in line.sent("e2e/create")}) == 1
    with Client(person.place.server.address) as reader:
        assert reader.receipt(receipt).state == "new"
        revealed = reader.reveal(link, passphrase=passphrase)
        assert revealed.text == TEXT
        reader.settle(revealed)
        told = reader.receipt(receipt)
        assert (told.state, told.acknowledged) == ("revealed", True)


# Opening


@every_how
def test_look(person: Visitor, line: Line, how: How) -> None:
    made = seal(person.place, TEXT)
    with line.broken("e2e/look", how):
        follow(person, made.fragment)
        assert said(person.page, "trouble") == BROKEN_OFF
        assert fate(made) == ("new", False)
    person.page.click("#again")
    arrive(person.page, READY)
    press(person)
    read_once(person, made)


@every_how_and_passphrase
def test_reveal(person: Visitor, line: Line, passphrase: str, how: How) -> None:
    made = seal(person.place, TEXT, passphrase=passphrase)
    follow(person, made.fragment)
    with line.broken("e2e/reveal", how):
        press(person, passphrase)
        assert said(person.page, "passphrase" if passphrase else "show") == BROKEN_OFF
        assert fate(made) == ("claimed" if done_by(how) else "new", False)
    press(person, passphrase)
    read_once(person, made)
    assert made.status()["wrong_tries"] == 0


@whether_done
def test_reveal_and_a_reload(person: Visitor, line: Line, how: How) -> None:
    """What was on its way is shown at once; what was not waits for the button."""
    made = seal(person.place, TEXT)
    follow(person, made.fragment)
    with line.broken("e2e/reveal", how):
        press(person)
        said(person.page, "show")
    person.page.reload()
    if not done_by(how):
        arrive(person.page, READY)
        assert fate(made) == ("new", False)
        press(person)
    read_once(person, made)


@every_how
def test_settle(person: Visitor, line: Line, how: How) -> None:
    made = seal(person.place, TEXT)
    follow(person, made.fragment)
    with line.broken("e2e/settle", how):
        press(person)
        assert shown(person.page) == TEXT
        person.page.wait_for_selector(f"text={UNKNOWN}")
        assert person.page.url.endswith(f"#{made.fragment}")
        assert fate(made) == (("revealed", True) if done_by(how) else ("claimed", False))
    person.page.evaluate("dispatchEvent(new Event('online'))")
    read_once(person, made)
    person.page.wait_for_selector(f"text={DELETED}")


@whether_done
def test_settle_and_never_again(person: Visitor, line: Line, how: How) -> None:
    """Whoever closes the page has read it. Whether it has arrived the receipt says only where the server was told."""
    made = seal(person.place, TEXT)
    follow(person, made.fragment)
    with line.broken("e2e/settle", how):
        press(person)
        assert shown(person.page) == TEXT
        person.page.wait_for_selector(f"text={UNKNOWN}")
        person.page.close()
    person.place.wait(601)
    made.status()
    person.place.wait(601)  # The first window was slept through, and given once more.
    assert fate(made) == ("revealed", done_by(how))
    assert made.reveal().status == 404


# Destroying, and asking what became of it


@every_how
def test_burn(person: Visitor, line: Line, how: How) -> None:
    made = seal(person.place, TEXT)
    follow(person, made.fragment)
    person.page.click("#destroying summary")
    with line.broken("e2e/burn", how):
        person.send("#destroy")
        assert said(person.page, "destroy") == BROKEN_OFF
        assert fate(made)[0] == ("burned" if done_by(how) else "new")
    person.send("#destroy")
    # Destroyed before, by whomever: that it was this tab nobody can tell.
    arrive(person.page, GONE if done_by(how) else "The secret is destroyed")
    settled(person.page)
    assert fate(made) == ("burned", False)


@every_how
def test_receipt(person: Visitor, line: Line, how: How) -> None:
    made = seal(person.place, TEXT)
    with line.broken("e2e/receipt", how):
        person.page.goto(f"{person.place.url}{made.receipt_link}")
        assert said(person.page, "trouble") == "The connection broke off. Try again."
    person.page.click("#again")
    arrive(person.page, "Not opened yet")
    made.reveal()
    made.settle()
    with line.broken("e2e/receipt", how):
        person.page.click("#again")
        assert said(person.page, "again") == "The connection broke off. Try again."
        arrive(person.page, "Not opened yet")
    person.page.click("#again")
    arrive(person.page, "Opened")


@every_how
def test_burn_by_receipt(person: Visitor, line: Line, how: How) -> None:
    made = seal(person.place, TEXT)
    person.page.goto(f"{person.place.url}{made.receipt_link}")
    person.page.click("summary:text('Destroy the secret')")
    with line.broken("receipt/burn", how):
        person.send("#destroy")
        assert said(person.page, "destroy") == "The connection broke off. Try again."
        assert fate(made)[0] == ("burned" if done_by(how) else "new")
    person.send("#destroy")
    arrive(person.page, "Destroyed unread")
    assert fate(made) == ("burned", False)


# The page itself


@pytest.mark.parametrize(
    ("path", "how"), [("/secret", "lost"), ("/secret", "body"), ("/offer.js", "body")]
)
def test_a_page_that_did_not_come_whole_has_opened_nothing(
    person: Visitor, line: Line, path: str, how: How
) -> None:
    made = seal(person.place, TEXT)
    person.context.new_cdp_session(person.page).send("Network.clearBrowserCache")
    with line.broken(path, how):
        with suppress(Error):
            person.page.goto(f"{line.address}{made.link}", wait_until="commit")
        until(lambda: line.sent(path))
    assert fate(made) == ("new", False)
    until(lambda: reloaded(person.page))
    arrive(person.page, READY)
    assert person.page.url.endswith(f"#{made.fragment}")
    press(person)
    read_once(person, made)


def reloaded(page: Page) -> bool:
    """Not where a navigation has failed and the browser's own page is still to come."""
    with suppress(Error):
        page.reload()
        return True
    return False


# Twins: pages that lose something, and what sees it


@dataclass(frozen=True)
class Twin:
    script: str
    line_of_it: str
    instead: str
    test: Callable[..., None]
    seen: str


TWINS = {
    "another secret": Twin(
        "sharing",
        "const isRepeated = attempt?.typed === typed;",
        "const isRepeated = false;",
        partial(test_create, passphrase=""),
        r"assert \(\d+, \d+\) ==",
    ),
    "another claim": Twin(
        "address",
        "if (earlier !== null) return earlier;",
        "",
        partial(test_reveal, passphrase=""),
        SHOWN,
    ),
    "the link forgotten": Twin(
        "reveal", "await arrived;", "await arrived; forgetKey();", test_settle, "endswith"
    ),
    "not told again": Twin(
        "settle", "await tell(proofs);", "tell(proofs).catch(() => {});", test_settle, UNKNOWN
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_page_that_loses_something_is_caught(person: Visitor, line: Line, name: str) -> None:
    twin = TWINS[name]

    def change(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        assert text.count(twin.line_of_it) == 1
        route.fulfill(response=answer, body=text.replace(twin.line_of_it, twin.instead))

    person.page.route(f"**/js/part/{twin.script}.js", change)
    person.page.set_default_timeout(3000)
    with pytest.raises((AssertionError, Error), match=twin.seen):
        twin.test(person, line, how="lost")
