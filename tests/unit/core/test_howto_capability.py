"""The code of docs/howto-capability.md, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from phonefarm.core import registry
from phonefarm.models.action import ActionKind
from phonefarm.models.states import Capability, Mode, Routing

pytestmark = pytest.mark.timeout(60)

PAGE = Path(__file__).parents[3] / "docs" / "howto-capability.md"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the page's code defines."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


def test_its_inputs_are_checked_and_filled(page: dict[str, Any]) -> None:
    inputs = page["ScreensInputs"]
    assert inputs.model_validate({}).model_dump() == {"screens": 3, "max_minutes": 5, "app": None}
    for bad in ({"screens": 0}, {"screens": "3"}, {"like": True}):
        with pytest.raises(ValidationError):
            inputs.model_validate(bad)


def test_its_planner_is_pure_and_uses_the_vocabulary(page: dict[str, Any]) -> None:
    inputs = {"screens": 2, "max_minutes": 5, "app": "feed"}
    actions = page["plan"](inputs)
    assert actions == page["plan"](dict(inputs))
    assert [action.index for action in actions] == list(range(6))
    kinds = [action.kind for action in actions]
    assert (kinds[0], kinds[-1]) == (ActionKind.OPEN_APP, ActionKind.CLOSE_APP)
    assert kinds.count(ActionKind.SCREENSHOT) == 2


def test_its_entry_is_all_that_validation_and_docs_need(page: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    entry = page["entry"](Capability.FYP_WARMUP)
    assert entry.available
    assert entry.mode_code(Mode.MANUAL) is None
    assert entry.mode_code(Mode.UNATTENDED) == "unsupported_mode:fyp_warmup:unattended"
    assert all(entry.routing_code(routing) is None for routing in Routing)
    monkeypatch.setattr(registry, "REGISTRY", {Capability.FYP_WARMUP: entry})
    (shown,) = registry.as_json()
    assert shown["inputs_schema"]["properties"]["screens"]["maximum"] == 20
    assert "yes" in registry.as_markdown()
