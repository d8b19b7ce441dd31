"""An envelope and all the words that its sender's device and its reader's have for it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import httpx2

from onetime.crypto import envelope
from onetime.crypto.envelope import to_base64_url as text

OCTETS = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}

Words = dict[str, str]


@dataclass(frozen=True)
class Sealed:
    """With `has_passphrase` the server is told that there is one; it cannot know better."""

    content: bytes = b"correct horse"
    has_passphrase: bool = False
    link_key: bytes = field(default_factory=envelope.new_link_key)
    receipt_key: bytes = field(default_factory=envelope.new_receipt_key)
    claim: bytes = field(default_factory=envelope.new_claim)
    salt: bytes = field(default_factory=lambda: os.urandom(envelope.SALT_BYTES))

    @property
    def keys(self) -> envelope.Keys:
        return envelope.derive(self.link_key)

    @property
    def body(self) -> bytes:
        header = envelope.Header(length=len(self.content), created_at=0, expires_at=0)
        return envelope.seal(self.keys.content_key, header, self.content, salt=self.salt)

    @property
    def secret_id(self) -> str:
        return text(envelope.secret_id(self.keys.link_proof))

    def headers(self, **more: str | None) -> Words:
        """Of the create. `ttl="60"` is one more, `passphrase=None` one less."""
        receipt_hash = envelope.proof_hash(envelope.receipt_proof(self.receipt_key))
        words: dict[str, str | None] = {
            "secret_id": self.secret_id,
            "open_hash": text(envelope.proof_hash(self.keys.open_proof)),
            "receipt_hash": text(receipt_hash),
            "passphrase": "yes" if self.has_passphrase else "no",
            **more,
        }
        named = {
            f"Onetime-{name.title().replace('_', '-')}": value for name, value in words.items()
        }
        return {**OCTETS, **{name: value for name, value in named.items() if value is not None}}

    def link(self) -> Words:
        return {"link_proof": text(self.keys.link_proof)}

    def opening(self) -> Words:
        return {**self.link(), "open_proof": text(self.keys.open_proof)}

    def claiming(self) -> Words:
        return {**self.link(), "claim": text(self.claim)}

    def revealing(self) -> Words:
        return {**self.opening(), **self.claiming()}

    def receipt(self) -> Words:
        proof = envelope.receipt_proof(self.receipt_key)
        return {"secret_id": self.secret_id, "receipt_proof": text(proof)}


def other(words: Words, name: str) -> Words:
    """The same, but for one that is of the right form and wrong."""
    size = 16 if name == "claim" else 32
    return {**words, name: text(os.urandom(size))}


async def create(client: httpx2.AsyncClient, sealed: Sealed, **more: str | None) -> httpx2.Response:
    return await client.post("/api/e2e/create", content=sealed.body, headers=sealed.headers(**more))


async def created(client: httpx2.AsyncClient, **about: Any) -> Sealed:
    """A new one that the server has."""
    sealed = Sealed(**about)
    answer = await create(client, sealed)
    assert answer.status_code == 201, answer.text
    return sealed


async def ask(client: httpx2.AsyncClient, path: str, words: Words) -> httpx2.Response:
    return await client.post(f"/api/e2e/{path}", content=json.dumps(words), headers=JSON)


def refusal(answer: httpx2.Response) -> tuple[int, dict[str, Any]]:
    """Status and error. The answer is a refusal, and holds nothing else."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert said.keys() == {"error"}
    assert said["error"].keys() >= {"code", "message"}
    error = dict(said["error"])
    assert error.pop("message")
    assert answer.headers.get("retry-after") == (
        str(error["retry_after"]) if "retry_after" in error else None
    )
    return answer.status_code, error
