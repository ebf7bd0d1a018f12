"""Values as people read them: the filters of the templates."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

#: What refusals are called on a page, by code.
TITLES: Mapping[str, str] = {
    "missing_scope": "Your key may not do this",
    "cross_site": "This form was not sent by a page of this farm",
    "unknown_phone": "There is no such phone",
    "unknown_process": "There is no such process",
    "unknown_route": "There is no such page",
    "operation_not_possible": "This cannot be done to the phone as it is now",
    "too_many_waiting": "Too many pages are open at this moment",
}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(value: float | None) -> str:
    """Bytes, in the unit that fits."""
    if value is None:
        return "unknown"
    number, unit = float(value), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_UNITS[unit]}"


def span(seconds: float | None, units: int = 2) -> str:
    """A length of time, in its largest units."""
    if seconds is None:
        return "unknown"
    whole = max(0, round(seconds))
    if whole < 1:
        return "under 1 s"
    parts = [(whole // 86_400, "d"), (whole % 86_400 // 3_600, "h"), (whole % 3_600 // 60, "min"), (whole % 60, "s")]
    first = next(at for at, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + units] if number)


def moment(value: str | None) -> datetime | None:
    """A timestamp of the API as a time."""
    return datetime.fromisoformat(value) if value else None


def clock(value: str | None) -> str:
    """A timestamp of the API as people read it, in UTC."""
    at = moment(value)
    return "never" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(value: str | None, now: float) -> str:
    """How long ago a timestamp of the API was, roughly; ``now`` in Unix seconds."""
    at = moment(value)
    if at is None:
        return "never"
    passed = now - at.timestamp()
    return f"in {span(-passed, 1)}" if passed < -1 else f"{span(passed, 1)} ago" if passed >= 1 else "just now"


def plain(value: Any) -> str:
    """A word of the program for people: ``keyword_warmup`` as keyword warmup; nothing as a dash."""
    return "-" if value in (None, "") else str(value).replace("_", " ")


def segment(value: str) -> str:
    """A text as one part of a path."""
    return quote(value, safe="")


def seen(value: str) -> str:
    """A name that somebody else chose, with the characters that are not seen, or turn what follows, by their number."""
    return "".join(
        f"[U+{ord(c):04X}]" if unicodedata.category(c) in _UNSEEN and c not in _JOINERS else c for c in value
    )


_UNSEEN, _JOINERS = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}, "\u200c\u200d"

FILTERS: Mapping[str, Callable[..., Any]] = {
    "size": size,
    "span": span,
    "clock": clock,
    "ago": ago,
    "plain": plain,
    "segment": segment,
    "seen": seen,
}
