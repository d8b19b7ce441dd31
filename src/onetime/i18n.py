"""Which language, and its words; for pages now, for mail and the terminal later.

Messages are English in the templates and are looked up by gettext in `locales/<language>/LC_MESSAGES/onetime.po`. The
catalogues are read at start; nothing compiled lies beside them. A folder in `locales` is a language: its name, direction,
plurals and months come from Unicode's CLDR by way of Babel.

    python -m onetime.i18n      bring the catalogues up to date with the templates, and say what is missing
"""

from __future__ import annotations

import gettext
import io
import re
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from babel import Locale
from babel.dates import format_datetime
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.numbers import format_decimal

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
LOCALES = HERE / "locales"
DEFAULT = "en"

MINUTE, HOUR, DAY = 60, 3_600, 86_400

# Of an Accept-Language longer than any browser sends, the rest is not looked at.
MOST_PREFERENCES = 20


class Language:
    """`code` as in `?lang=`, `tag` and `direction` as in <html>, `name` in the language itself."""

    def __init__(self, code: str, words: gettext.NullTranslations, *, locale: Locale) -> None:
        self.code = code
        self.tag = code
        self.direction = locale.text_direction
        own = locale.get_display_name(locale) or code
        self.name = own[:1].upper() + own[1:]
        self.locale = locale
        self.gettext: Callable[[str], str] = words.gettext
        self.ngettext: Callable[[str, str, int], str] = words.ngettext
        self.pgettext: Callable[[str, str], str] = words.pgettext
        self.npgettext: Callable[[str, str, str, int], str] = words.npgettext

    def moment(self, at: int) -> str:
        """Day, month, year and time, in UTC and saying so."""
        # Translators: CLDR date pattern; the blanks before the month and before UTC do not break.
        pattern = self.pgettext("date pattern", "d\u00a0MMMM y, HH:mm\u00a0'UTC'")
        return format_datetime(datetime.fromtimestamp(at, UTC), pattern, locale=self.locale)

    def number(self, value: int) -> str:
        return format_decimal(value, locale=self.locale)

    def span(self, seconds: int) -> str:
        """A length of time that somebody chose, in the largest unit that gives it exactly: `7 days`, `90 minutes`."""
        for unit, count in _units(seconds):
            if seconds % unit == 0:
                return self._span(unit, count)
        return self._span(1, seconds)

    def left(self, seconds: int) -> str:
        """What is left of a time, to the nearest unit that a reader would say."""
        for unit, _ in _units(seconds):
            if seconds >= unit * 1.5 or unit == MINUTE:
                return self._span(unit, max(1, round(seconds / unit)))
        return self._span(1, max(0, seconds))

    def wait(self, seconds: int) -> str:
        """How long to wait; never less than it takes."""
        for unit, _ in _units(seconds):
            if seconds >= unit * 1.5 or seconds == unit:
                return self._span(unit, -(-seconds // unit))
        return self._span(1, seconds)

    def bound(self, seconds: int) -> str:
        """As `span`, in the case that follows *from* and *to*."""
        for unit, count in _units(seconds):
            if seconds % unit == 0:
                return self._bound(unit, count)
        return self._bound(1, seconds)

    def size(self, size_bytes: int, *, above: int | None = None) -> str:
        """In thousands and millions of bytes. `above` is a limit it exceeds, and must be seen to exceed."""
        if size_bytes < 1_000:
            return self.ngettext("%(num)d byte", "%(num)d bytes", size_bytes) % {"num": size_bytes}
        unit = 1_000_000 if size_bytes >= 1_000_000 else 1_000
        rounded = round(size_bytes / unit, 1 if size_bytes < 10 * unit else 0)
        if above is not None and rounded * unit <= above:
            rounded = -(-size_bytes * 10 // unit) / 10
        number = format_decimal(rounded, format="#,##0.#", locale=self.locale)
        if unit == 1_000:
            return self.gettext("%(num)s\u00a0kB") % {"num": number}
        return self.gettext("%(num)s\u00a0MB") % {"num": number}

    def _span(self, unit: int, count: int) -> str:
        words = {
            DAY: self.ngettext("%(num)d day", "%(num)d days", count),
            HOUR: self.ngettext("%(num)d hour", "%(num)d hours", count),
            MINUTE: self.ngettext("%(num)d minute", "%(num)d minutes", count),
            1: self.ngettext("%(num)d second", "%(num)d seconds", count),
        }
        return words[unit] % {"num": count}

    def _bound(self, unit: int, count: int) -> str:
        words = {
            DAY: self.npgettext("between", "%(num)d day", "%(num)d days", count),
            HOUR: self.npgettext("between", "%(num)d hour", "%(num)d hours", count),
            MINUTE: self.npgettext("between", "%(num)d minute", "%(num)d minutes", count),
            1: self.npgettext("between", "%(num)d second", "%(num)d seconds", count),
        }
        return words[unit] % {"num": count}


def _units(seconds: int) -> list[tuple[int, int]]:
    return [(unit, seconds // unit) for unit in (DAY, HOUR, MINUTE) if seconds >= unit]


def find(code: str) -> Language | None:
    return LANGUAGES.get(code)


def preferred(accept_language: str) -> Language:
    """The first of the reader's languages that we have (RFC 9110, section 12.5.4); of `uk-UA` the part before the dash."""
    ranked: list[tuple[float, str]] = []
    for item in accept_language.split(",")[:MOST_PREFERENCES]:
        tag, _, parameter = item.partition(";")
        quality = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameter)
        ranked.append((float(quality[1]) if quality else 1.0, tag.strip().lower()))
    for quality_value, tag in sorted(ranked, key=lambda each: -each[0]):
        language = LANGUAGES.get(tag.partition("-")[0])
        if language is not None and quality_value > 0 and language.code != PSEUDO:
            return language
    return LANGUAGES[DEFAULT]


def _catalogue(code: str) -> Path:
    return LOCALES / code / "LC_MESSAGES" / "onetime.po"


def _codes() -> list[str]:
    """The default first, then the others by name."""
    codes = (path.parent.parent.name for path in LOCALES.glob("*/LC_MESSAGES/onetime.po"))
    return sorted(codes, key=lambda code: (code != DEFAULT, code))


def read(code: str) -> Catalog:
    with _catalogue(code).open("rb") as file:
        return read_po(file, locale=code)


def _load(code: str) -> Language:
    compiled = io.BytesIO()
    write_mo(compiled, read(code))
    compiled.seek(0)
    return Language(code, gettext.GNUTranslations(compiled), locale=Locale.parse(code))


LANGUAGES: dict[str, Language] = {code: _load(code) for code in _codes()}


# A language that nobody speaks, to see what is not translated, what has no room to grow, and what is not mirrored.

PSEUDO = "qps"
_ACCENTS = str.maketrans("aceinorsuyACEINOSUY", "áćéíñóŕśúýÁĆÉÍÑÓŚÚÝ")
_KEPT = re.compile(r"(%\(\w+\)[sd]|%%|<[^>]+>|&\w+;)")
_MIRROR, _END = "\u202e", "\u202c"


def pseudo(message: str) -> str:
    """Accented, 40 % longer, and written from right to left; placeholders and markup stay."""
    words = "".join(
        part if _KEPT.fullmatch(part) else part.translate(_ACCENTS) for part in _KEPT.split(message)
    )
    letters = len(_KEPT.sub("", message))
    padding = ("ýóúŕá " * (letters // 12 + 1))[: round(letters * 0.4)].rstrip()
    return f"{_MIRROR}{words} {padding}{_END}" if padding else f"{_MIRROR}{words}{_END}"


class _Pseudo(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return message if context == "date pattern" else pseudo(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002
        return self.ngettext(msgid1, msgid2, n)


def enable_pseudo() -> Language:
    """Offer `?lang=qps` too. For tests: no setting leads here."""
    language = Language(PSEUDO, _Pseudo(), locale=Locale.parse(DEFAULT))
    language.tag, language.direction, language.name = "en-XB", "rtl", pseudo("Mirrored")
    return LANGUAGES.setdefault(PSEUDO, language)


# Keeping the catalogues


def extract() -> Catalog:
    """Every message of the templates and of the code: `gettext` in this module, `msgid` where core keeps words as data."""
    catalog = Catalog(charset="utf-8")
    for name, _, message, comments, context in _found():
        catalog.add(message, locations=[(name, 1)], auto_comments=comments, context=context or None)
    return catalog


@cache
def _found() -> list[tuple[str, int, str | tuple[str, ...], list[str], str | None]]:
    found = extract_from_dir(
        HERE,
        method_map=[("templates/**.html", "jinja2"), ("**.py", "python")],
        options_map={"templates/**.html": {"trimmed": "true", "silent": "false"}},
        keywords={**DEFAULT_KEYWORDS, "msgid": None},
        comment_tags=["Translators:"],
        strip_comment_tags=True,
    )
    return sorted(found, key=lambda each: (each[0], each[1]))


def missing(code: str) -> list[str]:
    """Messages of the templates that the catalogue has not, has only in part, or has doubtfully (*fuzzy*)."""
    catalog = read(code)
    return [
        str(message.id)
        for message in extract()
        if message.id and not _is_whole(catalog, message.id, message.context)
    ]


def superfluous(code: str) -> list[str]:
    """Messages of the catalogue that no template has."""
    wanted = extract()
    return [
        str(message.id)
        for message in read(code)
        if message.id and wanted.get(message.id, message.context) is None
    ]


def _is_whole(
    catalog: Catalog, message_id: str | list[str] | tuple[str, ...], context: str | None
) -> bool:
    message = catalog.get(message_id, context)
    if message is None or message.fuzzy:
        return False
    if isinstance(message.string, tuple | list):
        return len(message.string) == catalog.num_plurals and all(message.string)
    return bool(message.string)


def update() -> int:
    """Write the catalogues anew; the number of messages that lack a translation."""
    lacking = 0
    for code in _codes():
        catalog = read(code)
        catalog.update(extract(), no_fuzzy_matching=True)
        catalog.obsolete.clear()
        if code == DEFAULT:
            for message in catalog:
                message.string = message.id
        _write(catalog, code)
        gone = missing(code)
        lacking += len(gone)
        for message_id in gone:
            sys.stdout.write(f"{code}: not translated: {message_id}\n")
    return lacking


def _write(catalog: Catalog, code: str) -> None:
    """Without dates and names: a catalogue changes when its words do."""
    content = io.BytesIO()
    write_po(content, catalog, width=100, include_lineno=False, sort_by_file=False)
    lines = content.getvalue().decode().splitlines()
    dull = ('"POT-', '"PO-', '"Last-', '"Language-Team', '"Project-', '"Report-', '"Generated-')
    start = lines.index('msgid ""')
    kept = [line for line in lines[start:] if not line.startswith(dull)]
    _catalogue(code).write_text("\n".join(kept).rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(1 if update() else 0)
