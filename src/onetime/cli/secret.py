"""`onetime share`, `generate`, `reveal`, `status` and `burn`: for whoever has a secret, a link or a receipt.

Everything is encrypted and opened here, by `onetime.client`. Two rules beside those of the terminal:

- A secret or passphrase among the arguments is refused: other programs and the shell's history see those.
- Nothing is left half done. What could not be handed over is not settled, and the line that says so tells how to come back;
  a share that was interrupted is burned.
"""

from __future__ import annotations

import json
import mimetypes
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from onetime import errors
from onetime.cli import config, output, terminal
from onetime.cli.output import Unwritten
from onetime.cli.terminal import warn
from onetime.cli.words import _, moment, ngettext, span
from onetime.core.generate import DEFAULT_LENGTH, Recipe
from onetime.core.generate import generate as make_up
from onetime.errors import Invalid, OnetimeError

if TYPE_CHECKING:
    from onetime.client import Client, Envelope, Look, Receipt, Revealed, Shared

# More than any server takes in: what is longer is not even read.
MOST_BYTES = 64 * 1024 * 1024
MOST_PASSPHRASE_BYTES = 8192
MOST_LINK_BYTES = 4096

# A share that was interrupted is not waited for as long as another.
WITHDRAWAL_SECONDS = 5.0

UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_TTL = re.compile(r"([0-9]{1,9})([smhdw]?)", re.ASCII)
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

T = TypeVar("T", bound=Callable[..., Any])


# The manner of these commands


class Verb(click.Command):
    """Its errors are sentences in the reader's language; `--run` takes the rest of the line, `--passphrase=…` is refused."""

    # What is too much is looked at below: click would print it, and it may be a secret.
    allow_extra_args = True

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """click's own mistakes, in our words."""
        try:
            return super().make_context(*args, **extra)
        except click.NoSuchOption as error:
            near = "".join(f"; {each}?" for each in (error.possibilities or ())[:1])
            message = _("there is no option %(name)s") % {"name": error.option_name} + near
        except click.BadOptionUsage as error:
            message = _("%(name)s takes a value, or none: see --help") % {"name": error.option_name}
        except click.MissingParameter as error:
            name = error.param.make_metavar(error.ctx) if error.param and error.ctx else ""
            message = _("%(name)s is missing") % {"name": name}
        except click.BadParameter as error:
            name = error.param.opts[0] if error.param else ""
            message = _("%(name)s takes a number") % {"name": name}
        raise click.UsageError(message)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--run" in args and any(each.name == "run" for each in self.params):
            at = args.index("--run")
            command = args[at + 1 :]
            if command[:1] == ["--"]:
                del command[0]
            ctx.meta["command"] = tuple(command)
            if not command:
                raise click.UsageError(_("--run is followed by a program and its arguments"))
            args = args[: at + 1]
        kept = []
        for each in args:
            if not each.startswith("--passphrase="):
                kept.append(each)
            elif "--insecure-argv" in args:
                ctx.meta["passphrase"] = each.partition("=")[2]
            else:
                raise click.UsageError(
                    _(
                        "a passphrase among the arguments is seen by other programs and kept by the shell;"
                        " give --passphrase alone to be asked for it, or --passphrase-fd"
                    )
                )
        left = super().parse_args(ctx, kept)
        if left:
            raise click.UsageError(_("too many arguments: see --help"))
        return left

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Unwritten as error:
            warn(str(error))
            raise SystemExit(error.code) from None
        except OnetimeError as error:
            warn(sentence(error))
            raise SystemExit(terminal.exit_code(error)) from None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = _("Show this and exit.")
        return found

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=_("Usage:") + " ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        rows = [row for row in (each.get_help_record(ctx) for each in options) if row]
        with formatter.section(_("Options")):
            formatter.write_dl(rows)


def sentence(error: OnetimeError) -> str:
    """What went wrong, and what to do."""
    match error:
        case errors.WrongPassphrase(attempts_left=0):
            return _("that is not the passphrase; no try is left before a pause")
        case errors.WrongPassphrase() if error.attempts_left is not None:
            return ngettext(
                "that is not the passphrase; %(num)d try is left before a pause",
                "that is not the passphrase; %(num)d tries are left before a pause",
                error.attempts_left,
            ) % {"num": error.attempts_left}
        case errors.RateLimited() if error.retry_after is not None:
            return _("too many tries; it may work in %(time)s") % {"time": span(error.retry_after)}
        case errors.TooLarge(size_bytes=None):
            return _("it is too long: the server takes at most %(limit)d bytes") % {
                "limit": error.limit_bytes
            }
        case errors.TooLarge():
            return _("it is too long: %(size)d bytes, and the server takes at most %(limit)d") % {
                "size": error.size_bytes,
                "limit": error.limit_bytes,
            }
        case Invalid():
            return _invalid(error)
        case errors.Unreachable():
            words = {"server": error.server, "reason": error.reason}
            return _("%(server)s did not answer: %(reason)s") % words
        case errors.Foreign():
            return _("no Onetime server that this program understands: %(reason)s") % {
                "reason": error
            }
        case errors.Misconfigured():
            return str(error)
    found = (SENTENCES[kind] for kind in type(error).__mro__ if kind in SENTENCES)
    return next(found, None) or _("the server refuses it: %(reason)s") % {"reason": error}


SENTENCES: dict[type, str] = {
    errors.Claimed: _(
        "somebody has opened it; if it was you, give the --claim that was named then"
    ),
    errors.NotFound: _(
        "there is nothing here: it was opened or destroyed, has expired, or never was"
    ),
    errors.WrongPassphrase: _("that is not the passphrase"),
    errors.Closed: _(
        "too many wrong passphrases: it stays closed until it expires or its sender destroys it"
    ),
    errors.RateLimited: _("a limit is reached; try again later"),
    errors.Undecryptable: _(
        "what came is not what was shared: it was changed or cut on the way; nothing of it is shown"
    ),
    errors.Full: _("the server has no room for another secret just now"),
    errors.Unavailable: _("the server is not up to it just now; try again later"),
    errors.Conflict: _("it was created already, and has been opened or destroyed since"),
}


def _invalid(error: Invalid) -> str:
    """Looked up by what is wrong, then by how."""
    sentences = {
        ("server", "insecure"): _(
            "plain http: everybody on the way could destroy it or take it; use https, or allow it by --insecure-http"
        ),
        ("server", "malformed"): _("--server takes an address such as https://secrets.example/"),
        ("link", "newer"): _("this link needs a newer program"),
        ("link", "receipt"): _("this is a receipt; the secret has another link"),
        ("link", "secret"): _("this is the recipient's link; the receipt is another"),
        ("link", "sealed"): _("the link of a sealed secret does not destroy it; its receipt does"),
        ("link", "malformed"): _(
            "this is no link to a secret or a receipt, or a part of it is missing"
        ),
        ("claim", "malformed"): _("--claim takes the 22 characters that were named before"),
        ("content", "empty"): _("there is nothing to share"),
        ("content", "sealed"): _(
            "a sealed secret is text in UTF-8; leave --sealed out for other bytes"
        ),
        ("content", "malformed"): _("what was typed is no text"),
        ("passphrase", "too_short"): _("a passphrase has at least 4 characters"),
        ("passphrase", "too_long"): _("a passphrase has at most 128 characters"),
        ("passphrase", "unassigned"): _(
            "the passphrase has characters that Unicode does not know yet"
        ),
        ("passphrase", "malformed"): _("the passphrase is no text"),
        ("name", "malformed"): _(
            "the name of the file has characters that no name should have; rename it"
        ),
        ("name", "too_long"): _("the name of the file is too long"),
        ("length", "too_short"): _("a password has at least one character"),
        ("length", "too_long"): _("a password has at most 128 characters"),
    }
    if error.field == "network":
        return _("the proxy or the certificates cannot be used: %(reason)s") % {"reason": error}
    bound = re.search(r"[0-9]+", f"{error}")
    if error.field == "ttl" and bound:
        words = {"time": span(int(bound[0]))}
        if error.rule == "too_short":
            return _("the server does not allow that lifetime; the shortest is %(time)s") % words
        return _("the server does not allow that lifetime; the longest is %(time)s") % words
    found = sentences.get((error.field, error.rule))
    return found or _("the server refuses it: %(reason)s") % {"reason": error}


# Options that several have


def together(*options: Callable[[T], T]) -> Callable[[T], T]:
    def add(function: T) -> T:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def read_ttl(_ctx: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    found = _TTL.fullmatch(text)
    if not found:
        raise click.UsageError(_("--ttl takes a time such as 30m, 1h, 2d, or a number of seconds"))
    return int(found[1]) * UNITS[found[2]]


def paragraphs(*texts: str) -> str:
    return "\n\n".join(texts)


insecure_http = click.option(
    "--insecure-http", is_flag=True, help=_("Allow plain http to another machine than this.")
)
passphrase_options = together(
    click.option("--passphrase", is_flag=True, help=_("Ask for a passphrase.")),
    click.option(
        "--passphrase-fd",
        metavar=_("NUMBER"),
        type=int,
        help=_(
            "Read the passphrase from this file descriptor; one newline at its end is left out."
        ),
    ),
)
json_option = click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object."))
insecure_argv = click.option(
    "--insecure-argv", is_flag=True, help=_("Allow a secret or passphrase among the arguments.")
)
sharing = together(
    click.option(
        "--ttl",
        metavar=_("TIME"),
        callback=read_ttl,
        help=_(
            "How long it can be opened: 30m, 1h, 2d, or seconds. By default what the server says."
        ),
    ),
    passphrase_options,
    click.option("--receipt", is_flag=True, help=_("Print the receipt on a second line.")),
    json_option,
    click.option("--qr", is_flag=True, help=_("Print the link as a QR code, too.")),
    click.option(
        "--sealed",
        is_flag=True,
        help=_("Let the server encrypt: it sees the text, and the link opens without script."),
    ),
    click.option(
        "--server",
        metavar=_("ADDRESS"),
        help=_("Where to share; else ONETIME_SERVER, else the configuration file."),
    ),
    insecure_http,
    insecure_argv,
)


@contextmanager
def _client(server: str = "", *, insecure_http: bool, **settings: Any) -> Iterator[Client]:
    # The commands that need no network start in half the time.
    from onetime.client import Client  # noqa: PLC0415

    with Client(server, insecure_http=insecure_http, **settings) as client:
        yield client


# Passphrases


@dataclass(frozen=True)
class Asking:
    """Where a passphrase may come from."""

    wanted: bool
    descriptor: int | None
    given: str | None

    def new(self) -> str:
        """For a secret that is being shared; none unless one is wanted. At a terminal it is asked for twice."""
        found = self._given()
        if found is not None or not self.wanted:
            return found or ""
        _need_terminal()
        while True:
            first = terminal.ask_unseen(_("Passphrase (it is not shown):") + " ")
            if not first:
                raise click.Abort
            if terminal.ask_unseen(_("The same again:") + " ") == first:
                return first
            warn(_("those were two different ones"))

    def existing(self, *, is_needed: bool) -> str:
        found = self._given()
        if found is not None or not (is_needed or self.wanted):
            return found or ""
        _need_terminal()
        return terminal.ask_unseen(_("Passphrase (it is not shown):") + " ")

    @property
    def can_ask_again(self) -> bool:
        return self.descriptor is None and self.given is None and terminal.can_ask()

    def _given(self) -> str | None:
        if self.given is not None:
            return self.given
        if self.descriptor is None:
            return None
        try:
            raw = terminal.read(self.descriptor, MOST_PASSPHRASE_BYTES)
        except OSError as error:
            message = _("--passphrase-fd %(number)d cannot be read: %(why)s")
            why = {"number": self.descriptor, "why": error.strerror}
            raise click.UsageError(message % why) from None
        try:
            text = raw.decode().removesuffix("\n")
        except UnicodeDecodeError:
            raise Invalid("passphrase", "The passphrase is not UTF-8") from None
        if not text:
            raise click.UsageError(_("the passphrase is empty"))
        return text


def _need_terminal() -> None:
    if not terminal.can_ask():
        raise click.UsageError(
            _("a passphrase is needed, and there is no terminal to ask at; give --passphrase-fd")
        )


def _asking(ctx: click.Context, given: dict[str, Any]) -> Asking:
    return Asking(given["passphrase"], given["passphrase_fd"], ctx.meta.get("passphrase"))


# Sharing


@click.command(
    cls=Verb,
    options_metavar=_("[OPTIONS]"),
    help=paragraphs(
        _("Share a secret: print a link that opens one time."),
        _(
            "The secret is what comes on standard input, to the byte, or what is typed unseen. It is encrypted here; the server cannot read it. The link is for the recipient; whoever has it can open it."
        ),
    ),
)
@click.argument("words", nargs=-1, metavar="[-]")
@click.option(
    "--file",
    "path",
    metavar=_("FILE"),
    type=click.Path(path_type=Path),
    help=_("Share a file, with its name."),
)
@sharing
@click.pass_context
def share(ctx: click.Context, /, words: tuple[str, ...], path: Path | None, **given: Any) -> None:
    path = _no_dash(path)
    if path is not None and words:
        raise click.UsageError(_("either --file or standard input, not both"))
    # Before anything is typed in vain.
    config.server(given["server"])
    asking = _asking(ctx, given)
    name, kind = "", ""
    if path is not None:
        content: bytes | str = _read_file(path)
        name = "" if given["sealed"] else path.name
        guessed, packed = mimetypes.guess_type(path.name)
        if guessed and not packed and _TYPE.fullmatch(guessed):
            kind = guessed
    else:
        content = _read_secret(words, asking, is_allowed=given["insecure_argv"])
    if not content:
        raise Invalid("content", "There is nothing to share", rule="empty")
    _hand_out(given, content, asking.new(), name=name, kind=kind)


@click.command(
    cls=Verb,
    options_metavar=_("[OPTIONS]"),
    help=paragraphs(
        _("Make up a password and share it: print a link that opens one time."),
        _(
            "The password is made here, from the system's source of randomness, and is not shown unless asked for."
        ),
    ),
)
@click.option(
    "--length",
    metavar=_("NUMBER"),
    type=int,
    default=DEFAULT_LENGTH,
    help=_("How many characters it has; %(num)d by default.") % {"num": DEFAULT_LENGTH},
)
@click.option("--no-uppercase", is_flag=True, help=_("Without A to Z."))
@click.option("--no-lowercase", is_flag=True, help=_("Without a to z."))
@click.option("--no-numbers", is_flag=True, help=_("Without digits."))
@click.option("--no-symbols", is_flag=True, help=_("Without punctuation."))
@click.option("--ambiguous", is_flag=True, help=_("With i, l, o, 1, I, O and 0, too."))
@click.option("--show", is_flag=True, help=_("Print the password, too."))
@sharing
@click.pass_context
def generate(
    ctx: click.Context, /, length: int, *, ambiguous: bool, show: bool, **given: Any
) -> None:
    recipe = Recipe(
        length=length,
        uppercase=not given["no_uppercase"],
        lowercase=not given["no_lowercase"],
        numbers=not given["no_numbers"],
        symbols=not given["no_symbols"],
        exclude_ambiguous=not ambiguous,
    )
    password = make_up(recipe)
    _hand_out(given, password, _asking(ctx, given).new(), shown=password if show else None)


def _no_dash(path: Path | None) -> Path | None:
    """`-` is no file: it is what is used without one."""
    return None if path == Path("-") else path


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        message = _("%(file)s cannot be read: %(why)s") % {"file": path, "why": error.strerror}
        raise click.UsageError(message) from None
    return _not_too_long(content)


def _read_secret(words: tuple[str, ...], asking: Asking, *, is_allowed: bool) -> bytes | str:
    if words not in {(), ("-",)}:
        if is_allowed and len(words) == 1:
            return words[0]
        raise click.UsageError(
            _(
                "a secret among the arguments is seen by other programs and kept by the shell; give it on standard input,"
                " by --file, or type it when asked"
            )
        )
    if not words and sys.stdin.isatty():
        return terminal.ask_unseen(_("Secret (it is not shown):") + " ")
    if asking.descriptor == terminal.STDIN:
        raise click.UsageError(
            _("standard input holds the secret; give the passphrase on another descriptor")
        )
    return _not_too_long(terminal.read(terminal.STDIN, MOST_BYTES))


def _not_too_long(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise errors.TooLarge("content", limit_bytes=MOST_BYTES)
    return content


def _hand_out(
    given: dict[str, Any],
    content: bytes | str,
    passphrase: str,
    *,
    name: str = "",
    kind: str = "",
    shown: str | None = None,
) -> None:
    """Share it, and print what is to be printed; what then is not printed is burned, because nobody has its link."""
    if given["as_json"] and given["qr"]:
        raise click.UsageError(_("either --json or --qr, not both"))
    with _client(config.server(given["server"]), insecure_http=given["insecure_http"]) as client:
        if given["sealed"]:
            shared = _share_sealed(client, content, given["ttl"], passphrase)
        else:
            kind = kind or "application/octet-stream"
            sealed = client.seal(
                content, ttl=given["ttl"], passphrase=passphrase, name=name, type=kind
            )
            shared = _create(client, sealed, insecure_http=given["insecure_http"])
        try:
            output.to_stdout(_told(shared, given, shown))
        except (KeyboardInterrupt, Unwritten):
            _burn_unprinted(client, shared, passphrase)
            raise


def _burn_unprinted(client: Client, shared: Shared, passphrase: str) -> None:
    try:
        client.burn(shared.receipt_link, passphrase=passphrase)
        warn(_("the link could not be printed, so the secret is destroyed"))
    except OnetimeError:
        _may_be_there(shared.receipt_link)


def _share_sealed(client: Client, content: bytes | str, ttl: int | None, passphrase: str) -> Shared:
    # First, so that below nothing else can go wrong than the sharing itself.
    client.terms()
    try:
        return client.share(content, ttl=ttl, passphrase=passphrase, sealed=True)
    except (KeyboardInterrupt, errors.Unavailable) as error:
        if _may_have_arrived(error):
            warn(_("it may be there all the same; nobody has its link, and it expires by itself"))
        raise


def _create(client: Client, sealed: Envelope, *, insecure_http: bool) -> Shared:
    try:
        return client.create(sealed)
    except KeyboardInterrupt:
        _withdraw(client.server, sealed, insecure_http=insecure_http)
    except errors.Unavailable as error:
        if _may_have_arrived(error):
            _may_be_there(sealed.receipt_link)
        raise


def _may_have_arrived(error: BaseException) -> bool:
    """Whether the server may have done what it was asked for, although it did not say so."""
    match error:
        case errors.Unreachable():
            return error.may_have_arrived
        case errors.Full():
            return False
    return True


def _withdraw(server: str, sealed: Envelope, *, insecure_http: bool) -> NoReturn:
    """Ctrl+C while it was being created: burn it. It may still be on its way when it is first asked for."""
    with _client(
        server, insecure_http=insecure_http, timeout=WITHDRAWAL_SECONDS, retries=1
    ) as client:
        for pause in (1.0, 0.0):
            try:
                client.burn(sealed.receipt_link)
                warn(_("interrupted; the secret is destroyed"))
                break
            except errors.NotFound:
                time.sleep(pause)
            except OnetimeError:
                _may_be_there(sealed.receipt_link)
                break
        else:
            warn(_("interrupted; the server has nothing of it"))
    raise SystemExit(terminal.INTERRUPTED)


def _may_be_there(receipt_link: str) -> None:
    warn(
        _(
            "it may be there all the same; nobody has its link, and this receipt destroys it: %(link)s"
        )
        % {"link": receipt_link}
    )


def _told(shared: Shared, given: dict[str, Any], shown: str | None) -> bytes:
    if given["as_json"]:
        said = asdict(shared) | ({} if shown is None else {"value": shown})
        return json.dumps(said).encode() + b"\n"
    code = terminal.qr(shared.link) if given["qr"] else b""
    if terminal.is_terminal():
        rows = [
            (_("Link to send"), shared.link),
            (_("Receipt to keep"), shared.receipt_link),
            (_("Opens until"), moment(shared.secret_expires_at)),
        ]
        rows += [] if shown is None else [(_("Password"), shown)]
        return terminal.labelled(rows) + code
    lines = [
        shared.link,
        *([shared.receipt_link] if given["receipt"] else []),
        *([] if shown is None else [shown]),
    ]
    return "".join(f"{line}\n" for line in lines).encode() + code


# Revealing


@click.command(
    cls=Verb,
    options_metavar=_("[OPTIONS]"),
    help=paragraphs(
        _("Open a link and print the secret, exactly as it was shared."),
        _(
            "LINK is what the sender has sent; `-` reads it from standard input, so that it stays out of the shell's history. The server destroys the secret once the output is written. If that fails, the secret can be fetched again for a while, with the --claim that is named then."
        ),
    ),
)
@click.argument("link", metavar=_("LINK"))
@click.option(
    "--output",
    "path",
    metavar=_("FILE"),
    type=click.Path(path_type=Path),
    help=_("Save it into a file that only you can read."),
)
@click.option("--force", is_flag=True, help=_("Let --output replace a file that is there."))
@click.option(
    "--run",
    is_flag=True,
    help=_(
        "Hand it to the program that follows, with the rest of the line, on its standard input."
    ),
)
@click.option(
    "--env",
    "variable",
    metavar=_("NAME"),
    help=_("With --run: in this variable instead of on standard input."),
)
@click.option(
    "--claim",
    metavar=_("CLAIM"),
    default="",
    help=_("Come back for what was not written the last time."),
)
@click.option("--raw", is_flag=True, help=_("Print control characters to a terminal as they are."))
@passphrase_options
@insecure_http
@insecure_argv
@click.pass_context
def reveal(ctx: click.Context, /, link: str, **given: Any) -> None:
    from onetime.client import new_claim, parse_claim, parse_link  # noqa: PLC0415

    command: tuple[str, ...] | None = ctx.meta.get("command")
    path, variable, asking = _no_dash(given["path"]), given["variable"], _asking(ctx, given)
    if path is not None and command is not None:
        raise click.UsageError(_("either --output or --run, not both"))
    if variable is not None and (command is None or not _VARIABLE.fullmatch(variable)):
        raise click.UsageError(_("--env takes the name of a variable, and needs --run"))
    link = _read_link(link, asking)
    claim = given["claim"] or ("" if parse_link(link).is_sealed else new_claim())
    if claim:
        parse_claim(claim)
    if command is not None:
        output.program(command)
    with _client(insecure_http=given["insecure_http"]) as client:

        def pass_on(hand_over: Callable[[bytes], None] | None) -> None:
            has_claim = bool(given["claim"])
            _pass_on(
                client, link, claim, asking, hand_over, has_claim=has_claim, is_raw=given["raw"]
            )

        if path is not None:
            with output.file(path, force=given["force"]) as save:
                pass_on(save)
        elif command is not None:
            pass_on(lambda content: output.to_child(command, content, variable))
        else:
            pass_on(None)


def _read_link(link: str, asking: Asking) -> str:
    if link != "-":
        return link
    if asking.descriptor == terminal.STDIN:
        raise click.UsageError(
            _("standard input holds the link; give the passphrase on another descriptor")
        )
    return sys.stdin.readline(MOST_LINK_BYTES).strip()


def _pass_on(
    client: Client,
    link: str,
    claim: str,
    asking: Asking,
    hand_over: Callable[[bytes], None] | None,
    *,
    has_claim: bool,
    is_raw: bool,
) -> None:
    """Be given it, hand it over, settle; None hands it to standard output."""
    passphrase = _passphrase(client, link, asking, has_claim=has_claim)
    try:
        revealed = _reveal(client, link, claim, passphrase, asking)
    except (KeyboardInterrupt, errors.Unavailable, errors.Undecryptable) as error:
        if not _may_have_arrived(error):
            raise
        if claim:
            warn(
                _("the secret may have been opened; to come back, add: --claim %(claim)s")
                % {"claim": claim}
            )
        else:
            warn(_("a sealed secret is given out once: it may be lost"))
        raise
    try:
        if hand_over is None:
            _show(revealed, is_raw=is_raw)
        else:
            hand_over(revealed.content)
    except (KeyboardInterrupt, Unwritten):
        _say_how_to_come_back(revealed)
        raise
    _settle(client, revealed)
    match revealed.files:
        case []:
            pass
        case [file]:
            warn(_("it was a file called %(name)s") % {"name": file.name})
        case files:
            # Where one ends and the next begins is in no other place: the envelope is gone.
            named = ", ".join(f"{each.name} ({each.size})" for each in files)
            warn(
                _("these were files, one after another, with so many bytes: %(files)s")
                % {"files": named}
            )


def _passphrase(client: Client, link: str, asking: Asking, *, has_claim: bool) -> str:
    """The server says whether an end-to-end secret needs one; of a sealed one only its sender does."""
    from onetime.client import parse_link  # noqa: PLC0415

    if parse_link(link).is_sealed:
        return asking.existing(is_needed=False)
    looked = client.look(link)
    _refuse_what_cannot_be_opened(looked, has_claim=has_claim)
    return asking.existing(is_needed=looked.has_passphrase) if looked.has_passphrase else ""


def _refuse_what_cannot_be_opened(looked: Look, *, has_claim: bool) -> None:
    """Before somebody types a passphrase in vain."""
    if has_claim:
        return
    if looked.state == "claimed":
        raise errors.Claimed
    if looked.closed:
        raise errors.Closed
    if looked.locked_until is not None and looked.locked_until > looked.now:
        raise errors.RateLimited("passphrase", retry_after=looked.locked_until - looked.now)


def _reveal(client: Client, link: str, claim: str, passphrase: str, asking: Asking) -> Revealed:
    while True:
        try:
            return client.reveal(link, passphrase=passphrase, claim=claim)
        except errors.WrongPassphrase as error:
            if not asking.can_ask_again or not error.attempts_left:
                raise
            warn(sentence(error))
            passphrase = asking.existing(is_needed=True)
        except errors.NotFound:
            if claim:
                raise
            warn(
                _(
                    "a sealed secret does not tell whether it needs a passphrase; give one by --passphrase"
                )
            )
            raise


def _show(revealed: Revealed, *, is_raw: bool) -> None:
    content = revealed.content
    if not terminal.is_terminal() or is_raw or output.is_safe_to_show(content):
        output.to_stdout(content)
        if terminal.is_terminal() and not content.endswith(b"\n"):
            # The next prompt gets a line of its own; not on standard output, which is the secret's.
            terminal.end_line()
        if terminal.is_terminal() and not is_raw:
            _tell_unseen(output.unseen(content))
        return
    if not revealed.sealed and revealed.window_ends_at is not None:
        raise Unwritten(
            _(
                "it holds characters that could act on this terminal; fetch it again with --output, or with --raw to see it all the same"
            )
        )
    # It will not come again.
    output.to_stdout(output.made_visible(content) + b"\n")
    warn(_("control characters are shown as \\x and two digits, and a backslash as two"))


def _tell_unseen(count: int) -> None:
    if count:
        words = ngettext(
            "it holds %(num)d character that cannot be seen and may change how the others read",
            "it holds %(num)d characters that cannot be seen and may change how the others read",
            count,
        )
        warn(words % {"num": count})


def _say_how_to_come_back(revealed: Revealed) -> None:
    if revealed.window_ends_at is None:
        warn(_("this secret was given out once: it is lost"))
        return
    warn(
        _("nothing is lost: until %(time)s it can be fetched again; add: --claim %(claim)s")
        % {"time": moment(revealed.window_ends_at), "claim": revealed.claim}
    )


def _settle(client: Client, revealed: Revealed) -> None:
    try:
        client.settle(revealed)
    except OnetimeError:
        warn(
            _(
                "it is all there, but the server could not be told; it destroys the secret by itself in a few minutes"
            )
        )


# The sender's receipt


@click.command(
    cls=Verb,
    options_metavar=_("[OPTIONS]"),
    help=paragraphs(
        _("Tell what became of a secret."),
        _(
            "RECEIPT is what `onetime share` printed for you to keep; `-` reads it from standard input."
        ),
    ),
)
@click.argument("receipt", metavar=_("RECEIPT"))
@json_option
@insecure_http
def status(receipt: str, *, as_json: bool, insecure_http: bool) -> None:
    receipt = _read_link(receipt, Asking(wanted=False, descriptor=None, given=None))
    with _client(insecure_http=insecure_http) as client:
        told = client.receipt(receipt)
    if as_json:
        output.to_stdout(json.dumps(asdict(told)).encode() + b"\n")
    elif terminal.is_terminal():
        output.to_stdout(terminal.labelled(_rows(told)))
    else:
        output.to_stdout("".join(f"{label}: {value}\n" for label, value in _rows(told)).encode())


def _rows(told: Receipt) -> Iterator[tuple[str, str]]:
    yield _("State"), _fate(told)
    yield _("Shared"), moment(told.created_at)
    if told.state == "new":
        yield _("Opens until"), moment(told.secret_expires_at)
    elif told.ended_at is not None:
        yield _("Since"), moment(told.ended_at)
    if told.window_ends_at is not None:
        yield _("Its reader may fetch it again until"), moment(told.window_ends_at)
    if told.has_passphrase is not None:
        yield _("Passphrase"), _("yes") if told.has_passphrase else _("no")
    if told.wrong_tries:
        yield _("Wrong passphrases"), str(told.wrong_tries)
    if told.closed:
        yield _("Closed"), _("so many passphrases were wrong that no other is tried")
    yield _("Receipt until"), moment(told.expires_at)


def _fate(told: Receipt) -> str:
    match told.state:
        case "new":
            return _("new: nobody has opened it")
        case "claimed":
            return _("opened; its arrival is not confirmed yet")
        case "revealed" if told.wrong_tries is None:
            return _("opened")
        case "revealed" if told.acknowledged:
            return _("opened, and it has arrived")
        case "revealed":
            return _("handed out; arrival not confirmed: treat it as read")
        case "burned":
            return _("destroyed unread")
        case _:
            return _("expired unread")


@click.command(
    cls=Verb,
    options_metavar=_("[OPTIONS]"),
    help=paragraphs(
        _("Destroy a secret unread, by its receipt or by its link."),
        _(
            "`-` reads the link from standard input. By the link it takes the passphrase, too, if there is one."
        ),
    ),
)
@click.argument("link", metavar=_("RECEIPT|LINK"))
@click.option(
    "--claim", metavar=_("CLAIM"), default="", help=_("End what was opened and not written.")
)
@passphrase_options
@insecure_http
@insecure_argv
@click.pass_context
def burn(
    ctx: click.Context, /, link: str, *, claim: str, insecure_http: bool, **given: Any
) -> None:
    from onetime.client import parse_link  # noqa: PLC0415

    asking = _asking(ctx, given)
    link = _read_link(link, asking)
    asked = parse_link(link)
    with _client(insecure_http=insecure_http) as client:
        passphrase = ""
        if asked.is_receipt and asked.is_sealed:
            is_needed = bool(client.receipt(link).has_passphrase)
            passphrase = asking.existing(is_needed=is_needed)
        elif not asked.is_receipt and not asked.is_sealed and not claim:
            passphrase = _passphrase(client, link, asking, has_claim=False)
        try:
            client.burn(link, passphrase=passphrase, claim=claim)
        except errors.Claimed as error:
            warn(_("too late: somebody has opened it"))
            raise SystemExit(terminal.exit_code(error)) from None
    warn(_("destroyed: nobody can open it any more"))
