"""API v1 as its clients see it: transcripts of every route and refusal, and the words that come in many forms."""

import ast
import asyncio
import inspect
import json
import re
import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime.core.generate import AMBIGUOUS, DEFAULT_LENGTH, MOST_LENGTH, SYMBOLS
from onetime.core.limits import BUDGETS, PASSPHRASE_TOTAL
from onetime.model import Caller
from onetime.web.api import v1
from onetime.web.routes import ROUTES, V1
from tests.web.api.transcript import Clock, Transcript, opened, parse, play

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "vectors" / "v1").glob("*.txt"))
FORM = "application/x-www-form-urlencoded"


def read(path: Path) -> Transcript:
    return parse(path.read_text(encoding="utf-8"), path.name)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path) as (_, client):
        yield client


async def share(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/share", json={"secret": "hello", **fields})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def reveal(client: httpx2.AsyncClient, made: dict[str, Any]) -> str:
    answer = await client.post(f"/api/v1/secret/{made['secret_key']}")
    assert answer.status_code == 200, answer.text
    value = answer.json()["value"]
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_conversation_goes_as_written(path: Path, tmp_path: Path) -> None:
    await play(read(path), tmp_path)


def test_every_route_has_its_transcript() -> None:
    """Each method of each path is asked in one of them, and answered by the route rather than refused as unknown."""
    asked = set()
    for path in TRANSCRIPTS:
        for each in read(path).exchanges:
            target = each.request.target.partition("?")[0]
            if (
                each.expected.status == 200
                or each.expected.headers
                or "message" in each.expected.body
            ):
                asked.add((each.request.method, target.rstrip("/")))
    missing = []
    for methods, template, _ in V1:
        pattern = re.escape(template).replace(r"\{key\}", "(?!recent)[^/]+")
        missing += [
            (method, template)
            for method in methods.split()
            if not any(method == how and re.fullmatch(pattern, what) for how, what in asked)
        ]
    assert missing == []


def test_every_sentence_of_v1_is_said_in_a_transcript() -> None:
    """Sentences are the texts in its source with a capital and a blank that are no docstring."""
    said = "".join(path.read_text(encoding="utf-8") for path in TRANSCRIPTS)
    tree = ast.parse(inspect.getsource(v1))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    sentences = {
        node.value.strip()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and " " in node.value.strip()
        and node.value[0].isupper()
    }
    # What an error of our own says to a log, in the words of the rule.
    sentences -= {"There are no accounts yet"}
    assert len(sentences) > 15
    assert {each for each in sentences if each not in said} == set()


# Words in many forms

DEFAULT_TTL, SHORTEST_TTL, LONGEST_TTL = 604_800, 60, 604_800
TTLS: list[tuple[Any, int]] = [
    (None, DEFAULT_TTL),
    ("", DEFAULT_TTL),
    (0, DEFAULT_TTL),
    ("0", DEFAULT_TTL),
    (0.5, DEFAULT_TTL),
    ("abc", DEFAULT_TTL),
    ("0x100", DEFAULT_TTL),
    (" ", DEFAULT_TTL),
    (-1, SHORTEST_TTL),
    ("-3600", SHORTEST_TTL),
    (1, SHORTEST_TTL),
    (59, SHORTEST_TTL),
    (60, 60),
    (3600, 3600),
    (3600.9, 3600),
    (3.6e3, 3600),
    ("3600", 3600),
    (" +3600 seconds", 3600),
    ("3_600", 3600),
    ("3600.9", 3600),
    ("36e2", SHORTEST_TTL),
    (604_800, LONGEST_TTL),
    (604_801, LONGEST_TTL),
    (2_592_000, LONGEST_TTL),
    (10**30, LONGEST_TTL),
    (1e300, LONGEST_TTL),
    ("9" * 10_000, LONGEST_TTL),
    ("1_0" * 10_000, LONGEST_TTL),
    ("٣٦٠٠", DEFAULT_TTL),
]


@pytest.mark.parametrize(("ttl", "granted"), TTLS, ids=lambda value: repr(value)[:20])
async def test_a_lifetime_in_any_form_is_brought_into_the_limits_and_told(
    client: httpx2.AsyncClient, ttl: Any, granted: int
) -> None:
    made = await share(client, ttl=ttl)

    assert (made["ttl"], made["secret_ttl"], made["metadata_ttl"]) == (
        granted,
        granted,
        2 * granted,
    )
    if isinstance(ttl, str):
        content = urlencode({"secret": "hello", "ttl": ttl})
        by_form = await client.post("/api/v1/share", content=content)
        assert by_form.json()["ttl"] == granted
        generated = await client.post("/api/v1/generate", content=content)
        assert generated.json()["ttl"] == granted


@pytest.mark.parametrize("ttl", [True, False, [], [60], {"a": 60}])
async def test_what_is_neither_text_nor_number_is_no_lifetime(
    client: httpx2.AsyncClient, ttl: Any
) -> None:
    answer = await client.post("/api/v1/share", json={"secret": "hello", "ttl": ttl})

    assert (answer.status_code, answer.json()) == (404, {"message": v1.UNEXPECTED})


@pytest.mark.parametrize(
    ("length", "given"),
    [
        (None, DEFAULT_LENGTH),
        ("", DEFAULT_LENGTH),
        (1, 4),
        ("1", 4),
        (5, 5),
        ("20 letters", 20),
        (33.3, 33),
        (MOST_LENGTH, MOST_LENGTH),
        (0, None),
        (-1, None),
        ("many", None),
        (False, None),
        ({}, None),
    ],
    ids=repr,
)
async def test_a_length_in_any_form(
    client: httpx2.AsyncClient, length: Any, given: int | None
) -> None:
    answer = await client.post("/api/v1/generate", json={"length": length})

    if given is None:
        assert (answer.status_code, answer.json()) == (404, {"message": v1.UNEXPECTED})
    else:
        assert len(answer.json()["value"]) == given


SETS = {
    "uppercase": string.ascii_uppercase,
    "lowercase": string.ascii_lowercase,
    "numbers": string.digits,
    "symbols": SYMBOLS,
}


@pytest.mark.parametrize("off", [False, "false", "FALSE", "0", "off", "no", 0], ids=repr)
@pytest.mark.parametrize("name", SETS)
async def test_a_set_of_characters_is_switched_off(
    client: httpx2.AsyncClient, name: str, off: Any
) -> None:
    answer = await client.post(
        "/api/v1/generate", json={"length": 128, "character_sets": {name: off}}
    )

    used = set(answer.json()["value"])
    assert not used & set(SETS[name])
    assert all(used & set(letters) for other, letters in SETS.items() if other != name)
    assert not used & AMBIGUOUS


@pytest.mark.parametrize("on", [True, "true", "1", "yes", 1, None, "whatever"], ids=repr)
async def test_a_set_of_characters_is_on_or_stays_so(client: httpx2.AsyncClient, on: Any) -> None:
    asked = {"length": 128, "character_sets": {**dict.fromkeys(SETS, on), "exclude_ambiguous": on}}
    answer = await client.post("/api/v1/generate", json=asked)

    used = set(answer.json()["value"])
    assert all(used & set(letters) for letters in SETS.values())
    assert not used & AMBIGUOUS


async def test_without_any_set_there_is_an_alphabet_of_its_own(client: httpx2.AsyncClient) -> None:
    asked = {"length": 128, "character_sets": dict.fromkeys(SETS, False)}
    answer = await client.post("/api/v1/generate", json=asked)

    assert re.fullmatch(r"[A-Za-z0-9*$!?()@#%^]{128}", answer.json()["value"])


@pytest.mark.parametrize("value", [True, False, 1.5, [], ["hello"], {}, {"secret": "x"}], ids=repr)
@pytest.mark.parametrize("name", ["secret", "passphrase"])
async def test_text_of_another_type_is_refused_and_nothing_is_consumed(
    client: httpx2.AsyncClient, name: str, value: Any
) -> None:
    refused = (404, {"message": v1.UNSTORABLE})
    answer = await client.post("/api/v1/share", json={"secret": "hello", name: value})
    assert (answer.status_code, answer.json()) == refused
    made = await share(client)
    for path in (f"secret/{made['secret_key']}", f"private/{made['metadata_key']}/burn"):
        answer = await client.post(f"/api/v1/{path}", json={"passphrase": value})
        assert (answer.status_code, answer.json()) == refused
    assert await reveal(client, made) == "hello"


NASTY = [
    " leading and trailing ",
    "\nleading newline",
    "\r\nCRLF\r\n",
    "\tTab\tTab",
    "\x00NUL\x00",
    "\x1b[31mescape\x7f",
    "\u202eright to left\u202c",
    "zero\u200bwidth\u200d\ufeff",
    "e\u0301 is not \u00e9",
    "їжак і пароль",
    "🦔" * 10,
    "<script>alert('&amp;')</script>",
    '"quoted" \\ {"secret": "x"}',
    "a=1&b=2;c=%41+%2B",
    "{{ 7 * 7 }} ${x} %s",
    "\u2028\u2029\x85",
    "\ufffe\uffff\U0010ffff",
    "[]",
    "null",
]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
async def test_what_is_revealed_equals_what_was_given(
    client: httpx2.AsyncClient, text: str
) -> None:
    multipart = f'--b\r\nContent-Disposition: form-data; name="secret"\r\n\r\n{text}\r\n--b--\r\n'
    form = urlencode({"secret": text})
    ways: list[dict[str, Any]] = [
        {"json": {"secret": text}},
        {"content": json.dumps({"secret": text}, ensure_ascii=False).encode()},
        {"content": form},
        {"content": form, "headers": {"Content-Type": FORM}},
        {
            "content": multipart.encode(),
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
    ]
    for way in ways:
        made = await client.post("/api/v1/share", **way)
        assert await reveal(client, made.json()) == text, way
    made = await client.post(f"/api/v1/share?secret={quote(text, safe='')}")
    assert await reveal(client, made.json()) == text


@given(
    text=st.text(min_size=1),
    passphrase=st.just("") | st.text("aé\u0301 ї\x00", min_size=4, max_size=9),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_text_comes_back(client: httpx2.AsyncClient, text: str, passphrase: str) -> None:
    answer = await client.post("/api/v1/create", json={"secret": text, "passphrase": passphrase})
    if answer.status_code == 404 and passphrase:
        assert answer.json()["message"].startswith("Passphrase must be at least 4")  # after NFC
        return
    proof = urlencode({"passphrase": passphrase})
    found = await client.post(f"/api/v1/secret/{answer.json()['secret_key']}", content=proof)
    assert found.json()["value"] == text


NAMES = [
    "secret",
    "passphrase",
    "ttl",
    "length",
    "recipient",
    "recipient[]",
    "share_domain",
    "character_sets",
    "locale",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SETS, "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = [
    "status",
    "share",
    "create",
    "generate",
    f"secret/{'0' * 31}",
    "private/x",
    "receipt/x/burn",
    "recent/%00",
]
TYPES = [
    FORM,
    "application/json",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=",
    "",
    ";",
    "x",
]


@given(
    path=st.sampled_from(PATHS),
    content=st.dictionaries(st.sampled_from(NAMES), VALUES).map(
        lambda words: json.dumps(words).encode()
    )
    | st.lists(
        st.sampled_from(
            [b"secret=", b"&", b"%", b"[]", b"--b\r\n", b"{", b'"', b"\xff", b"a", b"\0"]
        )
    ).map(b"".join)
    | st.binary(),
    content_type=st.sampled_from(TYPES),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_is_answered_in_json_and_never_breaks(
    client: httpx2.AsyncClient, path: str, content: bytes, content_type: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    for method in ("POST", "GET"):
        answer = await client.request(method, f"/api/v1/{path}", content=content, headers=headers)
        assert answer.status_code in {200, 400, 404}
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.json()


# Behaviour that takes longer to tell


async def test_after_a_hundred_wrong_passphrases_it_is_unknown_to_everybody_but_its_sender(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (_, client):
        made = await share(client, passphrase="1234")
        path = f"/api/v1/secret/{made['secret_key']}"
        unknown = {"secret_key": made["secret_key"], "message": "Unknown secret"}
        tries = 0
        while tries < PASSPHRASE_TOTAL:
            answer = await client.post(path, json={"passphrase": "0000"})
            if answer.json() == unknown:
                tries += 1
            else:
                assert answer.json() == {"message": v1.UNEXPECTED}
                clock.now += int(answer.headers["retry-after"])
            assert answer.status_code == 404

        clock.now += BUDGETS["passphrase"].lock
        answer = await client.post(path, json={"passphrase": "1234"})

        assert (answer.status_code, answer.json()) == (404, unknown)
        assert "retry-after" not in answer.headers
        seen = await client.get(f"/api/v1/receipt/{made['metadata_key']}")
        assert seen.json()["state"] == "new"


async def test_a_store_that_does_not_answer_is_503_with_a_time_to_wait(tmp_path: Path) -> None:
    """The store is broken for real, and nothing is lost once it is whole again."""
    async with opened(tmp_path) as (_, client):
        made = await share(client)
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
            db.execute("ALTER TABLE secret RENAME TO taken_away")
            db.commit()
            for path in ("share?secret=x", "generate", f"secret/{made['secret_key']}"):
                answer = await client.post(f"/api/v1/{path}")
                assert answer.status_code == 503, answer.text
                assert answer.headers["x-ots-intended-status"] == "503"
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json() == {"message": v1.TRY_AGAIN}
            db.execute("ALTER TABLE taken_away RENAME TO secret")
            db.commit()
        assert await reveal(client, made) == "hello"


async def test_links_hold_the_public_address_with_its_path(tmp_path: Path) -> None:
    async with opened(tmp_path, base_url="https://example.org/ots/") as (_, client):
        answer = await client.post("https://example.org/ots/api/v1/share?secret=hello")
        made = answer.json()
        assert made["metadata_url"] == f"https://example.org/ots/receipt/{made['metadata_key']}"
        assert made["receipt_url"] == made["metadata_url"]
        # A proxy may as well cut the path off.
        found = await client.post(f"/api/v1/secret/{made['secret_key']}")
        assert found.json()["share_domain"] == "https://example.org/ots"


async def test_the_longest_life_and_the_size_are_the_operators(tmp_path: Path) -> None:
    terms = {"min_ttl": 300, "anonymous_max_ttl": 400, "default_ttl": 350}
    async with opened(tmp_path, Clock(), ROUTES, max_secret_bytes=7, **terms) as (_, client):
        assert (await share(client, ttl=1))["ttl"] == 300
        assert (await share(client, ttl=1000))["ttl"] == 400
        assert (await share(client))["ttl"] == 350
        answer = await client.post("/api/v1/share?secret=12345678")
        assert answer.json()["message"] == "Secret value exceeds the maximum size of 7 bytes"


async def test_networks_have_a_count_each(tmp_path: Path) -> None:
    """Two clients behind a proxy that is believed; what they say of themselves is not."""
    proxies = (ip_network("192.0.2.1"),)
    async with opened(tmp_path, trusted_proxies=proxies) as (app, client):
        busy = Caller(network="203.0.113.0/24")
        uses = range(BUDGETS["create"].limit)
        await asyncio.gather(*(app.vault.conceal("hello", caller=busy) for _ in uses))

        async def status(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            answer = await client.post("/api/v1/share?secret=x", headers=headers)
            return answer.status_code

        assert await status("203.0.113.9") == 404
        assert await status("198.51.100.1, 203.0.113.200") == 404
        assert await status("203.0.113.9, 198.51.100.1") == 200
