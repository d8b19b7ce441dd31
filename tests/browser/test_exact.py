"""What was given is what is shown, saved and copied: forms and API, in and out, through a browser's own text handling."""

import json
from pathlib import Path

import pytest

from onetime.client import Client
from tests.browser.conftest import Visit
from tests.browser.place import Place
from tests.browser.visitor import Visitor
from tests.cli.person import Person
from tests.web.pages.test_exact import LINE_ENDS, NASTY, shown

# Script has no part in it; these are looked at without as well.
FEW = ("a leading newline", "NUL", "bidi", "end of the element", "emoji", "mixed")


# Each takes a process of the command: of a kind that is here twice, once.
BY_COMMAND = {
    name: text
    for name, text in NASTY.items()
    if name not in {"two leading newlines", "tabs", "quotes", "placeholders", "ukrainian"}
}


def cases(*, script: bool) -> dict[str, str]:
    every = NASTY | LINE_ENDS
    return every if script else {name: every[name] for name in FEW}


def fed(text: str) -> str:
    """As a form sends it and we keep it: every line end is a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def revealed(visitor: Visitor, folder: Path) -> tuple[str, str]:
    """What the page shows, and what the file holds."""
    visitor.send("#show")
    text = visitor.page.locator("pre#secret").text_content()
    with visitor.page.expect_download() as download:
        visitor.page.click("#save")
    file = folder / "secret.txt"
    download.value.save_as(file)
    assert download.value.suggested_filename == "secret.txt"
    assert text is not None
    return text, file.read_bytes().decode()


def test_form_to_page(visitor: Visitor, script: bool, tmp_path: Path) -> None:
    for case, text in cases(script=script).items():
        visitor.open_link(visitor.share(text))
        # What no markup can hold reaches a text node all the same.
        page = fed(text) if script else shown(fed(text))
        assert revealed(visitor, tmp_path) == (page, fed(text)), case


def test_form_to_api(visitor: Visitor, script: bool, place: Place) -> None:
    """Of what the browser has encrypted: to another program that opens it."""
    with Client(place.url) as bob:
        for case, text in cases(script=script).items():
            link = visitor.share(text)
            if script:
                assert bob.reveal(link).text == fed(text), case
            else:
                key = link.rpartition("/")[2]
                assert json.loads(place.server.reveal(key).body)["value"] == fed(text), case


@pytest.mark.full
def test_form_to_command(visit: Visit, place: Place, tmp_path: Path) -> None:
    person = Person(place.url, tmp_path)
    with visit() as visitor:
        for case, text in BY_COMMAND.items():
            said = person.run("reveal", visitor.share(text))
            assert (said.code, said.out.decode()) == (0, text), case


@pytest.mark.full
def test_command_to_page(visit: Visit, place: Place, tmp_path: Path) -> None:
    person = Person(place.url, tmp_path)
    with visit() as visitor:
        for case, text in (BY_COMMAND | {"mixed": LINE_ENDS["mixed"]}).items():
            visitor.open_link(person.share(text.encode()))
            visitor.send("#show")
            # Script has put it there: no markup comes between.
            assert visitor.page.locator("pre#secret").text_content() == text, case


def test_api_to_page(visitor: Visitor, script: bool, place: Place, tmp_path: Path) -> None:
    for case, text in cases(script=script).items():
        visitor.open(f"secret/{place.share(text)[0]}")
        # A page has no carriage return of its own: HTML must spell it, and text content gives it back.
        assert revealed(visitor, tmp_path) == (shown(text), text), case


def test_form_to_form_when_something_is_wrong(visitor: Visitor, script: bool) -> None:
    for case, text in cases(script=False).items():
        visitor.open()
        visitor.write(text, "abc")
        visitor.send()
        visitor.page.wait_for_selector("#summary:visible")
        # With script it has not been away.
        kept = fed(text) if script else shown(fed(text))
        assert visitor.page.input_value("#secret") == kept, case
        assert visitor.page.input_value("#passphrase") == "abc"


@pytest.mark.parametrize("case", ["NUL", "bidi", "a leading newline", "emoji"])
def test_what_is_copied_is_exact(case: str, visit: Visit, place: Place) -> None:
    text = NASTY[case]
    with visit(permissions=["clipboard-read", "clipboard-write"]) as visitor:
        visitor.open(f"secret/{place.share(text)[0]}")
        visitor.send("#show")
        visitor.page.click("[data-copies=secret]")
        visitor.page.wait_for_selector("#secret-said:has-text('Copied')")
        assert visitor.page.evaluate("() => navigator.clipboard.readText()") == text


def test_a_passphrase_is_exact_too(visitor: Visitor) -> None:
    for case in ("blanks", "quotes", "emoji", "ukrainian", "entities"):
        text = NASTY[case]
        visitor.open_link(visitor.share("text", passphrase=text))
        visitor.page.fill("#passphrase", text)
        visitor.send("#show")
        assert visitor.page.locator("pre#secret").text_content() == "text", case
