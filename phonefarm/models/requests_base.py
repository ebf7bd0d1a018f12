"""What all request bodies are made of: strict objects, bounded texts, points in time.

Strict means: no text is taken for a number, no unknown field is ignored, nothing can be changed afterwards.
Rules that pydantic does not know raise ``PydanticCustomError`` whose type is the code callers see.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from phonefarm.models.clock import rfc3339

LONGEST_NAME = 200
MOST_IDS = 1_000
_MOST_RAW_IDS = 10 * MOST_IDS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


class Body(BaseModel):
    """A JSON object of a request."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("too_short", "must not be blank")
    return text


def parse_time(value: object) -> int | None:
    """RFC 3339 text to milliseconds since the epoch, None for None. Raises PydanticCustomError."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "must be an RFC 3339 timestamp, such as 2026-11-23T09:30:00Z")
    found = _RFC3339.fullmatch(value)
    if found is None:
        raise _bad_time()
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    milliseconds = int((found[7] or "0").ljust(3, "0")[:3])
    try:
        shift = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
        zone = timezone(-shift if found[8] == "-" else shift)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return (moment - _EPOCH) // timedelta(milliseconds=1) + milliseconds
    except (ValueError, OverflowError):
        raise _bad_time() from None


def _bad_time() -> PydanticCustomError:
    return PydanticCustomError("invalid_timestamp", "must be an RFC 3339 timestamp, such as 2026-11-23T09:30:00Z")


def _bounded(value: object) -> object:
    """Refuse a list of ids that is far too long before looking at its entries."""
    if isinstance(value, list) and len(value) > _MOST_RAW_IDS:
        raise _too_many()
    return value


def _distinct(ids: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(ids))
    if len(kept) > MOST_IDS:
        raise _too_many()
    return kept


def _too_many() -> PydanticCustomError:
    return PydanticCustomError("too_long", f"must hold at most {MOST_IDS} different ids")


DateTimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
#: 1 to 200 characters, not all of them blanks.
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_not_blank)]
#: Milliseconds since the epoch, written as RFC 3339.
Moment = Annotated[int | None, BeforeValidator(parse_time, json_schema_input_type=DateTimeText | None)]
#: RFC 3339 text, kept as UTC with milliseconds.
Timestamp = Annotated[DateTimeText, AfterValidator(lambda text: rfc3339(parse_time(text)))]
#: Up to 1000 different ids; repeated ones are dropped.
Ids = Annotated[
    tuple[Name, ...],
    Field(strict=False),
    AfterValidator(_distinct),
    BeforeValidator(_bounded, json_schema_input_type=list[Name]),
]
Metadata = dict[str, Any]


class Callback(Body):
    """Where ``process.updated`` events go."""

    url: Annotated[str, Field(description="http or https; private and loopback addresses only if the farm lists them")]
    metadata: Metadata = Field(default={})


class RequestedBy(Body):
    """Who asks. ``system`` is part of the idempotency key, so it must be stable."""

    system: Name
    user: Name | None = None
    metadata: Metadata = Field(default={})


class RequestOptions(Body):
    """When and how often to try."""

    priority: int = Field(default=5, ge=0, le=9, description="9 first")
    not_before: Moment = None
    expires_at: Moment = Field(default=None, description="not started by then: failed_terminal with error `expired`")
    max_attempts: int = Field(default=3, ge=1, le=10)

    @field_validator("expires_at")
    @classmethod
    def _after_not_before(cls, value: int | None, info: ValidationInfo) -> int | None:
        earliest = info.data.get("not_before")
        if value is not None and earliest is not None and value <= earliest:
            raise PydanticCustomError("out_of_range", "must be later than not_before")
        return value
