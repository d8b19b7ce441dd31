"""Our own API, for secrets that their sender's device has encrypted (docs/api.md, docs/envelope.md).

It is strict: what it does not know is refused and not guessed at, since a mistake here is one in a program. Bytes are
base64url in their one spelling. Ids, proofs and claims come in headers and bodies, and nothing of them goes into an answer: of
what is wrong, an error says the name.

Every refusal below /api/e2e has one shape, `Refusal`, whoever refuses.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from onetime.crypto.envelope import from_base64_url
from onetime.errors import (
    Closed,
    Full,
    Invalid,
    OnetimeError,
    RateLimited,
    TooLarge,
    Unavailable,
    WrongPassphrase,
)
from onetime.model import NewEnvelope
from onetime.web import errors
from onetime.web.http import OCTETS, Answer, Call, Headers, json_answer

VERSION = 1

# A request holds at most three of 32 bytes, 43 characters each.
MOST_ASKED_BYTES = 4096

JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
OCTET_TYPES = frozenset({OCTETS})

OURS = b"onetime-"
# Both ways, so that Onetime-Secret_Id is no second spelling.
_TO_MEMBER = bytes.maketrans(b"-_", b"_-")

YES = "yes"
YesNo = Literal["yes", "no"]

# Its one spelling, and below any limit of msgspec's.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)
# Where msgspec says that something is wrong.
_PLACE = re.compile(r"(?:missing required field `|at `\$\.)(\w+)`")

# The spare bits of the last character are zero: two of 43 characters, four of 22. The length is there because `$` also
# matches before a newline at the end.
Bytes32 = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
        min_length=43,
        max_length=43,
        description="32 bytes in base64url, without padding",
    ),
]
Bytes16 = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-]{21}[AQgw]$",
        min_length=22,
        max_length=22,
        description="16 bytes in base64url, without padding",
    ),
]
Seconds = Annotated[int, Meta(ge=0, description="Seconds")]


# What is asked


class Strict(Struct, kw_only=True, forbid_unknown_fields=True):
    """What has other members than these is refused."""


class NoHeaders(Strict):
    pass


class CreateHeaders(Strict):
    """`ttl` in seconds; without it the default. The hashes are SHA-256 of the proofs."""

    secret_id: Bytes32
    open_hash: Bytes32
    receipt_hash: Bytes32
    passphrase: YesNo
    ttl: Seconds | UnsetType = UNSET


class LookRequest(Strict):
    link_proof: Bytes32


class RevealRequest(Strict):
    link_proof: Bytes32
    open_proof: Bytes32
    claim: Bytes16


class SettleRequest(Strict):
    link_proof: Bytes32
    claim: Bytes16


class BurnRequest(Strict):
    """One of `open_proof` and `claim`."""

    link_proof: Bytes32
    open_proof: Bytes32 | UnsetType = UNSET
    claim: Bytes16 | UnsetType = UNSET


class ReceiptRequest(Strict):
    secret_id: Bytes32
    receipt_proof: Bytes32


# What is answered, beside the nouns of the model


class TermsAnswer(Struct, frozen=True, kw_only=True):
    version: int
    max_body_bytes: int
    max_secret_bytes: int
    min_ttl: int
    default_ttl: int
    max_ttl: int
    reveal_window: int
    now: int


class BurnAnswer(Struct, frozen=True, kw_only=True):
    state: Literal["burned"]
    now: int


Code = Literal[
    "invalid",
    "too_large",
    "wrong_passphrase",
    "cross_origin",
    "not_found",
    "method_not_allowed",
    "claimed",
    "conflict",
    "unknown_host",
    "rate_limited",
    "closed",
    "undecryptable",
    "unavailable",
    "full",
    "error",
]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is for programs, `message` for people who write them. The others are there where they mean something."""

    code: Code
    message: str
    field: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    attempts_left: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    limit_bytes: int | UnsetType = UNSET


class Refusal(Struct, frozen=True):
    error: Problem


PLAIN: dict[int, Problem] = {
    400: Problem(
        code="invalid", message="The request names two hosts", field="host", rule="repeated"
    ),
    403: Problem(code="cross_origin", message="The request comes from a page of another site"),
    404: Problem(code="not_found", message="There is nothing here"),
    405: Problem(code="method_not_allowed", message="Not by this method; Allow names the others"),
    421: Problem(code="unknown_host", message="The request names a host that is not this service"),
    500: Problem(code="error", message="A mistake of the program; its log has X-Request-Id"),
}


# Handlers, in the order of the routes


async def terms(call: Call) -> Answer:
    _headers(call, NoHeaders)
    envelopes = call.app.envelopes
    allowed = envelopes.terms
    return json_answer(
        TermsAnswer(
            version=VERSION,
            max_body_bytes=envelopes.max_body_bytes,
            max_secret_bytes=allowed.max_secret_bytes,
            min_ttl=allowed.min_ttl,
            default_ttl=allowed.default_ttl,
            max_ttl=allowed.max_ttl,
            reveal_window=envelopes.reveal_window,
            now=call.app.store.now(),
        )
    )


async def create(call: Call) -> Answer:
    given = _headers(call, CreateHeaders)
    _check_type(call, OCTET_TYPES)
    envelopes = call.app.envelopes
    body = await call.body(envelopes.max_body_bytes)
    new = NewEnvelope(
        secret_id=_raw(given.secret_id),
        open_hash=_raw(given.open_hash),
        receipt_hash=_raw(given.receipt_hash),
        has_passphrase=given.passphrase == YES,
        body=body,
        ttl=None if given.ttl is UNSET else given.ttl,
    )
    return json_answer(await envelopes.create(new, caller=call.caller), status=201)


async def look(call: Call) -> Answer:
    asked = await _asked(call, LookRequest)
    return json_answer(await call.app.envelopes.look(_raw(asked.link_proof)))


async def reveal(call: Call) -> Answer:
    asked = await _asked(call, RevealRequest)
    handed = await call.app.envelopes.reveal(
        _raw(asked.link_proof), _raw(asked.open_proof), _raw(asked.claim), caller=call.caller
    )
    headers: Headers = [
        (b"onetime-window-ends-at", b"%d" % handed.window_ends_at),
        (b"onetime-now", b"%d" % handed.now),
    ]
    return Answer(200, handed.body, OCTETS, headers)


async def settle(call: Call) -> Answer:
    asked = await _asked(call, SettleRequest)
    return json_answer(await call.app.envelopes.settle(_raw(asked.link_proof), _raw(asked.claim)))


async def burn(call: Call) -> Answer:
    asked = await _asked(call, BurnRequest)
    if (asked.open_proof is UNSET) == (asked.claim is UNSET):
        raise Invalid("open_proof", "Either this or a claim is needed", rule="one_of_two")
    now = await call.app.envelopes.burn(
        _raw(asked.link_proof),
        open_proof=None if asked.open_proof is UNSET else _raw(asked.open_proof),
        claim=None if asked.claim is UNSET else _raw(asked.claim),
    )
    return json_answer(BurnAnswer(state="burned", now=now))


async def receipt(call: Call) -> Answer:
    asked = await _asked(call, ReceiptRequest)
    return json_answer(
        await call.app.envelopes.receipt(_raw(asked.secret_id), _raw(asked.receipt_proof))
    )


async def burn_by_receipt(call: Call) -> Answer:
    asked = await _asked(call, ReceiptRequest)
    return json_answer(
        await call.app.envelopes.burn_by_receipt(_raw(asked.secret_id), _raw(asked.receipt_proof))
    )


# Reading

Asked = TypeVar("Asked", bound=Strict)


async def _asked(call: Call, kind: type[Asked]) -> Asked:
    """The body, of this kind and nothing else.

    Raises:
        Invalid, TooLarge.
    """
    _headers(call, NoHeaders)
    _check_type(call, JSON_TYPES)
    content = await call.body(MOST_ASKED_BYTES)
    try:
        asked = msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _refused(error, kind, "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("body", "The body is not valid JSON", rule="json") from None
    # Of a name that comes twice msgspec takes the last, and another program the first.
    json.loads(content, object_pairs_hook=_check_once)
    return asked


def _check_once(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(name, "This comes twice", rule="repeated")


def _headers(call: Call, kind: type[Asked]) -> Asked:
    """The `Onetime-...` headers, as members of this kind: `Onetime-Secret-Id` is `secret_id`. The query has nothing to say.

    Raises:
        Invalid.
    """
    if call.query:
        raise Invalid("query", "There are no parameters in the query", rule="unknown")
    given: dict[str, str | int] = {}
    for name, value in call.header_lines:
        if name.startswith(OURS):
            member = name.removeprefix(OURS).translate(_TO_MEMBER).decode("latin-1")
            if member in given:
                known = member in kind.__struct_fields__
                raise Invalid(member if known else "headers", "This comes twice", rule="repeated")
            text = value.decode("latin-1")
            given[member] = int(text) if _WHOLE.fullmatch(text) else text
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _refused(error, kind, "headers") from None


def header_name(member: str) -> str:
    """The header of a member: Onetime-Secret-Id of `secret_id`."""
    return "-".join(["Onetime", *(part.capitalize() for part in member.split("_"))])


def _check_type(call: Call, types: frozenset[bytes]) -> None:
    stated = [value for name, value in call.header_lines if name == b"content-type"]
    if len(stated) != 1 or stated[0].lower() not in types:
        names = " or ".join(sorted(each.decode("ascii") for each in types))
        raise Invalid("content_type", f"The content type must be {names}", rule="content_type")


def _refused(error: msgspec.ValidationError, kind: type[Strict], whole: str) -> Invalid:
    """In words of our own: msgspec's hold what was sent."""
    said = str(error)
    found = _PLACE.search(said)
    field = found[1] if found and found[1] in kind.__struct_fields__ else whole
    if said.startswith("Object missing"):
        return Invalid(field, "This is missing", rule="missing")
    if said.startswith("Object contains unknown"):
        return Invalid(whole, "There is something that is not known here", rule="unknown")
    return Invalid(field, "This is not what it must be", rule="malformed")


def _raw(text: str) -> bytes:
    return from_base64_url(text, len(text) * 3 // 4)


# Refusing


def on_error(error: OnetimeError) -> Answer:
    """What a rule refused."""
    wait = errors.retry_after(error)
    problem: dict[str, Any] = {"code": error.code, "message": _message(error)}
    headers: Headers = []
    if isinstance(error, Invalid):
        problem |= {"field": error.field, "rule": error.rule}
    if isinstance(error, TooLarge):
        problem["limit_bytes"] = error.limit_bytes
    if isinstance(error, WrongPassphrase) and error.attempts_left is not None:
        problem["attempts_left"] = error.attempts_left
    if wait is not None:
        problem["retry_after"] = wait
        headers.append((b"retry-after", b"%d" % wait))
    refusal = Refusal(error=Problem(**problem))
    return json_answer(refusal, status=errors.status(error), headers=headers)


def _message(error: OnetimeError) -> str:
    """The error's own, but where that is for the operator."""
    match error:
        case Closed():
            return "Too many passphrases were wrong, and no other is tried"
        case RateLimited():
            return "Too many tries; Retry-After says when there is another"
        case Full():
            return str(error)
        case Unavailable():
            return "The store did not answer; the same request may be sent again"
        case _:
            return str(error)


def plain(status: int) -> Answer:
    """What was refused before a handler, or by none."""
    return json_answer(Refusal(PLAIN[status]), status=status)
