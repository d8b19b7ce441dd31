"""Takes the pictures of the README: python -m tests.docs.pictures.

Each is a real page of a real server in a real browser, in at most 256 colours, which is all that
flat pages need.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests import needs
from tests.cli.running import serving

PICTURES = needs.ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 820, 900
SETTINGS = {
    "ONETIME_BASE_URL": "https://secrets.example/",
    "ONETIME_OPERATOR_NAME": "Example Ltd",
}
SECRET = "wifi: correct horse battery staple"


def pages(browser: Browser, address: str) -> Iterator[tuple[str, Page]]:
    def page(theme: str, language: str = "en") -> Page:
        return browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if theme == "dark" else "light",
            locale=language,
            device_scale_factor=1.25,
        )

    sender = page("light")
    sender.goto(address)
    sender.fill("textarea[name=secret]", SECRET)
    yield "form", sender
    sender.click("#share button.first")
    # Its browser has encrypted it: the key is in the fragment.
    key = sender.input_value("#link").partition("#")[2]
    yield "result", sender
    for name, reader in (("confirm-dark", page("dark")), ("confirm-uk", page("light", "uk"))):
        reader.goto(f"{address}secret#{key}")
        reader.wait_for_selector("#show")
        yield name, reader


def rows(png: bytes) -> tuple[int, list[bytes], int]:
    """Width, rows and bytes a pixel of a PNG as browsers write it: 8 bits a channel, not interlaced."""
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", png[16:29])
    assert depth == 8
    assert kind in {2, 6}
    assert not interlace
    size = 3 if kind == 2 else 4
    data, at = b"", 33
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        if name == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(data)
    stride = width * size
    done: list[bytes] = []
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        line = bytearray(raw[start + 1 : start + 1 + stride])
        unfilter(raw[start], line, above, size)
        done.append(bytes(line))
        above = line
    return width, done, size


def unfilter(kind: int, line: bytearray, above: bytearray, size: int) -> None:
    """Source: the PNG specification, third edition, 9.2."""
    for x in range(len(line)):
        left = line[x - size] if x >= size else 0
        up = above[x]
        corner = above[x - size] if x >= size else 0
        guess = left + up - corner
        near = min((left, up, corner), key=lambda each: abs(guess - each))
        line[x] = (line[x] + (0, left, up, (left + up) // 2, near)[kind]) & 0xFF


def small(png: bytes) -> bytes:
    """The same picture with a palette."""
    width, lines, size = rows(png)
    pixels = [[line[x : x + 3] for x in range(0, width * size, size)] for line in lines]
    counted = Counter(pixel for line in pixels for pixel in line)
    palette = [pixel for pixel, _ in counted.most_common(256)]
    index = {pixel: number for number, pixel in enumerate(palette)}

    def nearest(pixel: bytes) -> int:
        if pixel not in index:
            index[pixel] = min(
                range(len(palette)),
                key=lambda number: sum(
                    (a - b) ** 2 for a, b in zip(palette[number], pixel, strict=True)
                ),
            )
        return index[pixel]

    data = b"".join(b"\0" + bytes(nearest(pixel) for pixel in line) for line in pixels)
    head = struct.pack(">IIBBBBB", width, len(lines), 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", head),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


def main() -> None:
    program = needs.find("chromium")
    if program is None:
        needs.say_missing("chromium")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), SETTINGS) as server,
        sync_playwright() as playwright,
    ):
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for name, page in pages(browser, server.address):
            picture = small(page.screenshot())
            (PICTURES / f"{name}.png").write_bytes(picture)
            print(f"{name}.png: {len(picture) // 1024} KiB")
        browser.close()


if __name__ == "__main__":
    main()
