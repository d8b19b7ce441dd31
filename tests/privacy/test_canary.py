"""The search finds what it is for: each form, planted in a file, in a log and inside something longer."""

import base64
import secrets
from pathlib import Path

import pytest

from tests.privacy import canary
from tests.privacy.canary import Canary
from tests.privacy.journeys import CANARIES

FORMS = list(canary.forms(CANARIES[0].value))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_found_in_a_file_and_in_a_log(form: str, tmp_path: Path) -> None:
    for each in CANARIES:
        planted = canary.forms(each.value).get(form)
        if planted is None:
            continue
        for name in ("data/vault.db", "data/deep/vault.db-wal"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(secrets.token_bytes(5000) + planted + bytes(3000))
        log = b'{"event":"request"}\n{"event":"' + planted + b'"}\n'

        places = canary.read(tmp_path / "data") | {"stderr": log}

        found = canary.search(canary.needles([each]), places)
        for place in ("vault.db", "deep/vault.db-wal", "stderr"):
            assert f"{place}: {each.name}, {form}" in found


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("behind", range(4))
def test_base64_is_found_wherever_the_value_begins(before: int, behind: int) -> None:
    value = Canary("a value", "password 12345")
    inside = secrets.token_bytes(before) + value.value.encode() + secrets.token_bytes(behind)

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found = canary.search(canary.needles([value]), {"log": encode(inside)})
        assert any("base64 at" in each for each in found)


def test_the_core_is_found_where_the_rest_was_cut_off() -> None:
    value = CANARIES[0]

    found = canary.search(canary.needles([value]), {"log": value.core.encode() + b"\n"})

    assert f"log: {value.name}'s core, raw" in found


def test_nothing_is_found_in_noise() -> None:
    noise = {"noise": secrets.token_bytes(200_000), "zeros": bytes(100_000), "log": b'{"a":1}\n'}

    assert canary.search(canary.needles(CANARIES), noise) == []
