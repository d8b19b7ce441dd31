"""What libraries log comes out as JSON, of the fields that our own log has, and without its values."""

import json
import logging

import pytest

from onetime.cli.serve import JsonLines
from onetime.log import FIELDS

CANARY = "correct horse battery staple"


def fail() -> None:
    raise ValueError(CANARY)


def record(name: str, message: str, *values: object, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            fail()
        except ValueError as raised:
            error = (ValueError, raised, raised.__traceback__)
    return logging.LogRecord(name, logging.ERROR, "/lib/some.py", 12, message, values, error)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            record("uvicorn.error", "Invalid HTTP request received."),
            "Invalid HTTP request received.",
        ),
        (record("uvicorn.error", "%s ended %s", "early", CANARY), "%s ended %s"),
        (record("uvicorn.error", "Exception in ASGI application\n", failed=True), "ValueError"),
        # asyncio logs ready text, with everything that was passed to the callback.
        (record("asyncio", f"Exception in callback f({CANARY!r})"), None),
        (record("asyncio", f"Exception in callback f({CANARY!r})", failed=True), "ValueError"),
    ],
)
def test_a_record_loses_its_values(
    written: logging.LogRecord, reason: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    JsonLines().emit(written)
    said = capsys.readouterr().err
    assert CANARY not in said
    line = json.loads(said)
    assert line.get("reason") == reason
    assert line["event"] == written.name
    assert line["where"] == "some:12"
    assert set(line) <= set(FIELDS)
