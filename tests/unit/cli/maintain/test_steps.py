"""Steps as they are written on a command line."""

from __future__ import annotations

from typing import Any

import pytest

from phonefarm.cli.maintain.steps import parse_steps
from phonefarm.errors import ConfigError

pytestmark = pytest.mark.timeout(30)
SETTING = {"namespace": "system", "name": "font_scale", "value": "1.0"}


@pytest.mark.parametrize(
    ("word", "params"),
    [
        ("reboot", {}),
        ("free_storage", {"target_mib": 2048}),
        ("free_storage:target_mib=4096", {"target_mib": 4096}),
        ("restart_app:app=reader", {"app": "reader"}),
        ("install_app:file=a.apk,allow_downgrade=true", {"file": "a.apk", "allow_downgrade": True}),
        ('update_settings:{"settings": [{"namespace": "system", "name": "font_scale", "value": "1.0"}]}',
         {"settings": [SETTING]}),
    ],
)  # fmt: skip
def test_a_step_with_its_params(word: str, params: dict[str, Any]) -> None:
    assert parse_steps([word, "health_check"]) == (
        {"action": word.partition(":")[0], "params": params},
        {"action": "health_check", "params": {}},
    )


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("rebot", "did you mean 'reboot'"),
        ("like", "the steps are health_check"),
        ("reboot:now=1", "now: "),
        ("free_storage:4096", "name=value"),
        ("free_storage:target_mib=much", "target_mib: "),
        ("free_storage:{", "not JSON"),
        ("free_storage:[1]", "name=value"),
        ("install_app", "file: "),
        ("install_app:file=../a.apk", "file: "),
        ("edit_profile:bio=x", "belong to one account"),
    ],
)
def test_a_wrong_step_is_named_before_any_phone_is_touched(word: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_steps([word])
    assert f"--step {word.partition(':')[0]}" in caught.value.message
    assert words in caught.value.message


def test_no_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one --step"):
        parse_steps([])
