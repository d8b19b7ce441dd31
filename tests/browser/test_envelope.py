"""The end-to-end envelope in a real page, under the content policy that our pages have: every vector once more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.crypto.envelope_cases import NAMES
from tests.crypto.envelope_vectors import FOLDER
from tests.needs import ROOT

SCRIPTS = ROOT / "tests" / "js"
TWIN = ROOT / "src" / "onetime" / "static" / "js" / "crypto" / "envelope.js"
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = (
    b'<!doctype html><title>Vectors</title><script type="module" src="envelope_page.js"></script>'
)
PATIENCE_SECONDS = 120


def files() -> dict[str, tuple[str, bytes]]:
    """Everything there is, by its path: the type and the content."""
    found = {
        "/": ("text/html", PAGE),
        "/names.json": ("application/json", json.dumps(NAMES).encode()),
    }
    for path in (SCRIPTS / "envelope_page.js", SCRIPTS / "envelope_cases.js", TWIN):
        found[f"/{path.name}"] = ("text/javascript", path.read_bytes())
    for name in NAMES:
        path = FOLDER / f"{name}.json"
        found[f"/vectors/{name}.json"] = ("application/json", path.read_bytes())
    return found


@pytest.fixture
def address() -> Iterator[str]:
    served = files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = served.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_every_vector_holds_in_a_page(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_function("'answered' in globalThis")
    found = page.evaluate("() => globalThis.answered")
    page.close()

    assert wrong == []
    assert sorted(found) == NAMES
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_body_of_many_records_is_sealed_and_opened_in_a_page(
    browser: Browser, address: str
) -> None:
    """More than one engine's buffer, through streams of the page itself."""
    page = browser.new_page()
    page.goto(address)
    said = page.evaluate(
        """async () => {
            const envelope = await import("./envelope.js");
            const { contentKey } = await envelope.derive(envelope.newLinkKey());
            const content = new Uint8Array(3_000_000).map((_, at) => at * 7);
            const header = {
                kind: "text", length: content.length, createdAt: 1, expiresAt: 2, files: [],
            };
            const parts = [];
            const source = new Blob([content]).stream();
            for await (const part of envelope.sealStream(contentKey, header, source)) {
                parts.push(part);
            }
            const opener = new envelope.Opener(contentKey);
            const got = [];
            for await (const piece of new Blob(parts).stream()) got.push(await opener.add(piece));
            got.push(await opener.end());
            const opened = new Uint8Array(await new Blob(got).arrayBuffer());
            const same = opened.length === content.length
                && opened.every((byte, at) => byte === content[at]);
            return { same, size: new Blob(parts).size === envelope.bodySize(header) };
        }"""
    )
    page.close()
    assert said == {"same": True, "size": True}
