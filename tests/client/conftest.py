"""One server for all of them, and a client that has its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onetime.client import Client
from tests.cli.running import Server, serving
from tests.client.cutting import Line, cutting


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("client"), {"ONETIME_LIMITS": "off"}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with cutting(server.address) as line:
        yield line
