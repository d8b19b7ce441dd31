"""The ASGI application: from a request to a Call, from an Answer to a response.

In this order, each with its own refusal: the host is ours, the path is known, the request does not come from another
site's page; then the handler. Every response leaves through `_send` with the headers of `web.security`, and is logged by its
route's template.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
from time import perf_counter
from typing import TYPE_CHECKING

from onetime.errors import OnetimeError, Undecryptable
from onetime.model import GUEST
from onetime.web import api, caller, errors, security
from onetime.web.http import Answer, Call, Gone
from onetime.web.pages.error import error_page
from onetime.web.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onetime.app import App
    from onetime.web.http import Handler, Headers, Receive, Scope, Send
    from onetime.web.routes import Route

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,255})(?::([0-9]{1,5}))?")

# A request id of the caller's is kept when it cannot be anything else than one: it goes into the log, and a looser form
# would let a key, a name or an address in.
_REQUEST_ID = re.compile(
    rb"[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE
)

# Answers that have no content, and say neither its type nor its length.
BODILESS = frozenset({204, 304})

# Request ids that are drawn together.
DRAWN_IDS = 256

# What is still read of a refused body, so that a client which writes before it listens sees the refusal.
MOST_DRAINED = 16 * 1024 * 1024
DRAIN_SECONDS = 2.0

# Paths that a balancer asks by the machine's address, whatever the public name is.
ANY_HOST = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})


class Router:
    """Literal paths first, then those whose last part alone has a name, then those whose part before the last has, then the rest
    in the order of the table. One closing slash is ignored.
    """

    def __init__(self, routes: list[Route]) -> None:
        self._literal: dict[str, dict[str, tuple[Handler, str]]] = {}
        self._last_named: dict[str, tuple[str, str]] = {}
        self._inner_named: dict[tuple[str, str], tuple[str, str]] = {}
        self._named: dict[int, list[tuple[tuple[str, ...], str]]] = {}
        for methods, path, handler in routes:
            for method in methods.split():
                handlers = self._literal.setdefault(path, {})
                if method in handlers:
                    raise ValueError(f"{method} {path} is there twice")
                handlers[method] = (handler, path)
        for path in self._literal:
            before, _, last = path.rpartition("/")
            if last.startswith("{") and "{" not in before:
                self._last_named[before] = (last[1:-1], path)
                continue
            first, _, named = before.rpartition("/")
            if named.startswith("{") and "{" not in first + last:
                self._inner_named[first, last] = (named[1:-1], path)
                continue
            parts = tuple(path.split("/"))
            if any(part.startswith("{") for part in parts):
                self._named.setdefault(len(parts), []).append((parts, path))

    def find(self, path: str) -> tuple[str, dict[str, tuple[Handler, str]], dict[str, str]] | None:
        """The template, its handlers by method, and the values of its names."""
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        if "{" not in path:
            handlers = self._literal.get(path)
            if handlers is not None:
                return path, handlers, {}
        before, _, last = path.rpartition("/")
        if last and before in self._last_named:
            name, template = self._last_named[before]
            return template, self._literal[template], {name: last}
        first, _, named = before.rpartition("/")
        if named and (first, last) in self._inner_named:
            name, template = self._inner_named[first, last]
            return template, self._literal[template], {name: named}
        parts = path.split("/")
        for pattern, template in self._named.get(len(parts), ()):
            values = _match(pattern, parts)
            if values is not None:
                return template, self._literal[template], values
        return None


def _match(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    values = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values


class Web:
    """One ASGI application for one App."""

    def __init__(self, app: App, routes: list[Route] = ROUTES) -> None:
        self._app = app
        self._router = Router(routes)
        self._headers = security.headers(app.settings)
        self._part_headers = security.of_parts(self._headers)
        self._whole_head = _whole_head(self._headers)
        self._origin = app.settings.origin
        self._base_path = app.settings.base_path
        self._origins: dict[tuple[str, bytes, str], str] = {}
        self._cors_origins = app.settings.cors_origins
        self._has_warned = False
        self._ids: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = perf_counter()
        headers = dict(scope["headers"])
        call = Call(
            app=self._app,
            method=scope["method"],
            path=self._below_base(scope["path"]),
            route="unrouted",
            values={},
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            header_lines=scope["headers"],
            peer=(scope.get("client") or ("",))[0],
            caller=GUEST,
            origin=self._origin,
            request_id=self._request_id(headers.get(b"x-request-id")),
            receive=receive,
        )
        try:
            answer = await self._answer(call, scope)
        except Gone:
            return
        if self._cors_origins and call.method != "OPTIONS":
            answer.headers.extend(self._cors(call))
        await self._send(call, answer, scope, send)
        seconds = perf_counter() - started
        self._app.log.request(
            method=call.method,
            route=call.route,
            status=answer.status,
            ms=round(seconds * 1000, 2),
            request_id=call.request_id,
        )
        if self._app.settings.metrics:
            method = call.method if call.method in UNSAFE else "GET"
            self._app.metrics.request(
                method=method, route=call.route, status=answer.status, seconds=seconds
            )

    async def _answer(self, call: Call, scope: Scope) -> Answer:
        try:
            return await self._route(call, scope)
        except OnetimeError as error:
            if isinstance(error, Undecryptable):
                self._app.log.failure("undecryptable", route=call.route, reason=str(error))
            return _refusal(call, error)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - a bug: said with a reference, and nothing of its text
            self._app.log.failure("bug", error, route=call.route, request_id=call.request_id)
            return _plain(call, 500)

    async def _route(self, call: Call, scope: Scope) -> Answer:
        if len(call.headers) < len(scope["headers"]) and _count(scope, b"host") > 1:
            # RFC 9112, section 3.2: which of them a proxy believed is anybody's guess.
            return _plain(call, 400, [(b"connection", b"close")])
        if not call.origin:
            origin = self._own_origin(scope, call.headers.get(b"host", b""))
            if origin is None and call.path not in ANY_HOST:
                self._app.log.warning(
                    "unknown host",
                    reason="The request names another host; set ONETIME_BASE_URL to the address people use",
                    request_id=call.request_id,
                )
                return _plain(call, 421)
            call.origin = origin or ""
        found = self._router.find(call.path)
        if found is None:
            return _plain(call, 404)
        call.route, handlers, call.values = found
        method = "GET" if call.method == "HEAD" else call.method
        if method == "OPTIONS":
            allowed = _allowed(handlers)
            asks = b"access-control-request-method" in call.headers
            cors = self._cors(call, allowed if asks else b"")
            return Answer(204, b"", headers=[(b"allow", allowed), *cors])
        if method not in handlers:
            return _plain(call, 405, [(b"allow", _allowed(handlers))])
        if (
            method in UNSAFE
            and security.is_cross_origin(call.headers, call.origin)
            and not (_is_api(call.path) and security.is_allowed(call.headers, self._cors_origins))
        ):
            return _plain(call, 403)
        trusted = self._app.settings.trusted_proxies
        if not trusted and b"x-forwarded-for" in call.headers:
            self._warn_of_proxy()
        call.caller = caller.of(
            call.peer, call.header("x-forwarded-for") if trusted else "", trusted
        )
        return await handlers[method][0](call)

    async def _send(self, call: Call, answer: Answer, scope: Scope, send: Send) -> None:
        closes = call.method in UNSAFE and not call.is_read and await _drain(call)
        if not closes and self._is_sent_whole(call, answer, scope):
            return
        names = {name for name, _ in answer.headers}
        headers: Headers = [
            *(self._part_headers if answer.is_part else self._headers),
            (b"x-request-id", call.request_id.encode()),
            *answer.headers,
        ]
        if answer.status not in BODILESS:
            headers.append((b"content-type", answer.content_type))
            headers.append((b"content-length", str(len(answer.content)).encode()))
        if b"cache-control" not in names:
            headers.extend(security.NO_STORE)
        if closes:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        content = b"" if call.method == "HEAD" else answer.content
        await send({"type": "http.response.body", "body": content})

    def _is_sent_whole(self, call: Call, answer: Answer, scope: Scope) -> bool:
        """The short way, where the server has one (web/connection.py) and the answer has nothing but the usual headers."""
        if answer.headers or answer.status in BODILESS or call.method == "HEAD":
            return False
        extension = scope.get("extensions", {}).get("onetime.whole")
        if extension is None:
            return False
        content = answer.content
        head = self._whole_head % (call.request_id.encode(), answer.content_type, len(content))
        return bool(extension["send"](scope, answer.status, head, content))

    def _cors(self, call: Call, methods: bytes = b"") -> Headers:
        if not _is_api(call.path):
            return []
        return security.cors(call.headers, self._cors_origins, methods)

    def _request_id(self, given: bytes | None) -> str:
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        if not self._ids:
            # Random, since a number would tell how many there are; drawn together, since each question to the system costs.
            drawn = os.urandom(8 * DRAWN_IDS).hex()
            self._ids = [drawn[at : at + 16] for at in range(0, len(drawn), 16)]
        return self._ids.pop()

    def _warn_of_proxy(self) -> None:
        """Once: behind a proxy that is not believed all people are one network, and share one budget."""
        if not self._has_warned:
            self._has_warned = True
            self._app.log.warning(
                "unknown proxy",
                reason="X-Forwarded-For is not believed; if a proxy of yours sends it, set ONETIME_TRUSTED_PROXIES",
            )

    def _below_base(self, path: str) -> str:
        base = self._base_path
        if base and (path == base or path.startswith(base + "/")):
            return path[len(base) :] or "/"
        return path

    def _own_origin(self, scope: Scope, raw_host: bytes) -> str | None:
        """Without ONETIME_BASE_URL: what the request calls us, if that is loopback or the bound address."""
        server = (scope.get("server") or ("",))[0]
        key = (scope["scheme"], raw_host, server)
        known = self._origins.get(key)
        if known is None:
            host = raw_host.decode("latin-1")
            if not _is_own(host, str(server)):
                return None
            if len(self._origins) > 1000:
                self._origins.clear()
            known = self._origins[key] = f"{key[0]}://{host}"
        return known


def _is_own(host: str, server: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    name = match[1].strip("[]").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or str(address) == server


def _whole_head(always: Headers) -> bytes:
    """The header lines of an answer with nothing but the usual, as a format of request id, content type and length."""

    def lines(headers: Headers) -> bytes:
        return b"".join(b"%b: %b\r\n" % header for header in headers).replace(b"%", b"%%")

    own = b"x-request-id: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
    return lines(always) + own + lines(security.NO_STORE)


def _count(scope: Scope, wanted: bytes) -> int:
    return sum(name == wanted for name, _ in scope["headers"])


def _allowed(handlers: Mapping[str, object]) -> bytes:
    methods = {*handlers, "OPTIONS"} | ({"HEAD"} if "GET" in handlers else set())
    return ", ".join(sorted(methods)).encode()


async def _drain(call: Call) -> bool:
    """Read what is left of an unread body, up to a bound; True when the connection cannot be used again."""
    if (
        call.headers.get(b"content-length", b"0") == b"0"
        and b"transfer-encoding" not in call.headers
    ):
        return False
    left = MOST_DRAINED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await call.receive()
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return False
                left -= len(message.get("body", b""))
    return True


def _is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _speaks_json(path: str) -> bool:
    """The API, and where the reference has its sign-in for programs."""
    return _is_api(path) or path == "/auth" or path.startswith("/auth/")


def _refusal(call: Call, error: OnetimeError) -> Answer:
    if _speaks_json(call.path):
        return api.on_error(call, error)
    wait = errors.retry_after(error)
    return error_page(call, status=errors.status(error), code=error.code, retry_after=wait)


def _plain(call: Call, status: int, headers: Headers | None = None) -> Answer:
    """An answer that no handler made."""
    if _speaks_json(call.path):
        answer = api.plain(call, status)
    else:
        reference = call.request_id if status == 500 else ""
        answer = error_page(call, status=status, code="", reference=reference)
    answer.headers.extend(headers or [])
    return answer
