"""How each program is asked, and how its answers are checked.

Every secret is different: sixteen hex digits of its number, then filler up to its size, all of it letters and digits,
so that neither a form nor a page has anything to escape and 100 bytes are 100 bytes everywhere. What a reveal must
give back follows from the number, and is compared whole.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.generator import Void

LETTERS = string.ascii_letters + string.digits


@dataclass(slots=True)
class Secrets:
    """Secrets of one size at one program: how many were made, and which nobody has read yet."""

    size: int
    made: int = 0
    unread: list[tuple[str, int]] = field(default_factory=list)
    filler: bytes = b""
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
    """POST to the secret's own address; the value stands between `before` and `after` in the answer."""

    def __init__(self, secrets: Secrets, path: str, before: bytes, after: bytes) -> None:
        self.secrets = secrets
        self.start = f"POST {path}"
        self.before = before
        self.after = after

    def ask(self) -> tuple[bytes, int] | None:
        picked = self.secrets.pick()
        if picked is None:
            return None
        key, number = picked
        request = f"{self.start}{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        return request.encode(), number

    def judge(self, about: int, answer: bytes) -> None:
        at = answer.find(self.before) + len(self.before)
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.startswith(
            self.secrets.value(about) + self.after, at
        ):
            raise Void(f"secret {about} came back as {answer[:600]!r}")


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
