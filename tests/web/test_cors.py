"""Scripts of other sites: none may call the API, unless the operator names their origin; pages they may never use."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from onetime.web import asgi, security
from onetime.web.routes import ROUTES
from tests.web.api.transcript import HERE, opened

FRIEND = "https://app.example"
STRANGER = "https://elsewhere.example"
FROM_FRIEND = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
PREFLIGHT = {
    **FROM_FRIEND,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,idempotency-key",
}
SHARES = ["/api/v1/share", "/api/v2/secret/conceal", "/api/v3/guest/secret/conceal"]
SECRET = {"secret": {"secret": "hello"}}


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path / "closed") as (_, client):
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    origins = (FRIEND, "http://127.0.0.1:8080")
    async with opened(tmp_path, cors_origins=origins) as (_, client):
        yield client


def said(answer: httpx2.Response) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.startswith("access-control-")
    }


async def share(client: httpx2.AsyncClient, path: str, **headers: str) -> httpx2.Response:
    asked = SECRET["secret"] if path.startswith("/api/v1") else SECRET
    return await client.post(path, json=asked, headers=headers)


async def test_by_default_nothing_is_said_and_nothing_is_done(closed: httpx2.AsyncClient) -> None:
    for methods, path, _ in ROUTES:
        for method in {*methods.split(), "OPTIONS"}:
            answer = await closed.request(method, path.replace("{key}", "x"), headers=PREFLIGHT)
            assert said(answer) == {}
            if method in {"POST", "PATCH"}:
                assert answer.status_code == 403


@pytest.mark.parametrize("path", SHARES)
async def test_a_named_site_may_call(client: httpx2.AsyncClient, path: str) -> None:
    answer = await share(client, path, **FROM_FRIEND)

    assert answer.status_code == 200
    assert said(answer) == {
        "access-control-allow-origin": FRIEND,
        "access-control-expose-headers": "onetime-now, onetime-window-ends-at, retry-after, x-ots-intended-status, x-request-id",
    }
    assert answer.headers["vary"] == "Origin"


async def test_it_may_read_refusals_too(client: httpx2.AsyncClient) -> None:
    for path, status in (
        ("/api/v1/secret/NEVERWAS", 404),
        ("/api/v2/secret/conceal", 422),
        ("/api/v3/secret/conceal", 401),
        ("/api/e2e/look", 400),
        ("/api/nothing", 404),
        ("/api/v1/status", 404),
    ):
        answer = await client.post(path, headers=FROM_FRIEND)
        assert answer.status_code == status, path
        assert said(answer)["access-control-allow-origin"] == FRIEND


async def test_a_get_and_the_description_may_be_read(client: httpx2.AsyncClient) -> None:
    for path in ("/api/v1/status", "/api/v2/status", "/api/e2e/terms", "/api/openapi.json"):
        answer = await client.get(path, headers=FROM_FRIEND)
        assert (answer.status_code, said(answer)["access-control-allow-origin"]) == (200, FRIEND)


@pytest.mark.parametrize("path", [*SHARES, "/api/e2e/create"])
async def test_the_browser_asks_first_and_is_told(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.options(path, headers=PREFLIGHT)

    assert (answer.status_code, answer.content) == (204, b"")
    assert said(answer) == {
        "access-control-allow-origin": FRIEND,
        "access-control-allow-methods": "OPTIONS, POST",
        "access-control-allow-headers": "content-type, idempotency-key, onetime-secret-id, onetime-open-hash, "
        "onetime-receipt-hash, onetime-passphrase, onetime-ttl",
        "access-control-max-age": "600",
    }
    assert answer.headers["vary"] == "Origin"


async def test_no_answer_allows_credentials(client: httpx2.AsyncClient) -> None:
    """Neither cookies, which a browser would have to be told, nor an Authorization header, which it would ask for."""
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "authorization", "Cookie": "a=b"}
    for methods, path, _ in ROUTES:
        for method in {*methods.split(), "OPTIONS"}:
            answer = await client.request(method, path.replace("{key}", "x"), headers=asked)
            assert "access-control-allow-credentials" not in answer.headers
            assert "authorization" not in answer.headers.get("access-control-allow-headers", "")
            assert answer.headers.get("access-control-allow-origin", FRIEND) == FRIEND


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        "null",
        "*",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.elsewhere.example",
        "https://sub.app.example",
        "https://APP.example",
        f"{FRIEND},{STRANGER}",
        "",
    ],
)
@pytest.mark.parametrize("path", SHARES)
async def test_another_site_may_not(client: httpx2.AsyncClient, path: str, origin: str) -> None:
    headers = {**FROM_FRIEND, "Origin": origin}

    answer = await share(client, path, **headers)
    assert (answer.status_code, said(answer)) == (403, {})
    asked = await client.options(path, headers={**PREFLIGHT, **headers})
    assert said(asked) == {}


async def test_pages_are_not_theirs(client: httpx2.AsyncClient) -> None:
    """What a form does no script of another site may do, whoever it is: the check of pages is as it was."""
    for methods, path, _ in ROUTES:
        if path.startswith("/api/"):
            continue
        for method in {*methods.split(), "OPTIONS"}:
            answer = await client.request(method, path.replace("{key}", "x"), headers=PREFLIGHT)
            assert said(answer) == {}
            if method == "POST":
                assert answer.status_code == 403, path


async def test_our_own_pages_still_may(client: httpx2.AsyncClient) -> None:
    ours = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    for path in SHARES:
        answer = await share(client, path, **ours)
        assert (answer.status_code, said(answer)) == (200, {})
    form = {"secret": "hello"}
    assert (await client.post("/", data=form, headers=ours)).status_code == 200
    assert (await client.post("/", data=form, headers=FROM_FRIEND)).status_code == 403


async def test_a_check_that_opens_pages_too_is_noticed(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "_is_api", lambda _path: True)

    with pytest.raises(AssertionError):
        await test_pages_are_not_theirs(client)


async def test_a_check_that_believes_any_origin_is_noticed(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "is_allowed", lambda headers, _origins: b"origin" in headers)

    with pytest.raises(AssertionError):
        await test_another_site_may_not(client, SHARES[0], STRANGER)
