"""Query parameters: read strictly, each with its own fault."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic_core import PydanticCustomError

from phonefarm.errors import Fault as _Fault
from phonefarm.errors import ValidationFailed
from phonefarm.models.requests_base import LONGEST_NAME, parse_time
from phonefarm.serve.endpoint import Query

MOST, DEFAULT = 200, 50
LIMIT = Query(name="limit", schema={"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT})
CURSOR = Query(name="cursor", schema={"type": "string", "maxLength": 600}, text="`next_cursor` of the page before")
_NUMBER = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


def fault(name: str, code: str, msg: str) -> ValidationFailed:
    """What is wrong with one parameter."""
    return ValidationFailed([_Fault(loc=("query", name), code=code, msg=msg)])


def limit_of(query: dict[str, str]) -> int:
    return whole_number(query, "limit", 1, MOST, DEFAULT)


def whole_number(query: dict[str, str], name: str, least: int, most: int, default: int) -> int:
    """An integer within bounds. Raises ValidationFailed."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise fault(name, "wrong_type", "must be an integer")
    if len(text) > 9 or not least <= int(text) <= most:
        raise fault(name, "out_of_range", f"must be {least} to {most}")
    return int(text)


def seconds_of(query: dict[str, str], name: str, most: float) -> float | None:
    """Seconds, decimals allowed, None if not given. Raises ValidationFailed."""
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise fault(name, "wrong_type", "must be a number of seconds")
    if float(text) > most:
        raise fault(name, "out_of_range", f"must be 0 to {most:g}")
    return float(text)


def choice_of(query: dict[str, str], name: str, choices: Iterable[str]) -> str | None:
    text, known = query.get(name), tuple(choices)
    if text is not None and text not in known:
        raise fault(name, "invalid_choice", f"must be one of {', '.join(known)}")
    return text


def name_filter(query: dict[str, str], name: str) -> str | None:
    """A name to filter by. Raises ValidationFailed for what can be nobody's."""
    text = query.get(name)
    if text is not None and (not text.strip() or "\0" in text):
        raise fault(name, "too_short", "must not be blank")
    if text is not None and len(text) > LONGEST_NAME:
        raise fault(name, "too_long", f"must have at most {LONGEST_NAME} characters")
    return text


def time_of(query: dict[str, str], name: str) -> int | None:
    """A point in time, in ms since the epoch."""
    try:
        return parse_time(query.get(name))
    except PydanticCustomError as error:
        raise fault(name, error.type, "must be an RFC 3339 timestamp, such as 2026-11-23T09:30:00Z") from None
