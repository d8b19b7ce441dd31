"""The log: one JSON object a line, of allowed fields only, and nothing of a request in it."""

import ast
import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import onetime
from onetime.cli.serve import JsonLines
from onetime.log import FIELDS, Log

SECRET = "the secret text"


class Lines(io.StringIO):
    def read_all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().split("\n")[:-1]]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(lines: Lines) -> Log:
    return Log(lambda: 1_700_000_000.1234, lines)


def test_a_request_is_one_line_of_six_fields(log: Log, lines: Lines) -> None:
    log.request(method="POST", route="/secret/{key}", status=200, ms=1.5, request_id="ab12")

    assert lines.getvalue().count("\n") == 1
    assert lines.read_all() == [
        {
            "time": 1_700_000_000.123,
            "level": "info",
            "event": "request",
            "route": "/secret/{key}",
            "method": "POST",
            "status": 200,
            "ms": 1.5,
            "request_id": "ab12",
        }
    ]


def test_a_method_that_is_none_is_not_written(log: Log, lines: Lines) -> None:
    log.request(method=SECRET, route="unrouted", status=404, ms=0.1, request_id="ab12")

    assert lines.read_all()[0]["method"] == "other"


@pytest.mark.parametrize("name", ["address", "path", "user_agent", "message", "secret", "key"])
def test_what_is_no_field_cannot_be_logged(log: Log, lines: Lines, name: str) -> None:
    for write in (log.info, log.warning):
        with pytest.raises(ValueError, match="not a log field"):
            write("something", **{name: SECRET})
    with pytest.raises(ValueError, match="not a log field"):
        log.failure("something", None, **{name: SECRET})
    assert lines.getvalue() == ""


def test_every_field_can_be_logged(log: Log, lines: Lines) -> None:
    given = {name: 1 for name in FIELDS if name not in {"time", "level", "event"}}

    log.info("something", **given)

    assert lines.read_all()[0].keys() == set(FIELDS)


def test_text_of_any_kind_stays_on_its_line(log: Log, lines: Lines) -> None:
    log.warning("something", reason='a\nb\r\u2028"\x00\x1b[31m')

    assert len(lines.getvalue().split("\n")) == 2
    assert lines.read_all()[0]["reason"] == 'a\nb\r\u2028"\x00\x1b[31m'


def test_an_unexpected_error_is_named_and_placed_without_its_text(log: Log, lines: Lines) -> None:
    def inner() -> None:
        raise KeyError(SECRET)

    try:
        try:
            inner()
        except KeyError as error:
            raise RuntimeError(f"about {SECRET}") from error
    except RuntimeError as error:
        error.add_note(SECRET)
        log.failure("bug", error, route="/", request_id="ab12")

    found = lines.read_all()[0]
    assert SECRET not in lines.getvalue()
    assert found["level"] == "error"
    assert found["reason"] == "RuntimeError"
    assert "test_log.py:" in str(found["where"])


async def test_lines_of_one_turn_are_written_together_in_order(lines: Lines, log: Log) -> None:
    for number in range(3):
        log.info("something", count=number)
    log.flush()
    log.info("something", count=3)
    await asyncio.sleep(0)

    assert [line["count"] for line in lines.read_all()] == [0, 1, 2, 3]


def logged() -> list[tuple[str, ast.Call]]:
    """Every place in the program that writes a line: `log.info(...)` and its like."""
    return [
        (f"{path.name}:{node.lineno}", node)
        for path in sorted(Path(onetime.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"info", "warning", "failure"}
        and ast.unparse(node.func.value).lower().endswith(("log", "log(time.time)"))
    ]


# A template, a random name, the message of an error of ours, the exit code of a worker, how many connections may be open,
# what an adapter says of the settings of its server, and how far a clock is off.
HARMLESS = {
    "doubt",
    "round(app.store.skew())",
    "most",
    "call.route",
    "call.request_id",
    "str(error)",
    "f'Exit code {code}; it is started again'",
}


def test_no_place_in_the_program_puts_a_text_together_for_the_log() -> None:
    """An event is a constant or a name for one; a reason is a constant, or the message of an error of ours."""
    places = logged()

    assert len(places) >= 5
    for place, call in places:
        event, *more = call.args
        assert isinstance(event, ast.Constant | ast.Name), place
        assert len(more) <= 1, place
        for keyword in call.keywords:
            assert keyword.arg in FIELDS, place
            text = ast.unparse(keyword.value)
            assert isinstance(keyword.value, ast.Constant) or text in HARMLESS, (place, text)


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    Log(lambda: 0.0, Broken()).info("something")
    closed = io.StringIO()
    closed.close()
    Log(lambda: 0.0, closed).info("something")


@pytest.fixture
def libraries() -> Iterator[logging.Logger]:
    """The root logger as `onetime serve` sets it."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [JsonLines()]
    yield root
    root.handlers[:] = before


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    printed = capsys.readouterr().err
    assert SECRET not in printed
    found = [json.loads(line) for line in printed.splitlines()]
    assert found
    assert all(line.keys() <= set(FIELDS) for line in found)
    return found


def test_what_libraries_log_is_written_without_its_values(
    libraries: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid %s", SECRET)
    logging.getLogger("some.library").error(f"all of {SECRET}")  # noqa: G004 - as some do
    logging.getLogger("uvicorn.error").error("Exception in ASGI\n", exc_info=ValueError(SECRET))

    first, second, third = said(capsys)

    assert first["reason"] == "Invalid %s"
    assert "reason" not in second
    assert third["reason"] == "ValueError"


def test_an_error_that_nobody_awaited_is_written_without_its_text(
    libraries: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    async def forget() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()
        asyncio.get_running_loop().call_exception_handler({"message": SECRET})

    asyncio.run(forget())

    assert {line["event"] for line in said(capsys)} == {"asyncio"}
