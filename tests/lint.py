"""What `make lint` checks beside the linters: the locks, and the types of our scripts.

python -m tests.lint
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

from tests import needs

REQUIREMENTS = needs.ROOT / "requirements"
PACKAGE_LOCK = needs.ROOT / "tests" / "js" / "package-lock.json"
TSCONFIG = needs.ROOT / "tests" / "js"

# `name==1.0 ; marker \` or `    --hash=sha256:… \`: whatever else a line says is an index, an address or a path.
PINNED = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+( ; [^/\\]+)?( \\)?")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def faults_of_requirements(text: str) -> Iterator[str]:
    """Each line of a lock of Python packages that is neither a pinned version nor its hash."""
    has_hash = True
    for line in text.splitlines():
        if HASH.fullmatch(line):
            has_hash = True
        elif not PINNED.fullmatch(line):
            yield f"neither a pinned version nor a hash: {line}"
        else:
            if not has_hash:
                yield f"the version before this one has no hash: {line}"
            has_hash = False
    if not has_hash:
        yield "the last version has no hash"


def faults_of_package_lock(text: str) -> Iterator[str]:
    """Each package of a lock of JavaScript packages with an address, or without a hash."""
    for name, package in json.loads(text)["packages"].items():
        if "resolved" in package:
            yield f"{name} names where it was downloaded from"
        if name and "integrity" not in package:
            yield f"{name} has no hash"


def faults_of_locks() -> Iterator[str]:
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        for fault in faults_of_requirements(path.read_text()):
            yield f"{path.relative_to(needs.ROOT)}: {fault}"
    for fault in faults_of_package_lock(PACKAGE_LOCK.read_text()):
        yield f"{PACKAGE_LOCK.relative_to(needs.ROOT)}: {fault}"


def scripts_have_right_types() -> bool:
    node, packages = needs.find("node"), needs.find("node_modules")
    for name in ("node", "node_modules"):
        if needs.find(name) is None:
            needs.say_missing(name)
    if node is None or packages is None:
        return True
    tsc = packages / "typescript" / "bin" / "tsc"
    return subprocess.run([node, tsc, "--project", TSCONFIG], check=False).returncode == 0


def main() -> int:
    faults = list(faults_of_locks())
    for fault in faults:
        print(fault, file=sys.stderr)
    return 0 if scripts_have_right_types() and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
