"""JSON that is nested deeply is an odd request, and no fault of the program: it is answered, and costs a line of the log."""

import json
from pathlib import Path

from tests.cli.running import serving

DEEP = 900
LONGEST_LINE = 4000


def test_a_nested_recipient_is_answered(tmp_path: Path) -> None:
    body = '{"secret":"a","recipient":' + "[" * DEEP + "]" * DEEP + "}"
    with serving(tmp_path) as server:
        connection = server.open()
        connection.request(
            "POST", "/api/v1/share", body, {"Content-Type": "application/json", "Host": "localhost"}
        )
        answer = connection.getresponse()
        answer.read()
        connection.close()
    assert answer.status != 500
    assert max(len(json.dumps(line)) for line in server.log()) < LONGEST_LINE
