"""How long commands take, in milliseconds.

``instant`` adds nothing and is for unit tests. ``typical`` is the order of magnitude of a phone of 2024 (a fast one
where ``uiautomator dump`` is concerned; many need 2000 ms). A swipe also lasts as long as it was asked to.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

Profile = Literal["instant", "typical"]

OTHERS_MS = 15
TYPICAL_MS: Mapping[str, int] = {
    "getprop": 15,
    "input tap": 70,
    "input swipe": 100,
    "input draganddrop": 100,
    "input text": 80,
    "input keyevent": 70,
    "am start": 450,
    "am start-activity": 450,
    "monkey": 450,
    "screencap": 400,
    "uiautomator dump": 500,
    "dumpsys": 60,
    "pm install": 1500,
    "cmd package install": 1500,
}
_DURATION_AT = {"swipe": 5, "draganddrop": 5}
_DEFAULT_SWIPE_MS = 300
_FREE = frozenset({"sh", "mksh", "sleep", "yes", "env", "nohup", "timeout", "xargs", "toybox", "reboot"})


def seconds(profile: Profile, name: str, args: Sequence[str]) -> float:
    """Time to wait before ``name args`` takes effect, in seconds."""
    if profile == "instant" or name in _FREE:
        return 0.0
    keys = [" ".join([name, *args[:count]]) for count in (2, 1, 0)]
    base = next((TYPICAL_MS[key] for key in keys if key in TYPICAL_MS), OTHERS_MS)
    return (base + _swipe_ms(name, args)) / 1000


def _swipe_ms(name: str, args: Sequence[str]) -> int:
    place = _DURATION_AT.get(args[0], 0) if name == "input" and args else 0
    if not place:
        return 0
    text = args[place] if len(args) > place else str(_DEFAULT_SWIPE_MS)
    return min(int(text), 60_000) if text.isdigit() else 0
