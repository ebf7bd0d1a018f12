"""Actions: the only things a session can do to a phone.

The vocabulary looks and reads, and keeps phones in order. It has no action that likes, follows, comments,
messages, posts or creates anything, so neither a caller nor a judge can ask for one (contract section 9). The one
action that changes an account, ``edit_profile``, writes what an operator asked for, word by word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ActionKind(StrEnum):
    """``params`` of each kind, as the planners write them and the executor reads them:

    ============  =====================================================================================
    open_app      ``{app}``
    search        ``{app, keyword}``
    open_result   ``{app, keyword, rank}``; rank from 0
    watch         ``{app, keyword, rank, seconds_min, seconds_max, judge}``
    screenshot    ``{app, keyword, name}``; name is the artifact's stem, unique in its item
    close_app     ``{app}``; leaves the phone at its home screen
    feed_video    ``{app, number, interests, seconds_min, seconds_max, skip_min, skip_max, judge}``: the next
                  video of the feed (the one that is shown for number 0), judged, then watched or skipped
    ============  =====================================================================================

    The others are steps of upkeep. Their params are those of the step (``models.requests_maintenance``) and
    ``step``, its index; those that make a file have ``name`` too, the artifact's stem.
    """

    OPEN_APP = "open_app"
    SEARCH = "search"
    OPEN_RESULT = "open_result"
    WATCH = "watch"
    SCREENSHOT = "screenshot"
    CLOSE_APP = "close_app"
    FEED_VIDEO = "feed_video"
    HEALTH_CHECK = "health_check"
    COLLECT_DIAGNOSTICS = "collect_diagnostics"
    RESTART_APP = "restart_app"
    CLEAR_APP_CACHE = "clear_app_cache"
    FREE_STORAGE = "free_storage"
    INSTALL_APP = "install_app"
    UPDATE_SETTINGS = "update_settings"
    REBOOT = "reboot"
    EDIT_PROFILE = "edit_profile"


#: Doing one of these twice may leave the phone otherwise than doing it once. So it is durable that one has started
#: before the phone is touched, and one that was started and never heard of again is not done again.
NOT_REPEATABLE = frozenset({ActionKind.INSTALL_APP, ActionKind.REBOOT, ActionKind.EDIT_PROFILE})

REPEATABLE: Mapping[ActionKind, bool] = {kind: kind not in NOT_REPEATABLE for kind in ActionKind}


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One step of an item's plan. ``index`` is its place in the whole plan, the same in every attempt."""

    index: int
    kind: ActionKind
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        return REPEATABLE[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file an action made: kept by the manager, served under ``/processes/{id}/artifacts/{name}``."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionResult:
    """What an action found. ``output`` is JSON; ``skipped`` says why nothing was done, else None."""

    output: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A judge's answer about one video; ``relevant`` None with ``error`` set when the judge failed. ``flagged``: what
    whoever reads it should know of the text it is about."""

    relevant: bool | None
    score: float | None = None
    reason: str | None = None
    judge: str = "lexical"
    prompt: Mapping[str, str] | None = None
    error: str | None = None
    flagged: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The ``verdict`` object of contract section 10."""
        body: dict[str, Any] = {
            "relevant": self.relevant,
            "score": self.score,
            "reason": self.reason,
            "judge": self.judge,
            "prompt": dict(self.prompt) if self.prompt is not None else None,
        }
        more = {"error": self.error, "flagged": self.flagged}
        return body | {name: value for name, value in more.items() if value is not None}
