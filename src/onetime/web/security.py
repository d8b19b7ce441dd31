"""Response headers, content policy, and the cross-origin check.

There is no token in any form. A browser says where a request comes from: `Sec-Fetch-Site`, and where that is not sent (plain
http to another host name than loopback) `Origin`. A page of another site can therefore neither conceal, reveal nor burn
through a visitor's browser. A request that says neither, or `Origin: null`, comes from a program or from a page without an
origin; it has no authority but the key it carries.

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

NO_STORE: Headers = [(b"cache-control", b"no-store"), (b"x-robots-tag", b"noindex, nofollow")]


def headers(settings: Settings) -> Headers:
    """Those of every answer. HSTS only where the public address is https: elsewhere it means nothing."""
    if settings.base_url.startswith("https:"):
        return [*_ALWAYS, (b"strict-transport-security", b"max-age=31536000")]
    return list(_ALWAYS)


def is_cross_origin(headers: Mapping[bytes, bytes], origin: str) -> bool:
    """Whether a request that may change something comes from a page of another origin than `origin`."""
    site = headers.get(b"sec-fetch-site")
    if site == b"same-origin":
        return False
    if site is not None and site != b"none":
        return True
    stated = headers.get(b"origin")
    return stated is not None and stated != b"null" and stated != origin.encode()
