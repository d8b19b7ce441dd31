"""Styles, scripts and pictures: from memory, for good, and little of them."""

import gzip
import re

import pytest

from onetime.web.pages import static
from tests.web.pages.reading import Reader

MOST_BYTES = 60_000  # of the first page with everything, on the wire
# Of a script: characters, and lines.
LONGEST_LINE = 150
LONGEST_SCRIPT = 800


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
    page_bytes = int(page.headers["content-length"])
    # Each file comes with its own headers; what they weigh is measured in a browser (tests/browser/test_media.py).
    assert page_bytes + sum(sizes.values()) < MOST_BYTES, sizes
    # The code is drawn for few, and what draws it is fetched for them.
    assert not [each for each in addresses if each.endswith("qr.js")]


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


@pytest.mark.parametrize("name", static.FILES)
async def test_a_part_of_a_page_does_not_carry_what_governs_pages(
    visitor: Reader, name: str
) -> None:
    """On each of twenty small scripts a page's headers would be most of its weight. A picture is a page, if opened alone."""
    answer = await visitor.client.get(f"/static/{static.VERSION}/{name}")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    is_part = name.endswith((".css", ".js"))
    for header in ("content-security-policy", "permissions-policy", "x-frame-options"):
        assert (header in answer.headers) != is_part
    if is_part:
        head = sum(len(key) + len(value) + 4 for key, value in answer.headers.multi_items())
        assert head < 320


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


# What turns text into markup or into a program, takes a program or markup from elsewhere, or runs one outside the page.
NEVER = re.compile(
    r"""innerHTML|outerHTML|insertAdjacentHTML|(?:set|parse)HTML|document\.write|srcdoc|DOMParser|XSLTProcessor|"""
    r"""createContextualFragment|\beval\b|\bFunction\s*\(|set(?:Timeout|Interval)\(\s*["'`]|createElement(?:NS)?\([^)]*\b(?:script|"""
    r"""iframe|object|embed|base|link|style)\b|setAttribute\(\s*["'`](?:on|style)|\.style\b|cssText|javascript:|\b(?:Shared)?Worker\b|"""
    r"""serviceWorker|importScripts|\bimport\((?!"\.)|\bfrom\s+["'](?!\.)|trustedTypes|document\.cookie|sessionStorage|indexedDB|XMLHttpRequest|"""
    r"""sendBeacon|WebSocket|EventSource|RTCPeerConnection|[a-z]+://|["'`]//|localStorage|\bfetch\("""
)

# What one script alone does: ask the server, keep what a person has ticked, and name the kind of a picture's elements.
ALONE = {
    "fetch(": "js/api.js",
    "localStorage": "js/part/recent.js",
    "http://www.w3.org/2000/svg": "js/part/qr.js",
}


def faults(name: str, source: str) -> set[str]:
    """What the script may not do, in the letters in which it does."""
    found = set()
    for match in NEVER.finditer(source):
        addresses = re.match(r"[^\s\"'`]*", source[match.start() :])
        found.add(addresses[0] if addresses and match[0].endswith("://") else match[0])
    return {each for each in found if ALONE.get(each) != name}


@pytest.mark.parametrize("name", [name for name in static.FILES if name.endswith(".js")])
def test_no_script_makes_markup_or_a_program_of_text_or_reaches_elsewhere(name: str) -> None:
    assert faults(name, static.FILES[name].content.decode()) == set()


@pytest.mark.parametrize(
    "line",
    [
        "element.innerHTML = text;",
        'element["outerHTML"] = text;',
        'element.insertAdjacentHTML("beforeend", text);',
        "element.setHTMLUnsafe(text);",
        "Document.parseHTMLUnsafe(text);",
        "document.write(text);",
        "document.writeln(text);",
        "frame.srcdoc = text;",
        'new DOMParser().parseFromString(text, "text/html");',
        "document.createRange().createContextualFragment(text);",
        "eval(text);",
        "const run = globalThis.eval;",
        "new Function(text)();",
        "Function (text)();",
        'setTimeout("run()", 10);',
        "setInterval(`run(${text})`, 10);",
        'document.createElement("script");',
        'document.createElementNS(HTML, "iframe");',
        'element.setAttribute("onclick", text);',
        'element.setAttribute("style", text);',
        "element.style.color = text;",
        'link.href = "javascript:run()";',
        'new Worker("run.js");',
        'new SharedWorker("run.js");',
        'navigator.serviceWorker.register("run.js");',
        'importScripts("run.js");',
        "await import(text);",
        'await import("data:text/javascript,run()");',
        'import { run } from "data:text/javascript,run()";',
        'trustedTypes.createPolicy("ours", rules);',
        'document.cookie = "a=b";',
        'sessionStorage.setItem("a", "b");',
        'localStorage.setItem("a", "b");',
        'indexedDB.open("a");',
        'fetch("/api");',
        "new XMLHttpRequest();",
        'navigator.sendBeacon("/", text);',
        'new WebSocket("/");',
        'import { run } from "https://elsewhere.example/run.js";',
        'import { run } from "//elsewhere.example/run.js";',
        'new EventSource("wss://elsewhere.example/");',
        'const SVG = "http://www.w3.org/2000/svg";',
    ],
)
def test_a_script_that_does_is_found_out(line: str) -> None:
    assert faults("js/part/other.js", f"const text = 1;\n{line}\n") != set()
    assert faults("js/part/other.js", "const text = 1; // of two\n") == set()


def test_what_one_script_alone_does_is_done_by_it() -> None:
    for does, name in ALONE.items():
        assert does in static.FILES[name].content.decode()


def test_what_one_script_may_another_address_may_not() -> None:
    assert faults("js/part/qr.js", 'const SVG = "http://www.w3.org/2000/svg";') == set()
    assert faults("js/part/qr.js", 'const SVG = "http://www.w3.org/2000/svg/x";') != set()
    assert faults("js/part/qr.js", 'const HTML = "http://www.w3.org/1999/xhtml";') != set()


def test_styles_load_nothing_from_elsewhere() -> None:
    for name, file in static.FILES.items():
        if name.endswith(".css"):
            assert not re.search(r"//|url\(|image-set\(|@import", file.content.decode()), name


async def test_what_is_served_is_what_is_in_the_repository(visitor: Reader) -> None:
    """Byte for byte, scripts above all: no build, and nothing is left out. Of the style sheet, its parts in their order."""
    files = {
        path.relative_to(static.FOLDER).as_posix(): path.read_bytes()
        for path in static.FOLDER.rglob("*")
        if path.is_file()
    }
    styles = [files.pop(f"css/{name}.css") for name in static.STYLES]
    files["css/look.css"] = b"\n".join(styles)
    served = {
        name: (await visitor.client.get(f"/static/{static.VERSION}/{name}")).content
        for name in files
    }
    assert served == files
    assert static.FILES.keys() == files.keys()
    assert len([name for name in files if name.endswith(".js")]) >= 10


@pytest.mark.parametrize("name", [name for name in static.FILES if name.endswith(".js")])
def test_a_script_can_be_read_as_it_is_served(name: str) -> None:
    source = static.FILES[name].content.decode()
    assert max(map(len, source.splitlines())) <= LONGEST_LINE
    assert len(source.splitlines()) <= LONGEST_SCRIPT
    assert source.isascii() or not re.search(
        r"[\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", source
    )
    assert source.endswith("\n")


async def test_the_icon_is_where_browsers_look(visitor: Reader) -> None:
    answer = await visitor.client.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/x-icon"
    assert answer.content[:4] == b"\0\0\1\0"
