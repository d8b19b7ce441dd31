"""An envelope as its sender's device makes it, and the proofs of those who hold its link and its receipt.

What protects it is not derived from a passphrase here: that takes long, and the server cannot see the difference.
"""

import os
from dataclasses import dataclass, field
from typing import Any

from onetime.app import App
from onetime.crypto import envelope
from onetime.model import NewEnvelope
from tests.core.opening import Clock


@dataclass(frozen=True)
class Sealed:
    content: bytes = b"correct horse"
    link_key: bytes = field(default_factory=envelope.new_link_key)
    receipt_key: bytes = field(default_factory=envelope.new_receipt_key)
    salt: bytes = field(default_factory=lambda: os.urandom(envelope.SALT_BYTES))

    @property
    def link_proof(self) -> bytes:
        return envelope.derive(self.link_key).link_proof

    @property
    def open_proof(self) -> bytes:
        return envelope.derive(self.link_key).open_proof

    @property
    def receipt_proof(self) -> bytes:
        return envelope.receipt_proof(self.receipt_key)

    @property
    def secret_id(self) -> bytes:
        return envelope.secret_id(self.link_proof)

    @property
    def body(self) -> bytes:
        header = envelope.Header(length=len(self.content), created_at=0, expires_at=0)
        content_key = envelope.derive(self.link_key).content_key
        return envelope.seal(content_key, header, self.content, salt=self.salt)

    def new(self, **facts: Any) -> NewEnvelope:
        known: dict[str, Any] = {
            "secret_id": self.secret_id,
            "open_hash": envelope.proof_hash(self.open_proof),
            "receipt_hash": envelope.proof_hash(self.receipt_proof),
            "has_passphrase": False,
            "body": self.body,
        }
        return NewEnvelope(**known | facts)

    def opened(self, body: bytes) -> bytes:
        """What the holder of the link reads in it."""
        return envelope.open_(envelope.derive(self.link_key).content_key, body).content


def device(name: object) -> bytes:
    """The claim of a device, 16 bytes."""
    return f"{name}".encode().rjust(envelope.CLAIM_BYTES, b".")


def guess(number: object = "") -> bytes:
    """A wrong open proof."""
    return f"guess {number}".encode().ljust(envelope.KEY_BYTES, b".")


async def pass_time(app: App, clock: Clock, seconds: float) -> None:
    """While the service is awake: it sweeps every minute, and at the end."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(clock.now + 60, end)
        await app.store.sweep()
