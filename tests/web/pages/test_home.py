"""The form and what its sender gets."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from onetime import errors
from onetime.core.vault import Vault
from onetime.model import Caller
from tests.web.pages.reading import HERE, Reader, reader


async def test_the_first_page_is_the_form(visitor: Reader) -> None:
    page = await visitor.open("/")

    assert page.status == 200
    assert page.title == "Share a secret once · Onetime"
    fields = page.form("/").fields
    assert fields["kind"] == "conceal"
    assert fields["ttl"] == "604800"
    assert re.fullmatch(r"[0-9a-f]{32}", fields["once"])
    assert (await visitor.open("/")).form("/").fields["once"] != fields["once"]


async def test_it_says_that_this_server_sees_the_text_and_never_that_it_cannot(
    visitor: Reader,
) -> None:
    """As it is until the script has run, and without it for good; what the script may say waits in a template."""
    for page in (await visitor.open("/"), await visitor.open(await visitor.link())):
        assert "This server sees the text" in page.text
        assert "sees it in passing" in page.text
        assert "end-to-end" not in page.text.lower()
        assert "cannot read it" not in page.text
    home = await visitor.open("/")
    (warning, _) = home.all("noscript")
    assert (
        warning.text.strip() == "Without JavaScript, this server sees your text while you send it."
    )
    waiting = next(each for each in home.inert if each.text.endswith("cannot read it"))
    assert "template" in waiting.inside


async def test_sharing_gives_a_link_and_a_receipt(visitor: Reader) -> None:
    page = await visitor.share("correct horse")

    link = page.find("link").text
    assert re.fullmatch(re.escape(HERE) + r"/secret/[0-9a-z]{31}", link)
    receipt = next(each for each in page.links() if "/receipt/" in each)
    assert str(page.answer.url) == f"{HERE}/", "the address bar must not hold the receipt"
    assert link not in page.links(), "a sender who clicks it would open it"
    assert page.focused.tag == "h1"
    assert (await visitor.open(receipt)).find("title").text == "Not opened yet"
    assert "correct horse" not in page.answer.text


async def test_the_qr_code_is_of_the_link_and_made_here(visitor: Reader) -> None:
    page = await visitor.share("correct horse")

    (image,) = page.all("img")
    assert image.attributes["src"].startswith("data:image/svg+xml;charset=utf-8,")
    assert "<script" not in unquote(image.attributes["src"])
    assert "details" in image.inside


async def test_a_generated_password_is_shown_to_its_maker_and_reaches_the_recipient(
    visitor: Reader,
) -> None:
    page = await visitor.share("", kind="generate", length="24")

    value = page.find("value").text
    assert len(value) == 24
    opened = await visitor.send(await visitor.open(page.find("link").text))
    assert opened.find("secret").text == value


async def test_a_generated_password_has_what_was_asked_for(visitor: Reader) -> None:
    page = await visitor.open("/")
    made = await visitor.send(page, "/", kind="generate", symbols=None, length="24")

    assert made.find("value").text.isalnum()


async def test_a_double_click_makes_one_secret(visitor: Reader) -> None:
    page = await visitor.open("/")
    first = await visitor.send(page, "/", secret="correct horse")
    second = await visitor.send(page, "/", secret="correct horse")

    assert first.find("link").text == second.find("link").text
    other = await visitor.send(page, "/", secret="another text")
    assert other.find("link").text != first.find("link").text


async def test_a_reload_after_it_was_opened_shows_the_receipt(visitor: Reader) -> None:
    page = await visitor.open("/")
    first = await visitor.send(page, "/", secret="correct horse")
    await visitor.send(await visitor.open(first.find("link").text))

    again = await visitor.send(page, "/", secret="correct horse")
    assert again.find("title").text == "Opened"
    assert not again.has("link")


async def test_a_reload_does_not_show_a_generated_password_for_ever(visitor: Reader) -> None:
    page = await visitor.open("/")
    first = await visitor.send(page, "/", kind="generate")
    await visitor.send(page, "/", kind="generate")
    third = await visitor.send(page, "/", kind="generate")

    assert third.find("link").text == first.find("link").text
    assert not third.has("value")
    assert "The password is not shown again" in third.text


WRONG = {
    "nothing": ({"secret": ""}, 400, "secret", "Write the secret you want to share"),
    "too long": (
        {"secret": "x" * 1001},
        413,
        "secret",
        "This is 1.1\u00a0kB; 1\u00a0kB is the limit.",
    ),
    "short passphrase": (
        {"secret": "text", "passphrase": "abc"},
        400,
        "passphrase",
        "Make the passphrase at least 4 characters long",
    ),
    "long passphrase": (
        {"secret": "text", "passphrase": "a" * 129},
        400,
        "passphrase",
        "Make the passphrase at most 128 characters long",
    ),
    "unknown letters": (
        {"secret": "text", "passphrase": "abcd\u0378"},
        400,
        "passphrase",
        "The passphrase holds characters that not every device can type",
    ),
    "no lifetime": (
        {"secret": "text", "ttl": "soon"},
        400,
        "ttl",
        "Choose between 1 minute and 7 days.",
    ),
    "short lifetime": (
        {"secret": "text", "ttl": "59"},
        400,
        "ttl",
        "Choose between 1 minute and 7 days.",
    ),
    "long lifetime": (
        {"secret": "text", "ttl": "604801"},
        400,
        "ttl",
        "Choose between 1 minute and 7 days.",
    ),
    "length": (
        {"kind": "generate", "length": "1000"},
        400,
        "length-16",
        "Choose one of the lengths",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_said_first_and_at_its_field(tmp_path: Path, case: str) -> None:
    fields, status, field, message = WRONG[case]
    async with reader(tmp_path, max_secret_bytes=1000) as visitor:
        page = await visitor.send(await visitor.open("/"), "/", **fields)

    assert page.status == status
    assert page.title == f"Error: {message} · Onetime"
    assert page.focused is page.find("summary")
    assert f"#{field}" in page.links()
    assert page.all("main")[0].text.count(message) == 2
    control = page.find(field)
    if field != "length-16":
        assert control.attributes["aria-invalid"] == "true"
        described = control.attributes["aria-describedby"].split()[0]
        assert message in page.find(described).text
    kept = page.form("/").fields
    expected = fields | ({"secret": ""} if case == "too long" else {})
    for name in {"secret", "passphrase", "kind"} & set(fields):
        assert kept[name] == expected[name]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "So long a text is not sent back: copy it again from where you have it."),
        ("uk", "Такий довгий текст назад не надсилається"),
    ],
    ids=["en", "uk"],
)
async def test_a_text_above_the_limit_is_not_sent_back_and_everything_else_is(
    tmp_path: Path, language: str, words: str
) -> None:
    """Escaped, it would be five times as long as what was sent."""
    async with reader(tmp_path, max_secret_bytes=1000) as visitor:
        first = await visitor.open(f"/?lang={language}")
        typed = {"secret": '"' * 20_000, "passphrase": "correct horse", "ttl": "3600"}
        page = await visitor.send(first, "/", **typed)
        assert page.status == 413
        assert words in page.find("summary").text
        assert page.form("/").fields == first.form("/").fields | typed | {"secret": ""}
        assert len(page.answer.content) < len(first.answer.content) + 2_000
        # Of the limit's own length it stays, whatever else is wrong.
        typed = {"secret": '"' * 1000, "passphrase": "abc"}
        page = await visitor.send(first, "/", **typed)
        assert page.status == 400
        assert words not in page.find("summary").text
        assert page.form("/").fields["secret"] == typed["secret"]


async def test_a_text_above_the_limit_is_not_sent_back_with_another_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, caller: Caller) -> None:
        raise errors.Unavailable

    async with reader(tmp_path, max_secret_bytes=1000) as visitor:
        first = await visitor.open("/")
        monkeypatch.setattr(Vault, "conceal", refuse)
        page = await visitor.send(first, "/", secret="x" * 1001, passphrase="abcd")
    summary = page.find("summary").text
    assert "So long a text is not sent back" in summary
    assert "What you have written is still here" not in summary
    assert page.form("/").fields["secret"] == ""
    assert page.form("/").fields["passphrase"] == "abcd"


async def test_other_fields_do_not_come_back_several_times_their_size(visitor: Reader) -> None:
    first = await visitor.open("/")
    long = '"' * 90_000
    for name in ("passphrase", "once", "ttl", "length", "kind"):
        page = await visitor.send(first, "/", **{"secret": "", name: long})
        assert page.status == 400
        assert len(page.answer.content) < len(first.answer.content) + 2_000, name


async def test_everything_typed_stays(visitor: Reader) -> None:
    typed = {
        "secret": "\n  two\nlines </textarea> &amp; \t",
        "passphrase": 'ab"',
        "ttl": "3600",
        "kind": "conceal",
    }
    first = await visitor.open("/")
    page = await visitor.send(first, "/", **typed)

    assert page.status == 400
    kept = page.form("/").fields
    assert {name: kept[name] for name in typed} == typed
    assert kept["once"] == first.form("/").fields["once"]
    mended = await visitor.send(page, "/", passphrase="abcd")
    opened = await visitor.send(await visitor.open(mended.find("link").text), passphrase="abcd")
    assert opened.find("secret").text == typed["secret"]


@pytest.mark.parametrize(
    ("error", "status", "wait", "words"),
    [
        (
            errors.RateLimited("create", retry_after=20),
            429,
            "20",
            "Too many at the moment. Try again in 20 seconds.",
        ),
        (errors.Full(), 503, "60", "No room for new secrets now. Reading still works."),
        (errors.Unavailable(), 503, "5", "The server is busy, and nothing was kept."),
    ],
)
async def test_a_refusal_keeps_what_was_written(
    visitor: Reader,
    monkeypatch: pytest.MonkeyPatch,
    error: errors.OnetimeError,
    status: int,
    wait: str,
    words: str,
) -> None:
    async def refuse(*_: object, caller: Caller) -> None:
        raise error

    page = await visitor.open("/")
    monkeypatch.setattr(Vault, "conceal", refuse)
    refused = await visitor.send(page, "/", secret="correct horse")

    assert refused.status == status
    assert refused.answer.headers["retry-after"] == wait
    assert words in refused.text
    assert refused.form("/").fields["secret"] == "correct horse"
    assert refused.title.startswith("Error: ")
    assert refused.focused is refused.find("summary")


async def test_lifetimes_follow_the_settings(tmp_path: Path) -> None:
    async with reader(
        tmp_path, min_ttl=600, default_ttl=5400, anonymous_max_ttl=7200, max_ttl=7200
    ) as visitor:
        page = await visitor.open("/")

    offered = {each.attributes["value"]: each.text for each in page.all("option")}
    assert offered == {"3600": "1 hour", "5400": "90 minutes", "7200": "2 hours"}
    assert page.form("/").fields["ttl"] == "5400"


async def test_too_large_a_request_is_told_so(visitor: Reader) -> None:
    page = await visitor.send(await visitor.open("/"), "/", secret="x" * 1_000_000)

    assert page.status == 413
    assert "A secret may hold up to 100 kB." in page.text


async def test_a_bare_post_of_the_text_is_enough(visitor: Reader) -> None:
    answer = await visitor.client.post("/", data={"secret": "correct horse"})
    assert answer.status_code == 200


async def test_the_form_is_packed_and_what_holds_somebodys_text_is_not(visitor: Reader) -> None:
    """How well a page packs tells something of what is in it."""
    packed = {"accept-encoding": "gzip"}
    form = await visitor.client.get("/", headers=packed)
    assert form.headers["content-encoding"] == "gzip"
    plain = await visitor.client.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert re.sub("[0-9a-f]{32}", "", form.text) == re.sub("[0-9a-f]{32}", "", plain.text)
    for data in ({"secret": ""}, {"secret": "correct horse"}):
        answer = await visitor.client.post("/", data=data, headers=packed)
        assert "content-encoding" not in answer.headers


async def test_the_parts_of_the_result_are_there_for_the_script(visitor: Reader) -> None:
    """One set of markup for both kinds of link: what the page of the one shows, the form of the other has ready."""
    ready = {each.attributes.get("id") for each in (await visitor.open("/")).inert}
    made = await visitor.share("", kind="generate", passphrase="correct horse")
    shown = {each.attributes["id"] for each in made.elements if "id" in each.attributes}
    assert shown - {"main"} <= ready
    assert "remember" in ready - shown
