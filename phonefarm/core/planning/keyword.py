"""keyword_warmup: open the app; for each keyword search, open and watch result after result; keep a screenshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phonefarm.models.action import Action, ActionKind

Step = tuple[ActionKind, dict[str, Any]]


def plan(inputs: Mapping[str, Any]) -> tuple[Action, ...]:
    """The actions of one item, indexed from 0. ``inputs`` have their defaults filled in (contract section 4)."""
    return tuple(Action(index=i, kind=kind, params=params) for i, (kind, params) in enumerate(_steps(inputs)))


def length(inputs: Mapping[str, Any]) -> int:
    """How many actions ``plan`` gives."""
    return 2 + len(inputs["keywords"]) * (2 + 2 * int(inputs["videos_per_keyword"]))


def _steps(inputs: Mapping[str, Any]) -> Iterator[Step]:
    app = inputs["app"]
    yield ActionKind.OPEN_APP, {"app": app}
    for number, keyword in enumerate(inputs["keywords"], start=1):
        yield from _keyword(inputs, app, keyword, number)
    yield ActionKind.CLOSE_APP, {"app": app}


def _keyword(inputs: Mapping[str, Any], app: str, keyword: str, number: int) -> Iterator[Step]:
    where = {"app": app, "keyword": keyword}
    watch = inputs["watch_seconds"]
    yield ActionKind.SEARCH, dict(where)
    for rank in range(inputs["videos_per_keyword"]):
        yield ActionKind.OPEN_RESULT, {**where, "rank": rank}
        yield (
            ActionKind.WATCH,
            {**where, "rank": rank, "seconds_min": watch["min"], "seconds_max": watch["max"], "judge": inputs["judge"]},
        )
    yield ActionKind.SCREENSHOT, {**where, "name": f"keyword-{number:02d}"}
