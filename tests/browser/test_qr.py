"""A QR code that the page draws, photographed and read; under the content policy and Trusted Types of the real server."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest
from playwright.sync_api import Browser

from tests import needs
from tests.browser.place import Place

# Every size is photographed: for `make faults`; tests/js reads them all.
pytestmark = pytest.mark.full

READER = needs.ROOT / "tests" / "js" / "qr_read.js"
LINKS = [
    "http://127.0.0.1:3000/secret#q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
    f"https://{'a' * 60}.{'b' * 60}.example/ots/secret#q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
]

DRAW = """async (text) => {
    const styles = document.querySelector("link[rel=stylesheet]").href;
    const { draw } = await import(new URL("../js/part/qr.js", styles).href);
    const picture = draw(text);
    picture.id = "code";
    picture.setAttribute("width", "400");
    document.body.replaceChildren(picture);
}"""

# The pixels of a picture, as numbers: red, green, blue and opacity of each.
PIXELS = """async (data) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${data}`;
    await picture.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data: pixels, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    return { pixels: Array.from(pixels), width, height };
}"""


WRITE_HTML = """() => {
    try {
        document.createElement("p").innerHTML = "<b>bold</b>";
    } catch (error) {
        return error.name;
    }
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("link", LINKS)
def test_what_is_seen_is_read_to_the_letter(
    browser: Browser, place: Place, link: str, scheme: str
) -> None:
    needs.node_packages()
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.goto(f"{place.url}info/about")
    page.evaluate(DRAW, link)
    photograph = page.locator("#code").screenshot()
    said = page.evaluate(PIXELS, base64.b64encode(photograph).decode())
    # The policy is in force here.
    assert page.evaluate(WRITE_HTML) == "TypeError"
    wrong = [each for each in wrong if "TrustedHTML" not in each]
    page.close()
    read = subprocess.run(
        [needs.node(), READER],
        input=json.dumps(said),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert wrong == []
    assert read == link
    colours = {tuple(said["pixels"][at : at + 4]) for at in range(0, len(said["pixels"]), 4)}
    assert {(0x07, 0x22, 0x1C, 255), (255, 255, 255, 255)} <= colours
    # Light all around, also where the page is dark.
    corner = said["pixels"][:4]
    assert corner == [255, 255, 255, 255]
