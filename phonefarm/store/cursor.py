"""Cursors of lists: where a page ended, opaque to callers, good for the same question only.

A cursor holds the sort key of the last row and a short hash of the filters, as base64 of JSON. It is no secret and
grants nothing: whoever changes one reads from another place of the same list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from phonefarm.errors import Fault, ValidationFailed

_VERSION = 1
_LONGEST = 600


def encode(at: int, last: str, filters: Mapping[str, Any]) -> str:
    """The cursor of a page that ended at the row with sort key (``at``, ``last``)."""
    text = json.dumps([_VERSION, _mark(filters), at, last], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, filters: Mapping[str, Any]) -> tuple[int, str]:
    """The sort key. Raises ValidationFailed ``invalid_cursor`` for what ``encode`` did not make for these filters."""
    try:
        version, mark, at, last = _parts(cursor)
    except (ValueError, TypeError, binascii.Error):
        raise _bad() from None
    plain = type(at) is int and 0 <= at < 2**62 and isinstance(last, str) and len(last) <= 200
    if version != _VERSION or mark != _mark(filters) or not plain:
        raise _bad()
    return at, last


def _parts(cursor: str) -> Any:
    if len(cursor) > _LONGEST or not cursor.isascii():
        raise ValueError("too long")
    raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    found = json.loads(raw)
    if not isinstance(found, list) or "\0" in str(found[-1:]):
        raise ValueError("not a cursor")
    return found


def _mark(filters: Mapping[str, Any]) -> str:
    text = json.dumps({name: value for name, value in filters.items() if value is not None}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _bad() -> ValidationFailed:
    msg = "is not a cursor this farm gave for these filters"
    return ValidationFailed([Fault(loc=("query", "cursor"), code="invalid_cursor", msg=msg)])
