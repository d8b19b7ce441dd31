"""The client's verbs, against a real server: end-to-end and sealed, and how its answers and refusals come back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onetime import client as module
from onetime import errors
from onetime.client import Client, new_claim, parse_link
from onetime.web.api import e2e
from tests.cli.running import Server, serving
from tests.rounds import rounds
from tests.web.pages.test_exact import LINE_ENDS, NASTY

KEY = "D3CSNUWufwEnBC2_CsexPc_v0H3gyI1cMoZowGjohJY"
RECEIPT = "rJDFIJBv-23_KE7Hm2L32DBYQboyPF7D7OAAdeQQ4fYQi0isi9kGbIafcAcxP6k3qCu7p4nghDIstIh8Mw6m-g"
SEALED = "1181naerjv27ogpjm62rnhelaxmwo2p"

both_kinds = pytest.mark.parametrize("sealed", [False, True], ids=["end-to-end", "sealed"])


# The verbs


@both_kinds
@pytest.mark.parametrize("case", NASTY | LINE_ENDS)
def test_what_is_revealed_equals_what_was_shared(
    client: Client, case: str, *, sealed: bool
) -> None:
    text = (NASTY | LINE_ENDS)[case]
    shared = client.share(text, sealed=sealed)
    revealed = client.reveal(shared.link)
    assert (revealed.content, revealed.text, revealed.kind) == (text.encode(), text, "text")
    client.settle(revealed)


@settings(max_examples=rounds(20, 300))
@given(st.binary(min_size=1, max_size=2000))
def test_so_do_bytes(server: Server, content: bytes) -> None:
    with Client(server.address) as client:
        revealed = client.reveal(client.share(content).link)
    assert revealed.content == content
    assert revealed.kind == ("text" if module._is_text(content) else "file")


def test_a_file_keeps_its_name_and_type(client: Client) -> None:
    shared = client.share(b"%PDF-1.7", name="договір.pdf", type="application/pdf")
    revealed = client.reveal(shared.link)
    [file] = revealed.files
    assert (revealed.kind, file.name, file.type, file.size) == (
        "file",
        "договір.pdf",
        "application/pdf",
        8,
    )


@both_kinds
def test_the_receipt_tells_the_fate(client: Client, *, sealed: bool) -> None:
    shared = client.share("text", ttl=3600, sealed=sealed)
    assert shared.secret_expires_at - shared.created_at == 3600
    before = client.receipt(shared.receipt_link)
    assert (before.state, before.ended_at, before.acknowledged) == ("new", None, False)
    assert before.secret_expires_at == shared.secret_expires_at
    assert before.expires_at == shared.expires_at
    assert shared.created_at <= before.now < shared.secret_expires_at
    client.settle(client.reveal(shared.link))
    after = client.receipt(shared.receipt_link)
    assert (after.state, after.acknowledged) == ("revealed", not sealed)
    assert after.ended_at is not None
    with pytest.raises(errors.NotFound):
        client.reveal(shared.link)


def test_between_reveal_and_settle_it_is_claimed(client: Client) -> None:
    shared = client.share("text")
    revealed = client.reveal(shared.link)
    assert client.receipt(shared.receipt_link).state == "claimed"
    assert client.look(shared.link).state == "claimed"
    with pytest.raises(errors.Claimed):
        client.reveal(shared.link)
    again = client.reveal(shared.link, claim=revealed.claim)
    assert again == revealed
    client.settle(again)
    client.settle(revealed)
    with pytest.raises(errors.NotFound):
        client.reveal(shared.link, claim=revealed.claim)


def test_a_server_without_a_window_gives_it_once(tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"ONETIME_REVEAL_WINDOW": "0"}) as server,
        Client(server.address) as client,
    ):
        shared = client.share("text")
        revealed = client.reveal(shared.link)
        assert (revealed.text, revealed.window_ends_at) == ("text", None)
        assert client.terms().reveal_window == 0
        with pytest.raises(errors.NotFound):
            client.reveal(shared.link, claim=revealed.claim)


def test_a_wrong_passphrase_leaves_the_secret_in_place(client: Client) -> None:
    shared = client.share("text", passphrase="battery staple")
    assert client.look(shared.link).has_passphrase
    with pytest.raises(errors.WrongPassphrase) as refused:
        client.reveal(shared.link, passphrase="a guess")
    assert refused.value.attempts_left == 9
    with pytest.raises(errors.WrongPassphrase):
        client.burn(shared.link, passphrase="another")
    assert client.look(shared.link).attempts_left == 8
    assert client.reveal(shared.link, passphrase="battery staple").text == "text"
    assert client.receipt(shared.receipt_link).wrong_tries == 2


def test_composed_and_decomposed_are_one_passphrase(client: Client) -> None:
    shared = client.share("text", passphrase="їжак é")
    assert client.reveal(shared.link, passphrase="ї" + "жак e\u0301").text == "text"


def test_ten_wrong_passphrases_lock_it(client: Client) -> None:
    shared = client.share("text", passphrase="battery staple")
    for left in reversed(range(10)):
        with pytest.raises(errors.WrongPassphrase) as wrong:
            client.reveal(shared.link, passphrase="a guess")
        assert wrong.value.attempts_left == left
    with pytest.raises(errors.RateLimited) as locked:
        client.reveal(shared.link, passphrase="battery staple")
    assert locked.value.retry_after is not None
    assert 0 < locked.value.retry_after <= 60
    looked = client.look(shared.link)
    assert looked.locked_until is not None
    assert looked.locked_until > looked.now


def test_a_wrong_passphrase_of_a_sealed_one_looks_like_nothing(client: Client) -> None:
    """API v1 does not tell the two apart."""
    shared = client.share("text", passphrase="battery staple", sealed=True)
    with pytest.raises(errors.NotFound):
        client.reveal(shared.link, passphrase="a guess")
    with pytest.raises(errors.WrongPassphrase):
        client.burn(shared.receipt_link, passphrase="a guess")
    assert client.receipt(shared.receipt_link).has_passphrase
    assert client.reveal(shared.link, passphrase="battery staple").text == "text"


@both_kinds
def test_the_receipt_burns(client: Client, *, sealed: bool) -> None:
    shared = client.share("text", sealed=sealed)
    client.burn(shared.receipt_link)
    assert client.receipt(shared.receipt_link).state == "burned"
    with pytest.raises(errors.NotFound):
        client.reveal(shared.link)
    with pytest.raises(errors.NotFound):
        client.burn(shared.receipt_link)


@both_kinds
def test_what_was_opened_cannot_be_burned(client: Client, *, sealed: bool) -> None:
    shared = client.share("text", sealed=sealed)
    client.settle(client.reveal(shared.link))
    with pytest.raises((errors.Claimed, errors.NotFound)):
        client.burn(shared.receipt_link)
    assert client.receipt(shared.receipt_link).state == "revealed"


def test_the_link_burns(client: Client) -> None:
    shared = client.share("text", passphrase="battery staple")
    client.burn(shared.link, passphrase="battery staple")
    assert client.receipt(shared.receipt_link).state == "burned"


def test_a_claim_ends_its_own_window(client: Client) -> None:
    shared = client.share("text")
    revealed = client.reveal(shared.link)
    with pytest.raises(errors.Claimed):
        client.burn(shared.link, claim=revealed.claim)
    with pytest.raises(errors.NotFound):
        client.reveal(shared.link, claim=revealed.claim)


def test_the_link_of_a_sealed_one_burns_nothing(client: Client) -> None:
    shared = client.share("text", sealed=True)
    with pytest.raises(errors.Invalid) as refused:
        client.burn(shared.link)
    assert refused.value.rule == "sealed"
    with pytest.raises(errors.Invalid):
        client.look(shared.link)
    assert client.receipt(shared.receipt_link).state == "new"


def test_seal_and_create_are_share(client: Client) -> None:
    sealed = client.seal("text", ttl=600)
    with pytest.raises(errors.NotFound):
        client.receipt(sealed.receipt_link)
    first = client.create(sealed)
    assert (first.link, first.receipt_link) == (sealed.link, sealed.receipt_link)
    assert client.create(sealed) == first
    client.reveal(sealed.link)
    with pytest.raises(errors.Conflict):
        client.create(sealed)


def test_one_client_serves_several_threads(client: Client) -> None:
    def there_and_back(number: int) -> str:
        return client.reveal(client.share(f"text {number}").link).text

    with ThreadPoolExecutor(8) as threads:
        came = list(threads.map(there_and_back, range(40)))
    assert came == [f"text {number}" for number in range(40)]


def test_one_body_tells_nothing_of_its_content(client: Client) -> None:
    sealed = client.seal("correct horse", passphrase="battery staple")
    assert b"correct horse" not in sealed.body
    assert len(sealed.body) == len(client.seal("x" * 100).body)


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("words", "field", "rule"),
    [
        ({"content": ""}, "content", "empty"),
        ({"content": b""}, "content", "empty"),
        ({"content": "\ud800"}, "content", "malformed"),
        ({"content": "x", "ttl": 59}, "ttl", "too_short"),
        ({"content": "x", "ttl": 31 * 86_400}, "ttl", "too_long"),
        ({"content": "x", "passphrase": "abc"}, "passphrase", "too_short"),
        ({"content": "x", "passphrase": "x" * 129}, "passphrase", "too_long"),
        ({"content": "x", "passphrase": "abc\u0378"}, "passphrase", "unassigned"),
        ({"content": "x", "name": "../x"}, "name", "malformed"),
        ({"content": "x", "name": "x", "type": "Text"}, "type", "malformed"),
        ({"content": b"\xff", "sealed": True}, "content", "sealed"),
        ({"content": "x", "name": "x", "sealed": True}, "content", "sealed"),
    ],
)
def test_what_cannot_be_shared(
    client: Client, words: dict[str, object], field: str, rule: str
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        client.share(**words)  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.rule) == (field, rule)


@both_kinds
def test_what_is_too_long(client: Client, *, sealed: bool) -> None:
    most = client.terms().max_secret_bytes
    client.share(b"x" * most, sealed=sealed)
    with pytest.raises(errors.TooLarge) as refused:
        client.share(b"x" * (most + 1), sealed=sealed)
    assert (refused.value.size_bytes, refused.value.limit_bytes) == (most + 1, most)


def test_a_client_without_a_server_only_follows_links(client: Client) -> None:
    shared = client.share("text")
    with Client() as other:
        assert other.reveal(shared.link).text == "text"
        with pytest.raises(errors.Invalid) as refused:
            other.share("text")
    assert (refused.value.field, refused.value.rule) == ("server", "missing")


@pytest.mark.parametrize("claim", ["x", "A" * 21, "A" * 21 + "B", "A" * 22 + "=="])
def test_what_is_no_claim(client: Client, claim: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        client.reveal(f"https://secrets.example/secret#{KEY}", claim=claim)
    assert refused.value.field == "claim"


def test_claims_are_new() -> None:
    claims = {new_claim() for _ in range(100)}
    assert len(claims) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", claim) for claim in claims)


# Links


@pytest.mark.parametrize(
    ("text", "server"),
    [
        (f"https://secrets.example/secret#{KEY}", "https://secrets.example/"),
        (f"https://example.org/ots/secret#{KEY}", "https://example.org/ots/"),
        (f"https://Secrets.Example:443/secret#{KEY}", "https://secrets.example/"),
        (f"http://[::1]:3000/a/b/secret#{KEY}", "http://[::1]:3000/a/b/"),
        (f"secrets.example/secret#{KEY}", "https://secrets.example/"),
        (f"https://secrets.example/secret?lang=uk#{KEY}", "https://secrets.example/"),
        (f"https://secrets.example/secret/#{KEY}", "https://secrets.example/"),
        (f"  <https://secrets.example/secret#{KEY}>.\n", "https://secrets.example/"),
        (f"«https://secrets.example/secret#{KEY}»!", "https://secrets.example/"),
        (f"https://secrets.example/secret#{KEY}).", "https://secrets.example/"),
    ],
)
def test_links_as_somebody_is_sent_them(text: str, server: str) -> None:
    link = parse_link(text)
    assert (link.server, link.is_receipt, link.is_sealed) == (server, False, False)
    assert KEY not in repr(link)


@pytest.mark.parametrize(
    ("path", "is_receipt", "is_sealed"),
    [
        (f"secret/{SEALED}", False, True),
        (f"l/{SEALED}", False, True),
        (f"receipt/{SEALED}", True, True),
        (f"private/{SEALED}", True, True),
        (f"metadata/{SEALED}", True, True),
        (f"receipt#{RECEIPT}", True, False),
    ],
)
def test_links_of_every_kind(path: str, *, is_receipt: bool, is_sealed: bool) -> None:
    link = parse_link(f"https://secrets.example/{path}")
    assert (link.server, link.is_receipt, link.is_sealed) == (
        "https://secrets.example/",
        is_receipt,
        is_sealed,
    )
    assert SEALED not in repr(link)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        KEY,
        "https://secrets.example/",
        "https://secrets.example/secret",
        "https://secrets.example/secret#",
        f"https://secrets.example/secret#{KEY[:-1]}",
        f"https://secrets.example/secret#{KEY}x",
        f"https://secrets.example/secret#{KEY[:-1]}Z",
        f"https://secrets.example/receipt#{KEY}",
        f"https://secrets.example/secrets#{KEY}",
        f"ftp://secrets.example/secret#{KEY}",
        f"https://me@secrets.example/secret#{KEY}",
        f"https:///secret#{KEY}",
        f"https://secrets.example/../secret#{KEY}",
        f"https://secrets.example/%2e/secret#{KEY}",
        f"https://secrets.example:99999/secret#{KEY}",
        f"https://secrets.example\n/secret#{KEY}",
        f"https://secrets.exаmple/secret#{KEY}",
        f"javascript:alert(1)//secret#{KEY}",
        f"https://{'a' * 64}.example/secret#{KEY}",
        f"https://{'a.' * 127}example/secret#{KEY}",
        f"https://a..example/secret#{KEY}",
        f"https://.example/secret#{KEY}",
    ],
)
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        parse_link(text)
    assert (refused.value.field, refused.value.rule) == ("link", "malformed")


@given(st.text())
def test_anything_is_a_link_or_is_refused(text: str) -> None:
    for each in (text, f"https://secrets.example/{text}", f"https://{text}/secret#{KEY}"):
        try:
            link = parse_link(each)
        except errors.Invalid:
            continue
        assert re.fullmatch(r"https?://[!-~]+/", link.server)


def test_a_link_of_a_later_version_is_not_asked_about() -> None:
    def nobody(_request: httpx2.Request) -> httpx2.Response:
        raise AssertionError

    with Client(transport=httpx2.MockTransport(nobody)) as client:
        for verb in (client.look, client.reveal, client.burn):
            with pytest.raises(errors.Invalid) as refused:
                verb(f"https://secrets.example/secret#2.{KEY}")
            assert refused.value.rule == "newer"


def test_one_link_is_not_taken_for_the_other(client: Client) -> None:
    shared = client.share("text")
    with pytest.raises(errors.Invalid) as refused:
        client.receipt(shared.link)
    assert refused.value.rule == "secret"
    for verb in (client.look, client.reveal):
        with pytest.raises(errors.Invalid) as refused:
            verb(shared.receipt_link)
        assert refused.value.rule == "receipt"


# Errors


def refusal(code: str, **more: object) -> httpx2.MockTransport:
    words = json.dumps({"error": {"code": code, "message": "\x1b[2J", **more}}).encode()
    return httpx2.MockTransport(lambda _: httpx2.Response(400, content=iter([words])))


def test_every_code_of_the_api_is_known() -> None:
    known = {
        "invalid": errors.Invalid,
        "too_large": errors.TooLarge,
        "wrong_passphrase": errors.WrongPassphrase,
        "cross_origin": errors.Foreign,
        "not_found": errors.NotFound,
        "method_not_allowed": errors.Foreign,
        "claimed": errors.Claimed,
        "conflict": errors.Conflict,
        "undecryptable": errors.Undecryptable,
        "unknown_host": errors.Foreign,
        "rate_limited": errors.RateLimited,
        "closed": errors.Closed,
        "unavailable": errors.Unavailable,
        "full": errors.Full,
        "error": errors.Unavailable,
    }
    assert set(known) == set(get_args(e2e.Code))
    for code, kind in known.items():
        with (
            Client("https://secrets.example", transport=refusal(code)) as client,
            pytest.raises(errors.OnetimeError) as refused,
        ):
            client.terms()
        assert type(refused.value) is kind, code
        assert "\x1b" not in str(refused.value), code


def test_what_an_error_says_is_checked() -> None:
    transport = refusal("invalid", field="ttl\x1b[2J", rule="<script>")
    with Client("https://secrets.example", transport=transport) as client:
        with pytest.raises(errors.Invalid) as refused:
            client.terms()
        assert (refused.value.field, refused.value.rule) == ("request", "request")
    with Client("https://x.example", transport=refusal("rate_limited", retry_after=7)) as client:
        with pytest.raises(errors.RateLimited) as limited:
            client.terms()
        assert limited.value.retry_after == 7


# The module itself

EXAMPLE = re.findall(r"^    .*\n(?:(?:    .*)?\n)*", f"{module.__doc__}\n", re.MULTILINE)


def test_the_example_of_the_module_runs(server: Server) -> None:
    """Each comment that is a value is what the line gives."""
    program = EXAMPLE[0].replace("https://secrets.example/", server.address)
    lines = [line[4:] for line in program.splitlines()]
    checked = 0
    for number, line in enumerate(lines):
        found = re.fullmatch(r"( +)(\S.*?) +# (True|'.*?')(?:;.*)?", line)
        if found:
            lines[number] = f"{found[1]}assert {found[2]} == {found[3]}, {found[2]!r}"
            checked += 1
    assert checked == 3
    names: dict[str, object] = {}
    exec("\n".join(lines), names)  # noqa: S102 - our own documentation
    link = names["shared"].link  # type: ignore[attr-defined]
    assert link.startswith(f"{server.address}secret#")
    with Client(server.address) as client:
        more = {"new_claim": new_claim, "client": client, "link": client.share("text").link}
        exec("\n".join(line[4:] for line in EXAMPLE[1].splitlines()), more)  # noqa: S102
        assert more["revealed"].text == "text"  # type: ignore[attr-defined]


SERVERS = {
    "argon2",
    "babel",
    "httptools",
    "jinja2",
    "msgspec",
    "python_multipart",
    "uvicorn",
    "uvloop",
    "onetime.app",
    "onetime.core",
    "onetime.model",
    "onetime.settings",
    "onetime.storage",
    "onetime.web",
    "sqlite3",
}

ALONE = """
import sys
missing = {missing}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in missing or name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from onetime.client import Client
with Client({server!r}) as client:
    shared = client.share("correct horse", passphrase="battery staple")
    revealed = client.reveal(shared.link, passphrase="battery staple")
    client.settle(revealed)
    print(revealed.text)
"""


def test_it_needs_nothing_of_the_servers(server: Server) -> None:
    program = ALONE.format(missing=SERVERS, server=server.address)
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "correct horse\n", "")


@pytest.mark.parametrize("part", ["onetime.crypto", "httpx2", "cryptography"])
def test_it_would_be_seen_if_it_did(server: Server, part: str) -> None:
    program = ALONE.format(missing={part}, server=server.address)
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert "ModuleNotFoundError" in said.stderr
