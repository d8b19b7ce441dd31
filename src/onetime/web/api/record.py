"""What API v2 and v3 have in common: answers of `record` and `details` (docs/api.md). Refusals: trouble.py.

Both say the same of the same vault in nearly the same words; where they differ is `Dialect`, and v2.py and v3.py have the rest.
A POST that destroys wants `continue`; a GET never does, whatever it says. Looks at a link are not written down, so what
the contract tells of them (`is_previewed`, `view_count`) is always no.

There are no accounts yet. Whoever sends credentials is refused, except under /guest/, where the contract does not look at them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from onetime import i18n
from onetime.errors import Forbidden, Invalid, NotFound, Unauthenticated
from onetime.model import Peek, Receipt, State
from onetime.web.api import gate, wish
from onetime.web.http import Answer, json_answer

if TYPE_CHECKING:
    from onetime.model import Concealed
    from onetime.web.http import Call

MINUTE, HOUR, DAY = 60, 3_600, 86_400

# The short form of a key.
SHORT = 8
# How many keys one question may have.
MOST_SECRETS = 100

# Characters of a key in a path; the others are not looked at (reference 0.7).
_STRAY = re.compile(r"[^A-Za-z0-9_-]+")
_STRAY_IN_LIST = re.compile(r"[^a-z0-9,]+")

AUTH_MISSING = "[AUTH_HEADER_MISSING] No authorization header"
AUTH_TYPE = "[AUTH_TYPE_INVALID] Invalid authorization type"
AUTH_FORMAT = "[CREDENTIALS_FORMAT_INVALID] Invalid credentials format"
AUTH_WRONG = "[CREDENTIALS_INVALID] Invalid credentials"
NO_SESSION = "[SESSION_NOT_AUTHENTICATED] Not authenticated"


class Dialect(Struct, frozen=True, kw_only=True):
    """Where v2 and v3 differ: `custid` and `recipients` of a receipt without either, whether a create shows its receipt a second
    time as `metadata`, and whether answers about the service say `success`.
    """

    custid: UnsetType | None
    recipients: str | None
    has_metadata: bool
    says_success: bool


# The records, in the contract's order; what is UNSET is left out.


class SecretRecord(Struct, kw_only=True):
    """`secret_value` once it is revealed, and in the answer to *generate*."""

    identifier: str
    key: str
    shortid: str
    state: str
    lifespan: int
    secret_ttl: int
    has_passphrase: bool
    verification: bool = False
    created: float
    updated: float
    is_previewed: bool = False
    is_revealed: bool = False
    is_viewed: bool = False
    is_received: bool = False
    secret_value: str | UnsetType = UNSET


class ReceiptRecord(Struct, kw_only=True):
    """`secret_identifier` is null once the secret is gone. The four lifetimes are the granted one; none counts down."""

    identifier: str
    key: str
    custid: UnsetType | None = UNSET
    owner_id: str | None = None
    state: str
    secret_shortid: str
    secret_identifier: str | UnsetType | None = UNSET
    secret_ttl: int
    metadata_ttl: int
    receipt_ttl: int
    lifespan: int
    share_domain: str | None = None
    created: float
    updated: float
    shared: int | None = None
    recipients: str | tuple[str, ...] | None
    recipient_name: str | None = None
    memo: str | None = None
    shortid: str
    show_recipients: bool = False
    previewed: int | None = None
    revealed: int | None = None
    is_previewed: bool = False
    viewed: int | None = None
    received: int | None = None
    burned: int | None = None
    is_viewed: bool = False
    is_received: bool
    is_revealed: bool
    is_burned: bool
    is_expired: bool
    is_orphaned: bool = False
    is_destroyed: bool
    has_passphrase: bool
    kind: str
    source: str = "standard"


class WholeReceiptRecord(ReceiptRecord, kw_only=True):
    """A receipt and its addresses. `secret_state` is left out of the answer to a burn."""

    secret_state: str | UnsetType | None = UNSET
    natural_expiration: str
    expiration: int
    expiration_in_seconds: int
    share_path: str
    burn_path: str
    receipt_path: str
    metadata_path: str
    share_url: str
    receipt_url: str
    metadata_url: str
    burn_url: str


class CreatedRecord(Struct, kw_only=True):
    receipt: ReceiptRecord
    metadata: ReceiptRecord | UnsetType = UNSET
    secret: SecretRecord
    share_domain: str | None = None


class CreatedDetails(Struct, kw_only=True):
    kind: str
    recipient: list[str] = []
    recipient_safe: list[str] = []


class CreatedAnswer(Struct, kw_only=True):
    success: bool = True
    record: CreatedRecord
    details: CreatedDetails


class SecretDetails(Struct, kw_only=True, rename={"goes_on": "continue"}):
    goes_on: bool
    is_owner: bool = False
    show_secret: bool
    correct_passphrase: bool
    display_lines: int
    one_liner: bool | None


class SecretAnswer(Struct):
    record: SecretRecord
    details: SecretDetails


class ReceiptDetails(Struct, kw_only=True):
    """`secret_realttl`: seconds that the secret still lives, the only number here that counts down."""

    type: str = "record"
    display_lines: int
    no_cache: bool = True
    secret_realttl: int | None
    view_count: int = 0
    first_access: int | None = None
    last_access: int | None = None
    has_passphrase: bool
    can_decrypt: bool
    secret_value: str | None = None
    show_secret: bool
    show_secret_link: bool
    show_receipt_link: bool
    show_receipt: bool = True
    show_recipients: bool = False


class ReceiptAnswer(Struct):
    record: WholeReceiptRecord
    details: ReceiptDetails


class BurnedDetails(Struct, kw_only=True):
    type: str = "record"
    title: str
    display_lines: int = 0
    display_feedback: bool = False
    no_cache: bool = True
    view_count: int = 0
    has_passphrase: bool = False
    can_decrypt: bool = False
    show_secret: bool = False
    show_secret_link: bool = False
    show_receipt_link: bool = False
    show_receipt: bool = True
    show_recipients: bool = False
    is_orphaned: bool = False


class BurnedAnswer(Struct):
    success: bool
    record: WholeReceiptRecord
    details: BurnedDetails


class StateDetails(Struct):
    current_expiration: int


class StateAnswer(Struct):
    record: SecretRecord
    details: StateDetails


class NoState(Struct):
    state: Literal["unknown"] = "unknown"


class NoStateAnswer(Struct):
    record: NoState


class SecretsAnswer(Struct):
    records: list[SecretRecord]
    count: int


class ReceiptsAnswer(Struct):
    records: list[ReceiptRecord]
    count: int


class ServiceAnswer(Struct, kw_only=True):
    success: bool | UnsetType = UNSET
    status: str
    locale: str


class LocalesAnswer(Struct, kw_only=True):
    success: bool | UnsetType = UNSET
    locales: list[str]
    default_locale: str
    locale: str


# What both do alike, and the handlers that are the same


async def conceal(call: Call) -> Concealed:
    admit(call, "conceal")
    given = await _inner(call)
    text = wish.text(given, "secret")
    return await call.app.vault.conceal(text, wish.of(call, given), caller=call.caller)


async def generate(call: Call) -> Concealed:
    admit(call, "generate")
    given = await _inner(call)
    recipe = wish.recipe(given)
    return await call.app.vault.generate(recipe, wish.of(call, given), caller=call.caller)


async def show(call: Call) -> Answer:
    """Looks, and nothing else: neither `continue` nor `passphrase` in the query is looked at."""
    admit(call, "show")
    key = identifier(call)
    peeked = await call.app.vault.peek(key)
    details = SecretDetails(
        goes_on=False,
        show_secret=False,
        correct_passphrase=not peeked.has_passphrase,
        display_lines=_lines(""),
        one_liner=None,
    )
    return json_answer(SecretAnswer(_secret(key, peeked), details))


async def reveal(call: Call) -> Answer:
    """Gives the secret up if `continue` is true; without it, says whether the passphrase is right."""
    admit(call, "reveal")
    key = identifier(call)
    given = await call.parameters()
    passphrase = wish.text(given, "passphrase")
    vault = call.app.vault
    goes_on = _goes_on(given)
    if goes_on:
        value, peeked = await vault.reveal_whole(key, passphrase=passphrase, caller=call.caller)
        record = _secret(key, peeked, value)
    else:
        value, peeked = "", await vault.check(key, passphrase=passphrase, caller=call.caller)
        record = _secret(key, peeked)
    details = SecretDetails(
        goes_on=goes_on,
        show_secret=goes_on,
        correct_passphrase=peeked.has_passphrase,  # no without one, as in the contract
        display_lines=_lines(value),
        one_liner="\n" not in value if goes_on else None,
    )
    return json_answer(SecretAnswer(record, details))


async def state(call: Call) -> Answer:
    key = identifier(call)
    try:
        peeked = await call.app.vault.peek(key)
    except NotFound:
        return json_answer(NoStateAnswer(NoState()))
    details = StateDetails(peeked.expires_at - peeked.now)
    return json_answer(StateAnswer(_secret(key, peeked), details))


async def states(call: Call) -> Answer:
    """Those that are there, in the order of the question."""
    keys = identifiers(await call.parameters(), most=MOST_SECRETS)
    records = []
    for key in keys:
        try:
            records.append(_secret(key, await call.app.vault.peek(key)))
        except NotFound:
            continue
    return json_answer(SecretsAnswer(records, len(records)))


# What each says in its own words


def created(dialect: Dialect, concealed: Concealed) -> Answer:
    receipt = receipt_record(dialect, concealed.receipt)
    kind = concealed.receipt.kind
    record = CreatedRecord(
        receipt=receipt,
        metadata=receipt if dialect.has_metadata else UNSET,
        secret=_created_secret(concealed),
    )
    return json_answer(CreatedAnswer(record=record, details=CreatedDetails(kind=kind)))


async def receipt(call: Call, dialect: Dialect) -> Answer:
    """Never holds a generated value: a GET cannot show something once. The answer to *generate* does."""
    admit(call, "receipt")
    found = await call.app.vault.receipt(identifier(call))
    is_new = found.state is State.NEW
    is_shown = is_new and not found.has_passphrase
    record = _whole(call, dialect, found)
    record.secret_state = found.state if is_new else None
    if not is_shown:
        record.secret_identifier = UNSET
    details = ReceiptDetails(
        display_lines=_lines(""),
        secret_realttl=found.secret_expires_at - found.now if is_new else None,
        has_passphrase=is_new and found.has_passphrase,
        can_decrypt=is_shown,
        show_secret=is_shown,
        show_secret_link=is_shown,
        show_receipt_link=is_new,
    )
    return json_answer(ReceiptAnswer(record, details))


async def burn(call: Call, dialect: Dialect) -> Answer:
    """Without `continue` nothing is burned, and `success` is false."""
    admit(call, "burn")
    key = identifier(call)
    given = await call.parameters()
    passphrase = wish.text(given, "passphrase")
    vault = call.app.vault
    goes_on = _goes_on(given)
    if goes_on:
        found = await vault.burn_by_receipt(key, passphrase=passphrase, caller=call.caller)
    else:
        found = await vault.receipt(key)
        if found.secret_key is None:
            raise NotFound
        await vault.check(found.secret_key, passphrase=passphrase, caller=call.caller)
    details = BurnedDetails(title="Secret burned" if goes_on else "")
    return json_answer(BurnedAnswer(goes_on, _whole(call, dialect, found), details))


async def service(call: Call, dialect: Dialect) -> Answer:
    success = True if dialect.says_success else UNSET
    return json_answer(ServiceAnswer(success=success, status="nominal", locale=await _locale(call)))


async def locales(call: Call, dialect: Dialect) -> Answer:
    return json_answer(
        LocalesAnswer(
            success=True if dialect.says_success else UNSET,
            locales=[code for code in i18n.LANGUAGES if code != i18n.PSEUDO],
            default_locale=i18n.DEFAULT,
            locale=await _locale(call),
        )
    )


# Reading


def admit(call: Call, what: str) -> None:
    """
    Raises:
        Unauthenticated: there are credentials, and nobody whose they could be.
        Disabled: the operator lets nobody do this without an account.
    """
    if "/guest/" not in call.route:
        refuse_credentials(call)
    gate.check(call, what)


def refuse_credentials(call: Call) -> None:
    """
    Raises:
        Unauthenticated: there are some.
    """
    stated = call.headers.get(b"authorization")
    if stated is None:
        return
    if not stated.startswith(b"Basic "):
        raise Unauthenticated(AUTH_TYPE)
    try:
        user, _, token = base64.b64decode(stated[6:].strip(), validate=True).partition(b":")
    except binascii.Error:
        raise Unauthenticated(AUTH_FORMAT) from None
    raise Unauthenticated(AUTH_WRONG if user and token else AUTH_FORMAT)


def identifier(call: Call) -> str:
    return _STRAY.sub("", call.values["key"])


def identifiers(given: dict[str, Any], *, most: int) -> list[str]:
    """A list, or a text with commas.

    Raises:
        Invalid: there are more than `most`, or they are neither.
    """
    stated = given.get("identifiers") or ""
    if isinstance(stated, list):
        stated = ",".join(each for each in stated if isinstance(each, str))
    if not isinstance(stated, str):
        raise Invalid("identifiers", "This must be a list of keys", rule="wrong_type")
    keys = [each for each in _STRAY_IN_LIST.sub("", stated.lower()).split(",") if each]
    if len(keys) > most:
        raise Invalid("identifiers", f"Too many identifiers (max {most})", rule="too_many")
    return keys


async def _inner(call: Call) -> dict[str, Any]:
    """What a create says is in an object of its own. Refuses in the contract's order: what needs an account comes first.

    Raises:
        Invalid, Unauthenticated, Forbidden.
    """
    given = (await call.parameters()).get("secret")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise Invalid("body", "There must be an object `secret`", rule="not_an_object")
    if wish.has_recipient(given):
        raise Unauthenticated("An account is required to send emails.")
    domain = wish.foreign_domain(call, given)
    if domain is not None:
        raise Forbidden(f"You do not have permission to use domain: {domain}")
    return given


def _goes_on(given: dict[str, Any]) -> bool:
    stated = given.get("continue")
    return stated is True or stated == "true"


async def _locale(call: Call) -> str:
    asked = call.query and (await call.parameters()).get("locale")
    language = i18n.find(asked) if isinstance(asked, str) else None
    return (language or i18n.preferred(call.header("accept-language"))).code


# Answering


def _secret(key: str, peeked: Peek, value: str | None = None) -> SecretRecord:
    """With a value it has just been revealed."""
    ttl = peeked.expires_at - peeked.created_at
    is_revealed = value is not None
    return SecretRecord(
        identifier=key,
        key=key,
        shortid=key[:SHORT],
        state=State.REVEALED if is_revealed else State.NEW,
        lifespan=ttl,
        secret_ttl=ttl,
        has_passphrase=peeked.has_passphrase,
        created=float(peeked.created_at),
        updated=float(peeked.now if is_revealed else peeked.created_at),
        is_revealed=is_revealed,
        is_received=is_revealed,
        secret_value=UNSET if value is None else value,
    )


def _created_secret(concealed: Concealed) -> SecretRecord:
    """Of a create that is repeated it may be gone already."""
    receipt = concealed.receipt
    is_revealed = receipt.state is State.REVEALED
    return SecretRecord(
        identifier=concealed.secret_key,
        key=concealed.secret_key,
        shortid=concealed.secret_key[:SHORT],
        state=receipt.state,
        lifespan=receipt.ttl,
        secret_ttl=receipt.ttl,
        has_passphrase=receipt.has_passphrase,
        created=float(receipt.created_at),
        updated=float(receipt.ended_at or receipt.created_at),
        is_revealed=is_revealed,
        is_received=is_revealed,
        secret_value=UNSET if concealed.value is None else concealed.value,
    )


def receipt_record(dialect: Dialect, found: Receipt) -> ReceiptRecord:
    return ReceiptRecord(**_receipt_fields(dialect, found))


def _receipt_fields(dialect: Dialect, found: Receipt) -> dict[str, Any]:
    ended_at = found.ended_at
    is_revealed = found.state is State.REVEALED
    is_burned = found.state is State.BURNED
    revealed_at = ended_at if is_revealed else None
    return {
        "identifier": found.receipt_key,
        "key": found.receipt_key,
        "custid": dialect.custid,
        "state": found.state,
        "secret_shortid": (found.secret_key or "")[:SHORT],
        "secret_identifier": found.secret_key,
        "secret_ttl": found.ttl,
        "metadata_ttl": found.ttl,
        "receipt_ttl": found.ttl,
        "lifespan": found.ttl,
        "created": float(found.created_at),
        "updated": float(found.created_at if ended_at is None else ended_at),
        "recipients": dialect.recipients,
        "shortid": found.receipt_key[:SHORT],
        "revealed": revealed_at,
        "received": revealed_at,
        "burned": ended_at if is_burned else None,
        "is_received": is_revealed,
        "is_revealed": is_revealed,
        "is_burned": is_burned,
        "is_expired": found.state is State.EXPIRED,
        "is_destroyed": found.state is not State.NEW,
        "has_passphrase": found.has_passphrase,
        "kind": found.kind,
    }


def _whole(call: Call, dialect: Dialect, found: Receipt) -> WholeReceiptRecord:
    """The addresses name the secret's key as long as it lives, as the contract has it."""
    share = f"secret/{found.secret_key or ''}"
    receipt = f"receipt/{found.receipt_key}"
    burn = f"{receipt}/burn"
    return WholeReceiptRecord(
        **_receipt_fields(dialect, found),
        natural_expiration=_natural(found.ttl),
        expiration=found.secret_expires_at,
        expiration_in_seconds=found.ttl,
        share_path=share,
        burn_path=burn,
        receipt_path=receipt,
        metadata_path=receipt,
        share_url=f"{call.base}/{share}",
        receipt_url=f"{call.base}/{receipt}",
        metadata_url=f"{call.base}/{receipt}",
        burn_url=f"{call.base}/{burn}",
    )


def _natural(seconds: int) -> str:
    """In the largest unit that the contract says it in: of an hour still minutes."""
    if seconds <= MINUTE:
        return f"{seconds} seconds"
    if seconds <= HOUR:
        return f"{seconds // MINUTE} minutes"
    if seconds <= DAY:
        return f"{seconds // HOUR} hours"
    return f"{seconds // DAY} days"


def _lines(value: str) -> int:
    """How high a field for it is to be, by the contract's own count."""
    return min(30, (80 + len(value)) // 80 + value.count("\n") + 3)
