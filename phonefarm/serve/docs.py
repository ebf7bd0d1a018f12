"""The readable documentation at ``/docs``: one page, made from the OpenAPI document and the capability registry.

Nothing is loaded from anywhere, not even from this farm: one HTML text with its style inside and no script, so it can
be read on a rack's laptop without a network, and a strict policy keeps it so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from phonefarm.core import registry

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0a6ebd}
@media(prefers-color-scheme:dark){:root{--accent:#6cb6ff}}
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
h3{margin:2rem 0 .3rem;font-size:1.05rem;overflow-wrap:anywhere}
code,pre{font:14px/1.45 ui-monospace,monospace}a{color:var(--accent)}
pre{background:var(--soft);padding:.8rem;overflow-x:auto;border-radius:6px}
table{border-collapse:collapse;display:block;overflow-x:auto}
td,th{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
.verb{display:inline-block;min-width:4.2rem;font-weight:700;color:var(--accent)}
.small{opacity:.75;font-size:.9rem}details{margin:.4rem 0}summary{cursor:pointer}
nav ul{columns:18rem;padding-left:1.2rem}
"""


def page(document: Mapping[str, Any]) -> bytes:
    """The page of an OpenAPI document, UTF-8."""
    return "".join(_page(document)).encode()


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    operations = list(_operations(document))
    info = document["info"]
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info.get('summary', ''))}. "
    yield "Send <code>Authorization: Bearer KEY</code> with every request. Errors are "
    yield "<code>application/problem+json</code> with a stable <code>code</code>. The same as a document for programs: "
    yield '<a href="/openapi.json">/openapi.json</a>.</p>'
    yield from _contents(operations)
    yield from _capabilities()
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in operations):
        yield f'<h2 id="{escape(tag)}">{escape(tag.capitalize())}</h2>'
        for verb, path, operation in operations:
            if operation["tags"][0] == tag:
                yield from _operation(verb, path, operation)
    yield from _codes("Codes of problems", document["x-codes"])
    yield from _codes("Codes of a process's error", document["x-process-error-codes"])
    yield from _schemas(document["components"]["schemas"])
    yield "</html>"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for verb, operation in methods.items():
            yield verb.upper(), path, operation


def _contents(operations: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    yield "<nav><ul>"
    for verb, path, operation in operations:
        yield f'<li><a href="#{escape(operation["operationId"])}">{verb} {escape(path)}</a>'
    yield "</ul></nav>"


def _capabilities() -> Iterator[str]:
    yield '<h2 id="capabilities">Capabilities</h2><table>'
    head, _, *rows = [line.strip("|").split("|") for line in registry.as_markdown().splitlines()]
    for cell, row in (("th", head), *(("td", row) for row in rows)):
        yield "<tr>" + "".join(f"<{cell}>{_code(text.strip())}</{cell}>" for text in row)
    yield "</table>"
    for entry in registry.as_json():
        yield f"<h3>{escape(entry['capability'])}</h3><p>{escape(entry['summary'])}"
        yield f"<br>Result: {escape(entry['result'])}"
        yield _folded("Inputs (JSON Schema)", entry["inputs_schema"])
        yield from (_step(step) for step in entry["steps"])


def _step(step: Mapping[str, Any]) -> str:
    once = "" if step["repeatable"] else " Never started twice."
    text = f"<code>{escape(step['action'])}</code>: {escape(step['text'])}{once}"
    return f"<p>{text}{_folded('Params (JSON Schema)', step['params_schema'])}"


def _code(text: str) -> str:
    parts = text.split("`")
    return "".join(f"<code>{escape(p)}</code>" if at % 2 else escape(p) for at, p in enumerate(parts))


def _operation(verb: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    anchor = escape(operation["operationId"])
    yield f'<h3 id="{anchor}"><span class="verb">{verb}</span> <code>{escape(path)}</code></h3>'
    scope = operation.get("x-scope")
    needs = f"needs the scope <code>{escape(scope)}</code>" if scope else "needs no key"
    text = f"{operation['summary']}. {operation.get('description', '')}"
    yield f"<p>{_code(text)} <span class=small>{needs}</span>"
    if operation.get("parameters"):
        yield "<table><tr><th>parameter<th>in<th>is<th>"
        yield from (_parameter(parameter) for parameter in operation["parameters"])
        yield "</table>"
    if "requestBody" in operation:
        yield from _content("Request", operation["requestBody"]["content"])
    for status, response in sorted(operation["responses"].items()):
        yield f"<p><b>{escape(status)}</b> {_code(response['description'])}"
        if response.get("headers"):
            yield " <span class=small>headers: " + ", ".join(f"<code>{escape(n)}</code>" for n in response["headers"])
            yield "</span>"
        yield from _content("", response.get("content", {}))


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = {name: value for name, value in parameter["schema"].items() if name != "title"}
    shown = escape(json.dumps(schema, ensure_ascii=False))
    name, text = escape(parameter["name"]), _code(parameter.get("description", ""))
    return f"<tr><td><code>{name}</code><td>{escape(parameter['in'])}<td><code>{shown}</code><td>{text}"


def _content(title: str, content: Mapping[str, Any]) -> Iterator[str]:
    for media_type, body in content.items():
        model = str(body.get("schema", {}).get("$ref", "")).rpartition("/")[2]
        link = f' <a href="#model-{escape(model)}">{escape(model)}</a>' if model else ""
        yield f"<div class=small>{escape(title)} <code>{escape(media_type)}</code>{link}</div>"
        for name, example in body.get("examples", {}).items():
            yield _folded(f"Example: {name}", example["value"])


def _codes(title: str, table: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2><table>"
    for code, text in table.items():
        yield f"<tr><td><code>{escape(code)}</code><td>{escape(text)}"
    yield "</table>"


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2 id="models">Models</h2>'
    for name, schema in sorted(schemas.items()):
        yield f'<h3 id="model-{escape(name)}">{escape(name)}</h3>'
        yield _folded("JSON Schema", schema)


def _folded(title: str, value: Any) -> str:
    text = escape(json.dumps(value, indent=2, ensure_ascii=False))
    return f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>"
