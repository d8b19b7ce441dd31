"""What is revealed equals what was given, character for character, whichever way in and out.

Only a page cannot hold everything: NUL is shown as U+FFFD there, and the file beside it is exact.
"""

import base64

import pytest

from tests.web.pages.reading import HERE, Reader

NASTY = {
    "blanks": "  two before, three after   ",
    "a leading newline": "\nsecond line",
    "two leading newlines": "\n\nthird line",
    "newlines alone": "\n\n\n",
    "tabs": "\tone\t\ttwo\t",
    "NUL": "before\0after",
    "controls": "".join(map(chr, range(1, 9))) + "\x0b\x0c\x0e\x1b\x7f\x80\x85\x9f",
    "bidi": "user\u202etxt.exe\u202c \u2066isolated\u2069 \u200f",
    "zero width": "pass\u200bword\u200c\u200d\u2060\ufeff",
    "a byte order mark first": "\ufefftext",
    "end of the element": "</textarea></pre><script>alert(1)</script><!-- --> ]]>",
    "entities": "&amp; &#38; &lt &nbsp; &#0; %26 %00 +",
    "quotes": "\"double\" 'single' `back` \\ / =",
    "emoji": "👩\u200d👩\u200d👧\u200d👦 🏴\U000e0067\U000e0062\U000e007f ❤\ufe0f",
    "combining": "Z\u0351\u036b\u0343\u036a\u0302\u036b i\u0307 \u0430\u0306 \u1100\u1161\u11a8",
    "not composed": "é e\u0301 Å A\u030a \u212b",
    "outside the first plane": "\U0001d4b3 \U0010fffd \ufffe \uffff \U0001f600",
    "line ends of Unicode": "a\u2028b\u2029c",
    "placeholders": "{{ 7*7 }} {% raw %} %(name)s ${x} #{y}",
    "ukrainian": "Ґанок, їжак і м’яч: «щастя»",
}

# What a form cannot send as it is: browsers send every line end as CR LF, and the form takes LF for it.
LINE_ENDS = {
    "CR LF": "one\r\ntwo\r\n",
    "CR": "one\rtwo\r",
    "mixed": "one\r\n\rtwo\n\r",
    "a leading CR": "\rtext",
    "a leading CR LF": "\r\ntext",
}


def shown(text: str) -> str:
    return text.replace("\0", "\ufffd")


async def through_page(visitor: Reader, link: str) -> tuple[str, str]:
    """The text as the page shows it, and as its file has it."""
    page = await visitor.send(await visitor.open(link))
    packed = page.find("save").attributes["href"].partition(",")[2]
    return page.find("secret").text, base64.b64decode(packed).decode()


async def conceal_by_api(visitor: Reader, text: str) -> str:
    answer = await visitor.client.post("/api/v1/share", json={"secret": text})
    return f"/secret/{answer.json()['secret_key']}"


@pytest.mark.parametrize("case", NASTY)
async def test_form_to_page(visitor: Reader, case: str) -> None:
    text = NASTY[case]
    assert await through_page(visitor, await visitor.link(text)) == (shown(text), text)


@pytest.mark.parametrize("case", NASTY)
async def test_form_to_api(visitor: Reader, case: str) -> None:
    link = await visitor.link(NASTY[case])
    answer = await visitor.client.post(f"/api/v1{link}")
    assert answer.json()["value"] == NASTY[case]


@pytest.mark.parametrize("case", NASTY | LINE_ENDS)
async def test_api_to_page(visitor: Reader, case: str) -> None:
    text = (NASTY | LINE_ENDS)[case]
    link = await conceal_by_api(visitor, text)
    assert await through_page(visitor, link) == (shown(text), text)


@pytest.mark.parametrize("case", LINE_ENDS)
async def test_a_form_gives_line_feeds(visitor: Reader, case: str) -> None:
    text = LINE_ENDS[case]
    fed = text.replace("\r\n", "\n").replace("\r", "\n")
    assert await through_page(visitor, await visitor.link(text)) == (fed, fed)


@pytest.mark.parametrize("case", NASTY)
async def test_form_to_form_when_something_is_wrong(visitor: Reader, case: str) -> None:
    text = NASTY[case]
    page = await visitor.send(await visitor.open("/"), "/", secret=text, passphrase="abc")
    assert page.status == 400
    assert page.find("secret").text == shown(text)


async def test_the_link_is_exact(visitor: Reader) -> None:
    page = await visitor.share("text")
    assert page.find("link").text.startswith(f"{HERE}/secret/")
    assert page.find("link").text.strip() == page.find("link").text


async def test_the_reader_of_these_tests_sees_a_lost_newline(visitor: Reader) -> None:
    """The twin: a page whose template does not feed the parser its newline loses one."""
    page = await visitor.send(await visitor.open(await visitor.link("\ntext")))
    page.feed(page.answer.text.replace(">\n\ntext", ">\ntext"))
    twice = [each.text for each in page.elements if each.attributes.get("id") == "secret"]
    assert twice == ["\ntext", "text"]
