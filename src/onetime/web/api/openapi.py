"""The APIs in the words of OpenAPI 3.1, made from the routes and from the structs that their handlers read and write.

A handler of the API without a row in OPERATIONS stops the start. `tests/web/api/test_openapi_fuzz.py` asks a server everything
that is written here, and finds what it answers beyond that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from onetime import __version__
from onetime.model import Created, EnvelopeReceipt, Look, Settled
from onetime.web.api import ErrorWords, e2e, record, trouble, v1, v2, v3
from onetime.web.http import OCTETS, Answer, Call, json_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onetime.web.http import Handler

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
OCTET_STREAM = OCTETS.decode("ascii")
# Octets are no string of JSON's, so they have no type. Source: OpenAPI 3.1, "Considerations for File Uploads".
ANYTHING: dict[str, Any] = {"schema": {}}
REF = "#/components/schemas/{name}"

# What v1, v2 and v3 take. Their handlers read these as leniently as clients need, and so not by the structs.

Text = str | int
Number = int | str


class ShareFields(Struct, kw_only=True):
    secret: Text
    ttl: Number | UnsetType | None = UNSET
    passphrase: Text | UnsetType | None = UNSET


class CharacterSets(Struct, kw_only=True):
    uppercase: bool = True
    lowercase: bool = True
    numbers: bool = True
    symbols: bool = True
    exclude_ambiguous: bool = True


class GenerateFields(Struct, kw_only=True):
    length: Number | UnsetType | None = UNSET
    character_sets: CharacterSets | UnsetType = UNSET
    ttl: Number | UnsetType | None = UNSET
    passphrase: Text | UnsetType | None = UNSET


class PassphraseFields(Struct, kw_only=True):
    passphrase: Text | UnsetType | None = UNSET


class ConcealBody(Struct, kw_only=True):
    secret: ShareFields


class GenerateBody(Struct, kw_only=True):
    secret: GenerateFields | UnsetType = UNSET


class ContinueBody(PassphraseFields, kw_only=True, rename={"goes_on": "continue"}):
    """Without `continue` nothing is given up or destroyed."""

    goes_on: bool | Literal["true"] | UnsetType = UNSET


class IdentifiersBody(Struct, kw_only=True):
    """Keys in a list, or in a text with commas."""

    identifiers: list[str] | str | UnsetType = UNSET


class MemoBody(Struct, kw_only=True):
    memo: str | UnsetType = UNSET


class FeedbackBody(Struct, kw_only=True):
    msg: str
    tz: str | UnsetType = UNSET


class StatusQuery(Struct, kw_only=True):
    locale: str | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer: why, and of which kinds. No kinds: octets. Of `headers` ours are always there."""

    because: str
    kinds: tuple[type[Struct], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """`answers` beside those of its dialect. `headers` are those that begin with Onetime-; `body` is JSON, and a form as well
    where it is not of a strict kind; None: there is none. `is_create`: of the compatible APIs, so it may be repeated.
    """

    does: str
    answers: dict[int, Said]
    body: type[Struct] | None = None
    is_octets: bool = False
    headers: type[Struct] = e2e.NoHeaders
    query: type[Struct] = e2e.NoHeaders
    is_create: bool = False


WAIT = {"Retry-After": "Seconds after which it may work"}


def _refused(because: str, headers: dict[str, str] | None = None) -> Said:
    return Said(because=because, kinds=(e2e.Refusal,), headers=headers or {})


_SHARED_ALWAYS = {
    400: Said(
        because="Malformed JSON or multipart, not UTF-8, or not HTTP",
        kinds=(trouble.Trouble, e2e.Refusal),
    ),
    401: Said(
        because="There are credentials, or what is asked for needs an account: there are none yet",
        kinds=(trouble.AuthTrouble, trouble.Trouble),
    ),
    403: Said(
        because="The operator lets nobody do this without an account, or the link is to have another domain; or the request comes "
        "from a page of another site",
        kinds=(trouble.Trouble,),
    ),
    404: Said(because="Never was, or is no longer; or no such path", kinds=(trouble.Trouble,)),
    421: Said(
        because="The request names a host that is not this service", kinds=(trouble.Trouble,)
    ),
    431: _refused("Request line and headers are too long"),
    503: Said(
        because="No room for a new secret, or the store does not answer; nothing is lost",
        kinds=(trouble.Trouble, e2e.Refusal),
        headers=WAIT,
    ),
}
_SHARED_POST = {
    413: Said(because="The body is larger than any secret needs", kinds=(trouble.Trouble,)),
    422: Said(because="What is sent is not accepted; `field` says where", kinds=(trouble.Trouble,)),
    429: Said(
        because="Too many requests from one network, or wrong passphrases at one secret",
        kinds=(trouble.Trouble,),
        headers=WAIT,
    ),
}

# By dialect: in every answer, and to whatever may change something.
ALWAYS = {
    "v2": _SHARED_ALWAYS,
    "v3": _SHARED_ALWAYS,
    "e2e": {
        400: _refused("`invalid`: the request is not as described here; `field` says where"),
        421: _refused("`unknown_host`: the request names a host that is not this service"),
        431: _refused("`too_large`: request line and headers are too long"),
        503: _refused(
            "`unavailable`, `full`: nothing is lost, and the same request may be sent again; or "
            "`undecryptable`: what is kept of the secret was damaged",
            WAIT,
        ),
    },
    "v1": {
        400: Said(
            because="Malformed JSON or multipart, not UTF-8, or not HTTP",
            kinds=(v1.MessageWords, ErrorWords, e2e.Refusal),
        ),
        404: Said(
            because="Nearly every refusal; X-OTS-Intended-Status holds the honest status",
            kinds=(v1.UnknownWords, v1.MessageWords, ErrorWords),
        ),
        421: Said(because="The request names a host that is not this service", kinds=(ErrorWords,)),
        431: _refused("Request line and headers are too long"),
        503: Said(
            because="No room for a new secret, or the store does not answer",
            kinds=(v1.MessageWords, e2e.Refusal),
            headers=WAIT,
        ),
    },
}
POST = {
    "v2": _SHARED_POST,
    "v3": _SHARED_POST,
    "e2e": {
        403: _refused("`cross_origin`: the request comes from a page of another site"),
        413: _refused("`too_large`: the body has more than `limit_bytes`"),
    },
    "v1": {
        403: Said(because="The request comes from a page of another site", kinds=(ErrorWords,)),
        413: Said(because="The body is larger than any secret needs", kinds=(v1.MessageWords,)),
    },
}
NOT_FOUND = _refused("`not_found`: never was, is no longer, or the proof is not right")
WINDOW = {
    "Onetime-Window-Ends-At": "Until when the same claim may fetch it again, in seconds since 1970",
    "Onetime-Now": "The time of the service, likewise",
}
CLAIMED = _refused("`claimed`: another device has opened it")
WRONG = _refused(
    "`wrong_passphrase`: the open proof is wrong, `attempts_left` before a lock; or `cross_origin`"
)
LIMITED = _refused(
    "`rate_limited`: for `retry_after` seconds, which are in Retry-After too; or `closed`: for good",
    WAIT,
)


def _done(does: str, *kinds: type[Struct], **request: Any) -> Operation:
    answers = {200: Said(because="Done", kinds=kinds)} if kinds else {}
    return Operation(does=does, answers=answers, **request)


OPERATIONS: dict[Handler, Operation] = {
    e2e.terms: Operation(
        does="What the service allows, and what time it is there",
        answers={200: Said(because="The terms", kinds=(e2e.TermsAnswer,))},
    ),
    e2e.create: Operation(
        does="Take an envelope in. The same again is answered as the first, while the secret is new",
        headers=e2e.CreateHeaders,
        is_octets=True,
        answers={
            201: Said(because="It is kept", kinds=(Created,)),
            409: _refused("`conflict`: something else is or was under this id"),
            429: LIMITED,
        },
    ),
    e2e.look: Operation(
        does="What the holder of the link may know; consumes nothing",
        body=e2e.LookRequest,
        answers={200: Said(because="It is there", kinds=(Look,)), 404: NOT_FOUND},
    ),
    e2e.reveal: Operation(
        does="Hand the envelope to the first claim; to the same claim again, while its window lasts",
        body=e2e.RevealRequest,
        answers={
            200: Said(because="The envelope", headers=WINDOW),
            403: WRONG,
            404: NOT_FOUND,
            409: CLAIMED,
            429: LIMITED,
        },
    ),
    e2e.settle: Operation(
        does="It has arrived: destroy the envelope now. May be repeated",
        body=e2e.SettleRequest,
        answers={200: Said(because="It is destroyed", kinds=(Settled,)), 404: NOT_FOUND},
    ),
    e2e.burn: Operation(
        does="Destroy it unread, as the holder of the link. While a window lasts its claim ends it, and is told 409",
        body=e2e.BurnRequest,
        answers={
            200: Said(because="It is destroyed", kinds=(e2e.BurnAnswer,)),
            403: WRONG,
            404: NOT_FOUND,
            409: CLAIMED,
            429: LIMITED,
        },
    ),
    e2e.receipt: Operation(
        does="What became of it",
        body=e2e.ReceiptRequest,
        answers={200: Said(because="The receipt", kinds=(EnvelopeReceipt,)), 404: NOT_FOUND},
    ),
    e2e.burn_by_receipt: Operation(
        does="Destroy it unread, as its sender",
        body=e2e.ReceiptRequest,
        answers={
            200: Said(because="The receipt of what is burned now", kinds=(EnvelopeReceipt,)),
            404: NOT_FOUND,
            409: CLAIMED,
        },
    ),
    v1.status: _done("The state of the service", v1.StatusWords, query=StatusQuery),
    v1.needs_account: _done("Needs an account: refused"),
    v1.share: _done("Take a secret in", v1.ReceiptWords, body=ShareFields, is_create=True),
    v1.generate: _done(
        "Make a secret up, take it in and show it",
        v1.ReceiptWords,
        body=GenerateFields,
        is_create=True,
    ),
    v1.reveal: _done("Give a secret up, once", v1.ValueWords, body=PassphraseFields),
    v1.receipt: _done("What became of it", v1.ReceiptWords),
    v1.burn: _done("Destroy it unread", v1.BurnWords, body=PassphraseFields),
    v1.post_recent: _done("No key: refused"),
    record.show: _done(
        "What the holder of the link may know; consumes nothing", record.SecretAnswer
    ),
    record.reveal: _done("Give a secret up, once", record.SecretAnswer, body=ContinueBody),
    **dict.fromkeys(
        (v2.state, record.state),
        _done("Whether a secret is there", record.StateAnswer, record.NoStateAnswer),
    ),
    **dict.fromkeys(
        (v2.states, record.states),
        _done("Which of these secrets are there", record.SecretsAnswer, body=IdentifiersBody),
    ),
    v2.memo: _done("Needs an account: refused", body=MemoBody),
    v2.needs_account: _done("Needs an account: refused"),
    v3.needs_session: _done("Needs an account: refused"),
    v3.receipts: _done("What became of these", record.ReceiptsAnswer, body=IdentifiersBody),
    v3.feedback: _done("Refused: it would reach nobody", body=FeedbackBody),
}
for _module in (v2, v3):
    OPERATIONS |= {
        _module.conceal: _done(
            "Take a secret in", record.CreatedAnswer, body=ConcealBody, is_create=True
        ),
        _module.generate: _done(
            "Make a secret up, take it in and show it",
            record.CreatedAnswer,
            body=GenerateBody,
            is_create=True,
        ),
        _module.receipt: _done("What became of it", record.ReceiptAnswer),
        _module.burn: _done("Destroy it unread", record.BurnedAnswer, body=ContinueBody),
        _module.status: _done("The state of the service", record.ServiceAnswer, query=StatusQuery),
        _module.locales: _done(
            "The languages of the service", record.LocalesAnswer, query=StatusQuery
        ),
    }

# draft-ietf-httpapi-idempotency-key-header
ONCE: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "At least 128 random bits, such as 32 hex digits: the same create with the same key is answered as the first, "
    "for 24 hours",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32,64}$"},
}


def of(routes: Sequence[tuple[str, str, Handler]]) -> Handler:
    """The handler that describes these."""
    described = document(routes)

    async def openapi(call: Call) -> Answer:
        return json_answer({**described, "servers": [{"url": call.base}]})

    return openapi


def document(routes: Sequence[tuple[str, str, Handler]]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    kinds: set[type[Struct]] = set()
    for methods, path, handler in routes:
        for method in methods.split():
            operation = OPERATIONS[handler]
            answers = _answers(method, path, operation)
            kinds |= {kind for said in answers.values() for kind in said.kinds}
            kinds |= {operation.body} if operation.body else set()
            paths.setdefault(path, {})[method.lower()] = _operation(
                method, path, operation, answers
            )
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF)
    # One of the two: what a struct of msgspec cannot say.
    ways = ("open_proof", "claim")
    schemas["BurnRequest"]["oneOf"] = [{"required": [way]} for way in ways]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Onetime", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _answers(method: str, path: str, operation: Operation) -> dict[int, Said]:
    dialect = path.split("/")[2]
    unsafe = POST[dialect] if method in {"POST", "PATCH"} else {}
    return dict(sorted({**ALWAYS[dialect], **unsafe, **operation.answers}.items()))


def _operation(
    method: str, path: str, operation: Operation, answers: dict[int, Said]
) -> dict[str, Any]:
    parts = re.findall(r"\w+", path.removeprefix("/api/"))
    made: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *parts]),
        "tags": [parts[0]],
        "summary": operation.does,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"{(\w+)}", path)
            ),
            *_parameters("header", operation.headers),
            *_parameters("query", operation.query),
            *([ONCE] if operation.is_create else []),
        ],
        "responses": {str(status): _response(said) for status, said in answers.items()},
    }
    if operation.is_octets:
        made["requestBody"] = {"required": True, "content": {OCTET_STREAM: ANYTHING}}
    elif operation.body is not None:
        schema = {"schema": _reference(operation.body)}
        is_strict = issubclass(operation.body, e2e.Strict)
        types = [JSON] if is_strict else [JSON, FORM, MULTIPART]
        made["requestBody"] = {"required": is_strict, "content": dict.fromkeys(types, schema)}
    return made


def _parameters(place: str, kind: type[Struct]) -> list[dict[str, Any]]:
    """`secret_id` is the header Onetime-Secret-Id."""
    schema = msgspec.json.schema_components([kind])[1][kind.__name__]
    return [
        {
            "name": e2e.header_name(name) if place == "header" else name,
            "in": place,
            "required": name in schema["required"],
            "schema": member,
        }
        for name, member in schema["properties"].items()
    ]


def _response(said: Said) -> dict[str, Any]:
    made: dict[str, Any] = {"description": said.because}
    if said.headers:
        made["headers"] = {
            name: {
                "description": what,
                "required": name.startswith("Onetime-"),
                "schema": {"type": "integer"},
            }
            for name, what in said.headers.items()
        }
    references = [_reference(kind) for kind in said.kinds]
    if not references:
        made["content"] = {OCTET_STREAM: ANYTHING}
    elif len(references) == 1:
        made["content"] = {JSON: {"schema": references[0]}}
    else:
        made["content"] = {JSON: {"schema": {"anyOf": references}}}
    return made


def _reference(kind: type[Struct]) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}
