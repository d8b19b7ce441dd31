"""Sharing and opening at a terminal: what is asked for and not shown, what stands there, and what must not act on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.person import CLAIM, RECEIPT, Person
from tests.client.cutting import Line

# Each types at a terminal and waits: for `make faults`.
pytestmark = pytest.mark.full

LINK = re.compile(r"https?://\S+/secret\S+")
ESCAPE = "\x1b"


def found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(re.sub(r"\x1b\[[0-9;]*m", "", text))
    assert match, text
    return match[match.lastindex or 0]


def test_a_secret_is_typed_unseen(person: Person) -> None:
    with person.at_terminal("share") as terminal:
        terminal.expect("Secret (it is not shown): ")
        terminal.type("correct horse")
        assert terminal.end() == 0
        assert "correct horse" not in terminal.shown
        shown = terminal.shown
    assert "Link to send     " in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert person.run("reveal", found(LINK, shown)).out == b"correct horse"
    assert person.state(found(RECEIPT, shown)) == "opened, and it has arrived"


def test_a_link_can_be_copied_in_one_piece(person: Person) -> None:
    """No frame and no line end gets into it, however narrow the terminal is."""
    person.settings = {"COLUMNS": "40"}
    with person.at_terminal("generate") as terminal:
        assert terminal.end() == 0
        shown = terminal.shown
    assert re.fullmatch(r"\S+/secret#[A-Za-z0-9_-]{43}", found(LINK, shown))
    assert re.fullmatch(r"\S+/receipt#[A-Za-z0-9_-]{86}", found(RECEIPT, shown))


@pytest.mark.parametrize(
    ("settings", "is_coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_a_terminal_that_wants_them(
    person: Person, settings: dict[str, str], *, is_coloured: bool
) -> None:
    person.settings = settings
    for words in (("generate", "--qr"), ("status", person.share_both(b"text")[1])):
        with person.at_terminal(*words) as terminal:
            assert terminal.end() == 0
            assert (ESCAPE in terminal.shown) == is_coloured
    said = person.run("generate", "--qr")
    assert ESCAPE.encode() not in said.out


def test_a_passphrase_is_asked_for_twice(person: Person) -> None:
    with person.at_terminal("generate", "--passphrase") as terminal:
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        terminal.expect("The same again: ")
        terminal.type("battery stable")
        terminal.expect("onetime: those were two different ones")
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        terminal.expect("The same again: ")
        terminal.type("battery staple")
        assert terminal.end() == 0
        shown = terminal.shown
    assert "battery" not in shown
    link = found(LINK, shown)
    assert person.run("reveal", link, passphrase="battery stable").code == 77
    assert person.run("reveal", link, passphrase="battery staple").code == 0


def test_a_wrong_one_is_asked_for_again(person: Person) -> None:
    link = person.share(b"text", passphrase="battery staple")
    with person.at_terminal("reveal", link) as terminal:
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("a guess")
        terminal.expect("onetime: that is not the passphrase; 9 tries are left before a pause")
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        terminal.expect("text\n")
        assert terminal.end() == 0
        assert "a guess" not in terminal.shown


def test_a_sealed_one_is_asked_for_on_demand(person: Person) -> None:
    link, receipt = person.share_both(b"text", "--sealed", passphrase="battery staple")
    with person.at_terminal("reveal", "--passphrase", link) as terminal:
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        terminal.expect("text\n")
        assert terminal.end() == 0
    _, receipt = person.share_both(b"text", "--sealed", passphrase="battery staple")
    with person.at_terminal("burn", receipt) as terminal:
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        assert terminal.end() == 0
    assert person.state(receipt) == "destroyed unread"


def test_what_is_claimed_asks_for_no_passphrase(person: Person) -> None:
    link = person.share(b"text", passphrase="battery staple")
    with Path("/dev/full").open("wb") as full:
        said = person.run("reveal", link, passphrase="battery staple", out=full.fileno())
    with person.at_terminal("reveal", link) as terminal:
        terminal.expect("onetime: somebody has opened it")
        assert terminal.end() == 65
        assert "Passphrase" not in terminal.shown
    with person.at_terminal("reveal", link, "--claim", said.claim) as terminal:
        terminal.expect("Passphrase (it is not shown): ")
        terminal.type("battery staple")
        terminal.expect("text\n")
        assert terminal.end() == 0


@pytest.mark.parametrize("at", ["Secret", "Passphrase", "The same"])
def test_ctrl_c_at_a_question_sends_nothing(cut: Person, line: Line, at: str) -> None:
    with cut.at_terminal("share", "--passphrase") as terminal:
        for question in ("Secret", "Passphrase", "The same"):
            terminal.expect(question)
            if question == at:
                terminal.interrupt()
                break
            terminal.type("correct horse")
        assert terminal.end() == 130
        assert "horse" not in terminal.shown
        assert "Traceback" not in terminal.shown
    assert line.requests == []


def test_ctrl_c_at_a_passphrase_claims_nothing(cut: Person, line: Line) -> None:
    link, receipt = cut.share_both(b"text", passphrase="battery staple")
    with cut.at_terminal("reveal", link) as terminal:
        terminal.expect("Passphrase")
        terminal.interrupt()
        assert terminal.end() == 130
    assert line.sent("reveal") == []
    assert cut.state(receipt) == "new: nobody has opened it"


def test_nothing_typed_is_nothing_to_share(cut: Person, line: Line) -> None:
    with cut.at_terminal("share") as terminal:
        terminal.expect("Secret")
        terminal.type("")
        terminal.expect("onetime: there is nothing to share")
        assert terminal.end() == 65
    assert line.requests == []


def test_no_server_is_said_before_anything_is_typed(person: Person) -> None:
    person.server = ""
    with person.at_terminal("share") as terminal:
        terminal.expect("onetime: no server is named")
        assert terminal.end() == 78
        assert "Secret" not in terminal.shown


def test_text_gets_a_line_of_its_own(person: Person) -> None:
    for text, shown in (
        (b"text", "text\n"),
        (b"text\n", "text\n"),
        ("їжак\t❤".encode(), "їжак\t❤\n"),
    ):
        with person.at_terminal("reveal", person.share(text)) as terminal:
            assert terminal.end() == 0
            assert terminal.shown == shown


ACTING = {
    "an escape sequence": b"\x1b]0;owned\x07text",
    "a carriage return": b"rm -rf /\rls      ",
    "a backspace": b"rm\x08\x08ls",
    "a control of eight bits": "\x9b31m".encode(),
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("case", ACTING)
def test_what_could_act_on_the_terminal_is_not_printed(person: Person, case: str) -> None:
    link, receipt = person.share_both(ACTING[case])
    with person.at_terminal("reveal", link) as terminal:
        terminal.expect("could act on this terminal")
        assert terminal.end() == 73
        assert ESCAPE not in terminal.shown
        assert "\ufffd" not in terminal.shown
        claim = found(CLAIM, terminal.shown)
    assert person.state(receipt) == "opened; its arrival is not confirmed yet"
    assert person.run("reveal", link, "--claim", claim).out == ACTING[case]
    assert person.state(receipt) == "opened, and it has arrived"


@pytest.mark.parametrize(
    "turning", ["\u202e", "\u2066", "\u061c", "\u200b", "\u2028", "\U000e0041"]
)
def test_what_cannot_be_seen_is_counted(person: Person, turning: str) -> None:
    text = f"invoice{turning}fdp.exe{turning}"
    with person.at_terminal("reveal", person.share(text.encode())) as terminal:
        terminal.expect(text)
        terminal.expect("onetime: it holds 2 characters that cannot be seen")
        assert terminal.end() == 0


@pytest.mark.parametrize(
    "text", ["\ttab\n", "\u05e9\u05dc\u05d5\u05dd", "\U0001f469\u200d\U0001f52c"]
)
def test_ordinary_text_is_printed_without_a_word(person: Person, text: str) -> None:
    with person.at_terminal("reveal", person.share(text.encode())) as terminal:
        assert terminal.end() == 0
        assert "onetime:" not in terminal.shown


def test_unless_somebody_wants_to_see_it(person: Person) -> None:
    link = person.share(b"\x1b[1mbold\x1b[0m")
    with person.at_terminal("reveal", "--raw", link) as terminal:
        terminal.expect("\x1b[1mbold\x1b[0m")
        assert terminal.end() == 0


def test_a_sealed_one_is_spelled_out(person: Person) -> None:
    """It does not come a second time, so it is shown so that nothing of it is lost."""
    link = person.share("a\\b\x1b[1m\u009b".encode(), "--sealed")
    with person.at_terminal("reveal", link) as terminal:
        assert terminal.end() == 0
        assert terminal.shown.startswith("a\\\\b\\x1b[1m\\x9b\n")
        assert "onetime: control characters are shown as \\x" in terminal.shown


def test_a_pipe_at_a_terminal_is_a_pipe(person: Person) -> None:
    """Standard output alone decides: a passphrase is asked for at the terminal, and the bytes go where they should."""
    link = person.share(b"\x1b[1m\xff", passphrase="battery staple")
    with person.at_terminal("reveal", link, "--output", "saved") as terminal:
        terminal.expect("Passphrase")
        terminal.type("battery staple")
        assert terminal.end() == 0
    assert (person.folder / "saved").read_bytes() == b"\x1b[1m\xff"


def test_it_asks_in_ukrainian(person: Person) -> None:
    person.settings = {"LC_ALL": "uk_UA.UTF-8"}
    with person.at_terminal("share") as terminal:
        terminal.expect("Секрет (його не видно): ")
        terminal.type("text")
        terminal.expect("Посилання, яке надіслати")
        terminal.expect("Квитанція, яку зберегти")
        assert terminal.end() == 0
