"""QR codes of the page against those of segno, which the server draws with: every module is the same.

But for one byte, which is put right here: to a stream that already is of whole bytes segno adds a byte of zeros before the
filling. Readers do not mind, and ISO/IEC 18004:2015, 7.4.10, does not have it.
"""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any, NamedTuple

import pytest
import segno
from segno import consts, encoder

from tests import needs
from tests.rounds import rounds

SCRIPT = needs.ROOT / "tests" / "js" / "qr_codes.js"
PATIENCE_SECONDS = 120
LEVELS = ("L", "M", "Q", "H")
MASKS = range(8)
# The first and the last, and where the frame or the length gains a part.
EDGES = {1, 2, 7, 10, 32, 40}
# Codes of so many contents have their masks compared.
CHOICES = rounds(12, 120)


class Case(NamedTuple):
    content: bytes
    level: str
    version: int
    mask: int | None


class Code(NamedTuple):
    version: int
    mask: int
    rows: list[str]


def ours(cases: list[Case]) -> list[Code]:
    """In one process of node."""
    asked = [{**case._asdict(), "content": case.content.hex()} for case in cases]
    done = subprocess.run(
        [needs.node(), SCRIPT],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return [Code(**each) for each in json.loads(done.stdout)]


def theirs(case: Case) -> Code:
    code = segno.make(
        case.content,
        error=case.level,
        version=case.version,
        mask=case.mask,
        mode="byte",
        micro=False,
        boost_error=False,
    )
    rows = ["".join("1" if module else "0" for module in row) for row in code.matrix]
    return Code(int(code.version), code.mask, rows)


@pytest.fixture(autouse=True)
def _padding_by_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_padding_bits(bits: Any, _version: int, length: int) -> None:
        bits.extend([0] * (-length % 8))

    monkeypatch.setattr(encoder, "write_padding_bits", write_padding_bits)


def content(source: random.Random, level: str, version: int) -> bytes:
    """Of any length that fits."""
    most: Any = consts.SYMBOL_CAPACITY
    most_bits: int = most[version][consts.ERROR_MAPPING[level]]
    head_bits = 4 + (8 if version < 10 else 16)
    return source.randbytes(source.randrange((most_bits - head_bits) // 8 + 1))


def test_every_version_at_every_level_is_the_same_module_by_module() -> None:
    source = random.Random(18004)
    cases = [
        Case(content(source, level, version), level, version, mask)
        for version in range(1, 41)
        for at, level in enumerate(LEVELS)
        for mask in MASKS
        if version in EDGES or mask == (version + at) % 8 or rounds(0, 1)
    ]
    different = [
        case[1:] for case, code in zip(cases, ours(cases), strict=True) if code != theirs(case)
    ]
    assert len(cases) >= 40 * 4
    assert different == []


def test_the_mask_is_the_one_whose_code_is_the_easiest_to_read() -> None:
    """By segno's count of the penalties of the whole code as it is seen, for each of the eight."""
    source = random.Random(7)
    for _ in range(CHOICES):
        level, version = source.choice(LEVELS), source.choice((1, 2, 3, 5, 7, 9, 14))
        given = content(source, level, version)
        free, *masked = ours([Case(given, level, version, mask) for mask in (None, *MASKS)])
        scores = [score(code) for code in masked]
        assert len(set(scores)) > 1
        assert free == masked[scores.index(min(scores))], scores


def score(code: Code) -> int:
    matrix = tuple(bytearray(int(module) for module in row) for row in code.rows)
    points: tuple[int, ...] = encoder.mask_scores(matrix, len(matrix), len(matrix))  # type: ignore[no-untyped-call]
    return sum(points)
