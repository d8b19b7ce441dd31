"""The API of end-to-end secrets guesses at nothing: what is not as described is refused with one shape of error, changes
nothing and is repeated nowhere.
"""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onetime import errors
from onetime.app import App
from onetime.crypto import envelope
from onetime.errors import OnetimeError
from onetime.web.api import e2e
from onetime.web.http import Answer, Call
from onetime.web.routes import E2E, ROUTES, Route
from tests.web.api.sealing import JSON, OCTETS, Sealed, Words, ask, create, created, refusal
from tests.web.api.transcript import Clock, opened

BYTES = "A" * 43
CLAIM = "A" * 22

# What each call of JSON takes.
WORDS: dict[str, Words] = {
    "look": {"link_proof": BYTES},
    "reveal": {"link_proof": BYTES, "open_proof": BYTES, "claim": CLAIM},
    "settle": {"link_proof": BYTES, "claim": CLAIM},
    "burn": {"link_proof": BYTES, "open_proof": BYTES},
    "receipt": {"secret_id": BYTES, "receipt_proof": BYTES},
    "receipt/burn": {"secret_id": BYTES, "receipt_proof": BYTES},
}
HEADERS = ("secret_id", "open_hash", "receipt_hash", "passphrase")
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "POST")


@dataclass
class Place:
    """A running application with one living secret and one that is claimed."""

    app: App
    client: httpx2.AsyncClient
    database: Path
    living: Sealed
    claimed: Sealed

    def dump(self) -> list[str]:
        """Every table and row, also what is not yet checkpointed."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return list(db.iterdump())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(tmp_path) as (app, client):
        living, claimed = await created(client), await created(client)
        assert (await ask(client, "reveal", claimed.revealing())).status_code == 200
        yield Place(app, client, tmp_path / "data" / "vault.db", living, claimed)


@pytest.fixture
def client(place: Place) -> httpx2.AsyncClient:
    return place.client


def invalid(field: str, rule: str) -> tuple[int, dict[str, Any]]:
    return 400, {"code": "invalid", "field": field, "rule": rule}


async def post(
    client: httpx2.AsyncClient,
    path: str,
    content: bytes | str,
    headers: Words | list[tuple[str, str]] | None = None,
    query: str = "",
) -> tuple[int, dict[str, Any]]:
    url = f"/api/e2e/{path}{query}"
    answer = await client.post(url, content=content, headers=JSON if headers is None else headers)
    return refusal(answer)


# Bodies of JSON

MALFORMED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "body", "json"),
    "blanks": (b"  ", "body", "json"),
    "no JSON": (b"link_proof=x", "body", "json"),
    "cut short": (b'{"link_proof": "AAAA', "body", "json"),
    "something after it": (b'{"link_proof": "%s"} x', "body", "json"),
    "twice": (b'{"link_proof": "%s"}{"link_proof": "%s"}', "body", "json"),
    "a comma at the end": (b'{"link_proof": "%s",}', "body", "json"),
    "a comment": (b'{"link_proof": "%s" /* x */}', "body", "json"),
    "single quotes": (b"{'link_proof': '%s'}", "body", "json"),
    "a byte order mark": (b'\xef\xbb\xbf{"link_proof": "%s"}', "body", "json"),
    "UTF-16": ('{"link_proof": "x"}'.encode("utf-16"), "body", "json"),
    "not UTF-8 in a value": (b'{"link_proof": "\xff"}', "body", "json"),
    "not UTF-8 in a name": (b'{"link_proof": "%s", "\xff": 1}', "body", "json"),
    "half a surrogate pair": (b'{"link_proof": "\\ud800"}', "body", "json"),
    "a control character": (b'{"link_proof": "\x01"}', "body", "json"),
    "a control character, escaped": (b'{"link_proof": "\\u0000"}', "link_proof", "malformed"),
    "NaN": (b'{"link_proof": NaN}', "body", "json"),
    "Infinity": (b'{"link_proof": -Infinity}', "body", "json"),
    "null": (b"null", "body", "malformed"),
    "a list": (b'["%s"]', "body", "malformed"),
    "a text": (b'"%s"', "body", "malformed"),
    "a number": (b"1", "body", "malformed"),
    "no members": (b"{}", "link_proof", "missing"),
    "null for a member": (b'{"link_proof": null}', "link_proof", "malformed"),
    "a number for text": (b'{"link_proof": 1}', "link_proof", "malformed"),
    "a huge number": (b'{"link_proof": ' + b"9" * 4000 + b"}", "link_proof", "malformed"),
    "a number beyond all": (b'{"link_proof": 1e999999}', "link_proof", "malformed"),
    "a list for text": (b'{"link_proof": ["%s"]}', "link_proof", "malformed"),
    "an object for text": (b'{"link_proof": {"a": 1}}', "link_proof", "malformed"),
    "deep nesting": (b'{"link_proof": ' + b"[" * 4000, "link_proof", "malformed"),
    "deep nesting around": (b"[" * 4000, "body", "malformed"),
    "deep nesting aside": (b'{"x": ' + b"[" * 1900 + b"]" * 1900 + b"}", "body", "unknown"),
    "an unknown member": (b'{"link_proof": "%s", "once": 1}', "body", "unknown"),
    "an unknown member that is null": (b'{"link_proof": "%s", "x": null}', "body", "unknown"),
    "a member of another call": (b'{"link_proof": "%s", "ttl": 60}', "body", "unknown"),
    "a name in capitals": (b'{"LINK_PROOF": "%s"}', "body", "unknown"),
    "an empty name": (b'{"": "%s"}', "body", "unknown"),
    "a member twice": (b'{"link_proof": "%s", "link_proof": "%s"}', "link_proof", "repeated"),
    "a member twice in two spellings": (
        b'{"link_proof": "%s", "link\\u005fproof": "%s"}',
        "link_proof",
        "repeated",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_body_that_is_not_as_described(place: Place, name: str) -> None:
    content, field, rule = MALFORMED[name]
    right = place.living.link()["link_proof"].encode()
    before = place.dump()

    assert await post(place.client, "look", content.replace(b"%s", right)) == invalid(field, rule)
    assert place.dump() == before


SPELLINGS = {
    "empty": "",
    "too short": "A" * 42,
    "too long": "A" * 44,
    "padded": "A" * 43 + "=",
    "padded inside": "A" * 42 + "=",
    "spare bits": "A" * 42 + "B",
    "the other alphabet": "A" * 41 + "+A",
    "the other alphabet's slash": "A" * 41 + "/A",
    "a newline at the end": "A" * 43 + "\n",
    "a blank before": " " + "A" * 42,
    "a blank inside": "A" * 20 + " " + "A" * 22,
    "Cyrillic": "\u0410" + "A" * 42,
    "full width": "\uff21" + "A" * 42,
    "hex": "00" * 32,
    "another size": "A" * 22,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_bytes_have_one_spelling(place: Place, spelling: str) -> None:
    """Each member of each call."""
    before = place.dump()
    for path, words in WORDS.items():
        for name in words:
            text = SPELLINGS[spelling]
            if name == "claim" and text == CLAIM:
                text = BYTES
            asked = json.dumps({**words, name: text})
            assert await post(place.client, path, asked) == invalid(name, "malformed"), path
    assert place.dump() == before


@pytest.mark.parametrize("path", WORDS)
async def test_every_member_is_needed_and_no_other_taken(
    client: httpx2.AsyncClient, path: str
) -> None:
    words = WORDS[path]
    for name in words:
        rest = {other: value for other, value in words.items() if other != name}
        rule = "one_of_two" if (path, name) == ("burn", "open_proof") else "missing"
        assert await post(client, path, json.dumps(rest)) == invalid(name, rule)
    for name in ("passphrase", "secret", "now", "receipt_key", "ttl"):
        asked = json.dumps({**words, name: BYTES})
        assert await post(client, path, asked) == invalid("body", "unknown")


async def test_a_burn_takes_one_proof(place: Place) -> None:
    words = place.living.revealing()

    assert await post(place.client, "burn", json.dumps(words)) == invalid(
        "open_proof", "one_of_two"
    )
    assert (await ask(place.client, "reveal", words)).status_code == 200


async def test_a_spelling_of_json_is_as_good_as_another(place: Place) -> None:
    proof = place.living.link()["link_proof"]
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in proof)
    for content in (f' {{ "link_proof"\t:\n"{proof}" }}\r\n', f'{{"link_proof":"{escaped}"}}'):
        answer = await place.client.post("/api/e2e/look", content=content, headers=JSON)
        assert answer.status_code == 200, content


@pytest.mark.parametrize("path", WORDS)
async def test_a_body_of_words_has_a_limit(client: httpx2.AsyncClient, path: str) -> None:
    words = json.dumps(WORDS[path])
    padded = words + " " * (e2e.MOST_ASKED_BYTES - len(words))

    answer = await client.post(f"/api/e2e/{path}", content=padded, headers=JSON)
    assert answer.status_code == 404
    assert await post(client, path, padded + " ") == (
        413,
        {
            "code": "too_large",
            "field": "body",
            "rule": "too_large",
            "limit_bytes": e2e.MOST_ASKED_BYTES,
        },
    )


# Types, queries and headers

TYPES: list[list[str]] = [
    [],
    [""],
    ["text/plain"],
    ["application/x-www-form-urlencoded"],
    ["multipart/form-data; boundary=b"],
    ["application/jsonp"],
    ["application/json; charset=latin-1"],
    ["application/json, application/octet-stream"],
    ["application/json", "application/json"],
    ["application/octet-stream; charset=utf-8"],
    ["application/octet-stream", "application/octet-stream"],
]


@pytest.mark.parametrize("types", TYPES, ids=repr)
async def test_another_content_type_is_refused(place: Place, types: list[str]) -> None:
    before = place.dump()
    lines = [("Content-Type", each) for each in types]
    for path, words in WORDS.items():
        said = await post(place.client, path, json.dumps(words), lines)
        assert said == invalid("content_type", "content_type")
    sealed = Sealed()
    own = [(name, value) for name, value in sealed.headers().items() if name != "Content-Type"]
    assert await post(place.client, "create", sealed.body, [*own, *lines]) == invalid(
        "content_type", "content_type"
    )
    assert place.dump() == before


async def test_each_kind_of_body_has_its_own_type(client: httpx2.AsyncClient) -> None:
    sealed = Sealed()
    wrong = invalid("content_type", "content_type")

    assert await post(client, "look", json.dumps(sealed.link()), OCTETS) == wrong
    assert await post(client, "create", sealed.body, {**sealed.headers(), **JSON}) == wrong


@pytest.mark.parametrize("stated", ["Application/JSON", "application/json; charset=UTF-8"])
async def test_a_content_type_may_be_written_large(place: Place, stated: str) -> None:
    content = json.dumps(place.living.link())
    headers = {"Content-Type": stated}
    answer = await place.client.post("/api/e2e/look", content=content, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("query", ["?x", "?link_proof=" + BYTES, "?&", "?ttl=60", "?%00"])
async def test_a_query_is_refused(place: Place, query: str) -> None:
    before = place.dump()
    unknown = invalid("query", "unknown")
    for path, words in WORDS.items():
        assert await post(place.client, path, json.dumps(words), query=query) == unknown
    sealed = Sealed()
    said = await post(place.client, "create", sealed.body, sealed.headers(), query)
    assert said == unknown
    assert refusal(await place.client.get(f"/api/e2e/terms{query}")) == unknown
    assert place.dump() == before


@pytest.mark.parametrize(
    "name", ["Onetime-Once", "ONETIME-TTL", "Onetime-", "onetime-link-proof", "Onetime-Secret_Id"]
)
async def test_a_header_of_ours_that_is_not_known_is_refused(place: Place, name: str) -> None:
    before = place.dump()
    unknown = invalid("headers", "unknown")
    for path, words in WORDS.items():
        said = await post(place.client, path, json.dumps(words), {**JSON, name: BYTES})
        assert said == unknown
    assert refusal(await place.client.get("/api/e2e/terms", headers={name: "1"})) == unknown
    if name != "ONETIME-TTL":
        sealed = Sealed()
        headers = {**sealed.headers(), name: "1"}
        assert await post(place.client, "create", sealed.body, headers) == unknown
    assert place.dump() == before


async def test_a_header_that_comes_twice_is_refused(place: Place) -> None:
    """Also where both say the same."""
    before = place.dump()
    sealed = Sealed()
    lines = list(sealed.headers(ttl="60").items())
    for name, value in lines:
        if name.startswith("Onetime-"):
            member = name.removeprefix("Onetime-").lower().replace("-", "_")
            doubled = [*lines, (name.upper(), value)]
            said = await post(place.client, "create", sealed.body, doubled)
            assert said == invalid(member, "repeated")
    unknown = [*lines, ("Onetime-X", "1"), ("Onetime-X", "1")]
    assert await post(place.client, "create", sealed.body, unknown) == invalid(
        "headers", "repeated"
    )
    assert place.dump() == before


@pytest.mark.parametrize("name", HEADERS)
async def test_every_header_is_needed(place: Place, name: str) -> None:
    before = place.dump()
    assert refusal(await create(place.client, Sealed(), **{name: None})) == invalid(name, "missing")
    assert place.dump() == before


@pytest.mark.parametrize("name", HEADERS[:3])
@pytest.mark.parametrize(
    "text", ["", "0", "5", BYTES + "=", "A" * 42 + "B", "A" * 42, "é" * 43, CLAIM], ids=ascii
)
async def test_a_header_of_bytes_has_one_spelling(place: Place, name: str, text: str) -> None:
    before = place.dump()
    sealed = Sealed()
    header = f"Onetime-{name.title().replace('_', '-')}"
    lines = [line for line in sealed.headers().items() if line[0] != header]
    raw = [(key.encode(), value.encode("latin-1")) for key, value in [*lines, (header, text)]]
    answer = await place.client.post("/api/e2e/create", content=sealed.body, headers=raw)
    assert refusal(answer) == invalid(name, "malformed")
    assert place.dump() == before


@pytest.mark.parametrize("text", ["", "Yes", "true", "1", "yes, no", "yes;", "no no"])
async def test_a_passphrase_is_yes_or_no(place: Place, text: str) -> None:
    said = refusal(await create(place.client, Sealed(), passphrase=text))
    assert said == invalid("passphrase", "malformed")


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+60", "060", "60.0", "6e1", "0x3c", "sixty", "null", "60,60", "9" * 13, "9" * 5000],
    ids=lambda text: text[:9],
)
async def test_a_lifetime_is_a_whole_number_in_its_one_spelling(place: Place, text: str) -> None:
    said = refusal(await create(place.client, Sealed(), ttl=text))
    assert said == invalid("ttl", "malformed")


# Envelopes

FLAWED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: body[:0],
    "one byte": lambda body: body[:1],
    "no more than a salt": lambda body: body[:16],
    "a head alone": lambda body: body[:21],
    "a head and a tag": lambda body: body[:38],
    "cut by a byte": lambda body: body[:-1],
    "longer by a byte": lambda body: body + b"\0",
    "a size that no padding gives": lambda body: body + b"\0" * 3,
    "another record size": lambda body: body[:16] + b"\0\0\x10\0\0" + body[21:],
    "a key id": lambda body: body[:20] + b"\x01" + body[21:],
    "text": lambda body: b"correct horse" * (len(body) // 13),
    "JSON": lambda body: b'{"size": %d}' % len(body),
    "base64": lambda body: envelope.to_base64_url(body).encode(),
    "zeros": lambda body: bytes(len(body)),
}


@pytest.mark.parametrize("name", FLAWED)
async def test_what_cannot_be_an_envelope_is_refused(place: Place, name: str) -> None:
    sealed = Sealed()
    before = place.dump()

    said = await post(place.client, "create", FLAWED[name](sealed.body), sealed.headers())

    assert said == invalid("body", "malformed")
    assert place.dump() == before


async def test_an_envelope_over_the_limit_is_too_large(tmp_path: Path) -> None:
    async with opened(tmp_path, max_secret_bytes=1000) as (app, client):
        limit = app.envelopes.max_body_bytes
        sealed = Sealed(b"x" * 1000)
        assert len(sealed.body) <= limit
        assert (await create(client, sealed)).status_code == 201
        for size in (limit + 1, app.body_limit + 1):
            said = await post(client, "create", bytes(size), Sealed().headers())
            assert said == (
                413,
                {
                    "code": "too_large",
                    "field": "body",
                    "rule": "too_large",
                    "limit_bytes": limit,
                },
            )


# Whatever else: methods, paths, hosts, sites, stores


@pytest.mark.parametrize("path", sorted({path for _, path, _ in E2E}))
async def test_no_other_method_changes_anything(place: Place, path: str) -> None:
    """Not with a body that would be right either."""
    own = {method for methods, each, _ in E2E if each == path for method in methods.split()}
    allowed = sorted(own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set()))
    name = path.removeprefix("/api/e2e/")
    sealed = Sealed()
    right: dict[str, tuple[bytes, Words]] = {
        "create": (sealed.body, sealed.headers()),
        "look": (json.dumps(place.living.link()).encode(), JSON),
        "reveal": (json.dumps(place.living.revealing()).encode(), JSON),
        "settle": (json.dumps(place.claimed.claiming()).encode(), JSON),
        "burn": (json.dumps(place.living.opening()).encode(), JSON),
        "receipt": (json.dumps(place.living.receipt()).encode(), JSON),
        "receipt/burn": (json.dumps(place.living.receipt()).encode(), JSON),
    }
    content, headers = right.get(name, (b"", {}))
    before = place.dump()
    for method in METHODS:
        if method in own:
            continue
        answer = await place.client.request(method, path, content=content, headers=headers)
        if not (method == "HEAD" and "GET" in own):
            assert answer.headers["allow"] == ", ".join(allowed)
        if method == "OPTIONS":
            assert (answer.status_code, answer.content) == (204, b"")
        elif method == "HEAD":
            assert answer.status_code == (200 if "GET" in own else 405)
            assert answer.content == b""
        else:
            assert refusal(answer) == (405, {"code": "method_not_allowed"})
        assert place.dump() == before, method


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nowhere", "/look/x", "/LOOK", "/receipt/burn/x", f"/{BYTES}", "/%00", "/v1/status"],
)
async def test_a_path_that_is_none(client: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = await client.request(method, f"/api/e2e{path}")
        assert refusal(answer) == (404, {"code": "not_found"})


async def test_a_neighbour_is_not_ours(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/e2e2")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


async def test_pages_of_other_sites_are_refused(place: Place) -> None:
    before = place.dump()
    for more in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://other.example"}):
        for path, words in WORDS.items():
            said = await post(place.client, path, json.dumps(words), {**JSON, **more})
            assert said == (403, {"code": "cross_origin"})
        sealed = Sealed()
        said = await post(place.client, "create", sealed.body, {**sealed.headers(), **more})
        assert said == (403, {"code": "cross_origin"})
    assert place.dump() == before


async def test_another_host_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, base_url="") as (_, client):
        answer = await client.get("/api/e2e/terms", headers={"Host": "other.example"})
        assert refusal(answer) == (421, {"code": "unknown_host"})
        two = [("Host", "127.0.0.1"), ("Host", "127.0.0.1")]
        assert refusal(await client.get("/api/e2e/terms", headers=two)) == invalid(
            "host", "repeated"
        )


async def boom(_call: Call) -> Answer:
    raise RuntimeError(BYTES)


async def test_a_mistake_of_the_program_has_the_same_shape(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    routes: list[Route] = [*ROUTES, ("GET", "/api/e2e/boom", boom)]
    async with opened(tmp_path, Clock(), routes) as (_, client):
        answer = await client.get("/api/e2e/boom")
    assert refusal(answer) == (500, {"code": "error"})
    assert BYTES not in answer.text + capfd.readouterr().err


async def test_a_store_that_does_not_answer(place: Place) -> None:
    """It is broken for real, and nothing is lost once it is whole again."""
    living = place.living
    with closing(sqlite3.connect(place.database)) as db:
        db.execute("ALTER TABLE receipt RENAME TO taken_away")
        db.commit()
        calls = [
            ("look", living.link()),
            ("reveal", living.revealing()),
            ("settle", living.claiming()),
            ("burn", living.opening()),
            ("receipt", living.receipt()),
            ("receipt/burn", living.receipt()),
        ]
        answers = [await ask(place.client, path, words) for path, words in calls]
        answers.append(await create(place.client, Sealed()))
        db.execute("ALTER TABLE taken_away RENAME TO receipt")
        db.commit()
    for answer in answers:
        assert "receipt" not in answer.text
        assert refusal(answer) == (503, {"code": "unavailable", "retry_after": 5})
    assert (await ask(place.client, "reveal", living.revealing())).content == living.body


async def test_what_was_damaged_is_not_handed_out_and_stays(place: Place) -> None:
    with closing(sqlite3.connect(place.database)) as db:
        rows = db.execute("SELECT number, body FROM secret").fetchall()
        db.execute("UPDATE secret SET body = zeroblob(length(body))")
        db.commit()
        answer = await ask(place.client, "reveal", place.living.revealing())
        db.executemany("UPDATE secret SET body = ? WHERE number = ?", [row[::-1] for row in rows])
        db.commit()

    assert refusal(answer) == (503, {"code": "undecryptable"})
    answer = await ask(place.client, "reveal", place.living.revealing())
    assert answer.content == place.living.body


async def test_no_room_for_another(tmp_path: Path) -> None:
    async with opened(tmp_path, vault_max_bytes=2_000_000) as (_, client):
        first = await created(client)
        for _ in range(200):
            answer = await create(client, Sealed(bytes(100_000)))
            if answer.status_code != 201:
                break
        assert refusal(answer) == (503, {"code": "full", "retry_after": 60})
        assert (await ask(client, "reveal", first.revealing())).content == first.body


# Whatever is sent

WORTH_TRYING: st.SearchStrategy[Any] = st.sampled_from(
    [BYTES, CLAIM, "", "x", None, 1, 1.5, True, [], {}, 2**70]
)
NAMES = st.sampled_from(["link_proof", "open_proof", "claim", "secret_id", "receipt_proof", "x"])


@given(
    path=st.sampled_from([*WORDS, "create", "nowhere"]),
    content=st.dictionaries(NAMES, WORTH_TRYING).map(lambda words: json.dumps(words).encode())
    | st.recursive(WORTH_TRYING, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)).map(
        lambda value: json.dumps(value).encode()
    )
    | st.lists(st.sampled_from([b"{", b"}", b'"', b":", b",", b"[", b"\\", b"\xff", b"1"])).map(
        b"".join
    )
    | st.binary(),
    headers=st.dictionaries(
        st.sampled_from(["Onetime-Ttl", "Onetime-Secret-Id", "Onetime-X", "Content-Type"]),
        st.sampled_from([BYTES, "60", "yes", "application/json", "application/octet-stream"]),
    ),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_is_answered_in_the_one_shape(
    client: httpx2.AsyncClient, path: str, content: bytes, headers: Words
) -> None:
    for more in ({}, JSON):
        answer = await client.post(f"/api/e2e/{path}", content=content, headers={**headers, **more})
        status, error = refusal(answer)
        assert status in {400, 404}
        assert ("field" in error) == (status == 400)


# Errors


def kinds(of: type[OnetimeError] = OnetimeError) -> list[type[OnetimeError]]:
    return [of, *(kind for each in of.__subclasses__() for kind in kinds(each))]


def test_every_error_of_the_tree_that_a_rule_can_raise_has_its_code_in_the_description() -> None:
    described = set(e2e.Code.__args__)  # type: ignore[attr-defined]  # a Literal has them
    not_ours = {
        errors.Unauthenticated,  # there are no accounts
        errors.Forbidden,
        errors.Disabled,
        errors.Misconfigured,  # there is no server then
        errors.Unreachable,  # the client's
        errors.Foreign,
    }
    assert {kind.code for kind in kinds() if kind not in not_ours} <= described
    assert {each.code for each in e2e.PLAIN.values()} <= described


# What must not be told


async def repeated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What of all that was sent is in a refusal or in the log.

    Proofs, claims and hashes, where they belong and everywhere else; in base64url and in hex."""
    said: list[str] = []
    async with opened(tmp_path) as (_, client):

        async def send(path: str, words: Any, **more: Any) -> None:
            content = words if isinstance(words, str) else json.dumps(words)
            more["headers"] = {**JSON, **more.get("headers", {})}
            answer = await client.post(f"/api/e2e/{path}", content=content, **more)
            said.append(answer.text)

        sealed = await created(client, has_passphrase=True)
        words = {**sealed.revealing(), **sealed.receipt()}
        secrets = {*words.values(), *sealed.headers().values()} - {"yes", *OCTETS.values()}
        for word in sorted(secrets):
            for path, right in WORDS.items():
                for name in right:
                    await send(path, {**right, name: word})
                    await send(path, {**right, name: f"{word}="})
                for wrong in ({**right, word: "x"}, {**right, f"`$.{word}`": 1}, {word: word}):
                    await send(path, wrong)
                await send(path, right, params={"x": word})
                await send(path, right, headers={f"Onetime-{word}": word})
                await send(path, json.dumps({**right, "x": word})[:-3])
            await send(word, {})
            for name in HEADERS:
                answer = await create(client, Sealed(), **{name: f"{word}="})
                said.append(answer.text)
    said.append(capfd.readouterr().err)
    assert len(said) > 200
    raw = [bytes_of(word).hex() for word in secrets]
    text = "\n".join(said).lower()
    assert re.search(r'"route": ?"/api/e2e/look"', said[-1])
    return [word for word in [*secrets, *raw] if word.lower() in text]


async def test_nothing_that_was_sent_is_in_a_refusal_or_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await repeated(tmp_path, capfd) == []


async def test_an_error_that_repeats_a_name_is_noticed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(e2e, "_refused", lambda error, _, whole: errors.Invalid(whole, str(error)))
    assert await repeated(tmp_path, capfd) != []


def bytes_of(word: str) -> bytes:
    return envelope.from_base64_url(word, len(word) * 3 // 4)
