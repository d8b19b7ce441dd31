"""What a fresh clone stands on: the locks, the package, the commands, and how tests go missing."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import lint, needs

ROOT = needs.ROOT
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()


def locked(name: str) -> dict[str, str]:
    """The versions in requirements/<name>.txt."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def declared(name: str) -> list[str]:
    """What requirements/<name>.txt is made from."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    serve = project["dependencies"] + extras["server"] + groups["build"]
    sources: dict[str, list[str]] = {
        "serve": serve,
        "postgres": serve + extras["postgres"],
        "valkey": serve + extras["valkey"],
        "dev": serve + extras["postgres"] + extras["valkey"] + extras["dev"],
        "clients": groups["clients"],
        "openapi": groups["openapi"],
        "bench": groups["bench"],
    }
    return sources[name]


@pytest.mark.parametrize(
    "name", ["serve", "postgres", "valkey", "dev", "clients", "openapi", "bench"]
)
def test_every_declared_dependency_is_locked_at_a_version_that_it_allows(name: str) -> None:
    versions = locked(name)
    for text in declared(name):
        requirement = Requirement(text)
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def test_tests_run_on_the_versions_that_serve() -> None:
    assert locked("serve").items() <= locked("postgres").items() <= locked("dev").items()
    assert locked("serve").items() <= locked("valkey").items() <= locked("dev").items()


def test_the_locks_hold_versions_and_hashes_alone() -> None:
    assert list(lint.faults_of_locks()) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--extra-index-url file:///opt/index",
        "--find-links /opt/wheels",
        "-e .",
        "rich @ https://packages.example/rich-15.0.0.whl \\",
        "rich>=15",
    ],
)
def test_a_lock_with_anything_else_is_refused(line: str) -> None:
    good = f"segno==1.6.6 \\\n    --hash=sha256:{'a' * 64}\n"
    assert list(lint.faults_of_requirements(good)) == []
    assert list(lint.faults_of_requirements(good + line + "\n")) != []


def test_a_lock_without_a_hash_is_refused() -> None:
    hashed = f"segno==1.6.6 \\\n    --hash=sha256:{'a' * 64}\n"
    assert list(lint.faults_of_requirements("rich==15.0.0\n" + hashed)) != []
    assert list(lint.faults_of_requirements(hashed + "rich==15.0.0\n")) != []
    assert list(lint.faults_of_package_lock('{"packages": {"x": {"version": "1"}}}')) != []


def test_a_lock_of_javascript_that_names_an_address_is_refused() -> None:
    lock = (
        '{"packages": {"x": {"integrity": "sha512-x", "resolved": "https://packages.example/x"}}}'
    )
    assert list(lint.faults_of_package_lock(lock)) != []


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", tmp_path, ROOT],
        check=True,
    )
    [wheel] = tmp_path.glob("onetime-*.whl")
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "src/onetime"],  # noqa: S607 - git is where it is
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {name.removeprefix("src/") for name in tracked} <= set(zipfile.ZipFile(wheel).namelist())


def test_every_command_of_the_contributors_page_exists() -> None:
    named = set(re.findall(r"`make (\w+)", (ROOT / "CONTRIBUTING.md").read_text()))
    targets = set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE))
    assert {"serve", "test", "lint", "format", "faults", "bench", "screens"} <= named <= targets


def test_a_python_that_is_too_old_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    made = subprocess.run(
        ["make", "--no-print-directory", "venv", f"VENV={tmp_path}/venv", f"PYTHON={old}"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    said = made.stderr.splitlines()[0]
    assert said.startswith(f"Onetime needs Python 3.11 or newer; '{old}' is not.")


NEEDY = """
from tests import needs

def test_in_the_browser() -> None:
    needs.chromium()

def test_in_the_browser_again() -> None:
    needs.chromium()

def test_without() -> None:
    pass
"""


def run(folder: Path, text: str, *, ci: str, minutes: str = "") -> subprocess.CompletedProcess[str]:
    """A run of the tests in `text` on a machine that has no program at all."""
    tests = folder / "test_needy.py"
    tests.write_text(text)
    config = ROOT / "pyproject.toml"
    options = ["-p", "no:cacheprovider", "-p", "tests.conftest", f"--config-file={config}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tests)],
        cwd=ROOT,
        env={"PATH": str(folder), "CI": ci, "TEST_MINUTES": minutes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_missing_at_home_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, NEEDY, ci="")
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("Not tested here")] == [
        "Not tested here: chromium is missing (apt-get install chromium): 2 tests.",
    ]
    assert "1 passed, 2 skipped" in done.stdout


def test_what_is_missing_in_ci_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, NEEDY, ci="true")
    assert done.returncode == 1, done.stdout
    assert "2 failed, 1 passed" in done.stdout


def test_any_other_skip_in_ci_is_a_failure(tmp_path: Path) -> None:
    skipping = "import pytest\n\ndef test_it() -> None:\n    pytest.skip('not today')\n"
    assert run(tmp_path, skipping, ci="").returncode == 0
    assert run(tmp_path, skipping, ci="true").returncode == 1


def test_a_run_over_its_time_budget_fails(tmp_path: Path) -> None:
    passing = "def test_it() -> None:\n    pass\n"
    assert run(tmp_path, passing, ci="").returncode == 0
    done = run(tmp_path, passing, ci="", minutes="0.00001")
    assert done.returncode == 1
    assert "over the time budget" in done.stdout
