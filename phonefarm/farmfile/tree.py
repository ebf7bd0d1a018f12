"""What a configuration file is made of: leaves with a kind, sections of named keys, and keys that a user names.

Values only. ``keys`` builds the file of them; ``reading``, ``schema`` and ``example`` walk along them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a leaf may be. The values say it to a person."""

    TEXT = "a text"
    NUMBER = "a number"
    WHOLE = "a whole number"
    SWITCH = "true or false"
    TEXTS = "a list of texts"
    NETWORKS = "a list of networks"
    CHOICE = "one of"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A value. ``least``: the smallest it may be; ``above``: what it must be greater than; ``example``: what stands in
    the example file, the default where there is one."""

    kind: Kind
    text: str
    example: Any
    least: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Keys that have a meaning each."""

    text: str
    keys: Mapping[str, Node]


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """Keys that the user chooses, all with the same below them. ``example``: such a key. ``of``: paths, such as
    ``groups`` or ``hosts.*.groups``, where such a name must have been given; ``also``: names that need not."""

    text: str
    each: Node
    example: str
    of: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


Node = Leaf | Section | Named


def wanted(leaf: Leaf) -> str:
    """What a leaf must be, for a person."""
    if leaf.kind is Kind.CHOICE:
        return f"one of {', '.join(leaf.choices)}"
    bound = f" of at least {leaf.least:g}" if leaf.least is not None else ""
    bound = f" greater than {leaf.above:g}" if leaf.above is not None else bound
    return f"{leaf.kind.value}{bound}"
