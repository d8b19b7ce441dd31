"""Clients of Onetime Secret in languages that are not here, by the bytes that they send (tests/vectors/clients)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Server, serving
from tests.clients.replay import HOST, Differs, Replay, parse, play

FILES = sorted((Path(__file__).parents[1] / "vectors" / "clients").glob("*.txt"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("replays")
    with serving(folder, {"ONETIME_BASE_URL": f"https://{HOST}/"}) as server:
        yield server


def read(path: Path) -> Replay:
    return parse(path.read_text(encoding="utf-8"), path.name)


REPLAYS = [read(path) for path in FILES]
WITH_CREDENTIALS = [replay for replay in REPLAYS if replay.has_credentials]


def test_the_languages_that_are_not_here() -> None:
    assert {path.stem.partition("_")[0] for path in FILES} == {
        "bash",
        "csharp",
        "go",
        "java",
        "perl",
        "powershell",
        "ruby",
    }
    assert all(len(replay.exchanges) >= 6 for replay in REPLAYS)


@pytest.mark.parametrize("replay", REPLAYS, ids=lambda each: each.name)
def test_it_reads_what_it_needs(server: Server, replay: Replay) -> None:
    play(replay, server, has_credentials=False)


@pytest.mark.parametrize("replay", WITH_CREDENTIALS, ids=lambda each: each.name)
def test_with_its_credentials_it_is_not_authorized(server: Server, replay: Replay) -> None:
    assert all("\r\nAuthorization: Basic " in each.request for each in replay.exchanges)
    play(replay, server, has_credentials=True)


def test_without_the_mark_nobody_sends_credentials() -> None:
    for replay in REPLAYS:
        if not replay.has_credentials:
            assert not any("authorization" in each.request.lower() for each in replay.exchanges)


RIGHT = """\
> POST /api/v1/share HTTP/1.1
> Host: ots.example.com
> Content-Length: 12
>
> secret=hello

< 200
< secret_key text <secret>
< ttl integer 604800
< recipient list []
< passphrase_required boolean false
< value absent

> POST /api/v1/secret/<secret> HTTP/1.1
> Host: ots.example.com
>

< 200
< secret_key text <secret>
< value text "hello"
"""
BROKEN = {
    "another status": ("< 200\n< secret_key text <secret>\n< value", "< 404\n< value"),
    "another type": ("ttl integer", "ttl text"),
    "a number of another kind": ("ttl integer 604800", "ttl float"),
    "a whole number for a boolean": ("boolean false", "integer 0"),
    "another value": ('"hello"', '"hallo"'),
    "a field that is not there": ("recipient list []", "recipients_ list"),
    "a field that is": ("value absent", "state absent"),
    "another key": ("< secret_key text <secret>\n< ttl", "< metadata_key text <secret>\n< ttl"),
}


def test_what_is_right_passes(server: Server) -> None:
    play(parse(RIGHT), server, has_credentials=False)


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_what_a_client_could_not_read_is_found(server: Server, change: tuple[str, str]) -> None:
    assert RIGHT.count(change[0]) == 1
    with pytest.raises(Differs):
        play(parse(RIGHT.replace(*change)), server, has_credentials=False)


@pytest.mark.parametrize(
    "change",
    [
        ("Content-Length: 12", "Content-Length: 13"),
        ("> Content-Length: 12\n", ""),
        ("integer", "number"),
        ("< 200\n< secret_key text <secret>\n< value", "< value"),
        ("> POST /api/v1/share", "POST /api/v1/share"),
    ],
)
def test_what_is_no_replay_is_refused(change: tuple[str, str]) -> None:
    assert RIGHT.count(change[0]) == 1
    with pytest.raises(ValueError, match=r"\S"):
        parse(RIGHT.replace(*change))
