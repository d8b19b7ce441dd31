"""Programs that people use with Onetime Secret, as they are published, against this server."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.cli.running import Server, serving
from tests.clients.stripping import without_credentials

PATIENCE_SECONDS = 60
NASTY = " pässwörd ї&=+%41\t'\"<b>\\ "
LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/secret/([0-9a-z]{31})")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("clients")) as server:
        yield server


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """As people write it into a client's settings: no closing slash."""
    return server.address.rstrip("/")


def run(*command: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ.get("PATH", os.defpath), "NO_PROXY": "*", "LANG": "C.UTF-8"}
    return subprocess.run(
        command,
        input=said,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def key_in(text: str, url: str) -> str:
    found = LINK.search(text)
    assert found is not None, text
    assert found[1] == url
    return found[2]


# PyPI onetimesecret


def onetimesecret(url: str, arguments: dict[str, Any], **credentials: str) -> str:
    """What its create_link gives, or the error that it raises."""
    program = (
        "import json, sys, onetimesecret\n"
        "url, arguments, credentials = json.load(sys.stdin)\n"
        "try:\n"
        "    print(onetimesecret.OneTimeSecretCli(url=url, **credentials).create_link(**arguments))\n"
        "except onetimesecret.OneTimeSecretError as error:\n"
        "    print('refused:', error)\n"
    )
    said = json.dumps([url, arguments, credentials])
    done = run(needs.clients(), "-c", program, said=said)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "secret", ["hello", NASTY, "a\nb", "x" * 100_000], ids=lambda text: text[:9]
)
def test_onetimesecret_makes_a_link_that_opens_once(server: Server, url: str, secret: str) -> None:
    key = key_in(onetimesecret(url, {"secret": secret}), url)

    assert server.reveal(key).json()["value"] == secret
    assert server.reveal(key).json()["message"] == "Unknown secret"


def test_onetimesecret_is_told_why_not(url: str) -> None:
    assert onetimesecret(url, {"secret": ""}) == (
        "refused: You did not provide anything to share (Status code: 404)"
    )
    assert onetimesecret(url, {"secret": "x" * 100_001}) == (
        "refused: Secret value exceeds the maximum size of 100000 bytes (Status code: 404)"
    )
    assert onetimesecret(url, {"secret": "x" * 700_000}) == (
        "refused: The request body exceeds the maximum size of 665536 bytes (Status code: 413)"
    )


def test_onetimesecret_with_credentials_is_not_authorized(url: str) -> None:
    said = onetimesecret(url, {"secret": "hello"}, user="me@example.org", key="0123456789abcdef")

    assert said == "refused: Not authorized (Status code: 404)"


# PyPI otscli


def otscli(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(needs.clients().with_name("otscli"), "-d", url, *arguments)


@pytest.mark.parametrize("secret", ["hello", NASTY, "a\nb"])
def test_otscli_makes_a_link_that_opens_once(server: Server, url: str, secret: str) -> None:
    key = key_in(otscli(url, "-s", secret).stdout, url)

    assert server.reveal(key).json()["value"] == secret
    assert server.reveal(key).json()["message"] == "Unknown secret"


def test_otscli_sets_a_passphrase(server: Server, url: str) -> None:
    key = key_in(otscli(url, "-s", "hello", "-p", NASTY).stdout, url)
    path = f"/api/v1/secret/{key}"

    assert server.request("POST", path, form={"passphrase": "wrong"}).status == 404
    assert server.request("POST", path, form={"passphrase": NASTY}).json()["value"] == "hello"


def test_otscli_fails_where_it_is_refused(url: str) -> None:
    """It has no words for a refusal, and looks for the key in vain."""
    done = otscli(url, "-s", "hello", "-p", "123")

    assert done.returncode != 0
    assert done.stdout == ""
    assert "KeyError: 'secret_key'" in done.stderr


# npm onetimesecret-api

Call = Callable[..., dict[str, Any]]


def npm(url: str) -> Call:
    node, modules = needs.node(), needs.node_packages()

    def call(method: str, *arguments: object) -> dict[str, Any]:
        script = Path(__file__).with_name("onetimesecret_api.cjs")
        done = run(node, "--no-deprecation", script, modules, url, method, json.dumps(arguments))
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        assert isinstance(outcome, dict)
        return outcome

    return call


CALLS: dict[str, list[object]] = {
    "status": [],
    "share": ["hello"],
    "generate": [],
    "retrieveSecret": ["0" * 31],
    "retrieveMetadata": ["0" * 31],
    "burn": ["0" * 31],
    "recentMetadata": [],
}


@pytest.mark.parametrize("method", CALLS)
def test_onetimesecret_api_always_has_credentials_and_is_not_authorized(
    url: str, method: str
) -> None:
    assert npm(url)(method, *CALLS[method])["error"] == "NotAuthorizedError"


@pytest.fixture(scope="module")
def anonymous(url: str) -> Iterator[Call]:
    with without_credentials(url) as proxy:
        yield npm(proxy)


def test_onetimesecret_api_without_them_shares_and_reads(anonymous: Call) -> None:
    assert anonymous("status") == {"value": True}
    made = anonymous("share", NASTY, {"ttl": 3600, "passphrase": "1234"})["value"]
    assert (made["ttl"], made["state"], made["passphrase_required"]) == (3600, "new", True)
    key = made["secret_key"]

    assert anonymous("retrieveSecret", key)["error"] == "UnknownSecretError"
    found = anonymous("retrieveSecret", key, {"passphrase": "1234"})["value"]

    assert (found["value"], found["secret_key"]) == (NASTY, key)
    assert anonymous("retrieveSecret", key, {"passphrase": "1234"})["error"] == "UnknownSecretError"
    seen = anonymous("retrieveMetadata", made["metadata_key"])["value"]
    assert seen["state"] == "received"
    assert made["created"] <= seen["received"] <= time.time()


def test_onetimesecret_api_without_them_generates_and_burns(anonymous: Call) -> None:
    made = anonymous("generate")["value"]
    assert len(made["value"]) == 12

    burned = anonymous("burn", made["metadata_key"])["value"]

    assert burned["state"]["state"] == "burned"
    assert made["secret_key"].startswith(burned["secret_shortkey"])
    assert anonymous("burn", made["metadata_key"])["error"] == "UnknownSecretError"
    assert anonymous("retrieveSecret", made["secret_key"])["error"] == "UnknownSecretError"
    assert anonymous("retrieveMetadata", "no-key")["error"] == "NotFoundError"
    assert anonymous("recentMetadata")["error"] == "NotAuthorizedError"


def test_onetimesecret_api_without_them_is_told_why_not(anonymous: Call) -> None:
    refused = anonymous("share", "hello", {"recipient": "alice@example.com"})
    assert 'message="An account is required to send emails."' in refused["message"]
    refused = anonymous("share", "")
    assert 'message="You did not provide anything to share"' in refused["message"]
