"""End-to-end secrets made by another program than the page's, and what other devices do with them."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

from onetime.crypto import envelope
from onetime.crypto.envelope import File, Header, to_base64_url
from tests.browser.place import Place
from tests.cli.running import Answer

DAY = 86_400


@dataclass
class Sealed:
    """`fragment` and `receipt_fragment` are what stands behind the # of the two links."""

    place: Place
    link_key: bytes
    keys: envelope.Keys
    receipt: envelope.ReceiptLink
    receipt_key: bytes

    @property
    def fragment(self) -> str:
        return envelope.format_link_key(self.link_key)

    @property
    def receipt_fragment(self) -> str:
        return envelope.format_receipt_link(self.receipt)

    @property
    def link(self) -> str:
        return f"secret#{self.fragment}"

    @property
    def receipt_link(self) -> str:
        return f"receipt#{self.receipt_fragment}"

    def ask(self, path: str, **members: bytes) -> Answer:
        """As another device of somebody who holds the link."""
        body = {"link_proof": self.keys.link_proof, **members}
        return post(
            self.place,
            path,
            json.dumps({name: to_base64_url(raw) for name, raw in body.items()}).encode(),
            {"Content-Type": "application/json"},
        )

    def reveal(self, claim: bytes = b"another device's") -> Answer:
        return self.ask("reveal", open_proof=self.keys.open_proof, claim=claim)

    def settle(self, claim: bytes = b"another device's") -> Answer:
        return self.ask("settle", claim=claim)

    def burn(self) -> Answer:
        return self.ask("burn", open_proof=self.keys.open_proof)

    def guess(self) -> Answer:
        return self.ask("reveal", open_proof=bytes(32), claim=bytes(16))

    def status(self) -> dict[str, Any]:
        """The receipt, as the API tells it."""
        members = {
            "secret_id": self.receipt.secret_id,
            "receipt_proof": envelope.receipt_proof(self.receipt_key),
        }
        answer = post(
            self.place,
            "receipt",
            json.dumps({name: to_base64_url(raw) for name, raw in members.items()}).encode(),
            {"Content-Type": "application/json"},
        )
        told: dict[str, Any] = answer.json()
        return told


def seal(
    place: Place,
    content: str | bytes = "correct horse battery staple",
    *,
    passphrase: str = "",
    ttl: int = 7 * DAY,
    files: tuple[File, ...] = (),
    damaged: bool = False,
) -> Sealed:
    """`damaged`: the last bit of the body is another."""
    link_key, receipt_key = envelope.new_link_key(), envelope.new_receipt_key()
    keys = envelope.derive(link_key, passphrase)
    receipt = envelope.ReceiptLink(envelope.secret_id(keys.link_proof), receipt_key)
    raw = content.encode() if isinstance(content, str) else content
    now = int(time.time())
    header = Header(
        kind="file" if files else "text",
        length=len(raw),
        created_at=now,
        expires_at=now + ttl,
        files=files,
    )
    body = envelope.seal(keys.content_key, header, raw)
    if damaged:
        body = body[:-1] + bytes([body[-1] ^ 1])
    answer = post(
        place,
        "create",
        body,
        {
            "Content-Type": "application/octet-stream",
            "Onetime-Secret-Id": to_base64_url(receipt.secret_id),
            "Onetime-Open-Hash": to_base64_url(envelope.proof_hash(keys.open_proof)),
            "Onetime-Receipt-Hash": to_base64_url(
                envelope.proof_hash(envelope.receipt_proof(receipt_key))
            ),
            "Onetime-Ttl": str(ttl),
            "Onetime-Passphrase": "yes" if passphrase else "no",
        },
    )
    assert answer.status == 201, answer
    return Sealed(place, link_key, keys, receipt, receipt_key)


def post(place: Place, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    with contextlib.closing(place.server.open()) as connection:
        sent = {"Host": place.url.split("/")[2], **headers}
        connection.request("POST", f"/api/e2e/{path}", body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
