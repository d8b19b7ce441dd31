"""The words of the terminal, in the language of the environment (LANGUAGE, LC_ALL, LC_MESSAGES, LANG).

They stand in the same catalogues as those of the pages. What reads those (`i18n`) needs Babel, which belongs to the server;
the command alone does without, so the few lines that a catalogue takes to read are here.
"""

from __future__ import annotations

import gettext
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

LOCALES = Path(__file__).resolve().parent.parent / "locales"
DEFAULT = "en"

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def preferred(environ: Mapping[str, str]) -> str:
    """The first language of the environment's that we have.

    Source: GNU gettext, "The LANGUAGE variable": it counts unless the locale is C.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "C")
    if _code(locale) in {"c", "posix"}:
        return DEFAULT
    for each in [*environ.get("LANGUAGE", "").split(":"), locale]:
        code = _code(each)
        if code == DEFAULT or (code and _catalogue(code).is_file()):
            return code
    return DEFAULT


class Words(gettext.NullTranslations):
    """One catalogue."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._words: dict[tuple[str, str], list[str]] = {}
        self._number_of = gettext.c2py("n != 1")
        for entry in re.split(r"\n{2,}", text):
            self._add(_parse(entry))

    def gettext(self, message: str) -> str:
        return self.pgettext("", message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        found = self._words.get(("", msgid1))
        return found[self._number_of(n)] if found else super().ngettext(msgid1, msgid2, n)

    def pgettext(self, context: str, message: str) -> str:
        found = self._words.get((context, message))
        return found[0] if found else message

    def _add(self, entry: dict[str, str]) -> None:
        message = entry.get("msgid", "")
        forms = [text for name, text in entry.items() if name.startswith("msgstr")]
        plural = re.search(r"plural=(.+?);", forms[0]) if forms and not message else None
        if plural:
            self._number_of = gettext.c2py(plural[1])
        elif message and all(forms):
            self._words[entry.get("msgctxt", ""), message] = forms


def _parse(entry: str) -> dict[str, str]:
    """`msgid`, `msgstr[0]` and the others, each with its text."""
    found: dict[str, str] = {}
    name = ""
    for line in entry.splitlines():
        start = re.match(r"(msg\w+(?:\[\d\])?) ", line)
        if start:
            name = start[1]
        quoted = line[start.end() if start else 0 :]
        if name and quoted.startswith('"'):
            # Of what a catalogue escapes, JSON escapes all in the same way.
            found[name] = found.get(name, "") + json.loads(quoted)
    return found


def _code(locale: str) -> str:
    return re.split(r"[_.@-]", locale, maxsplit=1)[0].lower() if locale.isascii() else ""


def _catalogue(code: str) -> Path:
    return LOCALES / code / "LC_MESSAGES" / "onetime.po"


def load(code: str) -> gettext.NullTranslations:
    if code == DEFAULT:
        return gettext.NullTranslations()
    return Words(_catalogue(code).read_text(encoding="utf-8"))


_words = load(preferred(os.environ))
_ = _words.gettext
ngettext = _words.ngettext


def moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: int) -> str:
    """A length of time: in its largest whole unit, or, where it is none, in the nearest."""
    for unit in (DAY, HOUR, MINUTE):
        if seconds >= unit and (seconds % unit == 0 or seconds >= 2 * unit):
            return _span(unit, round(seconds / unit))
    return _span(1, seconds)


def _span(unit: int, count: int) -> str:
    words = {
        DAY: ngettext("%(num)d day", "%(num)d days", count),
        HOUR: ngettext("%(num)d hour", "%(num)d hours", count),
        MINUTE: ngettext("%(num)d minute", "%(num)d minutes", count),
        1: ngettext("%(num)d second", "%(num)d seconds", count),
    }
    return words[unit] % {"num": count}
