"""A client of our API: it encrypts what it shares and opens what it is sent, so that the server can read neither.

    from onetime.client import Client

    with Client("https://secrets.example/") as client:
        shared = client.share("correct horse", ttl=3600, passphrase="battery staple")
        shared.link             # for the recipient: https://secrets.example/secret#…
        shared.receipt_link     # for the sender: tells the fate, and burns

        client.look(shared.link).has_passphrase         # True; looking uses nothing up
        revealed = client.reveal(shared.link, passphrase="battery staple")
        revealed.text                                   # 'correct horse'
        client.settle(revealed)                         # it has arrived: the server destroys it now
        client.receipt(shared.receipt_link).state       # 'revealed'

*Reveal, then settle.* What is revealed stays on the server for a while (ten minutes, unless its operator has changed that),
for whoever has the same claim. Settle once the content is where it belongs. If that fails, or the answer is lost, reveal
again with the same claim; nobody else is given it meanwhile. Whoever wants to come back later, or from another process,
makes the claim before the first try, and keeps it:

    claim = new_claim()
    revealed = client.reveal(link, claim=claim)

*Sealed secrets* are those that the server encrypts: those of the compatible API, and of the form where there is no script.
`share(..., sealed=True)` makes one; every verb takes the links of both kinds. They are revealed at most once, at once:
there is nothing to settle, and a lost answer is a lost secret.

*Links carry their server.* The one that a client is made with is for `share` and `terms` alone.

*The network.* Errors of it and answers of 502 to 504 are followed by another try, with the same id and the same claim, so
that no try does anything twice. Plain http is refused but to this machine. Redirects are never followed. Proxies
(HTTPS_PROXY, ALL_PROXY, NO_PROXY) and certificates (SSL_CERT_FILE, SSL_CERT_DIR) are taken from the environment, as httpx2
does; this machine is always asked directly. No key and no proof is in an error or a `repr`, and none of an
end-to-end secret in an address.

*Errors* are those of `onetime.errors`. Beside those that the server gives, Unreachable: it did not answer, whatever was
tried; Foreign: what answers there is no Onetime server.

*It blocks.* There is no second client for asyncio: run it in a thread, `await anyio.to_thread.run_sync(client.look, link)`.
One client may be used from several threads.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Literal, NamedTuple, NoReturn, Self
from urllib.parse import urlsplit

import httpx2

from onetime import errors
from onetime.crypto import envelope
from onetime.crypto.envelope import File, Header, from_base64_url, to_base64_url
from onetime.errors import Foreign, Invalid, Unreachable

State = Literal["new", "claimed", "revealed", "burned", "expired"]

# Seconds between two tries. The last waits of a server that is being started anew, or of a telephone in a tunnel.
PAUSES = (0.2, 0.5, 1.0, 2.0)
# What a server may ask us to wait before the next try; beyond it the person decides.
LONGEST_PAUSE = 5

MOST_JSON_BYTES = 65_536
# Above the largest text that an operator can allow, padded and in records.
MOST_BODY_BYTES = 64 * 1024 * 1024
# The year 3977: what a server says beyond it is no date, and no date library knows what to do with three of them.
MOST_SECONDS = envelope.MOST_SECONDS // 4

# Answers of a server, or of a proxy before it, that is not up to it just now.
TEMPORARY = frozenset({502, 503, 504})

# Spelled so, they are asked without a proxy, and plain http is good enough.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Every name that a link's page goes by; `l`, `private` and `metadata` are older ones.
_PAGE = re.compile(
    r"(?P<base>.*/)(?P<noun>secret|l|receipt|private|metadata)(?:/(?P<key>[0-9A-Za-z]+))?/?"
)
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
# A name of labels that DNS has room for, an IPv4 address, or an IPv6 one.
_HOST = re.compile(r"(?=.{1,253}\Z)[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f]*:[0-9a-f:.]*", re.ASCII)
# What chat programs and sentences put around a link; none of it can be part of one.
_WRAPPING = " \t\r\n<>()[]{}\"'`«»“”‘’.,;:!?"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says. `key` is bytes in the fragment of an end-to-end link, or the text in the path of a sealed one."""

    server: str
    is_receipt: bool
    key: bytes | str = field(repr=False)

    @property
    def is_sealed(self) -> bool:
        return isinstance(self.key, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the server takes in. Times are seconds, sizes bytes; `now` is its clock."""

    max_secret_bytes: int
    max_body_bytes: int
    min_ttl: int
    default_ttl: int
    max_ttl: int
    reveal_window: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A secret, encrypted and not yet sent; `link` and `receipt_link` are what they will be."""

    link: str = field(repr=False)
    receipt_link: str = field(repr=False)
    has_passphrase: bool
    ttl: int
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """`link` is for the recipient, `receipt_link` stays with the sender. `expires_at` is the receipt's."""

    link: str = field(repr=False)
    receipt_link: str = field(repr=False)
    has_passphrase: bool
    sealed: bool
    created_at: int
    secret_expires_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the holder of a link may know. `state` is "new" or "claimed"; `attempts_left` before the next lock."""

    state: State
    has_passphrase: bool
    size_bytes: int
    created_at: int
    secret_expires_at: int
    window_ends_at: int | None
    attempts_left: int
    locked_until: int | None
    closed: bool
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """`content` is exactly what was shared. Until `window_ends_at` the same claim is given it again; None: never."""

    content: bytes = field(repr=False)
    kind: Literal["text", "file"]
    files: tuple[File, ...]
    sealed: bool
    window_ends_at: int | None
    link: str = field(repr=False)
    claim: str = field(repr=False)

    @property
    def text(self) -> str:
        """
        Raises:
            UnicodeDecodeError: it is a file, and no text.
        """
        return self.content.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The fate of a secret. `ended_at` is when it was handed out, burned, or has expired.

    `acknowledged`: the reader's device has said that it arrived. `wrong_tries` and `closed` (so many passphrases were wrong
    that no other is tried) are not known of a sealed one.
    """

    state: State
    has_passphrase: bool | None
    created_at: int
    secret_expires_at: int
    expires_at: int
    ended_at: int | None
    acknowledged: bool
    acknowledged_at: int | None
    window_ends_at: int | None
    wrong_tries: int | None
    closed: bool
    now: int


def parse_link(text: str) -> Link:
    """A link as somebody was sent it: what a chat program has put around it is taken off, and https:// may be missing.

    Raises:
        Invalid: no link ("malformed"), or one that needs a newer program ("newer").
    """
    text = text.strip(_WRAPPING)
    address, _, fragment = text.partition("#")
    found = _PAGE.fullmatch(_split(address, "link").path)
    if found is None:
        raise Invalid("link", "This is no link to a secret or a receipt")
    server = _server(address, "link", path=found["base"])
    is_receipt = found["noun"] not in {"secret", "l"}
    if found["key"]:
        return Link(server, is_receipt, found["key"])
    if is_receipt:
        both = envelope.parse_receipt_link(fragment)
        return Link(server, is_receipt, both.secret_id + both.receipt_key)
    return Link(server, is_receipt, envelope.parse_link_key(fragment))


def new_claim() -> str:
    """22 characters, for `reveal`: whoever has it, and the link, is the reader."""
    return to_base64_url(envelope.new_claim())


def parse_claim(text: str) -> bytes:
    """
    Raises:
        Invalid: it is not one of `new_claim`.
    """
    try:
        return from_base64_url(text, envelope.CLAIM_BYTES)
    except Invalid:
        raise Invalid("claim", "This is no claim") from None


class Client:
    """A client of the Onetime servers whose links it is given; `server` is the one to share on.

    `timeout` is in seconds, for each wait; `retries` is how many more tries a network error is worth, at most 4.
    `insecure_http` allows plain http to other machines: everybody on the way can then change what is sent, and burn or take
    what is revealed. `proxy`, `ssl_context`, `trust_env` and `transport` are httpx2's.

    Raises:
        Invalid: `server` is no address ("malformed"), or plain http ("insecure"); or, of the field "network", a proxy or
            certificates that cannot be used.
    """

    def __init__(
        self,
        server: str = "",
        *,
        timeout: float = 30.0,
        retries: int = len(PAUSES),
        insecure_http: bool = False,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._insecure_http = insecure_http
        self._retries = retries
        self._timeout = timeout
        self.server = self._allowed(_server(server, "server")) if server else ""
        try:
            self._http = httpx2.Client(
                timeout=timeout,
                proxy=proxy,
                verify=ssl_context or True,
                trust_env=trust_env,
                transport=transport,
                mounts={_pattern(host): None for host in LOOPBACK},
                # None is kept: it would tie one link to another.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                follow_redirects=False,
                # What is not packed cannot be larger unpacked than it came.
                headers={"User-Agent": "onetime", "Accept-Encoding": "identity"},
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            reason = _printable(f"{error}")
        else:
            return
        raise Invalid("network", reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # The sender

    def terms(self) -> Terms:
        answer = _said(self._ask(self._sharing_server(), "terms", method="GET"))
        if answer.get("version") != envelope.VERSION:
            raise Foreign("The server speaks another version; a newer program may be needed")
        return Terms(
            max_secret_bytes=_integer(answer, "max_secret_bytes"),
            max_body_bytes=_integer(answer, "max_body_bytes"),
            min_ttl=_integer(answer, "min_ttl"),
            default_ttl=_integer(answer, "default_ttl"),
            max_ttl=_integer(answer, "max_ttl"),
            reveal_window=_integer(answer, "reveal_window"),
            now=_instant(answer, "now"),
        )

    def share(
        self,
        content: str | bytes,
        *,
        ttl: int | None = None,
        passphrase: str = "",
        name: str = "",
        type: str = "application/octet-stream",  # noqa: A002 - what a file calls it
        sealed: bool = False,
    ) -> Shared:
        """Take a secret in; `ttl` is in seconds, None what the server has by default.

        Text is shared as text, and so are bytes that are UTF-8. Other bytes, and whatever has a `name`, are a file; a sealed
        secret is always text.

        Raises:
            Invalid: nothing to share ("empty"), or a lifetime, passphrase, name or type that is not allowed.
            TooLarge
            RateLimited, Unavailable, Full: the server takes in nothing just now.
            Unreachable: it may have been created; nobody has its link. What `seal` gives has the receipt.
        """
        if sealed:
            return self._share_sealed(content, ttl, passphrase, name)
        return self.create(self.seal(content, ttl=ttl, passphrase=passphrase, name=name, type=type))

    def seal(
        self,
        content: str | bytes,
        *,
        ttl: int | None = None,
        passphrase: str = "",
        name: str = "",
        type: str = "application/octet-stream",  # noqa: A002
    ) -> Envelope:
        """The first half of `share`: everything but sending it. The server is asked for its terms alone.

        Raises:
            Invalid, TooLarge: as `share`.
        """
        raw = _bytes(content)
        if not name and not _is_text(raw):
            name = "secret.bin"
        passphrase = envelope.normal_passphrase(passphrase, is_new=True) if passphrase else ""
        terms = self.terms()
        ttl = _granted(ttl, terms)
        header = Header(
            kind="file" if name else "text",
            length=len(raw),
            created_at=terms.now,
            expires_at=terms.now + ttl,
            files=(File(name=name, type=type, size=len(raw)),) if name else (),
        )
        _check_size(len(raw), terms.max_secret_bytes)
        _check_size(envelope.body_size(header), terms.max_body_bytes)
        link_key, receipt_key = envelope.new_link_key(), envelope.new_receipt_key()
        keys = envelope.derive(link_key, passphrase)
        secret_id = envelope.secret_id(keys.link_proof)
        receipt = envelope.ReceiptLink(secret_id, receipt_key)
        receipt_hash = envelope.proof_hash(envelope.receipt_proof(receipt_key))
        server = self._sharing_server()
        return Envelope(
            link=f"{server}secret#{envelope.format_link_key(link_key)}",
            receipt_link=f"{server}receipt#{envelope.format_receipt_link(receipt)}",
            has_passphrase=bool(passphrase),
            ttl=ttl,
            body=envelope.seal(keys.content_key, header, raw),
            headers={
                "Content-Type": "application/octet-stream",
                "Onetime-Secret-Id": to_base64_url(secret_id),
                "Onetime-Open-Hash": to_base64_url(envelope.proof_hash(keys.open_proof)),
                "Onetime-Receipt-Hash": to_base64_url(receipt_hash),
                "Onetime-Ttl": str(ttl),
                "Onetime-Passphrase": "yes" if passphrase else "no",
            },
        )

    def create(self, sealed: Envelope) -> Shared:
        """The second half of `share`. Sending one envelope twice makes one secret.

        Raises:
            Conflict: it was sent before, and has been opened or burned since.
            RateLimited, Unavailable, Full, Unreachable: as `share`.
        """
        server = parse_link(sealed.link).server
        answer = self._ask(server, "create", headers=sealed.headers, content=sealed.body)
        if answer.status == 409 and answer.is_repeat:
            # The first try had arrived, and somebody was quick: the receipt, which only we can ask for, knows.
            with contextlib.suppress(errors.NotFound):
                told = self.receipt(sealed.receipt_link)
                return _shared(sealed, told.created_at, told.secret_expires_at, told.expires_at)
        said = _said(answer, status=201)
        times = [_instant(said, name) for name in ("created_at", "secret_expires_at", "expires_at")]
        return _shared(sealed, *times)

    def receipt(self, receipt_link: str) -> Receipt:
        """
        Raises:
            NotFound: it never was, or has expired.
        """
        link = _receipt(receipt_link)
        if isinstance(link.key, str):
            return _sealed_receipt(
                self._ask_sealed(link.server, f"receipt/{link.key}", method="GET")
            )
        return _receipt_of(_said(self._ask(link.server, "receipt", words=_receipt_words(link.key))))

    # The reader

    def look(self, link: str) -> Look:
        """What a link opens; it uses nothing up.

        Raises:
            NotFound: it never was, or is no longer.
            Invalid: the link is sealed ("sealed"): of those the server tells nothing before they are revealed.
        """
        key = _end_to_end(_secret(link))
        words = {"link_proof": to_base64_url(envelope.link_proof(key.key))}
        answer = _said(self._ask(key.server, "look", words=words))
        return Look(
            state=_state(answer),
            has_passphrase=_boolean(answer, "has_passphrase"),
            size_bytes=_integer(answer, "size_bytes"),
            created_at=_instant(answer, "created_at"),
            secret_expires_at=_instant(answer, "secret_expires_at"),
            window_ends_at=_instant_or_none(answer, "window_ends_at"),
            attempts_left=_integer(answer, "attempts_left"),
            locked_until=_instant_or_none(answer, "locked_until"),
            closed=_boolean(answer, "closed"),
            now=_instant(answer, "now"),
        )

    def reveal(self, link: str, *, passphrase: str = "", claim: str = "") -> Revealed:
        """Be given the secret; `settle` once it is where it belongs. `claim`: one of `new_claim`, by default a new one.

        Raises:
            NotFound: it never was, or is no longer. Of a sealed one: or this is not the passphrase.
            Claimed: another device was given it.
            WrongPassphrase: it stays; `attempts_left` before the next lock.
            RateLimited: too many wrong passphrases, or too many requests, and `retry_after`. Closed: for good.
            Undecryptable: what came is not what was shared; it is not settled.
            Unreachable: it may have been claimed: try again with the same claim. A sealed one may be lost.
        """
        asked = _secret(link)
        if isinstance(asked.key, str):
            return self._reveal_sealed(asked.server, asked.key, link, passphrase)
        raw_claim = parse_claim(claim) if claim else envelope.new_claim()
        keys = envelope.derive(asked.key, passphrase)
        words = {
            "link_proof": to_base64_url(keys.link_proof),
            "open_proof": to_base64_url(keys.open_proof),
            "claim": to_base64_url(raw_claim),
        }
        answer = self._ask(asked.server, "reveal", words=words, most_bytes=MOST_BODY_BYTES)
        _check(answer)
        if answer.headers.get("content-type") != "application/octet-stream":
            _refuse_foreign()
        opened = envelope.open_(keys.content_key, answer.body)
        return Revealed(
            content=opened.content,
            kind="file" if opened.header.files else "text",
            files=opened.header.files,
            sealed=False,
            window_ends_at=_window(answer.headers),
            link=link,
            claim=words["claim"],
        )

    def settle(self, revealed: Revealed) -> None:
        """The content is where it belongs: the server destroys it now. Settling twice is settling once.

        Raises:
            NotFound: the receipt is gone, too.
            Unreachable: the content is destroyed when its window ends, without this.
        """
        if revealed.sealed:
            return
        link = _end_to_end(_secret(revealed.link))
        proof = to_base64_url(envelope.link_proof(link.key))
        words = {"link_proof": proof, "claim": revealed.claim}
        _instant(_said(self._ask(link.server, "settle", words=words)), "acknowledged_at")

    # Both

    def burn(self, link: str, *, passphrase: str = "", claim: str = "") -> None:
        """Destroy a secret unread: by its receipt, or by its link, with the passphrase if there is one.

        A sealed one takes its receipt, and the passphrase if there is one.

        Raises:
            NotFound: it never was, or is no longer.
            Claimed: too late: somebody has opened it. What was still there of it is gone.
            WrongPassphrase, RateLimited, Closed: as `reveal`; it stays.
            Invalid: the link is that of a sealed secret ("sealed").
        """
        asked = parse_link(link)
        if isinstance(asked.key, str):
            if not asked.is_receipt:
                raise Invalid("link", "A sealed secret is burned by its receipt", rule="sealed")
            self._burn_sealed(asked.server, asked.key, passphrase)
            return
        if asked.is_receipt:
            answer = self._ask(asked.server, "receipt/burn", words=_receipt_words(asked.key))
        else:
            words = {"link_proof": to_base64_url(envelope.link_proof(asked.key))}
            if claim:
                words["claim"] = to_base64_url(parse_claim(claim))
            else:
                keys = envelope.derive(asked.key, passphrase)
                words["open_proof"] = to_base64_url(keys.open_proof)
            answer = self._ask(asked.server, "burn", words=words)
        if answer.status == 404 and answer.is_repeat:
            # The answer to the first try was lost. Only the receipt knows whether that try has burned it.
            if asked.is_receipt and self.receipt(link).state == "burned":
                return
            raise errors.NotFound(
                "An answer was lost, and there is nothing now: burned, or opened before"
            )
        _said(answer)

    # Sealed secrets, in the words of API v1

    def _share_sealed(
        self, content: str | bytes, ttl: int | None, passphrase: str, name: str
    ) -> Shared:
        raw = _bytes(content)
        if name or not _is_text(raw):
            raise Invalid("content", "A sealed secret is text", rule="sealed")
        if passphrase:
            envelope.normal_passphrase(passphrase, is_new=True)
        terms = self.terms()
        ttl = _granted(ttl, terms)
        _check_size(len(raw), terms.max_secret_bytes)
        server = self._sharing_server()
        words = {"secret": raw.decode(), "ttl": ttl, "passphrase": passphrase}
        said = self._ask_sealed(server, "share", words=words, is_repeatable=False)
        created_at = _instant(said, "created")
        return Shared(
            link=f"{server}secret/{_key(said, 'secret_key')}",
            receipt_link=f"{server}receipt/{_key(said, 'metadata_key')}",
            has_passphrase=bool(passphrase),
            sealed=True,
            created_at=created_at,
            secret_expires_at=created_at + _instant(said, "ttl"),
            expires_at=created_at + _instant(said, "metadata_ttl"),
        )

    def _reveal_sealed(self, server: str, key: str, link: str, passphrase: str) -> Revealed:
        said = self._ask_sealed(
            server,
            f"secret/{key}",
            words={"passphrase": passphrase, "continue": "true"},
            is_repeatable=False,
            # JSON may spell a byte in six.
            most_bytes=6 * MOST_BODY_BYTES,
        )
        value = said.get("value")
        if not isinstance(value, str):
            _refuse_foreign()
        return Revealed(
            content=value.encode("utf-8", "surrogatepass"),
            kind="text",
            files=(),
            sealed=True,
            window_ends_at=None,
            link=link,
            claim="",
        )

    def _burn_sealed(self, server: str, key: str, passphrase: str) -> None:
        before = _sealed_receipt(self._ask_sealed(server, f"receipt/{key}", method="GET"))
        if before.state == "revealed":
            raise errors.Claimed
        if before.state != "new":
            raise errors.NotFound
        try:
            self._ask_sealed(server, f"receipt/{key}/burn", words={"passphrase": passphrase})
        except errors.NotFound:
            after = _sealed_receipt(self._ask_sealed(server, f"receipt/{key}", method="GET"))
            if after.state != "burned":
                raise

    def _ask_sealed(
        self,
        server: str,
        path: str,
        *,
        method: str = "POST",
        words: dict[str, Any] | None = None,
        is_repeatable: bool = True,
        most_bytes: int = MOST_JSON_BYTES,
    ) -> dict[str, Any]:
        headers, content = _as_json(words)
        answer = self._send(
            method,
            f"{self._allowed(server)}api/v1/{path}",
            headers,
            content,
            is_repeatable=is_repeatable,
            most_bytes=most_bytes,
        )
        said = _object(answer)
        if answer.status != 200:
            _raise_sealed(answer, said.get("message"))
        return said

    # The network

    def _sharing_server(self) -> str:
        if not self.server:
            raise Invalid("server", "No server is named", rule="missing")
        return self.server

    def _allowed(self, server: str) -> str:
        """
        Raises:
            Invalid: plain http to another machine ("insecure").
        """
        parts = urlsplit(server)
        if parts.scheme == "https" or parts.hostname in LOOPBACK or self._insecure_http:
            return server
        raise Invalid("server", "Plain http: everybody on the way could interfere", rule="insecure")

    def _ask(
        self,
        server: str,
        path: str,
        *,
        method: str = "POST",
        words: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        most_bytes: int = MOST_JSON_BYTES,
    ) -> _Answer:
        if content is None:
            headers, content = _as_json(words)
        return self._send(
            method,
            f"{self._allowed(server)}api/e2e/{path}",
            headers or {},
            content,
            is_repeatable=True,
            most_bytes=most_bytes,
        )

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | None,
        *,
        is_repeatable: bool,
        most_bytes: int,
    ) -> _Answer:
        """The first answer that is not a temporary one. What is not repeatable is sent again only if it was not sent.

        httpx2's errors hold their request, and with it proofs: what is raised here is raised apart from them.
        """
        host = urlsplit(url).netloc
        is_repeat = False
        for pause in (*PAUSES[: self._retries], None):
            got = self._try(method, url, headers, content, most_bytes)
            if isinstance(got, _Answer):
                if got.status not in TEMPORARY or not is_repeatable or pause is None:
                    return got._replace(is_repeat=is_repeat)
                pause = _asked_pause(got, pause)  # noqa: PLW2901 - as the server asks
                if pause is None:
                    return got._replace(is_repeat=is_repeat)
            elif pause is None or got.is_final or (got.was_sent and not is_repeatable):
                arrived = is_repeat or got.was_sent
                raise Unreachable(host, got.reason, may_have_arrived=arrived)
            is_repeat = is_repeat or isinstance(got, _Answer) or got.was_sent
            time.sleep(pause)
        raise AssertionError("the last try answers or raises")

    def _try(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | None,
        most_bytes: int,
    ) -> _Answer | _Trouble:
        try:
            with self._http.stream(method, url, headers=headers, content=content) as response:
                return _read(response, most_bytes)
        except httpx2.TransportError as error:
            return _trouble(error, self._timeout)
        except httpx2.InvalidURL:
            return _Trouble("it is no address", was_sent=False, is_final=True)


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    # An earlier try of the same request may have arrived.
    is_repeat: bool = False


class _Trouble(NamedTuple):
    reason: str
    was_sent: bool
    is_final: bool


# Addresses


def _split(address: str, name: str) -> Any:
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or port == 0
        or not re.fullmatch(r"[!-~]+", address)
        or not _HOST.fullmatch(parts.hostname)
        or not _PATH.fullmatch(parts.path)
        or {".", ".."} & set(parts.path.split("/"))
    ):
        raise Invalid(name, "This is no address such as https://secrets.example/")
    return parts


def _server(address: str, name: str, *, path: str | None = None) -> str:
    """Scheme, host and path, with a slash at the end; what follows a `?` or `#` is left out."""
    parts = _split(address.strip().partition("#")[0].partition("?")[0], name)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.port not in {None, 443 if parts.scheme == "https" else 80}:
        host = f"{host}:{parts.port}"
    return f"{parts.scheme}://{host}{(parts.path if path is None else path).rstrip('/')}/"


def _pattern(host: str) -> str:
    return f"all://[{host}]" if ":" in host else f"all://{host}"


class _EndToEnd(NamedTuple):
    server: str
    key: bytes


def _secret(text: str) -> Link:
    link = parse_link(text)
    if link.is_receipt:
        raise Invalid("link", "This is a receipt; a secret has another link", rule="receipt")
    return link


def _receipt(text: str) -> Link:
    link = parse_link(text)
    if not link.is_receipt:
        raise Invalid("link", "This is the recipient's link; a receipt has another", rule="secret")
    return link


def _end_to_end(link: Link) -> _EndToEnd:
    if isinstance(link.key, str):
        raise Invalid("link", "A sealed secret tells nothing before it is revealed", rule="sealed")
    return _EndToEnd(link.server, link.key)


# What is sent


def _bytes(content: str | bytes) -> bytes:
    try:
        raw = content.encode() if isinstance(content, str) else bytes(content)
    except UnicodeEncodeError:
        raise Invalid("content", "The text is not valid Unicode") from None
    if not raw:
        raise Invalid("content", "There is nothing to share", rule="empty")
    return raw


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _granted(ttl: int | None, terms: Terms) -> int:
    if ttl is None:
        return terms.default_ttl
    if ttl < terms.min_ttl:
        raise Invalid("ttl", f"At least {terms.min_ttl} seconds", rule="too_short")
    if ttl > terms.max_ttl:
        raise Invalid("ttl", f"At most {terms.max_ttl} seconds", rule="too_long")
    return ttl


def _check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise errors.TooLarge("content", limit_bytes=limit_bytes, size_bytes=size_bytes)


def _receipt_words(key: bytes) -> dict[str, str]:
    secret_id, receipt_key = key[: envelope.KEY_BYTES], key[envelope.KEY_BYTES :]
    proof = envelope.receipt_proof(receipt_key)
    return {"secret_id": to_base64_url(secret_id), "receipt_proof": to_base64_url(proof)}


def _as_json(words: dict[str, Any] | None) -> tuple[dict[str, str], bytes | None]:
    if words is None:
        return {}, None
    return {"Content-Type": "application/json"}, json.dumps(words).encode()


# What comes back


def _read(response: httpx2.Response, most_bytes: int) -> _Answer:
    """As it came over the wire: what a server has packed although it was not asked to is not unpacked."""
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > most_bytes:
            raise Foreign("The server answers more than it could have to say")
    return _Answer(response.status_code, dict(response.headers), bytes(body))


def _trouble(error: httpx2.TransportError, timeout: float) -> _Trouble:
    never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    never_sent = never_sent or isinstance(error, httpx2.ProxyError | httpx2.UnsupportedProtocol)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _Trouble(
                f"its certificate is not to be trusted ({cause.verify_message})", False, True
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return _Trouble("there is no such host", was_sent=False, is_final=True)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.TimeoutException):
        return _Trouble(f"nothing came for {timeout:g} seconds", not never_sent, is_final=False)
    if never_sent:
        said = re.sub(r"^\[Errno -?\d+\] ", "", _printable(f"{error}")) or "no connection"
        return _Trouble(
            said, was_sent=False, is_final=isinstance(error, httpx2.UnsupportedProtocol)
        )
    return _Trouble("the connection was cut", was_sent=True, is_final=False)


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:200] if letter.isprintable())


def _asked_pause(answer: _Answer, pause: float) -> float | None:
    """None: it will take longer than we wait."""
    asked = _number(answer.headers.get("retry-after", ""))
    if asked is None:
        return pause
    return None if asked > LONGEST_PAUSE else max(pause, asked)


def _window(headers: dict[str, str]) -> int | None:
    """When it ends; None when it has, because there is none."""
    ends_at = _number(headers.get("onetime-window-ends-at", ""))
    now = _number(headers.get("onetime-now", ""))
    if ends_at is None or now is None or not now < ends_at <= MOST_SECONDS:
        return None
    return ends_at


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else None


def _refuse_foreign() -> NoReturn:
    raise Foreign("What answers there is no Onetime server, or one of another version")


def _object(answer: _Answer) -> dict[str, Any]:
    if 300 <= answer.status < 400:
        origin = re.match(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?", answer.headers.get("location", ""))
        raise Foreign(
            f"It sends elsewhere ({origin[0] if origin else 'on itself'}), and is not followed"
        )
    try:
        said = json.loads(answer.body.decode())
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        if answer.status in TEMPORARY:
            raise errors.Unavailable("The server is not up to it just now")
        _refuse_foreign()
    return said


def _said(answer: _Answer, *, status: int = 200) -> dict[str, Any]:
    """
    Raises:
        OnetimeError: what the answer says went wrong.
    """
    _check(answer, status)
    return _object(answer)


def _check(answer: _Answer, status: int = 200) -> None:
    if answer.status == status:
        return
    said = _object(answer).get("error")
    if not isinstance(said, dict):
        _refuse_foreign()
    raise _error(said)


def _error(said: dict[str, Any]) -> errors.OnetimeError:
    """In our words: a server's sentence is for whoever reads its answers, and could be any."""
    wait = _optional(said, "retry_after")
    match said.get("code"):
        case "not_found":
            return errors.NotFound()
        case "claimed":
            return errors.Claimed()
        case "conflict":
            return errors.Conflict("There is another secret under this name")
        case "wrong_passphrase":
            return errors.WrongPassphrase(attempts_left=_optional(said, "attempts_left"))
        case "closed":
            return errors.Closed()
        case "rate_limited":
            return errors.RateLimited("of the server", retry_after=wait)
        case "too_large":
            return errors.TooLarge("content", limit_bytes=_optional(said, "limit_bytes") or 0)
        case "full":
            return errors.Full()
        case "undecryptable":
            return errors.Undecryptable("What the server has kept was damaged")
        case "unknown_host":
            return Foreign("The server does not go by this name")
        case "error":
            return errors.Unavailable("The server has failed")
        case "unavailable":
            return errors.Unavailable(retry_after=5 if wait is None else wait)
        case "invalid":
            name, rule = _word(said, "field"), _word(said, "rule")
            return Invalid(name, f"The server refuses it ({name}, {rule})", rule=rule)
    return Foreign("The server gives a reason that this program does not know")


def _raise_sealed(answer: _Answer, message: Any) -> NoReturn:
    wait = _number(answer.headers.get("retry-after", ""))
    if answer.status in TEMPORARY:
        raise errors.Unavailable(retry_after=5 if wait is None else wait)
    if wait is not None:
        raise errors.RateLimited("of the server", retry_after=wait)
    if message == "Double check that passphrase":
        raise errors.WrongPassphrase(attempts_left=None)
    if message in {"Unknown secret", "Not Found"}:
        raise errors.NotFound("There is nothing here, or this is not the passphrase")
    if isinstance(message, str):
        raise Invalid("secret", "The server refuses it")
    _refuse_foreign()


def _shared(sealed: Envelope, created_at: int, secret_expires_at: int, expires_at: int) -> Shared:
    return Shared(
        link=sealed.link,
        receipt_link=sealed.receipt_link,
        has_passphrase=sealed.has_passphrase,
        sealed=False,
        created_at=created_at,
        secret_expires_at=secret_expires_at,
        expires_at=expires_at,
    )


def _receipt_of(said: dict[str, Any]) -> Receipt:
    return Receipt(
        state=_state(said),
        has_passphrase=_boolean(said, "has_passphrase"),
        created_at=_instant(said, "created_at"),
        secret_expires_at=_instant(said, "secret_expires_at"),
        expires_at=_instant(said, "expires_at"),
        ended_at=_instant_or_none(said, "ended_at"),
        acknowledged=_boolean(said, "acknowledged"),
        acknowledged_at=_instant_or_none(said, "acknowledged_at"),
        window_ends_at=_instant_or_none(said, "window_ends_at"),
        wrong_tries=_integer(said, "wrong_tries"),
        closed=_boolean(said, "closed"),
        now=_instant(said, "now"),
    )


_SEALED_STATES: dict[Any, State] = {
    "new": "new",
    "received": "revealed",
    "burned": "burned",
    "expired": "expired",
}


def _sealed_receipt(said: dict[str, Any]) -> Receipt:
    """v1 gives what is left instead of instants; a receipt lives twice as long as its secret may."""
    state = _SEALED_STATES.get(said.get("state"))
    if state is None:
        _refuse_foreign()
    created_at, ttl = _instant(said, "created"), _instant(said, "ttl")
    expires_at = created_at + 2 * ttl
    has_passphrase = said.get("has_passphrase")
    return Receipt(
        state=state,
        has_passphrase=has_passphrase if isinstance(has_passphrase, bool) else None,
        created_at=created_at,
        secret_expires_at=created_at + ttl,
        expires_at=expires_at,
        ended_at=None if state == "new" else _instant(said, "updated"),
        acknowledged=False,
        acknowledged_at=None,
        window_ends_at=None,
        wrong_tries=None,
        closed=False,
        now=expires_at - _instant(said, "metadata_ttl"),
    )


def _integer(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        _refuse_foreign()
    return value


def _instant(said: dict[str, Any], name: str) -> int:
    """Or a lifetime: either can be shown as a date, and so can two or three of them together."""
    value = _integer(said, name)
    if value > MOST_SECONDS:
        _refuse_foreign()
    return value


def _instant_or_none(said: dict[str, Any], name: str) -> int | None:
    return None if said.get(name) is None else _instant(said, name)


def _optional(said: dict[str, Any], name: str) -> int | None:
    return None if said.get(name) is None else _integer(said, name)


def _boolean(said: dict[str, Any], name: str) -> bool:
    value = said.get(name)
    if not isinstance(value, bool):
        _refuse_foreign()
    return value


def _state(said: dict[str, Any]) -> State:
    state: Any = said.get("state")
    if state not in {"new", "claimed", "revealed", "burned", "expired"}:
        _refuse_foreign()
    known: State = state
    return known


def _word(said: dict[str, Any], name: str) -> str:
    """One of ours, or nothing: it is shown."""
    value = said.get(name)
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_]{1,40}", value) else "request"


def _key(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Za-z]{1,64}", value):
        _refuse_foreign()
    return value
