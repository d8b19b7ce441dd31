"""The changelog speaks of the version that the package has."""

import re

import onetime
from tests.needs import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
KINDS = ["Security", "Added", "Changed", "Fixed"]


def test_its_newest_version_is_the_packages() -> None:
    newest = re.search(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert newest is not None
    assert newest[1] == onetime.__version__


def test_versions_descend() -> None:
    versions = [
        tuple(int(part) for part in version.split("."))
        for version in re.findall(r"^## (\d+\.\d+\.\d+)", CHANGELOG, re.MULTILINE)
    ]
    assert versions == sorted(set(versions), reverse=True)


def test_every_release_has_its_kinds_of_change_in_order() -> None:
    for release in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert kinds, release.splitlines()[0]
        assert kinds == [kind for kind in KINDS if kind in kinds], release.splitlines()[0]
