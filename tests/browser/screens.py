"""Every page as a picture: `make screens`, or `python -m tests.browser.screens [language ...]`.

Writes into `screens/` a contact sheet for each language, theme, width, with script and without: every state that a visitor
can bring about, with its name. The sheets are pages themselves, photographed once more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from html import escape
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests import needs
from tests.browser.chromium import chromium
from tests.browser.place import Place, installed
from tests.browser.states import every_state
from tests.browser.visitor import Theme, visiting

SCREENS = needs.ROOT / "screens"
MOST_SECONDS = 900

LANGUAGES = ("en", "uk", "qps")
WIDTHS = {360: 740, 1280: 800}
THEMES: tuple[Theme, ...] = ("light", "dark")
SCRIPT = {True: "script", False: "no script"}

# Of a longer page the rest is cut off.
MOST_HEIGHT = 2600

SHEET = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 24px; background: #777; color: #fff; font: 600 20px system-ui }}
main {{ display: grid; grid-template-columns: repeat({columns}, {shown}px); gap: 20px; align-items: start }}
figure {{ margin: 0 }} figcaption {{ padding-block: 4px }}
img {{ width: {shown}px; display: block }}
</style><h1>{title}</h1><main>{figures}</main>"""


def photographed(page: Page, path: Path) -> None:
    height = min(MOST_HEIGHT, int(page.evaluate("() => document.documentElement.scrollHeight")))
    size = page.viewport_size
    assert size
    page.screenshot(
        path=path,
        full_page=True,
        type="jpeg",
        quality=80,
        clip={"x": 0, "y": 0, "width": size["width"], "height": max(height, size["height"])},
    )


def photograph(
    browser: Browser, place: Place, language: str, folder: Path, *, script: bool
) -> list[str]:
    """Each state in each theme and width; the names of the states."""
    states = []
    with visiting(browser, place, language=language, script=script, strict=False) as visitor:
        for state in every_state(visitor):
            states.append(state)
            for theme, (width, height) in product(THEMES, WIDTHS.items()):
                visitor.page.emulate_media(color_scheme=theme)
                visitor.page.set_viewport_size({"width": width, "height": height})
                photographed(visitor.page, folder / name_of(state, theme, width))
            visitor.page.emulate_media(color_scheme="light")
            visitor.page.set_viewport_size({"width": 1280, "height": 800})
    return states


def name_of(state: str, theme: Theme, width: int) -> str:
    return f"{state} {theme} {width}.jpeg".replace(",", "").replace(" ", "-")


def sheet(
    browser: Browser, folder: Path, title: str, states: list[str], theme: Theme, width: int
) -> Path:
    shown: Literal[360, 640] = 360 if width == 360 else 640
    columns = 8 if width == 360 else 5
    figures = "".join(
        f'<figure><figcaption>{escape(state)}</figcaption><img src="{name_of(state, theme, width)}"></figure>'
        for state in states
    )
    html = folder / "sheet.html"
    html.write_text(
        SHEET.format(columns=columns, shown=shown, title=escape(title), figures=figures)
    )
    page = browser.new_page(viewport={"width": 48 + columns * (shown + 20), "height": 800})
    page.goto(html.as_uri())
    target = SCREENS / f"{title}.png".replace(", ", "-").replace(" ", "-")
    page.screenshot(path=target, full_page=True)
    page.close()
    return target


def main(languages: list[str]) -> None:
    program = needs.find("chromium")
    if program is None:
        needs.say_missing("chromium")
        return
    started = time.monotonic()
    SCREENS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium(program) as browser,
        installed(Path(folder) / "place") as place,
    ):
        for language, script in product(languages, SCRIPT):
            if time.monotonic() - started > MOST_SECONDS:
                raise SystemExit(f"over the time budget of {MOST_SECONDS} seconds")
            pictures = Path(folder) / f"{language} {SCRIPT[script]}"
            pictures.mkdir()
            states = photograph(browser, place, language, pictures, script=script)
            for theme, width in product(THEMES, WIDTHS):
                title = f"{language}, {theme}, {width}, {SCRIPT[script]}"
                print(sheet(browser, pictures, title, states, theme, width), flush=True)
    print(f"{time.monotonic() - started:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:] or list(LANGUAGES))
