"""API v2 and v3 as their clients see them: transcripts of every route and refusal, and what takes longer to tell."""

import ast
import asyncio
import inspect
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from onetime.core.limits import BUDGETS, PASSPHRASE_TOTAL
from onetime.web.api import record, trouble, v2, v3
from onetime.web.api.v1 import TRY_AGAIN
from onetime.web.routes import V2, V3
from tests.rounds import rounds
from tests.web.api.transcript import Clock, Transcript, opened, parse, play

VECTORS = Path(__file__).parents[2] / "vectors"
TRANSCRIPTS = sorted(path for name in ("v2", "v3") for path in (VECTORS / name).glob("*.txt"))


def read(path: Path) -> Transcript:
    return parse(path.read_text(encoding="utf-8"), f"{path.parent.name}/{path.name}")


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_conversation_goes_as_written(path: Path, tmp_path: Path) -> None:
    await play(read(path), tmp_path)


def test_every_route_has_its_transcript() -> None:
    """Each method of each path is asked in one of them, and answered by the route rather than refused as unknown."""
    asked = set()
    for path in TRANSCRIPTS:
        for each in read(path).exchanges:
            if '"NotFound"' not in each.expected.body and each.expected.status != 204:
                asked.add((each.request.method, each.request.target.partition("?")[0]))
    missing = []
    for methods, template, _ in [*V2, *V3]:
        pattern = re.escape(template).replace(r"\{key\}", "(?!recent)[^/]+")
        missing += [
            (method, template)
            for method in methods.split()
            if not any(method == how and re.fullmatch(pattern, what) for how, what in asked)
        ]
    assert missing == []


def test_every_sentence_is_said_in_a_transcript() -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in TRANSCRIPTS)
    sentences = set()
    for module in (record, trouble, v2, v3):
        tree = ast.parse(inspect.getsource(module))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        sentences |= {
            node.value.strip()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and " " in node.value.strip()
            and (node.value[0].isupper() or node.value[0] == "[")
        }
    # Those of the connection, and what an error of our own says to a log.
    sentences -= {"Bad Request", "Misdirected Request", "Internal Server Error"}
    sentences -= {"There must be an object `secret`"}
    # Below: what was damaged.
    sentences -= {"This secret cannot be opened at present; it was not consumed"}
    assert len(sentences) > 20
    assert {each for each in sentences if each not in said} == set()


# Behaviour that takes longer to tell


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path) as (_, client):
        yield client


BASES = ["/api/v2", "/api/v2/guest", "/api/v3/guest"]


async def conceal(client: httpx2.AsyncClient, base: str, **fields: Any) -> dict[str, Any]:
    asked = {"secret": {"secret": "hello", **fields}}
    answer = await client.post(f"{base}/secret/conceal", json=asked)
    assert answer.status_code == 200, answer.text
    record = answer.json()["record"]
    assert isinstance(record, dict)
    return record


@pytest.mark.parametrize(
    ("ttl", "granted"),
    [
        (None, 604_800),
        ("", 604_800),
        (0, 60),
        ("abc", 60),
        (-1, 60),
        (59, 60),
        (3600, 3600),
        (3600.9, 3600),
        ("3600", 3600),
        (10**30, 604_800),
    ],
    ids=repr,
)
@pytest.mark.parametrize("base", BASES)
async def test_a_lifetime_in_any_form_is_brought_into_the_limits_and_told(
    client: httpx2.AsyncClient, base: str, ttl: Any, granted: int
) -> None:
    made = await conceal(client, base, ttl=ttl)

    lifetimes = ("secret_ttl", "metadata_ttl", "receipt_ttl", "lifespan")
    assert {made["receipt"][name] for name in lifetimes} == {granted}
    assert (made["secret"]["lifespan"], made["secret"]["secret_ttl"]) == (granted, granted)


@pytest.mark.parametrize("base", BASES)
async def test_bodies_are_read_in_every_form(client: httpx2.AsyncClient, base: str) -> None:
    """JSON, a form, a form that does not say so, multipart, and the query of a POST without a body."""
    text = " päss\n&=+ї "
    form = urlencode({"secret[secret]": text, "secret[ttl]": "60"})
    multipart = (
        f'--b\r\nContent-Disposition: form-data; name="secret[secret]"\r\n\r\n{text}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="secret[ttl]"\r\n\r\n60\r\n--b--\r\n'
    )
    asked = {"secret": {"secret": text, "ttl": 60}}
    typed = "multipart/form-data; boundary=b"
    ways: list[dict[str, Any]] = [
        {"json": asked},
        {"content": json.dumps(asked)},
        {"content": json.dumps(asked), "headers": {"Content-Type": "application/json; x=y"}},
        {"content": form},
        {"content": form, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": multipart.encode(), "headers": {"Content-Type": typed}},
    ]
    for way in ways:
        made = (await client.post(f"{base}/secret/conceal", **way)).json()["record"]
        assert made["receipt"]["secret_ttl"] == 60
        path = f"{base}/secret/{made['secret']['key']}/reveal"
        answer = await client.post(path, content="continue=true")
        assert answer.json()["record"]["secret_value"] == text, way
    made = (await client.post(f"{base}/secret/conceal?{form}")).json()["record"]
    path = f"{base}/secret/{made['secret']['key']}/reveal?continue=true"
    empty = await client.post(path, headers={"Content-Type": "application/json"})
    assert empty.json()["record"]["secret_value"] == text


@pytest.mark.parametrize("stated", [None, False, "", "yes", "True", 1, [True], {"true": True}])
@pytest.mark.parametrize("base", BASES)
async def test_what_is_not_true_destroys_nothing(
    client: httpx2.AsyncClient, base: str, stated: Any
) -> None:
    made = await conceal(client, base)
    secret, receipt = made["secret"]["key"], made["receipt"]["key"]

    answer = await client.post(f"{base}/secret/{secret}/reveal", json={"continue": stated})
    assert (answer.status_code, "secret_value" in answer.json()["record"]) == (200, False)
    answer = await client.post(f"{base}/receipt/{receipt}/burn", json={"continue": stated})
    assert (answer.status_code, answer.json()["success"]) == (200, False)

    answer = await client.get(f"{base}/secret/{secret}")
    assert answer.json()["record"]["state"] == "new"


@pytest.mark.parametrize("base", BASES)
async def test_no_get_and_no_options_changes_anything(tmp_path: Path, base: str) -> None:
    async with opened(tmp_path) as (_, client):
        made = await conceal(client, base, passphrase="1234")
        secret, receipt = made["secret"]["key"], made["receipt"]["key"]
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:

            def rows() -> list[str]:
                return list(db.iterdump())

            before = rows()
            for path in (
                f"secret/{secret}",
                f"secret/{secret}?continue=true&passphrase=1234",
                f"secret/{secret}?continue=true&passphrase=wrong",
                f"secret/{secret}/reveal?continue=true&passphrase=1234",
                f"secret/{secret}/status",
                f"receipt/{receipt}",
                f"receipt/{receipt}/burn?continue=true&passphrase=1234",
                "secret/conceal?secret[secret]=hello",
                "secret/generate",
            ):
                for method in ("GET", "HEAD", "OPTIONS"):
                    answer = await client.request(method, f"{base}/{path}")
                    assert answer.status_code in {200, 204, 404}
            assert rows() == before


@pytest.mark.parametrize("base", BASES)
async def test_one_of_many_at_once_gets_it(client: httpx2.AsyncClient, base: str) -> None:
    made = await conceal(client, base)
    path = f"{base}/secret/{made['secret']['key']}/reveal"

    answers = await asyncio.gather(
        *(client.post(path, json={"continue": True}) for _ in range(rounds(16, 200)))
    )

    values = [each.json()["record"]["secret_value"] for each in answers if each.status_code == 200]
    assert values == ["hello"]
    assert {each.status_code for each in answers} == {200, 404}


@pytest.mark.parametrize("base", BASES)
async def test_a_key_is_found_among_what_is_none(client: httpx2.AsyncClient, base: str) -> None:
    made = await conceal(client, base)

    answer = await client.get(f"{base}/secret/{made['secret']['key']}%0A%22")

    assert answer.json()["record"]["key"] == made["secret"]["key"]


@pytest.mark.parametrize("base", BASES)
async def test_a_store_that_does_not_answer_is_503_with_a_time_to_wait(
    tmp_path: Path, base: str
) -> None:
    async with opened(tmp_path) as (_, client):
        made = await conceal(client, base)
        path = f"{base}/secret/{made['secret']['key']}/reveal?continue=true"
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
            db.execute("ALTER TABLE secret RENAME TO taken_away")
            db.commit()
            answer = await client.post(path)
            assert (answer.status_code, answer.json()["error"]) == (503, TRY_AGAIN)
            assert int(answer.headers["retry-after"]) == answer.json()["retry_after"]
            db.execute("ALTER TABLE taken_away RENAME TO secret")
            db.commit()
        assert (await client.post(path)).json()["record"]["secret_value"] == "hello"


@pytest.mark.parametrize("base", BASES)
async def test_what_no_key_opens_is_not_consumed(tmp_path: Path, base: str) -> None:
    """What is kept of it was damaged, and is repaired."""
    async with opened(tmp_path) as (_, client):
        made = await conceal(client, base)
        path = f"{base}/secret/{made['secret']['key']}/reveal?continue=true"
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
            (whole,) = db.execute("SELECT head FROM secret").fetchone()
            broken = bytearray(whole)
            broken[-13] ^= 1  # the last byte of what proves the key; the nonce follows
            db.execute("UPDATE secret SET head = ?", (bytes(broken),))
            db.commit()
            answer = await client.post(path)
            assert answer.status_code == 503
            assert answer.json() == {
                "error": "This secret cannot be opened at present; it was not consumed",
                "code": "secret_undecryptable",
                "request_id": answer.headers["x-request-id"],
            }
            db.execute("UPDATE secret SET head = ?", (whole,))
            db.commit()
        assert (await client.post(path)).json()["record"]["secret_value"] == "hello"


@pytest.mark.parametrize("base", BASES)
async def test_after_a_hundred_wrong_passphrases_it_is_closed(tmp_path: Path, base: str) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (_, client):
        made = await conceal(client, base, passphrase="1234")
        path = f"{base}/secret/{made['secret']['key']}/reveal"
        tries = 0
        while tries < PASSPHRASE_TOTAL:
            answer = await client.post(path, json={"passphrase": "0000"})
            if answer.status_code == 422:
                tries += 1
            else:
                assert answer.status_code == 429
                clock.now += int(answer.headers["retry-after"])
        clock.now += BUDGETS["passphrase"].lock

        answer = await client.post(path, json={"passphrase": "1234", "continue": True})

        assert answer.status_code == 429
        assert "retry-after" not in answer.headers
        told = answer.json()
        assert (told["error_type"], told["max_attempts"]) == ("LimitExceeded", PASSPHRASE_TOTAL)
        assert "retry_after" not in told


async def test_every_body_is_json_with_its_type(client: httpx2.AsyncClient) -> None:
    for methods, path, _ in [*V2, *V3]:
        for method in {*methods.split(), "GET", "POST", "PUT", "PATCH", "DELETE"}:
            answer = await client.request(method, path.replace("{key}", "0" * 31))
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert answer.json()
            assert answer.status_code in {200, 401, 403, 404, 422}


async def test_it_is_found_below_a_path(tmp_path: Path) -> None:
    async with opened(tmp_path, base_url="https://example.org/ots/") as (_, client):
        asked = {"secret": {"secret": "hello"}}
        base = "https://example.org/ots/api/v3/guest"
        made = (await client.post(f"{base}/secret/conceal", json=asked)).json()["record"]
        key = made["receipt"]["key"]

        answer = await client.get(f"{base}/receipt/{key}")

        found = answer.json()["record"]
        assert found["receipt_url"] == f"https://example.org/ots/receipt/{key}"
        assert found["share_url"] == f"https://example.org/ots/secret/{made['secret']['key']}"


@pytest.mark.parametrize(
    ("ttl", "said"),
    [
        (60, "60 seconds"),
        (61, "1 minutes"),
        (3600, "60 minutes"),
        (3601, "1 hours"),
        (86_400, "24 hours"),
        (86_401, "1 days"),
        (604_800, "7 days"),
    ],
)
async def test_a_lifetime_in_words(client: httpx2.AsyncClient, ttl: int, said: str) -> None:
    made = await conceal(client, "/api/v2", ttl=ttl)

    answer = await client.get(f"/api/v2/receipt/{made['receipt']['key']}")

    assert answer.json()["record"]["natural_expiration"] == said


@pytest.mark.parametrize(
    ("text", "lines", "is_one"),
    [("x", 4, True), ("x" * 80, 5, True), ("x\ny\n", 6, False), ("\n" * 100, 30, False)],
    ids=["letter", "line", "lines", "many"],
)
async def test_how_much_there_is_to_show(
    client: httpx2.AsyncClient, text: str, lines: int, is_one: bool
) -> None:
    made = await conceal(client, "/api/v2", secret=text)

    answer = await client.post(f"/api/v2/secret/{made['secret']['key']}/reveal?continue=true")

    details = answer.json()["details"]
    assert (details["display_lines"], details["one_liner"]) == (lines, is_one)
