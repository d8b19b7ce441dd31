"""What schemathesis does not know by itself: secrets that exist. It loads this file, in an environment of its own.

Of each call's requests that are as the description has them, four of five are about a secret that was made for it a moment
before: new, claimed, or with proofs that are not its own. What is wrong on purpose stays as it is.
"""

import hashlib
import itertools
import json
import os
import urllib.request
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import schemathesis  # type: ignore[import-not-found]  # it is not installed beside the program

# Salt, record size, no key id; one record of the least padded size.
ENVELOPE = b"s" * 16 + b"\x00\x01\x00\x00\x00" + b"e" * (256 + 1 + 16)

turns: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def hashed(proof: bytes) -> str:
    return text(hashlib.sha256(proof).digest())


def ask(url: str, body: bytes, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the server under test
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        content = answer.read()
        is_json = answer.headers["Content-Type"].startswith("application/json")
    return json.loads(content) if is_json else content


def made_envelope(base: str, *, is_claimed: bool) -> dict[str, str]:
    """Every word that a request about it may need."""
    link, opens, receipt = (os.urandom(32) for _ in range(3))
    headers = {
        "Content-Type": "application/octet-stream",
        "Onetime-Secret-Id": hashed(link),
        "Onetime-Open-Hash": hashed(opens),
        "Onetime-Receipt-Hash": hashed(receipt),
        "Onetime-Passphrase": "yes",
    }
    ask(f"{base}/api/e2e/create", ENVELOPE, headers)
    words = {
        "secret_id": hashed(link),
        "link_proof": text(link),
        "open_proof": text(opens),
        "receipt_proof": text(receipt),
        "claim": text(os.urandom(16)),
    }
    if is_claimed:
        asked = {name: words[name] for name in ("link_proof", "open_proof", "claim")}
        content = {"Content-Type": "application/json"}
        ask(f"{base}/api/e2e/reveal", json.dumps(asked).encode(), content)
    return words


def made_secret(base: str) -> tuple[str, str]:
    made = ask(f"{base}/api/v1/share", b"secret=hello", {})
    return made["secret_key"], made["metadata_key"]


def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    path = case.operation.path
    base = case.operation.base_url.rstrip("/")
    turn = next(turns[case.operation.label]) % 5
    if path == "/api/e2e/create":
        case.body = ENVELOPE
        if "Onetime-Ttl" in case.headers:
            case.headers["Onetime-Ttl"] = "3600"
    elif turn == 4:
        return
    elif path.startswith("/api/e2e/") and path != "/api/e2e/terms":
        words = made_envelope(base, is_claimed=turn % 2 == 1 or path == "/api/e2e/settle")
        own = words.keys() if turn < 2 else {"link_proof", "secret_id"}
        case.body |= {name: words[name] for name in case.body.keys() & own}
    elif case.path_parameters:
        secret_key, receipt_key = made_secret(base)
        is_secret = "/secret/" in path
        case.path_parameters["key"] = secret_key if is_secret else receipt_key


schemathesis.hook(before_call)
