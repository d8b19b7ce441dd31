"""The states of a link to what its sender has encrypted, and of its receipt; most of them are there with script alone."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page, Route

from onetime.crypto import envelope
from onetime.crypto.envelope import File
from tests.browser.sealing import seal
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor
from tests.cli.running import until

LONG = "A note of several lines.\n\n" + "\n".join(f"{n}. {SECRET}" for n in range(1, 9))
UNSEEN = "user\u202etxt.exe\u200b and a very_long_name_" + "0123456789abcdef" * 12

# One name in another script, and one that has no place to break.
FILES = (
    File(name="звіт за листопад.pdf", type="application/pdf", size=2_345),
    File(name="a_very_long_name_" + "0123456789abcdef" * 6 + ".tar.gz", type="a/b", size=0),
)

# Their ways are long, and test_reveal goes them; here it is their look that counts.
FAR = ("tab", "late", "closed", "insecure", "old")
SHOW = """(name) => document.getElementById("state").replaceChildren(
    document.getElementById(`at-${name}`).content.cloneNode(true))"""


def links(visitor: Visitor) -> Iterator[str]:
    """Each state that script makes; without script, what is said instead."""
    made = seal(visitor.place)
    go(visitor, "secret", made.fragment)
    yield "link"
    if visitor.page.locator("noscript h1").count():  # With script that is no element.
        go(visitor, "receipt", made.receipt_fragment)
        yield "kept receipt"
        return
    yield from opening(visitor)
    yield from reading(visitor)
    yield from refusing(visitor)
    yield from ending(visitor)
    yield from keeping(visitor)


def go(visitor: Visitor, page: str, fragment: str, *, there: str = "h1") -> None:
    """`there`: what the state has, and none before it."""
    visitor.open("info/about")  # Where only the fragment is another, nothing is loaded.
    visitor.page.goto(f"{visitor.place.url}{page}{visitor.query}#{fragment}")
    visitor.page.wait_for_selector(there)


def press(visitor: Visitor, passphrase: str = "") -> None:
    if passphrase:
        visitor.page.fill("#passphrase", passphrase)
    visitor.page.click("#show button:not([type])")


def unfold(page: Page) -> None:
    for summary in page.locator("summary").all():
        summary.click()


def keep(page: Page) -> None:
    """So that nobody is asked whether they want to leave."""
    for link in page.locator(".opened footer a, .files a").all():
        link.click()


def opening(visitor: Visitor) -> Iterator[str]:
    page = visitor.page
    unfold(page)
    yield "link, all unfolded"
    held: list[Route] = []
    page.route("**/api/e2e/reveal", lambda route: held.append(route))  # noqa: PLW0108
    press(visitor)
    page.wait_for_selector("#opening:not(:empty)")
    yield "link, opening"
    held[0].abort()
    page.unroute("**/api/e2e/reveal")
    page.wait_for_selector("#show-wrong:not([hidden])")
    yield "link, connection lost"


def reading(visitor: Visitor) -> Iterator[str]:
    place, page = visitor.place, visitor.page
    go(visitor, "secret", seal(place, LONG).fragment)
    press(visitor)
    page.wait_for_selector("#fate:not(:empty)")
    yield "opened"
    keep(page)
    page.route("**/api/e2e/settle", lambda route: route.abort())
    go(visitor, "secret", seal(place, UNSEEN).fragment)
    press(visitor)
    page.wait_for_selector("#fate:not(:empty)")
    page.evaluate("document.getElementById('unkept').hidden = false")
    yield "opened, neither kept nor settled"
    keep(page)
    page.unroute("**/api/e2e/settle")
    go(visitor, "secret", seal(place, bytes(2_345), files=FILES).fragment)
    press(visitor)
    page.wait_for_selector(".files a")
    yield "opened, files"
    keep(page)
    until(lambda: page.evaluate("location.hash") == "")


def refusing(visitor: Visitor) -> Iterator[str]:
    place, page = visitor.place, visitor.page
    made = seal(place, passphrase=PASSPHRASE)
    go(visitor, "secret", made.fragment)
    yield "link, passphrase"
    press(visitor, "guess")
    page.wait_for_selector("#passphrase-wrong:not([hidden])")
    yield "link, wrong passphrase"
    page.click("#destroying summary")
    page.fill("#burn-passphrase", "guess")
    page.click("#destroy button:not([type])")
    page.wait_for_selector("#burn-passphrase-wrong:not([hidden])")
    yield "link, wrong passphrase to destroy"
    for _ in range(8):
        made.guess()
    go(visitor, "secret", made.fragment, there="#passphrase-wrong:not([hidden])")
    yield "link, locked"
    page.route("**/api/e2e/look", lambda route: route.abort())
    go(visitor, "secret", made.fragment)
    yield "link, no answer"
    page.unroute("**/api/e2e/look")
    go(visitor, "secret", seal(place, damaged=True).fragment)
    press(visitor)
    page.wait_for_selector("#again")
    yield "link, does not open"


def ending(visitor: Visitor) -> Iterator[str]:
    place, page = visitor.place, visitor.page
    go(visitor, "secret", seal(place).fragment)
    page.click("#destroying summary")
    page.click("#destroy button:not([type])")
    page.wait_for_selector("h1#done")
    yield "link, destroyed"
    made = seal(place)
    made.reveal()
    go(visitor, "secret", made.fragment)
    yield "link, opened elsewhere"
    for name in FAR:
        page.evaluate(SHOW, name)
        yield f"link, {name}"
    go(visitor, "secret", envelope.format_link_key(envelope.new_link_key()))
    yield "link, gone"
    go(visitor, "secret", made.fragment[:40])
    yield "link, cut off"
    page.fill("#whole", made.fragment[:40])
    page.click("#paste button")
    page.wait_for_selector("#whole-wrong:not([hidden])")
    yield "link, pasted and still cut off"
    go(visitor, "secret", f"2.{made.fragment}")
    yield "link, newer"


def keeping(visitor: Visitor) -> Iterator[str]:
    place, page = visitor.place, visitor.page
    made = seal(place, passphrase=PASSPHRASE)
    made.guess()
    go(visitor, "receipt", made.receipt_fragment)
    unfold(page)
    yield "kept receipt, about to destroy"
    made.reveal()
    page.click("#destroy button")
    page.wait_for_selector("#too-late:not([hidden])")
    yield "kept receipt, too late"
    made = seal(place)
    made.reveal()
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, opened just now"
    made.settle()
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, opened"
    made = seal(place)
    made.burn()
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, destroyed"
    made = seal(place, ttl=60)
    place.wait(60)
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, expired"
    place.wait(60)
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, gone"
    go(visitor, "receipt", made.receipt_fragment[:80])
    yield "kept receipt, cut off"
    page.route("**/api/e2e/receipt", lambda route: route.abort())
    go(visitor, "receipt", made.receipt_fragment)
    yield "kept receipt, no answer"
    page.unroute("**/api/e2e/receipt")
