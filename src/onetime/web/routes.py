"""Every URL, on one page. A line is (methods, path, handler); `{name}` is one path segment.

HEAD is served by GET, without the body. Literal paths win over those with names, and one closing slash is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.web import ops
from onetime.web.api import e2e, openapi, record, v1, v2, v3
from onetime.web.pages import docs, home, info, receipt, secret, static

if TYPE_CHECKING:
    from onetime.web.http import Handler

Route = tuple[str, str, "Handler"]

V1: list[Route] = [
    ("GET", "/api/v1/status", v1.status),
    ("GET", "/api/v1/authcheck", v1.needs_account),
    ("POST", "/api/v1/share", v1.share),
    ("POST", "/api/v1/create", v1.share),
    ("POST", "/api/v1/generate", v1.generate),
    ("POST", "/api/v1/secret/{key}", v1.reveal),
    ("GET", "/api/v1/receipt/recent", v1.needs_account),
    ("POST", "/api/v1/receipt/recent", v1.post_recent),
    ("GET POST", "/api/v1/receipt/{key}", v1.receipt),
    ("POST", "/api/v1/receipt/{key}/burn", v1.burn),
    # The receipt's earlier names.
    ("GET", "/api/v1/private/recent", v1.needs_account),
    ("POST", "/api/v1/private/recent", v1.post_recent),
    ("GET POST", "/api/v1/private/{key}", v1.receipt),
    ("POST", "/api/v1/private/{key}/burn", v1.burn),
    ("GET", "/api/v1/metadata/recent", v1.needs_account),
    ("POST", "/api/v1/metadata/recent", v1.post_recent),
    ("GET POST", "/api/v1/metadata/{key}", v1.receipt),
    ("POST", "/api/v1/metadata/{key}/burn", v1.burn),
]

V2: list[Route] = [
    ("POST", "/api/v2/secret/conceal", v2.conceal),
    ("POST", "/api/v2/secret/generate", v2.generate),
    ("POST", "/api/v2/secret/status", v2.states),
    ("GET", "/api/v2/secret/{key}", record.show),
    ("POST", "/api/v2/secret/{key}/reveal", record.reveal),
    ("GET", "/api/v2/secret/{key}/status", v2.state),
    ("GET", "/api/v2/receipt/recent", v2.needs_account),
    ("GET", "/api/v2/receipt/{key}", v2.receipt),
    ("PATCH", "/api/v2/receipt/{key}", v2.memo),
    ("POST", "/api/v2/receipt/{key}/burn", v2.burn),
    # The receipt's earlier name.
    ("GET", "/api/v2/private/recent", v2.needs_account),
    ("GET", "/api/v2/private/{key}", v2.receipt),
    ("PATCH", "/api/v2/private/{key}", v2.memo),
    ("POST", "/api/v2/private/{key}/burn", v2.burn),
    # Whatever credentials come with these are not looked at.
    ("POST", "/api/v2/guest/secret/conceal", v2.conceal),
    ("POST", "/api/v2/guest/secret/generate", v2.generate),
    ("GET", "/api/v2/guest/secret/{key}", record.show),
    ("POST", "/api/v2/guest/secret/{key}/reveal", record.reveal),
    ("GET", "/api/v2/guest/receipt/{key}", v2.receipt),
    ("POST", "/api/v2/guest/receipt/{key}/burn", v2.burn),
    ("GET", "/api/v2/status", v2.status),
    ("GET", "/api/v2/version", v2.needs_account),
    ("GET", "/api/v2/supported-locales", v2.locales),
]

V3: list[Route] = [
    ("POST", "/api/v3/secret/conceal", v3.needs_session),
    ("POST", "/api/v3/secret/generate", v3.needs_session),
    ("POST", "/api/v3/secret/status", record.states),
    ("GET", "/api/v3/secret/{key}", v3.needs_session),
    ("POST", "/api/v3/secret/{key}/reveal", v3.needs_session),
    ("GET", "/api/v3/secret/{key}/status", record.state),
    ("GET", "/api/v3/receipt/recent", v3.needs_session),
    ("GET PATCH", "/api/v3/receipt/{key}", v3.needs_session),
    ("POST", "/api/v3/receipt/{key}/burn", v3.needs_session),
    ("POST", "/api/v3/guest/secret/conceal", v3.conceal),
    ("POST", "/api/v3/guest/secret/generate", v3.generate),
    ("GET", "/api/v3/guest/secret/{key}", record.show),
    ("POST", "/api/v3/guest/secret/{key}/reveal", record.reveal),
    ("GET", "/api/v3/guest/receipt/{key}", v3.receipt),
    ("POST", "/api/v3/guest/receipt/{key}/burn", v3.burn),
    ("POST", "/api/v3/guest/receipts", v3.receipts),
    ("POST", "/api/v3/feedback", v3.feedback),
    ("GET", "/api/v3/status", v3.status),
    ("GET", "/api/v3/version", v3.needs_session),
    ("GET", "/api/v3/supported-locales", v3.locales),
]

E2E: list[Route] = [
    ("GET", "/api/e2e/terms", e2e.terms),
    ("POST", "/api/e2e/create", e2e.create),
    ("POST", "/api/e2e/look", e2e.look),
    ("POST", "/api/e2e/reveal", e2e.reveal),
    ("POST", "/api/e2e/settle", e2e.settle),
    ("POST", "/api/e2e/burn", e2e.burn),
    ("POST", "/api/e2e/receipt", e2e.receipt),
    ("POST", "/api/e2e/receipt/burn", e2e.burn_by_receipt),
]

API = [*V1, *V2, *V3, *E2E]
DESCRIPTION: list[Route] = [("GET", "/api/openapi.json", openapi.of(API))]

PAGES: list[Route] = [
    ("GET", "/", home.form),
    ("POST", "/", home.share),
    ("GET", "/secret", secret.envelope),
    ("GET", "/secret/{key}", secret.confirm),
    ("POST", "/secret/{key}", secret.reveal),
    ("POST", "/secret/{key}/burn", secret.burn),
    ("GET", "/l/{key}", secret.short_address),
    ("GET", "/receipt", receipt.envelope),
    ("GET", "/receipt/{key}", receipt.show),
    ("POST", "/receipt/{key}/burn", receipt.burn),
    ("GET", "/private/{key}", receipt.earlier_address),
    ("POST", "/private/{key}/burn", receipt.burn_at_earlier_address),
    ("GET", "/metadata/{key}", receipt.earlier_address),
    ("GET", "/docs/api", docs.of(API)),
    ("GET", "/docs/api/secrets", docs.earlier_address),
    ("GET", "/info/about", info.about),
    ("GET", "/info/privacy", info.privacy),
    ("GET", "/info/terms", info.terms),
    ("GET", "/privacy", info.short_privacy),
    ("GET", "/robots.txt", info.robots),
    ("GET", "/.well-known/security.txt", info.security_contact),
    ("GET", "/favicon.ico", static.favicon),
    ("GET", "/static/{version}/{kind}/{name}", static.serve),
    ("GET", "/static/{version}/{kind}/{folder}/{name}", static.serve),
]

OPERATIONS: list[Route] = [
    ("GET", "/health", ops.health),
    ("GET", "/health/live", ops.live),
    ("GET", "/health/ready", ops.ready),
    ("GET", "/metrics", ops.metrics),
]

ROUTES = [*API, *DESCRIPTION, *PAGES, *OPERATIONS]
