"""Every URL, on one page. A line is (methods, path, handler); `{name}` is one path segment.

HEAD is served by GET, without the body. Literal paths win over those with names, and one closing slash is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.web import ops

if TYPE_CHECKING:
    from onetime.web.http import Handler

Route = tuple[str, str, "Handler"]

V1: list[Route] = []

PAGES: list[Route] = []

OPERATIONS: list[Route] = [
    ("GET", "/health", ops.health),
    ("GET", "/health/live", ops.live),
    ("GET", "/health/ready", ops.ready),
    ("GET", "/metrics", ops.metrics),
]

ROUTES = [*V1, *PAGES, *OPERATIONS]
