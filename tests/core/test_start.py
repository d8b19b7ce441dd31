"""What a start makes, and what it refuses: the root key's file, keys that do not fit, rotation."""

import os
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest

from onetime.app import data_directory
from onetime.core.vault import Wish
from onetime.errors import Misconfigured, Undecryptable
from onetime.model import State
from onetime.settings import Sensitive, Settings
from onetime.storage import rootkey
from tests.core.opening import DAY, Clock, opened

OLD = "8f1d9b6e25c04a73f2e8417bd05936ac7e14c3f8a96052bd1b8ed74f3360e59a"
NEW = "42c7e6d19ab035f8c4d2710e9f5b83a6071de5c29f48ba63d5e21c7f80943ab6"


def key(text: str) -> Sensitive:
    return Sensitive(text)


async def refusal(folder: Path, clock: Clock, **settings: Any) -> str:
    with pytest.raises(Misconfigured) as refused:
        async with opened(folder, clock, **settings):
            pass
    said = str(refused.value)
    assert "\n" not in said
    return said


# The file


async def test_the_first_start_makes_a_key_that_only_its_owner_reads(
    tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "deep" / "data"
    before = os.umask(0)
    try:
        async with opened(folder, clock):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "root.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "vault.db").stat().st_mode) == 0o600
    assert len(bytes.fromhex((folder / "root.key").read_text())) == 32


async def test_the_next_start_reads_it_and_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as app:
        made = await app.vault.conceal("correct horse")
    before = (tmp_path / "root.key").read_bytes(), (tmp_path / "root.key").stat().st_mtime_ns
    async with opened(tmp_path, clock) as app:
        assert await app.vault.reveal(made.secret_key) == "correct horse"
    after = (tmp_path / "root.key").read_bytes(), (tmp_path / "root.key").stat().st_mtime_ns
    assert before == after


def test_a_key_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    path.write_text(OLD + "\n")
    path.chmod(0o600)
    # As another process would that has not seen the file a moment ago.
    rootkey._make(path)
    assert path.read_text() == OLD + "\n"
    assert rootkey.read_or_make(path, may_make=True).hex() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_others_could_know_or_have_put_there_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open.key"
    open_to_all.write_text(OLD)
    open_to_all.chmod(0o644)
    link = tmp_path / "link.key"
    link.symlink_to(open_to_all)
    pipe = tmp_path / "pipe.key"
    os.mkfifo(pipe, 0o600)
    for path in (open_to_all, link, pipe):
        with pytest.raises(Misconfigured):
            rootkey.read_or_make(path, may_make=True)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_data_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(Misconfigured, match="ONETIME_DATA_DIR"):
        data_directory(Settings(data_dir=tmp_path))
    tmp_path.chmod(0o755)
    assert data_directory(Settings(data_dir=tmp_path)) == tmp_path


def test_two_first_starts_make_two_keys(tmp_path: Path) -> None:
    made = {rootkey.read_or_make(tmp_path / str(each), may_make=True) for each in range(50)}
    assert len(made) == 50


def test_a_key_is_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noting(descriptor: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append(what if (tmp_path / "root.key").exists() else f"{what} before its name")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    rootkey.read_or_make(tmp_path / "root.key", may_make=True)
    assert synced == ["file before its name", "folder"]

    # Whoever only reads it may have come before the maker's last step.
    synced.clear()
    rootkey.read_or_make(tmp_path / "root.key", may_make=True)
    assert synced == ["folder"]


def test_a_failure_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Misconfigured, match="Operation not permitted"):
        rootkey.read_or_make(tmp_path / "root.key", may_make=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        OLD[:-1].encode(),
        (OLD + "00").encode(),
        b"\xff\xfe",
        b"00" * 32,
        b"hunter2",
        b"\0" * 64,
    ],
)
async def test_a_file_that_is_no_key_stops_the_start_and_stays(
    tmp_path: Path, clock: Clock, content: bytes
) -> None:
    (tmp_path / "root.key").write_bytes(content)
    said = await refusal(tmp_path, clock)
    assert "root.key" in said
    assert (tmp_path / "root.key").read_bytes() == content


async def test_a_folder_in_the_keys_place_stops_the_start(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "root.key").mkdir()
    assert "root.key" in await refusal(tmp_path, clock)


async def test_a_missing_key_is_not_made_anew_where_there_is_data(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock):
        pass
    (tmp_path / "root.key").unlink()
    assert "root.key is missing" in await refusal(tmp_path, clock)
    assert not (tmp_path / "root.key").exists()


# The setting


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        OLD[:-2],
        OLD + OLD,
        "0" * 64,
        "zz" * 32,
        OLD.replace("8f", "8F") + "g",
        "CHANGEME",
    ],
)
@pytest.mark.parametrize("name", ["root_key", "old_root_keys"])
async def test_a_setting_that_is_no_good_key_stops_the_start_and_is_not_printed(
    tmp_path: Path, clock: Clock, name: str, text: str
) -> None:
    given = {"root_key": key(OLD), name: key(text)}
    said = await refusal(tmp_path, clock, **given)
    assert f"ONETIME_{name.upper()}" in said
    assert text not in said


async def test_a_given_key_leaves_no_file(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)):
        pass
    assert not (tmp_path / "root.key").exists()


# Keys that do not fit the data, and rotation


async def test_another_key_stops_the_start(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)) as app:
        made = await app.vault.conceal("correct horse")
    said = await refusal(tmp_path, clock, root_key=key(NEW))
    assert "ONETIME_ROOT_KEY" in said
    assert "is not the key this data was written with" in said
    async with opened(tmp_path, clock, root_key=key(OLD.upper())) as app:
        assert await app.vault.reveal(made.secret_key) == "correct horse"


async def test_another_key_stops_the_start_even_where_no_secret_was(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)):
        pass
    assert "ONETIME_ROOT_KEY" in await refusal(tmp_path, clock, root_key=key(NEW))


async def test_an_older_key_only_opens(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)) as app:
        made = await app.vault.conceal("of the old", Wish(passphrase="battery staple"))
        old = app.keyring.current.number
    rotated: dict[str, Any] = {"root_key": key(NEW), "old_root_keys": key(OLD)}
    async with opened(tmp_path, clock, **rotated) as app:
        new = app.keyring.current.number
        receipt = await app.vault.receipt(made.receipt.receipt_key)
        assert receipt.secret_key == made.secret_key
        await app.vault.conceal("of the new")
        assert {use.number for use in await app.store.key_uses()} == {old, new}
        [[sealed_by]] = app.store._read(  # type: ignore[attr-defined]
            "SELECT key_number FROM secret ORDER BY number DESC LIMIT 1"
        )
        assert sealed_by == new
        secret = await app.vault.reveal(made.secret_key, passphrase="battery staple")
        assert secret == "of the old"


async def test_an_old_key_may_go_when_its_last_secret_has_expired(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)) as app:
        made = await app.vault.conceal("of the old", Wish(ttl=DAY))
    async with opened(tmp_path, clock, root_key=key(NEW), old_root_keys=key(OLD)):
        pass
    clock.now += DAY - 1
    assert "ONETIME_OLD_ROOT_KEYS" in await refusal(tmp_path, clock, root_key=key(NEW))
    clock.now += 1
    async with opened(tmp_path, clock, root_key=key(NEW)) as app:
        receipt = await app.vault.receipt(made.receipt.receipt_key)
        assert (receipt.state, receipt.secret_key) == (State.EXPIRED, None)


async def test_a_key_that_was_rotated_away_does_not_come_back_alone(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, root_key=key(OLD)):
        pass
    async with opened(tmp_path, clock, root_key=key(NEW), old_root_keys=key(OLD)):
        pass
    assert "ONETIME_ROOT_KEY" in await refusal(tmp_path, clock, root_key=key(OLD))


async def test_a_repeated_create_after_its_key_is_gone_says_so(
    tmp_path: Path, clock: Clock
) -> None:
    wish = Wish(once=secrets.token_bytes(16), ttl=60)
    async with opened(tmp_path, clock, root_key=key(OLD)) as app:
        await app.vault.conceal("correct horse", wish)
    async with opened(tmp_path, clock, root_key=key(NEW), old_root_keys=key(OLD)):
        pass
    clock.now += 61
    async with opened(tmp_path, clock, root_key=key(NEW)) as app:
        with pytest.raises(Undecryptable):
            await app.vault.conceal("correct horse", wish)
