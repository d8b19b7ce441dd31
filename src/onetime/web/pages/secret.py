"""What the recipient meets: what this is, the secret itself once, or that there is none."""

from __future__ import annotations

import base64
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from onetime.core.limits import BUDGETS, ENVELOPE_TRIES
from onetime.errors import NotFound, OnetimeError, RateLimited, WrongPassphrase
from onetime.web import errors
from onetime.web.http import redirect
from onetime.web.pages import static
from onetime.web.render import address, render

if TYPE_CHECKING:
    from onetime.web.http import Answer, Call, Headers

# Shown as what they do: a line feed and a tab. The joiners are part of emoji and of several scripts.
SEEN = frozenset("\n\t\u200c\u200d")


async def envelope(call: Call) -> Answer:
    """The page of every secret that was encrypted by its sender: which one is asked for is no business of this request."""
    answer = render(
        call,
        "secret/envelope.html",
        tries=ENVELOPE_TRIES,
        window=call.app.envelopes.reveal_window,
    )
    return static.packed(call, answer)


async def confirm(call: Call) -> Answer:
    return await _confirm(call)


async def reveal(call: Call) -> Answer:
    """Without the form's own field nothing is opened: scanners that post an empty body see the page before the button."""
    given = await call.form()
    if given.text("show") != "yes":
        return await _confirm(call)
    try:
        text = await call.app.vault.reveal(
            call.values["key"], passphrase=given.text("passphrase"), caller=call.caller
        )
    except NotFound:
        return _gone(call)
    except (WrongPassphrase, RateLimited) as error:
        return await _confirm(call, error, at="show")
    return _revealed(call, text)


async def burn(call: Call) -> Answer:
    given = await call.form()
    if given.text("burn") != "yes":
        return await _confirm(call)
    try:
        await call.app.vault.burn(
            call.values["key"], passphrase=given.text("passphrase"), caller=call.caller
        )
    except NotFound:
        return _gone(call)
    except (WrongPassphrase, RateLimited) as error:
        return await _confirm(call, error, at="destroy")
    return render(call, "secret/burn.html", switch=None)


async def short_address(call: Call) -> Answer:
    return redirect(address(call, _here(call)), status=301)


def _here(call: Call) -> str:
    return f"/secret/{quote(call.values['key'], safe='')}"


async def _confirm(call: Call, refusal: OnetimeError | None = None, *, at: str = "") -> Answer:
    try:
        peek = await call.app.vault.peek(call.values["key"])
    except NotFound:
        return _gone(call)
    wait = errors.retry_after(refusal) if refusal else None
    headers: Headers = [(b"retry-after", str(wait).encode())] if wait is not None else []
    return render(
        call,
        "secret/confirm.html",
        status=errors.status(refusal) if refusal else 200,
        headers=headers,
        switch=_here(call),
        at=at,
        budget=BUDGETS["passphrase from a network"],
        here=_here(call),
        peek=peek,
        refusal=refusal,
    )


def _revealed(call: Call, text: str) -> Answer:
    return render(
        call,
        "secret/reveal.html",
        switch=None,
        exact_bytes=base64.b64encode(text.encode()).decode("ascii"),
        lines=text.count("\n") + (not text.endswith("\n")),
        text=text,
        unseen=sum(count for letter, count in Counter(text).items() if _is_unseen(letter)),
    )


def _is_unseen(letter: str) -> bool:
    """Controls, directions, marks of width nothing, and code points without a letter: the reader must know of them."""
    if " " <= letter <= "~" or letter in SEEN:
        return False
    return unicodedata.category(letter) in {"Cc", "Cf", "Cn", "Co", "Zl", "Zp"}


def _gone(call: Call) -> Answer:
    return render(call, "secret/gone.html", status=404, switch=_here(call))
