"""Actions: the only things a session can do to a phone.

The vocabulary looks and reads. It has no action that likes, follows, comments, messages, posts or creates
anything, so neither a caller nor a judge can ask for one (contract section 9).
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
    ============  =====================================================================================
    """

    OPEN_APP = "open_app"
    SEARCH = "search"
    OPEN_RESULT = "open_result"
    WATCH = "watch"
    SCREENSHOT = "screenshot"
    CLOSE_APP = "close_app"


#: Doing one of these twice leaves the phone as doing it once would, so a crash may repeat them.
REPEATABLE: Mapping[ActionKind, bool] = {
    ActionKind.OPEN_APP: True,
    ActionKind.SEARCH: True,
    ActionKind.OPEN_RESULT: True,
    ActionKind.WATCH: True,
    ActionKind.SCREENSHOT: True,
    ActionKind.CLOSE_APP: True,
}


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
    """A judge's answer about one video; ``relevant`` None with ``error`` set when the judge failed."""

    relevant: bool | None
    score: float | None = None
    reason: str | None = None
    judge: str = "lexical"
    prompt: Mapping[str, str] | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The ``verdict`` object of contract section 10."""
        body: dict[str, Any] = {
            "relevant": self.relevant,
            "score": self.score,
            "reason": self.reason,
            "judge": self.judge,
            "prompt": dict(self.prompt) if self.prompt is not None else None,
        }
        return body if self.error is None else {**body, "error": self.error}
