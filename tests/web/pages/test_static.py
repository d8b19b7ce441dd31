"""Styles, scripts and pictures: from memory, for good, and little of them."""

import gzip
import re

import pytest

from onetime.web.pages import static
from tests.web.pages.reading import Reader

MOST_BYTES = 60_000  # of the first page with everything, on the wire


def used(text: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text))


async def imported(visitor: Reader, address: str, found: set[str]) -> None:
    """A script and all that it imports."""
    if address in found:
        return
    found.add(address)
    text = (await visitor.client.get(address)).text
    for name in re.findall(r'^import .*? from "(.+?)";', text, re.MULTILINE):
        await imported(visitor, str(visitor.client.base_url.join(address).join(name).path), found)


async def test_the_first_page_with_everything_is_light(visitor: Reader) -> None:
    packed = {"accept-encoding": "gzip"}
    page = await visitor.client.get("/", headers=packed)
    addresses: set[str] = set()
    for address in used(page.text):
        await imported(visitor, address, addresses)
    sizes = {
        each: int((await visitor.client.get(each, headers=packed)).headers["content-length"])
        for each in addresses
    }
    assert len(addresses) >= 5
    assert len(page.content) + sum(sizes.values()) < MOST_BYTES, sizes


async def test_what_a_page_names_is_there_and_may_be_kept_for_good(visitor: Reader) -> None:
    pages = [await visitor.open("/"), await visitor.open(await visitor.link())]
    pages.append(await visitor.share("text"))
    pages.append(await visitor.send(await visitor.open(pages[-1].find("link").text)))
    for page in pages:
        assert len(used(page.answer.text)) == 3
        for address in used(page.answer.text):
            answer = await visitor.client.get(address)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("name", static.FILES)
async def test_every_file_has_its_type_packed_or_not(visitor: Reader, name: str) -> None:
    address = f"/static/{static.VERSION}/{name}"
    plain = await visitor.client.get(address, headers={"accept-encoding": "identity"})
    packed = await visitor.client.get(address, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content == gzip.decompress(static.FILES[name].packed)
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg", "ico": "image/x-icon"}
    assert plain.headers["content-type"].startswith(kinds[name.rpartition(".")[2]])


async def test_another_release_is_served_and_not_kept(visitor: Reader) -> None:
    answer = await visitor.client.get("/static/0123456789abcdef/css/look.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["css/nothing.css", "css/tokens.css", "js/page/..%2f..%2f..%2fi18n.py", "css/%2e%2e"]
)
async def test_nothing_else_is_served(visitor: Reader, path: str) -> None:
    answer = await visitor.client.get(f"/static/{static.VERSION}/{path}")
    assert answer.status_code == 404


def test_every_part_of_the_style_sheet_is_in_it() -> None:
    parts = {path.stem for path in (static.FOLDER / "css").iterdir()}
    assert parts == set(static.STYLES)


def test_every_import_of_a_script_has_its_file() -> None:
    for name, file in static.FILES.items():
        if not name.endswith(".js"):
            continue
        source = file.content.decode()
        for target in re.findall(r'^import .*? from "(.+?)";', source, re.MULTILINE):
            path = (static.FOLDER / name).parent.joinpath(target).resolve()
            assert path.relative_to(static.FOLDER).as_posix() in static.FILES, (name, target)


# What one script alone does: ask the server, and keep what a person has ticked.
ALONE = {"fetch(": "js/api.js", "localStorage": "js/part/recent.js"}


def test_scripts_write_no_html_and_keep_and_send_only_where_it_is_written() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|localStorage|"
        r"sessionStorage|\bcookie\b|indexedDB|\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket|\.style\b"
    )
    for name, file in static.FILES.items():
        if name.endswith(".js"):
            found = set(forbidden.findall(file.content.decode()))
            assert {each for each in found if ALONE.get(each) != name} == set(), name


def test_scripts_and_styles_load_nothing_from_elsewhere() -> None:
    for name, file in static.FILES.items():
        if name.endswith((".js", ".css")):
            assert not re.search(r"https?://|url\(|@import", file.content.decode()), name


async def test_the_icon_is_where_browsers_look(visitor: Reader) -> None:
    answer = await visitor.client.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/x-icon"
    assert answer.content[:4] == b"\0\0\1\0"
