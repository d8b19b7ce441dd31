"""The documents are true: links lead somewhere, and commands, settings, routes and codes that they name exist."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from onetime.cli import terminal
from onetime.cli.admin import page
from onetime.cli.main import cli
from onetime.cli.serve import DRAIN_SECONDS
from onetime.log import FIELDS
from onetime.settings import FILE, FOREIGN, PREFIX, Settings
from onetime.web.routes import OPERATIONS, PAGES, V1
from tests.needs import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
OPERATE = (ROOT / "docs" / "operate.md").read_text()
INSTALL = (ROOT / "docs" / "install.md").read_text()

every_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def prose(text: str) -> str:
    """Without what is fenced or indented as code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What headings can be linked to as."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Links within the project that lead nowhere, or to what a clone does not have."""
    for link in re.findall(r"\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"", prose(text)):
        target = link[0] or link[1]
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if name and not file.exists():
            yield f"{target}: there is no such file"
        elif name and not file.is_relative_to(ROOT):
            yield f"{target}: not in the project"
        elif anchor and anchor not in anchors(text if file == path else file.read_text()):
            yield f"{target}: there is no such heading"


def settings() -> set[str]:
    return {PREFIX + each.name.upper() for each in fields(Settings)}


def wrong_settings(text: str) -> set[str]:
    """Names of variables that are none."""
    known = settings() | FOREIGN | {name + FILE for name in settings()}
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", text))
    return {name for name in named if name not in known}


def commands(group: click.Group = cli, above: str = "onetime") -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{above} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{above} {name}")


def wrong_commands(text: str) -> set[str]:
    """Commands, in the manner of code, that do not exist."""
    known = {*commands(), "onetime --version", "onetime --help"}
    named = re.findall(
        r"(?:`|^    (?:\$ )?|bin/)(onetime(?: -{0,2}[a-z][a-z-]*)+)", text, re.MULTILINE
    )
    # What follows a command is its options; what follows a group has to be a command.
    groups = {each.rpartition(" ")[0] for each in known}
    calls = [f"{each} " for each in known - groups]
    return {
        name for name in named if name not in groups and not f"{name} ".startswith(tuple(calls))
    }


def missing_files(text: str) -> set[str]:
    """Files and folders, in the manner of code, that a clone does not have; rooms of the package go by short names."""
    named = set(re.findall(r"`([a-z][\w.-]*/[\w./-]*|\w[\w-]*\.(?:py|md|toml))`", text))
    roots = (ROOT, ROOT / "src" / "onetime", ROOT / "docs")
    return {name for name in named if not any((root / name).exists() for root in roots)}


def routes_named(text: str) -> set[str]:
    return set(re.findall(r"`(/[^`\s]*)`", text))


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    assert list(broken_links(path, path.read_text())) == []


@every_document
def test_settings_that_are_named_exist(path: Path) -> None:
    assert wrong_settings(path.read_text()) == set()


@every_document
def test_commands_that_are_named_exist(path: Path) -> None:
    assert wrong_commands(path.read_text()) == set()


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_files_that_are_named_exist(name: str) -> None:
    assert missing_files((ROOT / name).read_text()) == set()


@every_document
def test_lines_are_not_too_long(path: Path) -> None:
    tables = ("|", "<!--", "    ")
    lines = [line for line in path.read_text().splitlines() if not line.startswith(tables)]
    assert [line for line in lines if len(line) > 180] == []


def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    text = "# Title\n[a](no.md) [b](#nothing) [c](#title) [d](https://x.example/)\n"
    assert len(list(broken_links(tmp_path / "page.md", text))) == 2
    assert list(broken_links(ROOT / "page.md", "[up](../elsewhere)")) != []
    assert wrong_settings("`ONETIME_PROT` `ONETIME_PORT` `ONETIME_ROOT_KEY_FILE`") == {
        "ONETIME_PROT"
    }
    assert missing_files("`core/vault.py` `core/volt.py` `settings.py` `web/api/`") == {
        "core/volt.py"
    }
    assert wrong_commands("`onetime sevre`\n    $ onetime admin chekc\n`onetime serve`") == {
        "onetime sevre",
        "onetime admin chekc",
    }


def test_every_command_is_documented() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert [command for command in commands() if command not in text] == []


def test_the_page_of_settings_is_current() -> None:
    """Renew it: onetime admin settings --markdown > docs/settings.md."""
    assert (ROOT / "docs" / "settings.md").read_text() == "".join(f"{line}\n" for line in page())


def test_every_page_and_address_of_the_operators_is_listed() -> None:
    table = OPERATE.partition("## What answers where")[2]
    listed: dict[str, set[str]] = {}
    for names, methods in re.findall(r"^\| (`/.*?`) \| ([A-Z, ]+) \|", table, re.MULTILINE):
        for name in routes_named(names):
            listed[name] = set(methods.split(", "))
    existing: dict[str, set[str]] = {}
    for methods, path, _ in [*PAGES, *OPERATIONS]:
        existing.setdefault(path, set()).update(methods.split())
    assert listed == existing


def test_every_call_of_the_api_is_listed() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    paths = {path.removeprefix("/api/v1") for _, path, _ in V1}
    assert paths
    # The page may call the key as it likes.
    assert {
        path for path in paths if not re.search(re.sub(r"{\w+}", r"[^\\s/`]+", path), text)
    } == set()


def test_every_exit_code_is_listed() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATE, re.MULTILINE)}
    errors = set(terminal.EXIT_CODES.values())
    assert listed == errors | {0, 1, terminal.USAGE, terminal.UNWRITTEN, terminal.INTERRUPTED}


def test_every_log_field_is_listed() -> None:
    table = OPERATE.partition("## Logs")[2].partition("## The root key")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == set(FIELDS)


def test_the_drain_time_is_the_one_of_the_program() -> None:
    assert f"at most {DRAIN_SECONDS} seconds" in INSTALL
    assert f"drains for {DRAIN_SECONDS} seconds" in INSTALL
    assert f"After {DRAIN_SECONDS}\nseconds" in OPERATE


def test_the_body_limit_for_a_proxy_is_the_one_of_the_program() -> None:
    """nginx's example: at least what the program itself allows by default."""
    allowed = 6 * Settings().max_secret_bytes + 65_536
    said = re.search(r"client_max_body_size (\d+)m;", INSTALL)
    assert said
    assert int(said[1]) * 1024 * 1024 >= allowed


def test_no_document_speaks_of_a_machine() -> None:
    found = subprocess.run(
        ["git", "-C", ROOT, "grep", "-nE", "/(root|work)/", "--", "*.md"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


def test_pictures_are_small_and_say_what_they_show() -> None:
    shown = re.findall(r"!\[(.*?)\]\((docs/pictures/.*?)\)", (ROOT / "README.md").read_text())
    assert {ROOT / path for _, path in shown} == set((ROOT / "docs" / "pictures").iterdir())
    for says, path in shown:
        assert len(says) > 20, path
        assert (ROOT / path).stat().st_size < 64 * 1024, path
