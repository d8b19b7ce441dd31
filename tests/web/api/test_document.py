"""What docs/api.md shows of versions 1, 2 and 3 is what happens: its commands and its program are run."""

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

from onetime.web.routes import V2, V3
from tests import needs
from tests.cli.running import Server, serving
from tests.web.api.transcript import Expected, check, opened, parse

DOCUMENT = (
    (needs.ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("\n## End to end\n")[0]
)
VECTORS = needs.ROOT / "tests" / "vectors"
TRANSCRIPTS = sorted((VECTORS / "v1").glob("*.txt"))
NEWER = sorted(path for name in ("v2", "v3") for path in (VECTORS / name).glob("*.txt"))
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
    headers: dict[str, str] = {}
    method, url = "", ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-d":
            name, _, value = next(rest).partition("=")
            fields.append((name, value))
        elif word == "-F":
            name, _, value = next(rest).partition("=")
            files[name] = (None, (folder / value.removeprefix("<")).read_text(encoding="utf-8"))
        elif word == "--json":
            return httpx2.post(url, json=json.loads(next(rest)))
        elif word == "-H":
            name, _, value = next(rest).partition(":")
            headers[name] = value.strip()
        elif word == "-X":
            method = next(rest)
        else:
            assert word.startswith(BASE), word
            url = word.replace(BASE, server.address.rstrip("/"))
    if files:
        return httpx2.post(url, files=files)
    if fields:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return httpx2.request(method or "POST", url, content=urlencode(fields), headers=headers)
    return httpx2.request(method or "GET", url, headers=headers)


def test_the_commands_print_what_is_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "id.txt").write_text(" two\nlines\n", encoding="utf-8")
    known: dict[str, str] = {}
    assert len(commands()) == 13
    before: list[str] = []
    for words, shown in commands():
        is_create = any(word.endswith(("/share", "/generate", "/conceal")) for word in words)
        if is_create and words != before:
            known.clear()
        before = words
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


def test_every_refusal_of_the_newer_versions_is_explained() -> None:
    said = set()
    for path in NEWER:
        for each in parse(path.read_text(encoding="utf-8"), path.name).exchanges:
            found = re.match(r'{"error": "([^"]*)"', each.expected.body)
            if found is not None:
                text = re.sub(r"(domain: |identifier: )\S+", r"\1", found[1])
                text = re.sub(r"\d+ bytes|max \d+|mail\. .*|(?<=Guest )[a-z]+", "", text)
                said.add((each.expected.status, text))
    assert len(said) > 30
    section = DOCUMENT.partition("### What v2 and v3 refuse")[2].partition("\n### ")[0]
    listed = set()
    for status, texts in re.findall(r"^\| (\d{3}) \| (.*?) \|", section, re.MULTILINE):
        for text in re.findall(r"`([^`]+)`", texts):
            plain = re.sub(r"(?<=domain: )D|(?<=identifier: )KEY|mail\. W|(?<=Guest )W", "", text)
            listed.add((int(status), re.sub(r"\d+ bytes|max N", "", plain)))
    assert {each for each in said - listed if each[0] != 400} == set()


def test_every_call_is_listed() -> None:
    """In the table of its version, by its methods; and no other."""
    tables = DOCUMENT.partition("## Versions 2 and 3")[2].partition("### What v2 and v3 are sent")[
        0
    ]
    two, three = tables.split("In v3 the six")
    for routes, prefix, table in ((V2, "/api/v2", two), (V3, "/api/v3", three)):
        calls = {
            (method, path.removeprefix(prefix).replace("{key}", "KEY"))
            for methods, path, _ in routes
            for method in methods.split()
        }
        assert set(re.findall(r"`([A-Z]+) (/\S+)`", table)) == calls


async def test_what_is_said_not_to_be_there_is_not(tmp_path: Path) -> None:
    section = DOCUMENT.partition("## What is not here")[2]
    paths = re.findall(r"`(/[a-z/]+)`", section.partition("`/billing`")[0])
    assert len(paths) == 8
    async with opened(tmp_path) as (_, client):
        for path in paths:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                for below in ("", "/", "/x", "/x/y"):
                    answer = await client.request(method, path + below)
                    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


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
