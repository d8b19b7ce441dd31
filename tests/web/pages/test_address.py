"""Under a base path, and by whatever name: every link, form, redirect and file stays below it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.pages.reading import Clock, Reader, reader

BASE = "https://x.example/ots/"


@pytest.fixture
async def below(tmp_path: Path, clock: Clock) -> AsyncIterator[Reader]:
    async with reader(tmp_path, clock=clock, base_url=BASE) as visitor:
        yield visitor


async def test_every_address_is_below_the_base_path(below: Reader) -> None:
    form = await below.open("/ots/?lang=uk")
    result = await below.send(form, "/ots/", secret="correct horse")
    link = result.find("link").text
    receipt = next(each for each in result.links() if "/receipt/" in each)
    confirm = await below.open(link)
    pages = [form, result, confirm, await below.open(receipt), await below.send(confirm)]
    pages += [await below.open(f"/ots/{path}") for path in ("nothing", "info/privacy", "secret/x")]
    for page in pages:
        found = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.answer.text)
        assert len(found) >= 5
        for address in found:
            assert address.startswith("/ots/"), address


async def test_the_link_to_share_is_whole(below: Reader) -> None:
    result = await below.send(await below.open("/ots/"), "/ots/", secret="correct horse")
    link = result.find("link").text
    assert re.fullmatch(r"https://x\.example/ots/secret/[0-9a-z]{31}", link)
    page = await below.send(await below.open(link))
    assert page.find("secret").text == "correct horse"


async def test_redirects_stay_below(below: Reader) -> None:
    for path, target in {
        "private/x": "receipt/x",
        "metadata/x": "receipt/x",
        "l/x": "secret/x",
        "privacy": "info/privacy",
    }.items():
        answer = await below.client.get(f"/ots/{path}")
        assert answer.headers["location"] == f"/ots/{target}"
    result = await below.send(await below.open("/ots/"), "/ots/", secret="correct horse")
    receipt = next(each for each in result.links() if "/receipt/" in each)
    burned = await below.send(await below.open(receipt), "/burn")
    assert burned.answer.headers["location"] == receipt


async def test_scripts_and_styles_are_found(below: Reader) -> None:
    page = await below.open("/ots/")
    for address in re.findall(r'(?:href|src)="(/ots/static/[^"]+)"', page.answer.text):
        assert (await below.client.get(address)).status_code == 200


async def test_the_operators_host_stands_where_there_is_no_name(below: Reader) -> None:
    assert "Run by x.example" in (await below.open("/ots/")).all("footer")[0].text
