"""The page of what went wrong."""

import pytest

from onetime.core.vault import Vault
from onetime.errors import OnetimeError, Unavailable, Undecryptable
from tests.web.pages.reading import Page, Reader


async def test_an_unknown_address(visitor: Reader) -> None:
    page = await visitor.open("/nothing/here")
    assert page.status == 404
    assert page.title == "Error: There is no page here · Onetime"
    assert page.focused.tag == "h1"


async def test_a_page_of_another_site(visitor: Reader) -> None:
    page = Page(await visitor.client.post("/", headers={"origin": "https://other.example"}))
    assert page.status == 403
    assert "nothing was done" in page.text


async def test_another_method(visitor: Reader) -> None:
    page = Page(await visitor.client.get("/secret/x/burn"))
    assert page.status == 405
    assert page.answer.headers["allow"]


async def test_a_host_that_is_not_ours(visitor: Reader) -> None:
    page = Page(await visitor.client.get("/", headers={"host": "other.example"}))
    assert page.status == 421
    assert "other.example" not in page.answer.text


async def test_a_form_that_is_not_text(visitor: Reader) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    page = Page(await visitor.client.post("/", content=b"secret=%ff", headers=kind))
    assert page.status == 400
    assert "The request could not be read" in page.text


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Unavailable(), 503, "Try again in 5 seconds."),
        (Undecryptable(), 503, "It is still here, unopened."),
        (OnetimeError(), 500, "It is a fault of ours"),
        (ValueError("correct horse"), 500, "say this reference:"),
    ],
)
async def test_a_failure_says_what_to_do_and_nothing_else(
    visitor: Reader, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    async def fail(*_: object, **__: object) -> str:
        raise error

    page = await visitor.open(await visitor.link())
    monkeypatch.setattr(Vault, "reveal", fail)
    failed = await visitor.send(page)

    assert failed.status == status
    assert words in failed.text
    assert "correct horse" not in failed.answer.text
    assert failed.answer.headers["cache-control"] == "no-store"
    if isinstance(error, Unavailable):
        assert failed.answer.headers["retry-after"] == "5"


async def test_it_speaks_the_readers_language(visitor: Reader) -> None:
    page = await visitor.open("/nothing", language="uk")
    assert page.title == "Помилка: Такої сторінки немає · Onetime"
