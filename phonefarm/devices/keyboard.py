"""How a text gets into a field: by ``input text``, or by the ADB keyboard where that cannot say it. Pure.

Theory of operation
-------------------
``input text`` writes what the phone's key map has: printable ASCII. ``%s`` is its word for a blank, so a literal
``%s`` cannot be said. Everything else goes to an input method that takes base64 in a broadcast (``ADB_INPUT_B64``);
the one that was set before is put back afterwards. Control characters are refused: a line break would send the
field off.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from phonefarm.errors import ActionError

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
_LITERAL = "%s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Typing:
    """``argv`` writes the text; ``keyboard``: only while the ADB keyboard is set."""

    argv: tuple[str, ...]
    keyboard: bool


def plan_typing(text: str, *, prefer_keyboard: bool = False) -> Typing:
    """The command that types ``text``. Raises ActionError for control characters and lone surrogates."""
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise ActionError("the text holds control characters, which cannot be typed")
    plain = text.isascii() and _LITERAL not in text
    if plain and not prefer_keyboard:
        return Typing(argv=("input", "text", text.replace(" ", "%s")), keyboard=False)
    encoded = base64.b64encode(text.encode()).decode()
    return Typing(argv=("am", "broadcast", "-a", "ADB_INPUT_B64", "--es", "msg", encoded), keyboard=True)


def previous_method() -> tuple[str, ...]:
    """Asks which input method is set."""
    return ("settings", "get", "secure", "default_input_method")


def use_method(name: str) -> tuple[tuple[str, ...], ...]:
    """Sets an input method."""
    return ("ime", "enable", name), ("ime", "set", name)
