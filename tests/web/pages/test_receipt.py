"""What the sender keeps."""

import pytest

from onetime.core.limits import PASSPHRASE_TOTAL
from onetime.model import Receipt, State
from tests.web.pages.reading import Clock, Page, Reader


async def shared(visitor: Reader, **changed: str) -> tuple[str, str]:
    """Link and receipt of a new secret."""
    page = await visitor.share("correct horse", **changed)
    return page.find("link").text, next(each for each in page.links() if "/receipt/" in each)


async def test_it_tells_the_truth(visitor: Reader, clock: Clock) -> None:
    opened, its_receipt = await shared(visitor)
    _, expired = await shared(visitor)
    clock.now += 600
    await visitor.send(await visitor.open(opened))

    page = await visitor.open(its_receipt)
    assert page.find("title").text == "Opened"
    assert [each.attributes["datetime"] for each in page.all("time")] == [
        "2026-12-01T12:05:00Z",
        "2026-12-01T12:15:00Z",
        "2026-12-15T12:05:00Z",
    ]
    page = await visitor.open(expired)
    assert page.find("title").text == "Not opened yet"
    assert "Waiting for the recipient" in page.text
    clock.now += 7 * 86_400
    page = await visitor.open(expired)
    assert page.find("title").text == "Expired: nobody opened it in time"
    clock.now += 7 * 86_400
    page = await visitor.open(expired)
    assert page.status == 404
    assert "There is no receipt here" in page.text


async def test_it_never_shows_the_link(visitor: Reader) -> None:
    link, receipt = await shared(visitor)
    page = await visitor.open(receipt)
    assert link.rpartition("/")[2] not in page.answer.text
    assert "/secret/" not in page.answer.text


async def test_it_counts_wrong_passphrases(visitor: Reader) -> None:
    link, receipt = await shared(visitor, passphrase="battery staple")
    assert "No wrong passphrases so far" in (await visitor.open(receipt)).text
    await visitor.send(await visitor.open(link), passphrase="guess")
    assert "1 wrong passphrase was tried" in (await visitor.open(receipt)).text
    await visitor.send(await visitor.open(link), passphrase="guess")
    assert "2 wrong passphrases were tried" in (await visitor.open(receipt)).text


async def test_it_says_when_a_secret_stays_closed(
    visitor: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = Receipt(
        receipt_key="0" * 31,
        kind=(await visitor.app.vault.conceal("text")).receipt.kind,
        state=State.NEW,
        has_passphrase=True,
        created_at=0,
        secret_expires_at=60,
        expires_at=120,
        ended_at=None,
        wrong_tries=PASSPHRASE_TOTAL,
        now=1,
    )

    async def give(*_: object) -> Receipt:
        return receipt

    monkeypatch.setattr(type(visitor.app.vault), "receipt", give)
    page = await visitor.open("/receipt/" + "0" * 31)
    assert "It stays closed now: destroy it and send a new one." in page.text


async def test_it_destroys_the_secret_after_a_second_press(visitor: Reader) -> None:
    link, receipt = await shared(visitor)
    page = await visitor.open(receipt)
    form = next(each for each in page.all("form"))
    assert "details" in form.inside

    answer = (await visitor.send(page, "/burn")).answer
    assert answer.status_code == 303
    assert answer.headers["location"] == receipt
    assert (await visitor.open(receipt)).find("title").text == "Destroyed unread"
    assert (await visitor.open(link)).status == 404
    again = (await visitor.send(page, "/burn")).answer
    assert again.status_code == 303


async def test_too_late_is_said(visitor: Reader) -> None:
    link, receipt = await shared(visitor)
    page = await visitor.open(receipt)
    await visitor.send(await visitor.open(link))

    late = await visitor.send(page, "/burn")
    assert late.status == 409
    assert "Too late: someone has opened it." in late.text
    assert late.title == "Error: too late · Onetime"
    assert late.focused is late.find("too-late")
    assert late.find("title").text == "Opened"


async def test_a_passphrase_is_not_asked_of_the_sender(visitor: Reader) -> None:
    _, receipt = await shared(visitor, passphrase="battery staple")
    await visitor.send(await visitor.open(receipt), "/burn")
    assert (await visitor.open(receipt)).find("title").text == "Destroyed unread"


async def test_a_post_without_the_forms_field_does_nothing(visitor: Reader) -> None:
    _, receipt = await shared(visitor)
    answer = await visitor.client.post(f"{receipt}/burn")
    assert answer.status_code == 303
    assert (await visitor.open(receipt)).find("title").text == "Not opened yet"


@pytest.mark.parametrize("name", ["private", "metadata"])
async def test_earlier_addresses_lead_here(visitor: Reader, name: str) -> None:
    _, receipt = await shared(visitor)
    answer = await visitor.client.get(receipt.replace("receipt", name) + "?lang=uk")
    assert answer.status_code == 301
    assert answer.headers["location"] == receipt + "?lang=uk"


async def test_the_earlier_address_of_destroying_leads_here(visitor: Reader) -> None:
    _, receipt = await shared(visitor)
    answer = await visitor.client.post(
        receipt.replace("receipt", "private") + "/burn", data={"burn": "yes"}
    )
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{receipt}/burn"


async def test_an_unknown_receipt_has_its_own_page(visitor: Reader) -> None:
    for answer in (
        await visitor.client.get("/receipt/unknown"),
        await visitor.client.post("/receipt/unknown/burn", data={"burn": "yes"}),
    ):
        page = Page(answer)
        assert page.status == 404
        assert "There is no receipt here" in page.text


# Of what its sender has encrypted


async def test_the_page_of_such_a_receipt_knows_nothing_of_it(
    visitor: Reader, clock: Clock
) -> None:
    first = await visitor.client.get("/receipt")
    clock.now += 86_400
    pages = {(await visitor.client.get(path)).content for path in ("/receipt", "/receipt?a=b")}
    assert pages == {first.content}
    assert first.headers["cache-control"] == "no-store"


async def test_without_script_it_says_what_is_needed(visitor: Reader) -> None:
    page = await visitor.open("/receipt")
    assert page.all("h1")[0].text == "This receipt needs JavaScript"
    assert "onetime status" in page.text
    assert page.forms == []
