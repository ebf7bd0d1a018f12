"""What a phone shows: the dump of uiautomator, read as hostile text into a frozen tree.

Theory of operation
-------------------
A dump is text that apps, and whoever writes their content, can shape. So: a size cap before anything is looked at,
control characters stripped, no DTD and so no entities, caps on depth and on the number of nodes while parsing, and the
tree is built by the parser's own events, never by recursion. Whatever is not a proper dump is BadScreen; that includes
uiautomator's own failures, which end with exit code 0 and a sentence. The parser is expat itself: a session reads two
screens a video, and a layer of Python between expat and the tree took as long as both.

A ``Selector`` names nodes by what stays the same (resource id, text, description, class), inside another node if need
be; there are no coordinates in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from xml.parsers import expat

from phonefarm.errors import BadScreen

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 150
MAX_NODES = 20_000

#: What uiautomator says instead of a dump.
FAILURES = ("could not get idle state", "null root node", "could not dump", "error:", "killed")
FLAGS = ("checkable", "checked", "clickable", "enabled", "focusable", "focused", "scrollable", "password", "selected")

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_BOUNDS = re.compile(r"\[(-?\d{1,6}),(-?\d{1,6})\]\[(-?\d{1,6}),(-?\d{1,6})\]")
#: One character more than any that are bounds: what is kept of those of others.
_LONGEST_BOUNDS = 35
_START = re.compile(r"<\?xml|<hierarchy")
_END = "</hierarchy>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """A rectangle in pixels; right and bottom lie outside of it."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def centre(self) -> tuple[int, int]:
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One element of the screen. ``flags``: the names that were "true"."""

    text: str = ""
    resource_id: str = ""
    cls: str = ""
    package: str = ""
    desc: str = ""
    bounds: Bounds = Bounds()
    flags: frozenset[str] = frozenset()
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in document order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Which nodes: all that is given must hold.

    ``within``: below a node that fits that selector. ``has``: somewhere above a node that fits. ``beside``: child of
    the same parent as a node that fits. ``index``: only the n-th that is left, from 0. ``otherwise``: what to look for
    where nothing fits.
    """

    resource_id: str | None = None
    text: str | None = None
    text_contains: str | None = None
    desc: str | None = None
    desc_contains: str | None = None
    cls: str | None = None
    clickable: bool | None = None
    within: Selector | None = None
    has: Selector | None = None
    beside: Selector | None = None
    index: int | None = None
    otherwise: Selector | None = None

    def matches(self, node: Node) -> bool:
        """Whether this one node fits, its place and neighbours aside."""
        wanted = ((self.resource_id, node.resource_id), (self.text, node.text), (self.desc, node.desc))
        if any(want is not None and want != got for want, got in (*wanted, (self.cls, node.cls))):
            return False
        if self.clickable is not None and self.clickable != ("clickable" in node.flags):
            return False
        parts = ((self.text_contains, node.text), (self.desc_contains, node.desc))
        return all(part is None or part in whole for part, whole in parts)


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A whole dump."""

    root: Node

    @cached_property
    def ids(self) -> frozenset[str]:
        """The resource ids of its nodes."""
        return frozenset(node.resource_id for node in self.root.walk())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from what the windows cover."""
        boxes = [child.bounds for child in self.root.children]
        return max((box.right for box in boxes), default=0), max((box.bottom for box in boxes), default=0)

    @property
    def packages(self) -> tuple[str, ...]:
        """The apps that own the windows, top level only, without repeats."""
        return tuple(dict.fromkeys(child.package for child in self.root.children))

    @property
    def text(self) -> str:
        """Every text and description, one a line."""
        shown = (part for node in self.root.walk() for part in (node.text, node.desc) if part)
        return "\n".join(shown)

    def find_all(self, selector: Selector) -> list[Node]:
        """All nodes that fit, in document order. Most selectors name an id that the screen does not have."""
        here: Selector | None = selector
        while here is not None and here.resource_id is not None and here.resource_id not in self.ids:
            here = here.otherwise
        return find_all(self.root, here) if here is not None else []

    def find(self, selector: Selector) -> Node | None:
        """The first node that fits."""
        return next(iter(self.find_all(selector)), None)


def find_all(root: Node, selector: Selector) -> list[Node]:
    """All nodes below or at ``root`` that fit ``selector``, in document order."""
    found = _fitting(root, selector)
    if found or selector.otherwise is None:
        return found
    return find_all(root, selector.otherwise)


def _fitting(root: Node, selector: Selector) -> list[Node]:
    if selector.within is None:
        found = [node for node in root.walk() if selector.matches(node)]
    else:
        found = _inside(find_all(root, selector.within), selector)
    if (has := selector.has) is not None:
        found = [node for node in found if any(find_all(child, has) for child in node.children)]
    if selector.beside is not None:
        near = _neighbours(root, {id(node) for node in find_all(root, selector.beside)})
        found = [node for node in found if id(node) in near]
    if selector.index is None:
        return found
    return found[selector.index : selector.index + 1] if selector.index >= 0 else []


def _neighbours(root: Node, marks: set[int]) -> set[int]:
    """Ids of the nodes that share their parent with another one of ``marks``."""
    near: set[int] = set()
    for parent in root.walk():
        inside = {id(child) for child in parent.children}
        marked = inside & marks
        if marked:
            near |= inside - marked if len(marked) == 1 else inside
    return near


def _inside(containers: list[Node], selector: Selector) -> list[Node]:
    found: dict[int, Node] = {}
    for container in containers:
        inner = (node for child in container.children for node in child.walk())
        found.update((id(node), node) for node in inner if selector.matches(node))
    return list(found.values())


def parse(dump: bytes | str) -> Screen:
    """A dump as a screen; words before the XML are skipped. Raises BadScreen."""
    xml = _xml_of(_text_of(dump))
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.StartDoctypeDeclHandler = _refuse_dtd
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError) as error:
        raise BadScreen(f"the UI dump is not proper XML: {type(error).__name__}: {str(error)[:200]}") from error
    return builder.screen()


def _refuse_dtd(name: str, *_: object) -> None:
    """Called before anything in it is read. Entities can be declared nowhere else."""
    raise BadScreen(f"the UI dump has a document type, {name[:40]!r}: no dump has one")


def _text_of(dump: bytes | str) -> str:
    if len(dump) > MAX_BYTES:
        raise BadScreen(f"the UI dump has {len(dump)} bytes, more than {MAX_BYTES}")
    try:
        text = dump.decode("utf-8") if isinstance(dump, bytes) else dump
    except UnicodeDecodeError as error:
        raise BadScreen(f"the UI dump is not UTF-8 at byte {error.start}") from error
    return _CONTROL.sub("", text)


def _xml_of(text: str) -> str:
    start = _START.search(text)
    if start is None:
        said = " ".join(text.split())[:200]
        known = any(failure in said.lower() for failure in FAILURES)
        raise BadScreen(said if known else f"no UI dump but: {said!r}")
    end = text.rfind(_END)
    return text[start.start() :] if end < 0 else text[start.start() : end + len(_END)]


class _Builder:
    """What the parser calls: builds nodes bottom-up as their tags close."""

    def __init__(self) -> None:
        self._open: list[tuple[Mapping[str, str], list[Node]]] = []
        self._count = 0
        self._root: Node | None = None

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        self._count += 1
        if tag not in ("hierarchy", "node") or (tag == "hierarchy") != (not self._open):
            raise BadScreen(f"the UI dump has an element {tag[:40]!r} where none belongs")
        if len(self._open) >= MAX_DEPTH or self._count > MAX_NODES:
            raise BadScreen(f"the UI dump is deeper than {MAX_DEPTH} or has more than {MAX_NODES} nodes")
        self._open.append((attrib, []))

    def end(self, tag: str) -> None:
        attrib, children = self._open.pop()
        node = _node(attrib, tuple(children))
        if self._open:
            self._open[-1][1].append(node)
        else:
            self._root = node

    def screen(self) -> Screen:
        if self._root is None:
            raise BadScreen("the UI dump is empty")
        if not self._root.children:
            raise BadScreen("the UI dump shows no window")
        return Screen(root=self._root)


def _node(attrib: Mapping[str, str], children: tuple[Node, ...]) -> Node:
    return Node(
        text=attrib.get("text", ""),
        resource_id=attrib.get("resource-id", ""),
        cls=attrib.get("class", ""),
        package=attrib.get("package", ""),
        desc=attrib.get("content-desc", ""),
        bounds=_bounds(attrib.get("bounds", "")[:_LONGEST_BOUNDS]),
        flags=_flags(*[attrib.get(flag) == "true" for flag in FLAGS]),
        children=children,
    )


@lru_cache(maxsize=1_024)
def _flags(*set_: bool) -> frozenset[str]:
    """Most nodes have one of a few sets."""
    return frozenset(flag for flag, is_set in zip(FLAGS, set_, strict=True) if is_set)


@lru_cache(maxsize=4_096)
def _bounds(text: str) -> Bounds:
    """By heart, since most nodes stand where others stood on the screens before."""
    match = _BOUNDS.fullmatch(text)
    if match is None:
        return Bounds()
    left, top, right, bottom = (int(number) for number in match.groups())
    return Bounds(left=left, top=top, right=right, bottom=bottom)
