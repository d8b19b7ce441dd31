"""Response headers, content policy, and the cross-origin check.

There is no token in any form. A browser says where a request comes from: `Sec-Fetch-Site`, and where that is not sent (plain
http to another host name than loopback) `Origin`. A page of another site can therefore neither conceal, reveal nor burn
through a visitor's browser. A request that says neither, or `Origin: null`, comes from a program or from a page without an
origin; it has no authority but the key it carries.

The API, and nothing else, may be called by scripts of the sites in ONETIME_CORS_ORIGINS, as by anybody: without credentials, so
that a visitor lends them nothing.

Source: the algorithm of Go 1.25's http.CrossOriginProtection, with `null` decided as above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onetime.settings import Settings
    from onetime.web.http import Headers

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; worker-src 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

# Features that a browser would otherwise grant to the page. Clipboard and share work by the user's gesture.
DENIED = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "window-management",
    "xr-spatial-tracking",
)
ALLOWED = ("clipboard-write=(self)",)

_ALWAYS: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Not no-referrer: under it browsers send `Origin: null` with forms, and the check below would be hollow.
    (b"referrer-policy", b"same-origin"),
    (
        b"permissions-policy",
        ", ".join([*(f"{name}=()" for name in DENIED), *ALLOWED]).encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]

# What means something for a script or a style sheet; the rest is a page's, and would be most of their weight.
_OF_PARTS = frozenset(
    {b"cross-origin-resource-policy", b"strict-transport-security", b"x-content-type-options"}
)

NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"x-robots-tag", b"noindex, nofollow")]


def headers(settings: Settings) -> Headers:
    """Those of every answer. HSTS only where the public address is https: elsewhere it means nothing."""
    if settings.base_url.startswith("https:"):
        return [*_ALWAYS, (b"strict-transport-security", b"max-age=31536000")]
    return list(_ALWAYS)


def of_parts(headers: Headers) -> Headers:
    """Those of `headers` that a script or a style sheet needs: it is nothing without the page that has the others."""
    return [header for header in headers if header[0] in _OF_PARTS]


# What a script of another site may send and read, where its origin is in ONETIME_CORS_ORIGINS. Credentials are not among it.
_CORS_SENT = (
    b"content-type, idempotency-key, onetime-secret-id, onetime-open-hash, onetime-receipt-hash, "
    b"onetime-passphrase, onetime-ttl"
)
_CORS_READ = (
    b"onetime-now, onetime-window-ends-at, retry-after, x-ots-intended-status, x-request-id"
)


def cors(headers: Mapping[bytes, bytes], origins: tuple[str, ...], methods: bytes = b"") -> Headers:
    """What an answer of the API says to the browser of a visitor of another site; nothing, where its origin is not one of
    `origins`. With `methods` it answers the browser's question of what may be sent.

    Source: the Fetch standard, "CORS protocol". No `Access-Control-Allow-Credentials`, ever.
    """
    if not is_allowed(headers, origins):
        return []
    made = [(b"access-control-allow-origin", headers[b"origin"]), (b"vary", b"Origin")]
    if not methods:
        return [*made, (b"access-control-expose-headers", _CORS_READ)]
    return [
        *made,
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", _CORS_SENT),
        (b"access-control-max-age", b"600"),
    ]


def is_allowed(headers: Mapping[bytes, bytes], origins: tuple[str, ...]) -> bool:
    """Whether the request says that it comes from one of these; for the API alone."""
    stated = headers.get(b"origin")
    return bool(origins) and stated is not None and stated.decode("latin-1") in origins


def is_cross_origin(headers: Mapping[bytes, bytes], origin: str) -> bool:
    """Whether a request that may change something comes from a page of another origin than `origin`."""
    site = headers.get(b"sec-fetch-site")
    if site == b"same-origin":
        return False
    if site is not None and site != b"none":
        return True
    stated = headers.get(b"origin")
    return stated is not None and stated != b"null" and stated != origin.encode()
