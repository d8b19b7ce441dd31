"""Pages: template, language, address.

Templates are compiled once, when this module is imported. A page is rendered with the values its handler
gives and with what every page has: links that stay under the base path and keep a language that was chosen, the language
switch, and who runs the service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from onetime import i18n
from onetime.web.http import Answer, html_answer
from onetime.web.pages import static

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

    from onetime.i18n import Language
    from onetime.web.http import Call, Headers

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

# On every element that holds a secret, a passphrase, a link or a generated value: browsers check spelling, translate and
# remember on other people's computers, and password managers offer to keep what is not theirs.
NO_LEAK = Markup(
    'spellcheck="false" translate="no" autocomplete="off" autocapitalize="off" autocorrect="off" '
    'data-1p-ignore data-lpignore="true" data-bwignore data-form-type="other"'
)


@dataclass(frozen=True, slots=True)
class Switch:
    language: Language
    href: str


def exact(text: str) -> Markup:
    """Text for <pre> and <textarea>, so that the browser has it as it was, NUL alone excepted.

    HTML drops a line feed after the opening tag, so there is one to drop; it reads a bare CR as a line feed; and it cannot
    hold NUL at all.

    Source: HTML standard, 13.1.2.5 "Restrictions on content models" and 13.2.3.5 "Preprocessing the input stream".
    """
    escaped = str(escape(text)).replace("\r", "&#13;").replace("\0", "\ufffd")
    return Markup("\n" + escaped)  # noqa: S704 - escaped in the line above


def iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Compiled(BytecodeCache):
    """A template is compiled once; languages differ in what its names mean."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


def environment(language: Language) -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_compiled,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension brings it
        language.gettext,
        language.ngettext,
        newstyle=True,
        pgettext=language.pgettext,
        npgettext=language.npgettext,
    )
    made.filters.update(
        exact=exact,
        iso=iso,
        moment=language.moment,
        span=language.span,
        left=language.left,
        wait=language.wait,
        bound=language.bound,
        size=language.size,
        number=language.number,
        translate=language.gettext,
    )
    made.globals.update(no_leak=NO_LEAK, language=language)
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    return made


@cache
def _environment(code: str) -> Environment:
    return environment(i18n.LANGUAGES[code])


for _code in i18n.LANGUAGES:
    _environment(_code)


def chosen(call: Call) -> Language | None:
    """The language that the address asks for."""
    asked = re.search(r"(?:^|&)lang=([a-z]{2,8})(?:&|$)", call.query)
    return i18n.find(asked[1]) if asked else None


def address(call: Call, path: str) -> str:
    """One of our own pages, from the root of the host; a language that was chosen goes along."""
    language = chosen(call)
    query = f"?lang={language.code}" if language else ""
    return f"{call.app.settings.base_path}{path}{query}"


def asset(call: Call, name: str) -> str:
    return f"{call.app.settings.base_path}/static/{static.VERSION}/{name}"


def contact(call: Call) -> str:
    """Where the operator can be reached, as an address for a link; empty if nowhere."""
    given = call.app.settings.operator_contact
    return given if not given or given.startswith(("https:", "mailto:")) else f"mailto:{given}"


def operator(call: Call) -> str:
    """Who runs this, by name or else by host."""
    return call.app.settings.operator_name or urlsplit(call.base).hostname or ""


def render(
    call: Call,
    template: str,
    *,
    status: int = 200,
    headers: Headers | None = None,
    switch: str | None = "",
    **values: Any,
) -> Answer:
    """`switch` is the path that the language switch leads to; empty: the page's own. None: there is no switch, because the
    page answers a form and would be lost.
    """
    language = chosen(call) or i18n.preferred(call.header("accept-language"))
    switches = []
    if switch is not None:
        start = f"{call.app.settings.base_path}{switch}" if switch else ""
        switches = [
            Switch(each, f"{start}?lang={each.code}")
            for each in i18n.LANGUAGES.values()
            if each is not language
        ]
    text = (
        _environment(language.code)
        .get_template(template)
        .render(
            asset=lambda name: asset(call, name),
            contact=contact(call),
            has_terms=call.app.settings.terms_file is not None,
            operator=operator(call),
            status=status,
            switches=switches,
            to=lambda path: address(call, path),
            **values,
        )
    )
    more: Headers = [
        (b"vary", b"accept-language"),
        *(headers or []),
    ]
    return html_answer(text, status=status, headers=more)
