"""Every parser of a setting, and what the environment as a whole may say."""

import hashlib
import ipaddress
from dataclasses import fields
from pathlib import Path

import pytest

from onetime.errors import Misconfigured
from onetime.settings import FOREIGN, GUEST_CALLS, PREFIX, Sensitive, Settings

KEY = hashlib.sha256(b"a root key").hexdigest()

GOOD = [
    ("HOST", "127.0.0.1", "127.0.0.1"),
    ("HOST", "0.0.0.0", "0.0.0.0"),
    ("HOST", "localhost", "127.0.0.1"),
    ("HOST", "::1", "::1"),
    ("HOST", "[::1]", "::1"),
    ("HOST", "2001:DB8:0::1", "2001:db8::1"),
    ("HOST", "unix:/run/onetime.sock", "unix:/run/onetime.sock"),
    ("PORT", "0", 0),
    ("PORT", " 8080\n", 8080),
    ("PORT", "65535", 65535),
    ("DATA_DIR", "/var/lib/onetime", Path("/var/lib/onetime")),
    ("BASE_URL", "", ""),
    ("BASE_URL", "https://secrets.example", "https://secrets.example/"),
    ("BASE_URL", "https://x.example/ots", "https://x.example/ots/"),
    ("BASE_URL", "https://x.example/ots/", "https://x.example/ots/"),
    ("BASE_URL", "http://127.0.0.1:3000/", "http://127.0.0.1:3000/"),
    # As a browser writes it in `Origin`, or its own forms would be refused.
    ("BASE_URL", "HTTPS://Secrets.Example:443/Ots", "https://secrets.example/Ots/"),
    ("BASE_URL", "http://x.example:80", "http://x.example/"),
    ("BASE_URL", "http://x.example:443", "http://x.example:443/"),
    ("BASE_URL", "http://[::1]:3000/", "http://[::1]:3000/"),
    ("ROOT_KEY", KEY, KEY),
    ("VAULT_URL", "sqlite:", "sqlite:"),
    ("VAULT_URL", "postgresql://me:word@db:5433/one", "postgresql://me:word@db:5433/one"),
    ("VAULT_URL", "valkey://127.0.0.1:6380", "valkey://127.0.0.1:6380"),
    ("VAULT_URL", "valkey://one:1,[::1]:2?replicas=1", "valkey://one:1,[::1]:2?replicas=1"),
    (
        "VAULT_URL",
        "valkeys://me:w%40rd@[::1]/?ca=/etc/ca.pem",
        "valkeys://me:w%40rd@[::1]/?ca=/etc/ca.pem",
    ),
    ("VAULT_MAX_BYTES", "10_000_000", 10_000_000),
    ("DISK_RESERVE", "0", 0),
    ("LIMITS", "off", False),
    ("LIMITS", "on", True),
    ("TRUSTED_PROXIES", "", ()),
    (
        "TRUSTED_PROXIES",
        "10.0.0.1, fd00::/8,192.168.1.7/24,",
        tuple(map(ipaddress.ip_network, ("10.0.0.1/32", "fd00::/8", "192.168.1.0/24"))),
    ),
    ("WORKERS", "4", 4),
    ("OPERATOR_NAME", "Міська лікарня № 3", "Міська лікарня № 3"),
    ("OPERATOR_CONTACT", "security@example.org", "security@example.org"),
    ("OPERATOR_CONTACT", "mailto:security@example.org", "mailto:security@example.org"),
    ("OPERATOR_CONTACT", "https://example.org/security", "https://example.org/security"),
    ("TERMS_FILE", "", None),
    ("MAX_SECRET_BYTES", "1", 1),
    ("MIN_TTL", "1", 1),
    ("METRICS", "on", True),
    ("REVEAL_WINDOW", "0", 0),
    ("GUEST_API", "on", GUEST_CALLS),
    ("GUEST_API", "off", ()),
    ("GUEST_API", "", ()),
    ("GUEST_API", "burn, reveal,", ("reveal", "burn")),
    ("CORS_ORIGINS", "", ()),
    (
        "CORS_ORIGINS",
        "https://App.Example:443, http://127.0.0.1:8080/,https://app.example",
        ("https://app.example", "http://127.0.0.1:8080"),
    ),
]

BAD = [
    ("HOST", "example.org", "must be an IPv4 or IPv6 address"),
    ("HOST", "", "must be an IPv4 or IPv6 address"),
    ("HOST", "https://onetimesecret.com/api", "must be an IPv4 or IPv6 address"),
    ("HOST", "127.0.0.1:3000", "must be an IPv4 or IPv6 address"),
    ("HOST", "unix:onetime.sock", "unix:/absolute/path"),
    ("GUEST_API", "yes", "must be on, off, or some of conceal,generate"),
    ("GUEST_API", "reveal,read", "must be on, off, or some of conceal,generate"),
    ("CORS_ORIGINS", "*", "must look like https://"),
    ("CORS_ORIGINS", "null", "must look like https://"),
    ("CORS_ORIGINS", "https://app.example/page", "without a path"),
    ("PORT", "", "must be a whole number"),
    ("PORT", "http", "must be a whole number"),
    ("PORT", "-1", "must be a whole number"),
    ("PORT", "3e3", "must be a whole number"),
    ("PORT", "3_", "must be a whole number"),
    ("PORT", "3__0", "must be a whole number"),
    ("PORT", "٣٠٠٠", "must be a whole number"),
    ("PORT", "9" * 20, "must be a whole number"),
    ("PORT", "65536", "65536 is more than 65535"),
    ("DATA_DIR", " ", "must name a directory"),
    ("BASE_URL", "secrets.example", "must look like https://"),
    ("BASE_URL", "ftp://secrets.example/", "must look like https://"),
    ("BASE_URL", "https:///ots/", "must look like https://"),
    ("BASE_URL", "https://me@secrets.example/", "must look like https://"),
    ("BASE_URL", "https://secrets.example/?", "must look like https://"),
    ("BASE_URL", "https://secrets.example/#x", "must look like https://"),
    ("BASE_URL", "https://secrets.example/a b/", "must look like https://"),
    ("BASE_URL", "https://secrets.example//a/", "must look like https://"),
    ("BASE_URL", "https://secrets.example/../a/", "must look like https://"),
    ("BASE_URL", "https://секрет.example/", "must look like https://"),
    ("BASE_URL", "https://secrets.example:99999/", "must look like https://"),
    ("BASE_URL", "https://[::1/", "must look like https://"),
    ("VAULT_URL", "mysql://db/onetime", "must be empty or sqlite:"),
    ("VAULT_URL", "postgresql://db", "postgresql://user:password@host/database"),
    ("VAULT_URL", "postgresql://[db/onetime", "postgresql://user:password@host/database"),
    ("VAULT_URL", "postgresql://me:pa/ss@db/onetime", "postgresql://user:password@host/database"),
    ("VAULT_URL", "postgresql://me:12/34@db", "postgresql://user:password@host/database"),
    ("VAULT_URL", "postgresql://me:pa#ss@db/onetime", "postgresql://user:password@host/database"),
    ("VAULT_URL", "postgresql://me:pa@ss@db/onetime", "postgresql://user:password@host/database"),
    ("VAULT_URL", "valkey://me:pa@ss@db", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://me:12/34@db", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://db:port", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://one,two", "safe with ?replicas=1"),
    ("VAULT_URL", "valkey://one?replicas=0", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://one:70000", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://db/1", "valkey://user:password@host:6379"),
    ("VAULT_URL", "valkey://db?ca=/etc/ca.pem", "valkey://user:password@host:6379"),
    ("VAULT_MAX_BYTES", "999999", "999999 is less than 1000000"),
    ("LIMITS", "false", "must be on or off"),
    ("LIMITS", "", "must be on or off"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "must be addresses or networks"),
    ("TRUSTED_PROXIES", "proxy.example", "must be addresses or networks"),
    ("WORKERS", "0", "0 is less than 1"),
    ("WORKERS", "65", "65 is more than 64"),
    ("OPERATOR_NAME", "one\ntwo", "must be one line"),
    ("OPERATOR_NAME", "x" * 201, "must be one line"),
    ("OPERATOR_NAME", "broken \udce9", "must be one line"),
    ("OPERATOR_CONTACT", "me", "must be an e-mail address or an https URL"),
    ("OPERATOR_CONTACT", "me@example.org\nPolicy: x", "must be one line"),
    ("OPERATOR_CONTACT", "me@here@there", "must be an e-mail address or an https URL"),
    ("OPERATOR_CONTACT", "http://example.org/", "must be an e-mail address or an https URL"),
    ("TERMS_FILE", "/nowhere/terms.txt", "cannot read /nowhere/terms.txt: No such file"),
    ("MAX_SECRET_BYTES", "0", "0 is less than 1"),
    ("REVEAL_WINDOW", "3601", "3601 is more than 3600"),
    ("METRICS", "yes", "must be on or off"),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_value_is_read(name: str, text: str, value: object) -> None:
    settings = Settings.from_env({PREFIX + name: text})
    found = getattr(settings, name.lower())
    assert (found.reveal() if isinstance(found, Sensitive) else found) == value


@pytest.mark.parametrize(("name", "text", "reason"), BAD)
def test_a_malformed_value_is_refused_by_name(name: str, text: str, reason: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({PREFIX + name: text})
    assert str(caught.value).startswith(f"{PREFIX}{name}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_setting_has_a_good_and_a_bad_value_here() -> None:
    # Any text may be a key as far as its parser knows; storage.rootkey says more.
    keys = {"ROOT_KEY", "OLD_ROOT_KEYS"}
    ttls = {"MIN_TTL", "DEFAULT_TTL", "MAX_TTL", "ANONYMOUS_MAX_TTL"}
    names = {each.name.upper() for each in fields(Settings)}
    assert {name for name, *_ in GOOD} | keys | ttls == names
    assert {name for name, *_ in BAD} | keys | ttls | {"DISK_RESERVE"} == names


def test_nothing_has_to_be_set() -> None:
    assert Settings.from_env({}) == Settings()


def test_other_variables_are_nobodys_business() -> None:
    others = {"PATH": "/bin", "HOME": "/root", "MY_ONETIME_PORT": "x"}
    assert Settings.from_env(others) == Settings()


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_existing_clients_read_does_not_stop_the_start(name: str) -> None:
    assert Settings.from_env({name: "anything"}) == Settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ONETIME_PROT", "ONETIME_PORT"),
        ("ONETIME_MAX_TTTL", "ONETIME_MAX_TTL"),
        ("ONETIME_ROOTKEY_FILE", "ONETIME_ROOT_KEY_FILE"),
        ("onetime_port", "ONETIME_PORT"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(name: str, near: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({name: "1"})
    assert str(caught.value) == f"{name}: there is no such setting; did you mean {near}?"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    with pytest.raises(Misconfigured, match=r"^ONETIME_COLOUR: there is no such setting$"):
        Settings.from_env({"ONETIME_COLOUR": "green"})


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    settings = Settings.from_env({"ONETIME_ROOT_KEY_FILE": str(file)})
    assert settings.root_key.reveal() == KEY


def test_a_malformed_value_of_a_file_is_refused_by_the_name_that_was_set(tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("no port\n")
    with pytest.raises(Misconfigured, match=r"^ONETIME_PORT_FILE: must be a whole number$"):
        Settings.from_env({"ONETIME_PORT_FILE": str(file)})


def test_a_value_and_a_file_at_once_are_refused(tmp_path: Path) -> None:
    for environ in (
        {"ONETIME_PORT": "1", "ONETIME_PORT_FILE": "/nowhere"},
        {"ONETIME_PORT_FILE": "/nowhere", "ONETIME_PORT": "1"},
    ):
        with pytest.raises(Misconfigured, match="ONETIME_PORT_FILE are both set; keep one"):
            Settings.from_env(environ)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes(b"\xe9")
    for path, reason in ((tmp_path / "no", "No such file"), (latin, "not UTF-8")):
        with pytest.raises(Misconfigured, match=reason):
            Settings.from_env({"ONETIME_OPERATOR_NAME_FILE": str(path)})


def test_the_terms_are_a_file_and_not_the_value_of_one(tmp_path: Path) -> None:
    terms = tmp_path / "terms.txt"
    terms.write_text("Be kind.\n")
    assert Settings.from_env({"ONETIME_TERMS_FILE": str(terms)}).terms_file == terms


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"ONETIME_DEFAULT_TTL": "59"}, "ONETIME_DEFAULT_TTL must lie between"),
        ({"ONETIME_MAX_TTL": "3600"}, "ONETIME_DEFAULT_TTL must lie between"),
        ({"ONETIME_ANONYMOUS_MAX_TTL": "30"}, "ONETIME_ANONYMOUS_MAX_TTL must lie between"),
        ({"ONETIME_ANONYMOUS_MAX_TTL": "2592001"}, "ONETIME_ANONYMOUS_MAX_TTL must lie between"),
        ({"ONETIME_MIN_TTL": "0"}, "ONETIME_MIN_TTL: 0 is less than 1"),
    ],
)
def test_lifetimes_must_agree(environ: dict[str, str], line: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{line}"):
        Settings.from_env(environ)


def test_a_secret_setting_never_prints() -> None:
    settings = Settings(root_key=Sensitive(KEY), old_root_keys=Sensitive(KEY))
    said = [repr(settings), f"{settings.root_key}", f"{settings.root_key:>9}"]
    said += [str(settings.root_key), "%s" % settings.root_key, repr([settings.root_key])]  # noqa: UP031
    assert KEY not in "".join(said)
    assert settings.root_key.reveal() == KEY


@pytest.mark.parametrize(
    ("base_url", "origin", "base_path"),
    [
        ("", "", ""),
        ("https://x.example", "https://x.example", ""),
        ("https://x.example/ots/", "https://x.example", "/ots"),
        ("http://[::1]:3000/a/b", "http://[::1]:3000", "/a/b"),
    ],
)
def test_origin_and_path_of_the_public_address(base_url: str, origin: str, base_path: str) -> None:
    settings = Settings.from_env({"ONETIME_BASE_URL": base_url})
    assert (settings.origin, settings.base_path) == (origin, base_path)
