"""How many actions a plan has, told without making it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.planning import LENGTHS, length, plan
from phonefarm.models.states import Capability

pytestmark = pytest.mark.timeout(60)

WATCH = {"min": 1, "max": 2}
KEYWORD = st.fixed_dictionaries(
    {
        "app": st.just("feed"),
        "judge": st.booleans(),
        "keywords": st.lists(st.text(max_size=3), max_size=5),
        "videos_per_keyword": st.integers(0, 6),
        "watch_seconds": st.just(WATCH),
    }
)
FYP = st.fixed_dictionaries(
    {
        "app": st.just("feed"),
        "interests": st.just([]),
        "max_videos": st.integers(0, 9),
        "watch_seconds": st.just(WATCH),
        "skip_seconds": st.just(WATCH),
    }
)
STEPS = st.lists(
    st.sampled_from([{"action": "reboot", "params": {}}, {"action": "screenshot", "params": {}}]), max_size=6
)
INPUTS: dict[Capability, st.SearchStrategy[dict[str, Any]]] = {
    Capability.KEYWORD_WARMUP: KEYWORD,
    Capability.FYP_WARMUP: FYP,
    Capability.MAINTENANCE: st.fixed_dictionaries({"steps": STEPS}),
}


@pytest.mark.parametrize("capability", list(LENGTHS))
@given(data=st.data())
def test_it_is_the_number_of_the_plan_s_actions(capability: Capability, data: st.DataObject) -> None:
    inputs = data.draw(INPUTS[capability])
    assert length(capability, inputs) == len(plan(capability, inputs))


def test_a_planner_that_cannot_tell_is_asked_for_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phonefarm.core.planning.LENGTHS", {})
    inputs = {"steps": [{"action": "reboot", "params": {}}] * 3}
    assert length(Capability.MAINTENANCE, inputs) == 3
