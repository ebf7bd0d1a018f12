"""The capability registry against the table of the contract."""

from __future__ import annotations

import json

import pytest

from phonefarm.core import registry
from phonefarm.core.planning import PLANNERS
from phonefarm.models.states import Capability, Mode, Routing

pytestmark = pytest.mark.timeout(60)

TABLE = """\
| capability | manual | unattended | direct | queue | group |
|---|---|---|---|---|---|
| `keyword_warmup` | yes | yes | yes | yes | yes |
| `fyp_warmup` | yes | no: `capability_not_live_verified:fyp_warmup` | yes | yes | yes |
| `maintenance` | yes | no | no | yes | no |
"""


def test_the_table_is_rendered_from_the_data() -> None:
    assert registry.as_markdown() == TABLE


def test_every_capability_has_an_entry_and_its_planner() -> None:
    assert set(registry.REGISTRY) == set(Capability)
    for capability, entry in registry.REGISTRY.items():
        assert entry.capability is capability
        assert entry.planner is PLANNERS.get(capability)
        assert entry.available is (capability in PLANNERS)


def test_codes_of_refused_cells() -> None:
    keyword, fyp, upkeep = registry.REGISTRY.values()
    assert all(keyword.mode_code(mode) is None for mode in Mode)
    assert all(keyword.routing_code(routing) is None for routing in Routing)
    assert fyp.mode_code(Mode.UNATTENDED) == "capability_not_live_verified:fyp_warmup"
    assert upkeep.mode_code(Mode.UNATTENDED) == "unsupported_mode:maintenance:unattended"
    assert upkeep.routing_code(Routing.DIRECT) == "unsupported_routing:maintenance:direct"
    assert upkeep.routing_code(Routing.GROUP) == "unsupported_routing:maintenance:group"


@pytest.mark.parametrize("name", ["keyword", "Keyword_Warmup", "", None, 3, [], {}])
def test_unknown_names(name: object) -> None:
    assert registry.find(name) is None


def test_find() -> None:
    entry = registry.find("keyword_warmup")
    assert entry is registry.REGISTRY[Capability.KEYWORD_WARMUP]


def test_prompts_are_needed_by_data() -> None:
    keyword, fyp, upkeep = registry.REGISTRY.values()
    assert [need.needed({"judge": True}) for need in keyword.prompts] == [True]
    assert [need.needed({"judge": "true"}) for need in keyword.prompts] == [False]
    assert [need.needed({}) for need in fyp.prompts] == [True]
    assert upkeep.prompts == ()


def test_what_is_served_is_json() -> None:
    served = json.loads(json.dumps(registry.as_json()))
    assert [entry["capability"] for entry in served] == [capability.value for capability in Capability]
    assert served[1]["modes"]["unattended"] == {
        "supported": False,
        "code": "capability_not_live_verified:fyp_warmup",
    }
    assert served[0]["inputs_schema"]["required"] == ["keywords"]
    assert served[0]["prompts"] == [
        {"name": "keyword_judge", "only_if": "judge", "code_if_missing": "missing_keyword_judge_prompt"}
    ]
