"""The command itself: versions, mistakes, and what it does where only the client is installed."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from onetime import __version__
from onetime.cli.serve import PARTS
from tests.cli.running import ONETIME, environ, onetime
from tests.needs import ROOT


def test_it_says_its_version() -> None:
    said = onetime("--version")
    assert (said.returncode, said.stdout, said.stderr) == (0, f"onetime {__version__}\n", "")


def test_the_module_is_the_command() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "onetime", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"onetime {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("admin",)])
def test_without_a_command_it_shows_what_there_is(arguments: tuple[str, ...]) -> None:
    said = onetime(*arguments)
    assert (said.returncode, said.stdout) == (64, "")
    assert said.stderr.startswith("Usage: onetime")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("sevre",), "onetime: No such command 'sevre'"),
        (("serve", "--prot", "1"), "onetime: No such option '--prot'"),
        (("serve", "now"), "onetime: Got unexpected extra argument (now)"),
        (("admin", "chekc"), "onetime: No such command 'chekc'"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    said = onetime(*arguments)
    assert (said.returncode, said.stdout) == (64, "")
    assert said.stderr.startswith(line)
    assert said.stderr.count("\n") == 1


def test_a_reader_who_has_seen_enough_ends_it_quietly() -> None:
    command = subprocess.Popen(
        [ONETIME, "admin", "settings"],
        env=environ({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdout
    command.stdout.close()
    _, said = command.communicate(timeout=30)
    assert (command.returncode, said) == (1, b"")


CLIENT_ALONE = """
import sys
missing = {parts}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv[0] = "onetime"
from onetime.cli.main import main
main()
"""


def client_alone(missing: set[str], *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command where the modules of the extra `server` are not to be found."""
    return subprocess.run(
        [sys.executable, "-c", CLIENT_ALONE.format(parts=missing), *arguments],
        env=environ({}),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("arguments", [("serve",), ("admin", "check")])
def test_without_the_servers_parts_it_says_what_to_install(
    arguments: tuple[str, ...], part: str, tmp_path: Path
) -> None:
    said = client_alone({part}, *arguments, cwd=tmp_path)
    line = f"onetime: {part} is not installed; to serve: pip install 'onetime[server]'\n"
    assert (said.returncode, said.stdout, said.stderr) == (78, "", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("admin", "settings"), ("generate", "--help")],
)
def test_the_rest_works_without_them(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = client_alone(set(PARTS), *arguments, cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")


def test_the_list_of_parts_is_the_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    # Whose module has another name.
    modules = {"argon2-cffi": "argon2"}
    names = {re.split(r"[>=<]", line)[0] for line in extra["server"]}
    assert set(PARTS) == {modules.get(name, name).replace("-", "_") for name in names}
