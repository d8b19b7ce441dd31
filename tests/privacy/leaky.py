"""The server with one leak of each kind, to see that the search finds them: `python -m tests.privacy.leaky NAME`.

Each is a mistake that somebody could make.
"""

import hashlib
import os
import sys
import tempfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onetime.cli.main import main
from onetime.core.limits import Limits
from onetime.core.vault import Vault
from onetime.web import caller
from onetime.web.http import Call


def _after(owner: Any, name: str, leak: Callable[..., None]) -> None:
    """Have `leak` see the arguments of every call."""
    real = getattr(owner, name)

    def leaking(*args: Any, **kwargs: Any) -> Any:
        leak(*args, **kwargs)
        return real(*args, **kwargs)

    setattr(owner, name, leaking)


def _data(name: str) -> Path:
    return Path(os.environ["ONETIME_DATA_DIR"]) / name


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text + "\n")


def path_in_the_log() -> None:
    def leak(call: Call) -> None:
        sys.stderr.write(f'{{"event":"request","route":"{call.path}"}}\n')

    _after(Call, "body", leak)


def address_in_the_log() -> None:
    def leak(peer: str, *_: object) -> None:
        sys.stderr.write(f'{{"event":"request","reason":"{peer}"}}\n')

    _after(caller, "of", leak)


def agent_on_standard_output() -> None:
    def leak(call: Call) -> None:
        sys.stdout.write(urllib.parse.quote(call.header("user-agent"), safe="") + "\n")
        sys.stdout.flush()

    _after(Call, "body", leak)


def text_in_a_temporary_file() -> None:
    def leak(_vault: Vault, text: str, *_: object, **__: object) -> None:
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)

    _after(Vault, "conceal", leak)


def hash_of_the_text_in_the_data() -> None:
    def leak(_vault: Vault, text: str, *_: object, **__: object) -> None:
        _append(_data("seen"), hashlib.sha256(text.encode()).hexdigest())

    _after(Vault, "conceal", leak)


def passphrase_in_the_data() -> None:
    def leak(_vault: Vault, _key: str, *, passphrase: str = "", **_: object) -> None:
        _append(_data("tries"), passphrase.encode("utf-16-le").decode("latin-1"))

    _after(Vault, "reveal", leak)


def hash_of_the_network_in_the_data() -> None:
    def leak(_limits: Limits, _name: str, subject: str) -> None:
        _append(_data("networks"), hashlib.md5(subject.encode()).hexdigest())  # noqa: S324

    _after(Limits, "_counter", leak)


# Which canary is found where.
LEAKS: dict[str, tuple[Callable[[], None], str]] = {
    "path in the log": (path_in_the_log, "stderr: secret key, raw"),
    "address in the log": (address_in_the_log, "stderr: address, raw"),
    "agent on standard output": (agent_on_standard_output, "stdout: user agent, url"),
    "text in a temporary file": (text_in_a_temporary_file, "tmp/*: secret, raw"),
    "hash of the text": (hash_of_the_text_in_the_data, "data/seen: secret, sha256, hex"),
    "passphrase": (passphrase_in_the_data, "data/tries: passphrase's core, utf-16-le"),
    "hash of the network": (hash_of_the_network_in_the_data, "data/networks: network, md5, hex"),
}

if __name__ == "__main__":
    LEAKS[sys.argv.pop(1)][0]()
    main()
