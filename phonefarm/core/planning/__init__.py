"""One planner a capability: valid inputs to the list of actions of one item.

A plan is made again from the inputs whenever it is needed, so a planner must give the same actions, with the
same indices, for the same inputs: an attempt goes on where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from phonefarm.core.planning import fyp, keyword, maintenance
from phonefarm.models.action import Action
from phonefarm.models.states import Capability

Planner = Callable[[Mapping[str, Any]], tuple[Action, ...]]

PLANNERS: Mapping[Capability, Planner] = {
    Capability.KEYWORD_WARMUP: keyword.plan,
    Capability.FYP_WARMUP: fyp.plan,
    Capability.MAINTENANCE: maintenance.plan,
}

#: For those planners that can tell the length of a plan without making it: whoever accepts a request needs no more.
LENGTHS: Mapping[Capability, Callable[[Mapping[str, Any]], int]] = {
    Capability.KEYWORD_WARMUP: keyword.length,
    Capability.FYP_WARMUP: fyp.length,
    Capability.MAINTENANCE: maintenance.length,
}


def plan(capability: Capability, inputs: Mapping[str, Any]) -> tuple[Action, ...]:
    """The actions of one item of a process. KeyError for a capability that has no planner yet."""
    return PLANNERS[capability](inputs)


def length(capability: Capability, inputs: Mapping[str, Any]) -> int:
    """How many actions ``plan`` gives. KeyError as there."""
    count = LENGTHS.get(capability)
    return len(plan(capability, inputs)) if count is None else count(inputs)
