"""The end-to-end envelope: what the vectors say, and what must hold for any content, key and damage."""

import contextlib
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onetime.crypto import envelope
from onetime.crypto.envelope import File, Header, Opened, Opener, ReceiptLink
from onetime.errors import Invalid, Undecryptable
from tests.crypto import envelope_by_hand as hand
from tests.crypto import envelope_vectors as vectors
from tests.crypto.envelope_cases import NAMES, Asked
from tests.needs import ROOT
from tests.rounds import rounds

KEY = bytes(range(32))
MADE = vectors.cases()
ASKED = Asked(envelope)
SOURCE = ROOT / "src" / "onetime" / "crypto" / "envelope.py"
DOCUMENT = (ROOT / "docs" / "envelope.md").read_text()
SCRIPT = ROOT / "src" / "onetime" / "static" / "js" / "crypto" / "envelope.js"

lengths = st.one_of(
    st.integers(0, 2000), st.integers(65519 - 120, 65519 + 5), st.integers(130_000, 132_000)
)
seconds = st.integers(0, envelope.MOST_SECONDS)


def text_header(length: int) -> Header:
    return Header(length=length, created_at=1_785_000_000, expires_at=1_785_604_800)


def filled(length: int) -> bytes:
    return (b"0123456789abcdef\0" * (length // 17 + 1))[:length]


# Vectors


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_holds(name: str) -> None:
    assert ASKED.faults(name) == []


@pytest.mark.parametrize("name", MADE)
def test_a_vector_is_what_the_description_gives_by_hand(name: str) -> None:
    assert (vectors.FOLDER / f"{name}.json").read_text() == vectors.as_text(MADE[name])


def test_every_file_of_vectors_is_made_by_hand() -> None:
    assert set(NAMES) == set(MADE)
    assert len(NAMES) >= 40


def test_one_passphrase_in_two_spellings_gives_one_key() -> None:
    one, other = vectors.read("derive-composed"), vectors.read("derive-decomposed")
    assert one["passphrase"] != other["passphrase"]
    assert one["content_key"] == other["content_key"] != vectors.read("derive-plain")["content_key"]


# Keys


def test_keys_and_claims_are_new_each_time() -> None:
    for new, size in (
        (envelope.new_link_key, 32),
        (envelope.new_receipt_key, 32),
        (envelope.new_claim, 16),
    ):
        made = {new() for _ in range(1000)}
        assert len(made) == 1000
        assert {len(each) for each in made} == {size}


def test_keys_are_not_shown_by_accident() -> None:
    header = Header(
        kind="file",
        length=1,
        created_at=0,
        expires_at=0,
        files=(File(name="my name", type="text/plain", size=1),),
    )
    opened = envelope.open_(KEY, envelope.seal(KEY, header, b"x"))
    receipt = ReceiptLink(KEY, KEY[::-1])
    shown = f"{envelope.derive(KEY)} {opened} {receipt}"
    for private in (b"x", KEY[::-1], envelope.derive(KEY).content_key):
        assert repr(private) not in shown
    assert "my name" not in shown


@given(st.binary(min_size=32, max_size=32))
def test_a_link_key_has_one_spelling(link_key: bytes) -> None:
    text = envelope.format_link_key(link_key)
    assert envelope.parse_link_key(text) == link_key
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if last != text[-1]:
            with contextlib.suppress(Invalid):
                assert envelope.parse_link_key(text[:-1] + last) != link_key


@given(st.text(max_size=100) | st.from_regex(r"[A-Za-z0-9_-]{42,44}", fullmatch=True))
def test_whatever_is_no_link_key_is_refused_by_one_error(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert envelope.format_link_key(envelope.parse_link_key(text)) == text


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_receipt_link_holds_both(secret_id: bytes, receipt_key: bytes) -> None:
    text = envelope.format_receipt_link(ReceiptLink(secret_id, receipt_key))
    assert envelope.parse_receipt_link(text) == ReceiptLink(secret_id, receipt_key)


@given(st.text(min_size=1, max_size=60))
def test_a_passphrase_is_composed_and_otherwise_as_it_is(text: str) -> None:
    assert envelope.normal_passphrase(text) == unicodedata.normalize("NFC", text)


def test_without_a_passphrase_nothing_is_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", None)
    assert len(envelope.derive(KEY).content_key) == 32


# Sealing and opening


@given(lengths, seconds, seconds, st.integers(1, 70_000))
def test_what_is_sealed_opens_however_it_arrives(
    length: int, created_at: int, expires_at: int, piece: int
) -> None:
    header = Header(length=length, created_at=created_at, expires_at=expires_at)
    content = filled(length)
    body = envelope.seal(KEY, header, content)

    assert len(body) == envelope.body_size(header)
    assert envelope.open_(KEY, body) == Opened(header, content)
    # Pieces of one byte take long for a large body.
    step = max(piece, len(body) // 500)
    opener = Opener(KEY)
    got = b"".join(opener.add(body[at : at + step]) for at in range(0, len(body), step))
    assert got + opener.end() == content
    assert opener.header == header


@given(lengths, st.integers(1, 70_000))
def test_sealing_in_pieces_gives_the_same(length: int, piece: int) -> None:
    content, salt = filled(length), bytes(16)
    step = max(piece, length // 500 or 1)
    parts = [content[at : at + step] for at in range(0, length, step)]
    streamed = list(envelope.seal_stream(KEY, text_header(length), parts, salt=salt))
    assert b"".join(streamed) == envelope.seal(KEY, text_header(length), content, salt=salt)
    assert max(map(len, streamed)) <= envelope.RECORD_BYTES


names = st.text(min_size=1, max_size=40).filter(
    lambda name: (
        name not in {".", ".."}
        and not re.search(
            r"[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]",
            name,
        )
    )
)


@given(st.lists(st.tuples(names, st.integers(0, 300)), min_size=1, max_size=5))
def test_files_keep_their_names_and_sizes(files: list[tuple[str, int]]) -> None:
    header = Header(
        kind="file",
        length=sum(size for _, size in files),
        created_at=0,
        expires_at=0,
        files=tuple(File(name=name, type="text/plain", size=size) for name, size in files),
    )
    content = filled(header.length)
    assert envelope.open_(KEY, envelope.seal(KEY, header, content)) == Opened(header, content)


@given(st.integers(0, 2**48))
def test_padding_adds_little_and_keeps_the_order(size: int) -> None:
    padded = envelope.padded_size(size)
    assert max(256, size) <= padded <= max(256, size) * 1.0625
    assert envelope.padded_size(padded) == padded
    assert envelope.padded_size(size + 1) >= padded
    if size < 2**48:
        assert padded == hand.padme(max(256, size))


def test_the_sizes_of_bodies_are_few() -> None:
    sizes = {envelope.body_size(text_header(length)) for length in range(10_000)}
    assert len(sizes) < 100
    assert envelope.body_size(text_header(0)) == envelope.body_size(text_header(170)) == 294


def test_every_body_has_a_salt_of_its_own() -> None:
    made = {envelope.seal(KEY, text_header(1), b"x")[:16] for _ in range(1000)}
    assert len(made) == 1000


@pytest.mark.parametrize("content", [b"", b"x", b"xxx"])
def test_content_of_another_length_than_was_said_is_not_sealed(content: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        envelope.seal(KEY, text_header(2), content)
    assert caught.value.field == "content"


def test_content_that_never_ends_is_given_up() -> None:
    def forever() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    with pytest.raises(Invalid):
        list(envelope.seal_stream(KEY, text_header(10_000), forever()))


def test_a_wrong_header_is_refused_before_anything_is_sealed() -> None:
    with pytest.raises(Invalid):
        envelope.seal_stream(KEY, text_header(-1), [])


# Damage


def test_every_bit_of_a_body_matters() -> None:
    body = envelope.seal(KEY, text_header(13), b"correct horse")
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecryptable):
            envelope.open_(KEY, bytes(flipped))


def test_a_body_that_is_cut_anywhere_does_not_open() -> None:
    body = envelope.seal(KEY, text_header(13), b"correct horse")
    for length in range(len(body)):
        with pytest.raises(Undecryptable):
            envelope.open_(KEY, body[:length])


def test_after_an_error_nothing_more_comes_out() -> None:
    content = filled(200_000)
    body = envelope.seal(KEY, text_header(len(content)), content)
    opener = Opener(KEY)
    damaged = bytearray(body)
    damaged[21 + 65536] ^= 1
    with pytest.raises(Undecryptable):
        opener.add(bytes(damaged))
    for _ in range(3):
        with pytest.raises(Undecryptable):
            opener.add(body[21 + 65536 :])
        with pytest.raises(Undecryptable):
            opener.end()


def test_after_the_end_nothing_more_goes_in() -> None:
    opener = Opener(KEY)
    opener.add(envelope.seal(KEY, text_header(0), b""))
    opener.end()
    with pytest.raises(Undecryptable):
        opener.add(b"")
    with pytest.raises(Undecryptable):
        opener.end()


def test_one_byte_too_few_is_never_released() -> None:
    """Until the last byte of a record is there, nothing of it is."""
    content = filled(300)
    body = envelope.seal(KEY, text_header(300), content)
    opener = Opener(KEY)
    assert b"".join(opener.add(bytes([byte])) for byte in body) == b""
    assert opener.header is None
    assert opener.end() == content


def test_a_record_after_the_last_is_refused_even_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The padding alone would refuse it below 137 GB, the first size at which the last record can be full."""
    monkeypatch.setattr(envelope, "padded_size", lambda size: size)
    length = 65519 - len(envelope.header_line(text_header(65440)))
    inside = envelope.header_line(text_header(length)) + filled(length)
    head, salt = hand.head(bytes(16)), bytes(16)
    whole = head + hand.records(KEY, salt, [inside + b"\2"])
    assert envelope.open_(KEY, whole).content == filled(length)
    with pytest.raises(Undecryptable):
        envelope.open_(KEY, head + hand.records(KEY, salt, [inside + b"\2", b"\2"]))


# Fuzz

MANY = filled(140_000)
MANY_BODY = envelope.seal(KEY, text_header(len(MANY)), MANY)
SMALL = b"correct horse"
SMALL_BODY = envelope.seal(KEY, text_header(len(SMALL)), SMALL)

edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "repeat", "insert", "overwrite"]),
        st.integers(0, 2**18),
        st.integers(1, 70_000),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=4,
)


def edited(body: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    for what, place, size, new in changes:
        at = place % (len(body) + 1)
        before, part, after = body[:at], body[at : at + size], body[at + size :]
        body = {
            "cut": before,
            "drop": before + after,
            "repeat": before + part + part + after,
            "insert": before + new + part + after,
            "overwrite": before + new + (part + after)[len(new) :],
        }[what]
    return body


@pytest.mark.parametrize(("body", "content"), [(SMALL_BODY, SMALL), (MANY_BODY, MANY)])
@given(edits, st.integers(500, 70_000))
def test_a_damaged_body_ends_in_the_one_error_and_releases_only_what_is_genuine(
    body: bytes, content: bytes, changes: list[tuple[str, int, int, bytes]], step: int
) -> None:
    damaged = edited(body, changes)
    opener = Opener(KEY)
    released = b""
    try:
        for at in range(0, len(damaged), step):
            released += opener.add(damaged[at : at + step])
        released += opener.end()
    except Undecryptable:
        assert content.startswith(released)
    else:
        assert damaged == body
        assert released == content


@given(st.binary(max_size=600))
def test_noise_is_refused(noise: bytes) -> None:
    for body in (noise, SMALL_BODY[:21] + noise, noise[:16] + b"\0\1\0\0\0" + noise):
        with pytest.raises(Undecryptable):
            envelope.open_(KEY, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | json_values,
        "kind": st.sampled_from(["text", "file"]) | json_values,
        "length": st.integers(0, 50) | json_values,
        "created": seconds | json_values,
        "expires": seconds | json_values,
        "files": st.just([{"name": "a", "type": "text/plain", "size": 3}]) | json_values,
        "more": json_values,
    },
)


@given(st.one_of(headers, json_values), st.booleans(), st.binary(max_size=60))
def test_whatever_the_header_says_it_is_one_or_the_error(
    members: object, is_dense: bool, rest: bytes
) -> None:
    separators = (",", ":") if is_dense else None
    text = json.dumps(members, ensure_ascii=not is_dense, separators=separators)
    line = text.encode("utf-8", "surrogatepass") + b"\n"
    try:
        header = envelope.parse_header(line)
    except Undecryptable:
        with pytest.raises(Undecryptable):
            envelope.open_(KEY, hand.body(KEY, bytes(16), line + rest))
    else:
        assert envelope.header_line(header) == line


@given(st.binary(max_size=rounds(300, 5000)))
def test_a_header_of_any_bytes_is_one_or_the_error(line: bytes) -> None:
    with pytest.raises(Undecryptable):
        envelope.parse_header(line)


# Twins


def test_the_twins_open_with_the_same_words() -> None:
    comment = SCRIPT.read_text().split("*/")[0].removeprefix("/**\n")
    lines = [line.removeprefix(" *").removeprefix(" ") for line in comment.splitlines()]
    assert "\n".join(lines).strip() == (envelope.__doc__ or "").strip()


# Whether what came can be a body, the server asks alone.
OF_THE_SERVER = {"sealed_size", "is_body"}


def test_the_twins_have_the_same_functions_in_the_same_order() -> None:
    source = SOURCE.read_text()
    ours = re.findall(r"^(?:def|class) ([a-z]\w*|Opener)", source, re.MULTILINE)
    theirs = re.findall(
        r"^export (?:async )?(?:function\*?|class) ([a-z]\w*|Opener)",
        SCRIPT.read_text(),
        re.MULTILINE,
    )
    camel = [
        re.sub(r"_(\w)", lambda found: found[1].upper(), each.rstrip("_"))
        for each in ours
        if each not in OF_THE_SERVER
    ]
    assert camel == theirs
    assert len(theirs) > 20


# The document


def test_the_example_in_the_document_is_in_the_vectors() -> None:
    shown = dict(
        re.findall(r"^    (\w[\w ]*?) {2,}(\S.*)$", DOCUMENT.split("## Example")[1], re.MULTILINE)[
            :7
        ]
    )
    case = vectors.read("derive-plain")
    assert shown == {
        "fragment": vectors.read("link-key")["text"],
        "K": case["link_key"],
        "link proof": case["link_proof"],
        "secret id": case["secret_id"],
        "open proof": case["open_proof"],
        "its hash": case["open_hash"],
        "content key": case["content_key"],
    }
    with_passphrase = vectors.read("derive-passphrase")
    for name in ("open_proof", "content_key"):
        assert with_passphrase[name] in DOCUMENT
    text = vectors.read("seal-text")
    assert f"    {text['header_line']}" in DOCUMENT
    assert text["body"][0]["hex"][:58] in DOCUMENT
    assert f"({text['body_size']} bytes, seal-text.json)" in DOCUMENT


def test_the_document_names_every_label_and_limit() -> None:
    labels = set(re.findall(r'"(onetime/1 [a-z ]+)"', SOURCE.read_text()))
    assert len(labels) == 5
    assert {label for label in labels if f"`{label}`" not in DOCUMENT} == set()
    for number in (
        "600,000",
        f"{envelope.SHORTEST_PASSPHRASE} to {envelope.LONGEST_PASSPHRASE} code points",
        str(envelope.RECORD_BYTES),
        str(envelope.DATA_BYTES),
        str(envelope.MOST_LINE_BYTES),
        str(envelope.MOST_SECONDS),
        f"1 to {envelope.MOST_NAME_BYTES} bytes",
    ):
        assert number in " ".join(DOCUMENT.split())


def test_text_up_to_the_size_that_the_document_names_is_of_one_size() -> None:
    found = re.search(r"Up to (\d+) bytes of text make one\s+body of (\d+) bytes", DOCUMENT)
    assert found
    most, size = int(found[1]), int(found[2])
    assert {envelope.body_size(text_header(length)) for length in range(most + 1)} == {size}
    assert envelope.body_size(text_header(most + 1)) > size
