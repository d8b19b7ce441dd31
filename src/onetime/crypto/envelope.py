"""The end-to-end envelope, version 1: the sender's device seals, the reader's opens, the server can do neither.

K              32 random bytes; 43 characters of base64url in the link's fragment
P              nothing, or PBKDF2-HMAC-SHA256(passphrase, HKDF(K, "onetime/1 passphrase salt"), 600000 rounds)
link proof     HKDF(K, "onetime/1 link proof")        names the secret: its id is the SHA-256 of it
open proof     HKDF(K | P, "onetime/1 open proof")    opens the door: the server keeps the SHA-256 of it
content key    HKDF(K | P, "onetime/1 content")       opens the envelope: never leaves a device
R              32 random bytes, independent of K
receipt proof  HKDF(R, "onetime/1 receipt proof")     tells and burns: the server keeps the SHA-256 of it

HKDF is HKDF-SHA256 without salt; each of these is 32 bytes.

Body:   RFC 8188 aes128gcm, keyed by the content key: salt (16) | 65536 (4) | 0 (1) | records of 65536 bytes, the last shorter.
Record: AES-128-GCM of 65519 bytes, in the last record at least one, and the delimiter: 1, in the last record 2.
Inside: header line (JSON, newline) | content | zeros up to Padmé(max(256, what comes before them)).

There is one way to write each of these things, and a reader refuses every other: docs/envelope.md has it to the byte, and
the reasons. envelope.py and envelope.js are twins: the same functions in the same order, and tests/vectors/envelope for both.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onetime.crypto.keyring import hkdf
from onetime.crypto.passphrase import has_unassigned, normal
from onetime.errors import Invalid, Undecryptable

VERSION = 1
KEY_BYTES = 32
CLAIM_BYTES = 16

# OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256: WebCrypto has no Argon2.
ROUNDS = 600_000

# Code points after NFC.
SHORTEST_PASSPHRASE = 4
LONGEST_PASSPHRASE = 128

SALT_BYTES = 16
RECORD_BYTES = 65536
TAG_BYTES = 16
# What a full record carries beside its delimiter and tag.
DATA_BYTES = RECORD_BYTES - 1 - TAG_BYTES
# Record size and the length of the key id, which is empty.
HEAD = struct.pack(">IB", RECORD_BYTES, 0)
MORE, LAST = b"\x01", b"\x02"

LEAST_PADDED_BYTES = 256
MOST_LINE_BYTES = 4096
# Far above what anybody sends, and every sum of sizes is exact in a JavaScript number.
MOST_BYTES = 2**48
# The last second of the year 9999: every reader can show it.
MOST_SECONDS = 253_402_300_799
MOST_NAME_BYTES = 255

# A separator, a control character, one that turns or breaks a line, or half of a surrogate pair.
_NO_NAME = re.compile(
    r"[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# RFC 6838, section 4.2, in small letters.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_NEWER = re.compile(r"(?:[2-9]|[1-9][0-9]{1,2})\..*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReceiptLink:
    """32 bytes each."""

    secret_id: bytes
    receipt_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """32 bytes each."""

    link_proof: bytes = field(repr=False)
    open_proof: bytes = field(repr=False)
    content_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    name: str = field(repr=False)
    type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the envelope says of its content. `kind` is "text" without files or "file" with at least one, whose contents follow
    one another; `length` is that of the content in bytes. The times are information: nobody refuses by a clock of his own.
    """

    kind: str = "text"
    length: int
    created_at: int
    expires_at: int
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    header: Header
    content: bytes = field(repr=False)


def new_link_key() -> bytes:
    return os.urandom(KEY_BYTES)


def format_link_key(link_key: bytes) -> str:
    """43 characters: the fragment of a link."""
    return to_base64_url(link_key)


def parse_link_key(text: str) -> bytes:
    """
    Raises:
        Invalid: no link key ("malformed"), or one of a later version ("newer"): no request may be sent for it.
    """
    return _parse_link(text, KEY_BYTES)


def new_receipt_key() -> bytes:
    return os.urandom(KEY_BYTES)


def format_receipt_link(receipt: ReceiptLink) -> str:
    """86 characters: the fragment of a receipt's link."""
    return to_base64_url(receipt.secret_id + receipt.receipt_key)


def parse_receipt_link(text: str) -> ReceiptLink:
    """
    Raises:
        Invalid: as `parse_link_key`.
    """
    raw = _parse_link(text, 2 * KEY_BYTES)
    return ReceiptLink(raw[:KEY_BYTES], raw[KEY_BYTES:])


def new_claim() -> bytes:
    """16 bytes that the reader's device makes before its first request, and keeps until it has the secret."""
    return os.urandom(CLAIM_BYTES)


def to_base64_url(raw: bytes) -> str:
    """Without padding: the spelling of keys in links and of proofs, hashes and claims in requests."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64_url(text: str, size: int) -> bytes:
    """`size` bytes, from their one spelling: no padding, no other alphabet, spare bits zero.

    Raises:
        Invalid: anything else.
    """
    if len(text) == -(-size * 4 // 3) and re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if to_base64_url(raw) == text:
            return raw
    raise Invalid("text", f"Not {size} bytes in base64url")


def normal_passphrase(passphrase: str, *, is_new: bool = False) -> str:
    """NFC, so that composed and decomposed spellings are one passphrase. Nothing is trimmed or folded.

    Raises:
        Invalid: it has unpaired surrogates ("malformed"), or is far too long ("too_long"). One that is being set also must
            not be "too_short" or "too_long", nor have code points that this Unicode version does not know ("unassigned").
    """
    text = normal(passphrase)
    if not is_new:
        return text
    if len(text) < SHORTEST_PASSPHRASE:
        raise Invalid("passphrase", "The passphrase is too short", rule="too_short")
    if len(text) > LONGEST_PASSPHRASE:
        raise Invalid("passphrase", "The passphrase is too long", rule="too_long")
    if has_unassigned(text):
        raise Invalid("passphrase", "The passphrase has unknown characters", rule="unassigned")
    return text


def link_proof(link_key: bytes) -> bytes:
    """What a look takes; the others of `derive` may need a passphrase."""
    return hkdf(link_key, "onetime/1 link proof")


def derive(link_key: bytes, passphrase: str = "") -> Keys:
    """With a passphrase it takes a good part of a second.

    Raises:
        Invalid: the passphrase is none, as `normal_passphrase`.
    """
    both = link_key
    if passphrase:
        salt = hkdf(link_key, "onetime/1 passphrase salt")
        spelled = normal_passphrase(passphrase).encode()
        both += hashlib.pbkdf2_hmac("sha256", spelled, salt, ROUNDS, KEY_BYTES)
    return Keys(
        link_proof(link_key),
        hkdf(both, "onetime/1 open proof"),
        hkdf(both, "onetime/1 content"),
    )


def receipt_proof(receipt_key: bytes) -> bytes:
    return hkdf(receipt_key, "onetime/1 receipt proof")


def secret_id(proof: bytes) -> bytes:
    """The server's one name for a secret, from its link proof."""
    return hashlib.sha256(proof).digest()


def proof_hash(proof: bytes) -> bytes:
    """What the server keeps of an open proof or a receipt proof. The proofs are 256 random bits to whoever has no key, so
    their plain hash gives nothing away.
    """
    return hashlib.sha256(proof).digest()


def header_line(header: Header) -> bytes:
    """JSON with the members in this order and nothing that could be left out, and a newline.

    Raises:
        Invalid: it would be refused by readers; `field` names what.
    """
    _check(header)
    members: dict[str, Any] = {
        "version": VERSION,
        "kind": header.kind,
        "length": header.length,
        "created": header.created_at,
        "expires": header.expires_at,
    }
    if header.kind == "file":
        members["files"] = [
            {"name": each.name, "type": each.type, "size": each.size} for each in header.files
        ]
    line = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MOST_LINE_BYTES:
        raise Invalid("files", "The names of the files are too long together", rule="too_long")
    return line


def parse_header(line: bytes) -> Header:
    """
    Raises:
        Undecryptable: it is not, to the byte, what `header_line` writes.
    """
    try:
        header = _read(json.loads(line.decode()))
        if header_line(header) == line:
            return header
    except (Invalid, KeyError, RecursionError, TypeError, ValueError):
        pass
    raise Undecryptable("The header of the envelope is not one")


def padded_size(size: int) -> int:
    """Padmé of at least 256: at most 6.25 % more, in 16 sizes for each doubling, and from 65536 on in 32.

    Source: Nikitin and others, Reducing Metadata Leakage from Encrypted Files and Communication with PURBs, 2019, section 4.
    """
    size = max(LEAST_PADDED_BYTES, size)
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def body_size(header: Header) -> int:
    """The bytes of the sealed body: what the server's limit speaks of.

    Raises:
        Invalid: as `header_line`.
    """
    return sealed_size(len(header_line(header)) + header.length)


def sealed_size(inside: int) -> int:
    """The bytes of a body for so many of header line and content."""
    padded = padded_size(inside)
    records = -(-padded // DATA_BYTES)
    return SALT_BYTES + len(HEAD) + padded + records * (1 + TAG_BYTES)


def is_body(body: bytes) -> bool:
    """Whether it can be one, as far as can be seen without a key: an exact head, and one of the padded sizes."""
    start = SALT_BYTES + len(HEAD)
    records = -(-(len(body) - start) // RECORD_BYTES)
    padded = len(body) - start - records * (1 + TAG_BYTES)
    return body[SALT_BYTES:start] == HEAD and padded == padded_size(padded)


def seal(content_key: bytes, header: Header, content: bytes, *, salt: bytes | None = None) -> bytes:
    """The body. `salt` is for test vectors.

    Raises:
        Invalid: as `seal_stream`.
    """
    return b"".join(seal_stream(content_key, header, [content], salt=salt))


def seal_stream(
    content_key: bytes, header: Header, content: Iterable[bytes], *, salt: bytes | None = None
) -> Iterator[bytes]:
    """The body in pieces of at most a record.

    Raises:
        Invalid: the header, at once; or, on the way, the content is not as long as the header says.
    """
    line = header_line(header)
    return _seal(content_key, _inside(line, header, content), salt or os.urandom(SALT_BYTES))


class Opener:
    """Opens a body that arrives in pieces of any size.

        for piece in pieces:
            file.write(opener.add(piece))
        file.write(opener.end())

    What `add` returns is authentic and in its place, but only after `end` is it all there is: until then keep it under
    another name. `header` is there as soon as its record is. After an error nothing more comes out.
    """

    def __init__(self, content_key: bytes) -> None:
        self.header: Header | None = None
        self._content_key = content_key
        self._keys: RecordKeys | None = None
        self._arrived = bytearray()
        self._number = 0
        self._has_last = False
        self._content_left = 0
        self._zeros_left = 0
        self._is_sound = True

    def add(self, piece: bytes) -> bytes:
        """The content that this completes.

        Raises:
            Undecryptable: it is not an envelope for this key.
        """
        return self._guard(piece, is_end=False)

    def end(self) -> bytes:
        """The rest of the content; nothing is missing.

        Raises:
            Undecryptable: as `add`, or the body was cut short.
        """
        return self._guard(b"", is_end=True)

    def _guard(self, piece: bytes, *, is_end: bool) -> bytes:
        if not self._is_sound:
            raise Undecryptable("The envelope was given up")
        self._is_sound = False
        self._arrived += piece
        content = self._advance(is_end=is_end)
        self._is_sound = not is_end
        return content

    def _advance(self, *, is_end: bool) -> bytes:
        if self._keys is None and len(self._arrived) >= SALT_BYTES + len(HEAD):
            head = self._cut(SALT_BYTES + len(HEAD))
            if head[SALT_BYTES:] != HEAD:
                raise Undecryptable("The envelope has another record size or a key id")
            self._keys = record_keys(self._content_key, head[:SALT_BYTES])
        content: list[bytes] = []
        while self._keys and (len(self._arrived) >= RECORD_BYTES or (is_end and self._arrived)):
            content.append(self._open(self._keys, self._cut(RECORD_BYTES)))
        # Cut between two records or in one: no record said that it is the last.
        if is_end and not self._has_last:
            raise Undecryptable("The envelope ends too early")
        return b"".join(content)

    def _cut(self, size: int) -> bytes:
        part = bytes(self._arrived[:size])
        del self._arrived[:size]
        return part

    def _open(self, keys: RecordKeys, record: bytes) -> bytes:
        if self._has_last:
            raise Undecryptable("The envelope goes on after its end")
        data = open_record(keys, self._number, record)
        self._number += 1
        self._has_last = data[-1:] == LAST
        if data[-1:] not in {MORE, LAST}:
            raise Undecryptable("The envelope has a record without its delimiter")
        return self._release(data[:-1])

    def _release(self, data: bytes) -> bytes:
        """What of a record's data is content; the header line before it and the zeros after it are checked."""
        if self.header is None:
            line, newline, data = data.partition(b"\n")
            line += newline
            self.header = parse_header(line)
            size = len(line) + self.header.length
            self._content_left = self.header.length
            self._zeros_left = padded_size(size) - size
        content, zeros = data[: self._content_left], data[self._content_left :]
        self._content_left -= len(content)
        self._zeros_left -= len(zeros)
        if zeros.count(0) != len(zeros):
            raise Undecryptable("The envelope is padded with something")
        if self._has_last and (self._content_left or self._zeros_left):
            raise Undecryptable("The envelope is longer or shorter than it says")
        return content


def open_(content_key: bytes, body: bytes) -> Opened:
    """
    Raises:
        Undecryptable: it is not an envelope for this key, or not all of it.
    """
    opener = Opener(content_key)
    content = opener.add(body) + opener.end()
    assert opener.header is not None
    return Opened(opener.header, content)


class RecordKeys(NamedTuple):
    cipher: AESGCM
    nonce: bytes


def _parse_link(text: str, size: int) -> bytes:
    if _NEWER.fullmatch(text):
        raise Invalid("link", "This link needs a newer program", rule="newer")
    try:
        return from_base64_url(text, size)
    except Invalid:
        raise Invalid("link", "The link is damaged") from None


def _check(header: Header) -> None:
    _check_number("length", header.length, MOST_BYTES)
    _check_number("created_at", header.created_at, MOST_SECONDS)
    _check_number("expires_at", header.expires_at, MOST_SECONDS)
    if header.kind not in {"text", "file"}:
        raise Invalid("kind", "An envelope holds text or files")
    if (header.kind == "file") != (len(header.files) > 0):
        raise Invalid("files", "Files belong to the kind file, and to no other")
    for each in header.files:
        _check_number("size", each.size, MOST_BYTES)
        if not _TYPE.fullmatch(each.type):
            raise Invalid("type", "The type of a file is not one")
        if each.name in {"", ".", ".."} or _NO_NAME.search(each.name):
            raise Invalid("name", "The name of a file is not one")
        if len(each.name.encode()) > MOST_NAME_BYTES:
            raise Invalid("name", "The name of a file is too long", rule="too_long")
    if header.files and sum(each.size for each in header.files) != header.length:
        raise Invalid("length", "The files are longer or shorter together")


def _check_number(name: str, number: int, most: int) -> None:
    if not 0 <= number <= most:
        raise Invalid(name, f"Not from 0 to {most}", rule="out_of_range")


def _read(members: Any) -> Header:
    """The values, whatever else there is: the comparison with `header_line` finds it."""
    return Header(
        kind=_text(members["kind"]),
        length=_whole(members["length"]),
        created_at=_whole(members["created"]),
        expires_at=_whole(members["expires"]),
        files=tuple(
            File(name=_text(each["name"]), type=_text(each["type"]), size=_whole(each["size"]))
            for each in members.get("files", ())
        ),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _inside(line: bytes, header: Header, content: Iterable[bytes]) -> Iterator[bytes]:
    yield line
    length = 0
    for piece in content:
        length += len(piece)
        if length > header.length:
            break
        yield piece
    if length != header.length:
        raise Invalid("content", "The content is not as long as its header says")
    zeros = padded_size(len(line) + length) - len(line) - length
    while zeros:
        part = min(zeros, RECORD_BYTES)
        yield bytes(part)
        zeros -= part


def _seal(content_key: bytes, inside: Iterable[bytes], salt: bytes) -> Iterator[bytes]:
    keys = record_keys(content_key, salt)
    yield salt + HEAD
    number = 0
    waiting = bytearray()
    for piece in inside:
        waiting += piece
        # What fills a record exactly waits: it may be the last.
        while len(waiting) > DATA_BYTES:
            yield seal_record(keys, number, bytes(waiting[:DATA_BYTES]) + MORE)
            del waiting[:DATA_BYTES]
            number += 1
    yield seal_record(keys, number, bytes(waiting) + LAST)


def record_keys(content_key: bytes, salt: bytes) -> RecordKeys:
    """Source: RFC 8188, sections 2.2 and 2.3."""

    def expand(info: bytes, size: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(content_key)

    key = expand(b"Content-Encoding: aes128gcm\0", 16)
    return RecordKeys(AESGCM(key), expand(b"Content-Encoding: nonce\0", 12))


def seal_record(keys: RecordKeys, number: int, data: bytes) -> bytes:
    """`data` with its delimiter."""
    return keys.cipher.encrypt(_nonce(keys, number), data, None)


def open_record(keys: RecordKeys, number: int, record: bytes) -> bytes:
    try:
        return keys.cipher.decrypt(_nonce(keys, number), record, None)
    except (InvalidTag, ValueError):
        raise Undecryptable("The envelope was changed, or this is not its key") from None


def _nonce(keys: RecordKeys, number: int) -> bytes:
    """Source: RFC 8188, section 2.3: the number of the record, from 0, over the end of the nonce."""
    return (int.from_bytes(keys.nonce) ^ number).to_bytes(12)
