"""The beginning of a profile, from a screen that is shown: what it is recognised by, and every selector it offers.

A selector is offered only if it names one node of the screen, by what lasts longest: id, then description, then text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import yaml

from phonefarm.devices.screen import Node, Screen

_SYSTEM = ("com.android.systemui", "android")
_SHOWN = 60
_SWIPES = """swipes:                        # in fractions of the screen: [x, y]
  list_down: {from: [0.5, 0.80], to: [0.5, 0.30], milliseconds: 300}
  list_up: {from: [0.5, 0.30], to: [0.5, 0.90], milliseconds: 300}
  next_video: {from: [0.5, 0.70], to: [0.5, 0.25], milliseconds: 200}
"""


def draft(screen: Screen, *, role: str, activity: str) -> str:
    """YAML text: a skeleton whose screen ``role`` is this one, and the selectors of all its nodes as comments."""
    package = activity.partition("/")[0]
    nodes = [node for node in screen.root.walk() if node.package not in _SYSTEM and node.package]
    offers = list(_offers(nodes, package))
    mark = next((selector for node, selector in offers if node.children and "id" in selector), None)
    mark = mark or next((selector for _, selector in offers), {"class": nodes[0].cls if nodes else "?"})
    lines = [
        f"name: {_flow(package.rpartition('.')[2])}",
        f"package: {_flow(package)}",
        f"activity: {_flow(activity)}",
        "",
        "screens:                       # record the others too: feed, search, results, player",
        f"  {role}: {_flow(mark)}",
        "",
        f"# what {role} offers; give what you need a name under elements or facts:",
        *(f"#   {_flow(selector):<60} {_described(node)}" for node, selector in offers),
        "elements: {}",
        "facts: {}",
        "",
        _SWIPES,
    ]
    return "\n".join(lines)


def _offers(nodes: list[Node], package: str) -> Iterator[tuple[Node, dict[str, str]]]:
    counts = [Counter(getattr(node, name) for node in nodes) for name in ("resource_id", "desc", "text")]
    for node in nodes:
        ids, descs, texts = counts
        if node.resource_id and ids[node.resource_id] == 1:
            yield node, {"id": node.resource_id.removeprefix(f"{package}:id/")}
        elif node.desc and descs[node.desc] == 1:
            yield node, {"desc": node.desc}
        elif node.text and texts[node.text] == 1:
            yield node, {"text": node.text}


def _described(node: Node) -> str:
    words = [node.cls.rpartition(".")[2], *(flag for flag in ("clickable", "scrollable") if flag in node.flags)]
    text = node.text or node.desc
    return " ".join(words) + (f' "{" ".join(text.split())[:_SHOWN]}"' if text else "")


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
    return text.removesuffix("\n...").removesuffix("...").strip()
