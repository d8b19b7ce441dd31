"""Starts Debian's Chromium, quietly: it asks nobody but the servers under test for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, sync_playwright

# Names of hosts that are all this machine: an installation, and somebody who has no business with it.
HOST, STRANGER = "secrets.test", "stranger.test"

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    f"--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP {STRANGER} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def launch(kind: BrowserType, program: Path, *, keeps_pages: bool = False) -> Browser:
    """`keeps_pages`: with the memory of pages that Back has in everybody's browser; Playwright switches it off."""
    return kind.launch(
        executable_path=program,
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"] if keeps_pages else None,
    )


@contextmanager
def chromium(program: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium, program)
        try:
            yield browser
        finally:
            browser.close()
