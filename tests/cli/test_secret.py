"""Sharing and opening from a shell: what goes in comes out, to the byte, and nothing is lost on the way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import segno

from onetime.client import Client
from onetime.crypto import envelope
from tests.browser.proxy import certificate
from tests.cli.person import Person
from tests.cli.running import Server, serving
from tests.client.cutting import Line, cutting, tunnelling
from tests.web.pages.test_exact import LINE_ENDS, NASTY

GONE = "onetime: there is nothing here: it was opened or destroyed, has expired, or never was\n"
LINK = "https://secrets.example/secret#D3CSNUWufwEnBC2_CsexPc_v0H3gyI1cMoZowGjohJY"


# What goes in comes out

BYTES = {
    "no UTF-8": b"\xff\xfe\x00\x80",
    "half a character": "їжак".encode()[:-1],
    "every byte": bytes(range(256)),
    "a newline alone": b"\n",
    "as long as allowed": b"x" * 100_000,
}
TEXTS = {case: text.encode() for case, text in (NASTY | LINE_ENDS).items()}


@pytest.mark.parametrize("case", TEXTS | BYTES)
def test_the_same_bytes_come_out(person: Person, case: str) -> None:
    secret = (TEXTS | BYTES)[case]
    said = person.run("reveal", person.share(secret))
    assert (said.code, said.out) == (0, secret)
    is_file = case in BYTES and case not in {"a newline alone", "as long as allowed"}
    assert said.err == ("onetime: it was a file called secret.bin\n" if is_file else "")


@pytest.mark.parametrize("case", ["NUL", "controls", "blanks", "not composed", "CR LF"])
def test_the_same_bytes_come_out_of_a_sealed_one(person: Person, case: str) -> None:
    said = person.run("reveal", person.share(TEXTS[case], "--sealed"))
    assert (said.code, said.out, said.err) == (0, TEXTS[case], "")


def test_a_file_keeps_its_name(person: Person) -> None:
    (person.folder / "договір.pdf").write_bytes(b"%PDF-1.7\xff")
    link = person.share(b"", "--file", "договір.pdf")
    said = person.run("reveal", link, "--output", "saved.pdf")
    assert (said.code, said.out, said.err) == (
        0,
        b"",
        "onetime: it was a file called договір.pdf\n",
    )
    assert (person.folder / "saved.pdf").read_bytes() == b"%PDF-1.7\xff"


def test_where_one_of_several_files_ends_is_told(person: Person) -> None:
    """No command of ours makes such a secret, but the format knows it, and the page shows it."""
    files = (
        envelope.File(name="one.txt", type="text/plain", size=3),
        envelope.File(name="two.txt", type="text/plain", size=4),
    )
    with Client(person.server) as client:
        made = client.seal("a text")
        key = envelope.parse_link_key(made.link.partition("#")[2])
        header = envelope.Header(kind="file", length=7, created_at=1, expires_at=2, files=files)
        body = envelope.seal(envelope.derive(key).content_key, header, b"onefour")
        client.create(replace(made, body=body))

    said = person.run("reveal", made.link)

    assert said.out == b"onefour"
    assert said.err.endswith("with so many bytes: one.txt (3), two.txt (4)\n")


def test_a_dash_is_standard_input(person: Person) -> None:
    link = person.share(b"text", "-")
    said = person.run("reveal", "-", given=f"  {link}\n".encode())
    assert (said.code, said.out) == (0, b"text")
    link = person.share(b"text", "--file", "-")
    assert person.run("reveal", "--output", "-", link).out == b"text"
    assert person.files() == []


def test_the_object_has_everything(person: Person) -> None:
    said = person.run("share", "--json", "--ttl", "2h", given=b"text", passphrase="battery staple")
    told = json.loads(said.out)
    assert told["secret_expires_at"] - told["created_at"] == 7200
    assert (told["has_passphrase"], told["sealed"]) == (True, False)
    assert person.state(told["receipt_link"]) == "new: nobody has opened it"
    opened = person.run("reveal", told["link"], passphrase="battery staple")
    assert opened.out == b"text"
    status = json.loads(person.run("status", "--json", told["receipt_link"]).out)
    assert (status["state"], status["acknowledged"]) == ("revealed", True)


def test_the_code_is_that_of_the_link(person: Person) -> None:
    said = person.run("share", "--qr", given=b"text")
    link, *drawn = said.out.decode().splitlines()
    dark = {"█": "00", "▀": "01", "▄": "10", " ": "11"}
    rows = [[int(dark[sign][half]) for sign in row] for row in drawn for half in (0, 1)]
    expected = [list(row) for row in segno.make(link, micro=False).matrix_iter(border=4)]
    assert rows[: len(expected)] == expected
    assert len(rows) - len(expected) in {0, 1}


def test_a_generated_password_is_one(person: Person) -> None:
    link, password = person.run("generate", "--show", "--length", "40").out.decode().splitlines()
    assert len(password) == 40
    assert not set(password) & set("ilo1IO0")
    assert person.run("reveal", link).out.decode() == password
    digits = person.run(
        "generate",
        "--no-uppercase",
        "--no-lowercase",
        "--no-symbols",
        "--ambiguous",
        "--json",
        "--show",
    )
    assert re.fullmatch("[0-9]{12}", json.loads(digits.out)["value"])
    assert "value" not in json.loads(person.run("generate", "--json").out)
    assert person.run("generate", "--length", "0").code == 65
    assert person.run("generate", "--length", "129").code == 65


# What is refused before anything is sent


@pytest.mark.parametrize(
    "words",
    [
        ("share", "correct horse"),
        ("share", "-", "correct horse"),
        ("share", "--", "correct horse"),
        ("share", "--passphrase=battery staple"),
        ("generate", "--passphrase=battery staple"),
        ("reveal", "--passphrase=battery staple", LINK),
        ("burn", LINK, "--passphrase=battery staple"),
    ],
)
def test_secrets_among_the_arguments_are_refused(
    cut: Person, line: Line, words: tuple[str, ...]
) -> None:
    said = cut.run(*words, given=b"text")
    assert (said.code, said.out) == (64, b"")
    assert "seen by other programs" in said.err
    assert said.err.count("\n") == 1
    assert "horse" not in said.err
    assert "staple" not in said.err
    assert line.requests == []


def test_unless_somebody_insists(person: Person) -> None:
    said = person.run("share", "--insecure-argv", "--passphrase=battery staple", "correct horse")
    assert said.code == 0
    opened = person.run("reveal", "--insecure-argv", "--passphrase=battery staple", said.line)
    assert opened.out == b"correct horse"


@pytest.mark.parametrize(
    ("words", "given", "code", "line"),
    [
        (("share",), b"", 65, "there is nothing to share"),
        (("share", "--file", "empty"), b"", 65, "there is nothing to share"),
        (
            ("share", "--file", "nowhere"),
            b"",
            64,
            "nowhere cannot be read: No such file or directory",
        ),
        (("share", "--file", "."), b"", 64, ". cannot be read: Is a directory"),
        (("share", "--file", "empty", "-"), b"", 64, "either --file or standard input, not both"),
        (
            ("share", "--sealed"),
            b"\xff",
            65,
            "a sealed secret is text in UTF-8; leave --sealed out for other bytes",
        ),
        (("share", "--json", "--qr"), b"x", 64, "either --json or --qr, not both"),
        (
            ("share", "--ttl", "1y"),
            b"x",
            64,
            "--ttl takes a time such as 30m, 1h, 2d, or a number of seconds",
        ),
        (
            ("share", "--ttl", "-1"),
            b"x",
            64,
            "--ttl takes a time such as 30m, 1h, 2d, or a number of seconds",
        ),
        (
            ("share", "--ttl", "0"),
            b"x",
            65,
            "the server does not allow that lifetime; the shortest is 1 minute",
        ),
        (
            ("share", "--ttl", "52w"),
            b"x",
            65,
            "the server does not allow that lifetime; the longest is 7 days",
        ),
        (
            ("share", "--passphrase"),
            b"x",
            64,
            "a passphrase is needed, and there is no terminal to ask at; give --passphrase-fd",
        ),
        (
            ("share", "--passphrase-fd", "0"),
            b"x",
            64,
            "standard input holds the secret; give the passphrase on another descriptor",
        ),
        (
            ("share", "--passphrase-fd", "77"),
            b"x",
            64,
            "--passphrase-fd 77 cannot be read: Bad file descriptor",
        ),
        (
            ("share", "--server", "ftp://x"),
            b"x",
            65,
            "--server takes an address such as https://secrets.example/",
        ),
        (
            ("share", "--server", "http://192.0.2.1"),
            b"x",
            65,
            "plain http: everybody on the way could destroy it or take it; use https, or allow it by --insecure-http",
        ),
        (
            ("reveal", "hello"),
            b"",
            65,
            "this is no link to a secret or a receipt, or a part of it is missing",
        ),
        (
            ("reveal", LINK[:-1]),
            b"",
            65,
            "this is no link to a secret or a receipt, or a part of it is missing",
        ),
        (("reveal", LINK.replace("#", "#2.")), b"", 65, "this link needs a newer program"),
        (
            ("reveal", LINK.replace("https", "http")),
            b"",
            65,
            "plain http: everybody on the way could destroy it or take it; use https, or allow it by --insecure-http",
        ),
        (
            ("reveal", LINK, "--claim", "x"),
            b"",
            65,
            "--claim takes the 22 characters that were named before",
        ),
        (
            ("reveal", LINK, "--env", "X"),
            b"",
            64,
            "--env takes the name of a variable, and needs --run",
        ),
        (
            ("reveal", LINK, "--env", "A=B", "--run", "true"),
            b"",
            64,
            "--env takes the name of a variable, and needs --run",
        ),
        (("reveal", LINK, "--run"), b"", 64, "--run is followed by a program and its arguments"),
        (
            ("reveal", LINK, "--output", "x", "--run", "true"),
            b"",
            64,
            "either --output or --run, not both",
        ),
        (
            ("reveal", LINK, "--run", "no-such-program"),
            b"",
            127,
            "no-such-program is no program here",
        ),
        (("reveal", LINK, "--run", "./empty"), b"", 126, "./empty cannot be run"),
        (
            ("reveal", LINK, "--output", "empty"),
            b"",
            73,
            "empty is there already; --force replaces it",
        ),
        (("reveal", LINK, "--output", "."), b"", 73, ". is a directory"),
        (
            ("reveal", LINK, "--output", "no/where"),
            b"",
            73,
            "no/where could not be written: No such file or directory",
        ),
        (
            ("reveal", "-", "--passphrase-fd", "0"),
            b"x",
            64,
            "standard input holds the link; give the passphrase on another descriptor",
        ),
        (("status", LINK), b"", 65, "this is the recipient's link; the receipt is another"),
        (("share", "--tll", "1h"), b"x", 64, "there is no option --tll; --ttl?"),
        (("share", "--nothing"), b"x", 64, "there is no option --nothing"),
        (("share", "--ttl"), b"x", 64, "--ttl takes a value, or none: see --help"),
        (("share", "--json=yes"), b"x", 64, "--json takes a value, or none: see --help"),
        (("generate", "--length", "x"), b"", 64, "--length takes a number"),
        (("reveal",), b"", 64, "LINK is missing"),
        (("burn",), b"", 64, "RECEIPT|LINK is missing"),
        (("reveal", LINK, "battery staple"), b"", 64, "too many arguments: see --help"),
        (
            ("burn", "https://secrets.example/secret/1181naerjv27ogpjm62rnhelaxmwo2p"),
            b"",
            65,
            "the link of a sealed secret does not destroy it; its receipt does",
        ),
    ],
)
def test_mistakes_are_one_line(
    person: Person, words: tuple[str, ...], given: bytes, code: int, line: str
) -> None:
    (person.folder / "empty").touch()
    said = person.run(*words, given=given)
    assert (said.code, said.out, said.err) == (code, b"", f"onetime: {line}\n")
    assert person.files() == ["empty"]


@pytest.mark.parametrize(
    ("passphrase", "line"),
    [
        ("abc", "a passphrase has at least 4 characters"),
        ("x" * 129, "a passphrase has at most 128 characters"),
        ("abc\u0378", "the passphrase has characters that Unicode does not know yet"),
    ],
)
def test_passphrases_that_are_none(person: Person, passphrase: str, line: str) -> None:
    said = person.run("share", given=b"text", passphrase=passphrase)
    assert (said.code, said.err) == (65, f"onetime: {line}\n")
    assert person.run("share", given=b"text", passphrase="").code == 64


def test_what_is_too_long_is_not_sent(cut: Person, line: Line) -> None:
    said = cut.run("share", given=b"x" * 100_001)
    assert (said.code, said.out) == (65, b"")
    assert "100001 bytes" in said.err
    assert [each.path for each in line.requests] == ["/api/e2e/terms"]


# Which server


def test_the_server_is_found_in_this_order(person: Person, server: Server) -> None:
    file = person.folder / ".config" / "onetime" / "config.toml"
    file.parent.mkdir(parents=True)
    person.server = ""
    said = person.run("share", given=b"text")
    assert said.code == 78
    assert said.err == (
        "onetime: no server is named; give --server, set ONETIME_SERVER or write "
        f"server = … into {file}\n"
    )
    file.write_text(f'server = "{server.address}"\n')
    assert person.share(b"text").startswith(server.address)
    file.write_text('server = "https://elsewhere.invalid"\n')
    person.server = server.address
    assert person.share(b"text").startswith(server.address)
    person.server = "https://elsewhere.invalid"
    assert person.share(b"text", "--server", server.address).startswith(server.address)


def test_the_file_may_lie_elsewhere(person: Person, server: Server) -> None:
    person.server = ""
    elsewhere = person.folder / "elsewhere"
    (elsewhere / "onetime").mkdir(parents=True)
    (elsewhere / "onetime" / "config.toml").write_text(f'server = "{server.address}"')
    person.settings = {"XDG_CONFIG_HOME": str(elsewhere)}
    assert person.share(b"text").startswith(server.address)
    # The specification wants it absolute, and ignored otherwise.
    person.settings = {"XDG_CONFIG_HOME": "elsewhere"}
    assert person.run("share", given=b"text").code == 78


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"server = https://x", "Invalid value (at line 1, column 10)"),
        (b"sevrer = 'x'", "there is no setting sevrer"),
        (b"server = 5", "server has to be an address in quotes"),
        (b"\xff", "it is not UTF-8 text"),
    ],
)
def test_a_file_that_is_wrong(person: Person, text: bytes, says: str) -> None:
    person.server = ""
    file = person.folder / ".config" / "onetime" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    said = person.run("share", given=b"text")
    assert said.code == 78
    assert said.err.startswith(f"onetime: {file}: ")
    assert said.err.endswith(f"{says}\n")


def test_below_a_path_and_through_a_proxy(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "secrets.example")
    given = {"ONETIME_BASE_URL": "https://secrets.example/ots/"}
    with (
        serving(tmp_path, given) as server,
        cutting(server.address, certificate=pem) as line,
        tunnelling(line.address) as (proxy, asked),
    ):
        home = tmp_path / "home"
        home.mkdir()
        variables = {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(pem)}
        person = Person("https://secrets.example/ots", home, variables)
        link, receipt = person.share_both(b"text")
        assert link.startswith("https://secrets.example/ots/secret#")
        assert person.run("reveal", link).out == b"text"
        assert person.state(receipt) == "opened, and it has arrived"
        person.settings = {"HTTPS_PROXY": proxy}
        said = person.run("status", receipt)
    assert said.code == 75
    assert said.err == (
        "onetime: secrets.example did not answer: its certificate is not to be trusted "
        "(self-signed certificate)\n"
    )
    assert set(asked) == {b"CONNECT secrets.example:443 HTTP/1.1"}


# Passphrases


def test_a_wrong_passphrase_costs_a_try_and_nothing_else(person: Person) -> None:
    link, receipt = person.share_both(b"text", passphrase="battery staple")
    said = person.run("reveal", link, passphrase="a guess")
    assert (said.code, said.out) == (77, b"")
    assert said.err == "onetime: that is not the passphrase; 9 tries are left before a pause\n"
    assert person.run("burn", link, passphrase="another").code == 77
    said = person.run("reveal", link)
    assert said.code == 64
    assert "no terminal to ask at" in said.err
    assert "Wrong passphrases: 2" in person.run("status", receipt).out.decode()
    assert person.run("reveal", link, passphrase="battery staple").out == b"text"


def test_after_ten_it_is_locked(person: Person) -> None:
    link = person.share(b"text", passphrase="battery staple")
    for left in (*range(9, 0, -1), 0):
        said = person.run("reveal", link, passphrase="a guess")
        assert said.code == 77
        assert ("no try is left" if left == 0 else f"; {left} tr") in said.err
    said = person.run("reveal", link, passphrase="battery staple")
    assert (said.code, said.out) == (75, b"")
    assert re.fullmatch(
        r"onetime: too many tries; it may work in (1 minute|\d+ seconds)\n", said.err
    )


def test_a_sealed_one_does_not_tell_that_it_needs_one(person: Person) -> None:
    link = person.share(b"text", "--sealed", passphrase="battery staple")
    said = person.run("reveal", link)
    assert said.code == 66
    assert "give one by --passphrase" in said.err
    assert person.run("reveal", link, passphrase="battery staple").out == b"text"


# Burning, and what the receipt tells


@pytest.mark.parametrize("by", ["link", "receipt"])
def test_burn(person: Person, by: str) -> None:
    link, receipt = person.share_both(b"text")
    said = person.run("burn", link if by == "link" else receipt)
    assert (said.code, said.out, said.err) == (
        0,
        b"",
        "onetime: destroyed: nobody can open it any more\n",
    )
    assert person.state(receipt) == "destroyed unread"
    assert person.run("reveal", link).err == GONE
    assert person.run("burn", receipt).code == 66


def test_burn_with_a_passphrase(person: Person) -> None:
    link, receipt = person.share_both(b"text", passphrase="battery staple")
    assert person.run("burn", link, passphrase="battery staple").code == 0
    assert person.state(receipt) == "destroyed unread"
    _, receipt = person.share_both(b"text", passphrase="battery staple")
    assert person.run("burn", receipt).code == 0


def test_burn_of_a_sealed_one(person: Person) -> None:
    _, receipt = person.share_both(b"text", "--sealed", passphrase="battery staple")
    assert person.run("burn", receipt, passphrase="a guess").code == 77
    assert person.state(receipt) == "new: nobody has opened it"
    assert person.run("burn", receipt, passphrase="battery staple").code == 0
    assert person.state(receipt) == "destroyed unread"


def test_burn_comes_too_late(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    with Path("/dev/full").open("wb") as full:
        said = person.run("reveal", link, out=full.fileno())
    late = person.run("burn", receipt)
    assert (late.code, late.err) == (65, "onetime: too late: somebody has opened it\n")
    assert person.state(receipt) == "handed out; arrival not confirmed: treat it as read"
    assert person.run("reveal", link, "--claim", said.claim).err == GONE


# Its words


def test_it_speaks_ukrainian(person: Person) -> None:
    person.settings = {"LC_ALL": "uk_UA.UTF-8"}
    said = person.run("share", given=b"")
    assert said.err == "onetime: немає чого передавати\n"
    link, receipt = person.share_both(b"text", passphrase="battery staple")
    said = person.run("reveal", link, passphrase="a guess")
    assert said.err == "onetime: парольна фраза хибна; до паузи лишилося 9 спроб\n"
    assert (
        person.run("status", receipt).out.decode().startswith("Стан: новий: ніхто не відкривав\n")
    )
    assert "Використання: onetime share" in person.run("share", "--help").out.decode()
    person.settings = {"LC_ALL": "", "LANG": "de_DE.UTF-8", "LANGUAGE": "de:uk:en"}
    assert "немає" in person.run("share", given=b"").err
    person.settings = {"LC_ALL": "C", "LANGUAGE": "uk"}
    assert "nothing" in person.run("share", given=b"").err


def test_nothing_secret_is_on_standard_error(cut: Person, line: Line) -> None:
    """Not the text, not the passphrase, not the link: those lines end up in logs."""
    link, _ = cut.share_both(b"correct horse", passphrase="battery staple")
    line.cut("reveal", "lost", times=5)
    errs = [
        cut.run("reveal", link, passphrase="battery staples").err,
        cut.run("reveal", link, passphrase="battery staple").err,
        cut.run("reveal", f"{link}x").err,
        cut.run("burn", link[:-1]).err,
    ]
    shown = "".join(errs)
    for private in ("correct horse", "battery staple", link, link[-43:], link[-40:-2]):
        assert private not in shown


def test_a_command_that_needs_no_server_asks_none(cut: Person, line: Line) -> None:
    for name in ("share", "generate", "reveal", "status", "burn"):
        said = cut.run(name, "--help")
        assert (said.code, said.err) == (0, "")
        assert said.out.decode().startswith(f"Usage: onetime {name} [OPTIONS]")
    assert line.requests == []
