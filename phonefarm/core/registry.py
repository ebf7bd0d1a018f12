"""The capability registry: what each capability allows and needs, as data.

Validation reads it, ``GET /capabilities`` serves it and the table in the docs is rendered from it, so the three
cannot disagree. A capability without a planner is known, its requests are checked, and none is accepted: it
becomes available by being given a planner, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from phonefarm.core.planning import PLANNERS, Planner
from phonefarm.models.action import REPEATABLE, ActionKind
from phonefarm.models.requests_inputs import FypInputs, KeywordInputs, MaintenanceInputs
from phonefarm.models.requests_maintenance import STEPS
from phonefarm.models.states import Capability, Mode, Routing


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a mode or a routing is not offered. ``code`` None stands for the plain ``unsupported_…`` code."""

    msg: str
    code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptNeed:
    """A prompt under ``inputs.prompts``. ``only_if``: the input that must be true for it to be needed, None: always."""

    name: str
    code: str
    msg: str
    only_if: str | None = None

    def needed(self, inputs: Mapping[str, Any]) -> bool:
        return self.only_if is None or inputs.get(self.only_if) is True


@dataclass(frozen=True, kw_only=True, slots=True)
class CapabilityEntry:
    """One capability. A mode or routing without a refusal is offered."""

    capability: Capability
    summary: str
    result: str
    inputs: type[BaseModel]
    planner: Planner | None
    prompts: tuple[PromptNeed, ...] = ()
    steps: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    refused_modes: Mapping[Mode, Refusal]
    refused_routings: Mapping[Routing, Refusal]

    @property
    def available(self) -> bool:
        return self.planner is not None

    def mode_code(self, mode: Mode) -> str | None:
        """The code for a mode that is not offered, None for one that is."""
        refusal = self.refused_modes.get(mode)
        if refusal is None:
            return None
        return refusal.code or f"unsupported_mode:{self.capability.value}:{mode.value}"

    def routing_code(self, routing: Routing) -> str | None:
        """The code for a routing that is not offered, None for one that is."""
        refusal = self.refused_routings.get(routing)
        if refusal is None:
            return None
        return refusal.code or f"unsupported_routing:{self.capability.value}:{routing.value}"


def _entry(capability: Capability, **values: Any) -> tuple[Capability, CapabilityEntry]:
    defaults: dict[str, Any] = {"refused_modes": {}, "refused_routings": {}, "planner": PLANNERS.get(capability)}
    return capability, CapabilityEntry(capability=capability, **{**defaults, **values})


REGISTRY: Mapping[Capability, CapabilityEntry] = dict(
    (
        _entry(
            Capability.KEYWORD_WARMUP,
            summary="For each keyword: open the app, search, open results one by one and watch them.",
            result="keywords: per keyword and phone the videos seen, with verdicts, and a screenshot.",
            inputs=KeywordInputs,
            prompts=(
                PromptNeed(
                    name="keyword_judge",
                    code="missing_keyword_judge_prompt",
                    msg="judge is true; give prompts.keyword_judge",
                    only_if="judge",
                ),
            ),
        ),
        _entry(
            Capability.FYP_WARMUP,
            summary="For each video of the feed: read it from the screen, ask the judge, watch or skip.",
            result="videos, each with its verdict; relevant_share of those that were judged.",
            inputs=FypInputs,
            prompts=(
                PromptNeed(
                    name="fyp_judge",
                    code="missing_fyp_judge_prompt",
                    msg="fyp_warmup asks a judge about every video; give prompts.fyp_judge",
                ),
            ),
            refused_modes={
                Mode.UNATTENDED: Refusal(
                    code="capability_not_live_verified:fyp_warmup", msg="fyp_warmup runs in manual mode only"
                )
            },
        ),
        _entry(
            Capability.MAINTENANCE,
            summary="Upkeep of a phone or an account, step by step.",
            result="steps: for each its status (done, failed, interrupted, skipped) and what it found.",
            steps=STEPS,
            inputs=MaintenanceInputs,
            refused_modes={Mode.UNATTENDED: Refusal(msg="maintenance runs in manual mode only")},
            refused_routings={
                Routing.DIRECT: Refusal(msg="maintenance is routed by queue only"),
                Routing.GROUP: Refusal(msg="maintenance is routed by queue only"),
            },
        ),
    )
)


def find(name: object) -> CapabilityEntry | None:
    """The entry of a capability by the name a caller gave, None if there is none."""
    return REGISTRY[Capability(name)] if isinstance(name, str) and name in set(Capability) else None


# -- shown -----------------------------------------------------------------------------------------


def as_json() -> list[dict[str, Any]]:
    """``GET /capabilities``: every capability with its cells, prompts and the JSON Schema of its inputs."""
    return [_shown(entry) for entry in REGISTRY.values()]


def _shown(entry: CapabilityEntry) -> dict[str, Any]:
    return {
        "capability": entry.capability.value,
        "summary": entry.summary,
        "result": entry.result,
        "available": entry.available,
        "modes": {mode.value: _cell(entry.mode_code(mode)) for mode in Mode},
        "routings": {routing.value: _cell(entry.routing_code(routing)) for routing in Routing},
        "prompts": [{"name": p.name, "only_if": p.only_if, "code_if_missing": p.code} for p in entry.prompts],
        "steps": [_step(name, model) for name, model in entry.steps.items()],
        "inputs_schema": entry.inputs.model_json_schema(),
    }


def _step(name: str, model: type[BaseModel]) -> dict[str, Any]:
    params = model.model_fields["params"].annotation
    assert params is not None
    return {
        "action": name,
        "text": model.__doc__ or "",
        "repeatable": REPEATABLE[ActionKind(name)],
        "params_schema": params.model_json_schema(),
    }


def _cell(code: str | None) -> dict[str, Any]:
    return {"supported": code is None, "code": code}


def as_markdown() -> str:
    """The table of contract section 2."""
    names = [*Mode, *Routing]
    head = ["capability", *(name.value for name in names)]
    rows = [[f"`{entry.capability.value}`", *_words(entry)] for entry in REGISTRY.values()]
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(_padded(line)) + "|\n" for line in lines)


def _padded(line: list[str]) -> Iterator[str]:
    yield from (cell if cell == "---" else f" {cell} " for cell in line)


def _words(entry: CapabilityEntry) -> Iterator[str]:
    for refusal in (*map(entry.refused_modes.get, Mode), *map(entry.refused_routings.get, Routing)):
        if refusal is None:
            yield "yes"
        else:
            yield f"no: `{refusal.code}`" if refusal.code else "no"
