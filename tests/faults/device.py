"""The devices of end-to-end secrets: a sender's and readers', asking /api/e2e and recording what they did.

Every key of a secret is made up from its marker, so whoever continues after a restart has them. The envelope is noise to the
server, so here it is the marker's value behind a head of the right form: what comes back says which it is, whole or damaged.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from tests.faults.client import Answer, Connection, Request, exchange
from tests.faults.history import Act, History, Operation, Outcome, marker_of, value_of

# RFC 8188: salt (16), the size of records (4), no key id (1).
HEAD = (65_536).to_bytes(4) + b"\0"
HEAD_BYTES = 16 + len(HEAD)
# Padded sizes, and what a record of that size adds; docs/envelope.md.
SIZES = {"small": 256 + 17, "medium": 1024 + 17, "large": 8192 + 17, "huge": 61_440 + 17}


class Devices:
    """One connection, and the history that it writes into."""

    def __init__(self, base: str, history: History, process: str) -> None:
        self.connection = Connection(base)
        self._history = history
        self._process = process

    async def create(self, marker: str, *, size: str = "small", ttl: int = 3600) -> Operation:
        """Answered with the first answer when it is repeated, while it is new."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Onetime-Secret-Id": _text(_hash(_key("link", marker))),
            "Onetime-Open-Hash": _text(_hash(_key("open", marker))),
            "Onetime-Receipt-Hash": _text(_hash(_key("receipt", marker))),
            "Onetime-Ttl": str(ttl),
            "Onetime-Passphrase": "no",
        }
        request = Request("POST", "/api/e2e/create", body_of(marker, size), headers)
        return await self._do(Act.CREATE, marker, request, asked_ttl=ttl)

    async def claim(self, marker: str, device: str, *, proof: bool = True) -> Operation:
        """Ask for it as that device; with a wrong proof, if it is to guess."""
        asked = {
            "link_proof": _text(_key("link", marker)),
            "open_proof": _text(_key("open" if proof else "guess", marker)),
            "claim": _claim(device),
        }
        request = _ask("reveal", asked)
        return await self._do(Act.CLAIM, marker, request, device=device, proof=proof)

    async def settle(self, marker: str, device: str) -> Operation:
        asked = {"link_proof": _text(_key("link", marker)), "claim": _claim(device)}
        return await self._do(Act.SETTLE, marker, _ask("settle", asked), device=device)

    async def destroy(self, marker: str) -> Operation:
        asked = {
            "link_proof": _text(_key("link", marker)),
            "open_proof": _text(_key("open", marker)),
        }
        return await self._do(Act.DESTROY, marker, _ask("burn", asked))

    async def withdraw(self, marker: str) -> Operation:
        return await self._do(Act.WITHDRAW, marker, _ask("receipt/burn", _receipt(marker)))

    async def track(self, marker: str) -> Operation:
        return await self._do(Act.TRACK, marker, _ask("receipt", _receipt(marker)))

    def close(self) -> None:
        self.connection.close()

    async def _do(
        self,
        act: Act,
        marker: str,
        request: Request,
        *,
        device: str = "",
        proof: bool = True,
        **facts: Any,
    ) -> Operation:
        timed = await exchange(self.connection, request)
        answer = timed.answer
        operation = Operation(
            act=act,
            marker=marker,
            process=self._process,
            start=timed.start,
            end=timed.end,
            at=timed.at,
            outcome=_outcome(act, answer),
            status=answer.status if answer else 0,
            found=_found(act, answer, timed.arrived),
            device=device,
            proof=proof,
            facts=facts | _facts(act, answer),
        )
        self._history.add(operation)
        return operation


def body_of(marker: str, size: str) -> bytes:
    value = value_of(marker, SIZES[size]).encode()
    return hashlib.sha256(marker.encode()).digest()[:16] + HEAD + value


def _ask(path: str, asked: dict[str, str]) -> Request:
    kind = {"Content-Type": "application/json"}
    return Request("POST", f"/api/e2e/{path}", json.dumps(asked).encode(), kind)


def _receipt(marker: str) -> dict[str, str]:
    return {
        "secret_id": _text(_hash(_key("link", marker))),
        "receipt_proof": _text(_key("receipt", marker)),
    }


def _key(name: str, marker: str) -> bytes:
    return _hash(f"{name} {marker}".encode())


def _claim(device: str) -> str:
    return _text(_hash(f"claim {device}".encode())[:16])


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _outcome(act: Act, answer: Answer | None) -> Outcome:
    if answer is None:
        return Outcome.UNKNOWN
    if answer.status == (201 if act is Act.CREATE else 200):
        return Outcome.OK
    if answer.status in {403, 404, 409, 429}:
        return Outcome.REFUSED
    # 503 may mean that the outcome of a commit could not be found out. A create may then be repeated.
    if answer.status == 503 and act in {Act.TRACK, Act.CREATE}:
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def _found(act: Act, answer: Answer | None, arrived: bytes) -> str:
    if act is not Act.CLAIM:
        return ""
    if answer and answer.status == 200:
        head, value = answer.body[:HEAD_BYTES], answer.body[HEAD_BYTES:]
        marker = marker_of(value.decode("latin-1"))
        is_whole = head == hashlib.sha256(marker.encode()).digest()[:16] + HEAD
        return marker if is_whole else "damaged"
    part = re.search(rb"~([^~]+)~", answer.body if answer else arrived)
    return part[1].decode("latin-1") if part else ""


def _facts(act: Act, answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return {}
    if act is Act.CLAIM and answer.status == 200:
        return {
            "window_ends_at": _whole(answer.headers.get("onetime-window-ends-at")),
            "now": _whole(answer.headers.get("onetime-now")),
        }
    said = answer.json()
    if answer.status not in {200, 201}:
        error = said.get("error", {})
        facts = {"code": error.get("code", "")}
        if "retry-after" in answer.headers:
            facts["retry_after"] = answer.headers["retry-after"]
        return facts
    return said


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
