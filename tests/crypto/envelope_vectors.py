"""The vectors of tests/vectors/envelope: one file a case, for Python and JavaScript alike.

Run as a program (`python -m tests.crypto.envelope_vectors`) it writes them anew, by hand and not with the program's own code.
A change of what is in them is a change of the format, and needs a version of its own.

Each has a `title` and says by `asks` what is to be done:

    link key, receipt link  `text` parses to `bytes`, or is refused by `rule`
    passphrase              it spells `normal` (as new if `is_new`), or is refused by `rule`
    derive, receipt         the keys and proofs
    header                  sealing with it is refused: `field`, `rule`
    padding                 pairs of a size and its padded size
    seal                    `header` and `content` under `content_key` and `salt` give `body`, and it opens to them
    refuse                  `body` gives the one error of opening, and before it exactly the first `released` bytes of
                            `content` if it arrives in pieces smaller than a record
    records                 the records of RFC 8188's examples

Bytes are hex. Contents and bodies are lists of pieces to be joined: {"hex"}, {"text"}, {"repeat": text, "size"}, or
{"body": another case, "from", "to"}, or {"sealed", "salt"}: records given by what is in them; a body too large to be written
out is given by its `body_sha256`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.crypto import envelope_by_hand as hand

FOLDER = Path(__file__).parent.parent / "vectors" / "envelope"

LINK_KEY = bytes.fromhex("6b1f0a9c43d2e87755aa01fe9b3c7d240e8f61b2c9d4537a18ef20b6934dc5fb")
RECEIPT_KEY = bytes.fromhex("d94e7c0358a1b2ff6e04931c8be7562af0137dc2495e86aa1b0fe3d8c7249560")
SALT = bytes.fromhex("101112131415161718191a1b1c1d1e1f")
OTHER_SALT = bytes.fromhex("202122232425262728292a2b2c2d2e2f")
KEY = hand.Derived(LINK_KEY).made()["content_key"]
TIMES = {"created_at": 1_785_000_000, "expires_at": 1_785_604_800}
SHOWN_BYTES = 4096  # a longer body is given by its hash

Case = dict[str, Any]
Pieces = list[dict[str, Any]]


def line(members: str) -> bytes:
    return members.encode("utf-8", "surrogatepass") + b"\n"


def text_line(length: int, *, version: int = 1, kind: str = "text") -> bytes:
    return line(
        f'{{"version":{version},"kind":"{kind}","length":{length},'
        '"created":1785000000,"expires":1785604800}'
    )


def files_line(length: int, files: str) -> bytes:
    return line(
        f'{{"version":1,"kind":"file","length":{length},'
        f'"created":1785000000,"expires":1785604800,"files":[{files}]}}'
    )


def file(name: str, size: int, kind: str = "text/plain") -> str:
    return f'{{"name":"{name}","type":"{kind}","size":{size}}}'


def link_cases() -> Iterator[tuple[str, Case]]:
    text = hand.base64url(LINK_KEY)
    assert len(text) == 43
    assert text[-1] in "048AEIMQUYcgkosw"
    for name, raw in {"key": LINK_KEY, "zeros": bytes(32), "ones": b"\xff" * 32}.items():
        yield (
            f"link-{name}",
            {"title": "a link key", "text": hand.base64url(raw), "bytes": raw.hex()},
        )
    newer, damaged = "newer", "malformed"
    spare = text[:-1] + chr(ord(text[-1]) + 1)
    alphabet = hand.base64url(b"\xff" * 32).replace("_", "/")
    for name, wrong, rule, title in (
        ("empty", "", damaged, "nothing"),
        ("cut", text[:-1], damaged, "its last character is missing"),
        ("long", text + "A", damaged, "one character more"),
        ("spare-bits", spare, damaged, "the same key with its spare bits set"),
        ("other-alphabet", alphabet, damaged, "the ordinary alphabet of base64"),
        ("padded", text + "=", damaged, "with padding"),
        ("padded-inside", text[:-1] + "=", damaged, "padding in the place of a character"),
        ("newline", text + "\n", damaged, "a newline behind it"),
        ("space", " " + text[1:], damaged, "a space in it"),
        ("percent", text[:-3] + "%2D", damaged, "percent-encoded"),
        ("cyrillic", "а" + text[1:], damaged, "a Cyrillic letter that looks like a Latin one"),
        ("full-width", "\uff21" + text[1:], damaged, "a letter of full width"),
        (
            "version-one",
            "1." + text,
            damaged,
            "a version of its own, which the first does not have",
        ),
        ("newer", "2." + text, newer, "a later version"),
        ("much-newer", "17.whatever~that is", newer, "a much later version"),
    ):
        yield f"link-{name}", {"title": title, "text": wrong, "rule": rule}


def receipt_cases() -> Iterator[tuple[str, Case]]:
    secret_id = hand.Derived(LINK_KEY).made()["secret_id"]
    text = hand.base64url(secret_id + RECEIPT_KEY)
    assert len(text) == 86
    both = {"secret_id": secret_id.hex(), "receipt_key": RECEIPT_KEY.hex()}
    yield "receipt-link", {"title": "id and receipt key", "text": text, **both}
    for name, wrong, rule, title in (
        ("cut", text[:-1], "malformed", "its last character is missing"),
        ("spare-bits", text[:-1] + chr(ord(text[-1]) + 1), "malformed", "its spare bits set"),
        ("link", hand.base64url(LINK_KEY), "malformed", "a link key"),
        ("newer", "2." + text, "newer", "a later version"),
    ):
        yield f"receipt-link-{name}", {"title": title, "text": wrong, "rule": rule}


def passphrase_cases() -> Iterator[tuple[str, Case]]:
    for name, given, is_new, normal, title in (
        ("composed", "\u0407\u0436ak\u00e9", True, "\u0407\u0436ak\u00e9", "stays"),
        ("decomposed", "\u0406\u0308\u0436ake\u0301", True, "\u0407\u0436ak\u00e9", "is composed"),
        ("spaces", "  Pass\tword \n", True, "  Pass\tword \n", "nothing is trimmed or folded"),
        (
            "compatibility",
            "ﬁﬃ①Å",
            True,
            "ﬁﬃ①Å",
            "compatibility forms are not folded; Angstrom is Å",
        ),
        ("hangul", "\u1112\u1161\u11ab\u1100\u1173\u11af12", True, "한글12", "jamo are composed"),
        ("longest", "e\u0301" * 128, True, "\u00e9" * 128, "is counted after composing"),
        ("shortest", "🦔🦔🦔🦔", True, "🦔🦔🦔🦔", "is counted in code points"),
        ("unknown-kept", "pass\ufdd0", False, "pass\ufdd0", "unknown ones may be tried"),
        ("private", "pass\ue000", True, "pass\ue000", "private use is known"),
    ):
        case = {"title": title, "passphrase": given, "is_new": is_new, "normal": normal}
        yield f"passphrase-{name}", case
    for name, given, is_new, rule, title in (
        ("surrogate", "pass\ud83e", True, "malformed", "half of a surrogate pair"),
        ("surrogate-tried", "\udd94word", False, "malformed", "the other half, when tried"),
        ("surrogates-swapped", "pass\udd94\ud83e", True, "malformed", "both halves, exchanged"),
        ("unknown", "pass\u0378", True, "unassigned", "no character of any Unicode version"),
        ("noncharacter", "pass\U0010ffff", True, "unassigned", "never a character"),
        ("short", "e\u0301e\u0301e\u0301", True, "too_short", "three characters of two parts each"),
        ("long", "x" * 129, True, "too_long", "one more than the most"),
        ("far-too-long", "\u0301" * 513, False, "too_long", "not even normalised"),
    ):
        case = {"title": title, "passphrase": given, "is_new": is_new, "rule": rule}
        yield f"passphrase-{name}", case


def derive_cases() -> Iterator[tuple[str, Case]]:
    composed = "\u0407\u0436\u0430\u043a \u0439 caf\u00e9"
    decomposed = "\u0406\u0308\u0436\u0430\u043a \u0438\u0306 cafe\u0301"
    for name, passphrase, title in (
        ("plain", "", "without a passphrase"),
        ("passphrase", "battery staple", "with a passphrase"),
        ("composed", composed, "Cyrillic and Latin, composed"),
        ("decomposed", decomposed, "the same, decomposed: the same keys"),
        ("emoji", "👩‍👩‍👧 🇺🇦 🦔", "emoji of several code points"),
    ):
        made = hand.Derived(LINK_KEY, passphrase).made()
        yield (
            f"derive-{name}",
            {
                "title": title,
                "link_key": LINK_KEY.hex(),
                "passphrase": passphrase,
                **{each: value.hex() for each, value in made.items()},
            },
        )


def receipt_proof_case() -> Case:
    proof = hand.hkdf(RECEIPT_KEY, "onetime/1 receipt proof")
    return {
        "title": "what the receipt's holder shows",
        "receipt_key": RECEIPT_KEY.hex(),
        "receipt_proof": proof.hex(),
        "receipt_hash": hashlib.sha256(proof).hexdigest(),
    }


def header_cases() -> Iterator[tuple[str, Case]]:
    base: Case = {"kind": "text", "length": 1, **TIMES, "files": []}

    def files(*each: tuple[str, int], kind: str = "text/plain") -> Case:
        made = [{"name": name, "type": kind, "size": size} for name, size in each]
        return {"kind": "file", "length": sum(size for _, size in each), "files": made}

    names = {
        "path": "a/b",
        "backslash": "..\\b",
        "parent": "..",
        "nothing": "",
        "newline": "a\nb",
        "delete": "a\x7fb",
        "bidi": "exe.\u202efdp",
        "isolate": "a\u2066b",
        "surrogate": "a\ud800",
        "line-separator": "a\u2028b",
    }
    for name, wrong in names.items():
        yield f"name-{name}", base | files((wrong, 1)) | {"field": "name", "rule": "malformed"}
    for name, change, field, rule in (
        ("name-long", files(("ї" * 128, 1)), "name", "too_long"),
        ("names-long", files(*[("x" * 250, 1)] * 16), "files", "too_long"),
        ("type-words", files(("a", 1), kind="plain text"), "type", "malformed"),
        ("type-parameters", files(("a", 1), kind="text/plain;a=b"), "type", "malformed"),
        ("length-negative", {"length": -1}, "length", "out_of_range"),
        ("length-huge", {"length": 2**48 + 1}, "length", "out_of_range"),
        ("created-negative", {"created_at": -1}, "created_at", "out_of_range"),
        ("expires-far", {"expires_at": 253_402_300_800}, "expires_at", "out_of_range"),
        ("size-negative", files(("a", -1), ("b", 2)), "size", "out_of_range"),
        ("sizes", files(("a", 1), ("b", 2)) | {"length": 4}, "length", "malformed"),
        ("kind", {"kind": "folder"}, "kind", "malformed"),
        ("text-with-file", files(("a", 1)) | {"kind": "text"}, "files", "malformed"),
        ("file-without", {"kind": "file"}, "files", "malformed"),
    ):
        yield name, base | change | {"field": field, "rule": rule}


def seal_cases() -> Iterator[tuple[str, Case]]:
    def filled(size: int, header: bytes) -> Pieces:
        return [{"repeat": "Onetime. ", "size": size - len(header)}]

    def text(length: int) -> dict[str, Any]:
        return {"kind": "text", "length": length, **TIMES, "files": []}

    ukrainian = "\n  пароль: Їжак 🦔\r\n\0"
    for name, content, title in (
        ("empty", "", "no content at all"),
        ("one-byte", "x", "one byte"),
        ("text", "correct horse", "a password"),
        ("ukrainian", ukrainian, "white space, Cyrillic, emoji and a zero byte at the end"),
    ):
        length = len(content.encode())
        pieces: Pieces = [{"text": content}] if content else []
        yield name, sealed(title, text(length), text_line(length), pieces)

    for name, size, title in (
        ("padded-256", 256, "what just fits into the least size: no zeros"),
        ("padded-272", 257, "one byte more: the next size"),
        (
            "record-full",
            65519,
            "the content ends where the first record ends; zeros fill the second",
        ),
        ("record-and-one", 65520, "one byte of content in the second record"),
        ("padded-65536", 65536, "two records, no zeros"),
        ("many-records", 200_000, "four records"),
    ):
        length = size - len(text_line(100 if size < 1000 else size - 100))
        header = text_line(length)
        assert len(header) + length == size
        yield name, sealed(title, text(length), header, filled(size, header))

    two = [
        {"name": 'Договір "№ 5".pdf', "type": "application/pdf", "size": 700},
        {"name": "порожній 🦔", "type": "application/octet-stream", "size": 0},
    ]
    first = file('Договір \\"№ 5\\".pdf', 700, "application/pdf")
    second = file("порожній 🦔", 0, "application/octet-stream")
    yield (
        "files",
        sealed(
            "two files, one of them empty",
            {"kind": "file", "length": 700, **TIMES, "files": two},
            files_line(700, f"{first},{second}"),
            [{"repeat": "%PDF", "size": 700}],
        ),
    )
    plain = [file("x" * 250, 1)] * 13
    left = 4096 - len(files_line(14, ",".join([*plain, file("", 1)])))
    many = [*[{"name": "x" * 250, "type": "text/plain", "size": 1}] * 13]
    many.append({"name": "y" * left, "type": "text/plain", "size": 1})
    longest = files_line(14, ",".join([*plain, file("y" * left, 1)]))
    assert len(longest) == 4096
    assert left < 255
    yield (
        "header-longest",
        sealed(
            "a header of 4096 bytes",
            {"kind": "file", "length": 14, **TIMES, "files": many},
            longest,
            [{"text": "fourteen bytes"}],
        ),
    )


def sealed(title: str, header: dict[str, Any], written: bytes, content: Pieces) -> Case:
    body = hand.body(KEY, SALT, written + joined(content, {}))
    if len(body) <= SHOWN_BYTES:
        given: Case = {"body": [{"hex": body.hex()}]}
    else:
        given = {"body_sha256": hashlib.sha256(body).hexdigest()}
    return {
        "title": title,
        "content_key": KEY.hex(),
        "salt": SALT.hex(),
        "header": header,
        "header_line": written.decode(),
        "content": content,
        "body_size": len(body),
        **given,
    }


CONTENT = b"correct horse"
MANY_LENGTH = 200_000 - len(text_line(199_919))
MANY: Pieces = [{"repeat": "Onetime. ", "size": MANY_LENGTH}]
# Of the content of four records: what the first holds, and where records begin and end in the body.
MANY_FIRST = 65519 - len(text_line(MANY_LENGTH))
MANY_EDGES = [21 + 65536 * number for number in range(4)]


def wrong(body: Pieces, content: Pieces | None = None, released: int = 0, **other: Any) -> Case:
    return {
        "content_key": KEY.hex(),
        "content": content or [{"text": CONTENT.decode()}],
        "body": body,
        "released": released,
        **other,
    }


def part(start: int, end: int, of: str = "seal-text") -> dict[str, Any]:
    return {"body": of, "from": start, "to": end}


def many(start: int, end: int) -> dict[str, Any]:
    return part(start, end, "seal-many-records")


def flipped_cases(text: bytes, four: bytes) -> Iterator[tuple[str, Case]]:
    def flipped(at: int, body: bytes, of: str) -> Pieces:
        bit = {"hex": bytes([body[at] ^ 1]).hex()}
        return [part(0, at, of), bit, part(at + 1, len(body), of)]

    for name, at, title in (
        ("salt", 0, "in the salt"),
        ("record-size", 19, "in the record size"),
        ("key-id-length", 20, "in the length of the key id"),
        ("header", 21, "in the header line"),
        ("content", 21 + len(text_line(13)), "in the content"),
        ("zeros", len(text) - 20, "in the zeros"),
        ("delimiter", len(text) - 17, "in the delimiter"),
        ("tag", len(text) - 1, "in the tag"),
    ):
        yield (
            f"flip-{name}",
            wrong(flipped(at, text, "seal-text")) | {"title": f"a flipped bit {title}"},
        )
    for name, at, released, title in (
        ("first-record", MANY_EDGES[0] + 500, 0, "in the first of four records"),
        ("second-record", MANY_EDGES[1], MANY_FIRST, "in the second of four records"),
        ("last-tag", len(four) - 1, MANY_FIRST + 2 * 65519, "in the last tag of four"),
    ):
        yield (
            f"flip-{name}",
            wrong(flipped(at, four, "seal-many-records"), MANY, released)
            | {"title": f"a flipped bit {title}"},
        )


def cut_cases(text: bytes, four: bytes) -> Iterator[tuple[str, Case]]:
    for name, end, title in (
        ("to-nothing", 0, "nothing arrives"),
        ("in-salt", 8, "cut in its salt"),
        ("before-key-id", 20, "one byte of its head is missing"),
        ("to-header", 21, "cut to its head: no record"),
        ("to-tag", 21 + 16, "a record that is nothing but a tag"),
        ("last-byte", len(text) - 1, "the last byte is missing"),
    ):
        yield f"cut-{name}", wrong([part(0, end)]) | {"title": title}
    for name, end, released, title in (
        (
            "in-first-record",
            MANY_EDGES[0] + 65535,
            0,
            "cut one byte before the end of the first record",
        ),
        ("after-first-record", MANY_EDGES[1], MANY_FIRST, "cut after the first record"),
        (
            "after-second-record",
            MANY_EDGES[2],
            MANY_FIRST + 65519,
            "cut between the second record and the third",
        ),
        ("after-third-record", MANY_EDGES[3], MANY_FIRST + 2 * 65519, "the last record is missing"),
        (
            "in-last-record",
            len(four) - 1,
            MANY_FIRST + 2 * 65519,
            "the last byte of four records is missing",
        ),
    ):
        yield f"cut-{name}", wrong([many(0, end)], MANY, released) | {"title": title}


def order_cases(text: bytes, four: bytes) -> Iterator[tuple[str, Case]]:
    ends = [*MANY_EDGES[1:], len(four)]
    slices = [many(*edges) for edges in zip(MANY_EDGES, ends, strict=True)]
    front = many(0, 21)
    for name, order, released, title in (
        ("swapped", [1, 0, 2, 3], 0, "the first two records are exchanged"),
        ("swapped-later", [0, 2, 1, 3], MANY_FIRST, "the second and the third are exchanged"),
        ("first-dropped", [1, 2, 3], 0, "the first record is missing"),
        ("dropped", [0, 2, 3], MANY_FIRST, "the second record is missing"),
        ("repeated", [0, 0, 1, 2, 3], MANY_FIRST, "the first record comes twice"),
        ("last-repeated", [0, 1, 2, 3, 3], MANY_FIRST + 2 * 65519, "the last record comes twice"),
        ("last-only", [3], 0, "only the last record"),
    ):
        pieces = [front, *[slices[at] for at in order]]
        yield f"records-{name}", wrong(pieces, MANY, released) | {"title": title}

    everything = part(0, len(text))
    yield "extra-byte", wrong([everything, {"hex": "00"}]) | {"title": "one byte more at the end"}
    yield "extra-body", wrong([everything, everything]) | {"title": "the whole body twice"}
    yield "other-key", wrong([everything], content_key=KEY[::-1].hex()) | {"title": "another key"}


def records(*plain: bytes) -> bytes:
    return hand.head(SALT) + hand.records(KEY, SALT, plain)


def shape_cases() -> Iterator[tuple[str, Case]]:
    """Honest records of another shape, under the right key."""
    inside = hand.padded(text_line(13) + CONTENT)

    def shaped(size: int, key_id: bytes = b"", record: int = 65536, salt: bytes = SALT) -> bytes:
        return hand.head(salt, record, key_id) + hand.records(KEY, salt, hand.cut(inside, size))

    for name, body, title in (
        ("record-size-4096", shaped(4079, record=4096), "sealed with records of 4096 bytes"),
        ("record-size-65537", shaped(65520, record=65537), "sealed with records of 65537 bytes"),
        ("key-id", shaped(65519, b"a"), "sealed with a key id"),
        ("no-delimiter", records(inside), "a record without a delimiter"),
        ("delimiter-more", records(inside + b"\1"), "the only record says that there are more"),
        ("delimiter-other", records(inside + b"\3"), "a delimiter that is none"),
        ("record-padded", records(inside + b"\2\0\0"), "padding of the record, not inside"),
        ("record-of-zeros", records(bytes(256)), "nothing but zeros"),
        ("record-empty", records(b"\2"), "a record without content"),
        (
            "record-short",
            records(inside[:100] + b"\1", inside[100:] + b"\2"),
            "a short record that is not the last",
        ),
        ("record-unwritten", records(b""), "a record of nothing"),
    ):
        yield name, wrong([{"hex": body.hex()}]) | {"title": title}
    header = text_line(65510)
    full: Pieces = [{"text": header.decode()}, {"repeat": "x", "size": 65519 - len(header)}]
    rest_of_x: Pieces = [{"repeat": "x", "size": len(header) - 9}]
    zeros: Pieces = [{"hex": bytes(hand.padme(len(header) + 65510) - len(header) - 65510).hex()}]
    more: Pieces = [{"hex": "01"}]
    last: Pieces = [{"hex": "02"}]
    for name, plain_records, released, title in (
        (
            "last-in-the-middle",
            [full + last, rest_of_x + zeros + last],
            0,
            "a last record, and another",
        ),
        (
            "last-empty",
            [full + more, last],
            1,
            "a last record with nothing in it",
        ),
        (
            "delimiter-other-first",
            [[*full, {"hex": "03"}], rest_of_x + zeros + last],
            0,
            "a delimiter that is none, and a last record",
        ),
        (
            "record-padded-first",
            [[*full[:1], {"repeat": "x", "size": 65518 - len(header)}, {"hex": "0100"}], last],
            0,
            "a full record that is padded, and a last record",
        ),
    ):
        pieces = [{"sealed": plain_records, "salt": SALT.hex()}]
        yield (
            name,
            {
                "title": title,
                "content_key": KEY.hex(),
                "content": [{"repeat": "x", "size": 65510}],
                "body": pieces,
                "body_sha256": hashlib.sha256(joined(pieces, {})).hexdigest(),
                "released": released * (65519 - len(header)),
            },
        )


def inside_cases() -> Iterator[tuple[str, Case]]:
    """Another inside, sealed as it should be."""
    inside = hand.padded(text_line(13) + CONTENT)

    def opened(name: str, written: bytes, title: str, then: bytes = CONTENT) -> tuple[str, Case]:
        body = hand.body(KEY, SALT, written + then)
        return f"inside-{name}", wrong([{"hex": body.hex()}]) | {"title": title}

    good = text_line(13)[:-1].decode()
    one = file("a", 13)
    for name, members, title in (
        ("other-version", text_line(13, version=2)[:-1].decode(), "another version"),
        ("no-version", good.replace('"version":1,', ""), "no version"),
        ("other-kind", text_line(13, kind="code")[:-1].decode(), "a kind that is none"),
        ("not-json", "correct horse battery staple", "not JSON"),
        ("array", "[1]", "JSON, but no object"),
        ("null", "null", "JSON, but nothing"),
        ("nested", "[" * 4000, "JSON as deep as it fits"),
        ("space", good.replace(",", ", "), "white space"),
        ("order", good.replace('"version":1,', "")[:-1] + ',"version":1}', "another order"),
        ("twice", good[:-1] + ',"length":13}', "a member twice"),
        ("unknown", good[:-1] + ',"note":"x"}', "an unknown member"),
        ("proto", good[:-1] + ',"__proto__":{}}', "an unknown member that JavaScript knows"),
        ("missing", good.replace(',"expires":1785604800', ""), "a missing member"),
        ("exponent", good.replace(":13,", ":1.3e1,"), "a number spelled otherwise"),
        ("fraction", good.replace(":13,", ":13.0,"), "a number with a fraction"),
        ("minus-zero", good.replace(":1785000000,", ":-0,"), "zero with a sign"),
        ("number-as-text", good.replace(":13,", ':"13",'), "a number as text"),
        ("true", good.replace(":1785000000,", ":true,"), "a truth for a number"),
        ("huge", good.replace(":13,", ":9007199254740993,"), "more than JavaScript counts"),
        ("digits", good.replace(":13,", f":{'9' * 3900},"), "more digits than anybody reads"),
        ("nan", good.replace(":13,", ":NaN,"), "no number"),
        ("escaped", good.replace("text", "te\\u0078t"), "a letter spelled otherwise"),
        ("byte-order-mark", "\ufeff" + good, "a byte order mark"),
        ("carriage-return", good + "\r", "a line ended as in letters"),
        ("text-with-files", good[:-1] + ',"files":[]}', "text with files"),
        ("name-path", files_line(13, file("../a", 13))[:-1].decode(), "a path for a name"),
        ("name-bidi", files_line(13, file("a\u202eb", 13))[:-1].decode(), "a name turned round"),
        ("name-escape", files_line(13, file("a\\u0000b", 13))[:-1].decode(), "a zero in a name"),
        ("name-surrogate", files_line(13, file("\\ud800", 13))[:-1].decode(), "half of a pair"),
        ("name-twice", files_line(13, one.replace('"a"', '"a","name":"a"'))[:-1].decode(), "twice"),
        ("size", files_line(13, file("a", 12))[:-1].decode(), "a file shorter than the content"),
        ("type", files_line(13, file("a", 13, "Text/plain"))[:-1].decode(), "a type in capitals"),
        ("no-file", files_line(13, "")[:-1].decode(), "the kind file without any"),
    ):
        yield opened(name, line(members), title)
    yield opened("no-newline", b"", "no header at all")
    yield opened("not-utf8", good.encode()[:-1] + b"\xff}\n", "not UTF-8")
    yield opened("surrogate-bytes", line(good.replace("text", "\ud800")), "a surrogate in UTF-8")
    yield opened("long", line(good + " " * 4096), "a header that is too long")
    yield opened("length-more", text_line(200), "a length of more than there is")
    yield opened("length-less", text_line(12), "a length of one less")
    yield opened("length-far-more", text_line(10**12), "a length of far more")
    ragged = {
        "zeros-one": (inside[:-1] + b"\1", "a one among the zeros"),
        "zeros-first": (
            (text_line(13) + CONTENT + b"\1").ljust(len(inside), b"\0"),
            "a one after the content",
        ),
        "zeros-less": (inside[:-1], "a zero too few"),
        "zeros-more": (inside + b"\0", "a zero too many"),
        "zeros-next": (inside + bytes(16), "padded to the next size"),
        "zeros-none": (text_line(13) + CONTENT, "not padded"),
    }
    for name, (other, title) in ragged.items():
        yield f"inside-{name}", wrong([{"hex": records(other + b"\2").hex()}]) | {"title": title}


def record_cases() -> Iterator[tuple[str, Case]]:
    """Source: RFC 8188, sections 3.1 and 3.2."""
    for number, key, size, id_bytes, body, plain in (
        (
            "3-1",
            "yqdlZ-tYemfogSmv7Ws5PQ",
            4096,
            0,
            "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg",
            [b"I am the walrus\2"],
        ),
        (
            "3-2",
            "BO3ZVPxUlnLORbVGMpbT1Q",
            25,
            2,
            "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA",
            [b"I am th\1\0", b"e walrus\2"],
        ),
    ):
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        records = raw[21 + id_bytes :]
        yield (
            f"rfc8188-{number}",
            {
                "title": f"RFC 8188, section {number.replace('-', '.')}",
                "content_key": base64.urlsafe_b64decode(key + "==").hex(),
                "salt": raw[:16].hex(),
                "plain": [each.hex() for each in plain],
                "sealed": [records[at : at + size].hex() for at in range(0, len(records), size)],
            },
        )


def padding_case() -> Case:
    """By the paper's own function, which is right up to 2^48: beyond it a floating logarithm is not."""
    sizes = [0, 1, 255, 256, 257, 272, 273, 511, 512, 513, 1000, 4095, 4096, 4097, 65519, 65535]
    sizes += [65536, 65537, 10**6, 10**9, 2**31 - 1, 2**31, 2**32 + 1, 2**40 - 1, 2**48]
    pairs = [[size, hand.padme(max(256, size))] for size in sizes]
    return {"title": "sizes and what they are padded to", "sizes": pairs}


def joined(pieces: Pieces, bodies: dict[str, bytes]) -> bytes:
    return b"".join(_piece(each, bodies) for each in pieces)


def _piece(piece: dict[str, Any], bodies: dict[str, bytes]) -> bytes:
    if "hex" in piece:
        return bytes.fromhex(piece["hex"])
    if "text" in piece:
        return str(piece["text"]).encode()
    if "repeat" in piece:
        unit = str(piece["repeat"]).encode()
        size = int(piece["size"])
        return (unit * (size // len(unit) + 1))[:size]
    if "sealed" in piece:
        return unshown(piece)
    start, end = int(piece["from"]), int(piece["to"])
    return bodies[piece["body"]][start:end]


def unshown(piece: dict[str, Any]) -> bytes:
    """A body that only its plain records are written of."""
    plain = [joined(each, {}) for each in piece["sealed"]]
    salt = bytes.fromhex(piece["salt"])
    return hand.head(salt) + hand.records(KEY, salt, plain)


def cases() -> dict[str, Case]:
    """Every case by its name."""
    made: dict[str, Case] = {}

    def take(asks: str, named: Iterator[tuple[str, Case]], prefix: str = "") -> None:
        for name, case in named:
            assert prefix + name not in made
            made[prefix + name] = {"asks": asks, **case}

    take("link key", link_cases())
    take("receipt link", receipt_cases())
    take("passphrase", passphrase_cases())
    take("derive", derive_cases())
    take("receipt", iter([("receipt-proof", receipt_proof_case())]))
    take("padding", iter([("padding", padding_case())]))
    take("seal", seal_cases(), "seal-")
    bodies = {
        name: hand.body(KEY, SALT, case["header_line"].encode() + joined(case["content"], {}))
        for name, case in made.items()
        if case["asks"] == "seal"
    }
    text, four = bodies["seal-text"], bodies["seal-many-records"]
    for named in (flipped_cases, cut_cases, order_cases):
        take("refuse", named(text, four), "refuse-")
    take("refuse", shape_cases(), "refuse-")
    take("refuse", inside_cases(), "refuse-")
    take("header", header_cases(), "header-")
    take("records", record_cases())
    return made


def as_text(case: Case) -> str:
    return json.dumps(case, indent=2, ensure_ascii=True) + "\n"


def read(name: str) -> Case:
    case: Case = json.loads((FOLDER / f"{name}.json").read_text())
    return case


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, case in cases().items():
        (FOLDER / f"{name}.json").write_text(as_text(case))
