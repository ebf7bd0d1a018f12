"""maintenance: the steps as they were asked for, one action each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phonefarm.models.action import Action, ActionKind

#: Steps that leave a file.
_FILES = frozenset({ActionKind.SCREENSHOT, ActionKind.COLLECT_DIAGNOSTICS})


def plan(inputs: Mapping[str, Any]) -> tuple[Action, ...]:
    """The actions of one item: action n is step n. ``inputs`` have their defaults filled in."""
    return tuple(_action(index, step) for index, step in enumerate(inputs["steps"]))


def length(inputs: Mapping[str, Any]) -> int:
    """How many actions ``plan`` gives."""
    return len(inputs["steps"])


def _action(index: int, step: Mapping[str, Any]) -> Action:
    kind = ActionKind(step["action"])
    name = {"name": f"step-{index + 1:02d}"} if kind in _FILES else {}
    return Action(index=index, kind=kind, params={**step["params"], **name, "step": index})
