"""What a server is sent while people share end to end: who knows what, and the search of everything that went over the line.

Some values must never be sent, in whatever form. Others must be sent, and may stand in a body or in the headers that are made
for them, as they are; nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import urlsplit

from onetime.crypto import envelope
from onetime.crypto.envelope import KEY_BYTES, ROUNDS, to_base64_url
from onetime.crypto.keyring import hkdf
from tests.client.cutting import Request, Tap
from tests.privacy.canary import byte_forms, digest_forms, forms, search

LENGTH = re.compile(rb"(?im)^content-length: *(\d+)\r?$")
OWN_HEADER = re.compile(rb"(?i)onetime-[a-z-]+:")

# What the questions say beside what is named in `Known`.
PLAIN_HEADERS = {"onetime-ttl", "onetime-passphrase"}

# Addresses may say which language, and nothing else.
TARGET = re.compile(r"[\w/.-]+(\?lang=[a-z]{2})?")


@dataclass
class Known:
    """`hidden` must never be sent: every form of it, by its name. `sent` are the proofs, ids and hashes, by theirs; of these
    the server keeps the ones in `kept`.
    """

    hidden: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def text(self, name: str, value: str, core: str = "") -> str:
        for part in filter(None, (value, core)):
            self._hide(name if part == value else f"{name}'s core", forms(part))
        return value

    def raw(self, name: str, value: bytes) -> None:
        self._hide(name, byte_forms(value) | digest_forms(value))

    def link(self, link: str, passphrase: str = "") -> str:
        fragment = urlsplit(link).fragment
        key = both = envelope.parse_link_key(fragment)
        self.text("link key, spelled", fragment)
        self.raw("link key", key)
        if passphrase:
            salt = hkdf(key, "onetime/1 passphrase salt")
            stretched = _stretched(passphrase, salt)
            self.raw("passphrase salt", salt)
            self.raw("P", stretched)
            both += stretched
        open_proof, content_key = _of_both(both)
        self.raw("content key", content_key)
        proof = envelope.link_proof(key)
        self._pass("link proof", proof)
        self._pass("open proof", open_proof)
        self._pass("secret id", envelope.secret_id(proof), kept=True)
        self._pass("open hash", envelope.proof_hash(open_proof), kept=True)
        return link

    def wrong_passphrase(self, link: str, passphrase: str) -> None:
        """Of which an open proof is sent that proves nothing."""
        key = envelope.parse_link_key(urlsplit(link).fragment)
        stretched = _stretched(passphrase, hkdf(key, "onetime/1 passphrase salt"))
        open_proof, content_key = _of_both(key + stretched)
        self.raw("wrong P", stretched)
        self.raw("wrong content key", content_key)
        self._pass("wrong open proof", open_proof)

    def receipt(self, link: str) -> str:
        fragment = urlsplit(link).fragment
        parts = envelope.parse_receipt_link(fragment)
        self.text("receipt link, spelled", fragment)
        self.text("receipt key, spelled", to_base64_url(parts.receipt_key))
        self.raw("receipt key", parts.receipt_key)
        proof = envelope.receipt_proof(parts.receipt_key)
        self._pass("receipt proof", proof)
        self._pass("receipt hash", envelope.proof_hash(proof), kept=True)
        return link

    def claims(self, requests: list[Request]) -> None:
        """They are made in the browser or by the command, and told to nobody but the server."""
        for request in requests:
            if request.path.endswith("/api/e2e/reveal"):
                claim = json.loads(request.body)["claim"]
                self.claim(envelope.from_base64_url(claim, envelope.CLAIM_BYTES))

    def claim(self, claim: bytes) -> None:
        self._pass("claim", claim)

    def _hide(self, name: str, found: Mapping[str, bytes]) -> None:
        named = {f"{name}, {form}": needle for form, needle in found.items()}
        assert not named.keys() & self.hidden.keys(), name
        self.hidden |= named

    def _pass(self, name: str, value: bytes, *, kept: bool = False) -> None:
        assert self.sent.get(name, value) == value, name
        self.sent[name] = value
        if kept:
            self.kept.add(name)


def _stretched(passphrase: str, salt: bytes) -> bytes:
    """The format's P, which no function of ours gives away."""
    spelled = envelope.normal_passphrase(passphrase).encode()
    return hashlib.pbkdf2_hmac("sha256", spelled, salt, ROUNDS, KEY_BYTES)


def _of_both(both: bytes) -> tuple[bytes, bytes]:
    """Open proof and content key of link key and P."""
    return hkdf(both, "onetime/1 open proof"), hkdf(both, "onetime/1 content")


def requests_of(tap: Tap) -> list[Request]:
    return list(chain.from_iterable(_requests(bytes(each)) for each in tap.received))


def _requests(stream: bytes) -> Iterator[Request]:
    """Those of one connection. There is nothing in it that is none."""
    while stream:
        head, end, rest = stream.partition(b"\r\n\r\n")
        assert end, stream
        assert b"transfer-encoding" not in head.lower()
        found = LENGTH.search(head)
        length = int(found[1]) if found else 0
        assert len(rest) >= length, "a request that was not sent to its end"
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        yield Request(method, path, head, rest[:length])
        stream = rest[length:]


def sent_out_of_place(tap: Tap, known: Known) -> list[str]:
    """Anything that is hidden, in both directions; and of what may be sent, whatever stands in an address or in a header that is
    not made for it.
    """
    streams = {f"received {n}": bytes(each) for n, each in enumerate(tap.received)}
    streams |= {f"answered {n}": bytes(each) for n, each in enumerate(tap.answered)}
    requests = requests_of(tap)
    heads = {f"{each.method} {n}": _without_own_headers(each) for n, each in enumerate(requests)}
    return search(known.hidden, streams) + search(_written(known.sent), heads)


def out_of_turn(requests: list[Request], known: Known) -> list[str]:
    """What is said in a question and is none of the values that are known; and addresses that say anything."""
    told = {to_base64_url(raw) for raw in known.sent.values()}
    found = [f"{each.method} {each.path}" for each in requests if not TARGET.fullmatch(each.path)]
    for each in requests:
        words = _headers(each) | _members(each)
        found += [f"{each.path}: {name}" for name, value in words.items() if value not in told]
    return found


def kept_out_of_place(files: Mapping[str, bytes], known: Known) -> list[str]:
    """Of what the server has written: anything that is hidden, proofs and claims, and ids and hashes outside the database."""
    passing = {name: raw for name, raw in known.sent.items() if name not in known.kept}
    others = {name: content for name, content in files.items() if "vault.db" not in name}
    return (
        search(known.hidden, files)
        + search(_written(passing), files)
        + search(_written(known.sent), others)
    )


def unsent(tap: Tap, known: Known) -> set[str]:
    """Which of the values that may be sent were not."""
    everything = b"".join(tap.received)
    return {
        name for name, raw in known.sent.items() if to_base64_url(raw).encode() not in everything
    }


def _written(values: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        f"{name}, {form}": needle
        for name, raw in values.items()
        for form, needle in byte_forms(raw).items()
    }


def _without_own_headers(request: Request) -> bytes:
    lines = request.head.split(b"\r\n")
    return b"\r\n".join(each for each in lines if not OWN_HEADER.match(each))


def _headers(request: Request) -> dict[str, str]:
    lines = (each.decode().partition(": ") for each in request.head.split(b"\r\n")[1:])
    named = {name.lower(): value for name, _, value in lines}
    return {
        name: value
        for name, value in named.items()
        if name.startswith("onetime-") and name not in PLAIN_HEADERS
    }


def _members(request: Request) -> dict[str, str]:
    """Of a body that is no envelope."""
    if not request.body or request.path.endswith("/create"):
        return {}
    members: dict[str, str] = json.loads(request.body)
    return members
