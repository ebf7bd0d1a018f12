"""What reaches a terminal: text from a farm without the power to command it.

Titles, models, reasons and messages come from phones, and what stands on a phone was written by strangers. A terminal
obeys control characters wherever they stand: they can hide lines, move the cursor, set the window's title, write into
the keyboard's buffer. So every such character is shown as what it is (``\\x1b``), and so are the marks that turn the
direction of text. Line breaks, tabs and the two joiners that scripts and emoji need stay.

``Terminal`` is the only console of the program; tables and bars put their texts through ``harmless`` themselves, and
JSON goes through ``json_text``, which escapes the same characters without changing a value.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from rich.console import Console

_KEPT = frozenset("\n\t\u200c\u200d")
_POWERFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def harmless(text: str) -> str:
    """``text`` with every control and format character written out."""
    if text.isprintable():
        return text
    return "".join(_written_out(c) if _powerful(c) else c for c in text)


def json_text(value: Any) -> str:
    """JSON for people, indented; what a terminal could obey stands as an escape, so the value is the same."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(json.dumps(c)[1:-1] if _powerful(c) else c for c in text)


def _powerful(character: str) -> bool:
    return character not in _KEPT and unicodedata.category(character) in _POWERFUL


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class Terminal(Console):
    """A console whose plain strings have no power over it."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(harmless(one) if isinstance(one, str) else one for one in objects), **options)
