"""The form, and what its sender gets: a link and a receipt."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import segno

from onetime.core.generate import Recipe
from onetime.core.vault import LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE, Wish
from onetime.errors import Invalid, OnetimeError, RateLimited, Unavailable
from onetime.model import Kind, State
from onetime.web import errors
from onetime.web.pages import receipt, static
from onetime.web.render import address, render

if TYPE_CHECKING:
    from onetime.core.vault import Terms
    from onetime.model import Concealed
    from onetime.web.http import Answer, Call, Form, Headers

# Seconds; what the operator does not allow is left out.
LIFETIMES = (3_600, 4 * 3_600, 86_400, 3 * 86_400, 7 * 86_400, 14 * 86_400, 30 * 86_400)

# What the script may have to say, by the names in home/said.html.
REASONS = (
    "empty",
    "too_large",
    "malformed",
    "ttl",
    "passphrase_too_short",
    "passphrase_too_long",
    "passphrase",
    "length",
    "full",
    "rate_limited",
    "busy",
    "many",
    "unreached",
    "unfit",
    "refused",
)

# Seconds that the script may have to say: how long one waits is rounded up to one of them.
WAITS = (5, 10, 15, 20, 30, 45, 60, 120, 300, 600, 900, 1_800, 3_600)

# Characters of a passphrase that is shown again; whoever sends more has pasted something else.
LONGEST_SHOWN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What is in the form, and what is shown in it again when something has to be corrected.

    The passphrase is kept too: the page holds the secret itself, so it protects nothing to leave it out, and a sender who
    does not notice that it is gone makes a link without one. What is far from being accepted is not sent back: escaped, it
    would be several times its size.
    """

    secret: str = ""
    generate: bool = False
    length: str = "16"
    symbols: bool = True
    unambiguous: bool = True
    ttl: str = ""
    passphrase: str = ""
    once: str = ""

    def within(self, most_bytes: int) -> Typed:
        """Without a text above the limit."""
        return replace(
            self,
            secret=self.secret if _size(self.secret) <= most_bytes else "",
            passphrase=self.passphrase if len(self.passphrase) <= LONGEST_SHOWN else "",
        )

    @classmethod
    def of(cls, form: Form) -> Typed:
        once = form.text("once")
        return cls(
            secret=form.multiline("secret"),
            generate=form.text("kind") == "generate",
            length=form.text("length"),
            symbols=form.text("symbols") == "yes",
            unambiguous=form.text("unambiguous") == "yes",
            ttl=form.text("ttl"),
            passphrase=form.text("passphrase"),
            once=once if re.fullmatch(r"[0-9a-f]{32}", once) else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the sender gets: `receipt` is the address of the receipt, `value` a text that was made up just now."""

    link: str
    qr: str
    receipt: str
    stops_at: int
    has_passphrase: bool
    is_generated: bool
    value: str | None


async def form(call: Call) -> Answer:
    return static.packed(call, _page(call, Typed()), pack=static.pack)


async def share(call: Call) -> Answer:
    """Answers at the same address: the receipt's would stay in the sender's history, and be sent on by mistake."""
    given = await call.form()
    typed = Typed.of(given)
    try:
        concealed = await _conceal(call, given, typed)
    except (Invalid, RateLimited, Unavailable) as error:
        return _page(call, typed, error)
    if concealed.receipt.state is not State.NEW:
        return receipt.page(call, concealed.receipt, switch=None)
    return _result(call, concealed)


async def _conceal(call: Call, given: Form, typed: Typed) -> Concealed:
    vault = call.app.vault
    wish = Wish(
        ttl=given.integer("ttl", default=vault.terms.default_ttl),
        passphrase=typed.passphrase,
        once=bytes.fromhex(typed.once),
    )
    if not typed.generate:
        return await vault.conceal(typed.secret, wish, caller=call.caller)
    recipe = Recipe(
        length=given.integer("length", default=16),
        symbols=typed.symbols,
        exclude_ambiguous=typed.unambiguous,
    )
    return await vault.generate(recipe, wish, caller=call.caller)


def _page(call: Call, typed: Typed, error: OnetimeError | None = None) -> Answer:
    terms = call.app.vault.terms
    lifetimes = _lifetimes(terms)
    ttl = int(typed.ttl) if typed.ttl in map(str, lifetimes) else terms.default_ttl
    shown = typed.within(terms.max_secret_bytes)
    wait = errors.retry_after(error) if error else None
    headers: Headers = [(b"retry-after", str(wait).encode())] if wait is not None else []
    return render(
        call,
        "home/form.html",
        status=errors.status(error) if error else 200,
        headers=headers,
        switch=None if error else "",
        error=error,
        field=error.field if isinstance(error, Invalid) else "",
        lifetimes=lifetimes,
        link=f"{call.base}/secret",
        longest=LONGEST_PASSPHRASE,
        name=_reason(error, wait),
        once=typed.once or secrets.token_hex(16),
        reasons=REASONS,
        shortest=SHORTEST_PASSPHRASE,
        size_bytes=_size(typed.secret),
        terms=terms,
        ttl=ttl,
        typed=shown,
        whole=shown == typed,
        wait=wait,
        waits=WAITS,
    )


def _reason(error: OnetimeError | None, wait: int | None) -> str:
    """Its name in home/said.html."""
    match error:
        case Invalid(field="secret", rule="empty" | "too_large" as rule):
            return rule
        case Invalid(field="secret"):
            return "malformed"
        case Invalid(field="passphrase", rule="too_short" | "too_long" as rule):
            return f"passphrase_{rule}"
        case Invalid(field=field):
            return field
        case OnetimeError(code="full"):
            return "full"
        case OnetimeError(code="rate_limited") if wait:
            return "rate_limited"
    return "busy" if wait else "many"


def _result(call: Call, concealed: Concealed) -> Answer:
    link = f"{call.base}/secret/{concealed.secret_key}"
    code = segno.make(link, error="m", micro=False)
    made = Made(
        link=link,
        qr=code.svg_data_uri(border=3, dark="#07221c", light="#fff", omitsize=True),
        receipt=address(call, f"/receipt/{concealed.receipt.receipt_key}"),
        stops_at=concealed.receipt.secret_expires_at,
        has_passphrase=concealed.receipt.has_passphrase,
        is_generated=concealed.receipt.kind is Kind.GENERATED,
        value=concealed.value,
    )
    return render(call, "home/result.html", switch=None, made=made)


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _lifetimes(terms: Terms) -> list[int]:
    """Seconds to choose from; the default and the longest are always among them."""
    offered = {each for each in LIFETIMES if terms.min_ttl <= each <= terms.max_ttl}
    return sorted(offered | {terms.default_ttl, terms.max_ttl})
