"""fyp_warmup: open the app; video after video of its feed, judged, then watched or skipped; keep a screenshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phonefarm.models.action import Action, ActionKind


def plan(inputs: Mapping[str, Any]) -> tuple[Action, ...]:
    """The actions of one item, indexed from 0. ``inputs`` have their defaults filled in (contract section 4)."""
    return tuple(Action(index=i, kind=kind, params=params) for i, (kind, params) in enumerate(_steps(inputs)))


def length(inputs: Mapping[str, Any]) -> int:
    """How many actions ``plan`` gives."""
    return 3 + int(inputs["max_videos"])


def _steps(inputs: Mapping[str, Any]) -> Iterator[tuple[ActionKind, dict[str, Any]]]:
    app, watch, skip = inputs["app"], inputs["watch_seconds"], inputs["skip_seconds"]
    yield ActionKind.OPEN_APP, {"app": app}
    for number in range(inputs["max_videos"]):
        yield (
            ActionKind.FEED_VIDEO,
            {
                "app": app,
                "number": number,
                "interests": list(inputs["interests"]),
                "seconds_min": watch["min"],
                "seconds_max": watch["max"],
                "skip_min": skip["min"],
                "skip_max": skip["max"],
                "judge": True,
            },
        )
    yield ActionKind.SCREENSHOT, {"app": app, "name": "feed"}
    yield ActionKind.CLOSE_APP, {"app": app}
