"""One server for the commands that share and open, and a person who uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.person import Person
from tests.cli.running import Server, serving
from tests.client.cutting import Line, cutting


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("secret"), {"ONETIME_LIMITS": "off"}) as server:
        yield server


@pytest.fixture
def person(server: Server, tmp_path: Path) -> Person:
    return Person(server.address, tmp_path)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with cutting(server.address) as line:
        yield line


@pytest.fixture
def cut(line: Line, tmp_path: Path) -> Person:
    """Whoever has the line that cuts between himself and the server."""
    return Person(line.address, tmp_path)
