"""pydantic's errors as ours: stable codes, words of ours, nothing of the value.

Fields of the original system that would make a phone act on content get a code of their own, wherever they stand
(contract section 9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from phonefarm.errors import Fault
from phonefarm.models.requests_maintenance import STEPS

B = TypeVar("B", bound=BaseModel)
Loc = tuple[str | int, ...]

_CODES: Mapping[str, str] = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "enum": "invalid_choice",
    "literal_error": "invalid_choice",
    "string_pattern_mismatch": "invalid_format",
    "model_attributes_type": "wrong_type",
}
_WORDS: Mapping[str, str] = {
    "missing": "this field is required",
    "extra_forbidden": "there is no such field",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_pattern_mismatch": "has a form that is not allowed here",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
}
#: Codes of ``core.prompts`` that mean the same as ours.
_SAME: Mapping[str, str] = {"invalid_type": "wrong_type", "empty_string": "too_short"}

_OUT_OF_SCOPE_NAMES = frozenset(
    {
        "active_skills",
        "create_account",
        "create_accounts",
        "device_identity",
        "personality",
        "randomize",
        "randomized",
        "video_file",
        "video_path",
        "video_url",
    }
)
_OUT_OF_SCOPE_WORDS = frozenset(
    {
        *("comment", "comments", "commenting", "reply", "replies", "dm", "dms", "message", "messages", "messaging"),
        *("follow", "follows", "following", "followers", "unfollow", "like", "likes", "liking", "share", "shares"),
        *("post", "posts", "posting", "publish", "publishing", "repost", "reposts", "upload", "uploads"),
    }
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def checked(model: type[B], value: Mapping[str, Any], loc: Loc = ()) -> tuple[B | None, list[Fault]]:
    """The body, or every fault of its shape and ranges; ``loc`` is its place in the request."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return None, [
            _fault(each["type"], (*loc, *_without_tags(each["loc"])), each["msg"], each.get("ctx", {}))
            for each in found
        ]


def _without_tags(loc: Loc) -> Loc:
    """A step of a list is one of several models; which one pydantic took it for is no place in the body."""
    return tuple(part for at, part in enumerate(loc) if not (part in STEPS and at >= 2 and loc[at - 2] == "steps"))


def _fault(kind: str, loc: Loc, msg: str, context: Mapping[str, Any]) -> Fault:
    if kind == "union_tag_not_found":
        return Fault(loc=(*loc, "action"), code="missing_field", msg=_WORDS["missing"])
    if kind == "union_tag_invalid":
        asked = str(context.get("tag", ""))
        if is_out_of_scope(asked):
            return out_of_scope((*loc, asked))
        return Fault(loc=(*loc, "action"), code="invalid_choice", msg=f"must be one of {', '.join(STEPS)}")
    name = loc[-1] if loc else None
    if kind == "extra_forbidden" and isinstance(name, str) and is_out_of_scope(name):
        return out_of_scope(loc)
    code = _CODES.get(kind) or ("wrong_type" if kind.endswith("_type") or kind == "int_from_float" else kind)
    return Fault(loc=loc, code=code, msg=_WORDS.get(kind, msg))


def out_of_scope(loc: Loc) -> Fault:
    """A field that asks for what phonefarm does not do."""
    return Fault(
        loc=loc,
        code=f"out_of_scope:{shown(loc[-1])}",
        msg="out of scope: sessions look and read, they do not act on content, accounts or identities",
    )


def is_out_of_scope(name: str) -> bool:
    """Whether a field of this name asks a phone to act: like, follow, comment, message, post and their kin."""
    if name.lower() in _OUT_OF_SCOPE_NAMES:
        return True
    return any(word.lower() in _OUT_OF_SCOPE_WORDS for word in _WORD.findall(name[:200]))


def same_codes(faults: list[Fault]) -> list[Fault]:
    """Faults of ``core.prompts`` with the codes that bodies have."""
    return [Fault(loc=f.loc, code=_SAME.get(f.code, f.code), msg=f.msg) for f in faults]


def shown(value: object) -> str:
    """A caller's word in a code of ours: only if it is a short plain name."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", value) else "other"
