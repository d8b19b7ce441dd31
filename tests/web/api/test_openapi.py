"""The description of the APIs: it is OpenAPI 3.1, it lists what there is, and a server asked all of it does as described."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onetime.model import State
from onetime.web import errors as web_errors
from onetime.web.api import openapi
from onetime.web.api.e2e import Refusal
from onetime.web.connection import FULL, LONG_HEAD, NOT_HTTP
from onetime.web.routes import E2E, V1, V2, V3
from tests import needs
from tests.cli.running import Server, serving
from tests.rounds import rounds
from tests.web.api.transcript import HERE, opened

PATIENCE_SECONDS = 600

# What is wrong must be refused, and what is right must not, by ours alone: the others take nearly everything.
EVERY_CHECK = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
STRICT_CHECKS = (
    *EVERY_CHECK,
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
# Every status that one call from one place can have; the others take a full disk, a busy network, or a page of another site.
REACHED = {
    ("GET", "/api/e2e/terms"): {200},
    ("POST", "/api/e2e/create"): {201, 400, 409},
    ("POST", "/api/e2e/look"): {200, 400, 404},
    ("POST", "/api/e2e/reveal"): {200, 400, 403, 404, 409},
    ("POST", "/api/e2e/settle"): {200, 400, 404},
    ("POST", "/api/e2e/burn"): {200, 400, 403, 404, 409},
    ("POST", "/api/e2e/receipt"): {200, 400, 404},
    ("POST", "/api/e2e/receipt/burn"): {200, 400, 404, 409},
    ("POST", "/api/v1/share"): {200},
    ("POST", "/api/v1/secret/{key}"): {200, 404},
    ("GET", "/api/v1/receipt/{key}"): {200, 404},
    ("POST", "/api/v1/receipt/{key}/burn"): {200, 404},
    ("POST", "/api/v2/secret/conceal"): {200, 422},
    ("POST", "/api/v2/secret/generate"): {200, 422},
    ("POST", "/api/v2/secret/status"): {200},
    ("GET", "/api/v2/secret/{key}"): {200, 404},
    ("POST", "/api/v2/secret/{key}/reveal"): {200, 404},
    ("GET", "/api/v2/secret/{key}/status"): {200},
    ("GET", "/api/v2/receipt/{key}"): {200, 404},
    ("PATCH", "/api/v2/receipt/{key}"): {401, 404},
    ("POST", "/api/v2/receipt/{key}/burn"): {200, 404},
    ("POST", "/api/v3/guest/secret/conceal"): {200, 422},
    ("POST", "/api/v3/guest/secret/{key}/reveal"): {200, 404},
    ("GET", "/api/v3/guest/receipt/{key}"): {200, 404},
    ("POST", "/api/v3/guest/receipts"): {200},
    ("POST", "/api/v3/secret/conceal"): {401},
    ("POST", "/api/v3/feedback"): {403, 422},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, {"ONETIME_LIMITS": "off"}) as server:
        yield server


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document([*V1, *V2, *V3, *E2E])


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of the environment that has schemathesis and openapi-spec-validator."""
    folder = needs.openapi().parent
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "NO_PROXY": "*",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzzing.py")),
    }
    return subprocess.run(
        [folder / words[0], *words[1:]],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def fuzz(
    address: str, place: str, checks: tuple[str, ...], examples: int, *more: str
) -> subprocess.CompletedProcess[str]:
    """The paths that begin with `place`, each asked so many times, and every method of each. The same requests each time."""
    return run(
        "schemathesis",
        "run",
        address,
        "--include-path-regex",
        f"^{place}",
        "--checks",
        ",".join(checks),
        "--max-examples",
        str(examples),
        "--phases",
        "coverage,fuzzing",
        "--generation-deterministic",
        "--request-timeout",
        "60",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
        "--no-color",
        "--no-shrink",
        *more,
    )


def asked(server: Server) -> dict[tuple[str, str], set[int]]:
    """The statuses that each call has had."""
    seen: dict[tuple[str, str], set[int]] = {}
    for line in server.log():
        if line["event"] == "request":
            seen.setdefault((line["method"], line["route"]), set()).add(line["status"])
    return seen


def test_it_is_openapi(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))

    done = run("openapi-spec-validator", "--schema", "3.1", path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_openapi_is_noticed(document: dict[str, Any], tmp_path: Path) -> None:
    broken = deepcopy(document)
    del broken["paths"]["/api/e2e/look"]["post"]["responses"]["200"]["description"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(broken))

    assert run("openapi-spec-validator", "--schema", "3.1", path).returncode != 0


def test_it_describes_each_call_and_no_other(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {
        (method, path) for methods, path, _ in [*V1, *V2, *V3, *E2E] for method in methods.split()
    }
    ids = Counter(
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    )
    assert set(ids.values()) == {1}


def test_every_name_in_a_path_is_a_parameter(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_somewhere_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    found = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert found == set(document["components"]["schemas"])


def test_every_status_of_the_table_is_in_a_row_of_ours(document: dict[str, Any]) -> None:
    """Those that an error of the tree can have, without accounts and with nothing of ours to open."""
    documented = {
        int(status)
        for path, operations in document["paths"].items()
        if path.startswith("/api/e2e/")
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert documented >= set(web_errors.STATUS.values()) - {401, 500}


@pytest.mark.parametrize("content", [NOT_HTTP, LONG_HEAD, FULL])
def test_what_the_connection_refuses_is_described(content: bytes) -> None:
    refusal = msgspec.json.decode(content, type=Refusal)
    assert refusal.error.code in {"invalid", "too_large", "unavailable"}


async def test_it_is_served_with_the_address_it_was_asked_at(
    document: dict[str, Any], tmp_path: Path
) -> None:
    async with opened(tmp_path, base_url="https://ots.example.com/below/") as (_, client):
        answer = await client.get("/below/api/openapi.json")

    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {**document, "servers": [{"url": f"{HERE}/below"}]}


def test_no_state_is_left_out(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["State"]["enum"]) == {str(each) for each in State}


def test_a_server_that_is_asked_everything_does_as_described(server: Server) -> None:
    address = f"{server.address}api/openapi.json"

    ours = fuzz(address, "/api/e2e/", STRICT_CHECKS, rounds(15, 300))
    assert ours.returncode == 0, ours.stdout + ours.stderr
    theirs = fuzz(address, "/api/v[123]/", EVERY_CHECK, rounds(4, 100))
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr

    seen = asked(server)
    assert {
        call: wanted - seen[call] for call, wanted in REACHED.items() if wanted - seen[call]
    } == {}
    every = set().union(*seen.values())
    assert {status for status in every if status >= 500} == set()


def without_status(document: dict[str, Any]) -> None:
    del document["paths"]["/api/e2e/look"]["post"]["responses"]["404"]


def with_another_type(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Look"]["properties"]["now"] = {"type": "string"}


def with_a_looser_request(document: dict[str, Any]) -> None:
    """Described as if it took any text: what is described as right is refused."""
    schema = document["components"]["schemas"]["LookRequest"]
    schema["properties"]["link_proof"] = {"type": "string"}


@pytest.mark.parametrize(
    "twist", [without_status, with_another_type, with_a_looser_request], ids=lambda f: f.__name__
)
def test_a_server_that_does_otherwise_is_noticed(
    server: Server, document: dict[str, Any], tmp_path: Path, twist: Any
) -> None:
    broken = deepcopy(document)
    twist(broken)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(broken))

    done = fuzz(str(path), "/api/e2e/look", STRICT_CHECKS, 20, "--url", server.address)

    assert done.returncode == 1, done.stdout + done.stderr
