"""The page of what went wrong: of a rule's refusal that no page of its own tells, and of what no handler answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.web.render import render

if TYPE_CHECKING:
    from onetime.web.http import Answer, Call, Headers


def error_page(
    call: Call, *, status: int, code: str, retry_after: int | None = None, reference: str = ""
) -> Answer:
    """`code` is that of errors.py, or empty for what has none; `reference` what the log calls it."""
    headers: Headers = []
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return render(
        call,
        "error.html",
        status=status,
        headers=headers,
        switch="" if call.method in {"GET", "HEAD"} else None,
        code=code,
        most_bytes=call.app.settings.max_secret_bytes,
        reference=reference,
        wait=retry_after,
    )
