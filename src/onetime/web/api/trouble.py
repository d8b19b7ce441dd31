"""Refusals of API v2 and v3: an `error` for people, with the honest status (reference 2.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from onetime.core.generate import MOST_LENGTH
from onetime.core.limits import BUDGETS, PASSPHRASE_TOTAL
from onetime.errors import (
    Disabled,
    Forbidden,
    Invalid,
    NotFound,
    OnetimeError,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Undecryptable,
    WrongPassphrase,
)
from onetime.web import errors
from onetime.web.api import gate, wish
from onetime.web.api.record import identifier
from onetime.web.api.v1 import PASSPHRASE_TEXTS, TRY_AGAIN
from onetime.web.http import Answer, json_answer

if TYPE_CHECKING:
    from onetime.web.http import Call, Headers


class Trouble(Struct, kw_only=True):
    """A refusal: `error` is for people. What does not apply is left out."""

    error: str
    error_type: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    max_attempts: int | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class AuthTrouble(Struct, kw_only=True):
    error: str = "Authentication Required"
    message: str
    timestamp: int


PLAIN = {
    400: ("Bad Request", "BadRequest"),
    403: ("Forbidden", "Forbidden"),
    404: ("Not Found", "NotFound"),
    421: ("Misdirected Request", "MisdirectedRequest"),
    500: ("Internal Server Error", "ServerError"),
}


def plain(status: int) -> Answer:
    """What was refused before a handler, or by none. Another method is not found either (reference 0.2)."""
    if status == 405:
        status = 404
    error, error_type = PLAIN[status]
    return json_answer(Trouble(error=error, error_type=error_type), status=status)


def on_error(call: Call, error: OnetimeError) -> Answer:
    """What a rule refused."""
    is_burn = call.route.endswith("/burn")
    match error:
        case NotFound():
            is_receipt = call.route.endswith(("/receipt/{key}", "/private/{key}"))
            text = f"identifier: {identifier(call)}" if is_receipt else "Unknown secret"
            return _refuse(call, 404, text, error_type="RecordNotFound")
        case WrongPassphrase():
            text = "Double check that passphrase" if is_burn else "Incorrect passphrase"
            return _refuse(call, 422, text)
        case Unauthenticated() if str(error).startswith("["):
            words = AuthTrouble(message=str(error), timestamp=call.app.store.now())
            return json_answer(words, status=401)
        case Unauthenticated():
            return _refuse(call, 401, str(error), error_type="Unauthorized")
        case Forbidden():
            return _refuse(call, 403, str(error), error_type="Forbidden")
        case Disabled():
            return _refuse(call, 403, str(error), code=gate.code(error))
        case RateLimited():
            return _limited(call, error)
        case Undecryptable():
            text = "This secret cannot be opened at present; it was not consumed"
            return _refuse(call, 503, text, code="secret_undecryptable")
        case Unavailable():
            return _refuse(
                call,
                503,
                TRY_AGAIN,
                error_type="Unavailable",
                retry_after=error.retry_after,
            )
        case Invalid():
            return _invalid(call, error)
        case _:
            return _refuse(call, errors.status(error), str(error), error_type="ServerError")


def _limited(call: Call, error: RateLimited) -> Answer:
    is_network = error.budget in {"create", "reveal"}
    text = (
        "Rate limit exceeded. Please try again later."
        if is_network
        else "Too many incorrect passphrase attempts. Please try again later."
    )
    budget = BUDGETS.get(error.budget)
    return _refuse(
        call,
        429,
        text,
        error_type="LimitExceeded",
        retry_after=UNSET if error.retry_after is None else error.retry_after,
        max_attempts=budget.limit if budget else PASSPHRASE_TOTAL,
    )


def _invalid(call: Call, error: Invalid) -> Answer:
    match error:
        case TooLarge(field="body"):
            text = f"The request body exceeds the maximum size of {error.limit_bytes} bytes"
            return _refuse(call, 413, text, error_type="TooLarge")
        case TooLarge():
            text = f"Secret content must be no more than {error.limit_bytes} bytes long"
            return _refuse(call, 422, text, field="secret")
        case Invalid(field="body", rule="not_an_object"):
            return _refuse(call, 422, "Incorrect payload format")
        case Invalid(field="body"):
            return _refuse(call, 400, str(error), error_type="BadRequest")
        case Invalid(field="secret", rule="empty"):
            text = "You did not provide anything to share"
            return _refuse(call, 422, text, error_type="missing", field="secret")
        case Invalid(field="length", rule="too_long"):
            text = f"Generated password length must be no more than {MOST_LENGTH} characters"
            return _refuse(call, 422, text, field="length")
        case Invalid(field="idempotency_key"):
            return _refuse(call, 422, wish.ONCE_TEXT, field="Idempotency-Key")
        case Invalid(field="passphrase") if error.rule in PASSPHRASE_TEXTS:
            return _refuse(call, 422, PASSPHRASE_TEXTS[error.rule], field="passphrase")
        case _:
            return _refuse(call, 422, str(error), error_type=error.rule, field=error.field)


def _refuse(
    call: Call,
    status: int,
    text: str,
    *,
    retry_after: int | UnsetType = UNSET,
    **more: Any,
) -> Answer:
    headers: Headers = []
    if retry_after is not UNSET:
        headers.append((b"retry-after", b"%d" % retry_after))
    trouble = Trouble(error=text, retry_after=retry_after, request_id=call.request_id, **more)
    return json_answer(trouble, status=status, headers=headers)
