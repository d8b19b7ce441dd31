"""What docs/cli.md shows is what happens: its commands are run, its program too, and its table of exit codes is whole.

A block of lines such as

    $ onetime reveal LINK
    what it prints, on either output
    ? 66

is a command, in a shell, what it says, and its exit code if that is not 0. Keys, claims and times are different each time:
the first of each that is printed is taken for the one that is written, and stands for it from then on.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from onetime.cli import output, terminal
from tests import needs
from tests.cli.running import ONETIME, Server, environ

DOCUMENT = (needs.ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
HERE = "https://secrets.example/"

# Receipt keys, link keys, keys of sealed secrets, claims; times, in words and as numbers.
MADE_UP = re.compile(
    r"[A-Za-z0-9_-]{86}|[A-Za-z0-9_-]{43}|\b[0-9a-z]{31}\b|(?<=--claim )[A-Za-z0-9_-]{22}"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\b1\d{9}\b"
)


@dataclass
class Step:
    command: str
    says: list[str] = field(default_factory=list)
    code: int = 0


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    shown = False
    for line in text.splitlines():
        if line.startswith("    $ "):
            found.append(Step(line[6:]))
            shown = True
        elif shown and line.startswith("    ? "):
            found[-1].code = int(line[6:])
        elif shown and line.startswith("    "):
            found[-1].says.append(line[4:])
        else:
            shown = False
    return found


@dataclass
class Play:
    """One run of a document's commands, in order."""

    server: Server
    folder: Path
    real: dict[str, str] = field(default_factory=dict)

    def run(self, step: Step) -> None:
        command = step.command
        for written, real in self.real.items():
            command = command.replace(written, real)
        said = subprocess.run(
            ["bash", "-c", command.replace(HERE, self.server.address)],  # noqa: S607
            env=plain(self.server.address) | {"PATH": f"{ONETIME.parent}:/usr/bin:/bin"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        printed = said.stdout.replace(self.server.address, HERE).splitlines()
        assert (self.as_written(printed, step.says), said.returncode) == (step.says, step.code)

    def as_written(self, printed: list[str], says: list[str]) -> list[str]:
        """With what is made up replaced by what the document has in its place; the same always by the same."""
        for real, written in zip(printed, says, strict=False):
            for one, other in zip(MADE_UP.findall(real), MADE_UP.findall(written), strict=False):
                if len(one) == len(other) and not one[:4].isdigit():
                    self.real.setdefault(other, one)
        back = {real: written for written, real in self.real.items()}
        replaced = [
            MADE_UP.sub(lambda found: back.get(found[0], found[0]), each) for each in printed
        ]
        # Times are compared as times: their digits are the server's.
        return [
            written if same_but_for_times(one, written) else one
            for one, written in zip(replaced, says, strict=False)
        ] + replaced[len(says) :]


TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\b1\d{9}\b")


def same_but_for_times(one: str, other: str) -> bool:
    return TIME.sub("TIME", one) == TIME.sub("TIME", other)


def plain(server: str) -> dict[str, str]:
    """The environment of a person who has set nothing but the server."""
    languages = dict.fromkeys(("LANGUAGE", "LC_MESSAGES", "LANG"), "")
    return environ({"ONETIME_SERVER": server, "LC_ALL": "C.UTF-8", "NO_COLOR": ""}) | languages


def test_the_commands_do_what_the_document_shows(server: Server, tmp_path: Path) -> None:
    play = Play(server, tmp_path)
    played = steps(DOCUMENT)
    assert len(played) > 20
    for step in played:
        play.run(step)


def test_another_answer_would_be_seen(server: Server, tmp_path: Path) -> None:
    for shown in (
        "    $ echo a\n    b\n",
        "    $ true\n    a\n",
        "    $ exit 1\n",
        "    $ echo a\n",
    ):
        [step] = steps(shown)
        with pytest.raises(AssertionError):
            Play(server, tmp_path).run(step)
    first, second = "D" * 43, "E" * 43
    [one, other] = steps(
        f"    $ echo {'a' * 43}\n    {first}\n    $ echo {'b' * 43}\n    {first}\n"
    )
    play = Play(server, tmp_path)
    play.run(one)
    with pytest.raises(AssertionError):
        play.run(other)
    assert play.real == {first: "a" * 43}
    assert second not in play.real


def test_the_program_does_what_the_document_says(server: Server) -> None:
    [program] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    said = subprocess.run(
        [sys.executable, "-c", program.replace(HERE, server.address)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stderr == ""
    link, text, state = said.stdout.splitlines()
    assert link.startswith(f"{server.address}secret#")
    assert (text, state) == ("correct horse", "revealed")


def test_every_exit_code_of_these_commands_is_listed() -> None:
    listed = {
        int(code)
        for row in re.findall(r"^\| (\d[\d, ]*) \|", DOCUMENT, re.MULTILINE)
        for code in row.split(", ")
    }
    # An operator's switch and a fault of the program are of the other table.
    errors = set(terminal.EXIT_CODES.values()) - {69, 70}
    ours = {0, terminal.USAGE, terminal.UNWRITTEN, terminal.INTERRUPTED}
    assert listed == errors | ours | {output.NOT_FOUND, output.NOT_EXECUTABLE}


def test_every_option_is_documented() -> None:
    for name in ("share", "generate", "reveal", "status", "burn"):
        said = subprocess.run(
            [ONETIME, name, "--help"],
            env=plain(""),
            capture_output=True,
            text=True,
            check=True,
        )
        options = set(re.findall(r"^  (--[a-z-]+)", said.stdout, re.MULTILINE)) - {"--help"}
        assert options, name
        assert {each for each in options if each not in DOCUMENT} == set(), name
