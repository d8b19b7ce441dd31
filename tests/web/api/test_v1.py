"""API v1 as its clients see it: transcripts of every route and refusal, and the words that come in many forms."""

import json
import re
import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from onetime.app import App
from onetime.core.limits import PASSPHRASE_TOTAL
from onetime.web.routes import V1
from tests.web.api.transcript import Clock, opened, parse, play

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "vectors" / "v1").glob("*.txt"))


def read(path: Path) -> Any:
    return parse(path.read_text(encoding="utf-8"), path.name)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_conversation_goes_as_written(path: Path, tmp_path: Path) -> None:
    await play(read(path), tmp_path)
