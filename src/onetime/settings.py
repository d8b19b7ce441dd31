"""Every setting: its name, type, default and reason. One authority: docs/settings.md, `onetime admin settings` and the
check at start are made from this page.

The environment variable is ONETIME_ and the field's name in capitals; ONETIME_X_FILE names a file to read X from.
An unknown ONETIME_… stops the start: a typing error must not quietly mean "the default".
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from onetime.errors import Misconfigured

PREFIX = "ONETIME_"
FILE = "_FILE"

# Names that clients of Onetime Secret read from the environment (reference 7.1). They are not ours, and a
# machine that has both the client and the server on it must still start.
FOREIGN = frozenset({"ONETIME_CUSTID", "ONETIME_APIKEY", "ONETIME_SERVER"})

DEFAULT_PORTS = {"http": 80, "https": 443}

# What a caller of the compatible APIs may do without an account.
GUEST_CALLS = ("conceal", "generate", "show", "reveal", "receipt", "burn")

POSTGRES = frozenset({"postgresql", "postgres"})
VALKEY = frozenset({"valkey", "valkeys", "redis", "rediss"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Sensitive(str):
    """Prints as ***; `reveal()` gives the text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def reveal(self) -> str:
        return str.__str__(self)


def _integer(text: str) -> int:
    if not re.fullmatch(r"[0-9]+(_[0-9]+)*", text, re.ASCII) or len(text) > 19:
        raise ValueError("must be a whole number")
    return int(text)


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text == "on"


def _host(text: str) -> str:
    if text.startswith("unix:"):
        if not text.removeprefix("unix:").startswith("/"):
            raise ValueError("must name a socket file as unix:/absolute/path")
        return text
    if text == "localhost":
        return "127.0.0.1"
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address or unix:/path") from None


def _url(text: str) -> str:
    """As browsers write it in `Origin`: scheme and host in small letters, no port that goes without saying."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in DEFAULT_PORTS
        or not parts.hostname
        or "@" in parts.netloc
        or "?" in text
        or "#" in text
        or not re.fullmatch(r"[!-~]+", text)
        or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*/?", parts.path)
        or {".", ".."} & set(parts.path.split("/"))
    ):
        raise ValueError("must look like https://secrets.example/ or https://example.org/ots/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port not in {None, DEFAULT_PORTS[parts.scheme]}:
        host = f"{host}:{port}"
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}/"


def _vault_url(text: str) -> Sensitive:
    """What is said of it holds none of its parts: one is a password, and where a sign in it is not encoded, another part may be."""
    if text in {"", "sqlite:"}:
        return Sensitive(text)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    host = r"(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?"
    if parts.scheme in VALKEY:
        return _valkey_url(text, parts, host)
    if (
        parts.scheme not in POSTGRES
        or not re.fullmatch(rf"{host}(,{host})*|", parts.netloc.rpartition("@")[2])
        or not re.fullmatch(r"/[^/@]+", parts.path)
        or "#" in text
        or parts.netloc.count("@") > 1
    ):
        raise ValueError(
            "must be empty or sqlite: (the vault lies in the data directory), or look like "
            "postgresql://user:password@host/database or valkeys://user:password@host, with signs in the password as %40"
        )
    return Sensitive(text)


def _valkey_url(text: str, parts: SplitResult, host: str) -> Sensitive:
    hosts = parts.netloc.rpartition("@")[2]
    ports = [int(port) for port in re.findall(r":([0-9]+)(?:,|$)", hosts)]
    options = dict(each.partition("=")[::2] for each in parts.query.split("&") if each)
    allowed = {"replicas": r"[1-9]"}
    if parts.scheme in {"valkeys", "rediss"}:
        allowed["ca"] = r"/[^=]+"
    if (
        not re.fullmatch(rf"{host}(,{host})*", hosts)
        or not all(0 < port < 65_536 for port in ports)
        or parts.path not in {"", "/"}
        or "#" in text
        or parts.netloc.count("@") > 1
        or not all(re.fullmatch(allowed.get(name, "(?!)"), said) for name, said in options.items())
    ):
        raise ValueError(
            "must look like valkey://user:password@host:6379 or, encrypted, valkeys://user:password@host:6379?ca=/path/ca.pem, "
            "with signs in the password as %40; ?replicas=1 waits for as many"
        )
    if "," in hosts and "replicas" not in options:
        # A primary of before, which nobody has told yet, would give out again what was read elsewhere.
        raise ValueError("names several hosts, which is safe with ?replicas=1 (or more) alone")
    return Sensitive(text)


def _directory(text: str) -> Path:
    if not text:
        raise ValueError("must name a directory")
    return Path(text)


def _readable_file(text: str) -> Path | None:
    """Read once at the start, so that a wrong path does not wait for the first visitor."""
    if not text:
        return None
    path = Path(text).absolute()
    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"cannot read {text}: {_why(error)}") from None
    return path


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(
            ipaddress.ip_network(part.strip(), strict=False)
            for part in text.split(",")
            if part.strip()
        )
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8") from None


def _guest_calls(text: str) -> tuple[str, ...]:
    if text in {"on", "off"}:
        return GUEST_CALLS if text == "on" else ()
    named = {part.strip() for part in text.split(",") if part.strip()}
    if not named <= set(GUEST_CALLS):
        raise ValueError(f"must be on, off, or some of {','.join(GUEST_CALLS)}")
    return tuple(each for each in GUEST_CALLS if each in named)


def _origins(text: str) -> tuple[str, ...]:
    """Each as browsers write it in `Origin`."""
    origins = []
    for part in text.split(","):
        if not part.strip():
            continue
        url = _url(part.strip()).removesuffix("/")
        if url.count("/") > 2:
            raise ValueError("must be origins such as https://app.example, without a path")
        origins.append(url)
    return tuple(dict.fromkeys(origins))


def _line(text: str) -> str:
    # Cc: control characters; Cs: what the environment held that is not UTF-8.
    if len(text) > 200 or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise ValueError("must be one line of at most 200 characters")
    return text


def _contact(text: str) -> str:
    if text and not re.fullmatch(r"(mailto:)?[^\s@<>]+@[^\s@<>]+|https://[!-~]+", _line(text)):
        raise ValueError("must be an e-mail address or an https URL")
    return text


def knob(
    default: Any,
    parse: Callable[[str], Any],
    reason: str,
    *,
    least: int | None = None,
    most: int | None = None,
) -> Any:
    metadata = {"parse": parse, "reason": reason, "least": least, "most": most}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field a setting. Sizes are bytes, times are seconds."""

    host: str = knob(
        "127.0.0.1", _host, "Address to listen on: IPv4, IPv6, or `unix:/path` for a socket file."
    )
    port: int = knob(
        3000, _integer, "Port to listen on; 0 takes a free one and prints it.", least=0, most=65535
    )
    data_dir: Path = knob(Path("data"), _directory, "Where the vault and the root key live.")
    base_url: str = knob(
        "", _url, "The public address, with a path if there is one; links are made from it."
    )
    root_key: Sensitive = knob(
        Sensitive(""),
        Sensitive,
        "32 random bytes in hex; every server-side key derives from it. Empty: `root.key` in the data directory.",
    )
    old_root_keys: Sensitive = knob(
        Sensitive(""),
        Sensitive,
        "Root keys of before a rotation, in hex, separated by commas; they only open.",
    )
    vault_url: Sensitive = knob(
        Sensitive(""),
        _vault_url,
        "Where secrets are kept: `postgresql://user:password@host/database` or `valkeys://user:password@host`; empty: `sqlite:` in the data directory.",
    )
    vault_max_bytes: int = knob(
        10_000_000_000,
        _integer,
        "Total size of the vault; beyond it creating is refused, reading goes on.",
        least=1_000_000,
    )
    disk_reserve: int = knob(
        64 * 1024 * 1024,
        _integer,
        "Bytes set aside on the disk, so that reading and burning work when it is full; less than 16 MiB may not be enough.",
        least=0,
    )
    limits: bool = knob(
        True, _switch, "Budgets for each network. A secret's own attempts are limited either way."
    )
    trusted_proxies: tuple[Network, ...] = knob(
        (),
        _networks,
        "Networks whose X-Forwarded-For is believed, rightmost first; separated by commas.",
    )
    workers: int = knob(
        1,
        _integer,
        "Processes that serve; with SQLite more than one is correct, but not faster.",
        least=1,
        most=64,
    )
    operator_name: str = knob("", _line, "Who runs this installation; every page says so.")
    operator_contact: str = knob(
        "", _contact, "An e-mail address or https URL for security reports; makes security.txt."
    )
    terms_file: Path | None = knob(
        None, _readable_file, "A text file with the operator's terms; shown as /info/terms."
    )
    max_secret_bytes: int = knob(
        100_000, _integer, "Largest text, in bytes of UTF-8.", least=1, most=50_000_000
    )
    min_ttl: int = knob(60, _integer, "Shortest life of a secret.", least=1)
    default_ttl: int = knob(
        7 * 86_400, _integer, "Life of a secret when its sender does not say.", least=1
    )
    max_ttl: int = knob(
        30 * 86_400,
        _integer,
        "Longest life of a secret.",
        least=1,
        most=365 * 86_400,  # as the reference, and far from where sums of instants overflow
    )
    anonymous_max_ttl: int = knob(
        7 * 86_400, _integer, "Longest life for senders without an account.", least=1
    )
    reveal_window: int = knob(
        600,
        _integer,
        "Seconds in which the device that opened an end-to-end secret may fetch it again; 0: once only. Given once more if the service stood still meanwhile, from 120 on.",
        least=0,
        most=3600,
    )
    guest_api: tuple[str, ...] = knob(
        GUEST_CALLS,
        _guest_calls,
        "What callers without an account may do by API v1, v2 and v3; `on`: all, `off`: nothing. Pages are not concerned.",
    )
    cors_origins: tuple[str, ...] = knob(
        (),
        _origins,
        "Other sites whose scripts may call the API, as origins separated by commas; never with credentials.",
    )
    metrics: bool = knob(
        False, _switch, "Serve /metrics, to callers on loopback. It counts and names no one."
    )

    def __post_init__(self) -> None:
        if not self.min_ttl <= self.default_ttl <= self.max_ttl:
            raise Misconfigured(
                "ONETIME_DEFAULT_TTL must lie between ONETIME_MIN_TTL and ONETIME_MAX_TTL"
            )
        if not self.min_ttl <= self.anonymous_max_ttl <= self.max_ttl:
            raise Misconfigured(
                "ONETIME_ANONYMOUS_MAX_TTL must lie between ONETIME_MIN_TTL and ONETIME_MAX_TTL"
            )

    @cached_property
    def is_postgres(self) -> bool:
        """Whether `vault_url` names a PostgreSQL database; else the vault is a file in the data directory."""
        return urlsplit(self.vault_url.reveal()).scheme in POSTGRES

    @cached_property
    def is_valkey(self) -> bool:
        """Whether `vault_url` names a Valkey server."""
        return urlsplit(self.vault_url.reveal()).scheme in VALKEY

    @cached_property
    def vault_place(self) -> str:
        """Where secrets are kept, for people to read: without names and passwords."""
        if not self.is_postgres and not self.is_valkey:
            return str(self.data_dir.absolute())
        parts = urlsplit(self.vault_url.reveal())
        if self.is_valkey:
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @cached_property
    def origin(self) -> str:
        """Scheme and host of `base_url`; empty without one."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}" if self.base_url else ""

    @cached_property
    def base_path(self) -> str:
        """Path of `base_url` without a closing slash: `/ots`, or empty."""
        return urlsplit(self.base_url).path.rstrip("/")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the environment, the only place that does.

        Raises:
            Misconfigured: an unknown name, a malformed value, or a file that cannot be read.
        """
        knobs = {PREFIX + each.name.upper(): each for each in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in environ.items():
            if not name.upper().startswith(PREFIX) or name in FOREIGN:
                continue
            target = name
            if name not in knobs and name.endswith(FILE):
                target = name.removesuffix(FILE)
            if target not in knobs:
                raise Misconfigured(_unknown(name, knobs))
            if target != name:
                if target in environ:
                    raise Misconfigured(f"{target} and {name} are both set; keep one")
                text = _file(name, text)  # noqa: PLW2901 - the variable names where its value is
            knob_ = knobs[target]
            try:
                value = knob_.metadata["parse"](text.strip())
                _bounds(value, knob_.metadata)
            except ValueError as error:
                raise Misconfigured(f"{name}: {error}") from None
            values[knob_.name] = value
        return cls(**values)


def _unknown(name: str, knobs: Mapping[str, object]) -> str:
    """Compared without what all names share, or everything would be near."""
    bare = name.upper().removeprefix(PREFIX)
    end = FILE if bare.endswith(FILE) else ""
    known = {knob_.removeprefix(PREFIX): knob_ for knob_ in knobs}
    near = difflib.get_close_matches(bare.removesuffix(end), known, n=1)
    return f"{name}: there is no such setting" + (
        f"; did you mean {known[near[0]]}{end}?" if near else ""
    )


def _file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"{name}: cannot read {path}: {_why(error)}") from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is not UTF-8 text"


def _bounds(value: object, metadata: Mapping[str, Any]) -> None:
    least, most = metadata["least"], metadata["most"]
    if isinstance(value, int) and least is not None and value < least:
        raise ValueError(f"{value} is less than {least}")
    if isinstance(value, int) and most is not None and value > most:
        raise ValueError(f"{value} is more than {most}")
