"""What docs/api.md shows of end-to-end secrets is what happens: its program and its commands are run; its tables are whole."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import httpx2
import pytest

from onetime.core import envelope as core
from onetime.web import asgi, connection
from onetime.web.api import e2e, openapi
from onetime.web.routes import E2E
from tests import needs
from tests.cli.running import Server, serving
from tests.web.api.transcript import Expected, check

WHOLE = (needs.ROOT / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENT = WHOLE.partition("\n## End to end\n")[2]
BASE = "http://127.0.0.1:3000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("document")) as server:
        yield server


def commands() -> Iterator[tuple[list[str], str]]:
    """Each curl command as its words, and what is shown below it: nothing where the next command follows."""
    code = "\n".join(line[4:] for line in DOCUMENT.splitlines() if line.startswith("    "))
    for piece in code.replace("\\\n", " ").split("$ ")[1:]:
        command, _, shown = piece.partition("\n")
        yield shlex.split(command), shown.partition("\n")[0]


@dataclass
class Shell:
    """One who follows the page, in a folder of their own."""

    server: Server
    folder: Path
    words: dict[str, str] = field(default_factory=dict)

    def seal(self) -> None:
        """Run the program."""
        found = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
        assert found is not None
        done = subprocess.run(
            [sys.executable, "-c", found[1]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        self.words = dict(line.split() for line in done.stdout.splitlines())

    def curl(self, command: list[str]) -> httpx2.Response:
        """As curl does it, for the options that the page uses."""
        assert command[0] == "curl"
        url, content, output = "", b"", ""
        headers: dict[str, str] = {}
        rest = (
            re.sub(r"<(\w+)>", lambda found: self.words[found[1]], word) for word in command[1:]
        )
        for word in rest:
            if word == "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            elif word == "--json":
                content = next(rest).encode()
                headers |= {"Content-Type": "application/json", "Accept": "application/json"}
            elif word == "--data-binary":
                content = (self.folder / next(rest).removeprefix("@")).read_bytes()
            elif word == "-o":
                output = next(rest)
            else:
                assert word.startswith(BASE), word
                url = word.replace(BASE, self.server.address.rstrip("/"))
        method = "POST" if content else "GET"
        answer = httpx2.request(method, url, content=content, headers=headers)
        if output:
            (self.folder / output).write_bytes(answer.content)
        return answer


def test_the_commands_print_what_is_shown(server: Server, tmp_path: Path) -> None:
    shell = Shell(server, tmp_path)
    shell.seal()
    create = next(words for words, _ in commands() if words[1].endswith("/create"))
    asked = set()
    for command, shown in commands():
        path = command[1].removeprefix(f"{BASE}/api/e2e")
        asked.add(path)
        if path.endswith("/burn"):  # others, made like the first
            shell.seal()
            assert shell.curl(create).status_code == 201
        answer = shell.curl(command)
        if shown:
            expected = Expected(
                201 if path == "/create" else 200, {}, shown.replace("...", "<...>")
            )
            check(answer, expected, {})
        else:
            assert (tmp_path / "received").read_bytes() == (tmp_path / "envelope").read_bytes()
    assert {f"/api/e2e{path}" for path in asked} == {path for _, path, _ in E2E}


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of the table below this line, by the first."""
    table = DOCUMENT.partition(f"\n{heading}\n")[2].partition("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    return {first.strip(): [cell.strip() for cell in more] for first, *more in cells}


def code(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_every_call_is_listed_with_what_it_takes_and_gives() -> None:
    described = openapi.document(E2E)
    schemas = described["components"]["schemas"]
    listed = rows("| Call | Takes | Gives |")
    for methods, path, _ in E2E:
        method = "GET " if methods == "GET" else ""
        takes, gives = listed.pop(f"`{method}{path.removeprefix('/api/e2e')}`")
        operation = described["paths"][path][methods.lower()]
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert code(takes) == set(schemas[name]["properties"]), path
        answer = operation["responses"]["201" if path.endswith("/create") else "200"]["content"]
        if "application/json" in answer and path != "/api/e2e/receipt/burn":
            name = answer["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert code(gives) >= set(schemas[name]["properties"]), path
    assert listed == {}


def test_every_header_of_ours_is_listed() -> None:
    described = json.dumps(openapi.document(E2E))
    assert {name.strip("`") for name in rows("| Header | Of | Meaning |")} == set(
        re.findall(r'"(Onetime-[\w-]+)"', described)
    )


def test_every_code_is_listed() -> None:
    listed = rows("| Code | Status | Because |")
    assert {name.strip("`") for name in listed} == set(get_args(e2e.Code))


def test_every_rule_is_listed() -> None:
    """Those that are written in the modules that refuse; Invalid's own is `malformed`."""
    listed = set().union(*(code(first) for first in rows("| Rule | What is wrong |")))
    said = {"malformed", "too_large", "too_short", "too_long"}
    for module in (e2e, core, asgi, connection):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        found = re.findall(r'rule="(\w+)"|"rule":"(\w+)"', source)
        said |= {one or other for one, other in found}
    assert said == listed


def test_the_limit_of_a_body_of_words_is_the_one_of_the_program() -> None:
    assert f"at most {e2e.MOST_ASKED_BYTES} bytes" in DOCUMENT
