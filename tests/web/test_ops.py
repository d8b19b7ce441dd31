"""Health and metrics, for whoever runs the service."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx2
import pytest

from onetime import __version__
from onetime.app import App, build
from onetime.crypto.hashing import Cost, Hasher
from onetime.settings import Settings
from onetime.web.asgi import Web
from onetime.web.routes import ROUTES

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
STRANGER = ("192.0.2.1", 4000)


@asynccontextmanager
async def opened(
    folder: Path, peer: tuple[str, int] = ("127.0.0.1", 4000), **settings: object
) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    given = {"data_dir": folder / "data", "disk_reserve": 0, **settings}
    async with build(Settings(**given), hasher=Hasher(cost=QUICK)) as app:  # type: ignore[arg-type]
        transport = httpx2.ASGITransport(app=Web(app), client=peer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield app, client


async def test_health_says_what_the_compatible_service_says(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, client):
        answer = await client.get("/health")

        assert answer.status_code == 200
        found = answer.json()
        assert found["status"] == "ok"
        assert found["version"] == __version__
        assert abs(found["timestamp"] - app.store.now()) <= 1


async def test_ready_as_soon_as_it_can_serve(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_ready_asks_the_store_and_live_does_not(tmp_path: Path) -> None:
    """The store is broken for real: its tables are taken away from under it."""
    async with opened(tmp_path) as (_, client):
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
            db.execute("ALTER TABLE writer RENAME TO taken_away")
            db.commit()
            broken = await client.get("/health/ready")
            live = await client.get("/health/live")
            db.execute("ALTER TABLE taken_away RENAME TO writer")
            db.commit()
        whole = await client.get("/health/ready")

    assert broken.status_code == 503
    assert broken.json() == {"status": "unavailable"}
    assert int(broken.headers["retry-after"]) > 0
    assert live.status_code == 200
    assert whole.status_code == 200


@pytest.mark.parametrize(("ahead", "said"), [(29.0, {}), (-64.2, {"clock_seconds_ahead": -64})])
async def test_ready_says_when_the_clock_is_not_the_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, said: dict[str, int]
) -> None:
    async with opened(tmp_path) as (app, client):
        monkeypatch.setattr(app.store, "skew", lambda: ahead)
        answer = await client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", **said}


async def test_ready_writes(tmp_path: Path) -> None:
    """A store that can only be read is not ready."""
    async with opened(tmp_path) as (_, client):
        with closing(sqlite3.connect(tmp_path / "data" / "vault.db")) as db:
            before = db.execute("SELECT token FROM writer").fetchall()
            await client.get("/health/ready")
            assert db.execute("SELECT token FROM writer").fetchall() != before


async def test_metrics_are_off_unless_switched_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        off = await client.get("/metrics")
        nowhere = await client.get("/nowhere")

    assert off.status_code == nowhere.status_code == 404


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        (("127.0.0.1", 1), {}, 200),
        (("127.0.0.9", 1), {}, 200),
        (("::1", 1), {}, 200),
        (STRANGER, {}, 404),
        (("", 0), {}, 404),
        (("::ffff:192.0.2.1", 1), {}, 404),
        # From a proxy on this machine.
        (("127.0.0.1", 1), {"x-forwarded-for": "192.0.2.1"}, 404),
        (("127.0.0.1", 1), {"x-forwarded-for": "127.0.0.1"}, 404),
        (("127.0.0.1", 1), {"x-real-ip": "192.0.2.1"}, 404),
        (("127.0.0.1", 1), {"forwarded": "for=192.0.2.1"}, 404),
        (("127.0.0.1", 1), {"via": "1.1 proxy"}, 404),
        (STRANGER, {"x-forwarded-for": "127.0.0.1"}, 404),
    ],
)
async def test_metrics_are_for_this_machine_alone(
    tmp_path: Path, peer: tuple[str, int], headers: dict[str, str], status: int
) -> None:
    async with opened(tmp_path, peer, metrics=True, trusted_proxies=()) as (_, client):
        assert (await client.get("/metrics", headers=headers)).status_code == status


async def test_labels_are_bounded_whatever_is_asked(tmp_path: Path) -> None:
    async with opened(tmp_path, metrics=True) as (_, client):
        for number in range(50):
            for method in ("GET", "POST", "DELETE", f"M{number}"):
                await client.request(method, f"/junk-{number}?a={number}")
                await client.request(method, f"/api/v1/junk/{number}")
                await client.request(method, f"/secret/{number:031d}")
                await client.request(method, "/health", headers={"host": f"h{number}.example"})
        text = (await client.get("/metrics")).text

    templates = {path for _, path, _ in ROUTES} | {"unrouted"}
    labels = re.findall(r'method="([^"]*)",route="([^"]*)",status="([^"]*)"', text)
    assert labels
    for method, route, status in labels:
        assert method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
        assert route in templates
        assert status in {"2xx", "3xx", "4xx", "5xx"}
    assert "junk-" not in text
    assert "h1.example" not in text


async def test_a_template_cannot_be_asked_for_as_a_path(tmp_path: Path) -> None:
    """`/secret/{key}` is a name in the log, not a page."""
    async with opened(tmp_path, metrics=True) as (_, client):
        for _, path, _ in ROUTES:
            answer = await client.get(path)
            assert answer.status_code < 500
