"""What is told about the service, and what programs look for at fixed addresses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from onetime.core.inventory import ABSENT, BEYOND, FIELDS
from tests.web.pages.reading import Clock, Reader, reader


async def test_about_says_what_the_server_sees(visitor: Reader) -> None:
    page = await visitor.open("/info/about")
    assert page.status == 200
    assert "Of your text nothing, where your browser runs JavaScript" in page.text
    assert "Without JavaScript this server sees the text for a moment" in page.text
    assert "/info/privacy" in page.links()


async def test_privacy_has_every_field_of_the_inventory(visitor: Reader) -> None:
    page = await visitor.open("/info/privacy")
    names = [each.text for each in page.all("code")]
    assert sorted(names) == sorted(each.name for each in FIELDS)
    for sentence in (*ABSENT, *BEYOND):
        assert sentence in page.text
    titles = [each.text for each in page.all("h3")]
    assert sorted(titles) == sorted({each.category.title for each in FIELDS})
    personal = {each.category.title for each in FIELDS if each.category.personal}
    assert set(titles[: len(personal)]) == personal
    assert (await visitor.open("/info/privacy?lang=uk")).status == 200


async def test_the_short_address_of_privacy(visitor: Reader) -> None:
    answer = await visitor.client.get("/privacy?lang=uk")
    assert answer.status_code == 301
    assert answer.headers["location"] == "/info/privacy?lang=uk"


async def test_terms_are_the_operators_words(tmp_path: Path) -> None:
    words = tmp_path / "terms.txt"
    words.write_text("Be kind.\nTruly <b>kind</b>.\n\n\nNo warranty.\n", encoding="utf-8")
    async with reader(tmp_path, terms_file=words) as visitor:
        page = await visitor.open("/info/terms")
        assert page.status == 200
        assert "/info/terms" in (await visitor.open("/")).links()
    paragraphs = [each.text for each in page.all("p") if each.attributes.get("class") == "lines"]
    assert paragraphs == ["Be kind.\nTruly <b>kind</b>.", "No warranty."]


async def test_without_terms_there_is_no_page_and_no_link(visitor: Reader) -> None:
    assert (await visitor.open("/info/terms")).status == 404
    assert "/info/terms" not in (await visitor.open("/")).links()


async def test_terms_that_cannot_be_read_are_not_there(tmp_path: Path) -> None:
    async with reader(tmp_path, terms_file=tmp_path / "nothing") as visitor:
        assert (await visitor.open("/info/terms")).status == 404


async def test_robots_stay_out_of_what_people_shared(tmp_path: Path) -> None:
    async with reader(tmp_path, base_url="https://x.example/ots/") as visitor:
        answer = await visitor.client.get("/ots/robots.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for path in ("secret", "receipt", "private", "metadata", "l", "api"):
        assert f"Disallow: /ots/{path}/\n" in answer.text


async def test_a_contact_makes_security_txt(tmp_path: Path, clock: Clock) -> None:
    settings = {"operator_contact": "help@x.example", "base_url": "https://x.example/"}
    async with reader(tmp_path, clock=clock, **settings) as visitor:
        answer = await visitor.client.get("/.well-known/security.txt")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert fields["Contact"] == "mailto:help@x.example"
    assert fields["Canonical"] == "https://x.example/.well-known/security.txt"
    expires = datetime.fromisoformat(fields["Expires"])
    now = datetime.fromtimestamp(clock.now, UTC)
    assert timedelta(days=30) < expires - now < timedelta(days=365)


async def test_without_a_contact_there_is_none(visitor: Reader) -> None:
    assert (await visitor.open("/.well-known/security.txt")).status == 404
    assert "Ask a person" not in (await visitor.open("/")).answer.text


async def test_an_address_of_a_page_is_a_contact_too(tmp_path: Path) -> None:
    async with reader(tmp_path, operator_contact="https://x.example/help?a=1&b=2") as visitor:
        assert "https://x.example/help?a=1&b=2" in (await visitor.open("/")).links()


async def test_pages_link_to_nothing_that_is_not_there(visitor: Reader) -> None:
    for path in ("/", "/info/about", "/info/privacy", "/nothing"):
        for address in (await visitor.open(path)).links():
            if address.startswith("/"):
                assert (await visitor.open(address)).status == 200, address
