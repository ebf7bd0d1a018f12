"""Each cell of the contract's table of modes and routings, each prompt that may be missing, each out-of-scope field.

The table is written here by hand, from contract section 2; the program's own stands in the capability registry.
"""

from __future__ import annotations

from typing import Any

import pytest

from phonefarm.core import registry
from phonefarm.errors import ValidationFailed
from phonefarm.models.process import Submission
from phonefarm.serve.admission import Rules, admit
from tests.contract.base import changed, fyp, maintenance, valid_keyword_request, valid_prompt

pytestmark = pytest.mark.timeout(60)

RULES = Rules(check_callback_url=lambda url: None)
BODIES = {"keyword_warmup": valid_keyword_request, "fyp_warmup": fyp, "maintenance": maintenance}
NOT_VERIFIED = "capability_not_live_verified:fyp_warmup"
MODES = {
    ("keyword_warmup", "manual"): None,
    ("keyword_warmup", "unattended"): None,
    ("fyp_warmup", "manual"): None,
    ("fyp_warmup", "unattended"): NOT_VERIFIED,
    ("maintenance", "manual"): None,
    ("maintenance", "unattended"): "unsupported_mode:maintenance:unattended",
}
ROUTINGS = {
    ("keyword_warmup", "direct"): None,
    ("keyword_warmup", "queue"): None,
    ("keyword_warmup", "group"): None,
    ("fyp_warmup", "direct"): None,
    ("fyp_warmup", "queue"): None,
    ("fyp_warmup", "group"): None,
    ("maintenance", "direct"): "unsupported_routing:maintenance:direct",
    ("maintenance", "queue"): None,
    ("maintenance", "group"): "unsupported_routing:maintenance:group",
}
TARGETS: dict[str, dict[str, Any]] = {
    "direct": {"routing": "direct", "phone_id": "VP000001"},
    "queue": {"routing": "queue"},
    "group": {"routing": "group", "phone_ids": ["VP000001"]},
}


def admitted(body: dict[str, Any]) -> Submission:
    return admit(body, RULES, process_id="p")


def refusal(body: dict[str, Any]) -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        admitted(body)
    return caught.value


@pytest.mark.parametrize(("cell", "detail"), MODES.items(), ids=lambda v: "-".join(v) if isinstance(v, tuple) else "")
def test_mode(cell: tuple[str, str], detail: str | None) -> None:
    capability, mode = cell
    body = BODIES[capability](mode=mode)
    if detail is None:
        assert admitted(body).mode == mode
        return
    refused = refusal(body)
    assert (refused.status, refused.detail, refused.problem_code) == (422, detail, detail.partition(":")[0])
    assert refused.faults[0].loc == ("mode",)


@pytest.mark.parametrize(
    ("cell", "detail"), ROUTINGS.items(), ids=lambda v: "-".join(v) if isinstance(v, tuple) else ""
)
def test_routing(cell: tuple[str, str], detail: str | None) -> None:
    capability, routing = cell
    body = BODIES[capability](target=TARGETS[routing])
    if detail is None:
        assert admitted(body).target.routing == routing
        return
    refused = refusal(body)
    assert (refused.status, refused.detail) == (422, detail)
    assert refused.faults[0].loc == ("target", "routing")


def test_the_registry_serves_this_table() -> None:
    shown = {entry["capability"]: entry for entry in registry.as_json()}
    for (capability, mode), code in MODES.items():
        assert shown[capability]["modes"][mode] == {"supported": code is None, "code": code}
    for (capability, routing), code in ROUTINGS.items():
        assert shown[capability]["routings"][routing] == {"supported": code is None, "code": code}


def test_unknown_capability() -> None:
    assert refusal(valid_keyword_request(capability="world_peace")).problem_code == "unknown_capability"


@pytest.mark.parametrize("capability", BODIES)
def test_unsupported_mode_and_routing_words(capability: str) -> None:
    assert refusal(BODIES[capability](mode="auto")).detail == f"unsupported_mode:{capability}:auto"
    refused = refusal(BODIES[capability](target={"routing": "air"}))
    assert refused.detail == f"unsupported_routing:{capability}:air"


def test_missing_fyp_judge_prompt() -> None:
    for prompts in ({}, {"fyp_judge": None}):
        assert refusal(changed(fyp(), "inputs.prompts", prompts)).detail == "missing_fyp_judge_prompt"


def test_missing_keyword_judge_prompt_only_when_judge_is_true() -> None:
    judged = valid_keyword_request(inputs={"keywords": ["a"], "judge": True})
    assert refusal(judged).detail == "missing_keyword_judge_prompt"
    assert admitted(changed(judged, "inputs.judge", False))
    assert admitted(changed(judged, "inputs.prompts", {"keyword_judge": valid_prompt()}))


@pytest.mark.parametrize("field", valid_prompt())
def test_every_field_of_a_prompt_is_needed(field: str) -> None:
    prompt = valid_prompt()
    del prompt[field]
    refused = refusal(changed(fyp(), "inputs.prompts.fyp_judge", prompt))
    assert refused.faults[0].loc == ("inputs", "prompts", "fyp_judge", field)


@pytest.mark.parametrize(
    "contract",
    [
        {"type": "nonsense"},
        {"type": "array"},
        {"properties": {"relevant": {"type": "string"}}},
        {"$ref": "#/$defs/nothing"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"reason": {"pattern": "("}}},
        {"properties": {"reason": {"pattern": "(a)\\1"}}},
        {"not": {}},
    ],
    ids=[
        "type",
        "array",
        "relevant_no_boolean",
        "dangling_ref",
        "remote_ref",
        "bad_regex",
        "back_reference",
        "nothing",
    ],
)
def test_invalid_output_contract(contract: dict[str, Any]) -> None:
    refused = refusal(changed(fyp(), "inputs.prompts.fyp_judge.output_contract", contract))
    assert refused.problem_code == "invalid_output_contract"


@pytest.mark.parametrize(
    "name", ["comment_plan", "personality", "active_skills", "randomized", "video_url", "video_file"]
)
@pytest.mark.parametrize("capability", BODIES)
def test_out_of_scope_in_inputs(capability: str, name: str) -> None:
    refused = refusal(changed(BODIES[capability](), f"inputs.{name}", ["x"]))
    assert (refused.status, refused.detail, refused.problem_code) == (422, f"out_of_scope:{name}", "out_of_scope")


@pytest.mark.parametrize("name", ["comment_plan", "personality", "active_skills", "randomized", "video_url"])
def test_out_of_scope_in_a_step(name: str) -> None:
    steps = [{"action": "edit_profile", "params": {"bio": "x", name: True}}]
    assert refusal(changed(maintenance(), "inputs.steps", steps)).detail == f"out_of_scope:{name}"


@pytest.mark.parametrize("action", ["like", "follow", "comment", "send_message", "post_video", "create_account"])
def test_out_of_scope_as_a_step(action: str) -> None:
    assert refusal(changed(maintenance(), "inputs.steps", [{"action": action}])).detail == f"out_of_scope:{action}"
