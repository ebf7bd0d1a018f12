"""The tree of nodes that a screen is made of, and what is read off it: the XML dump and the node under a finger."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import quoteattr

WIDTH, HEIGHT = 1080, 2400
"""Pixels of the screen that layouts are written for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """Pixels from (left, top) up to but without (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    def contains(self, x: int, y: int) -> bool:
        """Is the pixel inside?"""
        return self.left <= x < self.right and self.top <= y < self.bottom

    @property
    def centre(self) -> tuple[int, int]:
        """The pixel in the middle."""
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2


def rect(left: int, top: int, right: int, bottom: int) -> Rect:
    """A ``Rect`` from four numbers in the order of XML bounds."""
    return Rect(left=left, top=top, right=right, bottom=bottom)


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How a node is painted: colours as ``#rrggbb``, sizes in pixels. ``art`` seeds a picture instead of a fill."""

    fill: str = ""
    ink: str = "#101418"
    size: int = 40
    radius: int = 0
    centred: bool = False
    art: str = ""
    icon: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One view. ``action`` is what a tap on it means to its app; a node without one lets the tap through."""

    cls: str
    bounds: Rect
    rid: str = ""
    text: str = ""
    desc: str = ""
    action: str = ""
    focusable: bool = False
    focused: bool = False
    scrollable: bool = False
    checkable: bool = False
    checked: bool = False
    children: "tuple[Node, ...]" = ()
    style: Style = field(default_factory=Style)

    def walk(self) -> "Iterator[Node]":
        """This node and all below it, in the order of the dump."""
        yield self
        for child in self.children:
            yield from child.walk()


def hit(root: Node, x: int, y: int) -> Node | None:
    """The node that takes a tap at (x, y): the last painted one with an action there, or None."""
    return next((node for node in reversed(list(_under(root, x, y))) if node.action), None)


def scrollable_at(root: Node, x: int, y: int) -> Node | None:
    """The innermost scrollable node at (x, y), or None."""
    return next((node for node in reversed(list(_under(root, x, y))) if node.scrollable), None)


def _under(root: Node, x: int, y: int) -> Iterator[Node]:
    if root.bounds.contains(x, y):
        yield root
        for child in root.children:
            yield from _under(child, x, y)


def scaled(node: Node, width: int, height: int) -> Node:
    """``node`` laid out for a screen of another size."""
    if (width, height) == (WIDTH, HEIGHT):
        return node
    box = node.bounds
    bounds = rect(
        box.left * width // WIDTH,
        box.top * height // HEIGHT,
        box.right * width // WIDTH,
        box.bottom * height // HEIGHT,
    )
    style = replace(node.style, size=max(node.style.size * width // WIDTH, 8))
    return replace(node, bounds=bounds, style=style, children=tuple(scaled(c, width, height) for c in node.children))


def to_xml(root: Node, package: str, rotation: int = 0) -> str:
    """The dump of ``uiautomator``, in one line."""
    head = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"
    return f'{head}<hierarchy rotation="{rotation}">{_element(root, 0, package)}</hierarchy>'


def _element(node: Node, index: int, package: str) -> str:
    box = node.bounds
    values = {
        "index": str(index),
        "text": node.text,
        "resource-id": node.rid,
        "class": node.cls,
        "package": package,
        "content-desc": node.desc,
        "checkable": _flag(node.checkable),
        "checked": _flag(node.checked),
        "clickable": _flag(bool(node.action)),
        "enabled": "true",
        "focusable": _flag(node.focusable or bool(node.action)),
        "focused": _flag(node.focused),
        "scrollable": _flag(node.scrollable),
        "long-clickable": "false",
        "password": "false",
        "selected": "false",
        "bounds": f"[{box.left},{box.top}][{box.right},{box.bottom}]",
    }
    attributes = " ".join(f"{name}={_quoted(value)}" for name, value in values.items())
    if not node.children:
        return f"<node {attributes} />"
    inner = "".join(_element(child, place, package) for place, child in enumerate(node.children))
    return f"<node {attributes}>{inner}</node>"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _quoted(text: str) -> str:
    """An attribute value in double quotes; characters that XML cannot hold become ``.``, as uiautomator does."""
    clean = "".join(char if _allowed(ord(char)) else "." for char in text)
    return quoteattr(clean, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"})


def _allowed(code: int) -> bool:
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
