"""How long a person waits in a browser: from the click to the link, and what the pages weigh on the wire.

    python -m bench.browser            twenty times, in Debian's Chromium

The server and the browser share the machine, as they do when somebody tries the program at home. Without a passphrase:
with one, the wait is what PBKDF2 is meant to take.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from bench import servers
from tests import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TIMES = 20
MOST_MS = 150
MOST_HOME_BYTES = 60_000
MOST_REVEAL_BYTES = 40_000

# In the page, so that what steers the browser is not measured: from the click until the link is painted.
CLICK_TO_LINK = """() => new Promise((done) => {
  const watch = new MutationObserver(() => {
    const link = document.getElementById("link");
    if (!(link instanceof HTMLTextAreaElement) || !link.value) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done([performance.now() - started, link.value])));
  });
  watch.observe(document, { childList: true, subtree: true, attributes: true });
  const button = document.querySelector("#share button[type=submit], #share button.first");
  const started = performance.now();
  button.click();
})"""


@contextmanager
def running() -> Iterator[str]:
    core = servers.share_out().servers
    with tempfile.TemporaryDirectory(prefix="run-", dir=servers.results()) as folder:
        server = servers.onetime(Path(folder) / "data", core)
        try:
            host, port = server.address
            yield f"http://{host}:{port}"
        finally:
            server.stop()


def share(page: Page, address: str, number: int) -> tuple[float, str]:
    """Milliseconds, and the link."""
    page.goto(f"{address}/")
    page.wait_for_load_state("networkidle")
    page.fill("#secret", f"secret number {number}, of the size of a password")
    took, link = page.evaluate(CLICK_TO_LINK)
    return took, link


def weigh(browser: Browser, address: str) -> int:
    """Bytes of bodies and heads of all that a first visit loads."""
    with browser.new_context() as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
        page.goto(address)
        page.wait_for_load_state("networkidle")
        return int(sum(sizes))


def main() -> int:
    program = needs.find("chromium")
    if program is None:
        needs.say_missing("chromium")
        return 1
    with running() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with browser.new_context() as context:
            page = context.new_page()
            shared = [share(page, address, number) for number in range(TIMES)]
        home = weigh(browser, f"{address}/")
        secret = weigh(browser, shared[0][1])
        browser.close()
    times = sorted(took for took, _ in shared)
    found = [
        ("click to link, median, ms", statistics.median(times), MOST_MS),
        ("home page on the wire, bytes", home, MOST_HOME_BYTES),
        ("page of a link on the wire, bytes", secret, MOST_REVEAL_BYTES),
    ]
    for name, value, most in found:
        verdict = "pass" if value < most else "MISS"
        print(f"{name:40} {value:10,.0f}   below {most:,}: {verdict}")
    print(f"click to link, fastest and slowest: {times[0]:.0f} and {times[-1]:.0f} ms")
    return 0 if all(value < most for _, value, most in found) else 1


if __name__ == "__main__":
    sys.exit(main())
