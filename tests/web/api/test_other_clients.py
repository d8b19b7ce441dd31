"""The requests of clients that cannot be installed here, as their sources make them, and what they read of the answers.

Those that always send credentials do so here without them: what is left is their anonymous use.
"""

import html
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.web.api.transcript import HERE, START, opened

SECRET = "pass word+&=ї"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path) as (_, client):
        yield client


@dataclass
class Habit:
    """How a client sends its parameters: in the `query` or the body, as which `content_type`, and which it always sends."""

    way: str
    content_type: str = ""
    share: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    receipt: str = "private"
    receipt_method: str = "POST"

    async def post(
        self, client: httpx2.AsyncClient, path: str, words: Mapping[str, str], method: str = "POST"
    ) -> httpx2.Response:
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        if self.way == "query":
            return await client.request(method, path, params=dict(words), headers=headers)
        if self.way == "multipart":
            parts = [
                f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in words.items()
            ]
            content = "".join([*parts, "--b--\r\n"]) if words else ""
            headers = {"Content-Type": "multipart/form-data; boundary=b"} if words else {}
        elif self.way == "trailing":
            content = "".join(f"{name}={html.escape(value)}&" for name, value in words.items())
        else:
            content = urlencode(words)
        return await client.request(method, path, content=content.encode(), headers=headers)


CLIENTS = {
    "onetime-ruby 0.5": Habit(
        "form", FORM, {"ttl": "", "recipient[]": ""}, {"passphrase": ""}, "metadata"
    ),
    "onetimesecret-ruby": Habit("form", FORM, {"ttl": "3600"}, {"continue": "true"}, "receipt", "GET"),
    "py_onetimesecret": Habit("form", FORM, {"ttl": "86400"}, {"SECRET_KEY": "x", "METADATA_KEY": "x"}),
    "otsgo": Habit("form", "", {"ttl": "", "recipient": "", "passphrase": ""}, {"SECRET_KEY": "x", "passphrase": ""}),
    "onetimesecret-bash": Habit("multipart"),
    "go-onetimesecret": Habit("query", "", {"passphrase": "", "ttl": "0", "recipient": ""}, {"passphrase": ""}),
    "chelnak onetimesecret-go": Habit("query", JSON, {"ttl": "3600"}, {"passphrase": ""}),
    "jdockerty onetimesecret-go": Habit("form", ""),
    "go-otscli": Habit("form", FORM, {"passphrase": ""}),
    "OneTimeSecret for PowerShell": Habit("query", JSON, {"ttl": "3600"}),
    "chrome-onetimesecret": Habit("form", FORM, {"ttl": "3600"}),
    "onetime-java": Habit("query"),
    "OneTimeSharp": Habit("trailing", "", {"ttl": "3600"}),
}  # fmt: skip

INTEGERS = ("ttl", "metadata_ttl", "secret_ttl", "created", "updated")


@pytest.mark.parametrize("name", CLIENTS)
async def test_it_shares_reads_and_burns(client: httpx2.AsyncClient, name: str) -> None:
    habit = CLIENTS[name]
    # One client does not encode what it sends.
    text = SECRET if habit.way != "trailing" else "password"

    answer = await habit.post(client, "/api/v1/share", {"secret": text, **habit.share})
    assert answer.status_code == 200
    made = answer.json()
    check_receipt(made)
    assert re.fullmatch("[a-zA-Z0-9]{31}", made["secret_key"])
    assert made["ttl"] == (int(habit.share.get("ttl") or 0) or 604_800)

    receipt = f"/api/v1/{habit.receipt}/{made['metadata_key']}"
    seen = await habit.post(client, receipt, {}, habit.receipt_method)
    check_receipt(seen.json())
    assert seen.json()["state"] == "new"

    read = await habit.post(client, f"/api/v1/secret/{made['secret_key']}", habit.read)
    assert (read.json()["value"], read.json()["secret_key"]) == (text, made["secret_key"])
    again = await habit.post(client, f"/api/v1/secret/{made['secret_key']}", habit.read)
    assert (again.status_code, again.json()["message"]) == (404, "Unknown secret")
    seen = await habit.post(client, receipt, {}, habit.receipt_method)
    assert (seen.json()["state"], seen.json()["received"]) == ("received", START)

    generated = (await habit.post(client, "/api/v1/generate", habit.share)).json()
    check_receipt(generated)
    assert isinstance(generated["value"], str)
    burn = f"/api/v1/{habit.receipt}/{generated['metadata_key']}/burn"
    burned = (await habit.post(client, burn, {})).json()
    assert burned["state"]["state"] == "burned"
    assert isinstance(burned["secret_shortkey"], str)
    assert (await habit.post(client, burn, {})).json()["message"] == "Unknown secret"


def check_receipt(found: dict[str, Any]) -> None:
    """As strict as the strictest of them: Go and C# read whole numbers, lists and booleans as what they are."""
    assert all(type(found[name]) is int for name in INTEGERS if name in found)
    assert found["recipient"] == []
    assert type(found.get("passphrase_required", False)) is bool
    assert isinstance(found["custid"], str)
    assert found["metadata_url"] == f"{HERE}/receipt/{found['metadata_key']}"


@pytest.mark.parametrize("link", ["/secret/{secret_key}", "/private/{metadata_key}"])
async def test_links_that_clients_build_lead_somewhere(
    client: httpx2.AsyncClient, link: str
) -> None:
    made = (await client.post("/api/v1/share?secret=x")).json()

    answer = await client.get(link.format(**made), follow_redirects=True)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
