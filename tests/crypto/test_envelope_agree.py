"""The twins agree on inputs that nobody chose: what one takes the other takes, to the same result."""

import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from onetime.crypto import envelope
from onetime.errors import Invalid, Undecryptable
from tests import needs
from tests.rounds import rounds

ANSWERS = needs.ROOT / "tests" / "js" / "envelope_answers.js"
COUNT = rounds(2000, 20_000)
PATIENCE_SECONDS = 120

# Known to the oldest Unicode version that a Python of ours has; what is newer may be normalised otherwise.
KNOWN = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(letter) not in {"Cn", "Co", "Cs"}
]
# Those that composing and reordering are about.
LIVELY = [
    letter
    for letter in KNOWN
    if unicodedata.combining(letter) or unicodedata.decomposition(letter) or "ᄀ" <= letter <= "ᇿ"
]


def passphrase(dice: random.Random) -> str:
    source = dice.choice([KNOWN, LIVELY, ["e", "\u0301", "\u0323", "\u0438", "\u0306"]])
    text = "".join(dice.choices(source, k=dice.randint(1, 12)))
    return text + dice.choice(["", "", "", "\ud83d", "\ude00"])


def link(dice: random.Random) -> str:
    text = envelope.format_link_key(dice.randbytes(32))
    at = dice.randrange(44)
    changed = text[:at] + dice.choice(["", "A", "=", "+", "-", "é", "\n"]) + text[at + 1 :]
    return dice.choice([text, changed, changed, f"{dice.randint(0, 1200)}.{text}"])


GOOD = [
    b'{"version":1,"kind":"text","length":13,"created":1785000000,"expires":1785604800}\n',
    (
        b'{"version":1,"kind":"file","length":5,"created":0,"expires":9,'
        b'"files":[{"name":"\xd1\x97 \\"a\\"","type":"text/plain","size":5}]}\n'
    ),
]
BITS = [b'"', b"0", b"9", b"-", b".", b"e1", b" ", b"\\u0041", b"\\", b",", b"}", b"[", b"true"]
BITS += [b"null", b"\n", b"\xff", b"\xe2\x80\xae", b"\xed\xa0\x80", b"/", b"\x00", b"\xef\xbb\xbf"]
BITS += [b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"\xf0\x9f\xa6\x94", b'"version":1,', b"1e400"]


def line(dice: random.Random) -> bytes:
    made = dice.choice(GOOD)
    for _ in range(dice.randint(0, 3)):
        start = dice.randrange(len(made) + 1)
        end = start + dice.choice([0, 0, 1, 1, 2, 8])
        made = made[:start] + dice.choice([*BITS, b""]) + made[end:]
    return made


def answer(ask: Callable[[Any], Any], given: object) -> Any:
    try:
        return ask(given)
    except Invalid as error:
        return f"{error.field} {error.rule}"
    except Undecryptable:
        return None


def link_key(text: str) -> str:
    return envelope.parse_link_key(text).hex()


def parsed(raw: bytes) -> list[Any]:
    header = envelope.parse_header(raw)
    return [envelope.header_line(header).hex(), envelope.body_size(header)]


def test_the_twins_agree() -> None:
    dice = random.Random(1)
    passphrases = [passphrase(dice) for _ in range(COUNT)]
    links = [link(dice) for _ in range(COUNT)]
    lines = [line(dice) for _ in range(COUNT)]
    ours: dict[str, list[Any]] = {
        "passphrases": [answer(envelope.normal_passphrase, each) for each in passphrases],
        "links": [answer(link_key, each) for each in links],
        "lines": [answer(parsed, each) for each in lines],
    }
    asked = {"passphrases": passphrases, "links": links, "lines": [each.hex() for each in lines]}
    done = subprocess.run(
        [needs.node(), ANSWERS],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    for name, given in asked.items():
        differing = [
            (each, mine, other)
            for each, mine, other in zip(given, ours[name], theirs[name], strict=True)
            if mine != other
        ]
        assert differing[:5] == [], name
    # Both outcomes were there to be agreed on.
    assert COUNT // 10 < sum(each is None for each in ours["lines"]) < COUNT * 9 // 10
    assert COUNT // 10 < sum(" " in each for each in ours["links"]) < COUNT * 9 // 10


@pytest.mark.parametrize("letter", ["e\u0301", "\u0438\u0306", "\u1112\u1161\u11ab"])
def test_what_is_lively_here_is_composed(letter: str) -> None:
    assert len(envelope.normal_passphrase(letter)) == 1
