"""The OpenAPI document as a page that a person can read, and send requests from. Nothing of it is fetched elsewhere."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from data_contracts.page_style import STYLE
from serving.docs_script import SCRIPT

Schema = Mapping[str, Any]

OCTETS = "application/octet-stream"

OWN_STYLE = """
h1 + p { max-width: 75ch } h2 { font-size: 17px } h2 .path { font: 600 15px ui-monospace, Menlo, Consolas, monospace }
h2 .about { color: var(--soft); font-weight: 400; font-size: 15px } h2 a { color: inherit; text-decoration: none }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0 4px }
.method { font: 600 12px ui-monospace, Menlo, Consolas, monospace; padding: 2px 8px; border-radius: 6px;
  color: var(--link); border: 1px solid var(--line); min-width: 52px; text-align: center }
.method.post { color: var(--met); background: var(--met-ground); border-color: transparent }
.try { display: grid; gap: 10px; margin: 12px 0 4px }
.row { display: flex; gap: 10px; align-items: center; flex-wrap: wrap }
textarea, pre { font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; color: var(--ink); background: var(--ground);
  border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; margin: 0; width: 100%; overflow: auto }
textarea { resize: vertical } pre { max-height: 420px; white-space: pre-wrap; overflow-wrap: anywhere }
select, button, input { font: inherit; font-size: 14px; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 8px; padding: 5px 12px }
button { cursor: pointer } button.send { background: var(--link); border-color: var(--link); color: var(--paper) }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px } [hidden] { display: none !important }
details .wide { margin-top: 6px } td.rule { color: var(--soft) } td:last-child { min-width: 180px }
"""
LOOK = STYLE + OWN_STYLE


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src {_hash(LOOK)}; script-src {_hash(SCRIPT)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def page(document: Mapping[str, Any]) -> str:
    """All routes of an OpenAPI document."""
    shown = [(path, *each) for path, methods in document["paths"].items() for each in methods.items()]
    schemas = document["components"]["schemas"]
    links = "".join(
        f'<a href="#{operation["operationId"]}"><code>{escape(path)}</code></a>' for path, _, operation in shown
    )
    sections = "".join(_section(path, method, operation, schemas) for path, method, operation in shown)
    about = document["info"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(about['title'])}</title><style>{LOOK}</style></head><body><main>"
        f"<h1>{escape(about['title'])}</h1><p>{_prose(about['description'])} "
        'The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        '<p><label>Key, where serving asks for one <input id="key" type="password" autocomplete="off"></label></p>'
        f"<nav>{links}</nav>{sections}"
        f"<footer>Version {escape(about['version'])} of the contract.</footer></main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _prose(text: str) -> str:
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text))


def _section(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Schema]) -> str:
    title = (
        f'<h2><span class="method {method}">{method.upper()}</span><a class="path" href="#{operation["operationId"]}">'
        f'{escape(path)}</a><span class="about">{escape(operation["summary"])}</span></h2>'
    )
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = "".join(_fields(name, schemas) for name in _names(content.get("schema", {}), schemas))
    answers = "".join(_answer(status, told, schemas) for status, told in operation["responses"].items())
    return (
        f'<section id="{operation["operationId"]}">{title}<p>{_prose(operation["description"])}</p>'
        f"{_try(path, method, operation)}{fields}<details><summary>Answers</summary>"
        f'<div class="wide"><table><tr><th>status<th>means<th>body</tr>{answers}</table></div></details></section>'
    )


def _try(path: str, method: str, operation: Mapping[str, Any]) -> str:
    """What the script sends; a route with a body shows its examples, or asks for a file."""
    contents = operation.get("requestBody", {}).get("content", {})
    content = contents.get("application/json", {})
    bodies = {title: json.dumps(each["value"], indent=2) for title, each in content.get("examples", {}).items()}
    options = "".join(f'<option value="{escape(body)}">{escape(title)}</option>' for title, body in bodies.items())
    first = next(iter(bodies.values()), "")
    rows = first.count("\n") + 1
    written = f'<textarea aria-label="Body" spellcheck="false" rows="{rows}">{escape(first)}</textarea>'
    asked = "".join(
        f'<input data-in="{each["in"]}" name="{each["name"]}" aria-label="{each["name"]}" placeholder="{each["name"]}">'
        for each in operation.get("parameters", ())
        if not each["name"].startswith("Sec-")  # no browser lets a script set it
    )
    if OCTETS in contents:
        asked += '<input type="file" aria-label="File">'
    choice = f'<select aria-label="Example">{options}</select>' if bodies else ""
    return (
        f'<div class="try" data-method="{method.upper()}" data-path="{escape(path)}">{written if bodies else ""}'
        f'<div class="row">{asked}<button class="send">Send</button>{choice}<button class="curl">As curl</button>'
        '<span class="mark" hidden></span></div><pre class="answer" tabindex="0" hidden></pre></div>'
    )


def _answer(status: str, told: Mapping[str, Any], schemas: Mapping[str, Schema]) -> str:
    bodies = " or ".join(
        f"{escape(_type(content['schema'], schemas))} <code>{media_type}</code>"
        if "schema" in content
        else f"<code>{media_type}</code>"
        for media_type, content in told["content"].items()
    )
    return f"<tr><td>{status}<td>{_prose(told['description'])}<td>{bodies}</tr>"


def _fields(name: str, schemas: Mapping[str, Schema]) -> str:
    schema = schemas[name]
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' <small>optional</small>'}"
        f'<td>{escape(_type(told, schemas))}<td class="rule">{escape(_rules(told))}'
        f"<td>{_prose(told.get('description', ''))}</tr>"
        for field, told in schema["properties"].items()
    )
    return (
        f"<details><summary>Fields of {escape(name)}</summary><p>{_prose(schema.get('description', ''))}</p>"
        f'<div class="wide"><table><tr><th>field<th>type<th>rule<th>what it is</tr>{rows}</table></div></details>'
    )


def _names(schema: Any, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """The named schemas in `schema` and in those, each once."""
    waiting, seen = [schema], set()
    while waiting:
        found = waiting.pop(0)
        name = _name(found) if isinstance(found, dict) else ""
        if name and name not in seen:
            seen.add(name)
            waiting.append(schemas[name])
            yield name
        waiting += found.values() if isinstance(found, dict) else found if isinstance(found, list) else []


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    if name := _name(schema):
        return name
    if either := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(dict.fromkeys(_type(each, schemas) for each in either))
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'], schemas)}" if schema.get("items") else "array"
    return str(schema.get("format") or schema.get("type") or "string")


def _rules(schema: Schema) -> str:
    """Bounds, listed values and the default, in words."""
    told = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    low, high = told.get("minimum"), told.get("maximum")
    least, most = told.get("minLength", told.get("minItems")), told.get("maxLength", told.get("maxItems"))
    parts = [
        "one of " + ", ".join(map(str, told["enum"])) if "enum" in told else "",
        f"{low} to {high}" if low is not None and high is not None else "",
        f"{least or 0} to {most} long" if most is not None else f"at least {least}" if least else "",
        f"up to {told['maxProperties']}" if "maxProperties" in told else "",
        f"default {json.dumps(schema['default'])}" if schema.get("default") is not None else "",
    ]
    return "; ".join(filter(None, parts))
