"""New passwords are made of the same characters in the page and by the server."""

import json
import string
import subprocess

from onetime.core import generate
from tests import needs

SCRIPT = needs.ROOT / "src" / "onetime" / "static" / "js" / "part" / "generate.js"
ASK = (
    f"import * as it from {json.dumps(SCRIPT.as_uri())};"
    "console.log(JSON.stringify([it.LETTERS, it.AMBIGUOUS, it.MOST_LENGTH]))"
)


def test_the_page_has_the_sets_and_the_limit_of_the_server() -> None:
    said = subprocess.run(
        [needs.node(), "--input-type=module", "--eval", ASK],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    letters, ambiguous, most_length = json.loads(said)
    assert letters == {
        "uppercase": string.ascii_uppercase,
        "lowercase": string.ascii_lowercase,
        "numbers": string.digits,
        "symbols": generate.SYMBOLS,
    }
    assert sorted(ambiguous) == sorted(generate.AMBIGUOUS)
    assert most_length == generate.MOST_LENGTH
