"""What the recipient meets."""

import base64
import re
from pathlib import Path

import httpx2
import pytest

from onetime import errors, i18n
from onetime.core.vault import Vault
from tests.web.pages.reading import Clock, Page, Reader, reader
from tests.web.pages.test_markup import NO_LEAK
from tests.web.pages.test_static import imported, used

MOST_BYTES = 40_000  # of the page of a link with everything, on the wire


async def test_before_the_button_the_recipient_reads_what_this_is(tmp_path: Path) -> None:
    async with reader(
        tmp_path, operator_name="Sail Co-op", operator_contact="hello@sail.example"
    ) as visitor:
        page = await visitor.open(await visitor.link())

    before, _, after = page.text.partition("Show the secret")
    for words in (
        "Someone sent you a secret",
        "It can be opened once.",
        "8 December 2026, 12:05\u00a0UTC".replace("\u00a0", " "),
        "7 days left",
        "Sail Co-op",
        "the sender and you; by this server in passing",
        "Not expecting this? Close the page: nothing will happen",
    ):
        assert words in before, words
    assert "Ask the person who sent the link" in after
    assert "mailto:hello@sail.example" in page.links()
    assert page.all("time")[0].attributes["datetime"] == "2026-12-08T12:05:00Z"


async def test_without_a_name_the_host_says_who_runs_it(visitor: Reader) -> None:
    page = await visitor.open(await visitor.link())
    assert "Run by 127.0.0.1" in page.all("footer")[0].text


async def test_it_opens_once(visitor: Reader) -> None:
    link = await visitor.link("correct horse")

    page = await visitor.send(await visitor.open(link))
    assert page.status == 200
    assert page.find("secret").text == "correct horse"
    assert page.focused.tag == "h1"
    assert "This was the only time" in page.text
    assert "13 characters, 1 line" in page.text
    assert (await visitor.open(link)).status == 404


async def test_looking_opens_nothing(visitor: Reader) -> None:
    link = await visitor.link("correct horse")
    for _ in range(3):
        assert (await visitor.open(link)).status == 200
        assert (await visitor.client.head(link)).status_code == 200
    assert (await visitor.send(await visitor.open(link))).find("secret").text == "correct horse"


@pytest.mark.parametrize("ending", ["", "/burn"])
@pytest.mark.parametrize("body", ["", "x=1", "show=no&burn=no", "show=&burn=", "passphrase=abcd"])
async def test_a_post_without_the_forms_field_does_nothing(
    visitor: Reader, ending: str, body: str
) -> None:
    link = await visitor.link("correct horse")

    answer = await visitor.client.post(
        link + ending,
        content=body,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    assert "Show the secret" in answer.text
    assert (await visitor.send(await visitor.open(link))).find("secret").text == "correct horse"


async def test_never_was_read_destroyed_and_expired_are_one_page(
    visitor: Reader, clock: Clock
) -> None:
    read, destroyed, expired = [await visitor.link() for _ in range(3)]
    await visitor.send(await visitor.open(read))
    await visitor.send(await visitor.open(destroyed), "/burn")
    clock.now += 7 * 86_400
    links = [read, destroyed, expired, "/secret/" + "0" * 31, "/secret/x", "/secret/%22%3E"]

    pages = []
    for link in links:
        for page in (
            await visitor.open(link),
            Page(await visitor.client.post(link, data={"show": "yes"})),
            Page(await visitor.client.post(link + "/burn", data={"burn": "yes"})),
        ):
            assert page.status == 404
            pages.append(page.answer.text.replace(link, "LINK"))
    assert len(set(pages)) == 1
    for words in (
        "It has been opened",
        "Its time has passed",
        "It was destroyed unread",
        "never one of ours",
        "What you can do",
    ):
        assert words in pages[0]


async def test_a_passphrase_is_asked_for(visitor: Reader) -> None:
    link = await visitor.link("correct horse", passphrase="battery staple")
    page = await visitor.open(link)

    assert page.find("title").text == "This secret has a passphrase"
    opened = await visitor.send(page, passphrase="battery staple")
    assert opened.find("secret").text == "correct horse"


async def test_a_wrong_passphrase_says_how_many_are_left_and_destroys_nothing(
    visitor: Reader,
) -> None:
    link = await visitor.link("correct horse", passphrase="battery staple")

    page = await visitor.send(await visitor.open(link), passphrase="guess")
    assert page.status == 403
    assert page.title == "Error: wrong passphrase · Onetime"
    assert page.focused is page.find("wrong")
    assert "That is not the passphrase. 4 attempts left." in page.find("wrong").text
    assert page.find("passphrase").attributes["aria-invalid"] == "true"
    assert page.find("passphrase").attributes["aria-describedby"].split()[0] == "wrong"
    assert "guess" not in page.answer.text
    opened = await visitor.send(page, passphrase="battery staple")
    assert opened.find("secret").text == "correct horse"


async def test_no_passphrase_costs_no_attempt(visitor: Reader) -> None:
    link = await visitor.link(passphrase="battery staple")

    page = await visitor.send(await visitor.open(link), passphrase="")
    assert page.status == 403
    assert "Enter the passphrase." in page.find("wrong").text
    page = await visitor.send(page, passphrase="guess")
    assert "4 attempts left" in page.find("wrong").text


async def test_too_many_wrong_ones_rest(visitor: Reader, clock: Clock) -> None:
    link = await visitor.link("correct horse", passphrase="battery staple")
    page = await visitor.open(link)
    for left in ("4 attempts left.", "3 attempts left.", "2 attempts left.", "1 attempt left."):
        page = await visitor.send(page, passphrase="guess")
        assert left in page.find("wrong").text
    page = await visitor.send(page, passphrase="guess")
    assert "No attempts are left for now." in page.find("wrong").text

    locked = await visitor.send(page, passphrase="battery staple")
    assert locked.status == 429
    assert locked.answer.headers["retry-after"] == "1800"
    assert (
        "Too many tries. Try again in 30 minutes. The secret is still here."
        in locked.find("wrong").text
    )
    clock.now += 1800
    opened = await visitor.send(await visitor.open(link), passphrase="battery staple")
    assert opened.find("secret").text == "correct horse"


async def test_one_that_stays_closed_says_so(
    visitor: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> str:
        raise errors.RateLimited("passphrase total", retry_after=None)

    link = await visitor.link(passphrase="battery staple")
    monkeypatch.setattr(Vault, "reveal", refuse)
    page = await visitor.send(await visitor.open(link), passphrase="guess")

    assert page.status == 429
    assert "retry-after" not in page.answer.headers
    assert "This secret stays closed: ask the sender for a new link." in page.text


async def test_a_network_that_asks_too_often_is_told_at_the_button(
    visitor: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> str:
        raise errors.RateLimited("reveal", retry_after=61)

    link = await visitor.link()
    monkeypatch.setattr(Vault, "reveal", refuse)
    page = await visitor.send(await visitor.open(link))

    assert page.status == 429
    assert "Too many tries. Try again in 61 seconds." in page.find("wrong").text


async def test_the_recipient_can_destroy_it_unread(visitor: Reader) -> None:
    link = await visitor.link()

    page = await visitor.send(await visitor.open(link), "/burn")
    assert page.status == 200
    assert "The secret is destroyed" in page.text
    assert (await visitor.open(link)).status == 404


async def test_destroying_needs_the_passphrase_where_there_is_one(visitor: Reader) -> None:
    link = await visitor.link(passphrase="battery staple")

    page = await visitor.send(await visitor.open(link), "/burn", passphrase="guess")
    assert page.status == 403
    assert page.focused is page.find("wrong")
    assert len([each for each in page.all("details") if "open" in each.attributes]) == 1
    assert (await visitor.open(link)).status == 200
    page = await visitor.send(page, "/burn", passphrase="battery staple")
    assert "The secret is destroyed" in page.text


async def test_what_cannot_be_seen_is_counted(visitor: Reader) -> None:
    page = await visitor.send(await visitor.open(await visitor.link("a\u202eb\u200bc\0")))
    assert "It holds 3 characters that cannot be seen here." in page.text
    page = await visitor.send(await visitor.open(await visitor.link("plain\n\ttext 👩\u200d🔬")))
    assert "cannot be seen here" not in page.text


async def test_the_file_is_exact(visitor: Reader) -> None:
    page = await visitor.send(await visitor.open(await visitor.link("a\0\u202e\n")))
    save = page.find("save").attributes
    assert save["download"] == "secret.txt"
    start, _, packed = save["href"].partition(",")
    assert start == "data:application/octet-stream;base64"
    assert base64.b64decode(packed).decode() == "a\0\u202e\n"


async def test_old_short_links_lead_here(visitor: Reader) -> None:
    key = (await visitor.link()).removeprefix("/secret/")
    answer = await visitor.client.get(f"/l/{key}")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/secret/{key}"
    answer = await visitor.client.get("/l/other.example%0d%0a%22?lang=uk")
    assert answer.headers["location"] == "/secret/other.example%0D%0A%22?lang=uk"


# What its sender has encrypted: one page for all, and the script does the rest


async def test_the_page_of_a_link_knows_nothing_of_it(visitor: Reader, clock: Clock) -> None:
    """The same whatever is asked, and whenever; a preview has nothing to show."""
    first = await visitor.client.get("/secret")
    clock.now += 86_400
    pages = {
        (await visitor.client.get(path)).content for path in ("/secret", "/secret/", "/secret?a=b")
    }
    assert pages == {first.content}
    assert first.headers["cache-control"] == "no-store"
    assert (await visitor.client.head("/secret")).status_code == 200
    assert (await visitor.client.post("/secret")).status_code == 405


async def test_without_script_the_page_of_a_link_says_what_is_needed(visitor: Reader) -> None:
    page = await visitor.open("/secret")
    assert page.all("h1")[0].text == "This link needs JavaScript"
    assert page.all("h1")[0].inside[-2:] == ("noscript", "section")
    for words in ("Nothing has been opened.", "onetime reveal", "this server cannot"):
        assert words in page.text, words
    assert page.forms == []


@pytest.mark.parametrize("path", ["/secret", "/receipt"])
async def test_it_is_packed_for_whoever_takes_it(visitor: Reader, path: str) -> None:
    plain = await visitor.client.get(path, headers={"accept-encoding": "identity"})
    packed = await visitor.client.get(path, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    for answer in (plain, packed):
        assert answer.headers["vary"] == "accept-language, accept-encoding"


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("path", ["/secret", "/receipt"])
async def test_all_that_opens_a_link_is_light(visitor: Reader, path: str, language: str) -> None:
    packed = {"accept-encoding": "gzip"}
    page = await visitor.client.get(f"{path}?lang={language}", headers=packed)
    sizes = {path: int(page.headers["content-length"])}
    addresses: set[str] = set()
    for address in used(page.text):
        await imported(visitor, address, addresses)
    for address in addresses:
        answer = await visitor.client.get(address, headers=packed)
        sizes[address] = int(answer.headers["content-length"])
    assert any(each.endswith("js/crypto/envelope.js") for each in sizes)
    assert sum(sizes.values()) < MOST_BYTES, sizes


@pytest.mark.parametrize("path", ["/secret", "/receipt"])
async def test_each_state_is_a_page_of_its_own(tmp_path: Path, path: str) -> None:
    """One headline, ids once, every reference with its end, every control with a name and guarded, no form that is sent."""
    async with reader(tmp_path, operator_contact="a@b.example") as visitor:
        text = (await visitor.client.get(path)).text
    states = re.findall(
        r'<template id="at-(\w+)" data-title="(.+?)".*?>\n(.*?)\n</template>', text, re.DOTALL
    )
    assert len(states) >= 10
    assert len({name for name, _, _ in states}) == len(states)
    beside = re.sub(r'<template id="at-.*?\n</template>', "", text, flags=re.DOTALL)
    shared = set(re.findall(r'<template id="([\w-]+)"', beside))
    for name, _, markup in states:
        elements = Page(httpx2.Response(200, text=f"<template>{markup}</template>")).inert
        (headline,) = [each for each in elements if each.tag == "h1"]
        ids = [each.attributes["id"] for each in elements if "id" in each.attributes]
        assert headline.attributes["tabindex"] == "-1", name
        assert len(ids) == len(set(ids)), name
        assert not shared & set(ids), name
        labels = {each.attributes.get("for") for each in elements if each.tag == "label"}
        for element in elements:
            assert "autofocus" not in element.attributes, name
            for attribute in ("for", "aria-describedby", "aria-labelledby", "aria-controls"):
                for target in element.attributes.get(attribute, "").split():
                    assert target in ids, (name, attribute, target)
            if element.tag in {"input", "textarea"}:
                assert element.attributes["id"] in labels, name
            if element.tag in {"input", "textarea", "pre"}:
                assert element.attributes.items() >= NO_LEAK.items(), name
            if element.tag == "form":
                # Were there no script after all, nothing that was typed would leave the page.
                assert element.attributes["method"] == "dialog", name
