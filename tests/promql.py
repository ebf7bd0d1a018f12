"""What a PromQL query names: its selectors, and the labels it groups and joins by. Enough of the grammar for ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*|\$__?[a-z_]+)
      | (?P<number>[0-9.]+[a-z]*)
      | (?P<mark>=~|!~|!=|==|<=|>=|[=<>+\-*/%^(){}\[\],])""",
    re.VERBOSE,
)
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "atan2"})


@dataclass(frozen=True, slots=True)
class Selector:
    """``matchers``: (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Query:
    """``labels``: of ``by``, ``on`` and their like; ``functions``: what is called."""

    selectors: list[Selector] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def parse(text: str) -> Query:
    """Raises ValueError for what is no query."""
    tokens = list(_tokens(text))
    query, at = Query(), 0
    opened: list[str] = []
    while at < len(tokens):
        kind, word = tokens[at]
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind == "name" and word in _LISTS:
            labels, at = _until(tokens, at + 1, ")")
            query.labels |= {w for k, w in labels if k == "name"}
        elif kind == "name" and word not in _WORDS:
            if after in ("(", "by", "without"):
                query.functions.add(word)
            elif not (opened and opened[-1] == "["):
                matchers, at = _matchers(tokens, at) if after == "{" else ((), at)
                query.selectors.append(Selector(word, matchers))
        elif word in ("(", "["):
            opened.append(word)
        elif word in (")", "]") and (not opened or opened.pop() != {")": "(", "]": "["}[word]):
            raise ValueError(f"brackets of {text!r}")
    if opened or not query.selectors:
        raise ValueError(f"no query: {text!r}")
    return query


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at:]!r} of {text!r}")
        at = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found.group()


def _until(tokens: list[tuple[str, str]], at: int, end: str) -> tuple[list[tuple[str, str]], int]:
    """The tokens up to ``end``, and the place after it."""
    last = next((i for i in range(at, len(tokens)) if tokens[i][1] == end), None)
    if last is None:
        raise ValueError(f"no {end}")
    return tokens[at:last], last + 1


def _matchers(tokens: list[tuple[str, str]], at: int) -> tuple[tuple[tuple[str, str, str], ...], int]:
    inside, after = _until(tokens, at + 1, "}")
    words = [word for _, word in inside if word != ","]
    if len(words) % 3:
        raise ValueError(f"matchers {words}")
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return tuple((label, operator, value.strip('"')) for label, operator, value in triples), after
