"""What a sender asks for, read from a request as leniently as clients of v1, v2 and v3 need (reference 0.3, decision 12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from onetime.core.generate import DEFAULT_LENGTH, Recipe
from onetime.core.vault import Wish
from onetime.errors import Invalid

if TYPE_CHECKING:
    from onetime.web.http import Call

# What a text means as a number: its leading digits (Ruby's String#to_i, which the contract was written in).
_LEADING_DIGITS = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)", re.ASCII)
# More than any limit, and short enough to be a number quickly.
_MOST_DIGITS = 18

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[\w-]{1,63}(?<!-)\.)+(?!-)[^\W\d_][\w-]{0,61}[^\W_]")

_OFF = frozenset({"false", "0", "no", "off"})

ONCE_TEXT = "Idempotency-Key must hold at least 128 random bits, such as 32 hex digits"
# 128 bits in each alphabet that it may be written in. A UUID is 32 hex digits and four dashes.
_ONCE = re.compile(
    r"(?=.{1,255}\Z)(?:(?=(?:-?[0-9A-Fa-f]){32})[0-9A-Fa-f-]+|(?=.*[^0-9A-Fa-f-])[!#-\[\]-~]{22,})"
)


def of(call: Call, given: dict[str, Any], *, default_for_zero: bool = False) -> Wish:
    """With `default_for_zero` a lifetime of 0 is the default: clients of v1 send it when their user has said nothing."""
    ttl = number(given, "ttl")
    if default_for_zero:
        ttl = ttl or None
    return Wish(ttl=ttl, passphrase=text(given, "passphrase"), clamp=True, once=_once(call))


def recipe(given: dict[str, Any]) -> Recipe:
    sets = given.get("character_sets") or {}
    if not isinstance(sets, dict):
        raise Invalid("character_sets", "This must be an object", rule="wrong_type")
    length = number(given, "length")
    return Recipe(
        length=DEFAULT_LENGTH if length is None else length,
        uppercase=_is_on(sets, "uppercase"),
        lowercase=_is_on(sets, "lowercase"),
        numbers=_is_on(sets, "numbers"),
        symbols=_is_on(sets, "symbols"),
        exclude_ambiguous=_is_on(sets, "exclude_ambiguous"),
    )


def text(given: dict[str, Any], name: str) -> str:
    """Text; absent and null are empty. A whole number is its digits: `{"passphrase": 1234}` means what it looks like.

    Raises:
        Invalid: anything else, which has more than one spelling as text.
    """
    value = given.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_MOST_DIGITS:
        return str(value)
    raise Invalid(name, "This must be text", rule="wrong_type")


def number(given: dict[str, Any], name: str) -> int | None:
    """As lenient as the contract: the leading digits of a text, 0 without any; None when absent, null or empty.

    Raises:
        Invalid: neither text nor number.
    """
    value = given.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if value.isascii() and value.isdigit():  # what clients send; the rest is tolerance
            return int(value[:_MOST_DIGITS])
        found = _LEADING_DIGITS.match(value)
        return int(found[1].replace("_", "")[:_MOST_DIGITS]) if found else 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    raise Invalid(name, "This must be a number", rule="wrong_type")


def has_recipient(given: dict[str, Any]) -> bool:
    """Mail to a recipient needs an account."""
    return _says_something(given.get("recipient")) or _says_something(given.get("recipient[]"))


def foreign_domain(call: Call, given: dict[str, Any]) -> str | None:
    """The domain for the link, if it is another than this one. What is no domain name at all is not looked at."""
    domain = given.get("share_domain")
    if domain and isinstance(domain, str):
        domain = domain.strip().lower()
        if _DOMAIN.fullmatch(domain) and domain != urlsplit(call.origin).hostname:
            return domain
    return None


def _says_something(value: Any) -> bool:
    """One level deep: a list in a list is something, too."""
    many = value if isinstance(value, list) else [value]
    return any(each.strip() if isinstance(each, str) else each for each in many)


def _is_on(sets: dict[str, Any], name: str) -> bool:
    value = sets.get(name)
    if isinstance(value, str):
        return value.strip().lower() not in _OFF
    return value is None or bool(value)


def _once(call: Call) -> bytes:
    """`Idempotency-Key`, as it is or between quotes (draft-ietf-httpapi-idempotency-key-header writes it so).

    Raises:
        Invalid: it is too short to be nobody else's, or no text of a header.
    """
    stated = call.headers.get(b"idempotency-key")
    if stated is None:
        return b""
    key = stated.decode("latin-1").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _ONCE.fullmatch(key):
        raise Invalid("idempotency_key", "It needs 128 random bits", rule="too_short")
    return key.encode("ascii")
