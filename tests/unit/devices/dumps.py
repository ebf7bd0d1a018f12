"""Dumps with the oddities of real ones, written for these tests: name -> (dump, what must be read from it).

What must be read: how many nodes, which texts and descriptions stand anywhere, and how many nodes have no size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

_HEAD = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dump:
    """A dump as a phone gives it, and what stands in it."""

    xml: str
    nodes: int
    texts: tuple[str, ...] = ()
    empty: int = 0


def node(inner: str = "", *, bounds: str = "[0,0][1080,2400]", **attributes: str) -> str:
    """One element; keywords are attributes, with ``_`` for ``-`` and ``cls`` for ``class``."""
    values = {"index": "0", "package": "com.x", **attributes}
    named = (("class" if name == "cls" else name.replace("_", "-"), value) for name, value in values.items())
    words = " ".join(f'{name}="{escape(value, quote=True)}"' for name, value in named)
    return f'<node {words} bounds="{bounds}">{inner}</node>'


def dump(inner: str, rotation: int = 0) -> str:
    """A whole dump."""
    return f'{_HEAD}<hierarchy rotation="{rotation}">{inner}</hierarchy>'


def nested(levels: int) -> str:
    """One node inside the other."""
    made = node(text="deepest")
    for _ in range(levels - 1):
        made = node(made)
    return made


def _text(text: str) -> Dump:
    return Dump(xml=dump(node(node(text=text))), nodes=2, texts=(text,))


def _bounds(bounds: str, empty: int) -> Dump:
    return Dump(xml=dump(node(node(text="odd", bounds=bounds))), nodes=2, texts=("odd",), empty=empty)


DUMPS: Mapping[str, Dump] = {
    "plain": _text("hello"),
    "rtl hebrew": _text("שלום עולם"),
    "rtl arabic with digits": _text("مرحبا 123 يا"),
    "bidi marks": _text("a\u202eb\u202c c\u200f"),
    "emoji": _text("🐈 📱"),
    "emoji of several code points": _text("👩\u200d👩\u200d👧\u200d👦 🇩🇪 👍🏽"),
    "combining marks": _text("Z\u0351a\u0308l\u0334go"),
    "cjk": _text("東京の料理 — 맛집"),
    "zero width": _text("a\u200bb\ufeffc"),
    "markup in a text": _text("<b>bold</b> & \"quoted\" 'too'"),
    "something like xml": _text("</hierarchy><node text='x'/>"),
    "a path and a dollar": _text("$(reboot) `id` ; rm -rf /"),
    "a text of 20,000 characters": _text("long " * 4000 + "end"),
    "line breaks": Dump(
        xml=dump(node(text="A").replace('"A"', '"one&#10;two&#13;&#9;"')), nodes=1, texts=("one\ntwo",)
    ),
    "numeric entities": Dump(xml=dump(node(text="A").replace('"A"', '"&#128008;&#x41;"')), nodes=1, texts=("🐈A",)),
    "control characters": Dump(xml=dump(node(text="a\x01b\x1bc\x85")), nodes=1, texts=("abc",)),
    "no bounds at all": Dump(xml=dump(node().replace("bounds", "bonds")), nodes=1, empty=1),
    "empty bounds": _bounds("[0,0][0,0]", 1),
    "bounds turned over": _bounds("[500,600][400,500]", 1),
    "a line of no height": _bounds("[0,100][1080,100]", 1),
    "off-screen to the left": _bounds("[-1080,0][0,2400]", 0),
    "off-screen below": _bounds("[0,2400][1080,4800]", 0),
    "bounds that are no numbers": _bounds("[a,b][c,d]", 1),
    "bounds larger than can be": _bounds("[0,0][99999999999,1]", 1),
    "nested scrollables": Dump(
        xml=dump(node(node(node(node(text="card"), scrollable="true"), scrollable="true"), scrollable="true")),
        nodes=4,
        texts=("card",),
    ),
    "two windows": Dump(xml=dump(node(text="app") + node(text="dialog", package="android")), nodes=2, texts=("app",)),
    "three windows, one of the keyboard": Dump(
        xml=dump(node(text="app") + node(cls="IME", content_desc="keyboard") + node()), nodes=3, texts=("keyboard",)
    ),
    "a web view": Dump(
        xml=dump(node(node(node(text="", content_desc="Article"), cls="android.webkit.WebView", NAF="true"))),
        nodes=3,
        texts=("Article",),
    ),
    "attributes of newer Androids": Dump(
        xml=dump(node(text="x", hint="say", drawing_order="3", display_id="0", pane_title="p")), nodes=1, texts=("x",)
    ),
    "attributes missing": Dump(xml=f"{_HEAD}<hierarchy><node/></hierarchy>", nodes=1, empty=1),
    "turned on its side": Dump(xml=dump(node(text="wide", bounds="[0,0][2400,1080]"), 1), nodes=1, texts=("wide",)),
    "the same id many times": Dump(
        xml=dump(node("".join(node(resource_id="com.x:id/row", text=f"r{n}") for n in range(40)))),
        nodes=41,
        texts=("r0", "r39"),
    ),
    "words before it": Dump(xml="WARNING: linker: libx\n" + dump(node(text="x")), nodes=1, texts=("x",)),
    "words after it": Dump(xml=dump(node(text="x")) + "UI hierchary dumped to: /dev/tty\n", nodes=1, texts=("x",)),
    "140 levels": Dump(xml=dump(nested(140)), nodes=140, texts=("deepest",)),
    "5,000 nodes": Dump(
        xml=dump(node("".join(node(node(text=f"t{n}")) for n in range(2500)))), nodes=5001, texts=("t0", "t2499")
    ),
}
