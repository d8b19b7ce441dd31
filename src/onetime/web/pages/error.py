"""The page of what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.web.http import Answer, html_answer

if TYPE_CHECKING:
    from onetime.web.http import Call


def error_page(
    _call: Call, *, status: int, code: str, retry_after: int | None = None, reference: str = ""
) -> Answer:
    headers = [(b"retry-after", str(retry_after).encode())] if retry_after else []
    return html_answer(f"Error: {status} {code} {reference}", status=status, headers=headers)
