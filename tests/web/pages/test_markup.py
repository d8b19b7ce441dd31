"""What is true of the markup of every page: nothing inline, nothing that leaks, every control named."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.web.pages.reading import Page, Reader, reader

NO_LEAK = {
    "spellcheck": "false",
    "translate": "no",
    "autocomplete": "off",
    "autocapitalize": "off",
    "autocorrect": "off",
    "data-1p-ignore": "",
    "data-lpignore": "true",
    "data-bwignore": "",
    "data-form-type": "other",
}
PLAIN = "/secret/" + "0" * 31


async def every_page(visitor: Reader) -> AsyncIterator[tuple[str, Page]]:
    """Each state a page can have."""
    home = await visitor.open("/")
    yield "form", home
    yield "form, nothing written", await visitor.send(home, "/", secret="")
    yield (
        "form, wrong passphrase",
        await visitor.send(home, "/", secret="correct horse", passphrase="abc"),
    )
    made = await visitor.share("correct horse", passphrase="battery staple")
    yield "result", made
    yield "result, generated", await visitor.share("", kind="generate")
    link = made.find("link").text
    receipt = next(each for each in made.links() if "/receipt/" in each)
    yield "receipt", await visitor.open(receipt)
    confirm = await visitor.open(link)
    yield "secret, passphrase", confirm
    yield "secret, wrong passphrase", await visitor.send(confirm, passphrase="guess")
    yield (
        "secret, wrong passphrase to destroy",
        await visitor.send(confirm, "/burn", passphrase="guess"),
    )
    yield "revealed", await visitor.send(confirm, passphrase="battery staple")
    yield "receipt, opened", await visitor.open(receipt)
    plain = await visitor.open(await visitor.link())
    yield "secret", plain
    yield "destroyed", await visitor.send(plain, "/burn")
    yield "gone", await visitor.open(PLAIN)
    yield "receipt, gone", await visitor.open("/receipt/x")
    for path in ("/info/about", "/info/privacy", "/info/terms", "/nothing"):
        yield path, await visitor.open(path)


@pytest.fixture
async def pages(tmp_path: Path) -> dict[str, Page]:
    words = tmp_path / "terms.txt"
    words.write_text("Be kind.", encoding="utf-8")
    async with reader(tmp_path, terms_file=words, operator_contact="a@b.example") as visitor:
        return {name: page async for name, page in every_page(visitor)}


async def test_nothing_is_inline(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for element in (*page.elements, *page.inert):
            assert "style" not in element.attributes, name
            assert element.tag != "style", name
            assert not [each for each in element.attributes if each.startswith("on")], name
            if element.tag == "script":
                assert element.attributes["src"].startswith("/static/")
                assert element.attributes["type"] == "module"
                assert not element.text


async def test_what_is_secret_leaks_nothing_to_the_browsers_helpers(pages: dict[str, Page]) -> None:
    seen = set()
    for name, page in pages.items():
        for element in (*page.elements, *page.inert):
            is_secret = element.tag in {"textarea", "pre"} or (
                element.tag == "input" and element.attributes.get("type") == "password"
            )
            if is_secret:
                seen.add(element.attributes["id"])
                assert element.attributes.items() >= NO_LEAK.items(), (name, element.attributes)
    assert seen == {"secret", "passphrase", "link", "value", "burn-passphrase"}


async def test_a_secret_stands_nowhere_else(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for element in page.elements:
            for attribute, value in element.attributes.items():
                assert "correct horse" not in value, (name, element.tag, attribute)
                assert "battery staple" not in value, (name, element.tag, attribute)


async def test_ids_are_there_once_and_references_have_their_end(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        elements = (*page.elements, *page.inert)
        ids = [each.attributes["id"] for each in elements if "id" in each.attributes]
        assert len(ids) == len(set(ids)), name
        for element in elements:
            for attribute in ("for", "aria-describedby", "aria-labelledby", "aria-controls"):
                for target in element.attributes.get(attribute, "").split():
                    assert target in ids, (name, attribute, target)
            href = element.attributes.get("href", "")
            assert not href.startswith("#") or href[1:] in ids, (name, href)


async def test_every_control_has_a_name(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        elements = (*page.elements, *page.inert)
        labels = {each.attributes.get("for") for each in elements if each.tag == "label"}
        for element in elements:
            if element.tag not in {"input", "textarea", "select"}:
                continue
            attributes = element.attributes
            assert (
                attributes.get("type") == "hidden"
                or attributes.get("id") in labels
                or "label" in element.inside
                or "aria-labelledby" in attributes
            ), (name, attributes)


async def test_every_page_has_one_headline_a_title_and_a_way_past_the_head(
    pages: dict[str, Page],
) -> None:
    for name, page in pages.items():
        assert len(page.all("h1")) == 1, name
        assert page.title.endswith(" · Onetime"), name
        assert page.title == " ".join(page.title.split()), name
        first = next(each for each in page.all("a"))
        assert first.attributes["href"] == "#main", name
        levels = [int(each.tag[1]) for each in page.elements if each.tag in {"h1", "h2", "h3"}]
        tops = levels if levels[0] == 1 else levels[1:]
        for higher, lower in pairwise(tops):
            assert lower - higher <= 1, name


async def test_errors_say_so_in_the_title_and_take_the_focus(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        is_error = "wrong" in name or "nothing" in name
        assert page.title.startswith("Error: ") == is_error, name
        if is_error:
            assert page.focused.attributes["tabindex"] == "-1", name


async def test_without_script_no_button_is_dead(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for button in page.all("button"):
            if button.attributes.get("type") == "button":
                assert "hidden" in button.attributes, name


async def test_there_is_one_first_button_in_the_open(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        first = [
            each
            for each in page.elements
            if "first" in each.attributes.get("class", "").split() and "details" not in each.inside
        ]
        assert len(first) <= 1, name


async def test_pages_load_from_here_alone(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for element in page.elements:
            for attribute in ("src", "action", "data", "poster", "srcset"):
                value = element.attributes.get(attribute, "")
                assert value.startswith(("/", "data:image/svg+xml")) or not value, (name, value)
            href = element.attributes.get("href", "")
            assert not href.startswith("http"), (name, href)
