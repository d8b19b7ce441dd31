"""How each program is asked, and how its answers are checked.

Every secret is different: sixteen hex digits of its number, then filler up to its size, all of it letters and digits,
so that neither a form nor a page has anything to escape and 100 bytes are 100 bytes everywhere. What a reveal must
give back follows from the number, and is compared whole.
"""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.generator import Void
from onetime.crypto import envelope

LETTERS = string.ascii_letters + string.digits


@dataclass(slots=True)
class Secrets:
    """Secrets of one size at one program: how many were made, and which nobody has read yet."""

    size: int
    made: int = 0
    unread: list[tuple[str, int]] = field(default_factory=list)
    filler: bytes = b""
    envelope: bytes = b""
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.dice.seed(self.size)
        self.filler = "".join(self.dice.choices(LETTERS, k=self.size - 16)).encode()

    def pick(self) -> tuple[str, int] | None:
        """Any of the unread, so that a reveal does not always find what was written last."""
        unread = self.unread
        if not unread:
            return None
        at = int(self.dice.random() * len(unread))
        picked = unread[at]
        unread[at] = unread[-1]
        unread.pop()
        return picked

    def value(self, number: int) -> bytes:
        return b"%016x%b" % (number, self.filler)


class Create:
    """POST a form with one field that holds the secret; `find` takes the key out of the answer."""

    def __init__(
        self,
        secrets: Secrets,
        path: str,
        before: bytes,
        after: bytes,
        find: Callable[[bytes], str],
        headers: str = "",
    ) -> None:
        self.secrets = secrets
        self.find = find
        length = len(before) + secrets.size + len(after)
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode() + before
        self.tail = secrets.filler + after

    def ask(self) -> tuple[bytes, int]:
        number = self.secrets.made
        self.secrets.made = number + 1
        return b"%b%016x%b" % (self.head, number, self.tail), number

    def judge(self, about: int, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Void(f"a create was answered {answer[:600]!r}")
        self.secrets.unread.append((self.find(answer), about))


class Reveal:
    """POST to the secret's own address, which ends with `end`; the value stands between `before` and `after` in the answer."""

    def __init__(
        self, secrets: Secrets, path: str, before: bytes, after: bytes, end: str = ""
    ) -> None:
        self.secrets = secrets
        self.start = f"POST {path}"
        self.end = end
        self.before = before
        self.after = after

    def ask(self) -> tuple[bytes, int] | None:
        picked = self.secrets.pick()
        if picked is None:
            return None
        key, number = picked
        request = (
            f"{self.start}{key}{self.end} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        )
        return request.encode(), number

    def judge(self, about: int, answer: bytes) -> None:
        at = answer.find(self.before) + len(self.before)
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.startswith(
            self.secrets.value(about) + self.after, at
        ):
            raise Void(f"secret {about} came back as {answer[:600]!r}")


class EnvelopeCreate:
    """Create an end-to-end secret. What the server cannot read it cannot check, so the body is letters behind a right head, as
    long as that of an encrypted text of this size; the proofs are the secret's number.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        body = envelope_body(secrets, 0)
        self.head = (
            "POST /api/e2e/create HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
            f"Onetime-Ttl: 3600\r\nOnetime-Passphrase: no\r\nContent-Length: {len(body)}\r\n"
        )

    def ask(self) -> tuple[bytes, int]:
        number = self.secrets.made
        self.secrets.made = number + 1
        proof = _proof(self.secrets, number)
        proof_hash = _text(hashlib.sha256(proof).digest())
        head = (
            f"{self.head}Onetime-Secret-Id: {proof_hash}\r\nOnetime-Open-Hash: {proof_hash}\r\n"
            f"Onetime-Receipt-Hash: {proof_hash}\r\n\r\n"
        )
        return head.encode() + envelope_body(self.secrets, number), number

    def judge(self, about: int, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 201 "):
            raise Void(f"an end-to-end create was answered {answer[:600]!r}")
        self.secrets.unread.append(("", about))


class EnvelopeReveal:
    """Claim a secret, compare what came, and settle: two requests, one after the other."""

    requests_each = 2

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.to_settle: list[int] = []

    def ask(self) -> tuple[bytes, tuple[str, int]] | None:
        if self.to_settle:
            number = self.to_settle.pop()
            proof = _text(_proof(self.secrets, number))
            asked = f'{{"link_proof":"{proof}","claim":"{_claim(number)}"}}'
            return _post("settle", asked), ("settle", number)
        picked = self.secrets.pick()
        if picked is None:
            return None
        _, number = picked
        proof = _text(_proof(self.secrets, number))
        asked = f'{{"link_proof":"{proof}","open_proof":"{proof}","claim":"{_claim(number)}"}}'
        return _post("reveal", asked), ("reveal", number)

    def judge(self, about: tuple[str, int], answer: bytes) -> None:
        verb, number = about
        right = answer.startswith(b"HTTP/1.1 200 ")
        if verb == "reveal":
            right = right and answer.endswith(b"\r\n\r\n" + envelope_body(self.secrets, number))
            self.to_settle.append(number)
        else:
            right = right and b'"acknowledged_at":' in answer
        if not right:
            raise Void(f"{verb} of end-to-end secret {number} was answered {answer[:600]!r}")


def envelope_body(secrets: Secrets, number: int) -> bytes:
    header = envelope.Header(length=secrets.size, created_at=1785000000, expires_at=1785003600)
    if not secrets.envelope:
        size = envelope.body_size(header) - envelope.SALT_BYTES - len(envelope.HEAD)
        secrets.envelope = (secrets.filler * (size // len(secrets.filler) + 1))[:size]
    return b"%016x%b%b" % (number, envelope.HEAD, secrets.envelope)


def _proof(secrets: Secrets, number: int) -> bytes:
    return b"%016x%016x" % (secrets.size, number)


def _claim(number: int) -> str:
    return _text(b"%016x" % number)


_text = envelope.to_base64_url


def _post(verb: str, asked: str) -> bytes:
    return (
        f"POST /api/e2e/{verb} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(asked)}\r\n\r\n{asked}"
    ).encode()


class Noop:
    """The very requests of another talk, to a server that answers `{}` to each."""

    def __init__(self, request: bytes) -> None:
        self.request = request

    def ask(self) -> tuple[bytes, None]:
        return self.request, None

    def judge(self, about: None, answer: bytes) -> None:  # noqa: ARG002 - nothing to remember
        if not answer.endswith(b"\r\n\r\n{}"):
            raise Void(f"the no-op answered {answer[:600]!r}")


def _between(answer: bytes, before: bytes, after: bytes) -> str:
    at = answer.find(before)
    if at < 0:
        raise Void(f"there is no {before!r} in {answer[:1500]!r}")
    at += len(before)
    return answer[at : answer.index(after, at)].decode()


def onetime_create(secrets: Secrets) -> Create:
    return Create(
        secrets,
        "/api/v1/share",
        b"secret=",
        b"&ttl=3600",
        lambda answer: _between(answer, b'"secret_key":"', b'"'),
    )


def onetime_reveal(secrets: Secrets) -> Reveal:
    return Reveal(secrets, "/api/v1/secret/", b'"value":"', b'"')


def records_create(secrets: Secrets) -> Create:
    """API v2."""
    return Create(
        secrets,
        "/api/v2/secret/conceal",
        b"secret[secret]=",
        b"&secret[ttl]=3600",
        lambda answer: _between(answer, b'"secret_identifier":"', b'"'),
    )


def records_reveal(secrets: Secrets) -> Reveal:
    return Reveal(
        secrets, "/api/v2/secret/", b'"secret_value":"', b'"', end="/reveal?continue=true"
    )


def snappass_create(secrets: Secrets) -> Create:
    """The JSON answer, which SnapPass gives when only JSON is accepted; it is faster than its page."""
    return Create(
        secrets,
        "/",
        b"password=",
        b"&ttl=hour",
        lambda answer: _between(answer, b'"link":"http://127.0.0.1/', b'"'),
        headers="Accept: application/json\r\n",
    )


def snappass_reveal(secrets: Secrets) -> Reveal:
    """The page: SnapPass reveals in no other way."""
    return Reveal(secrets, "/", b'readonly="readonly">', b"</textarea>")
