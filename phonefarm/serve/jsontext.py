"""Bytes to a JSON object, strictly: what two parsers could read differently is refused.

Refused are invalid UTF-8, duplicate keys, NaN and infinities (spelt out or by overflow), integers beyond 64 bits,
NUL characters, lone surrogates, more than 64 levels, and anything but an object at the top. The text is parsed
once, by the C parser; the result is walked only if the bytes hint at something the parser cannot see.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from phonefarm.errors import Fault, ValidationFailed

MOST_LEVELS = 64
_LONGEST_INTEGER = 20
_BIGGEST = 2**63 - 1


class _Refused(ValueError):
    """Why, in words that repeat nothing of the text."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object that ``raw`` holds. Raises ValidationFailed with code ``invalid_json``."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
        if not isinstance(value, dict):
            raise _Refused("the top level must be an object")
        if _suspicious(raw):
            _walk(value)
        return value
    except UnicodeDecodeError:
        raise _invalid("must be UTF-8") from None
    except json.JSONDecodeError as error:
        raise _invalid(f"is not JSON, see line {error.lineno} column {error.colno}") from None
    except _Refused as error:
        raise _invalid(str(error)) from None
    except RecursionError:
        raise _invalid(f"must not have more than {MOST_LEVELS} levels") from None


def _invalid(why: str) -> ValidationFailed:
    return ValidationFailed([Fault(loc=(), code="invalid_json", msg=f"the body {why}")])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("must not repeat a key within an object")
    return found


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= _LONGEST_INTEGER else _BIGGEST + 1
    if abs(value) > _BIGGEST:
        raise _Refused("must not hold integers of more than 64 bits")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _Refused("must not hold numbers beyond the range of a double")
    return value


def _constant(_: str) -> NoReturn:
    raise _Refused("must not hold NaN or Infinity")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


def _suspicious(raw: bytes) -> bool:
    """Whether the text could hold a NUL, a surrogate or too many levels; False for nearly all that is sent."""
    if raw.count(b"{") + raw.count(b"[") > MOST_LEVELS:
        return True
    return b"\\u" in raw and any(hint in raw for hint in (b"\\u0000", b"\\ud", b"\\uD"))


def _walk(value: Any) -> None:
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        part, level = todo.pop()
        if isinstance(part, str):
            _check_text(part)
        elif isinstance(part, dict | list):
            if level > MOST_LEVELS:
                raise _Refused(f"must not have more than {MOST_LEVELS} levels")
            if isinstance(part, dict):
                todo.extend((key, level) for key in part)
            todo.extend((entry, level + 1) for entry in (part.values() if isinstance(part, dict) else part))


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _Refused("must not hold NUL characters")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Refused("must not hold lone surrogates")
