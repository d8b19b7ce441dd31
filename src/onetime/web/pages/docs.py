"""What programs can ask, for people to read: made from the description in OpenAPI, so that it is true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from onetime.web.api import openapi
from onetime.web.http import redirect
from onetime.web.pages import static
from onetime.web.pages.info import SHARED
from onetime.web.render import address, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onetime.web.http import Answer, Call, Handler

Schema = dict[str, Any]

CURL = "curl BASE/api/v1/share -d 'secret=correct horse' -d ttl=3600"
PYTHON = """\
import json
from urllib.request import Request, urlopen

body = json.dumps({"secret": {"secret": "correct horse", "ttl": 3600}}).encode()
request = Request("BASE/api/v2/secret/conceal", body, {"Content-Type": "application/json"})
with urlopen(request) as answer:
    made = json.load(answer)["record"]
print("BASE/secret/" + made["secret"]["identifier"])"""


class Taken(Struct, frozen=True):
    """Something that a call may be given; `place` is where: path, query, header or body."""

    name: str
    place: str
    type: str
    is_required: bool


class Asked(Struct, frozen=True):
    """What one handler does, and under which names."""

    names: list[str]
    does: str
    taken: list[Taken]
    answers: list[tuple[str, str]]


def of(routes: Sequence[tuple[str, str, Handler]]) -> Handler:
    """The page about these."""
    dialects = calls(routes)

    async def api(call: Call) -> Answer:
        examples = [each.replace("BASE", call.base) for each in (CURL, PYTHON)]
        answer = render(call, "docs/api.html", headers=SHARED, examples=examples, dialects=dialects)
        return static.packed(call, answer)

    return api


async def earlier_address(call: Call) -> Answer:
    """What old clients cite."""
    return redirect(address(call, "/docs/api"), status=301)


def calls(routes: Sequence[tuple[str, str, Handler]]) -> dict[str, list[Asked]]:
    """By dialect, in the order of the routes; those of one handler together."""
    document = openapi.document(routes)
    found: dict[tuple[str, Handler], Asked] = {}
    for methods, path, handler in routes:
        dialect = "/".join(path.split("/")[:3])
        for method in methods.split():
            name = f"{method} {path}"
            if (dialect, handler) in found:
                found[dialect, handler].names.append(name)
                continue
            operation = document["paths"][path][method.lower()]
            found[dialect, handler] = Asked(
                names=[name],
                does=operation["summary"],
                taken=list(_taken(operation, document["components"]["schemas"])),
                answers=[
                    (status, answer["description"])
                    for status, answer in operation["responses"].items()
                ],
            )
    grouped: dict[str, list[Asked]] = {}
    for (dialect, _), asked in found.items():
        grouped.setdefault(dialect, []).append(asked)
    return grouped


def _taken(operation: Schema, schemas: Schema) -> Iterable[Taken]:
    for each in operation["parameters"]:
        yield Taken(each["name"], each["in"], _type(each["schema"], schemas), each["required"])
    for content in list(operation.get("requestBody", {}).get("content", {}).values())[:1]:
        yield from _members(content["schema"], schemas, "")


def _members(schema: Schema, schemas: Schema, above: str) -> Iterable[Taken]:
    """Of an object, also of one inside it: `secret.ttl`. Octets have none."""
    schema = _resolved(schema, schemas)
    for name, member in schema.get("properties", {}).items():
        inner = [_resolved(each, schemas) for each in member.get("anyOf", [member])]
        objects = [each for each in inner if "properties" in each]
        if objects:
            yield from _members(objects[0], schemas, f"{above}{name}.")
        else:
            is_required = name in schema.get("required", ())
            yield Taken(f"{above}{name}", "body", _type(member, schemas), is_required)


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    found = re.fullmatch(r"#/components/schemas/(\w+)", schema.get("$ref", ""))
    return schemas[found[1]] if found else schema


def _type(schema: Schema, schemas: Schema) -> str:
    schema = _resolved(schema, schemas)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each, schemas) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return str(schema.get("type", "object"))
