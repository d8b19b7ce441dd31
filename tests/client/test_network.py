"""The client where the network is not kind: cut lines, servers that are something else, proxies, certificates; and that no
key or proof gets where it does not belong.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from onetime import errors
from onetime.client import Client, new_claim, parse_link
from onetime.crypto import envelope
from tests.browser.proxy import certificate
from tests.cli.running import Server, serving
from tests.client.cutting import How, Line, cutting, tunnelling

# For `make faults`, like all that breaks lines on purpose.
pytestmark = pytest.mark.full

HERE = "https://secrets.example/"
KEY = "D3CSNUWufwEnBC2_CsexPc_v0H3gyI1cMoZowGjohJY"
LINK = f"{HERE}secret#{KEY}"
PASSPHRASE = "battery staple"

every_cut = pytest.mark.parametrize("how", ["before", "lost", "middle"])


@pytest.fixture
def cut_client(line: Line) -> Iterator[Client]:
    """Its every request goes through the line that cuts."""
    with Client(line.address) as client:
        yield client


# Cut lines


@every_cut
def test_a_create_is_repeated_under_the_same_id(cut_client: Client, line: Line, how: How) -> None:
    line.cut("create", how)
    shared = cut_client.share("text", passphrase=PASSPHRASE)
    first, second = line.sent("create")
    assert (first.head, first.body) == (second.head, second.body)
    assert cut_client.receipt(shared.receipt_link).state == "new"
    assert cut_client.reveal(shared.link, passphrase=PASSPHRASE).text == "text"


@every_cut
def test_a_reveal_is_repeated_with_the_same_claim(cut_client: Client, line: Line, how: How) -> None:
    shared = cut_client.share("text")
    line.cut("reveal", how, times=2)
    assert cut_client.reveal(shared.link).text == "text"
    assert len({each.body for each in line.sent("reveal")}) == 1
    assert len(line.sent("reveal")) == 3


@every_cut
@pytest.mark.parametrize("verb", ["terms", "look", "receipt"])
def test_a_question_is_asked_again(cut_client: Client, line: Line, how: How, verb: str) -> None:
    shared = cut_client.share("text")
    line.cut(verb, how)
    cut_client.terms()
    assert cut_client.look(shared.link).state == "new"
    assert cut_client.receipt(shared.receipt_link).state == "new"


@every_cut
def test_a_settle_is_repeated(cut_client: Client, line: Line, how: How) -> None:
    shared = cut_client.share("text")
    revealed = cut_client.reveal(shared.link)
    line.cut("settle", how)
    cut_client.settle(revealed)
    assert cut_client.receipt(shared.receipt_link).acknowledged


@every_cut
def test_a_burn_by_receipt_is_repeated(cut_client: Client, line: Line, how: How) -> None:
    """If the first try has burned it, the receipt knows."""
    shared = cut_client.share("text")
    line.cut("receipt/burn", how)
    cut_client.burn(shared.receipt_link)
    assert cut_client.receipt(shared.receipt_link).state == "burned"


def test_a_burn_by_link_does_not_claim_what_it_cannot_know(cut_client: Client, line: Line) -> None:
    shared = cut_client.share("text")
    line.cut("burn", "lost")
    with pytest.raises(errors.NotFound, match="burned, or opened before"):
        cut_client.burn(shared.link)
    assert cut_client.receipt(shared.receipt_link).state == "burned"


def test_a_create_whose_secret_is_gone_already_has_still_happened(server: Server) -> None:
    """The answer was lost, and before the second try somebody has burned it."""

    def meanwhile(request: httpx2.Request) -> None:
        other.burn(shared_links[0])

    shared_links: list[str] = []
    with (
        Client(server.address) as other,
        Client(server.address, transport=Losing(meanwhile)) as client,
    ):
        sealed = client.seal("text")
        shared_links.append(sealed.receipt_link)
        shared = client.create(sealed)
        assert shared.link == sealed.link
        assert client.receipt(shared.receipt_link).state == "burned"


class Losing(httpx2.BaseTransport):
    """Loses the first answer to a create, after something else has happened."""

    def __init__(self, meanwhile: Callable[[httpx2.Request], None]) -> None:
        self.inner = httpx2.HTTPTransport()
        self.meanwhile = meanwhile
        self.lost = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self.inner.handle_request(request)
        if request.url.path.endswith("/create") and not self.lost:
            self.lost = True
            response.read()
            self.meanwhile(request)
            raise httpx2.ReadError("cut", request=request)
        return response

    def close(self) -> None:
        self.inner.close()


def test_in_the_end_it_gives_up_and_the_claim_comes_back(line: Line) -> None:
    with Client(line.address, retries=1) as client:
        shared = client.share("text")
        claim = new_claim()
        line.cut("reveal", "lost", times=2)
        with pytest.raises(errors.Unreachable) as lost:
            client.reveal(shared.link, claim=claim)
        assert lost.value.reason == "the connection was cut"
        assert lost.value.may_have_arrived
        assert client.receipt(shared.receipt_link).state == "claimed"
        assert client.reveal(shared.link, claim=claim).text == "text"


@pytest.mark.parametrize("how", ["lost", "middle"])
def test_what_is_sealed_is_sent_once(cut_client: Client, line: Line, how: How) -> None:
    """API v1 knows no id of the client's and no claim: twice would be two secrets, or the answer that there is none."""
    line.cut("share", how)
    with pytest.raises(errors.Unreachable):
        cut_client.share("text", sealed=True)
    assert len(line.sent("share")) == 1
    shared = cut_client.share("text", sealed=True)
    line.cut(parse_link(shared.link).key, how)  # type: ignore[arg-type]
    with pytest.raises(errors.Unreachable):
        cut_client.reveal(shared.link)
    assert cut_client.receipt(shared.receipt_link).state == "revealed"


@every_cut
def test_a_sealed_burn_asks_its_receipt(cut_client: Client, line: Line, how: How) -> None:
    shared = cut_client.share("text", sealed=True)
    line.cut("burn", how)
    cut_client.burn(shared.receipt_link)
    assert cut_client.receipt(shared.receipt_link).state == "burned"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", retries=1) as client,
        pytest.raises(errors.Unreachable) as refused,
    ):
        client.terms()
    assert refused.value.server == f"127.0.0.1:{port}"
    assert refused.value.reason == "Connection refused"
    assert not refused.value.may_have_arrived


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Client(address, timeout=0.2, retries=0) as client,
            pytest.raises(errors.Unreachable) as refused,
        ):
            client.terms()
    assert refused.value.reason == "nothing came for 0.2 seconds"


# What answers there


def answering(*answers: httpx2.Response) -> tuple[Client, list[httpx2.Request]]:
    """A client whose requests get these answers, and the requests."""
    requests: list[httpx2.Request] = []
    left = list(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return left.pop(0)

    return Client(HERE, transport=httpx2.MockTransport(answer)), requests


def raw(
    status: int, body: bytes | Iterator[bytes] = b"", headers: dict[str, str] | None = None
) -> httpx2.Response:
    content = iter([body]) if isinstance(body, bytes) else body
    return httpx2.Response(status, content=content, headers=headers)


TERMS = {
    "version": 1,
    "max_body_bytes": 1000,
    "max_secret_bytes": 1000,
    "min_ttl": 60,
    "default_ttl": 600,
    "max_ttl": 6000,
    "reveal_window": 600,
    "now": 1785000000,
}


RECEIPT = {
    "state": "claimed",
    "has_passphrase": False,
    "created_at": 1785000000,
    "secret_expires_at": 1785000600,
    "expires_at": 1785001200,
    "ended_at": 1785000300,
    "acknowledged": False,
    "acknowledged_at": 1785000400,
    "window_ends_at": 1785000900,
    "wrong_tries": 0,
    "closed": False,
    "now": 1785000500,
}


def terms(**changes: object) -> bytes:
    return json.dumps(TERMS | changes).encode()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_temporary_answer_is_no_last_one(status: int) -> None:
    client, requests = answering(raw(status, b"<html>"), raw(200, terms()))
    assert client.terms().now == TERMS["now"]
    assert len(requests) == 2


def test_a_server_that_asks_for_patience_is_believed_up_to_a_point() -> None:
    full = json.dumps({"error": {"code": "full", "message": ""}}).encode()
    client, requests = answering(raw(503, full, {"Retry-After": "60"}))
    with pytest.raises(errors.Full):
        client.terms()
    assert len(requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        raw(200, b"<!doctype html>"),
        raw(200, b"[]"),
        raw(200, b"{}"),
        raw(200, b"\xff"),
        raw(200, b"[" * 60_000),
        raw(200, b'{"now":' + b"9" * 5000 + b"}"),
        raw(200, terms(version=2)),
        raw(200, terms(now="1785000000")),
        raw(200, terms(now=True)),
        raw(200, terms(now=-1)),
        raw(200, terms(now=2**60)),
        raw(200, terms(now=253_402_300_800)),
        raw(200, terms(now=1.5)),
        raw(200, gzip.compress(terms()), {"Content-Encoding": "gzip"}),
        raw(404, b"Not Found"),
        raw(404, b'{"detail": "Not Found"}'),
        raw(404, b'{"error": "Not Found"}'),
        raw(400, b'{"error": {"code": "strange", "message": ""}}'),
        raw(500, b"<html>"),
        raw(204),
        raw(200, iter([b" " * 65_536] * 1000)),
    ],
)
def test_what_is_no_onetime_server(answer: httpx2.Response) -> None:
    client, requests = answering(answer)
    with pytest.raises(errors.Foreign):
        client.terms()
    assert len(requests) == 1


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(65_536)

    client, _ = answering(raw(200, endless()))
    with pytest.raises(errors.Foreign):
        client.terms()
    assert read <= 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["https://elsewhere.example/api/e2e/terms", "/other", "\x1b[2J", ""]
)
def test_redirects_are_not_followed(status: int, location: str) -> None:
    client, requests = answering(raw(status, b"", {"Location": location}), raw(200, terms()))
    with pytest.raises(errors.Foreign) as refused:
        client.terms()
    assert len(requests) == 1
    assert "\x1b" not in str(refused.value)
    assert ("https://elsewhere.example" in str(refused.value)) == ("elsewhere" in location)


def test_a_body_that_is_another_is_not_opened() -> None:
    now = {"Onetime-Window-Ends-At": "1785000600", "Onetime-Now": "1785000000"}
    octets = now | {"Content-Type": "application/octet-stream"}
    other = envelope.seal(bytes(32), envelope.Header(length=4, created_at=0, expires_at=9), b"text")
    client, _ = answering(raw(200, other, octets), raw(200, b"", octets), raw(200, b"x", now))
    for _each in range(2):
        with pytest.raises(errors.Undecryptable):
            client.reveal(LINK)
    with pytest.raises(errors.Foreign):
        client.reveal(LINK)


@pytest.mark.parametrize("name", [name for name in RECEIPT if name.endswith("_at")] + ["now"])
def test_an_instant_that_is_no_date_is_not_told(name: str) -> None:
    client, _ = answering(raw(200, json.dumps(RECEIPT | {name: 2**53 - 1}).encode()))
    with pytest.raises(errors.Foreign):
        client.receipt(f"{HERE}receipt#{'A' * 86}")


@pytest.mark.parametrize("ends_at", [253_402_300_800, 10**14])
def test_a_window_that_ends_at_no_date_is_none(ends_at: int) -> None:
    link_key = envelope.parse_link_key(KEY)
    header = envelope.Header(length=4, created_at=0, expires_at=9)
    body = envelope.seal(envelope.derive(link_key).content_key, header, b"text")
    headers = {"Onetime-Window-Ends-At": str(ends_at), "Onetime-Now": "1785000000"}
    client, _ = answering(raw(200, body, headers | {"Content-Type": "application/octet-stream"}))
    assert client.reveal(LINK).window_ends_at is None


def test_no_cookie_is_kept() -> None:
    cookie = {"Set-Cookie": "visitor=17; Path=/; Max-Age=999999"}
    client, requests = answering(raw(200, terms(), cookie), raw(200, terms(), cookie))
    for _each in range(2):
        client.terms()
    assert not any("cookie" in request.headers for request in requests)


# Plain http


@pytest.mark.parametrize("server", ["http://secrets.example", "http://192.0.2.1:3000/ots/"])
def test_plain_http_is_refused_but_to_this_machine(server: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        Client(server)
    assert (refused.value.field, refused.value.rule) == ("server", "insecure")
    link = f"{server.rstrip('/')}/secret#{KEY}"
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return raw(404, b'{"error": {"code": "not_found", "message": ""}}')

    with Client(transport=httpx2.MockTransport(answer)) as client:
        for verb in (client.look, client.reveal, client.burn):
            with pytest.raises(errors.Invalid) as refused:
                verb(link)
            assert refused.value.rule == "insecure"
    assert asked == []
    with (
        Client(server, insecure_http=True, transport=httpx2.MockTransport(answer)) as client,
        pytest.raises(errors.NotFound),
    ):
        client.look(link)
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_may_be_asked_plainly(host: str) -> None:
    with Client(f"{host}:3000" if "://" in host else f"http://{host}:3000") as client:
        assert client.server == f"http://{host}:3000/"


@pytest.mark.parametrize(
    "server", ["http://localhost.example", "http://127.0.0.1.example", "http://127.1", "http://0"]
)
def test_what_only_looks_like_this_machine(server: str) -> None:
    with pytest.raises(errors.Invalid):
        Client(server)


def test_an_address_without_a_scheme_is_https() -> None:
    with Client("secrets.example/ots") as client:
        assert client.server == "https://secrets.example/ots/"


# Sub-path, certificate, proxy


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("certificate"), "secrets.example")


@pytest.fixture
def below(tmp_path: Path, pem: Path) -> Iterator[Line]:
    """https, for a server whose public address has a path."""
    given = {"ONETIME_BASE_URL": "https://secrets.example/ots/"}
    with serving(tmp_path, given) as server, cutting(server.address, certificate=pem) as line:
        yield line


def test_through_a_proxy_to_a_server_below_a_path(
    below: Line, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with tunnelling(below.address) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with Client("https://secrets.example/ots") as client:
            for sealed in (False, True):
                shared = client.share("text", sealed=sealed)
                assert shared.link.startswith("https://secrets.example/ots/secret")
                revealed = client.reveal(shared.link)
                client.settle(revealed)
                assert revealed.text == "text"
                assert client.receipt(shared.receipt_link).state == "revealed"
    assert asked[0] == b"CONNECT secrets.example:443 HTTP/1.1"
    assert {each.path.split("/api/")[0] for each in below.requests} == {"/ots"}


def test_a_certificate_that_nobody_vouches_for(
    below: Line, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with tunnelling(below.address) as (proxy, asked):
        with (
            Client("https://secrets.example/ots", proxy=proxy) as client,
            pytest.raises(errors.Unreachable) as refused,
        ):
            client.terms()
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        with (
            Client("https://other.example/", proxy=proxy) as client,
            pytest.raises(errors.Unreachable) as other,
        ):
            client.terms()
    assert refused.value.reason == "its certificate is not to be trusted (self-signed certificate)"
    assert "Hostname mismatch" in other.value.reason
    # And is not tried again.
    assert len(asked) == 2
    assert below.requests == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
def test_this_machine_is_asked_without_a_proxy(
    server: Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tunnelling(server.address) as (proxy, asked):
        monkeypatch.setenv(variable, proxy)
        with Client(server.address) as client:
            client.terms()
        with (
            Client("http://secrets.example", insecure_http=True, retries=0) as client,
            pytest.raises(errors.OnetimeError),
        ):
            client.terms()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "gopher://x"), ("HTTPS_PROXY", "socks5://x"), ("SSL_CERT_FILE", "/nowhere")],
)
def test_a_proxy_or_certificate_that_cannot_be_used(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(errors.Invalid) as refused:
        Client(HERE)
    assert refused.value.field == "network"


# Where keys and proofs do not belong


def spellings(raw_key: bytes) -> list[str]:
    padded = base64.urlsafe_b64encode(raw_key).decode().rstrip("=")
    return [
        raw_key.hex(),
        padded,
        base64.b64encode(raw_key).decode().rstrip("="),
        repr(raw_key)[2:-1],
    ]


def secrets_of(link: str, receipt_link: str, passphrase: str) -> list[str]:
    """Everything about a secret that only its holders have, in every spelling."""
    key, receipt = parse_link(link).key, parse_link(receipt_link).key
    assert isinstance(key, bytes)
    assert isinstance(receipt, bytes)
    keys = envelope.derive(key, passphrase)
    raws = [key, keys.link_proof, keys.open_proof, keys.content_key, receipt[32:]]
    raws.append(envelope.receipt_proof(receipt[32:]))
    return [passphrase, *(spelled for each in raws for spelled in spellings(each))]


def test_no_key_is_in_an_address_or_leaves_the_device(cut_client: Client, line: Line) -> None:
    shared = cut_client.share("correct horse", passphrase=PASSPHRASE)
    cut_client.look(shared.link)
    cut_client.settle(cut_client.reveal(shared.link, passphrase=PASSPHRASE))
    cut_client.receipt(shared.receipt_link)
    other = cut_client.share("correct horse", passphrase=PASSPHRASE)
    cut_client.burn(other.receipt_link)
    private = secrets_of(shared.link, shared.receipt_link, PASSPHRASE)
    lines = "".join(f"{each.path} {each.head.decode()}" for each in line.requests)
    assert [each for each in private if each in lines] == []
    # The server gets proofs, in bodies; it gets no key, no passphrase and no text.
    everything = b"".join(each.head + each.body for each in line.requests)
    key, receipt = parse_link(shared.link).key, parse_link(shared.receipt_link).key
    assert isinstance(key, bytes)
    assert isinstance(receipt, bytes)
    content_key = envelope.derive(key, PASSPHRASE).content_key
    for raw_key in (key, content_key, receipt[32:], b"correct horse", PASSPHRASE.encode()):
        for spelled in (raw_key, *(each.encode() for each in spellings(raw_key))):
            assert spelled not in everything
    assert envelope.to_base64_url(envelope.link_proof(key)).encode() in everything


def told(error: BaseException) -> str:
    """All that a log or a debugger of the careless kind would show of it: no local variables."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and each not in seen:
            seen.append(each)
            left += [each.__cause__, each.__context__]
    words = [f"{each!r} {each} {vars(each)}" for each in seen]
    # httpx2's errors carry their request: none of them is to be found behind ours.
    assert not any(isinstance(each, httpx2.HTTPError) for each in seen)
    return "".join([*words, *traceback.format_exception(error)])


def test_no_key_is_in_an_error(line: Line) -> None:
    with Client(line.address, retries=0) as client:
        shared = client.share("correct horse", passphrase=PASSPHRASE)
        private = [*secrets_of(shared.link, shared.receipt_link, PASSPHRASE)]
        claim = new_claim()

        def reveal(more: str = "") -> None:
            client.reveal(shared.link, passphrase=PASSPHRASE + more, claim=claim)

        failing: list[tuple[str, How | None, Callable[[], object]]] = [
            ("reveal", "before", reveal),
            ("reveal", None, lambda: reveal("r")),
            ("reveal", "lost", reveal),
            ("look", "middle", lambda: client.look(shared.link)),
            ("receipt", "lost", lambda: client.receipt(shared.receipt_link)),
            ("burn", None, lambda: client.burn(shared.receipt_link)),
            ("look", None, lambda: client.look(f"{shared.link}x")),
            ("look", None, lambda: client.look(shared.link[:-1])),
            ("receipt", None, lambda: client.receipt(shared.receipt_link[:-1])),
        ]
        for path, how, act in failing:
            if how is not None:
                line.cut(path, how)
            with pytest.raises(errors.OnetimeError) as refused:
                act()
            shown = told(refused.value)
            assert [each for each in [*private, claim, shared.link[-40:-1]] if each in shown] == []


def test_what_is_looked_for_would_be_found() -> None:
    request = httpx2.Request("GET", f"https://secrets.example/{KEY}")

    def cut() -> None:
        raise httpx2.ReadError("cut", request=request)

    def fail() -> None:
        try:
            cut()
        except httpx2.ReadError:
            raise errors.Unreachable("secrets.example", "cut") from None

    with pytest.raises(errors.Unreachable) as refused:
        fail()
    with pytest.raises(AssertionError):
        told(refused.value)
    assert KEY in told(errors.NotFound(f"{KEY} is not here"))


def test_no_key_is_in_a_repr(client: Client) -> None:
    sealed = client.seal("correct horse", passphrase=PASSPHRASE)
    shared = client.create(sealed)
    revealed = client.reveal(shared.link, passphrase=PASSPHRASE)
    values = [client, sealed, shared, revealed, client.look(shared.link)]
    values += [client.receipt(shared.receipt_link), parse_link(shared.link), parse_link(LINK)]
    shown = "".join(map(repr, values))
    private = secrets_of(shared.link, shared.receipt_link, PASSPHRASE)
    private += [revealed.claim, "correct horse"]
    assert [each for each in private if each in shown] == []


def test_requests_say_little_of_who_asks(cut_client: Client, line: Line) -> None:
    cut_client.share("text")
    names = {
        name.decode().lower()
        for each in line.requests
        for name in re.findall(rb"\r\n([A-Za-z-]+):", each.head)
    }
    ours = {name for name in names if name.startswith("onetime-")}
    assert names - ours == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-type",
        "content-length",
    }
    assert b"User-Agent: onetime\r\n" in line.requests[0].head + b"\r\n"
