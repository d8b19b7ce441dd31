"""The vectors can fail: each of these breaks one rule of the format, in each language, and a vector catches it."""

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import needs
from tests.crypto.envelope_cases import NAMES, Asked

PYTHON = needs.ROOT / "src" / "onetime" / "crypto" / "envelope.py"
SCRIPT = needs.ROOT / "src" / "onetime" / "static" / "js" / "crypto" / "envelope.js"
ASK = needs.ROOT / "tests" / "js" / "envelope_twins.js"
PATIENCE_SECONDS = 120


class Break(NamedTuple):
    """What stands in the source, and what instead of it, in pairs."""

    python: dict[str, str]
    script: dict[str, str]


BREAKS = {
    "what is not verified is released": Break(
        {
            "return keys.cipher.decrypt(_nonce(keys, number), record, None)": """
        counter = modes.CTR(_nonce(keys, number) + bytes([0, 0, 0, 2]))
        return Cipher(algorithms.AES(keys.key), counter).decryptor().update(record[:-16])""",
            "return RecordKeys(AESGCM(key), expand(": "return RecordKeys(AESGCM(key), key, expand(",
            "    cipher: AESGCM\n": "    cipher: AESGCM\n    key: bytes\n",
            "from cryptography.exceptions import InvalidTag\n": """
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
""",
        },
        {
            "return new Uint8Array(await crypto.subtle.decrypt(how, keys.key, record));": """
    const counter = new Uint8Array(16);
    counter.set(how.iv);
    counter[15] = 2;
    const ctr = { name: "AES-CTR", counter, length: 32 };
    return new Uint8Array(await crypto.subtle.decrypt(ctr, keys.loose, record.slice(0, -16)));""",
            "    nonce: await expand(": """
    loose: await crypto.subtle.importKey("raw", raw, "AES-CTR", false, usages),
    nonce: await expand(""",
        },
    ),
    "a body may be cut short": Break(
        {"if is_end and not self._has_last:": "if False:"},
        {"if (!this.#hasLast) throw": "if (false) throw"},
    ),
    "padding may be anything": Break(
        {"if zeros.count(0) != len(zeros):": "if False:"},
        {"if (!zeros.every((byte) => byte === 0)) {": "if (false) {"},
    ),
    "there may be less padding": Break(
        {"if self._has_last and (self._content_left or self._zeros_left):": "if False:"},
        {"if (this.#hasLast && (this.#contentLeft || this.#zerosLeft)) {": "if (false) {"},
    ),
    "a delimiter may be anything": Break(
        {"if data[-1:] not in {MORE, LAST}:": "if False:"},
        {"if (delimiter !== MORE && delimiter !== LAST) {": "if (false) {"},
    ),
    "the header may be spelled otherwise": Break(
        {"if header_line(header) == line:": "if header_line(header):"},
        {"if (areEqual(headerLine(header), line)) return": "if (headerLine(header)) return"},
    ),
    "the record size and the key id may be anything": Break(
        {"if head[SALT_BYTES:] != HEAD:": "if False:"},
        {"if (!areEqual(head.subarray(SALT_BYTES), HEAD)) {": "if (false) {"},
    ),
    "records may change places": Break(
        {"int.from_bytes(keys.nonce) ^ number": "int.from_bytes(keys.nonce)"},
        {"end.getBigUint64(0) ^ BigInt(number)": "end.getBigUint64(0) ^ BigInt(0 * number)"},
    ),
    "after an error it goes on": Break(
        {"if not self._is_sound:": "if False:"},
        {"if (!this.#isSound) throw": "if (false) throw"},
    ),
    "spare bits may be set": Break(
        {"if to_base64_url(raw) == text:": "if raw:"},
        {"if (toBase64Url(raw) === text) return": "if (raw) return"},
    ),
    "a later version is a damaged link": Break(
        {"if _NEWER.fullmatch(text):": "if False:"},
        {"if (NEWER.test(text)) throw": "if (false) throw"},
    ),
    "a passphrase is not composed": Break(
        {"text = normal(passphrase)": "text = normal(passphrase) and passphrase"},
        {'passphrase.normalize("NFC")': "passphrase"},
    ),
    "the passphrase does not reach the content": Break(
        {'hkdf(both, "onetime/1 content")': 'hkdf(link_key, "onetime/1 content")'},
        {'hkdf(both, "onetime/1 content")': 'hkdf(linkKey, "onetime/1 content")'},
    ),
    "fewer rounds": Break(
        {"ROUNDS = 600_000": "ROUNDS = 599_999"}, {"ROUNDS = 600_000": "ROUNDS = 599_999"}
    ),
    "any name for a file": Break(
        {"or _NO_NAME.search(each.name)": ""}, {" || NO_NAME.test(name)": ""}
    ),
    "sizes need not add up": Break(
        {"sum(each.size for each in header.files) != header.length": "header.length < 0"},
        {"sum !== header.length": "header.length < 0"},
    ),
    "nothing is padded": Break(
        {"size = max(LEAST_PADDED_BYTES, size)\n": "return size\n"},
        {"const least = Math.max(": "if (size) return size;\n  const least = Math.max("},
    ),
}


def broken(source: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def caught_by(envelope: types.ModuleType) -> str | None:
    """The first vector that finds a fault; those that stretch a passphrase take long, so they come last."""
    asked = Asked(envelope)
    for name in sorted(NAMES, key=lambda name: name.startswith("derive-")):
        try:
            if asked.faults(name):
                return name
        except Exception:  # noqa: BLE001 - a twin may break down in any way
            return name
    return None


def twin(source: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("onetime.crypto.broken_envelope")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(source, "broken_envelope.py", "exec"), made.__dict__)  # noqa: S102
    return made


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_twin_in_python_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    envelope = twin(broken(PYTHON.read_text(), BREAKS[name].python), monkeypatch)
    assert caught_by(envelope) is not None


def test_broken_twins_in_javascript_are_caught(tmp_path: Path) -> None:
    node = needs.node()
    source = SCRIPT.read_text()
    for name, each in BREAKS.items():
        (tmp_path / f"{name}.mjs").write_text(broken(source, each.script))
    done = subprocess.run(
        [node, ASK, tmp_path], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(BREAKS)
    assert [name for name, vector in found.items() if vector is None] == []
