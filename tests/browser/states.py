"""Every page in every state that a visitor can bring about, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Route

from tests.browser.enveloped import links
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor
from tests.cli.running import until

LONG = "A note of several lines.\n\n" + "\n".join(f"{n}. {SECRET}" for n in range(1, 9))
UNSEEN = "user\u202etxt.exe\u200b and a very_long_name_" + "0123456789abcdef" * 12


def every_state(visitor: Visitor) -> Iterator[str]:
    """The name of each state, with the visitor's page in it."""
    yield from pages(visitor)
    yield from links(visitor)


def pages(visitor: Visitor) -> Iterator[str]:
    """Without those of a link to what its sender has encrypted."""
    yield from sharing(visitor)
    yield from receipts(visitor)
    yield from reading(visitor)
    yield from elsewhere(visitor)


def sharing(visitor: Visitor) -> Iterator[str]:
    page = visitor.page
    visitor.open()
    yield "form"
    page.click("label[for=kind-generate]")
    yield "form, new password"
    visitor.open()
    visitor.write("")
    complained_of(visitor)
    yield "form, nothing written"
    visitor.write("x" * 112_345, "abc")
    if page.is_visible("#too-large"):
        yield "form, too long to be sent"
    complained_of(visitor)
    yield "form, too long"
    visitor.write(LONG, "abc")
    complained_of(visitor)
    yield "form, short passphrase"
    page.fill("#passphrase", PASSPHRASE)
    visitor.send()
    page.wait_for_selector("#link")
    yield "result"
    page.click(".seal summary")
    page.wait_for_selector(".qr")
    yield "result, as a QR code"
    visitor.open()
    page.click("label[for=kind-generate]")
    visitor.send()
    page.wait_for_selector("#link")
    yield "result, new password"
    if encrypts(visitor):
        yield from remembering(visitor)
        yield from failing(visitor)
    else:
        page.reload()
        yield "result, new password once more"


def encrypts(visitor: Visitor) -> bool:
    """Whether the browser does; else the server."""
    return "#" in visitor.page.input_value("#link")


def complained_of(visitor: Visitor) -> None:
    visitor.send()
    visitor.page.wait_for_selector("#summary:visible")


def remembering(visitor: Visitor) -> Iterator[str]:
    page = visitor.page
    page.check("#remember")
    yield "result, remembered"
    visitor.open()
    page.wait_for_selector("#recent:visible")
    yield "form, with receipts"
    page.click("#forget")
    yield "form, receipts forgotten"


def failing(visitor: Visitor) -> Iterator[str]:
    page = visitor.page
    held: list[Route] = []
    visitor.open()
    visitor.write()
    page.route("**/api/e2e/create", lambda route: held.append(route))  # noqa: PLW0108
    visitor.send()
    page.wait_for_selector("#sending:not(:empty)")
    until(lambda: held)
    yield "form, being sent"
    held[0].abort()
    page.unroute("**/api/e2e/create")
    page.wait_for_selector("#summary:visible")
    yield "form, connection lost"


def receipts(visitor: Visitor) -> Iterator[str]:
    place = visitor.place
    key, receipt = place.share(passphrase=PASSPHRASE)
    visitor.open(f"receipt/{receipt}")
    yield "receipt"
    visitor.page.click("summary >> nth=0")
    yield "receipt, about to destroy"
    assert (
        place.server.request(
            "POST",
            f"/api/v1/secret/{key}",
            form={"passphrase": PASSPHRASE},
            host=place.url.split("/")[2],
        ).status
        == 200
    )
    visitor.page.click("details[open] button")
    yield "receipt, too late"
    visitor.open(f"receipt/{receipt}")
    yield "receipt, opened"
    _, receipt = place.share()
    visitor.open(f"receipt/{receipt}")
    visitor.page.click("summary >> nth=0")
    visitor.page.click("details[open] button")
    yield "receipt, destroyed"
    _, receipt = place.share(ttl="60")
    place.wait(60)
    visitor.open(f"receipt/{receipt}")
    yield "receipt, expired"
    visitor.open("receipt/" + "0" * 31)
    yield "receipt, gone"


def reading(visitor: Visitor) -> Iterator[str]:
    place = visitor.place
    key, _ = place.share(LONG)
    visitor.open(f"secret/{key}")
    yield "secret"
    for summary in visitor.page.locator("summary").all():
        summary.click()
    yield "secret, all unfolded"
    visitor.send("#show")
    yield "revealed"
    visitor.open(f"secret/{place.share(UNSEEN)[0]}")
    visitor.send("#show")
    yield "revealed, with what cannot be seen"
    key, _ = place.share(passphrase=PASSPHRASE)
    visitor.open(f"secret/{key}")
    yield "secret, passphrase"
    visitor.page.fill("#passphrase", "guess")
    visitor.send("#show")
    yield "secret, wrong passphrase"
    visitor.page.click("summary >> nth=-1")
    visitor.page.fill("#burn-passphrase", "guess")
    visitor.page.click("details[open] button:not([type])")
    yield "secret, wrong passphrase to destroy"
    for _ in range(4):
        visitor.page.fill("#passphrase", "guess")
        visitor.send("#show")
    yield "secret, locked"
    visitor.open(f"secret/{place.share()[0]}")
    visitor.page.click("summary >> nth=-1")
    visitor.page.click("details[open] button")
    yield "secret, destroyed"
    visitor.open("secret/" + "0" * 31)
    yield "gone"


def elsewhere(visitor: Visitor) -> Iterator[str]:
    for name in ("about", "privacy", "terms"):
        visitor.open(f"info/{name}")
        yield name
    visitor.open("info/privacy")
    for summary in visitor.page.locator("summary").all():
        summary.click()
    yield "privacy, all unfolded"
    visitor.open("nothing/here")
    yield "error, no page"
    visitor.open("secret/x/burn")
    yield "error, not opened that way"
    visitor.open()
    visitor.write("x" * 700_000)
    visitor.send()
    visitor.page.wait_for_selector("#summary:visible, main:not(:has(#share))")
    yield "error, far too long"
    visitor.open()
    visitor.write()
    visitor.page.route("**/*", _as_from_elsewhere)
    visitor.send()
    visitor.page.wait_for_load_state()
    visitor.page.wait_for_selector("#summary:visible, main:not(:has(#share))")
    visitor.page.unroute("**/*")
    yield "error, from another site"


def _as_from_elsewhere(route: Route) -> None:
    """A browser lets nobody write these two headers for it, so the request is made in its place."""
    if route.request.method != "POST":
        route.continue_()
        return
    stated = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    route.fulfill(response=route.fetch(headers={**route.request.headers, **stated}))
