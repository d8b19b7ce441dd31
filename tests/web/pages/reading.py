"""Reads a page as a browser does, and sends its forms as a browser does; and the application to do it with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx2

from onetime.app import App, build
from onetime.crypto.hashing import Cost, Hasher
from onetime.settings import Settings
from onetime.web.asgi import Web

QUICK = Cost(passes=1, lanes=1, memory_kib=32)
HERE = "http://127.0.0.1:3000"
VOID = {"br", "img", "input", "link", "meta", "hr"}


class Clock:
    """The store's clock as a number."""

    def __init__(self) -> None:
        self.now = 1_796_126_700.0  # 1 December 2026, 12:05 UTC

    def __call__(self) -> float:
        return self.now


class Form:
    def __init__(self, action: str, method: str) -> None:
        self.action = action
        self.method = method
        self.fields: dict[str, str] = {}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str], inside: tuple[str, ...]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.inside = inside
        self.text = ""


class Page(HTMLParser):
    """Elements in their order, each with its text; forms with what they would send. `inert`: those in templates, which nobody
    sees and nothing uses until a script takes them.
    """

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.answer = answer
        self.status = answer.status_code
        self.elements: list[Element] = []
        self.inert: list[Element] = []
        self.forms: list[Form] = []
        self._open: list[Element] = []
        self._select = ""
        self._starts = False
        # HTML standard, 13.2.3.5: the input stream holds no CR.
        self.feed(answer.text.replace("\r\n", "\n").replace("\r", "\n"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = tuple(each.tag for each in self._open)
        element = Element(tag, {name: value or "" for name, value in attrs}, inside)
        is_inert = "template" in inside
        (self.inert if is_inert else self.elements).append(element)
        self._starts = tag in {"pre", "textarea"}
        if tag not in VOID:
            self._open.append(element)
        if not is_inert:
            self._field(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass
        self._starts = False
        if tag == "textarea" and not any(each.tag == "template" for each in self._open):
            element = next(each for each in reversed(self.elements) if each.tag == "textarea")
            if "name" in element.attributes:
                self.forms[-1].fields[element.attributes["name"]] = element.text

    def handle_data(self, data: str) -> None:
        # HTML standard, 13.2.6.4.7: a line feed right after <pre> or <textarea> is dropped.
        text = data.removeprefix("\n") if self._starts else data
        self._starts = False
        tags = [each.tag for each in self._open]
        outermost = tags.index("template") if "template" in tags else 0
        for element in self._open[outermost:]:
            element.text += text

    def _field(self, element: Element) -> None:
        attributes = element.attributes
        name = attributes.get("name", "")
        if element.tag == "form":
            self.forms.append(Form(attributes["action"], attributes["method"]))
        elif element.tag == "select":
            self._select = name
        elif element.tag == "option" and "selected" in attributes:
            self.forms[-1].fields[self._select] = attributes["value"]
        elif element.tag == "input" and name:
            kind = attributes.get("type", "text")
            if kind not in {"radio", "checkbox"} or "checked" in attributes:
                self.forms[-1].fields[name] = attributes.get("value", "")

    @property
    def title(self) -> str:
        return self.all("title")[0].text

    @property
    def html(self) -> Element:
        return self.all("html")[0]

    def all(self, tag: str) -> list[Element]:
        return [each for each in self.elements if each.tag == tag]

    def find(self, element_id: str) -> Element:
        return next(each for each in self.elements if each.attributes.get("id") == element_id)

    def has(self, element_id: str) -> bool:
        return any(each.attributes.get("id") == element_id for each in self.elements)

    @property
    def text(self) -> str:
        return " ".join(self.all("main")[0].text.split())

    @property
    def focused(self) -> Element:
        found = [each for each in self.elements if "autofocus" in each.attributes]
        assert len(found) == 1
        return found[0]

    def links(self) -> list[str]:
        return [each.attributes["href"] for each in self.all("a") if "href" in each.attributes]

    def form(self, ending: str = "") -> Form:
        return next(each for each in self.forms if each.action.partition("?")[0].endswith(ending))


class Reader:
    """Somebody with a browser and no script."""

    def __init__(self, app: App, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def open(self, path: str, *, language: str = "") -> Page:
        headers = {"accept-language": language} if language else {}
        return Page(await self.client.get(path, headers=headers))

    async def send(self, page: Page, ending: str = "", **changed: str | None) -> Page:
        """Send the form of the page whose address ends so, with fields changed or (None) left out."""
        form = page.form(ending)
        fields = {**form.fields, **changed}
        body = urlencode(
            {name: _line_ends(value) for name, value in fields.items() if value is not None},
            errors="surrogatepass",
        )
        address = urljoin(str(page.answer.url), form.action)
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "same-origin",
        }
        return Page(await self.client.post(address, content=body, headers=headers))

    async def share(self, text: str, query: str = "", **changed: str) -> Page:
        page = await self.send(await self.open(f"/{query}"), "/", secret=text, **changed)
        assert page.status == 200, page.text
        return page

    async def link(self, text: str = "correct horse", **changed: str) -> str:
        """The path of the link of a new secret."""
        page = await self.share(text, **changed)
        return page.find("link").text.removeprefix(HERE)


def _line_ends(text: str) -> str:
    """HTML standard, 4.10.22.4: a form sends every line end as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


@asynccontextmanager
async def reader(
    folder: Path, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Reader]:
    given: dict[str, Any] = {"data_dir": folder / "data", "disk_reserve": 0, **settings}
    async with build(Settings(**given), clock=clock or Clock(), hasher=Hasher(cost=QUICK)) as app:
        transport = httpx2.ASGITransport(app=Web(app), client=("127.0.0.1", 4000))
        base = app.settings.origin or HERE
        async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
            yield Reader(app, client)
