"""Everything this program keeps, writes or sends, as data: where, what, why, how long, and who can read it.

A *field* is one column, file, log field, counter, header, or part of a request; its *category* says what fields of one kind
share. `/info/privacy` and `docs/privacy.md` are made from this page, and tests/privacy/test_inventory.py holds it against
the live schema, the log, the metrics and real answers, both ways: what is not listed here does not exist.

Sentences are marked by `msgid` for the translators. Legal bases are those of the GDPR, Art. 6(1); whoever runs an
installation answers for it and may have others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


def msgid(text: str) -> str:
    """Marks a sentence that pages translate."""
    return text


class Place(StrEnum):
    VAULT = "vault"
    FILE = "file"
    LOG = "log"
    METRICS = "metrics"
    HEADER = "header"
    REQUEST = "request"
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long something is kept. Where `until` is set it names the column of the row that holds the last instant; at most
    `seconds` later it is in no file any more.
    """

    text: str
    until: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What its fields have in common. `personal`: it is, or may be, about a person."""

    title: str
    personal: bool
    purpose: str
    basis: str
    rule: Rule
    readers: str
    exported: str
    erased: str

    @property
    def retention(self) -> str:
        return self.rule.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`name` is `table.column` in the vault, else the name of the file, log field, metric or header."""

    place: Place
    name: str
    what: str
    category: Category
    encrypted: str

    @property
    def purpose(self) -> str:
        return self.category.purpose

    @property
    def basis(self) -> str:
        return self.category.basis

    @property
    def retention(self) -> str:
        return self.category.rule.text

    @property
    def readers(self) -> str:
        return self.category.readers

    @property
    def exported(self) -> str:
        return self.category.exported

    @property
    def erased(self) -> str:
        return self.category.erased


# A sweep a minute removes what has been over for five minutes, and the files are cleaned within another minute: inside ten.
SWEPT_SECONDS = 600

ASKED = msgid("You asked for it: GDPR Art. 6(1)(b)")
DEFENCE = msgid("Protection of the service and of secrets: GDPR Art. 6(1)(f)")
NOBODY = msgid("Not about a person")

OPERATOR = msgid("Whoever runs this service")
EVERYONE = msgid("Whoever gets the answer")
OF_ITSELF = msgid("By itself, when its time is over")
NO_EXPORT = msgid("Nothing to export: it cannot be tied to a person")
NEVER_KEPT = msgid("Nothing to erase: it is not kept")

SEALED = msgid("AES-256-GCM; the key is derived from the link, the root key and the passphrase")
WRAPPED = msgid("AES-256-GCM; the key is derived from the receipt's link and the root key")
ONCE = msgid("AES-256-GCM; the key is derived from a one-time value of the sender and the root key")
HASHED = msgid("A hash; what it was made from is not stored")
KEYED = msgid("An HMAC under a random key of the day; for a secret alone, a hash of its id")
PLAIN = msgid("No")

SECRET = Category(
    title=msgid("Secret, encrypted"),
    personal=True,
    purpose=msgid("To hand it over, once"),
    basis=ASKED,
    rule=Rule(
        msgid("Until it is opened, burned or out of time; the disk is clean within ten minutes"),
        until="expires_at",
        seconds=SWEPT_SECONDS,
    ),
    readers=msgid("Whoever holds the link, and the passphrase where there is one"),
    exported=msgid("By opening the link"),
    erased=msgid("At once, by burning it with the link or the receipt"),
)
RECEIPT = Category(
    title=msgid("Receipt: state and times"),
    personal=True,
    purpose=msgid("To tell the sender what happened to the secret"),
    basis=ASKED,
    rule=Rule(msgid("Twice the lifetime of the secret"), until="expires_at", seconds=SWEPT_SECONDS),
    readers=msgid(
        "Whoever holds the receipt; who runs the service sees states and times, but not whose"
    ),
    exported=msgid("On the receipt's page, or by the API"),
    erased=OF_ITSELF,
)
REPEAT = Category(
    title=msgid("Answer to a sender, for a repeated request"),
    personal=True,
    purpose=msgid("So that a double click or a reload does not make a second secret"),
    basis=ASKED,
    rule=Rule(msgid("One day"), until="expires_at", seconds=SWEPT_SECONDS),
    readers=msgid("The form or program that sent it, and nobody else"),
    exported=msgid("It is the answer that the sender has seen"),
    erased=OF_ITSELF,
)
COUNTERS = Category(
    title=msgid("Counters of requests and of wrong passphrases"),
    personal=True,
    purpose=msgid("Against floods and guessing"),
    basis=DEFENCE,
    rule=Rule(
        msgid("At most half an hour after the last one"), until="expires_at", seconds=SWEPT_SECONDS
    ),
    readers=msgid(
        "Nobody as they are; whoever copies the database could try which networks they belong to"
    ),
    exported=NO_EXPORT,
    erased=OF_ITSELF,
)
DAILY_KEY = Category(
    title=msgid("Key of the day for network counters"),
    personal=False,
    purpose=msgid("So that counters of different days cannot be compared"),
    basis=NOBODY,
    rule=Rule(msgid("Until the end of the next day"), until="expires_at", seconds=SWEPT_SECONDS),
    readers=OPERATOR,
    exported=NO_EXPORT,
    erased=OF_ITSELF,
)
ACCOUNTS = Category(
    title=msgid("Sessions, sign-in links and lists of accounts"),
    personal=True,
    purpose=msgid("For accounts, which this version does not have: always empty"),
    basis=ASKED,
    rule=Rule(msgid("Nothing is kept")),
    readers=msgid("Nobody: there is nothing"),
    exported=NO_EXPORT,
    erased=NEVER_KEPT,
)
UPKEEP = Category(
    title=msgid("The program's own bookkeeping"),
    personal=False,
    purpose=msgid("So that the store is consistent after a crash, an update or a change of keys"),
    basis=NOBODY,
    rule=Rule(msgid("As long as the service exists")),
    readers=OPERATOR,
    exported=NO_EXPORT,
    erased=msgid("By deleting the data directory"),
)
LOG = Category(
    title=msgid("Log of what the service did"),
    personal=False,
    purpose=msgid("To see that the service works and why it did not"),
    basis=NOBODY,
    rule=Rule(msgid("As long as whoever runs the service keeps the log; the program keeps none")),
    readers=OPERATOR,
    exported=NO_EXPORT,
    erased=msgid("By whoever runs the service"),
)
METRICS = Category(
    title=msgid("Counts of requests"),
    personal=False,
    purpose=msgid("To see the load; off unless it is switched on"),
    basis=NOBODY,
    rule=Rule(msgid("In memory, until the program ends")),
    readers=OPERATOR,
    exported=NO_EXPORT,
    erased=msgid("By ending the program"),
)
REQUEST = Category(
    title=msgid("What a request carries"),
    personal=True,
    purpose=msgid("To answer it"),
    basis=ASKED,
    rule=Rule(msgid("In memory, until the answer is sent")),
    readers=msgid("The program, while it answers"),
    exported=msgid("Nothing to export: it is not kept"),
    erased=NEVER_KEPT,
)
HEADERS = Category(
    title=msgid("Headers of every answer"),
    personal=False,
    purpose=msgid("To tell the browser what the answer is and what a page may do"),
    basis=NOBODY,
    rule=Rule(msgid("Not kept")),
    readers=EVERYONE,
    exported=NO_EXPORT,
    erased=NEVER_KEPT,
)
BROWSER = Category(
    title=msgid("What your own browser keeps"),
    personal=True,
    purpose=msgid("Every browser keeps the addresses it has visited"),
    basis=ASKED,
    rule=Rule(msgid("As your browser is set")),
    readers=msgid("Whoever uses the same browser"),
    exported=msgid("By your browser"),
    erased=msgid("By your browser"),
)

REMEMBERED = Category(
    title=msgid("Receipts that your browser remembers"),
    personal=True,
    purpose=msgid("So that you find them again, if you have asked for it; nothing of it is sent"),
    basis=ASKED,
    rule=Rule(
        msgid("Until the receipt ends; removed when the first page is opened for the next time")
    ),
    readers=msgid("Whoever uses the same browser; they open no secret"),
    exported=msgid("On the first page, each as a link"),
    erased=msgid("At once, all of them, by a button on the first page"),
)

# What a reader may expect and will not find.
ABSENT = (
    msgid(
        "There are no cookies, and pages store nothing in your browser unless you ask for it with “Remember on this device”."
    ),
    msgid("Logs hold no address, no browser name, no link and no text of yours."),
    msgid(
        "There are no statistics about people, and nothing is loaded from or sent to another site."
    ),
    msgid("No mail is sent."),
)

# What this program cannot promise.
BEYOND = (
    msgid(
        "Without JavaScript, and for programs that leave encrypting to it, the server sees the text and the passphrase while it takes a secret in and while it hands it over."
    ),
    msgid(
        "What your browser encrypts the server cannot read; it learns how large it is about, when it was made and opened, and whether it has a passphrase."
    ),
    msgid("A proxy or a host in front of this program may keep logs of its own."),
)


def _fields(
    place: Place, category: Category, encrypted: str = PLAIN, prefix: str = "", **whats: str
) -> tuple[Field, ...]:
    return tuple(
        Field(place=place, name=prefix + name, what=what, category=category, encrypted=encrypted)
        for name, what in whats.items()
    )


def _named(place: Place, category: Category, whats: dict[str, str]) -> tuple[Field, ...]:
    return tuple(
        Field(place=place, name=name, what=what, category=category, encrypted=PLAIN)
        for name, what in whats.items()
    )


NUMBER = msgid("A running number that ties the secret to its receipt")
END = msgid("When it ends")
KEY_NUMBER = msgid("Which root key encrypted it")

VAULT_FIELDS = (
    *_fields(
        Place.VAULT,
        SECRET,
        prefix="secret.",
        number=NUMBER,
        expires_at=END,
        key_number=KEY_NUMBER,
        head=msgid("Version, cost and salt of the passphrase's hash, and a check of the key"),
    ),
    *_fields(
        Place.VAULT, SECRET, SEALED, prefix="secret.", body=msgid("The text; its length shows")
    ),
    *_fields(
        Place.VAULT,
        RECEIPT,
        prefix="receipt.",
        number=NUMBER,
        shard=msgid("The last four characters of both keys, as a number"),
        kind=msgid("Typed in or generated"),
        state=msgid("New, handed out, opened, burned or out of time"),
        has_passphrase=msgid("Whether there is a passphrase"),
        created_at=msgid("When it was made"),
        secret_expires_at=msgid("When the secret ends"),
        expires_at=END,
        ended_at=msgid("When it was opened or burned"),
        acknowledged=msgid("Whether the recipient's device confirmed it"),
        wrong_tries=msgid("How many wrong passphrases were tried"),
        shown=msgid("Whether a generated text was shown again"),
    ),
    *_fields(
        Place.VAULT,
        RECEIPT,
        HASHED,
        prefix="receipt.",
        receipt_id=msgid("The receipt's key, and its last four characters"),
        secret_id=msgid("The secret's key, and its last four characters"),
    ),
    *_fields(
        Place.VAULT,
        RECEIPT,
        WRAPPED,
        prefix="receipt.",
        wrapped=msgid("The secret's key, for the receipt's page"),
    ),
    *_fields(
        Place.VAULT,
        RECEIPT,
        prefix="envelope.",
        number=NUMBER,
        window_ends_at=msgid("Until when the device that opened it may fetch it again"),
        acknowledged_at=msgid("When the recipient's device confirmed it"),
        locked_until=msgid("Until when no passphrase is tried"),
        woken=msgid("Whether that time was given again, because the service stood still"),
    ),
    *_fields(
        Place.VAULT,
        RECEIPT,
        HASHED,
        prefix="envelope.",
        open_hash=msgid("What proves that a reader has the link and the passphrase"),
        claim_hash=msgid("A random number made by the device that opened it"),
    ),
    *_fields(
        Place.VAULT,
        ACCOUNTS,
        prefix="receipt.",
        owner=msgid("The account that lists the receipt"),
        listing_id=msgid("Its name in that list"),
        listing=msgid("Its key in that list"),
    ),
    *_fields(Place.VAULT, REPEAT, prefix="answer.", expires_at=END),
    *_fields(
        Place.VAULT,
        REPEAT,
        HASHED,
        prefix="answer.",
        answer_id=msgid("The one-time value of the form or program, and what was sent"),
    ),
    *_fields(
        Place.VAULT, REPEAT, ONCE, prefix="answer.", sealed=msgid("Both keys of the new secret")
    ),
    *_fields(
        Place.VAULT,
        COUNTERS,
        KEYED,
        prefix="counter.",
        key=msgid(
            "A network (the first three bytes of an IPv4 address, six of IPv6) or a secret, and what is counted"
        ),
    ),
    *_fields(
        Place.VAULT,
        COUNTERS,
        prefix="counter.",
        used=msgid("How many"),
        window_ends_at=msgid("When counting starts again"),
        locked_until=msgid("Until when it is refused"),
        expires_at=END,
    ),
    *_fields(
        Place.VAULT,
        DAILY_KEY,
        prefix="daily_key.",
        day=msgid("The day"),
        key=msgid("32 random bytes"),
        expires_at=END,
    ),
    *_fields(
        Place.VAULT,
        ACCOUNTS,
        prefix="token.",
        token_id=msgid("A hash of something that is used once"),
        purpose=msgid("What it is for"),
        expires_at=END,
        body=msgid("What belongs to it"),
    ),
    *_fields(
        Place.VAULT,
        ACCOUNTS,
        prefix="session.",
        session_id=msgid("A hash of a session's token"),
        account=msgid("Whose it is"),
        created_at=msgid("When it was made"),
        expires_at=END,
        data=msgid("What belongs to it"),
    ),
    *_fields(
        Place.VAULT,
        UPKEEP,
        prefix="vault.",
        one=msgid("The number 1: there is one row"),
        schema_version=msgid("The form of the tables"),
        verifier=msgid("Proves that the root key is the right one; tells nothing about it"),
        awake_at=msgid("When the service last swept, so that it knows when it stood still"),
    ),
    *_fields(
        Place.VAULT,
        UPKEEP,
        prefix="root_key.",
        number=KEY_NUMBER,
        needed_until=msgid("The latest end of a secret that it encrypted"),
    ),
    *_fields(
        Place.VAULT,
        UPKEEP,
        prefix="eraser.",
        block=msgid("A running number"),
        slots=msgid("Random keys, one for each secret's content, overwritten when it is gone"),
    ),
    *_fields(
        Place.VAULT,
        UPKEEP,
        prefix="sqlite_sequence.",
        name=msgid("The name of a table"),
        seq=msgid("The last running number in it"),
    ),
    *_fields(
        Place.VAULT,
        UPKEEP,
        prefix="writer.",
        writer=msgid("A random name of a running process"),
        token=msgid("A random name of its last write"),
        at=msgid("When that was"),
        size_bytes=msgid("How much it has put and removed, in bytes; with PostgreSQL alone"),
    ),
)

FILE_FIELDS = _named(
    Place.FILE,
    UPKEEP,
    {
        "vault.db": msgid("The vault"),
        "vault.db-wal": msgid("The vault's log of writes; emptied after every removal"),
        "vault.db-shm": msgid("An index of that log"),
        "root.key": msgid("The root key, unless it is given by a setting"),
        "reserve": msgid("Zeros: room on the disk, so that reading and burning always work"),
    },
)

LOG_FIELDS = _fields(
    Place.LOG,
    LOG,
    time=msgid("When it happened"),
    level=msgid("How serious it is"),
    event=msgid("What happened: a constant of the program"),
    route=msgid("The pattern of the address, never the address"),
    method=msgid("The kind of request"),
    status=msgid("The number of the answer"),
    ms=msgid("How many milliseconds it took"),
    request_id=msgid("A random name of the request"),
    reason=msgid("A sentence of the program's own"),
    where=msgid("Places in the program's code"),
    count=msgid("How many"),
)

# Names with their labels.
METRICS_FIELDS = _named(
    Place.METRICS,
    METRICS,
    {
        "onetime_requests_total{method,route,status}": msgid(
            "Requests by kind, pattern of the address and class of answer"
        ),
        "onetime_request_seconds{le}": msgid("How long they took"),
        "onetime_swept_total{what}": msgid("Secrets and receipts whose time was over"),
    },
)

REQUEST_FIELDS = _named(
    Place.REQUEST,
    REQUEST,
    {
        "secret": msgid("The text to be shared"),
        "passphrase": msgid("The passphrase"),
        "key": msgid("The key in the link"),
        "address": msgid("The address of your device; of it only the network is counted, as above"),
        "headers": msgid("What browsers say about themselves: name, languages, origin; not kept"),
    },
)

HEADER_FIELDS = _named(
    Place.HEADER,
    HEADERS,
    {
        "access-control-allow-headers": msgid(
            "What scripts of a site that the operator named may send"
        ),
        "access-control-allow-methods": msgid("Kinds of request that these scripts may make"),
        "access-control-allow-origin": msgid(
            "The site that the operator named, when its script asks"
        ),
        "access-control-expose-headers": msgid("What these scripts may read of the answer"),
        "access-control-max-age": msgid("How long the browser remembers what scripts may do"),
        "allow": msgid("Kinds of request that the address knows"),
        "cache-control": msgid("What may be kept; about a secret: nothing"),
        "connection": msgid("Whether the connection stays open"),
        "content-encoding": msgid("That a style sheet or script is packed"),
        "content-length": msgid("The length of the answer"),
        "content-security-policy": msgid("A page loads from here alone"),
        "content-type": msgid("What the answer is"),
        "cross-origin-opener-policy": msgid("No other site's window reaches into ours"),
        "cross-origin-resource-policy": msgid("No other site shows what is ours"),
        "date": msgid("The time"),
        "location": msgid("Where the browser goes next"),
        "permissions-policy": msgid("Pages use no camera, place or sensor"),
        "referrer-policy": msgid("Other sites do not learn the address you came from"),
        "retry-after": msgid("How many seconds to wait"),
        "strict-transport-security": msgid("Only over TLS, where the service has it"),
        "vary": msgid("What else decides the answer"),
        "x-content-type-options": msgid("The browser does not guess what the answer is"),
        "x-frame-options": msgid("No other site shows our pages inside its own"),
        "x-ots-intended-status": msgid("The honest number of an answer of API v1"),
        "x-request-id": msgid("A random name of the request, as in the log"),
        "x-robots-tag": msgid("Search engines leave it out"),
    },
)

BROWSER_FIELDS = (
    *_named(
        Place.BROWSER,
        BROWSER,
        {
            "history": msgid(
                "The links you opened, and a random claim with which a tab fetches what it is opening; "
                "of a secret that is gone they open nothing"
            )
        },
    ),
    *_named(
        Place.BROWSER,
        REMEMBERED,
        {"receipts": msgid("The link of each receipt, when it was made and when it ends")},
    ),
)

FIELDS: tuple[Field, ...] = (
    *VAULT_FIELDS,
    *FILE_FIELDS,
    *LOG_FIELDS,
    *METRICS_FIELDS,
    *REQUEST_FIELDS,
    *HEADER_FIELDS,
    *BROWSER_FIELDS,
)

CATEGORIES: tuple[Category, ...] = tuple(dict.fromkeys(each.category for each in FIELDS))
