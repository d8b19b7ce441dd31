"""Headers and policy on every answer, no cookie on any, hosts that are not ours, and pages of other sites."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from onetime.app import App, build
from onetime.core.vault import Wish
from onetime.crypto.hashing import Cost, Hasher
from onetime.settings import Settings
from onetime.web import security
from onetime.web.asgi import Web
from onetime.web.http import Answer, Call, text_answer
from onetime.web.routes import ROUTES, Route

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
HERE = "http://127.0.0.1:3000"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "MUELL")
TEMPLATES = sorted({path for _, path, _ in ROUTES})

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "worker-src": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
# What may be kept by a browser or a proxy: nothing about a secret is among it.
MAY_BE_KEPT = re.compile(
    r"/static/.*|/favicon\.ico|/robots\.txt|/\.well-known/security\.txt|/info/.*|/docs/api"
)


@asynccontextmanager
async def opened(
    folder: Path, routes: list[Route] = ROUTES, **settings: object
) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    given = {"data_dir": folder / "data", "disk_reserve": 0, **settings}
    async with build(Settings(**given), hasher=Hasher(cost=QUICK)) as app:  # type: ignore[arg-type]
        transport = httpx2.ASGITransport(app=Web(app, routes), client=("127.0.0.1", 4000))
        async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
            yield app, client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(tmp_path) as (_, client):
        yield client


def check_headers(answer: httpx2.Response) -> None:
    """What every answer must have."""
    names = [name for name, _ in answer.headers.multi_items()]
    assert len(names) == len(set(names)), names
    assert "set-cookie" not in answer.headers
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";")
    )
    assert policy == POLICY
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-request-id"]
    assert "report" not in str(answer.headers).lower()
    for name in ("server", "x-powered-by", "access-control-allow-origin", "www-authenticate"):
        assert name not in answer.headers
    if answer.content:
        assert answer.headers["content-type"].startswith(
            ("text/", "application/json", "image/", "application/manifest")
        )


def check_not_kept(answer: httpx2.Response) -> None:
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]


def filled(template: str, value: str) -> str:
    return re.sub(r"\{\w+\}", value, template)


@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_answer_of_every_route_has_the_headers(tmp_path: Path, template: str) -> None:
    async with opened(tmp_path) as (app, client):
        made = await app.vault.conceal("text", Wish(passphrase="passphrase"))
        for value in (made.secret_key, made.receipt.receipt_key, "0" * 31, "junk"):
            path = filled(template, value)
            for method in METHODS:
                answer = await client.request(method, path, data={"passphrase": "wrong guess"})
                assert answer.status_code < 500, (method, path)
                check_headers(answer)
                if not MAY_BE_KEPT.fullmatch(path):
                    check_not_kept(answer)


async def boom(_call: Call) -> Answer:
    raise RuntimeError("text that nobody may see")


async def test_every_error_has_the_headers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = [*ROUTES, ("GET POST", "/boom", boom), ("GET POST", "/api/boom", boom)]
    async with opened(tmp_path, routes) as (app, client):
        large = b"secret=" + b"x" * (app.body_limit + 1)
        for prefix in ("", "/api/v1"):
            wrong = [
                (404, await client.get(f"{prefix}/nowhere")),
                (405, await client.put("/health")),
                (421, await client.get(f"{prefix}/", headers={"host": "elsewhere.example"})),
                (403, await client.post("/api/boom", headers={"origin": "http://other.example"})),
                (500, await client.get("/boom")),
                (500, await client.get("/api/boom")),
            ]
            for status, answer in wrong:
                assert answer.status_code == status
                check_headers(answer)
                check_not_kept(answer)
                assert "nobody may see" not in answer.text
        for path in ("/api/v1/share", "/"):
            answer = await client.post(path, content=large)
            assert answer.status_code == 413
            check_headers(answer)
            check_not_kept(answer)
    assert "nobody may see" not in capsys.readouterr().err


async def test_api_errors_are_json_and_others_are_pages(tmp_path: Path) -> None:
    routes: list[Route] = [*ROUTES, ("GET", "/boom", boom), ("GET", "/api/boom", boom)]
    async with opened(tmp_path, routes) as (_, client):
        for path in ("/api/nowhere", "/api/v1/nowhere", "/api/boom", "/api"):
            answer = await client.get(path)
            assert answer.headers["content-type"].startswith("application/json"), path
            assert isinstance(answer.json(), dict)
        for path in ("/nowhere", "/boom", "/apiary"):
            assert (await client.get(path)).headers["content-type"].startswith("text/html")


async def test_permissions_are_denied_but_the_gestures_of_the_pages(
    client: httpx2.AsyncClient,
) -> None:
    given = (await client.get("/health")).headers["permissions-policy"]

    rules = dict(each.split("=") for each in given.split(", "))

    allowed = {name for name, who in rules.items() if who != "()"}
    assert allowed == {"clipboard-write"}
    assert {"camera", "microphone", "geolocation", "payment", "usb"} <= rules.keys()


@pytest.mark.parametrize(
    ("base_url", "has"),
    [
        ("", False),
        ("http://secrets.example/", False),
        ("https://secrets.example/", True),
        ("https://secrets.example/ots/", True),
    ],
)
async def test_strict_transport_is_asked_for_only_over_tls(
    tmp_path: Path, base_url: str, *, has: bool
) -> None:
    async with opened(tmp_path, base_url=base_url) as (_, client):
        for path in ("/health", "/nowhere", "/ots/health"):
            answer = await client.get(path)
            assert ("strict-transport-security" in answer.headers) is has


# The name in the request


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 404),
        ("127.0.0.1", 404),
        ("127.9.9.9:1", 404),
        ("localhost", 404),
        ("localhost:8080", 404),
        ("LOCALHOST", 404),
        ("[::1]:3000", 404),
        ("::1", 421),
        ("", 421),
        ("secrets.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("evil.example#127.0.0.1", 421),
        ("127.0.0.1:x", 421),
        ("127.0.0.1:99999", 421),
        ("localhost/../evil", 421),
        ("localhost, evil.example", 421),
        ("10.0.0.1", 421),
        ("0.0.0.0", 421),
        ("[::1", 421),
        ("x" * 300, 421),
        ('"><script>', 421),
    ],
)
async def test_another_host_name_is_refused_without_a_base_url(
    client: httpx2.AsyncClient, host: str, status: int
) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, "/nowhere", headers={"host": host})
        assert answer.status_code == status
        assert status == 404 or host not in answer.text or not host


async def test_a_refused_host_is_logged_with_the_setting_and_without_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as (_, client):
        await client.get("/", headers={"host": "elsewhere.example"})

    printed = capsys.readouterr().err
    assert "ONETIME_BASE_URL" in printed
    assert "elsewhere" not in printed


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_a_balancer_may_ask_for_health_by_any_name(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers={"host": "10.1.2.3"})

    assert answer.status_code == 200


async def test_with_a_base_url_links_are_made_from_it_whatever_the_request_says(
    tmp_path: Path,
) -> None:
    async def base(call: Call) -> Answer:
        return text_answer(call.base)

    async with opened(
        tmp_path, [("GET", "/base", base)], base_url="https://secrets.example/ots/"
    ) as (_, client):
        headers = {"host": "evil.example", "x-forwarded-host": "evil.example"}
        for path in ("/base", "/ots/base", "/ots/base/"):
            assert (await client.get(path, headers=headers)).text == "https://secrets.example/ots"


# Pages of other sites

SITES = (None, "same-origin", "same-site", "cross-site", "none", "junk", "")
ORIGINS = (
    None,
    "null",
    HERE,
    HERE.upper(),
    "http://127.0.0.1",
    "https://127.0.0.1:3000",
    "http://127.0.0.1:3001",
    "http://other.example",
    "http://127.0.0.1:3000.other.example",
    "",
)


def is_refused(site: str | None, origin: str | None) -> bool:
    """The table, in the words of the design."""
    if site == "same-origin":
        return False
    if site in {"same-site", "cross-site", "junk", ""}:
        return True
    return origin not in {None, "null", HERE}


COMBINATIONS = list(itertools.product(SITES, ORIGINS))


@pytest.mark.parametrize(("site", "origin"), COMBINATIONS)
def test_the_cross_origin_table(site: str | None, origin: str | None) -> None:
    headers = {}
    if site is not None:
        headers[b"sec-fetch-site"] = site.encode()
    if origin is not None:
        headers[b"origin"] = origin.encode()

    assert security.is_cross_origin(headers, HERE) is is_refused(site, origin)


async def test_the_table_holds_for_every_method(tmp_path: Path) -> None:
    reached = []

    async def handler(call: Call) -> Answer:
        reached.append(call.method)
        return text_answer("reached")

    routes: list[Route] = [("GET POST PUT PATCH DELETE", "/thing", handler)]
    async with opened(tmp_path, routes) as (_, client):
        for (site, origin), method in itertools.product(
            COMBINATIONS, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        ):
            headers = {}
            if site is not None:
                headers["sec-fetch-site"] = site
            if origin is not None:
                headers["origin"] = origin
            reached.clear()
            answer = await client.request(method, "/thing", headers=headers)
            changes = method in {"POST", "PUT", "PATCH", "DELETE"}
            if changes and is_refused(site, origin):
                assert answer.status_code == 403, (site, origin, method)
                assert not reached
            elif method == "OPTIONS":
                assert answer.status_code == 204
                assert not reached
            else:
                assert answer.status_code == 200, (site, origin, method)
                assert reached == [method]


async def test_another_site_neither_conceals_nor_reveals_nor_burns(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, client):
        made = await app.vault.conceal("text")
        for template in TEMPLATES:
            for key in (made.secret_key, made.receipt.receipt_key):
                for headers in (
                    {"origin": "http://other.example"},
                    {"sec-fetch-site": "same-site"},
                ):
                    fields = {"secret": "x", "show": "yes", "burn": "yes", "continue": "true"}
                    answer = await client.post(filled(template, key), data=fields, headers=headers)
                    assert answer.status_code in {403, 405, 404}, template
        receipt = await app.vault.receipt(made.receipt.receipt_key)
        assert receipt.state == "new"
        assert await app.vault.reveal(made.secret_key) == "text"


async def test_no_request_id_of_a_stranger_can_hold_a_key_or_an_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as (app, client):
        made = await app.vault.conceal("text")
        given = [
            made.secret_key,
            made.receipt.receipt_key,
            "203.0.113.77",
            "alice.example",
            "a-b-x",
        ]
        for each in given:
            answer = await client.get("/health", headers={"x-request-id": each})
            assert answer.headers["x-request-id"] != each
        uuid = "0b6c7d3a-8a1e-4f7e-9d55-1f2e3d4c5b6a"
        answer = await client.get("/health", headers={"x-request-id": uuid})
        assert answer.headers["x-request-id"] == uuid

    printed = capsys.readouterr().err
    assert not [each for each in given if each in printed]
    assert uuid in printed


async def test_a_client_that_goes_away_gets_no_answer_and_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as (app, _):
        sent = []

        async def receive() -> dict[str, object]:
            await asyncio.sleep(0)
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            sent.append(message)

        async def reads(call: Call) -> Answer:
            await call.body()
            return text_answer("read")

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/reads",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-length", b"10")],
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 3000),
        }
        await Web(app, [("POST", "/reads", reads)])(scope, receive, send)

    assert sent == []
    assert capsys.readouterr().err == ""


async def test_what_a_page_loads_is_asked_for_without_the_page_s_address(tmp_path: Path) -> None:
    """A link holds its key, and a log of static files must not hold links."""
    async with opened(tmp_path) as (app, client):
        made = await app.vault.conceal("text")
        pages = [
            (await client.get(path)).text
            for path in ("/", f"/secret/{made.secret_key}", f"/receipt/{made.receipt.receipt_key}")
        ]
    tags = [tag for page in pages for tag in re.findall(r"<(?:link|script)\b[^>]*>", page)]
    assert len(tags) >= 9
    assert all('referrerpolicy="no-referrer"' in tag for tag in tags)


async def test_a_proxy_that_is_not_believed_is_told_of_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as (_, client):
        for _each in range(3):
            await client.get("/health/live", headers={"x-forwarded-for": "192.0.2.1"})
    said = capfd.readouterr().err
    assert said.count("ONETIME_TRUSTED_PROXIES") == 1
    assert "192.0.2.1" not in said
