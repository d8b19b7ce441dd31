"""PyPI's http-ece opens what we seal and seals what we open: the same records, written by somebody else."""

import http_ece  # type: ignore[import-untyped]
import pytest

from onetime.crypto import envelope
from onetime.crypto.envelope import Header, Opened

KEY = bytes(range(255, 223, -1))
LENGTHS = [0, 1, 13, 170, 171, 1000, 65519 - 80, 65520 - 80, 65536 - 80, 200_000]

of_every_length = pytest.mark.parametrize("length", LENGTHS)


def header(length: int) -> Header:
    return Header(length=length, created_at=1_785_000_000, expires_at=1_785_604_800)


def inside(length: int) -> tuple[bytes, bytes]:
    """The content, and what the records hold."""
    content = (b"Onetime. " * (length // 9 + 1))[:length]
    whole = envelope.header_line(header(length)) + content
    return content, whole.ljust(envelope.padded_size(len(whole)), b"\0")


@of_every_length
def test_http_ece_opens_ours(length: int) -> None:
    content, padded = inside(length)
    assert http_ece.decrypt(envelope.seal(KEY, header(length), content), key=KEY) == padded


@of_every_length
def test_ours_opens_what_http_ece_seals_and_it_is_the_same_to_the_byte(length: int) -> None:
    content, padded = inside(length)
    salt = bytes([length % 256]) * 16
    body = http_ece.encrypt(padded, key=KEY, salt=salt, rs=65536)
    assert envelope.open_(KEY, body) == Opened(header(length), content)
    assert envelope.seal(KEY, header(length), content, salt=salt) == body
