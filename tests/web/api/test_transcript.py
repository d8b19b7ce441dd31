"""The reader of transcripts notices what is not as written."""

from pathlib import Path

import pytest

from tests.web.api.transcript import Differs, parse, play

RIGHT = """\
# Said with care.
: max_secret_bytes 1000

> POST /api/v1/generate
> Content-Type: application/json
>
> {"passphrase": ""}

< 200
<
< {"custid": "anon", "metadata_key": "<receipt>", "secret_key": "<secret>", "ttl": 604800,
<  "metadata_ttl": 1209600, "secret_ttl": 604800, "metadata_url": "https://ots.example.com/receipt/<receipt>",
<  "state": "new", "updated": 1785000000, "created": 1785000000, "recipient": [], "share_domain": "",
<  "value": "<value>", "passphrase_required": false,
<  "identifier": "<receipt>", "secret_identifier": "<secret>", "has_passphrase": false, "recipients": [],
<  "receipt_ttl": 1209600, "receipt_url": "https://ots.example.com/receipt/<receipt>", "secret_value": "<value>"}

+ 10

> GET /api/v1/authcheck

< 404
< X-OTS-Intended-Status: 401
<
< {"message": "Not authorized"}
"""

BROKEN = {
    "another status": ("< 404", "< 401"),
    "a header that is not sent": ("< 200\n", "< 200\n< Retry-After: 5\n"),
    "a header that is not told": ("< X-OTS-Intended-Status: 401\n", ""),
    "another value of a header": ("Status: 401", "Status: 400"),
    "a number as text": ('"ttl": 604800', '"ttl": "604800"'),
    "a number that is not whole": ('"ttl": 604800', '"ttl": 604800.0'),
    "another order": (
        '"recipient": [], "share_domain": ""',
        '"share_domain": "", "recipient": []',
    ),
    "a field left out": (' "share_domain": "",', ""),
    "a field too many": ('"state": "new"', '"state": "new", "more": 1'),
    "one key in two places": ('"identifier": "<receipt>"', '"identifier": "<secret>"'),
    "a blank inside a text": ("Not authorized", "Not  authorized"),
    "another time": ('"created": 1785000000', '"created": 1785000010'),
}


async def test_what_is_as_written_passes(tmp_path: Path) -> None:
    await play(parse(RIGHT), tmp_path)


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
async def test_what_is_not_as_written_is_found(change: tuple[str, str], tmp_path: Path) -> None:
    assert RIGHT.count(change[0]) == 1
    with pytest.raises(Differs):
        await play(parse(RIGHT.replace(*change)), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "POST /api/v1/share",
        ">POST /api/v1/share",
        "> GET /\n",
        "< 200\n",
        "> GET /\n\n> GET /\n\n< 200\n",
        "> GET /\n\n< 200\n< Date: today\n",
    ],
)
def test_what_is_no_transcript_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(text)
