"""Somebody with a browser, and everything that browser did on their behalf."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
)

from tests.browser.chromium import HOST
from tests.browser.place import Place
from tests.cli.running import until

SECRET = "correct horse battery staple"
PASSPHRASE = "Київ 2026"

# Said of every document with such a status; whether the status is right is its own test's business.
OF_A_STATUS = re.compile(r"Failed to load resource: the server responded with a status of \d{3}")

# Of a header that goes with every answer, where the way there is not trusted anyway.
OF_PLAIN_HTTP = (
    "The Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was"
)

# None of it may be there; storage that needs a promise is counted by the browser itself (`_stored`).
KEPT = "() => [document.cookie, localStorage.length, sessionStorage.length].join()"


@dataclass
class Visitor:
    """One window of one person. `query` goes with every address that is typed in: `?lang=qps`, or nothing."""

    place: Place
    context: BrowserContext
    page: Page
    query: str = ""
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Playwright wants to write on its listeners, and a built-in method is no place to write on.
        self.context.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108
        self.context.on("response", lambda response: self.responses.append(response))  # noqa: PLW0108
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.said.append(str(error.error)))
        self.context.on("serviceworker", lambda worker: self.said.append(f"worker {worker.url}"))

    def _hear(self, message: ConsoleMessage) -> None:
        is_plain = self.place.url.startswith(f"http://{HOST}")
        if not (
            OF_A_STATUS.match(message.text) or (is_plain and message.text.startswith(OF_PLAIN_HTTP))
        ):
            self.said.append(f"{message.type}: {message.text}")

    def open(self, path: str = "") -> None:
        """A page by its path below the installation's address."""
        self.page.goto(self.place.url + path.removeprefix("/") + self.query)

    def write(self, secret: str = SECRET, passphrase: str = "") -> None:
        self.page.fill("#secret", secret)
        if passphrase:
            self.page.fill("#passphrase", passphrase)

    def send(self, form: str = "#share") -> None:
        """Press the button of a form."""
        self.page.click(f"{form} button:not([type])")

    def share(self, secret: str = SECRET, passphrase: str = "") -> str:
        """Through the form; the link."""
        self.open()
        self.write(secret, passphrase)
        self.send()
        return self.page.input_value("#link")

    def open_link(self, link: str) -> None:
        self.page.goto(link + self.query)

    @property
    def heading(self) -> str:
        return self.page.inner_text("h1")

    def arrive(self, heading: str) -> None:
        """At a page of this headline; a script may have to ask for what it says."""
        self.page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()

    @property
    def focused(self) -> str:
        """The id of what has the focus, as soon as anything has it."""
        found: str = until(lambda: self.page.evaluate("() => document.activeElement.id"))
        return found

    def document(self) -> Response:
        """The answer that the page was made from."""
        return [each for each in self.responses if each.request.is_navigation_request()][-1]

    def faults(self) -> list[str]:
        """What no page may ever do: ask somebody else, keep something, break the policy, complain."""
        found = [f"console: {each}" for each in self.said]
        own = (self.place.url, "data:", "blob:", "about:")
        found += [f"asked {each.url}" for each in self.requests if not each.url.startswith(own)]
        found += [
            f"{each.status} for {urlsplit(each.url).path}"
            for each in self.responses
            if each.status >= 400 and not each.request.is_navigation_request()
        ]
        found += [f"cookie {each.get('name')}" for each in self.context.cookies()]
        for page in self.context.pages:
            if page.url.startswith(self.place.url):
                found += self._stored(page)
        return found

    def _stored(self, page: Page) -> list[str]:
        try:
            kept = page.evaluate(KEPT)
            session = self.context.new_cdp_session(page)
            usage: dict[str, Any] = session.send(
                "Storage.getUsageAndQuota", {"origin": self.place.origin}
            )
            session.detach()
        except Error:  # the window was closed by what it showed
            return []
        found = [] if kept == ",0,0" else [f"storage of {page.url}: {kept}"]
        return found + [
            f"{each['storageType']}: {each['usage']} bytes"
            for each in usage["usageBreakdown"]
            if each["usage"]
        ]


Theme = Literal["light", "dark"]


@contextmanager
def visiting(
    browser: Browser,
    place: Place,
    *,
    script: bool = True,
    language: str = "en",
    theme: Theme = "light",
    width: int = 1280,
    height: int = 800,
    strict: bool = True,
    **options: Any,
) -> Iterator[Visitor]:
    """`strict`: in the end nothing of `faults` has happened."""
    mirrored = language == "qps"
    context = browser.new_context(
        java_script_enabled=script,
        locale="en" if mirrored else language,
        color_scheme=theme,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        timezone_id=options.pop("timezone_id", "UTC"),
        ignore_https_errors=True,
        **options,
    )
    # A slow machine is no fault; what never comes is one soon enough.
    context.set_default_timeout(20_000)
    try:
        visitor = Visitor(place, context, context.new_page(), "?lang=qps" if mirrored else "")
        yield visitor
        if strict:
            assert visitor.faults() == []
    finally:
        context.close()
