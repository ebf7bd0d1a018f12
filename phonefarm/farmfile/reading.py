"""Reading a configuration file: YAML that remembers where everything stands, so that every fault names its place.

The file is walked as YAML's nodes along the tree of ``keys``. All faults are told at once, each with its
``file:line:column``, what is wrong, and what would be right.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from phonefarm.errors import ConfigError
from phonefarm.farmfile.tree import Kind, Leaf, Named, Node, Section, wanted

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


def read(path: Path, file: Section) -> dict[str, Any]:
    """The values of a file, in its own shape; an empty file has none. Raises ConfigError with every fault."""
    try:
        loader = yaml.SafeLoader(path.read_text("utf-8"))
        root = loader.get_single_node()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigError(_not_yaml(path, error)) from error
    if root is None or root.tag == _NULL:
        return {}
    reader = _Reader(path, loader)
    values = reader.section(root, file, "")
    reader.names(values, file)
    if reader.faults:
        raise ConfigError("\n".join(text for _, text in sorted(reader.faults)))
    return values


def _not_yaml(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return f"{path}{where}: is not YAML: {problem}"


class _Reader:
    """``faults`` as (place, text). ``_places``: of the keys that users name, by the path to them."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self._path, self._loader = path, loader
        self.faults: list[tuple[tuple[int, int], str]] = []
        self._places: dict[str, yaml.Node] = {}

    # -- walking --

    def section(self, node: yaml.Node, section: Section, where: str) -> dict[str, Any]:
        found = {}
        for name, key, value in self._pairs(node, where):
            path = _joined(where, name)
            if name in section.keys:
                found[name] = self._value(value, section.keys[name], path)
            else:
                self._fault(key, f"unknown setting {path}; {_cure(name, section.keys)}")
        return found

    def _named(self, node: yaml.Node, named: Named, where: str) -> dict[str, Any]:
        found = {}
        for name, key, value in self._pairs(node, where):
            self._places[_joined(where, name)] = key
            found[name] = self._value(value, named.each, _joined(where, name))
        return found

    def _value(self, node: yaml.Node, what: Node, where: str) -> Any:
        if isinstance(what, Leaf):
            return self._leaf(node, what, where)
        if node.tag == _NULL:
            return {}
        return self.section(node, what, where) if isinstance(what, Section) else self._named(node, what, where)

    def _pairs(self, node: yaml.Node, where: str) -> Iterable[tuple[str, yaml.Node, yaml.Node]]:
        """Keys and values of a mapping, without those that cannot be keys or are given twice."""
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{where or 'the file'} must be a mapping: lines of `name: value`")
            return
        self._twice(node, where)
        self._loader.flatten_mapping(node)
        for key, value in node.value:
            name = self._loader.construct_object(key, deep=True) if isinstance(key, yaml.ScalarNode) else None
            if isinstance(name, str):
                yield name, key, value
            else:
                cure = f'; write it in quotes: "{key.value}"' if isinstance(key, yaml.ScalarNode) else ""
                self._fault(key, f"a name in {where or 'the file'} must be a text{cure}")

    def _twice(self, node: yaml.MappingNode, where: str) -> None:
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                before = first.setdefault(key.value, key)
                if before is not key:
                    line = before.start_mark.line + 1
                    self._fault(key, f"{_joined(where, key.value)} is given twice, first in line {line}; take one away")

    # -- leaves --

    def _leaf(self, node: yaml.Node, leaf: Leaf, where: str) -> Any:
        if leaf.kind in (Kind.TEXTS, Kind.NETWORKS):
            return self._list(node, leaf, where)
        value = self._loader.construct_object(node, deep=True) if isinstance(node, yaml.ScalarNode) else None
        if not _fits(value, leaf):
            quote = f'; write it in quotes: "{node.value}"' if leaf.kind is Kind.TEXT and value is not None else ""
            near = _near(value, leaf.choices) if leaf.kind is Kind.CHOICE else ""
            such = "" if quote or near else f", such as {as_yaml(leaf.example)}"
            self._fault(node, f"{where} must be {wanted(leaf)}{such}{quote}{near}")
        return value

    def _list(self, node: yaml.Node, leaf: Leaf, where: str) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._fault(node, f"{where} must be {wanted(leaf)}, such as {as_yaml(leaf.example)}")
            return ()
        found = []
        for entry in node.value:
            value = self._loader.construct_object(entry, deep=True) if isinstance(entry, yaml.ScalarNode) else None
            if not isinstance(value, str):
                cure = f'; write it in quotes: "{entry.value}"' if isinstance(entry, yaml.ScalarNode) else ""
                self._fault(entry, f"{where} must be {wanted(leaf)}{cure}")
                continue
            if leaf.kind is Kind.NETWORKS:
                self._network(entry, value, where)
            found.append(value)
        return tuple(found)

    def _network(self, node: yaml.Node, value: str, where: str) -> None:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            self._fault(node, f"{where}: {error}; write it as 10.0.0.0/8 or fd00::/8")

    # -- names that must have been given elsewhere --

    def names(self, values: Mapping[str, Any], file: Section) -> None:
        """Check every ``Named.of`` of the file."""
        for where, named in _named_in(file, ""):
            if named.of:
                given = {name for path in named.of for name in _names_at(values, path.split("."))}
                for name in _names_at(values, where.split(".")):
                    if name not in given | set(named.also):
                        place = _joined(where, name)
                        known = sorted(given)
                        cure = _near(name, known) or f"; name it under {' or '.join(named.of)} first"
                        self._fault(
                            self._places[place], f"{place}: there is no {named.of[0].rstrip('s')} {name!r}{cure}"
                        )

    def _fault(self, node: yaml.Node, text: str) -> None:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self.faults.append(((line, column), f"{self._path}:{line}:{column}: {text}"))


def _fits(value: Any, leaf: Leaf) -> bool:
    if leaf.kind is Kind.SWITCH:
        return isinstance(value, bool)
    if leaf.kind is Kind.TEXT:
        return isinstance(value, str) and bool(value)
    if leaf.kind is Kind.CHOICE:
        return value in leaf.choices
    kinds = (int,) if leaf.kind is Kind.WHOLE else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        return False
    above = leaf.above is None or value > leaf.above
    return above and (leaf.least is None or value >= leaf.least) and value < float("inf")


def _cure(name: str, keys: Mapping[str, Node]) -> str:
    return _near(name, keys).removeprefix("; ") or f"known are {', '.join(sorted(keys))}"


def _near(name: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1_000).removesuffix("\n...\n").strip()


def _named_in(section: Section, where: str) -> Iterable[tuple[str, Named]]:
    for name, node in section.keys.items():
        if isinstance(node, Named):
            yield _joined(where, name), node
        elif isinstance(node, Section):
            yield from _named_in(node, _joined(where, name))


def _names_at(values: Any, path: list[str]) -> Iterable[str]:
    """The names at a path: keys of a mapping, or entries of a list. ``*`` is every key."""
    if not path:
        yield from values or ()
    elif isinstance(values, Mapping):
        below = list(values.values()) if path[0] == "*" else [values.get(path[0])]
        for one in below:
            if one is not None:
                yield from _names_at(one, path[1:])
