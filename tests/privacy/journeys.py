"""Every journey through a live server, right and wrong ways, with canaries in all that a request can carry."""

import base64
import http.client
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from onetime.web.routes import ROUTES
from tests.privacy.canary import Canary

ODD = "<\"&'> \\/ é їжак ✓ +%"
SECRET = Canary("secret", f"kanarienvogel-5b1e77 {ODD}", "kanarienvogel-5b1e77")
PASSPHRASE = Canary("passphrase", f"schluesselwort-9c2d31 {ODD}", "schluesselwort-9c2d31")
GUESS = Canary("wrong passphrase", f"vermutung-41aa90 {ODD}", "vermutung-41aa90")
AGENT = Canary("user agent", 'Brauser-77aa3c/1.0 (X; "<&\'>")', "Brauser-77aa3c")
LANGUAGE = Canary("language", "x-sprache", "")
REFERER = Canary("referer", "http://herkunft-20ee.example/?a=<b>", "herkunft-20ee")
COOKIE = Canary("cookie", "keks-8811=kruemel-8812", "kruemel-8812")
TOKEN = Canary("api token", "zeichen-3f3f:geheim-4e4e", "geheim-4e4e")
REQUEST_ID = Canary("request id", "anfrage.kanari-6d6d", "kanari-6d6d")
HOST = Canary("host", "fremder-wirt-1c1c.example", "fremder-wirt-1c1c")
ONCE = Canary("idempotency key", "wiederholung-7a7b8c9d0e0f", "wiederholung-7a7b8c")
JUNK = Canary("junk", "muell-0b0b0b", "")

PEER = "127.0.0.77"
FORWARDED = "203.0.113.77"
FORWARDED_6 = "2001:db8:77a1:1::77"
ADDRESSES = [
    Canary("address", PEER, ""),
    Canary("network", "127.0.0.0/24", ""),
    Canary("forwarded address", FORWARDED, "203.0.113"),
    Canary("forwarded network", "203.0.113.0/24", ""),
    Canary("forwarded IPv6 address", FORWARDED_6, "2001:db8:77a1"),
    Canary("forwarded IPv6 network", "2001:db8:77a1::/48", ""),
    Canary("forwarded IPv6 address in full", "2001:0db8:77a1:0001:0000:0000:0000:0077", ""),
    Canary("packed IPv6 network", bytes.fromhex("20010db877a1").hex(), ""),
]
CANARIES = [
    SECRET,
    PASSPHRASE,
    GUESS,
    AGENT,
    LANGUAGE,
    REFERER,
    COOKIE,
    TOKEN,
    REQUEST_ID,
    HOST,
    ONCE,
    JUNK,
    *ADDRESSES,
]


FAR_TOO_LARGE = 1_000_000


@dataclass
class Seen:
    """One answer."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> dict[str, Any]:
        found = json.loads(self.content)
        assert isinstance(found, dict)
        return found


@dataclass
class Visitor:
    """Sends canaries with every request; keeps the answers, and the keys it was given as further canaries."""

    url: str
    source: str = PEER
    forwarded: str = ""
    answers: list[Seen] = field(default_factory=list)
    given: list[Canary] = field(default_factory=list)

    def send(
        self,
        method: str,
        path: str,
        content: bytes | str | None = None,
        content_type: str = "",
        **headers: str,
    ) -> Seen:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=30, source_address=(self.source, 0)
        )
        said = {
            "User-Agent": AGENT.value,
            "Accept-Language": f"{LANGUAGE.value}, en",
            "Referer": REFERER.value,
            "Cookie": COOKIE.value,
            "X-Request-Id": REQUEST_ID.value,
        }
        if self.forwarded:
            said["X-Forwarded-For"] = self.forwarded
        if content_type:
            said["Content-Type"] = content_type
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = content.encode() if isinstance(content, str) else content
        try:
            connection.request(method, path, body, said)
            response = connection.getresponse()
            seen = Seen(response.status, response.getheaders(), response.read())
        except (ConnectionResetError, BrokenPipeError):
            # Of a body far too large the server may close before this client looks for the answer.
            assert body is not None
            assert len(body) > FAR_TOO_LARGE
            seen = Seen(413, [], b"")
        finally:
            connection.close()
        self.answers.append(seen)
        return seen

    def form(self, path: str, fields: Mapping[str, str], method: str = "POST") -> Seen:
        return self.send(method, path, urlencode(fields), "application/x-www-form-urlencoded")

    def raw(self, request: bytes) -> bytes:
        """Bytes as they are, to the end of the answer."""
        parts = urlsplit(self.url)
        with socket.create_connection(
            (parts.hostname or "", parts.port or 0), timeout=30, source_address=(self.source, 0)
        ) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                try:
                    return stream.read()
                except ConnectionResetError:
                    return b""

    def know(self, name: str, value: str) -> str:
        self.given.append(Canary(name, value))
        return value


# API v1


def share(visitor: Visitor, **fields: str) -> tuple[str, str]:
    """Both keys of a new secret."""
    seen = visitor.form("/api/v1/share", {"secret": SECRET.value, "ttl": "3600", **fields})
    assert seen.status == 200, seen.text
    return _keys(visitor, seen)


def _keys(visitor: Visitor, seen: Seen) -> tuple[str, str]:
    found = seen.json()
    secret_key = visitor.know("secret key", found["secret_key"])
    return secret_key, visitor.know("receipt key", found["metadata_key"])


def share_by_api(visitor: Visitor) -> list[str]:
    """In every way of sending; gives the secret keys, which still live."""
    fields = {"secret": SECRET.value, "passphrase": PASSPHRASE.value, "ttl": "3600"}
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    multipart = "".join(part.format(*each) for each in fields.items()) + "--b--\r\n"
    ways: list[tuple[str, str, str]] = [
        ("/api/v1/share", urlencode(fields), "application/x-www-form-urlencoded"),
        ("/api/v1/share", json.dumps(fields), "application/json"),
        ("/api/v1/create", multipart, "multipart/form-data; boundary=b"),
        ("/api/v1/share", urlencode(fields), ""),
        (f"/api/v1/share?{urlencode(fields)}", "", ""),
    ]
    keys = []
    for path, content, content_type in ways:
        seen = visitor.send("POST", path, content, content_type)
        assert seen.status == 200, seen.text
        keys.append(_keys(visitor, seen)[0])
    return keys


def use_api(visitor: Visitor) -> None:
    """Create, wrong passphrase, reveal, burn, receipt, generate: each door and each refusal."""
    with_passphrase = {"passphrase": PASSPHRASE.value}
    wrong = {"passphrase": GUESS.value}
    plain, plain_receipt = share(visitor)
    opened, opened_receipt = share(visitor, **with_passphrase)
    burned, burned_receipt = share(visitor, **with_passphrase)
    for name in ("private", "metadata", "receipt"):
        assert visitor.send("GET", f"/api/v1/{name}/{opened_receipt}").status == 200
        assert visitor.form(f"/api/v1/{name}/{opened_receipt}", {}).status == 200
    assert visitor.form(f"/api/v1/secret/{opened}", wrong).status == 404
    assert visitor.form(f"/api/v1/secret/{opened}", {}).status == 404
    assert visitor.form(f"/api/v1/private/{burned_receipt}/burn", wrong).status == 404
    assert visitor.form(f"/api/v1/secret/{plain}", {}).json()["value"] == SECRET.value
    again = visitor.send(
        "POST", f"/api/v1/secret/{opened}", json.dumps(with_passphrase), "application/json"
    )
    assert again.json()["value"] == SECRET.value
    assert visitor.form(f"/api/v1/private/{burned_receipt}/burn", with_passphrase).status == 200
    for key, receipt in (
        (plain, plain_receipt),
        (opened, opened_receipt),
        (burned, burned_receipt),
    ):
        assert visitor.form(f"/api/v1/secret/{key}", with_passphrase).status == 404
        assert visitor.form(f"/api/v1/private/{receipt}/burn", with_passphrase).status == 404
        assert visitor.send("GET", f"/api/v1/private/{receipt}").status == 200
    made = visitor.form("/api/v1/generate", {"ttl": "3600", **with_passphrase})
    visitor.know("generated value", made.json()["value"])
    _, receipt = _keys(visitor, made)
    assert visitor.send("GET", f"/api/v1/private/{receipt}").status == 200
    assert visitor.send("GET", "/api/v1/status").status == 200


# API v2 and v3


def use_records(visitor: Visitor) -> None:
    """The same by the other two: each door and each refusal, and a create that is sent twice."""
    for base in ("/api/v2", "/api/v2/guest", "/api/v3/guest"):
        passphrase = {"passphrase": PASSPHRASE.value}
        key = f"{ONCE.value}-{os.urandom(8).hex()}"
        for _ in range(2):
            fields = {"secret": SECRET.value, "ttl": "3600", **passphrase}
            made = _post(visitor, f"{base}/secret/conceal", {"secret": fields}, Idempotency_Key=key)
        secret, receipt = _record_keys(visitor, made)
        assert visitor.send("GET", f"{base}/secret/{secret}").status == 200
        assert visitor.send("GET", f"{base}/receipt/{receipt}").status == 200
        wrong = {"passphrase": GUESS.value, "continue": True}
        assert _post(visitor, f"{base}/secret/{secret}/reveal", wrong).status == 422
        assert _post(visitor, f"{base}/receipt/{receipt}/burn", wrong).status == 422
        right = {**passphrase, "continue": True}
        if base == "/api/v2":
            seen = _post(visitor, f"{base}/secret/{secret}/reveal", right)
            assert seen.json()["record"]["secret_value"] == SECRET.value
        else:
            assert _post(visitor, f"{base}/receipt/{receipt}/burn", right).status == 200
        assert _post(visitor, f"{base}/secret/{secret}/reveal", right).status == 404
        assert visitor.send("GET", f"{base}/receipt/{receipt}").status == 200
        made = _post(visitor, f"{base}/secret/generate", {"secret": passphrase})
        visitor.know("generated value", made.json()["record"]["secret"]["secret_value"])
        secret, receipt = _record_keys(visitor, made)
        status = {"identifiers": [secret, SECRET.value]}
        assert _post(visitor, "/api/v3/secret/status", status).json()["count"] == 1
        receipts = {"identifiers": [receipt, SECRET.value]}
        assert _post(visitor, "/api/v3/guest/receipts", receipts).json()["count"] == 1
        for text in (SECRET.value, {SECRET.value: SECRET.value}):
            assert _post(visitor, f"{base}/secret/conceal", {"secret": text}).status == 422
        feedback = {"msg": SECRET.value}
        assert _post(visitor, "/api/v3/feedback", feedback).status == 403


def _post(visitor: Visitor, path: str, words: object, **headers: str) -> Seen:
    return visitor.send("POST", path, json.dumps(words), "application/json", **headers)


def _record_keys(visitor: Visitor, seen: Seen) -> tuple[str, str]:
    found = seen.json()["record"]
    secret_key = visitor.know("secret key", found["secret"]["key"])
    return secret_key, visitor.know("receipt key", found["receipt"]["key"])


# Pages


class _Forms(HTMLParser):
    """The forms of a page: address, and fields with the values that they have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.once: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag in {"input", "textarea"} and self.found and "name" in given:
            if given.get("type") in {"radio", "checkbox"} and "checked" not in given:
                return
            self.found[-1][1][given["name"]] = given.get("value", "")


def _forms(seen: Seen) -> _Forms:
    forms = _Forms()
    forms.feed(seen.text)
    return forms


def submit(visitor: Visitor, path: str, seen: Seen, *, holding: str = "", **fields: str) -> Seen:
    """Send the first form of a page that has the field `holding`."""
    for action, known in _forms(seen).found:
        if not holding or holding in known:
            target = urlsplit(urljoin(visitor.url + path.lstrip("/"), action)).path
            if known.get("once"):
                visitor.know("one-time value of the form", known["once"])
            return visitor.form(target, {**known, **fields})
    raise AssertionError(f"{path} has no form with {holding!r}")


def share_by_page(visitor: Visitor, **fields: str) -> tuple[str, str]:
    """Both keys, read off the result."""
    seen = submit(
        visitor,
        "/",
        visitor.send("GET", "/"),
        holding="secret",
        secret=SECRET.value,
        ttl="3600",
        **fields,
    )
    assert seen.status == 200, seen.text
    secret_key = re.search(r"/secret/([0-9a-z]{31})", seen.text)
    receipt_key = re.search(r"/receipt/([0-9a-z]{31})", seen.text)
    assert secret_key
    assert receipt_key
    visitor.know("secret key", secret_key[1])
    visitor.know("receipt key", receipt_key[1])
    return secret_key[1], receipt_key[1]


def use_pages(visitor: Visitor) -> None:
    """As people do: the form, the result, the receipt, the link; wrong and right passphrases; burning from both sides."""
    plain, plain_receipt = share_by_page(visitor)
    opened, opened_receipt = share_by_page(visitor, passphrase=PASSPHRASE.value)
    burned, burned_receipt = share_by_page(visitor, passphrase=PASSPHRASE.value)
    refused, _ = share_by_page(visitor, passphrase=PASSPHRASE.value)
    share_by_page(visitor, kind="generate", passphrase=PASSPHRASE.value)

    page = visitor.send("GET", f"/secret/{plain}")
    assert SECRET.core in submit(visitor, f"/secret/{plain}", page, holding="show").text
    page = visitor.send("GET", f"/secret/{opened}")
    wrong = submit(visitor, f"/secret/{opened}", page, holding="show", passphrase=GUESS.value)
    assert SECRET.core not in wrong.text
    right = submit(visitor, f"/secret/{opened}", page, holding="show", passphrase=PASSPHRASE.value)
    assert SECRET.core in right.text
    page = visitor.send("GET", f"/receipt/{burned_receipt}")
    submit(visitor, f"/receipt/{burned_receipt}", page, holding="burn")
    page = visitor.send("GET", f"/secret/{refused}")
    for passphrase in (GUESS.value, PASSPHRASE.value):
        submit(visitor, f"/secret/{refused}", page, holding="burn", passphrase=passphrase)
    for key in (plain, opened, burned, refused):
        assert visitor.send("GET", f"/secret/{key}").status == 404
        visitor.form(f"/secret/{key}", {"show": "yes", "passphrase": PASSPHRASE.value})
        for old in ("private", "metadata", "l"):
            visitor.send("GET", f"/{old}/{key}")
    for receipt in (plain_receipt, opened_receipt, burned_receipt):
        assert visitor.send("GET", f"/receipt/{receipt}").status == 200
    # What the form refuses: everything typed comes back, and nothing of it is kept.
    page = visitor.send("GET", "/")
    for fields in ({"ttl": "1"}, {"passphrase": "ab"}, {"ttl": GUESS.value}, {"length": "x"}):
        asked = {"secret": SECRET.value, "passphrase": PASSPHRASE.value, "ttl": "3600", **fields}
        submit(visitor, "/", page, holding="secret", **asked)


# Everything that is wrong


def hostile(visitor: Visitor, key: str) -> None:
    """Wrong requests of every kind. `key` is of a living secret: it stays."""
    everything = {
        "secret": SECRET.value,
        "passphrase": PASSPHRASE.value,
        GUESS.value: JUNK.value,
        "ttl": SECRET.value,
    }
    encoded = urlencode(everything)
    paths = {re.sub(r"\{\w+\}", key, path) for _, path, _ in ROUTES}
    paths |= {re.sub(r"\{\w+\}", quote(SECRET.value, safe=""), path) for _, path, _ in ROUTES}
    paths |= {f"/{quote(SECRET.value)}", f"/api/{quote(SECRET.value)}", f"/api/v1/{JUNK.value}"}
    for path in sorted(paths):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            visitor.send(method, f"{path}?{encoded}")
        visitor.form(f"{path}?{encoded}", {"passphrase": GUESS.value, "muell": JUNK.value})
    broken: list[tuple[bytes | str, str]] = [
        (json.dumps(everything)[:-4], "application/json"),
        (json.dumps([everything]), "application/json"),
        (json.dumps({"secret": {"a": [SECRET.value]}}), "application/json"),
        (json.dumps({"secret": SECRET.value, "passphrase": [GUESS.value]}), "application/json"),
        ("[" * 3000 + json.dumps(SECRET.value), "application/json"),
        (SECRET.value.encode() + b"\xff\xfe\x80", "application/x-www-form-urlencoded"),
        (b"secret=" + SECRET.core.encode() + b"%ff%fe", "application/x-www-form-urlencoded"),
        (f"--b\r\n{SECRET.value}", "multipart/form-data; boundary=b"),
        (SECRET.value, f"multipart/form-data; boundary={JUNK.value}"),
        (SECRET.value, f"text/{JUNK.value}"),
        ("&".join(f"{JUNK.value}{n}={n}" for n in range(300)), ""),
        (urlencode({"secret": SECRET.value * 3000}), ""),
        (urlencode({"secret": SECRET.value * 30000}), ""),
        (json.dumps({"secret": SECRET.value, "passphrase": GUESS.value * 9}), "application/json"),
        (json.dumps({"secret": "\ud800" + SECRET.value}), "application/json"),
    ]
    for content, content_type in broken:
        for path in ("/api/v1/share", f"/api/v1/secret/{key}", "/", f"/secret/{key}"):
            visitor.send("POST", path, content, content_type)
    basic = base64.b64encode(TOKEN.value.encode()).decode()
    for headers in (
        {"Authorization": f"Basic {basic}"},
        {"Authorization": f"Bearer {TOKEN.core}"},
        {"Host": HOST.value},
        {"Origin": REFERER.value},
        {"Sec_Fetch_Site": "cross-site"},
        {"X_Forwarded_For": f"{JUNK.value}, {FORWARDED}"},
        {"X_Forwarded_For": JUNK.value},
        {"X_Forwarded_Host": HOST.value, "X_Forwarded_Proto": JUNK.value},
        {"Forwarded": f"for={FORWARDED};host={HOST.value}"},
        {"X_Request_Id": key},
        {"X_Request_Id": FORWARDED},
        {"X_Request_Id": SECRET.core},
        {"Content_Length": JUNK.value},
        {"X_Junk": JUNK.value * 4000},
    ):
        for path in ("/api/v1/share", "/"):
            visitor.send("POST", path, encoded, "application/x-www-form-urlencoded", **headers)
    for request in _malformed(visitor.url, key, encoded):
        visitor.raw(request)


def _malformed(url: str, key: str, encoded: str) -> list[bytes]:
    """What no library would send."""
    host = urlsplit(url).netloc
    secret = SECRET.core
    head = f"Host: {host}\r\nUser-Agent: {AGENT.value}\r\n"
    post = f"POST /api/v1/share HTTP/1.1\r\n{head}"
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    size = len(encoded)
    return [
        line.encode("latin-1", "ignore")
        for line in (
            f"{secret} / HTTP/1.1\r\n{head}\r\n",
            f"GET /secret/{key} {secret} HTTP/1.1\r\n{head}\r\n",
            f"GET /{secret} HTTP/9.9\r\n{head}\r\n",
            f"GET /secret/{key} HTTP/1.1\r\n{secret}\r\n\r\n",
            f"{post}Content-Length: {secret}\r\n\r\n{encoded}",
            f"{post}Content-Length: 1\r\nContent-Length: {size}\r\n\r\n{encoded}",
            f"{post}Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n{encoded}",
            f"{post}Transfer-Encoding: chunked\r\n\r\n{secret}\r\n",
            f"{post}Content-Length: 9999\r\n\r\n{encoded}",
            f"GET http://{HOST.value}/secret/{key} HTTP/1.1\r\n{head}\r\n",
            f"GET /secret/{key}\x00{secret} HTTP/1.1\r\n{head}\r\n",
            f"GET / HTTP/1.1\r\n{head}X: {secret * 5000}\r\n\r\n",
            f"GET / HTTP/1.1\r\n{head}{upgrade}Sec-WebSocket-Key: {secret}\r\n\r\n",
            f"{secret}\n\n{encoded}",
        )
    ]
