"""Which language, without cookie and without script; and that the catalogues are whole."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment
from jinja2.lexer import TOKEN_BLOCK_END, TOKEN_DATA, TOKEN_NAME, TOKEN_VARIABLE_END

from onetime import i18n
from onetime.web.render import TEMPLATES
from tests.web.pages.reading import Reader

NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("uk", "uk"),
        ("uk-UA,uk;q=0.9,en;q=0.8", "uk"),
        ("en-GB,en;q=0.9,uk;q=0.8", "en"),
        ("uk;q=0.5,en;q=0.9", "en"),
        ("fr,de;q=0.9,uk;q=0.1", "uk"),
        ("fr,de", "en"),
        ("uk;q=0", "en"),
        ("*", "en"),
        ("qps", "en"),
        (";;;q=,,uk;q=nonsense", "uk"),
        ("UK-ua", "uk"),
        ("x," * 100_000 + "uk", "en"),
    ],
)
def test_the_browser_says_it(accepted: str, language: str) -> None:
    assert i18n.preferred(accepted).code == language


async def test_a_page_says_its_language_and_what_it_depends_on(visitor: Reader) -> None:
    page = await visitor.open("/", language="uk")
    assert page.html.attributes["lang"] == "uk"
    assert page.html.attributes["dir"] == "ltr"
    assert page.answer.headers["vary"] == "accept-language, accept-encoding"
    assert "set-cookie" not in page.answer.headers
    assert page.title == "Передайте секрет один раз · Onetime"


async def test_the_switch_leads_to_the_same_page(visitor: Reader) -> None:
    link = await visitor.link()
    receipt = next(each for each in (await visitor.share("text")).links() if "/receipt/" in each)
    for path in ("/", link, receipt, "/info/about", "/info/privacy", "/nothing", "/secret/x"):
        page = await visitor.open(path)
        (switch,) = [each for each in page.all("a") if each.attributes.get("lang") == "uk"]
        assert switch.text == "Українська"
        other = await visitor.open(path + "?lang=uk")
        assert other.html.attributes["lang"] == "uk"
        assert other.status == page.status
        href = switch.attributes["href"]
        assert href in {"?lang=uk", f"{path}?lang=uk"}


async def test_a_language_that_was_chosen_stays(visitor: Reader) -> None:
    page = await visitor.open("/?lang=uk", language="en")
    seen = []
    for address in [*page.links(), *(form.action for form in page.forms)]:
        if address.startswith("/"):
            assert address.endswith("?lang=uk"), address
            seen.append(address)
    assert len(seen) >= 4
    result = await visitor.share("correct horse", "?lang=uk")
    assert result.html.attributes["lang"] == "uk"
    receipt = next(each for each in result.links() if "/receipt/" in each)
    assert (await visitor.open(receipt, language="en")).html.attributes["lang"] == "uk"


async def test_it_is_not_in_the_link_to_share(visitor: Reader) -> None:
    page = await visitor.share("correct horse", "?lang=uk")
    assert "lang" not in page.find("link").text
    assert "lang" not in page.all("img")[0].attributes["src"]


async def test_one_that_was_not_chosen_is_in_no_address(visitor: Reader) -> None:
    page = await visitor.open("/", language="uk")
    for address in [*page.links(), *(form.action for form in page.forms)]:
        assert "lang=" not in address or address == "?lang=en"


async def test_a_page_that_would_be_lost_has_no_switch(visitor: Reader) -> None:
    result = await visitor.share("correct horse")
    revealed = await visitor.send(await visitor.open(result.find("link").text))
    mended = await visitor.send(await visitor.open("/"), "/", secret="")
    for page in (result, revealed, mended):
        assert not [each for each in page.all("a") if "hreflang" in each.attributes]


async def test_after_a_wrong_passphrase_the_switch_leads_to_the_secret(visitor: Reader) -> None:
    link = await visitor.link(passphrase="battery staple")
    for ending in ("", "/burn"):
        page = await visitor.send(await visitor.open(link), ending, passphrase="guess")
        (switch,) = [each for each in page.all("a") if each.attributes.get("lang") == "uk"]
        assert switch.attributes["href"] == f"{link}?lang=uk"


async def test_an_unknown_language_is_no_language(visitor: Reader) -> None:
    for asked in ("xx", "qps", "uk%22", "../uk", "UK"):
        assert (await visitor.open(f"/?lang={asked}")).html.attributes["lang"] == "en"


# Words

CASES = {
    ("en", "span", 60): "1 minute",
    ("en", "span", 5400): "90 minutes",
    ("en", "span", 7 * 86_400): "7 days",
    ("en", "span", 61): "61 seconds",
    ("en", "left", 7 * 86_400 - 2): "7 days",
    ("en", "left", 5 * 86_400 + 3600): "5 days",
    ("en", "left", 47): "47 seconds",
    ("en", "left", 0): "0 seconds",
    ("en", "left", -5): "0 seconds",
    ("en", "left", 3600): "60 minutes",
    ("en", "wait", 89): "89 seconds",
    ("en", "wait", 91): "2 minutes",
    ("en", "wait", 1): "1 second",
    ("en", "wait", 1800): "30 minutes",
    ("uk", "span", 3600): "1 годину",
    ("uk", "span", 2 * 86_400): "2 дні",
    ("uk", "span", 7 * 86_400): "7 днів",
    ("uk", "span", 21 * 86_400): "21 день",
    ("uk", "bound", 60): "1 хвилини",
    ("uk", "bound", 7 * 86_400): "7 днів",
    ("uk", "wait", 60): "1 хвилину",
    ("uk", "wait", 20): "20 секунд",
    ("uk", "size", 100_000): "100\u00a0кБ",
    ("uk", "size", 1): "1 байт",
    ("uk", "size", 3): "3 байти",
    ("uk", "size", 1_500): "1,5\u00a0кБ",
    ("en", "size", 1_500_000): "1.5\u00a0MB",
    ("en", "size", 999): "999 bytes",
    ("en", "number", 12_345): "12,345",
    ("uk", "number", 12_345): "12\u00a0345",
    ("uk", "moment", 1_796_126_700): "1\u00a0грудня 2026, 12:05\u00a0UTC",  # noqa: RUF001
    ("en", "moment", 1_796_126_700): "1\u00a0December 2026, 12:05\u00a0UTC",
}


@pytest.mark.parametrize("case", CASES)
def test_times_and_sizes_are_said_as_people_say_them(case: tuple[str, str, int]) -> None:
    code, name, value = case
    assert getattr(i18n.LANGUAGES[code], name)(value) == CASES[case]


def test_a_size_over_the_limit_is_seen_to_be_over_it() -> None:
    english = i18n.LANGUAGES["en"]
    assert english.size(100_001, above=100_000) == "100.1\u00a0kB"
    assert english.size(112_000, above=100_000) == "112\u00a0kB"


@pytest.mark.parametrize(
    ("count", "words"), [(1, "спроба"), (2, "спроби"), (5, "спроб"), (11, "спроб"), (21, "спроба")]
)
def test_ukrainian_has_three_plurals(count: int, words: str) -> None:
    said = i18n.LANGUAGES["uk"].ngettext(
        "That is not the passphrase. %(num)s attempt left.",
        "That is not the passphrase. %(num)s attempts left.",
        count,
    )
    assert said.endswith(f" {words}.")


# Catalogues


@pytest.mark.parametrize("code", ["en", "uk"])
def test_no_message_is_missing_doubtful_or_left_over(code: str) -> None:
    assert i18n.missing(code) == []
    assert i18n.superfluous(code) == []


def test_a_missing_and_a_doubtful_message_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = i18n.read("uk")
    del catalogue["Skip to the content"]
    doubtful = catalogue.get("Privacy")
    plural = catalogue.get(("%(num)d day", "%(num)d days"))
    assert doubtful is not None
    assert plural is not None
    doubtful.flags.add("fuzzy")
    plural.string = ("", "", "")
    catalogue.add("No template has this", "ні")
    monkeypatch.setattr(i18n, "read", lambda _: catalogue)
    assert set(i18n.missing("uk")) == {
        "Skip to the content",
        "Privacy",
        "('%(num)d day', '%(num)d days')",
    }
    assert i18n.superfluous("uk") == ["No template has this"]


def test_keeping_the_catalogues_changes_nothing_when_no_word_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.relative_to(i18n.LOCALES): path.read_bytes() for path in _catalogues()}
    shutil.copytree(i18n.LOCALES, tmp_path / "locales")
    monkeypatch.setattr(i18n, "LOCALES", tmp_path / "locales")

    assert i18n.update() == 0
    assert {path.relative_to(i18n.LOCALES): path.read_bytes() for path in _catalogues()} == before


def _catalogues() -> Iterator[Path]:
    return i18n.LOCALES.rglob("*.po")


@pytest.mark.parametrize("code", ["en", "uk"])
def test_translations_have_the_placeholders_and_marks_of_their_message(code: str) -> None:
    for message in i18n.read(code):
        if not message.id or message.context == "date pattern":
            continue
        ids = message.id if isinstance(message.id, tuple | list) else [message.id]
        strings = message.string if isinstance(message.string, tuple | list) else [message.string]
        for string in strings:
            assert _marks(str(string)) == _marks(ids[-1]), string


def _marks(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|</?\w+>", text))


def test_ukrainian_is_written_with_its_own_letters_and_apostrophe() -> None:
    for message in i18n.read("uk"):
        strings = message.string if isinstance(message.string, tuple | list) else [message.string]
        for string in map(str, strings):
            assert not re.search("[ыэёъЫЭЁЪ]", string), string
            assert "'" not in string or message.context, string
            assert not re.search(r"[а-яіїєґ][a-z]|[a-z][а-яіїєґ]", string, re.IGNORECASE), string


@pytest.mark.parametrize("code", ["en", "uk"])
def test_pages_never_say_burn_and_never_shout(code: str) -> None:
    data = {text for name, _, text in _data_of_core() for text in (name, text)}
    for message in i18n.read(code):
        if not message.id or message.id in data:
            continue
        for string in _strings(message.string):
            assert not re.search(r"\bburn|спалит|спален", string, re.IGNORECASE), string
            assert "!" not in string.replace("! # $ +", ""), string


def _strings(string: object) -> list[str]:
    return list(map(str, string)) if isinstance(string, tuple | list) else [str(string)]


def _data_of_core() -> Iterator[tuple[str, str, str]]:
    for message in i18n.extract():
        for name, _ in message.locations:
            if name.startswith("core/"):
                yield name, "", str(message.id)


# Templates

SEEN_ATTRIBUTES = {"aria-label", "alt", "title", "placeholder", "data-head", "content"}
NOT_PROSE = {"Onetime", "width=device-width, initial-scale=1", "light dark", "slim"}
NOT_PROSE |= {"telephone=no, date=no, address=no, email=no", "_"}


class Prose(HTMLParser):
    """Words that stand in the markup itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        for name, value in attrs:
            if name in SEEN_ATTRIBUTES and value:
                self._look(value)

    def handle_data(self, data: str) -> None:
        self._look(data)

    def _look(self, text: str) -> None:
        words = text.strip(" \n·,.:→-_")
        if re.search(r"[^\W\d_]", words) and words not in NOT_PROSE:
            self.found.append(words)


def unmarked(source: str) -> list[str]:
    """Prose of a template outside {{ _("…") }} and {% trans %}."""
    pieces: list[str] = []
    inside = False
    for _, kind, value in Environment(autoescape=True).lexer.tokeniter(source, None):
        if kind == TOKEN_NAME and value in {"trans", "endtrans"}:
            inside = value == "trans"
        elif kind == TOKEN_DATA and not inside:
            pieces.append(value)
        elif kind in {TOKEN_BLOCK_END, TOKEN_VARIABLE_END}:
            pieces.append("_")
    prose = Prose()
    prose.feed("".join(pieces))
    prose.close()
    return prose.found


@pytest.mark.parametrize("name", NAMES)
def test_no_prose_is_unmarked(name: str) -> None:
    assert unmarked((TEMPLATES / name).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Words</p>",
        "<p>{{ _('Marked') }} not marked</p>",
        "{% trans %}Marked{% endtrans %}<b>not</b>",
        '<img alt="A picture">',
        '<nav aria-label="About">',
        "{% if x %}Words{% endif %}",
    ],
)
def test_unmarked_prose_is_found(source: str) -> None:
    assert unmarked(source)


def test_nothing_compiled_lies_in_the_tree() -> None:
    assert not list(Path(i18n.LOCALES).rglob("*.mo"))


# The language that nobody speaks


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "LANGUAGES", dict(i18n.LANGUAGES))
    i18n.enable_pseudo()


@pytest.mark.usefixtures("pseudo")
async def test_the_pseudo_language_is_mirrored_longer_and_whole(visitor: Reader) -> None:
    page = await visitor.open("/?lang=qps")
    assert page.html.attributes["dir"] == "rtl"
    assert page.html.attributes["lang"] == "en-XB"
    headline = page.all("h1")[0].text
    assert len(headline) >= 1.4 * len("Share a secret, once")
    assert i18n.preferred("qps").code == "en"
    result = await visitor.share("correct horse", "?lang=qps")
    receipt = next(each for each in result.links() if "/receipt/" in each)
    link = result.find("link").text
    pages = [page, result, await visitor.open(receipt), await visitor.open(f"{link}?lang=qps")]
    pages.append(await visitor.send(pages[-1]))
    pages += [await visitor.open(f"{path}?lang=qps") for path in ("/info/about", "/nothing", link)]
    for each in pages:
        for element in each.elements:
            if element.tag in {"h1", "h2", "summary", "button", "label", "legend", "dt"}:
                assert "\u202e" in element.text, element.text


@pytest.mark.usefixtures("pseudo")
async def test_what_must_stay_left_to_right_does(visitor: Reader) -> None:
    page = await visitor.share("", "?lang=qps", kind="generate")
    assert page.find("link").attributes["dir"] == "ltr"
    assert page.find("value").attributes["dir"] == "ltr"
    assert all(each.attributes["dir"] == "auto" for each in page.all("time"))


def test_pseudo_keeps_placeholders_and_markup() -> None:
    said = i18n.pseudo("<strong>You</strong> have %(num)d of %(all)s")
    assert {"<strong>", "</strong>", "%(num)d", "%(all)s"} <= set(
        re.findall(r"<[^>]+>|%\(\w+\)[sd]", said)
    )
