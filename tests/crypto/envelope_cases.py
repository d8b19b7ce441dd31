"""What a case of tests/vectors/envelope asks of an implementation; tests/js/envelope_cases.js asks the same in JavaScript.

The implementation is a module, so that broken ones can be asked too.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from onetime.errors import Invalid, Undecryptable
from tests.crypto import envelope_vectors as vectors

Case = dict[str, Any]

NAMES = sorted(path.stem for path in vectors.FOLDER.glob("*.json"))
PIECE_BYTES = 1000


class Asked:
    """Answers, with what differs from the case."""

    def __init__(self, envelope: Any) -> None:
        self.envelope = envelope
        self._bodies: dict[str, bytes] = {}

    def faults(self, name: str) -> list[str]:
        case = vectors.read(name)
        return [fault for fault in self._ask(case) if fault]

    def _ask(self, case: Case) -> Iterator[str]:
        ask: Callable[[Case], Iterator[str]] = {
            "link key": self._link_key,
            "receipt link": self._receipt_link,
            "passphrase": self._passphrase,
            "derive": self._derive,
            "receipt": self._receipt,
            "header": self._header,
            "padding": self._padding,
            "seal": self._seal,
            "refuse": self._refuse,
            "records": self._records,
        }[case["asks"]]
        return ask(case)

    def _link_key(self, case: Case) -> Iterator[str]:
        parse = functools.partial(self.envelope.parse_link_key, case["text"])
        if "rule" in case:
            yield refused(parse, "link", case["rule"])
        else:
            yield differs("bytes", parse().hex(), case["bytes"])
            back = self.envelope.format_link_key(bytes.fromhex(case["bytes"]))
            yield differs("text", back, case["text"])

    def _receipt_link(self, case: Case) -> Iterator[str]:
        parse = functools.partial(self.envelope.parse_receipt_link, case["text"])
        if "rule" in case:
            yield refused(parse, "link", case["rule"])
        else:
            receipt = parse()
            yield differs("secret_id", receipt.secret_id.hex(), case["secret_id"])
            yield differs("receipt_key", receipt.receipt_key.hex(), case["receipt_key"])
            yield differs("text", self.envelope.format_receipt_link(receipt), case["text"])

    def _passphrase(self, case: Case) -> Iterator[str]:
        spell = functools.partial(
            self.envelope.normal_passphrase, case["passphrase"], is_new=case["is_new"]
        )
        if "rule" in case:
            yield refused(spell, "passphrase", case["rule"])
        else:
            yield differs("normal", spell(), case["normal"])

    def _derive(self, case: Case) -> Iterator[str]:
        link_key = bytes.fromhex(case["link_key"])
        keys = self.envelope.derive(link_key, case["passphrase"])
        for name in ("link_proof", "open_proof", "content_key"):
            yield differs(name, getattr(keys, name).hex(), case[name])
        yield differs("alone", self.envelope.link_proof(link_key).hex(), case["link_proof"])
        yield differs("id", self.envelope.secret_id(keys.link_proof).hex(), case["secret_id"])
        yield differs("hash", self.envelope.proof_hash(keys.open_proof).hex(), case["open_hash"])

    def _receipt(self, case: Case) -> Iterator[str]:
        proof = self.envelope.receipt_proof(bytes.fromhex(case["receipt_key"]))
        yield differs("proof", proof.hex(), case["receipt_proof"])
        yield differs("hash", self.envelope.proof_hash(proof).hex(), case["receipt_hash"])

    def _header(self, case: Case) -> Iterator[str]:
        header = self._made(case)
        yield refused(
            lambda: self.envelope.seal(bytes(32), header, b"x"), case["field"], case["rule"]
        )
        yield refused(lambda: self.envelope.body_size(header), case["field"], case["rule"])

    def _padding(self, case: Case) -> Iterator[str]:
        for size, padded in case["sizes"]:
            yield differs(f"padded {size}", self.envelope.padded_size(size), padded)

    def _seal(self, case: Case) -> Iterator[str]:
        key, salt = bytes.fromhex(case["content_key"]), bytes.fromhex(case["salt"])
        header, content = self._made(case["header"]), self._joined(case["content"])
        line = case["header_line"].encode()
        yield differs("line", self.envelope.header_line(header), line)
        yield differs("parsed", self.envelope.parse_header(line), header)
        yield differs("size", self.envelope.body_size(header), case["body_size"])
        body = self.envelope.seal(key, header, content, salt=salt)
        if "body" in case:
            yield differs("body", body, self._joined(case["body"]))
        else:
            yield differs("hash", hashlib.sha256(body).hexdigest(), case["body_sha256"])
        streamed = self.envelope.seal_stream(key, header, pieces(content), salt=salt)
        yield differs("streamed", b"".join(streamed), body)
        opened = self.envelope.open_(key, body)
        yield differs("opened", (opened.header, opened.content), (header, content))
        opener = self.envelope.Opener(key)
        got = b"".join([*map(opener.add, pieces(body)), opener.end()])
        yield differs("in pieces", (opener.header, got), (header, content))

    def _refuse(self, case: Case) -> Iterator[str]:
        key, body = bytes.fromhex(case["content_key"]), self._joined(case["body"])
        if "body_sha256" in case:
            yield differs("hash", hashlib.sha256(body).hexdigest(), case["body_sha256"])
        yield undecryptable(lambda: self.envelope.open_(key, body))
        genuine = self._joined(case["content"])[: case["released"]]
        released = bytearray()
        opener = self.envelope.Opener(key)

        def arrive() -> None:
            for piece in pieces(body):
                released.extend(opener.add(piece))
            released.extend(opener.end())

        yield undecryptable(arrive)
        yield differs("released", bytes(released), genuine)
        yield undecryptable(lambda: opener.add(b""))
        yield undecryptable(opener.end)

    def _records(self, case: Case) -> Iterator[str]:
        key, salt = bytes.fromhex(case["content_key"]), bytes.fromhex(case["salt"])
        keys = self.envelope.record_keys(key, salt)
        for number, (plain, sealed) in enumerate(zip(case["plain"], case["sealed"], strict=True)):
            made = self.envelope.seal_record(keys, number, bytes.fromhex(plain))
            yield differs(f"sealed {number}", made.hex(), sealed)
            got = self.envelope.open_record(keys, number, bytes.fromhex(sealed))
            yield differs(f"opened {number}", got.hex(), plain)

    def _made(self, header: Case) -> Any:
        return self.envelope.Header(
            kind=header["kind"],
            length=header["length"],
            created_at=header["created_at"],
            expires_at=header["expires_at"],
            files=tuple(self.envelope.File(**each) for each in header["files"]),
        )

    def _joined(self, given: list[Case]) -> bytes:
        """Bodies of other cases and of records are sealed by the implementation itself: their hashes say that it is right."""
        return b"".join(self._piece(each) for each in given)

    def _piece(self, piece: Case) -> bytes:
        if "body" in piece:
            return self._body(piece["body"])[piece["from"] : piece["to"]]
        if "sealed" in piece:
            salt = bytes.fromhex(piece["salt"])
            keys = self.envelope.record_keys(vectors.KEY, salt)
            records = [
                self.envelope.seal_record(keys, number, self._joined(plain))
                for number, plain in enumerate(piece["sealed"])
            ]
            return b"".join([salt, b"\0\1\0\0\0", *records])
        return vectors.joined([piece], {})

    def _body(self, name: str) -> bytes:
        if name not in self._bodies:
            case = vectors.read(name)
            self._bodies[name] = self.envelope.seal(
                bytes.fromhex(case["content_key"]),
                self._made(case["header"]),
                self._joined(case["content"]),
                salt=bytes.fromhex(case["salt"]),
            )
        return self._bodies[name]


def pieces(whole: bytes) -> Iterator[bytes]:
    """Small enough that no two records come at once."""
    for at in range(0, len(whole), PIECE_BYTES):
        yield whole[at : at + PIECE_BYTES]


def differs(what: str, got: object, wanted: object) -> str:
    return "" if got == wanted else f"{what}: {got!r:.200} and not {wanted!r:.200}"


def refused(ask: Callable[[], object], field: str, rule: str) -> str:
    try:
        return f"not refused: {ask()!r:.200}"
    except Invalid as error:
        return differs("refused", (error.field, error.rule), (field, rule))


def undecryptable(ask: Callable[[], object]) -> str:
    try:
        return f"opened: {ask()!r:.200}"
    except Undecryptable:
        return ""
