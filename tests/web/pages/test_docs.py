"""The page about the API: every call is on it, and its examples do what they show."""

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import split
from urllib.parse import urlencode

import httpx2
import pytest

from onetime.web.api import openapi
from onetime.web.routes import API
from tests.cli.running import Server, serving
from tests.web.pages.reading import Reader

SHARED = re.compile(r"http://127\.0\.0\.1:\d+/secret/([0-9a-z]{31})")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("docs")) as server:
        yield server


@pytest.mark.parametrize("language", ["en", "uk"])
async def test_every_call_is_there_with_what_it_takes_and_answers(
    visitor: Reader, language: str
) -> None:
    page = await visitor.open(f"/docs/api?lang={language}")

    assert page.status == 200
    shown = {each.text for each in page.all("code")}
    for methods, path, _ in API:
        assert {f"{method} {path}" for method in methods.split()} <= shown
    for name in ("secret.secret", "secret.ttl", "continue", "identifiers", "Onetime-Secret-Id"):
        assert name in shown
    for operations in openapi.document(API)["paths"].values():
        for operation in operations.values():
            assert operation["summary"] in page.text
            assert set(operation["responses"]) <= shown


async def test_old_addresses_lead_there(visitor: Reader) -> None:
    answer = await visitor.client.get("/docs/api/secrets")

    assert (answer.status_code, answer.headers["location"]) == (301, "/docs/api")


async def test_it_needs_no_script_and_nothing_from_elsewhere(visitor: Reader) -> None:
    page = await visitor.open("/docs/api")

    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.answer.text)
    assert addresses
    assert all(each.startswith(("/", "?", "#", "data:", "mailto:")) for each in addresses)


def examples(server: Server) -> list[str]:
    text = httpx2.get(f"{server.address}docs/api").text
    return [
        html.unescape(each) for each in re.findall(r"<pre[^>]*><code>(.*?)</code>", text, re.DOTALL)
    ]


def test_the_command_shares(server: Server) -> None:
    words = split(examples(server)[0])
    fields = [words[at + 1].partition("=")[::2] for at, word in enumerate(words) if word == "-d"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    made = httpx2.post(words[1], content=urlencode(fields), headers=form).json()

    assert made["ttl"] == 3600
    assert server.reveal(made["secret_key"]).json()["value"] == "correct horse"


def test_the_program_shares(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", examples(server)[1]],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )

    link = SHARED.fullmatch(done.stdout.strip())
    assert link is not None
    assert server.reveal(link[1]).json()["value"] == "correct horse"
