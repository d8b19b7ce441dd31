"""Programs that look at links before people do. None of them may open a secret, and looking at anything changes nothing.

One thing is left out on purpose: an empty POST to /api/v1/secret/K *is* the reveal of API v1, whose clients send just that.
Nobody is given that address as a link.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from onetime.web.api import v1
from onetime.web.pages.static import FILES
from onetime.web.routes import ROUTES, Route
from tests.web.api.transcript import Clock, opened

AGENTS = {
    "Slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Facebook": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp": "WhatsApp/2.23.20.0 A",
    "Telegram": "TelegramBot (like TwitterBot)",
    "Twitter": "Twitterbot/1.0",
    "Discord": "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "LinkedIn": "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Skype, Teams": "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "iMessage": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) "
        "Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"
    ),
    "Bing": (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
        "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"
    ),
    "Google": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "a gateway for mail that passes for a browser": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Safari/537.36"
    ),
}

LINKS = [
    "/secret/{secret}",
    "/secret/{secret}/",
    "/secret/{secret}?continue=true",
    "/secret/{secret}?show=yes",
    "/secret/{secret}/burn",
    "/l/{secret}",
    "/receipt/{receipt}",
    "/receipt/{receipt}/burn",
    "/private/{receipt}",
    "/private/{receipt}/burn",
    "/metadata/{receipt}",
    "/api/v1/secret/{secret}",
    "/api/v1/secret/{secret}?continue=true",
    "/api/v1/receipt/{receipt}",
    "/api/v1/private/{receipt}",
    "/api/v1/metadata/{receipt}",
]
WAYS = ("GET", "HEAD", "POST")
SECRET = "correct horse"


def may_open(method: str, link: str) -> bool:
    return method == "POST" and link.startswith("/api/v1/secret/")


@dataclass
class Visited:
    """A running application and what its database holds."""

    client: httpx2.AsyncClient
    database: Path
    keys: list[dict[str, str]]

    def dump(self) -> list[str]:
        """Every table, index and row; what is not yet checkpointed too."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return list(db.iterdump())

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return await self.client.request(method, path, follow_redirects=True, **more)


@asynccontextmanager
async def visited(folder: Path, routes: list[Route] = ROUTES) -> AsyncIterator[Visited]:
    """With a plain secret, one with a passphrase, a generated one, one that was read, a burned and an expired one."""
    clock = Clock()
    async with opened(folder, clock, routes, metrics=True) as (_, client):

        async def made(path: str) -> dict[str, str]:
            answer = (await client.post(path)).json()
            return {"secret": answer["secret_key"], "receipt": answer["metadata_key"]}

        expired = await made("/api/v1/share?secret=x&ttl=60")
        clock.now += 60
        read, burned = await made("/api/v1/share?secret=x"), await made("/api/v1/share?secret=x")
        await client.post(f"/api/v1/secret/{read['secret']}")
        await client.post(f"/api/v1/private/{burned['receipt']}/burn")
        plain = await made(f"/api/v1/share?secret={quote(SECRET)}")
        locked = await made(f"/api/v1/share?secret={quote(SECRET)}&passphrase=1234")
        generated = await made("/api/v1/generate")
        keys = [plain, locked, generated, read, burned, expired]
        yield Visited(client, folder / "data" / "vault.db", keys)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Visited]:
    async with visited(tmp_path) as service:
        yield service


async def scan(service: Visited, agent: str) -> None:
    """Every link of a plain secret, in every way."""
    before = service.dump()
    for link in LINKS:
        for method in WAYS:
            if may_open(method, link):
                continue
            path = link.format(**service.keys[0])
            answer = await service.ask(method, path, headers={"User-Agent": agent})
            assert SECRET not in answer.text, f"{method} {link}"
            assert service.dump() == before, f"{method} {link}"


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_scanner_leaves_the_secret_readable(service: Visited, agent: str) -> None:
    await scan(service, AGENTS[agent])

    answer = await service.ask("POST", f"/api/v1/secret/{service.keys[0]['secret']}")
    assert answer.json()["value"] == SECRET


async def test_a_page_that_opens_when_it_is_looked_at_is_noticed(tmp_path: Path) -> None:
    broken: list[Route] = [("GET", "/secret/{key}", v1.reveal)]
    async with visited(tmp_path, broken + _without(broken)) as service:
        with pytest.raises(AssertionError, match="GET /secret/"):
            await scan(service, AGENTS["Slack"])


async def test_a_page_that_opens_at_an_empty_post_is_noticed(tmp_path: Path) -> None:
    broken: list[Route] = [("POST", "/secret/{key}", v1.reveal)]
    async with visited(tmp_path, broken + _without(broken)) as service:
        with pytest.raises(AssertionError, match="POST /secret/"):
            await scan(service, AGENTS["Slack"])


def _without(replaced: list[Route]) -> list[Route]:
    taken = {(methods, path) for methods, path, _ in replaced}
    return [route for route in ROUTES if route[:2] not in taken]


async def test_looking_at_any_route_changes_nothing(service: Visited) -> None:
    """Every route, whatever its own methods are; with the key of every kind of secret; with words that mean something."""
    asked = 0
    before = service.dump()
    for path in sorted({path for _, path, _ in ROUTES}):
        for address in _addresses(path, service.keys):
            for method in ("GET", "HEAD", "OPTIONS"):
                for more in _more():
                    answer = await service.ask(method, address, **more)
                    assert answer.status_code < 500, f"{method} {address}"
                    after = service.dump()
                    if path == "/health/ready":
                        assert _without_commits(after) == _without_commits(before)
                        before = after
                    assert after == before, f"{method} {address} {more}"
                    asked += 1
    assert asked > 1000

    # The comparison sees one attempt, one read and one new secret.
    for change in (
        f"/api/v1/secret/{service.keys[1]['secret']}?passphrase=0000",
        f"/api/v1/secret/{service.keys[0]['secret']}",
        "/api/v1/share?secret=x",
    ):
        await service.ask("POST", change)
        assert service.dump() != before
        before = service.dump()


def _without_commits(dump: list[str]) -> list[str]:
    """To know whether it can serve, /health/ready commits a transaction that does nothing; this is where commits are counted."""
    kept = [line for line in dump if not line.startswith('INSERT INTO "writer"')]
    assert len(kept) == len(dump) - 1
    return kept


def _addresses(path: str, keys: list[dict[str, str]]) -> list[str]:
    if "{key}" in path:
        every = [key for pair in keys for key in pair.values()]
        return [path.replace("{key}", key) for key in [*every, "neverwas"]]
    if path.startswith("/static/"):
        return [f"/static/0/{name}" for name in list(FILES)[:3]]
    return [path]


def _more() -> list[dict[str, Any]]:
    words = {"continue": "true", "show": "yes", "burn": "yes", "secret": "x", "passphrase": "1234"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return [
        {},
        {"params": words},
        {"content": "continue=true&show=yes&burn=yes&secret=x&passphrase=1234", "headers": form},
    ]
