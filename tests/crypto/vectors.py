"""The fixed vectors of tests/vectors/seal: one file a case, hex for bytes.

Run as a program (`python -m tests.crypto.vectors`) it writes them anew, by hand and not with the program's own code. A
change of what is in them is a change of the format, and needs a version of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.crypto.by_hand import Sealed

FOLDER = Path(__file__).parent.parent / "vectors" / "seal"

_ROOT = bytes.fromhex("8f1d9b6e25c04a73f2e8417bd05936ac7e14c3f8a96052bd1b8ed74f3360e59a")
_KEY = "3t9xk0qz7m1v5w8r2y6n4b0c1d2tag7"
_BASE: dict[str, Any] = {
    "root_key": _ROOT,
    "secret_key": _KEY,
    "kind": "conceal",
    "created_at": 1_785_000_000,
    "expires_at": 1_785_604_800,
    "nonce": bytes.fromhex("a0a1a2a3a4a5a6a7a8a9aaab"),
}
_COST = {
    "passes": 2,
    "lanes": 1,
    "memory_kib": 19 * 1024,
    "salt": bytes.fromhex("00112233445566778899aabbccddeeff"),
}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"plaintext": b"correct horse"},
    "one-byte": {"plaintext": b"x"},
    "ukrainian": {"plaintext": "\n  пароль: Їжак 🦔\r\n\0".encode()},
    "generated": {"plaintext": b"Rk4$mWq9;xTz", "kind": "generate"},
    "other-root-key": {"plaintext": b"correct horse", "root_key": _ROOT[::-1]},
    "passphrase": {"plaintext": b"correct horse", "passphrase": "battery staple", **_COST},
    "passphrase-composed": {
        "plaintext": b"correct horse",
        "passphrase": "\u0457\u0436ak\u00e9",
        **_COST,
    },
    "passphrase-other-cost": {
        "plaintext": b"correct horse",
        "passphrase": " 1234 ",
        **_COST,
        "passes": 3,
        "lanes": 2,
        "memory_kib": 256,
    },
}
MADE = ("secret_id", "key_number", "content_key", "head", "body")


def by_hand(name: str) -> Sealed:
    return Sealed(**{**_BASE, **CASES[name]})


def as_json(sealed: Sealed) -> dict[str, Any]:
    given = {each.name: getattr(sealed, each.name) for each in fields(sealed)}
    made = {name: getattr(sealed, name) for name in MADE}
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in (given | made).items()
    }


def from_json(case: Mapping[str, Any]) -> dict[str, Any]:
    text = {"secret_key", "kind", "passphrase"}
    return {
        name: bytes.fromhex(value) if isinstance(value, str) and name not in text else value
        for name, value in case.items()
    }


def read(name: str) -> dict[str, Any]:
    return from_json(json.loads((FOLDER / f"{name}.json").read_text()))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        text = json.dumps(as_json(by_hand(name)), indent=2, ensure_ascii=True)
        (FOLDER / f"{name}.json").write_text(text + "\n")
