"""From a JSON Schema to the fields of a form, and from what was typed back to JSON. Pure.

Theory of operation
-------------------
A field's name is its place in the body, with dots: ``inputs.watch_seconds.min``, ``inputs.steps.0.action``. What is
left blank is left out, so that the farm's defaults hold and the JSON says what a person said and no more. What cannot
be read as the number it should be stays the text it is: the API's own check then says so, in its words and at its
place. Only JSON that is typed by hand and is none has a fault of its own.

Not every JSON Schema can be drawn, but those of the request models can; a test draws all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phonefarm.errors import Fault, ValidationFailed
from phonefarm.serve.jsontext import parse_object

Schema = Mapping[str, Any]
Values = Mapping[str, str]
Way = tuple[str | int, ...]
MISSING: Any = object()
#: Texts of more than one line.
_AREAS = {"system_prompt", "task_prompt", "bio"}
#: What a new form has in it though nobody typed it; alone it does not make an object given.
STARTERS: Mapping[str, str] = {
    "output_contract": json.dumps(
        {"type": "object", "properties": {"relevant": {"type": "boolean"}}, "required": ["relevant"]}, indent=1
    )
}
_INTEGER, _NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII), re.compile(r"[+-]?\d{1,15}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """``kind``: ``text, area, time, number, check, select, lines, json, group`` or ``list``; a list's children are its
    entries, groups each. ``shapes``: another choice here asks for other fields. ``suggestions``: names to choose
    from."""

    path: str
    label: str
    kind: str
    hint: str = ""
    required: bool = False
    value: str = ""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    shapes: bool = False
    children: tuple[Field, ...] = ()
    least: float | None = None
    most: float | None = None
    whole: bool = False
    longest: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawer:
    """Draws the fields of one document. ``suggest``: by the last name of a path, what may be chosen."""

    document: Schema
    values: Values
    suggest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def draw(self, schema: Schema, path: str, *, required: bool = False, default: Any = None) -> Field:
        """The field of a part of the document."""
        plain, hint = resolve(self.document, schema)
        kind = kind_of(plain, path)
        given = default if default is not None else plain.get("default", schema.get("default"))
        values: dict[str, Any] = {"path": path, "label": label_of(path), "kind": kind, "required": required}
        values["hint"] = schema.get("description") or hint
        if kind == "group":
            return Field(**values, children=tuple(self.group(plain, path, given, asked=required)))
        if kind == "list":
            return Field(**values, children=tuple(self._entries(plain, path, required)))
        return Field(**values, **self._leaf(plain, path, kind, given))

    def group(self, schema: Schema, path: str, default: Any = None, *, asked: bool = True) -> Iterator[Field]:
        """The fields of an object; what can have one value only is not asked. ``asked``: the object must be given."""
        needed = schema.get("required", ()) if asked else ()
        for name, part in schema["properties"].items():
            if "const" not in resolve(self.document, part)[0]:
                known = default.get(name) if isinstance(default, Mapping) else None
                yield self.draw(part, f"{path}.{name}".lstrip("."), required=name in needed, default=known)

    def _entries(self, schema: Schema, path: str, required: bool) -> Iterator[Field]:
        for index in range(count(self.values, path, required)):
            place = f"{path}.{index}"
            children = self.group(variant(self.document, schema, self.values, place), place)
            chooser = self._chooser(schema, place)
            yield Field(
                path=place,
                label=f"{label_of(path).removesuffix('s')} {index + 1}",
                kind="group",
                children=(*chooser, *children),
            )

    def _chooser(self, schema: Schema, place: str) -> list[Field]:
        """For a list of several kinds of object: which kind an entry is."""
        tag = schema["items"].get("discriminator")
        if tag is None:
            return []
        path = f"{place}.{tag['propertyName']}"
        return [
            Field(
                path=path, label=label_of(path), kind="select", required=True, shapes=True,
                value=self.values.get(path, ""), choices=tuple(tag["mapping"]),
            )
        ]  # fmt: skip

    def _leaf(self, schema: Schema, path: str, kind: str, default: Any) -> dict[str, Any]:
        starter = STARTERS.get(name_of(path), "") if kind == "json" else ""
        return {
            "value": self.values.get(path, starter),
            "placeholder": _placeholder(kind, default),
            "choices": tuple(schema.get("enum", ())),
            "suggestions": self.suggest.get(name_of(path), ()),
            "least": schema.get("minimum"),
            "most": schema.get("maximum"),
            "whole": schema.get("type") == "integer",
            "longest": schema.get("maxLength"),
        }


def _placeholder(kind: str, default: Any) -> str:
    if kind == "time":
        return "2026-11-23T09:30:00Z"
    if default in (None, "", {}, []) or kind in ("check", "json", "lines"):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


# -- the way back ----------------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class Reader:
    """Reads what was typed. ``faults``: of JSON typed by hand."""

    document: Schema
    values: Values
    faults: list[Fault] = field(default_factory=list)

    def read(self, schema: Schema, path: str, *, required: bool = False) -> Any:
        """The JSON of a part of the document; ``MISSING`` if nothing was typed there."""
        plain, _ = resolve(self.document, schema)
        kind = kind_of(plain, path)
        if kind == "group":
            return self.group(plain, path, required=required)
        if kind == "list":
            return self._list(plain, path) or MISSING
        return self._leaf(plain, path, kind)

    def group(self, schema: Schema, path: str, *, required: bool = False) -> Any:
        """An object with what was given; MISSING if nothing was, or no more than a new form has by itself."""
        found = {}
        for name, part in schema["properties"].items():
            here = f"{path}.{name}".lstrip(".")
            value = self.read(part, here, required=name in schema.get("required", ()))
            if value is not MISSING:
                found[name] = value
        typed = any(name not in STARTERS or self.values.get(f"{path}.{name}") != STARTERS[name] for name in found)
        return found if required or (found and typed) else MISSING

    def _list(self, schema: Schema, path: str) -> list[Any]:
        found = []
        for index in range(count(self.values, path, False)):
            place = f"{path}.{index}"
            entry = self.group(variant(self.document, schema, self.values, place), place, required=True)
            tag = schema["items"].get("discriminator")
            if tag is not None:
                kind = self.values.get(f"{place}.{tag['propertyName']}", "")
                entry = {**({tag["propertyName"]: kind} if kind else {}), **entry}
            if entry:
                found.append(entry)
        return found

    def _leaf(self, schema: Schema, path: str, kind: str) -> Any:
        text = self.values.get(path, "")
        if kind == "check":
            return True if path in self.values else MISSING
        if kind == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()] or MISSING
        if not text.strip():
            return MISSING
        if kind == "json":
            return self._json(text, path)
        return number(text.strip(), whole=schema.get("type") == "integer") if kind == "number" else text

    def _json(self, text: str, path: str) -> Any:
        try:
            return parse_object(text.encode())
        except ValidationFailed as error:
            msg = error.faults[0].msg.removeprefix("the body ")
            self.faults.append(Fault(loc=way_of(path), code="invalid_json", msg=msg))
            return MISSING


def number(text: str, *, whole: bool) -> int | float | str:
    """The number a text says, else the text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if not whole and _NUMBER.fullmatch(text) else text


# -- schemas ---------------------------------------------------------------------------------------


def resolve(document: Schema, schema: Schema) -> tuple[Schema, str]:
    """A schema without references and without ``or null``, and what is said about it."""
    while True:
        if "$ref" in schema:
            schema = document["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
        else:
            return schema, str(schema.get("description", "")) if schema.get("type") != "object" else ""


def kind_of(schema: Schema, path: str) -> str:
    """How a schema is asked for."""
    kind = schema.get("type")
    if "enum" in schema:
        return "select"
    if kind == "object":
        return "group" if "properties" in schema else "json"
    if kind == "array":
        return "lines" if schema["items"].get("type") == "string" else "list"
    if kind in ("integer", "number"):
        return "number"
    if kind == "boolean":
        return "check"
    if schema.get("format") == "date-time":
        return "time"
    return "area" if name_of(path) in _AREAS else "text"


def variant(document: Schema, schema: Schema, values: Values, place: str) -> Schema:
    """The schema of one entry of a list: of several kinds, the one that was chosen, without the choice itself."""
    items = schema["items"]
    tag = items.get("discriminator")
    if tag is None:
        return resolve(document, items)[0]
    chosen = tag["mapping"].get(values.get(f"{place}.{tag['propertyName']}", ""))
    if chosen is None:
        return {"properties": {}}
    full, _ = resolve(document, {"$ref": chosen})
    return {**full, "properties": {n: p for n, p in full["properties"].items() if n != tag["propertyName"]}}


def count(values: Values, path: str, required: bool) -> int:
    """How many entries of a list the form has; one that must have some begins with one."""
    prefix = f"{path}."
    seen = (name[len(prefix) :].partition(".")[0] for name in values if name.startswith(prefix))
    most = max((int(index) for index in seen if index.isascii() and index.isdigit() and len(index) < 3), default=-1)
    return max(most + 1, int(required))


def added(values: Values, path: str, required: bool) -> dict[str, str]:
    """The values with one more entry in a list."""
    return {**values, f"{path}.{count(values, path, required)}.": ""}


def dropped(values: Values, place: str) -> dict[str, str]:
    """The values without one entry of a list; those after it move up."""
    path, _, gone = place.rpartition(".")
    found = {}
    for name, value in values.items():
        rest = name.removeprefix(f"{path}.") if name.startswith(f"{path}.") else None
        index, _, inner = (rest or "").partition(".")
        if rest is None or not index.isdigit():
            found[name] = value
        elif index != gone:
            found[f"{path}.{int(index) - (int(index) > int(gone))}.{inner}"] = value
    return found


# -- places ----------------------------------------------------------------------------------------


def name_of(path: str) -> str:
    return path.rpartition(".")[2]


_LABELS: Mapping[str, str] = {
    "url": "Callback URL",
    "sha256": "SHA-256",
    "phone_id": "Phone",
    "account_id": "Account",
    "phone_ids": "Phones",
    "account_ids": "Accounts",
    "requested_by.metadata": "Metadata of who asks",
    "callback.metadata": "Metadata of the callback",
}


def label_of(path: str) -> str:
    """A place in words."""
    text = _LABELS.get(path) or _LABELS.get(name_of(path)) or name_of(path).replace("_", " ")
    return text[:1].upper() + text[1:]


def way_of(path: str) -> Way:
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))


def paths(fields: Sequence[Field]) -> Iterator[str]:
    """Every place of a form."""
    for each in fields:
        yield each.path
        yield from paths(each.children)


def beside(fields: Sequence[Field], faults: Sequence[Fault]) -> tuple[dict[str, list[str]], list[str]]:
    """Faults by the field they stand beside: their own, else the nearest around it; and those with none."""
    known = set(paths(fields))
    found: dict[str, list[str]] = {}
    left: list[str] = []
    for fault in faults:
        way = [str(part) for part in fault.loc]
        place = next((p for n in range(len(way), 0, -1) if (p := ".".join(way[:n])) in known), None)
        inner = ".".join(way[len(place.split(".")) :]) if place is not None else ".".join(way)
        said = f"{inner}: {fault.msg}" if inner else fault.msg
        if place is None:
            left.append(said)
        else:
            found.setdefault(place, []).append(said)
    return found, left
