"""What a process found, made from the outputs of its finished actions (shapes: contract section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonefarm.models.action import ActionKind
from phonefarm.models.states import Capability

_VIDEO = ("phone_id", "at", "title", "author", "tags", "watched_seconds", "verdict")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A finished action of one item. ``item`` is the item's place in the process, ``phone_id`` where it ran."""

    item: int
    index: int
    kind: ActionKind
    phone_id: str
    params: Mapping[str, Any]
    output: Mapping[str, Any]


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


def result(capability: Capability, done: Iterable[Done], kept: Sequence[Kept]) -> dict[str, Any]:
    """The ``result`` object of a process; grows while it runs, ``{}`` before anything was found."""
    actions = sorted(done, key=lambda d: (d.item, d.index))
    if not actions and not kept:
        return {}
    body = _keyword(actions) if capability is Capability.KEYWORD_WARMUP else {}
    return {**body, "artifacts": [k.as_json() for k in kept]}


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
            entry["videos"].append({name: action.output.get(name) for name in _VIDEO})
        elif action.kind is ActionKind.SCREENSHOT:
            entry["screenshot"] = action.output.get("artifact")
    return {"keywords": list(groups.values())}
