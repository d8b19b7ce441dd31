"""About the service: what it is, what it stores, the operator's terms; and what programs look for at fixed addresses."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from onetime import i18n
from onetime.core.inventory import ABSENT, BEYOND, CATEGORIES, FIELDS
from onetime.errors import NotFound
from onetime.web import render as pages
from onetime.web.http import redirect, text_answer
from onetime.web.render import address, render

if TYPE_CHECKING:
    from onetime.web.http import Answer, Call, Headers

# The same for everybody, but for the language.
SHARED: Headers = [(b"cache-control", b"public, max-age=300")]

# RFC 9116, section 2.5.5: an expiry is required, and less than a year away.
CONTACT_HOLDS = timedelta(days=90)

# Each category with its fields; what may be about a person comes first.
KEPT = [
    (category, [field for field in FIELDS if field.category == category])
    for category in sorted(CATEGORIES, key=lambda each: not each.personal)
]

ROBOTS = """User-agent: *
Disallow: {base}/api/
Disallow: {base}/secret/
Disallow: {base}/receipt/
Disallow: {base}/private/
Disallow: {base}/metadata/
Disallow: {base}/l/
"""


async def about(call: Call) -> Answer:
    return render(call, "info/about.html", headers=SHARED)


async def privacy(call: Call) -> Answer:
    return render(
        call, "info/privacy.html", headers=SHARED, absent=ABSENT, beyond=BEYOND, kept=KEPT
    )


async def short_privacy(call: Call) -> Answer:
    return redirect(address(call, "/info/privacy"), status=301)


async def terms(call: Call) -> Answer:
    path = call.app.settings.terms_file
    if path is None:
        raise NotFound
    try:
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    except (OSError, UnicodeError):
        raise NotFound from None
    paragraphs = [each.strip() for each in re.split(r"\n\s*\n", text) if each.strip()]
    return render(call, "info/terms.html", headers=SHARED, paragraphs=paragraphs)


async def robots(call: Call) -> Answer:
    base = call.app.settings.base_path
    return text_answer(ROBOTS.format(base=base), headers=SHARED)


async def security_contact(call: Call) -> Answer:
    """Source: RFC 9116."""
    contact = pages.contact(call)
    if not contact:
        raise NotFound
    day = datetime.fromtimestamp(call.app.store.now(), UTC).replace(hour=0, minute=0, second=0)
    lines = [
        f"Contact: {contact}",
        f"Expires: {(day + CONTACT_HOLDS).strftime('%Y-%m-%dT%H:%M:%SZ')}",
        f"Preferred-Languages: {', '.join(i18n.LANGUAGES)}",
    ]
    if call.base.startswith("https:"):
        lines.append(f"Canonical: {call.base}/.well-known/security.txt")
    return text_answer("\n".join(lines) + "\n", headers=SHARED)
