"""The ``inputs`` of each capability (contract section 4), with their limits and defaults."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from phonefarm.models.requests_base import Body, Metadata, Name
from phonefarm.models.requests_maintenance import STEPS, Step


def _plain_number(value: float) -> float:
    """2.0 as 2, so that two spellings of one number are one request."""
    return int(value) if value.is_integer() else value


def _typeable(text: str) -> str:
    """A keyword is typed into a search field, which a control character would send off."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise PydanticCustomError("invalid_characters", "must not hold control characters")
    kept = text.strip()
    if not kept:
        raise PydanticCustomError("too_short", "must not be blank")
    return kept


def _distinct(keywords: list[str]) -> list[str]:
    if len({keyword.casefold() for keyword in keywords}) < len(keywords):
        raise PydanticCustomError("duplicate_keyword", "must be distinct after trimming and case folding")
    return keywords


def _limit(most: int) -> BeforeValidator:
    """A list that is too long is refused before its entries are looked at."""

    def check(value: object) -> object:
        if not isinstance(value, list):
            raise PydanticCustomError("wrong_type", "must be a list")
        if len(value) > most:
            raise PydanticCustomError("too_long", f"must hold at most {most} entries")
        return value

    return BeforeValidator(check)


def _object(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("wrong_type", "must be an object")
    return value


class Prompt(Body):
    """What a judge is told. ``output_contract`` is a JSON Schema (2020-12) of its answer."""

    prompt_id: Name
    name: Name
    version: Name
    system_prompt: str = Field(min_length=1)
    task_prompt: str = Field(
        min_length=1,
        description="placeholders: {keyword}, {interests}, {title}, {author}, {tags}, {screen_text}",
    )
    output_contract: dict[str, Any]


#: Taken as it is; ``core.prompts.prompt_faults`` looks into it.
PromptObject = Annotated[dict[str, Any], PlainValidator(_object, json_schema_input_type=Prompt)]
Keyword = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_typeable)]
WatchBound = Annotated[float, Field(ge=1, le=120), AfterValidator(_plain_number)]
SkipBound = Annotated[float, Field(ge=0, le=30), AfterValidator(_plain_number)]


def _ordered(value: float, info: ValidationInfo) -> float:
    if value < info.data.get("min", value):
        raise PydanticCustomError("out_of_range", "must not be less than min")
    return value


class WatchSeconds(Body):
    """How long a video is watched, chosen between the two."""

    min: WatchBound
    max: WatchBound

    _check = field_validator("max")(_ordered)


class SkipSeconds(Body):
    """How long a video is shown before it is left."""

    min: SkipBound
    max: SkipBound

    _check = field_validator("max")(_ordered)


class KeywordPrompts(Body):
    keyword_judge: PromptObject | None = None


class KeywordInputs(Body):
    """For each keyword: open the app, search, open results one by one, watch."""

    keywords: Annotated[list[Keyword], Field(min_length=1, max_length=20), AfterValidator(_distinct), _limit(20)] = (
        Field(description="distinct after trimming and case folding; kept without blanks at the ends")
    )
    videos_per_keyword: int = Field(default=5, ge=1, le=50)
    watch_seconds: WatchSeconds = WatchSeconds(min=4, max=12)
    max_minutes: int = Field(default=15, ge=1, le=60)
    app: Name | None = Field(default=None, description="name of an app profile; the farm's own by default")
    judge: bool = Field(default=False, description="watch in full what the judge finds relevant, leave the rest early")
    prompts: KeywordPrompts = KeywordPrompts()


class FypPrompts(Body):
    fyp_judge: PromptObject | None = None


class FypInputs(Body):
    """For each video of the feed: read it from the screen, ask the judge, watch or skip."""

    max_videos: int = Field(default=20, ge=1, le=200)
    max_minutes: int = Field(default=15, ge=1, le=60)
    interests: Annotated[list[Keyword], Field(max_length=20), _limit(20)] = Field(default=[])
    watch_seconds: WatchSeconds = WatchSeconds(min=4, max=12)
    skip_seconds: SkipSeconds = SkipSeconds(min=1, max=2)
    app: Name | None = Field(default=None, description="name of an app profile; the farm's own by default")
    prompts: FypPrompts = FypPrompts()


MAINTENANCE_ACTIONS: tuple[str, ...] = tuple(STEPS)


class MaintenanceInputs(Body):
    """Upkeep of a phone or an account, step by step."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=50), _limit(50)]
    metadata: Metadata = Field(default={})
