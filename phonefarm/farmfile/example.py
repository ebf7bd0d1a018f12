"""The farm.yaml that ``phonefarm init`` writes: every key with what it means, all of it commented out. Pure.

A line of prose begins with ``# ``; a setting that is commented out begins with ``#`` and its own line, so taking that
one character away switches it on, and an editor's "uncomment" on a whole block does the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from phonefarm.farmfile.keys import FILE
from phonefarm.farmfile.reading import as_yaml
from phonefarm.farmfile.schema import FILE_NAME
from phonefarm.farmfile.tree import Leaf, Named, Node

_HEAD = f"""# yaml-language-server: $schema={FILE_NAME}
#
# The settings of a farm: phonefarm up --config farm.yaml
# All of it may be left out. To set something, take the # before it away, and before the names it stands under.
# Numbers are the defaults; names and addresses are examples.
"""


def example() -> str:
    """The text of the file."""
    blocks = ("\n".join([f"# {node.text}", *(f"#{line}" for line in _lines(name, node, 0))]) for name, node in _top())
    return "\n\n".join([_HEAD.rstrip("\n"), *blocks]) + "\n"


def _top() -> Iterator[tuple[str, Node]]:
    yield from FILE.keys.items()


def _lines(name: str, node: Node, depth: int) -> Iterator[str]:
    indent = "  " * depth
    note = f"  # {node.text}" if depth else ""
    if isinstance(node, Leaf):
        yield f"{indent}{name}: {as_yaml(node.example)}{note}"
    else:
        yield f"{indent}{name}:{note}"
        below = {node.example: node.each} if isinstance(node, Named) else node.keys
        for key, one in below.items():
            yield from _lines(key, one, depth + 1)
