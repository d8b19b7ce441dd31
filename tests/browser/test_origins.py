"""Whose page may do what: our own forms work, pages of others do nothing, links from anywhere open. In a real browser, over
every way of being reached; DESIGN's table of cross-origin requests.

A stranger's page tries every address that takes a POST, by form and by script, with and without saying where it comes from.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser

from onetime.web.routes import ROUTES
from tests import needs
from tests.browser.chromium import HOST, STRANGER
from tests.browser.place import Place, installed
from tests.browser.proxy import certificate, free_port, tls_proxy
from tests.browser.visitor import SECRET, Visitor, visiting
from tests.cli.running import until
from tests.rounds import in_full

WAYS = ["http, loopback", "http, a name", "https, a name", "https, under a path"]


# Of the ways the one with most that can go wrong; loopback is how all other tests come.
FIRST = {"https, under a path"}


@pytest.fixture(scope="module", params=[way if way in FIRST else in_full(way) for way in WAYS])
def reached(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """The same installation, as it is reached in each of the four ways."""
    way: str = request.param
    folder = tmp_path_factory.mktemp("reached")
    if way == WAYS[0]:
        with installed(folder) as place:
            yield place
    elif way == WAYS[1]:
        port = free_port()
        url = f"http://{HOST}:{port}/"
        with installed(folder, {"ONETIME_PORT": str(port), "ONETIME_BASE_URL": url}, url) as place:
            yield place
    else:
        needs.nginx()
        port = free_port()
        url = f"https://{HOST}:{port}/" + ("ots/" if way == WAYS[3] else "")
        settings = {"ONETIME_BASE_URL": url, "ONETIME_TRUSTED_PROXIES": "127.0.0.1"}
        with (
            installed(folder, settings, url) as place,
            tls_proxy(folder, port, place.server.address, certificate(folder, HOST)),
        ):
            yield place


@dataclass
class Stranger:
    """Another site: over plain http and https, and on another port of the host that is visited, too."""

    ports: tuple[int, int]

    def page(self, place: Place, *, near: bool, **words: str) -> str:
        """The address of a page that does what `words` say, of the same scheme as the place."""
        parts = urlsplit(place.url)
        host = parts.hostname if near else STRANGER
        port = self.ports[parts.scheme == "https"]
        query = "&".join(f"{name}={_quoted(value)}" for name, value in words.items())
        return f"{parts.scheme}://{host}:{port}/?{query}"


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        target, body = escape(asked.get("target", "")), asked.get("body", "{}")
        fields = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in json.loads(body).items()
        )
        page = (
            f'<!doctype html><title>Stranger</title><meta name="referrer" content="{asked.get("referrer", "")}">'
            f'<form method="post" action="{target}" enctype="{asked.get("enctype", "")}">{fields}<button>Win</button></form>'
            f'<a id="plain" href="{target}">link</a> <a id="quiet" rel="noreferrer" href="{target}">link</a>'
            f'<iframe sandbox="allow-forms allow-scripts allow-top-navigation" srcdoc="'
            f'{escape(f"""<form method="post" target="_top" action="{target}">{fields}<button>Win</button></form>""")}"></iframe>'
        )
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    folder = tmp_path_factory.mktemp("stranger")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        port = int(server.server_address[1])
        try:
            with contextlib.ExitStack() as stack:
                safe = 0
                if needs.find("nginx"):
                    safe = free_port()
                    made = certificate(folder, STRANGER)
                    stack.enter_context(tls_proxy(folder, safe, f"http://127.0.0.1:{port}/", made))
                yield Stranger((port, safe))
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def alice(browser: Browser, reached: Place, script: bool) -> Iterator[Visitor]:
    with visiting(browser, reached, script=script) as visitor:
        yield visitor


@pytest.fixture
def victim(browser: Browser, reached: Place, script: bool) -> Iterator[Visitor]:
    """Somebody who opens the stranger's page; what that page does in their browser is no fault of ours."""
    with visiting(browser, reached, script=script, strict=False) as visitor:
        yield visitor


# What a stranger would send to each, had they the keys. A route without a line here fails the test below.
BODIES: dict[str, dict[str, Any]] = {
    "/": {"kind": "conceal", "secret": "planted", "ttl": "3600", "once": "0" * 32},
    "/secret/{key}": {"show": "yes"},
    "/secret/{key}/burn": {"burn": "yes"},
    "/receipt/{key}/burn": {"burn": "yes"},
    "/private/{key}/burn": {"burn": "yes"},
    "/api/v1/share": {"secret": "planted"},
    "/api/v1/create": {"secret": "planted"},
    "/api/v1/generate": {"ttl": "3600"},
    "/api/v1/secret/{key}": {"continue": "true"},
    "/api/v1/receipt/{key}/burn": {"continue": "true"},
    "/api/v1/private/{key}/burn": {"continue": "true"},
    "/api/v1/metadata/{key}/burn": {"continue": "true"},
    "/api/e2e/create": {"secret_id": "A" * 43},
    "/api/e2e/look": {"link_proof": "A" * 43},
    "/api/e2e/reveal": {"link_proof": "A" * 43, "open_proof": "A" * 43, "claim": "A" * 22},
    "/api/e2e/settle": {"link_proof": "A" * 43, "claim": "A" * 22},
    "/api/e2e/burn": {"link_proof": "A" * 43, "open_proof": "A" * 43},
    "/api/e2e/receipt": {"secret_id": "A" * 43, "receipt_proof": "A" * 43},
    "/api/e2e/receipt/burn": {"secret_id": "A" * 43, "receipt_proof": "A" * 43},
}
LATER: dict[str, dict[str, Any]] = {
    "secret/conceal": {"secret": {"secret": "planted"}},
    "secret/generate": {"secret": {"ttl": 3600}},
    "secret/{key}/reveal": {"continue": True},
    "receipt/{key}/burn": {"continue": True},
    "private/{key}/burn": {"continue": True},
}
BODIES |= {
    f"/api/{dialect}/{whose}{path}": body
    for dialect in ("v2", "v3")
    for whose in ("", "guest/")
    for path, body in LATER.items()
}
TAKING = sorted({path for methods, path, _ in ROUTES if "POST" in methods.split()})
HARMLESS = re.compile(
    r"/api/v1/\w+/(recent|\{key\})|/api/v[23]/(secret/status|guest/receipts|feedback)"
)


def targets(place: Place, keys: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Every address that takes a POST, with what to send there."""
    for path in TAKING:
        is_secret = "/secret/" in path
        filled = path.replace("{key}", keys[0 if is_secret else 1])
        yield place.url.rstrip("/") + filled, json.dumps(BODIES.get(path, {"a": "b"}))


def test_every_address_that_takes_a_post_is_tried() -> None:
    untried = [path for path in TAKING if path not in BODIES and not HARMLESS.fullmatch(path)]
    assert untried == []


def test_our_own_forms_work(alice: Visitor, script: bool, reached: Place) -> None:
    link = alice.share()
    # With script the browser encrypts, where browsers lend pages their cryptography.
    is_safe = not reached.url.startswith(f"http://{HOST}")
    assert link.startswith(reached.url + ("secret#" if script and is_safe else "secret/"))
    alice.open_link(link)
    alice.send("#show")
    assert alice.page.locator("pre#secret").text_content() == SECRET
    _, receipt = reached.share()
    alice.open(f"receipt/{receipt}")
    alice.page.click("summary >> nth=0")
    alice.page.click("details[open] button")
    assert alice.heading == "Destroyed unread"
    key, receipt = reached.share()
    alice.open(f"secret/{key}")
    alice.page.click("summary >> nth=-1")
    alice.page.click("details[open] button")
    assert reached.state(receipt) == "burned"


def test_a_strangers_form_does_nothing(
    script: bool, victim: Visitor, reached: Place, stranger: Stranger
) -> None:
    """Those of pages from both kinds of stranger; every address is tried by script, below."""
    keys = reached.share()
    before = reached.stored()
    for target, body in targets(reached, keys):
        if "/api/" in target:
            continue
        for near in (False, True):
            victim.page.goto(stranger.page(reached, near=near, target=target, body=body))
            victim.page.click("form button")
            assert victim.document().status == 403, target
            assert reached.stored() == before, target
    assert reached.state(keys[1]) == "new"


def test_a_strangers_script_does_nothing(
    browser: Browser, reached: Place, stranger: Stranger
) -> None:
    """Simple requests arrive and are refused, and the refusal is not read; those that must ask first are never allowed."""
    attack = """async ([target, body]) => {
        const fields = JSON.parse(body);
        const ways = [
            { mode: 'no-cors', body: new URLSearchParams(fields) },
            { mode: 'no-cors', body: JSON.stringify(fields), headers: { 'content-type': 'text/plain' } },
            { mode: 'cors', body: new URLSearchParams(fields) },
            { mode: 'cors', body, headers: { 'content-type': 'application/json' } },
            { mode: 'no-cors', keepalive: true, body: new URLSearchParams(fields) },
        ];
        const read = [];
        for (const way of ways) {
            try {
                const answer = await fetch(target, { method: 'POST', credentials: 'include', ...way });
                read.push(answer.type);
            } catch { read.push('refused'); }
        }
        navigator.sendBeacon(target, new URLSearchParams(fields));
        return read.join();
    }"""
    keys = reached.share()
    before, lines = reached.stored(), len(reached.server.log())
    least = 4 * len(TAKING)
    with visiting(browser, reached, strict=False) as victim:
        victim.page.goto(stranger.page(reached, near=False))
        for target, body in targets(reached, keys):
            read = victim.page.evaluate(attack, [target, body])
            assert read == "refused,refused,refused,refused,refused", target
            assert reached.stored() == before, target

    def answered() -> Counter[tuple[str, int]]:
        return Counter(
            (line["route"], line["status"])
            for line in reached.server.log()[lines:]
            if line["event"] == "request" and line["method"] in {"POST", "OPTIONS"}
        )

    # The log may be a moment behind, at both ends: the share above is the only one that was let through.
    until(lambda: sum(n for (_, status), n in answered().items() if status == 403) >= least)
    passed = {route for route, status in answered() if status not in {403, 204}}
    assert passed <= {"/api/v1/share"}
    assert reached.state(keys[1]) == "new"


def test_a_stranger_who_hides_where_they_are_has_no_authority(
    victim: Visitor, reached: Place, stranger: Stranger
) -> None:
    """`Origin: null`, from a page without referrer or origin. Where browsers say `Sec-Fetch-Site` it is refused; over plain
    http to a name they do not, and it passes for what it is: a request that knows a key, from no session.
    """
    says_site = not reached.url.startswith(f"http://{HOST}")
    keys = reached.share()
    before = reached.stored()
    target, body = reached.url + f"secret/{keys[0]}", json.dumps({"show": "no"})
    victim.page.goto(
        stranger.page(reached, near=False, target=target, body=body, referrer="no-referrer")
    )
    victim.page.click("form button")
    assert victim.document().status == (403 if says_site else 200)
    victim.page.goto(stranger.page(reached, near=False, target=target, body=body))
    victim.page.frame_locator("iframe").locator("button").click()
    victim.page.wait_for_selector("h1")
    assert victim.document().status == (403 if says_site else 200)
    assert reached.stored() == before
    assert reached.state(keys[1]) == "new"


def test_links_in_mails_and_on_other_sites_open(
    victim: Visitor, reached: Place, stranger: Stranger
) -> None:
    key, _ = reached.share(SECRET)
    for link in ("#plain", "#quiet"):
        victim.page.goto(stranger.page(reached, near=False, target=f"{reached.url}secret/{key}"))
        victim.page.click(link)
        assert victim.heading == "Someone sent you a secret"
    victim.send("#show")
    assert victim.page.locator("#secret").text_content() == SECRET


def test_no_page_stands_in_a_strangers_frame(
    browser: Browser, reached: Place, stranger: Stranger
) -> None:
    with visiting(browser, reached, strict=False) as victim:
        victim.page.goto(stranger.page(reached, near=False))
        with victim.page.expect_console_message(lambda each: "frame-ancestors" in each.text):
            victim.page.evaluate(
                "(address) => { const it = document.createElement('iframe'); it.name = 'caught';"
                " it.src = address; document.body.append(it) }",
                reached.url,
            )
        caught = victim.page.wait_for_selector("iframe[name=caught]")
        frame = caught.content_frame() if caught else None
        assert frame
        assert frame.locator("#share").count() == 0


def test_https_is_demanded_only_where_there_is_https(alice: Visitor, reached: Place) -> None:
    alice.open()
    alice.open("nothing")
    alice.open("info/about")
    for answer in alice.responses:
        stated = answer.header_value("strict-transport-security")
        assert (stated is not None) == reached.url.startswith("https:"), answer.url


def test_everything_stays_under_the_path(alice: Visitor, reached: Place) -> None:
    alice.open()
    for path in ("info/about", "info/privacy", "info/terms"):
        alice.page.click(f"footer a[href*='{path}']")
        assert alice.document().status == 200
    alice.page.click("text='Українська'")
    assert alice.document().status == 200
    alice.page.click(".brand")
    alice.page.wait_for_selector("#share")
    assert alice.page.url.startswith(reached.url)
    key, receipt = reached.share()
    alice.open(f"private/{receipt}")
    assert alice.page.url.startswith(f"{reached.url}receipt/")
    alice.open(f"l/{key}")
    assert alice.page.url.startswith(f"{reached.url}secret/")
    assert all(each.url.startswith((reached.url, "data:")) for each in alice.requests)


def test_a_copy_works_without_a_safe_context(browser: Browser, reached: Place) -> None:
    """Over plain http to a name there is no navigator.clipboard; the older way is taken."""
    with visiting(browser, reached, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        link = visitor.share()
        visitor.page.click("[data-copies=link]")
        visitor.page.wait_for_selector("#link-said:has-text('Copied')")
        visitor.page.click("text='Share another secret'")
        visitor.page.click("#secret")
        visitor.page.keyboard.press("Control+v")
        assert visitor.page.input_value("#secret") == link
