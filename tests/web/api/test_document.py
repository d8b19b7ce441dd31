"""What docs/api.md shows of version 1 is what happens: its commands and its program are run."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from tests import needs
from tests.cli.running import Server, serving
from tests.web.api.transcript import Expected, check, parse

DOCUMENT = (
    (needs.ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("\n## End to end\n")[0]
)
TRANSCRIPTS = sorted((needs.ROOT / "tests" / "vectors" / "v1").glob("*.txt"))
BASE = "http://127.0.0.1:3000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("document")) as server:
        yield server


def commands() -> list[tuple[list[str], str]]:
    """Each curl command as its words, and what is shown below it."""
    lines = [line[4:] for line in DOCUMENT.splitlines() if line.startswith("    ")]
    starts = [index for index, line in enumerate(lines) if line.startswith("$ curl ")]
    return [(shlex.split(lines[index][2:]), lines[index + 1]) for index in starts]


def curl(server: Server, words: list[str], folder: Path) -> httpx2.Response:
    """As curl does it, for the options that the document uses."""
    fields: list[tuple[str, str]] = []
    files: dict[str, tuple[None, str]] = {}
    method, url = "", ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-d":
            name, _, value = next(rest).partition("=")
            fields.append((name, value))
        elif word == "-F":
            name, _, value = next(rest).partition("=")
            files[name] = (None, (folder / value.removeprefix("<")).read_text(encoding="utf-8"))
        elif word == "-X":
            method = next(rest)
        else:
            assert word.startswith(BASE), word
            url = word.replace(BASE, server.address.rstrip("/"))
    if files:
        return httpx2.post(url, files=files)
    if fields:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return httpx2.request(method or "POST", url, content=urlencode(fields), headers=form)
    return httpx2.request(method or "GET", url)


def test_the_commands_print_what_is_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "id.txt").write_text(" two\nlines\n", encoding="utf-8")
    known: dict[str, str] = {}
    assert len(commands()) == 7
    for words, shown in commands():
        if any(word.endswith(("/share", "/generate")) for word in words):
            known.clear()
        asked = [re.sub(r"<(\w+)>", lambda found: known[found[1]], word) for word in words]
        answer = curl(server, asked, tmp_path)
        expected = shown.replace("...", "<...>").replace(BASE, server.address.rstrip("/"))
        check(answer, Expected(answer.status_code, {}, expected), known)


def test_the_program_prints_what_is_said(server: Server) -> None:
    found = re.search(r"```python\n(.*?)```\s+It prints a link, ([^\n]*)\.\n", DOCUMENT, re.DOTALL)
    assert found is not None
    address = server.address.rstrip("/")
    done = subprocess.run(
        [sys.executable, "-c", found[1].replace(BASE, address)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    link, *lines = done.stdout.splitlines()
    assert re.fullmatch(rf"{address}/secret/[0-9a-z]{{31}}", link)
    assert lines == re.findall("`([^`]*)`", found[2])


def test_every_refusal_is_explained() -> None:
    said = set()
    for path in TRANSCRIPTS:
        for each in parse(path.read_text(encoding="utf-8"), path.name).exchanges:
            if each.expected.status == 404 and '"message"' in each.expected.body:
                text = json.loads(each.expected.body.replace("<secret>", ""))["message"]
                text = re.sub(r"size of \d+", "size of 100000", text)
                said.add(re.sub(r"domain: .*", "domain: D", text))
    assert len(said) > 12
    listed = set(re.findall(r"`([^`]+)`", DOCUMENT.partition("### Refusals")[2]))
    assert said - listed == set()
