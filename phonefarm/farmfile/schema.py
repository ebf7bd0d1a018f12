"""The JSON Schema of farm.yaml, for editors; in draft 7, which they all know. Made of ``keys``, pure."""

from __future__ import annotations

from typing import Any

from phonefarm.farmfile.keys import FILE
from phonefarm.farmfile.tree import Kind, Leaf, Named, Node

FILE_NAME = "farm.schema.json"
_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": "string", "minLength": 1},
    Kind.NUMBER: {"type": "number"},
    Kind.WHOLE: {"type": "integer"},
    Kind.SWITCH: {"type": "boolean"},
    Kind.TEXTS: {"type": "array", "items": {"type": "string"}},
    Kind.NETWORKS: {"type": "array", "items": {"type": "string"}},
    Kind.CHOICE: {"type": "string"},
}


def schema() -> dict[str, Any]:
    """The whole schema."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "farm.yaml of phonefarm", **_of(FILE)}


def _of(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        return _leaf(node)
    below: dict[str, Any]
    if isinstance(node, Named):
        below = {"additionalProperties": _of(node.each)}
    else:
        below = {"properties": {name: _of(one) for name, one in node.keys.items()}, "additionalProperties": False}
    return {"description": node.text, "type": ["object", "null"], **below}


def _leaf(leaf: Leaf) -> dict[str, Any]:
    made = {"description": leaf.text, **_TYPES[leaf.kind], "examples": [leaf.example]}
    if leaf.least is not None:
        made["minimum"] = leaf.least
    if leaf.above is not None:
        made["exclusiveMinimum"] = leaf.above
    if leaf.choices:
        made["enum"] = list(leaf.choices)
    return made
