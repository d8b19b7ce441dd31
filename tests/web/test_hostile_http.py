"""Requests that nobody sends by accident, over real sockets to a real server: each gets an honest refusal and leaves nothing
behind, neither in the next request on the same connection nor in what the server prints.
"""

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from onetime.web.asgi import MOST_DRAINED
from onetime.web.connection import LONG_HEAD, MOST_HEAD_BYTES, NOT_HTTP
from tests.cli.running import Server, serving
from tests.privacy.canary import Canary, needles, search

CANARY = Canary("hostile", 'kanarienvogel-99ab "<&>" ї', "kanarienvogel-99ab")
WORD = CANARY.core.encode()
SECRET = b"secret=" + WORD
SHARE = b"/api/v1/share"
PATIENCE_SECONDS = 20.0

# With this setting a body may have 6 * 1000 + 65,536 bytes.
SETTINGS = {"ONETIME_MAX_SECRET_BYTES": "1000"}
BODY_LIMIT = 71_536

BAD = (400, json.loads(NOT_HTTP))
TOO_LONG = (431, json.loads(LONG_HEAD))
TWO_HOSTS = (400, {"error": "Bad Request"})
NOT_FOUND = (404, {"error": "Not Found"})
NOT_OURS = (421, {"error": "Misdirected Request"})
NOT_JSON = (400, {"message": "The body is not valid JSON"})
NOT_UTF8 = (400, {"message": "The text is not UTF-8"})
TOO_LARGE = (413, {"message": f"The request body exceeds the maximum size of {BODY_LIMIT} bytes"})
NOTHING = (404, {"message": "You did not provide anything to share"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("hostile"), SETTINGS) as server:
        yield server
        assert server.process.poll() is None


@dataclass
class Said:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def outcome(self) -> tuple[int, object]:
        assert self.headers[b"content-type"] == b"application/json; charset=utf-8"
        return self.status, json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection") == b"close"


class Line:
    """One connection."""

    def __init__(self, server: Server) -> None:
        self.host = urlsplit(server.address).netloc.encode()
        self._socket = server.connect()
        self._socket.settimeout(PATIENCE_SECONDS)
        self._rest = b""

    def close(self) -> None:
        self._socket.close()

    def say(self, content: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # refused before all of it was written
            self._socket.sendall(content.replace(b"@HOST@", self.host))

    def hear(self, *, has_body: bool = True) -> Said | None:
        """The next answer; None when the other end has closed."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                assert self._rest == b""
                return None
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {name: value for name, _, value in (line.partition(b": ") for line in lines)}
        length = int(headers.get(b"content-length", b"0")) if has_body else 0
        while len(self._rest) < length:
            assert self._more(), "cut short"
        body, self._rest = self._rest[:length], self._rest[length:]
        status = int(first.split()[1])
        return self.hear() if status == 100 else Said(status, headers, body)

    def _more(self) -> bool:
        try:
            piece = self._socket.recv(65_536)
        except ConnectionError:
            return False
        self._rest += piece
        return bool(piece)


def ask(server: Server, content: bytes) -> list[Said]:
    """Every answer to `content`, until the connection closes or, left open, has answered one more honest request.

    That one must be understood: else a part of `content` was still in the way, or was taken for a request of its own.
    """
    line = Line(server)
    try:
        line.say(content)
        answers = []
        first = line.hear()
        assert first is not None, "not answered"
        answers.append(first)
        if not first.closes:
            line.say(b"GET /health/live HTTP/1.1\r\nHost: @HOST@\r\nConnection: close\r\n\r\n")
        while (answer := line.hear()) is not None:
            answers.append(answer)
        if not first.closes:
            last = answers.pop()
            assert last.outcome == (200, {"status": "live"})
        return answers
    finally:
        line.close()


def request(
    *lines: bytes,
    method: bytes = b"POST",
    path: bytes = SHARE,
    body: bytes = SECRET,
    host: bytes = b"Host: @HOST@",
    length: bool = True,
) -> bytes:
    head = [method + b" " + path + b" HTTP/1.1", host, *lines]
    if length:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*(line for line in head if line), b"", body])


def chunked(
    *lines: bytes, body: bytes = b"1b\r\n" + SECRET.ljust(27, b".") + b"\r\n0\r\n\r\n"
) -> bytes:
    return request(b"Transfer-Encoding: chunked", *lines, body=body, length=False)


SMUGGLED = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nX-Word: " + WORD + b"\r\n\r\n"

HOSTILE: dict[str, tuple[bytes, tuple[int, object]]] = {
    # Paths and methods
    "an unknown path": (request(path=b"/api/" + WORD), NOT_FOUND),
    "an unknown version": (request(path=b"/api/v7/share"), NOT_FOUND),
    "the bare prefix": (request(path=b"/api", method=b"GET"), NOT_FOUND),
    "dots in the path": (request(path=b"/api/v1/../../etc/" + WORD), NOT_FOUND),
    "an encoded path": (request(path=b"/api/v1/%2e%2e%2fshare%00%0d%0aX:" + WORD), NOT_FOUND),
    "a path that is not UTF-8": (request(path=b"/api/v1/%ff%fe" + WORD), NOT_FOUND),
    "a path with braces": (request(path=b"/api/v1/secret/{key}/x"), NOT_FOUND),
    "a template for a path": (request(path=b"/api/v1/secret/{key}"), (404, {"message": "Not Found"})),
    "an absolute address": (
        request(path=b"http://elsewhere.example/api/v1/" + WORD, method=b"GET"),
        NOT_FOUND,
    ),
    **{
        f"the method {method.decode()}": (request(method=method), NOT_FOUND)
        for method in (b"GET", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND", b"SEARCH")
    },
    "the method CONNECT": (request(method=b"CONNECT", body=b"", length=False), NOT_FOUND),
    "the method CONNECT with a body": (request(method=b"CONNECT", body=SMUGGLED), BAD),
    "CONNECT to elsewhere": (
        b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: @HOST@\r\n\r\n",
        BAD,
    ),
    "a method in small letters": (request(method=b"post"), BAD),
    "a method that is none": (request(method=b"KANARIE"), BAD),
    # Bodies
    "JSON that ends early": (
        request(b"Content-Type: application/json", body=b'{"secret": "' + WORD),
        NOT_JSON,
    ),
    "JSON that is not UTF-8": (
        request(b"Content-Type: application/json", body=b'{"secret": "' + WORD + b'\xff"}'),
        NOT_JSON,
    ),
    "JSON in UTF-16": (
        request(b"Content-Type: application/json", body='{"secret": "x"}'.encode("utf-16")),
        NOT_JSON,
    ),
    "JSON with half a character": (
        request(b"Content-Type: application/json", body=b'{"secret": "\\ud800"}'),
        NOT_JSON,
    ),
    "JSON of very deep nesting": (
        request(b"Content-Type: application/json", body=b'{"secret": ' + b"[" * 70_000),
        NOT_JSON,
    ),
    "JSON with an endless number": (
        request(b"Content-Type: application/json", body=b'{"ttl": ' + b"9" * 70_000 + b"}"),
        NOT_JSON,
    ),
    "JSON with NaN": (
        request(b"Content-Type: application/json", body=b'{"ttl": NaN}'),
        NOT_JSON,
    ),
    "a form that is not UTF-8": (request(body=SECRET + b"\xff"), NOT_UTF8),
    "a query that is not UTF-8": (request(path=SHARE + b"?secret=%ff"), NOT_UTF8),
    "a key of NUL": (
        request(path=b"/api/v1/secret/%00%00"),
        (404, {"message": "Not Found"}),
    ),
    # Sizes
    "a large body": (request(body=SECRET * 10_000), TOO_LARGE),
    "a large body in chunks": (
        chunked(body=(b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 3 + b"0\r\n\r\n"),
        TOO_LARGE,
    ),
    "a long header": (request(b"X-Word: " + WORD * 20_000), TOO_LONG),
    "many headers": (request(*(b"X-%d: " % each + WORD for each in range(9000))), TOO_LONG),
    "a long path": (request(path=b"/api/" + WORD * 20_000), TOO_LONG),
    # Headers
    "a blank before the colon": (request(b"X-Word : " + WORD), BAD),
    "a header without a colon": (request(WORD), BAD),
    "a header without a name": (request(b": " + WORD), BAD),
    "a folded header": (request(b"X-Word: a\r\n " + WORD), BAD),
    "a NUL in a header": (request(b"X-Word: a\x00" + WORD), BAD),
    "a bare CR in a header": (request(b"X-Word: a\rX-B: " + WORD), BAD),
    "line ends of LF alone": (request().replace(b"\r\n", b"\n"), BAD),
    "no host": (request(host=b""), NOT_OURS),
    "a host that is not ours": (request(host=b"Host: " + WORD + b".example"), NOT_OURS),
    "a host that is none": (request(host=b"Host: @HOST@@" + WORD), NOT_OURS),
    "a second host": (request(b"Host: " + WORD + b".example"), TWO_HOSTS),
    "our host a second time": (request(b"Host: @HOST@"), TWO_HOSTS),
    "a version that is none": (b"GET /api/v1/status HTTP/7.3\r\nHost: @HOST@\r\n\r\n", BAD),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + WORD, BAD),
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + WORD, BAD),
    "a byte beyond ASCII in the path": (request(path=b"/api/\xff" + WORD), BAD),
    "a NUL in the path": (request(path=b"/api/\x00" + WORD), BAD),
    # Two ways to read where a request ends
    "two lengths that agree": (request(b"Content-Length: %d" % len(SECRET)), BAD),
    "two lengths": (request(b"Content-Length: 0", body=SMUGGLED), BAD),
    "a list of lengths": (request(b"Content-Length: 5, 5", length=False), BAD),
    "a negative length": (request(b"Content-Length: -1", length=False), BAD),
    "a length with a sign": (request(b"Content-Length: +5", length=False), BAD),
    "a length in hex": (request(b"Content-Length: 0x5", length=False), BAD),
    "a length beyond counting": (request(b"Content-Length: " + b"9" * 30, length=False), BAD),
    "an empty length": (request(b"Content-Length:", length=False), BAD),
    "a length and chunks": (
        request(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
        BAD,
    ),
    "chunks and a length": (chunked(b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED), BAD),
    "an encoding of another name": (request(b"Transfer-Encoding: xchunked", length=False), BAD),
    "an encoding that does not end": (
        request(b"Transfer-Encoding: chunked, identity", length=False),
        BAD,
    ),
    "two encodings": (chunked(b"Transfer-Encoding: chunked"), BAD),
    "an encoding before its colon": (
        request(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED, length=False),
        BAD,
    ),
    "a folded encoding": (
        request(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n" + SMUGGLED, length=False),
        BAD,
    ),
    "a chunk whose size is no number": (chunked(body=b"zz\r\n" + SECRET + b"\r\n0\r\n\r\n"), BAD),
    "a chunk of negative size": (chunked(body=b"-1\r\n" + SECRET + b"\r\n0\r\n\r\n"), BAD),
    "a chunk beyond counting": (chunked(body=b"f" * 17 + b"\r\n" + SECRET), BAD),
    "a chunk that is longer than it says": (chunked(body=b"5\r\n" + SECRET + b"0\r\n\r\n"), BAD),
    "a chunk that ends in LF": (chunked(body=b"3\na=b\n0\n\n"), BAD),
    "another protocol and a body": (
        request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", body=SMUGGLED),
        BAD,
    ),
    "another protocol and chunks": (
        chunked(b"Connection: Upgrade", b"Upgrade: websocket", body=b"0\r\n\r\n" + SMUGGLED),
        BAD,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_once_and_honestly(server: Server, name: str) -> None:
    content, outcome = HOSTILE[name]

    answers = ask(server, content)

    assert [answer.outcome for answer in answers] == [outcome]
    assert answers[0].closes or outcome not in (BAD, TOO_LONG)
    assert answers[0].headers[b"x-content-type-options"] == b"nosniff"
    assert b"default-src 'none'" in answers[0].headers[b"content-security-policy"]


HARMLESS = {
    "the bytes of a request as a body": request(
        method=b"GET", path=b"/api/v1/status", body=SMUGGLED
    ),
    "a body in chunks": chunked(),
    "a chunk with an extension and a trailer": chunked(
        body=b"3;x=%b\r\na=b\r\n0\r\nX-Word: %b\r\n\r\n" % (WORD, WORD)
    ),
    "a wish for another protocol": request(
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        method=b"GET",
        path=b"/api/v1/status",
        body=b"",
        length=False,
    ),
    "a client that waits to be asked": request(b"Expect: 100-continue"),
    "a question about methods": request(method=b"OPTIONS"),
    "a head without a body": request(method=b"HEAD", path=b"/api/v1/authcheck", body=b"", length=False),
    "a header beyond ASCII": request("X-Word: ї\xff".encode("latin-1", "replace") + b"\xff"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_it_is_answered_once(server: Server, name: str) -> None:
    line = Line(server)
    try:
        line.say(HARMLESS[name])
        first = line.hear(has_body=not HARMLESS[name].startswith(b"HEAD"))
        assert first is not None
        assert first.status < 500
        line.say(b"GET /health/live HTTP/1.1\r\nHost: @HOST@\r\nConnection: close\r\n\r\n")
        second = line.hear()
        assert second is not None
        assert second.outcome == (200, {"status": "live"})
        assert line.hear() is None
    finally:
        line.close()


def test_requests_that_come_together_are_answered_one_by_one(server: Server) -> None:
    pair = request() + request(
        b"Connection: close", method=b"GET", path=b"/api/v1/status", body=b""
    )
    line = Line(server)
    try:
        line.say(pair)
        shared, status = line.hear(), line.hear()
        assert shared is not None
        assert status is not None
        assert shared.status == 200
        assert status.outcome == (200, {"status": "nominal", "locale": "en"})
        assert line.hear() is None
    finally:
        line.close()


def test_nothing_follows_a_connection_that_was_to_be_closed(server: Server) -> None:
    line = Line(server)
    try:
        line.say(request(b"Connection: close") + SMUGGLED)
        first = line.hear()
        assert first is not None
        assert first.status == 200
        assert line.hear() is None
    finally:
        line.close()


@pytest.mark.parametrize("way", ["length", "chunks"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(server: Server, way: str) -> None:
    """What is said to come is ten thousand times the limit; no more of it than a bound is taken."""
    whole = 10_000 * BODY_LIMIT
    line = Line(server)
    line._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    line._socket.settimeout(PATIENCE_SECONDS)
    try:
        if way == "length":
            line.say(request(b"Content-Length: %d" % whole, length=False, body=b""))
            piece = b"x" * 32_768
        else:
            line.say(chunked(body=b""))
            piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        written = 0
        with contextlib.suppress(ConnectionError):
            while written < whole:
                line._socket.sendall(piece)
                written += len(piece)
        # The bound, and what lies in the buffers of both ends.
        assert written < MOST_DRAINED + BODY_LIMIT + 8_000_000
    finally:
        line.close()


def test_a_body_that_is_too_large_is_told_so_before_the_connection_ends(server: Server) -> None:
    line = Line(server)
    try:
        line.say(request(b"Content-Length: 999999999", length=False, body=SECRET))
        answer = line.hear()
        assert answer is not None
        assert answer.outcome == TOO_LARGE
        assert answer.closes
        assert line.hear() is None
    finally:
        line.close()


def test_a_head_without_end_is_not_collected(server: Server) -> None:
    line = Line(server)
    try:
        line.say(request(body=b"", length=False)[:-2])
        written = 0
        with contextlib.suppress(ConnectionError):
            while written < 100_000_000:
                line._socket.sendall(b"X-Word: " + WORD * 1000 + b"\r\n")
                written += 18_000
        # The bound, and what lies in the buffers of both ends.
        assert written < MOST_HEAD_BYTES + 8_000_000
    finally:
        line.close()


def test_a_body_that_breaks_off_shares_nothing(server: Server) -> None:
    before = len(server.log())
    for content in (request(b"Content-Length: 99", length=False), chunked(body=b"ff\r\n" + SECRET)):
        line = Line(server)
        line.say(content)
        line.close()
    ask(server, request(method=b"GET", path=b"/api/v1/status", body=b"", length=False))
    shares = [each for each in server.log()[before:] if each.get("route") == SHARE.decode()]
    assert [each for each in shares if each["status"] == 200] == []


def test_the_server_is_alive_and_has_printed_nothing_of_it(server: Server) -> None:
    """The search is that of the privacy tests; here it is asked once more whether it would have found something."""
    assert ask(server, request())[0].status == 200
    printed = {"stdout": "\n".join(server.stdout()).encode(), "stderr": server.stderr().encode()}
    wanted = needles([CANARY])

    assert search(wanted, printed) == []
    assert search(wanted, {"stderr": printed["stderr"] + WORD}) != []
    assert len(server.log()) > len(HOSTILE)
    assert all(set(each) <= LOGGED for each in server.log())
    assert not any(re.search(r"Traceback|File \"", line) for line in server.stderr().splitlines())


LOGGED = {
    "time",
    "level",
    "event",
    "route",
    "method",
    "status",
    "ms",
    "request_id",
    "reason",
    "where",
    "count",
}
