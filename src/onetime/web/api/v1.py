"""API v1 in the words of its contract, so that existing clients work unchanged (docs/api.md).

Three old words: the secret is handed in by *share* or *create*, its receipt is *metadata* or *private*, a revealed one is
*received*. Nearly every refusal is HTTP 404 with a `message`; `X-OTS-Intended-Status` holds the honest status.

There are no accounts yet. Whoever sends an Authorization header wants to be somebody, and is told "Not authorized".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from onetime import i18n
from onetime.core.generate import MOST_LENGTH
from onetime.core.vault import LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE
from onetime.errors import (
    Disabled,
    Invalid,
    NotFound,
    OnetimeError,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    WrongPassphrase,
)
from onetime.model import State
from onetime.web.api import gate, wish
from onetime.web.errors import retry_after
from onetime.web.http import Answer, json_answer

if TYPE_CHECKING:
    from onetime.core.vault import Wish
    from onetime.model import Receipt
    from onetime.web.http import Call, Headers

# Segments of these routes are no keys (decision 8 of the contract).
ROUTE_WORDS = frozenset({"recent", "burn"})

STATES = {
    State.NEW: "new",
    State.REVEALED: "received",
    State.BURNED: "burned",
    State.EXPIRED: "expired",
}

# The short form of a secret key in the answer to a burn.
SHORT_KEY = 8

UNEXPECTED = "An unexpected error occurred :["
UNSTORABLE = "Unable to process your request at this time"
TRY_AGAIN = "Service temporarily unavailable. Please try again shortly."

PASSPHRASE_TEXTS = {
    "too_short": f"Passphrase must be at least {SHORTEST_PASSPHRASE} characters long",
    "too_long": f"Passphrase must be no more than {LONGEST_PASSPHRASE} characters long",
    "unassigned": "Passphrase contains characters that Unicode has not assigned",
}


class ReceiptWords(Struct, kw_only=True):
    """A receipt as v1 shows it. The order is the contract's; what is UNSET is left out.

    The last seven repeat fields above them under newer names.
    """

    custid: str
    metadata_key: str
    secret_key: str | UnsetType = UNSET
    ttl: int
    metadata_ttl: int
    secret_ttl: int | UnsetType | None = UNSET
    metadata_url: str
    state: str
    updated: int
    created: int
    received: int | UnsetType = UNSET
    recipient: tuple[str, ...]
    share_domain: str
    value: str | UnsetType = UNSET
    passphrase_required: bool | UnsetType = UNSET
    identifier: str
    secret_identifier: str | UnsetType = UNSET
    has_passphrase: bool | UnsetType = UNSET
    recipients: tuple[str, ...]
    receipt_ttl: int
    receipt_url: str
    secret_value: str | UnsetType = UNSET


class StatusWords(Struct):
    status: str
    locale: str


class ValueWords(Struct):
    value: str
    secret_key: str
    share_domain: str


class BurnWords(Struct):
    state: ReceiptWords
    secret_shortkey: str


class MessageWords(Struct):
    message: str


class UnknownWords(Struct):
    secret_key: str
    message: str


# Handlers, in the order of the routes


async def status(call: Call) -> Answer:
    _only_guests(call)
    asked = call.query and (await call.parameters()).get("locale")
    language = i18n.find(asked) if isinstance(asked, str) else None
    language = language or i18n.preferred(call.header("accept-language"))
    return json_answer(StatusWords("nominal", language.code))


async def needs_account(_call: Call) -> Answer:
    """The routes that make sense for an account alone: authcheck and recent."""
    raise Unauthenticated("There are no accounts yet")


async def share(call: Call) -> Answer:
    _only_guests(call, "conceal")
    given = await call.parameters()
    text = wish.text(given, "secret")
    vault = call.app.vault
    _check_size(call, text)
    refusal = _needs_account(call, given)
    if refusal is not None:
        return refusal
    concealed = await vault.conceal(text, _wish(call, given), caller=call.caller)
    return json_answer(_receipt(call, concealed.receipt))


async def generate(call: Call) -> Answer:
    _only_guests(call, "generate")
    given = await call.parameters()
    refusal = _needs_account(call, given)
    if refusal is not None:
        return refusal
    concealed = await call.app.vault.generate(
        wish.recipe(given), _wish(call, given), caller=call.caller
    )
    return json_answer(_receipt(call, concealed.receipt, value=concealed.value))


async def reveal(call: Call) -> Answer:
    """`continue` needs not be sent: this route is never called by accident."""
    key = _key(call, "reveal")
    given = await call.parameters()
    value = await call.app.vault.reveal(
        key, passphrase=wish.text(given, "passphrase"), caller=call.caller
    )
    return json_answer(ValueWords(value, key, call.base))


async def receipt(call: Call) -> Answer:
    """GET looks. POST looks too, and hands over a generated value that nobody has seen on the receipt yet."""
    key = _key(call, "receipt")
    vault = call.app.vault
    if call.method != "POST":
        return json_answer(_receipt(call, await vault.receipt(key)))
    await call.parameters()
    value = await vault.generated_value(key)
    return json_answer(_receipt(call, await vault.receipt(key), value=value))


async def burn(call: Call) -> Answer:
    key = _key(call, "burn")
    given = await call.parameters()
    passphrase = wish.text(given, "passphrase")
    vault = call.app.vault
    before = await vault.receipt(key)
    after = await vault.burn_by_receipt(key, passphrase=passphrase, caller=call.caller)
    short = (before.secret_key or "")[:SHORT_KEY]
    return json_answer(BurnWords(_receipt(call, after), short))


async def post_recent(call: Call) -> Answer:
    """A POST to .../recent is a question for the receipt with the key `recent`, and that is no key."""
    _only_guests(call)
    raise NotFound


# Reading its words


def _only_guests(call: Call, what: str = "") -> None:
    if b"authorization" in call.headers:
        raise Unauthenticated("There are no accounts yet")
    if what:
        gate.check(call, what)


def _key(call: Call, what: str) -> str:
    _only_guests(call, what)
    key = call.values["key"]
    if not _can_be_key(key):
        raise NotFound
    return key


def _can_be_key(key: str) -> bool:
    return key.isascii() and key.isalnum() and key not in ROUTE_WORDS


def _wish(call: Call, given: dict[str, Any]) -> Wish:
    return wish.of(call, given, default_for_zero=True)


def _check_size(call: Call, text: str) -> None:
    """Before what else may be wrong with a request, as the contract has it; the rule itself is the vault's."""
    limit = call.app.vault.terms.max_secret_bytes
    if len(text) * 4 > limit and len(text.encode(errors="surrogatepass")) > limit:
        raise TooLarge("secret", limit_bytes=limit)


def _needs_account(call: Call, given: dict[str, Any]) -> Answer | None:
    """Mail to a recipient does, and so does a domain other than this one."""
    if wish.has_recipient(given):
        return _refuse("An account is required to send emails.")
    domain = wish.foreign_domain(call, given)
    if domain is not None:
        return _refuse(f"You do not have permission to use domain: {domain}")
    return None


# Answering in the same words


def _receipt(call: Call, receipt: Receipt, *, value: str | None = None) -> ReceiptWords:
    """`secret_key` and `secret_ttl` are left out of a revealed one, and empty when it was burned or has expired."""
    is_new = receipt.state is State.NEW
    is_received = receipt.state is State.REVEALED
    key = receipt.receipt_key
    secret_key: str | UnsetType = UNSET if is_received else ""
    if is_new:
        secret_key = receipt.secret_key or UNSET
    secret_ttl: int | UnsetType | None = UNSET if is_received else None
    if is_new:
        secret_ttl = receipt.secret_expires_at - receipt.now
    has_passphrase: bool | UnsetType = receipt.has_passphrase if is_new else UNSET
    metadata_ttl = receipt.expires_at - receipt.now
    url = f"{call.base}/receipt/{key}"
    ended_at = receipt.created_at if receipt.ended_at is None else receipt.ended_at
    shown = UNSET if value is None else value
    return ReceiptWords(
        custid="anon",
        metadata_key=key,
        secret_key=secret_key,
        ttl=receipt.ttl,
        metadata_ttl=metadata_ttl,
        secret_ttl=secret_ttl,
        metadata_url=url,
        state=STATES[receipt.state],
        updated=ended_at,
        created=receipt.created_at,
        received=ended_at if is_received else UNSET,
        recipient=(),
        share_domain="",
        value=shown,
        passphrase_required=has_passphrase,
        identifier=key,
        secret_identifier=secret_key,
        has_passphrase=has_passphrase,
        recipients=(),
        receipt_ttl=metadata_ttl,
        receipt_url=url,
        secret_value=shown,
    )


def on_error(call: Call, error: OnetimeError) -> Answer:
    """What a rule refused. 404 for nearly everything; the exceptions are no words of the contract but of the protocol."""
    wait = retry_after(error)
    waits: Headers = [] if wait is None else [(b"retry-after", str(wait).encode())]
    match error:
        case NotFound() | WrongPassphrase() if call.route.endswith("/burn"):
            if isinstance(error, WrongPassphrase):
                return _refuse("Double check that passphrase")
            return _unknown(call)
        case NotFound() | WrongPassphrase():
            return _unknown(call)
        case Unauthenticated() | Disabled():
            return _refuse("Not authorized", intended=b"401")
        case RateLimited(budget="create" | "reveal"):
            return _refuse("Rate limit exceeded. Please try again later.", waits)
        case RateLimited(retry_after=None):
            return _unknown(call)
        case RateLimited():
            return _refuse(UNEXPECTED, waits)
        case Unavailable():
            headers: Headers = [(b"x-ots-intended-status", b"503"), *waits]
            return json_answer(MessageWords(TRY_AGAIN), status=503, headers=headers)
        case Invalid():
            return _invalid(error)
        case _:
            return _refuse(UNEXPECTED)


def _invalid(error: Invalid) -> Answer:
    match error:
        case TooLarge(field="body"):
            text = f"The request body exceeds the maximum size of {error.limit_bytes} bytes"
            return json_answer(MessageWords(text), status=413)
        case TooLarge():
            text = f"Secret value exceeds the maximum size of {error.limit_bytes} bytes"
            return _refuse(text)
        case Invalid(field="body", rule="not_an_object"):
            return _refuse("Incorrect payload format")
        case Invalid(field="body"):
            return json_answer(MessageWords(str(error)), status=400)
        case Invalid(field="secret", rule="empty"):
            return _refuse("You did not provide anything to share")
        case Invalid(field="length", rule="too_long"):
            return _refuse(
                f"Generated password length must be no more than {MOST_LENGTH} characters"
            )
        case Invalid(field="ttl" | "length" | "character_sets"):
            return _refuse(UNEXPECTED)
        case Invalid(field="idempotency_key"):
            return _refuse(wish.ONCE_TEXT)
        case Invalid(field="passphrase") if error.rule in PASSPHRASE_TEXTS:
            return _refuse(PASSPHRASE_TEXTS[error.rule])
        case _:
            return _refuse(UNSTORABLE)


def _unknown(call: Call) -> Answer:
    """The same for what never was, was read, burned or has expired, and for a wrong passphrase."""
    key = call.values.get("key", "")
    if not _can_be_key(key):
        return json_answer(MessageWords("Not Found"), status=404)
    return json_answer(UnknownWords(key, "Unknown secret"), status=404)


def _refuse(message: str, waits: Headers | None = None, *, intended: bytes = b"400") -> Answer:
    headers = [(b"x-ots-intended-status", intended), *(waits or ())]
    return json_answer(MessageWords(message), status=404, headers=headers)
