"""What a process found, made from the outputs of its actions (shapes: contract section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonefarm.models.action import ActionKind
from phonefarm.models.states import Capability

_VIDEO = ("phone_id", "at", "title", "author", "tags", "watched_seconds", "verdict")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An action of one item, done or not. ``item`` is the item's place in the process, ``phone_id`` where it ran.

    ``status``: ``started, finished, failed`` or ``interrupted``; ``skipped`` says why nothing was done, else None.
    """

    item: int
    index: int
    kind: ActionKind
    phone_id: str
    params: Mapping[str, Any]
    output: Mapping[str, Any]
    status: str = "finished"
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An artifact's row, without its bytes."""

    name: str
    media_type: str
    size: int
    sha256: str
    phone_id: str
    item_id: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "media_type": self.media_type,
            "bytes": self.size,
            "sha256": self.sha256,
            "phone_id": self.phone_id,
            "queue_item_id": self.item_id,
        }


def result(
    capability: Capability, *, inputs: Mapping[str, Any], done: Iterable[Done], kept: Sequence[Kept], over: bool
) -> dict[str, Any]:
    """The ``result`` object of a process; grows while it runs, ``{}`` before anything was found.

    ``over``: the process has ended, so a step that was not reached never will be.
    """
    actions = sorted(done, key=lambda d: (d.item, d.index))
    if capability is Capability.MAINTENANCE and (actions or over):
        body = _maintenance(inputs["steps"], actions, over)
    elif not (found := [a for a in actions if a.status == "finished"]) and not kept:
        return {}
    else:
        body = _fyp(found) if capability is Capability.FYP_WARMUP else _keyword(found)
    return {**body, "artifacts": [k.as_json() for k in kept]}


def _fyp(actions: Iterable[Done]) -> dict[str, Any]:
    videos = [_video(a) for a in actions if a.kind is ActionKind.FEED_VIDEO and "title" in a.output]
    judged = [
        (v["at"], v["verdict"]["relevant"]) for v in videos if v["verdict"] and v["verdict"]["relevant"] is not None
    ]
    return {
        "videos": videos,
        "relevant_share": _share([relevant for _, relevant in judged]),
        "relevant_share_over_time": [
            {"at": at, "relevant_share": _share([relevant for _, relevant in judged[:count]])}
            for count, (at, _) in enumerate(judged, 1)
        ],
    }


def _share(relevant: Sequence[bool]) -> float | None:
    return round(sum(relevant) / len(relevant), 4) if relevant else None


def _video(action: Done) -> dict[str, Any]:
    return {name: action.output.get(name) for name in _VIDEO}


def _maintenance(steps: Sequence[Mapping[str, Any]], actions: Sequence[Done], over: bool) -> dict[str, Any]:
    """The steps that were reached; once it is over, all of them."""
    reached = {a.index: a for a in actions if over or a.status != "started"}
    phone_id = actions[-1].phone_id if actions else None
    found = [_step(index, step, reached.get(index), phone_id) for index, step in enumerate(steps)]
    return {"steps": [step for step in found if over or step["index"] in reached]}


def _step(index: int, step: Mapping[str, Any], action: Done | None, phone_id: str | None) -> dict[str, Any]:
    return {
        "index": index,
        "action": step["action"],
        "phone_id": action.phone_id if action else phone_id,
        "status": _status(action),
        "output": dict(action.output) if action else {},
    }


def _status(action: Done | None) -> str:
    """``done, failed, interrupted`` or ``skipped``."""
    if action is None or action.skipped is not None:
        return "skipped"
    return {"finished": "done", "failed": "failed"}.get(action.status, "interrupted")


def _keyword(actions: Iterable[Done]) -> dict[str, Any]:
    groups: dict[tuple[int, str], dict[str, Any]] = {}
    for action in actions:
        keyword = action.params.get("keyword")
        if keyword is None:
            continue
        entry = groups.setdefault(
            (action.item, keyword),
            {"keyword": keyword, "phone_id": action.phone_id, "videos": [], "screenshot": None},
        )
        if action.kind is ActionKind.WATCH and "title" in action.output:
            entry["videos"].append(_video(action))
        elif action.kind is ActionKind.SCREENSHOT:
            entry["screenshot"] = action.output.get("artifact")
    return {"keywords": list(groups.values())}
