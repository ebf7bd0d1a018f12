"""From a good body to a submission: defaults, normal forms, options; and what the registry alone decides."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from phonefarm.core import registry
from phonefarm.core.planning import plan
from phonefarm.errors import ConfigError, Fault, ValidationFailed
from phonefarm.models.process import Submission
from phonefarm.models.states import Capability
from phonefarm.serve.admission import Rules, admit, admit_maintenance
from phonefarm.serve.desk import ServeConfig
from phonefarm.serve.faults import is_out_of_scope
from tests.contract.bad_requests import changed, valid_keyword_request, valid_prompt
from tests.farmtools import keyword_inputs

pytestmark = pytest.mark.timeout(60)

RULES = Rules(check_callback_url=lambda url: None)


def accept(body: dict[str, Any], rules: Rules = RULES) -> Submission:
    return admit(body, rules, process_id="p-1")


def refuse(body: dict[str, Any], rules: Rules = RULES) -> list[Fault]:
    with pytest.raises(ValidationFailed) as caught:
        accept(body, rules)
    return list(caught.value.faults)


def test_defaults_are_filled_in() -> None:
    found = accept(valid_keyword_request())
    expected = keyword_inputs(videos_per_keyword=5, watch_seconds={"min": 4, "max": 12})
    assert found.inputs == expected
    assert found.options.as_json() == {"priority": 5, "not_before": None, "expires_at": None, "max_attempts": 3}
    assert found.process_id == "p-1"
    assert found.key == ("keyword_warmup", "contract-tests", "bad-request-base")
    assert found.requested_by == {"system": "contract-tests", "user": None, "metadata": {}}


def test_the_farm_names_the_default_app() -> None:
    rules = Rules(check_callback_url=lambda url: None, apps=frozenset({"clips"}), default_app="clips")
    assert accept(valid_keyword_request(), rules).inputs["app"] == "clips"
    (fault,) = refuse(changed(valid_keyword_request(), "inputs.app", "feed"), rules)
    assert fault.code == "unknown_app"


def test_two_spellings_of_one_request_are_one() -> None:
    body = valid_keyword_request()
    short = changed(body, "inputs", {"keywords": ["soup"], "watch_seconds": {"min": 2, "max": 4}})
    long = changed(
        body,
        "inputs",
        {
            "watch_seconds": {"max": 4.0, "min": 2.0},
            "keywords": [" soup "],
            "judge": False,
            "prompts": {},
            "max_minutes": 15,
            "videos_per_keyword": 5,
            "app": "feed",
        },
    )
    long = changed(long, "options", {"priority": 5, "not_before": None})
    assert repr(accept(short).canonical()) == repr(accept(long).canonical())


def test_the_plan_takes_what_was_admitted() -> None:
    found = accept(valid_keyword_request())
    assert len(plan(found.capability, found.inputs)) == 14


def test_times_are_milliseconds_since_the_epoch() -> None:
    options = {"not_before": "1970-01-01T00:00:01.5Z", "expires_at": "1970-01-01t01:00:02.0009+01:00"}
    found = accept(valid_keyword_request(options=options)).options
    assert (found.not_before, found.expires_at) == (1_500, 2_000)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("inputs.videos_per_keyword", (1, 50)),
        ("inputs.max_minutes", (1, 60)),
        ("inputs.keywords", (["k"], [f"k{n}" for n in range(20)], ["k" * 100], ["日本語"])),
        ("inputs.watch_seconds", ({"min": 1, "max": 1}, {"min": 120, "max": 120}, {"min": 1.5, "max": 2})),
        ("options.priority", (0, 9)),
        ("options.max_attempts", (1, 10)),
        ("request_id", ("r", "r" * 200)),
        ("requested_by.user", (None, "me")),
    ],
)
def test_the_edges_of_a_range_are_inside(field: str, values: tuple[Any, ...]) -> None:
    for value in values:
        assert accept(changed(valid_keyword_request(), field, value))


def test_a_judge_gets_its_prompt_unchanged() -> None:
    prompt = valid_prompt()
    inputs = {"keywords": ["k"], "judge": True, "prompts": {"keyword_judge": prompt}}
    assert accept(valid_keyword_request(inputs=inputs)).inputs["prompts"] == {"keyword_judge": prompt}


def test_prompts_are_checked_by_the_rule_that_was_given() -> None:
    def strict(prompt: Mapping[str, Any], loc: tuple[str | int, ...]) -> list[Fault]:
        return [Fault(loc=(*loc, "version"), code="invalid_type", msg="no")]

    rules = Rules(check_callback_url=lambda url: None, prompt_faults=strict)
    inputs = {"keywords": ["k"], "prompts": {"keyword_judge": valid_prompt()}}
    (fault,) = refuse(valid_keyword_request(inputs=inputs), rules)
    assert (fault.code, fault.loc) == ("wrong_type", ("inputs", "prompts", "keyword_judge", "version"))


def test_the_callback_url_is_checked_by_the_rule_that_was_given() -> None:
    wrong = Fault(loc=("callback", "url"), code="forbidden_callback_address", msg="no")
    assert refuse(valid_keyword_request(), Rules(check_callback_url=lambda url: wrong)) == [wrong]


@pytest.mark.parametrize(
    ("header", "good"), [(b"bad-request-base", True), (None, True), (b"", False), (b'"bad-request-base"', False)]
)
def test_the_idempotency_key_header_equals_the_request_id(header: bytes | None, good: bool) -> None:
    expected = contextlib.nullcontext() if good else pytest.raises(ValidationFailed, match="idempotency_key_mismatch")
    with expected:
        admit(valid_keyword_request(), RULES, process_id="p", key_header=header)


def test_a_capability_without_planner_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when nothing else is wrong; by the registry's data alone, so it ends when a planner is there."""
    bare = replace(registry.REGISTRY[Capability.FYP_WARMUP], planner=None)
    monkeypatch.setattr(registry, "REGISTRY", {**registry.REGISTRY, Capability.FYP_WARMUP: bare})
    body = valid_keyword_request(capability="fyp_warmup", inputs={"prompts": {"fyp_judge": valid_prompt()}})
    (fault,) = refuse(body)
    assert fault.code == "capability_not_available:fyp_warmup"
    codes = [fault.code for fault in refuse({**body, "mode": "x"})]
    assert codes == ["unsupported_mode:fyp_warmup:x"]


STEPS: list[tuple[dict[str, Any], str, tuple[str | int, ...]]] = [
    ({"action": "nap"}, "invalid_choice", ("action",)),
    ({}, "missing_field", ("action",)),
    ({"action": 7}, "invalid_choice", ("action",)),
    ({"action": "like"}, "out_of_scope:like", ("like",)),
    ({"action": "post_video"}, "out_of_scope:post_video", ("post_video",)),
    ({"action": "edit_profile"}, "missing_field", ("params",)),
    ({"action": "edit_profile", "params": {}}, "missing_field", ("params",)),
    (
        {"action": "edit_profile", "params": {"bio": "x", "randomized": True}},
        "out_of_scope:randomized",
        ("params", "randomized"),
    ),
    (
        {"action": "edit_profile", "params": {"bio": "x", "mutation_kind": "drift"}},
        "invalid_choice",
        ("params", "mutation_kind"),
    ),
    ({"action": "reboot", "params": {"now": True}}, "unknown_field", ("params", "now")),
    ({"action": "restart_app", "params": {"app": "nothing"}}, "unknown_app", ("params", "app")),
    ({"action": "install_app", "params": {"file": "../../x.apk"}}, "invalid_format", ("params", "file")),
    (
        {
            "action": "update_settings",
            "params": {"settings": [{"namespace": "secure", "name": "android_id", "value": "1"}]},
        },
        "setting_not_allowed",
        ("params", "settings", 0),
    ),
    ({"action": "free_storage", "params": {"target_mib": 0}}, "out_of_range", ("params", "target_mib")),
]


@pytest.mark.parametrize(("step", "code", "place"), STEPS)
def test_a_bad_step_is_named_where_it_stands(step: dict[str, Any], code: str, place: tuple[str | int, ...]) -> None:
    inputs = {"steps": [{"action": "health_check"}, step]}
    body = valid_keyword_request(capability="maintenance", inputs=inputs, target={"routing": "queue"})
    (fault,) = refuse(body)
    assert (fault.code, fault.loc) == (code, ("inputs", "steps", 1, *place))


def test_steps_are_filled_with_their_defaults_and_the_farm_s_app() -> None:
    inputs = {
        "steps": [{"action": "restart_app"}, {"action": "edit_profile", "params": {"bio": "b"}}, {"action": "reboot"}]
    }
    body = valid_keyword_request(capability="maintenance", inputs=inputs, target={"routing": "queue"})
    found = admit(body, RULES, process_id="p").inputs["steps"]
    assert found == [
        {"action": "restart_app", "params": {"app": "feed"}},
        {"action": "edit_profile", "params": {"bio": "b", "mutation_kind": "operator_requested", "app": "feed"}},
        {"action": "reboot", "params": {}},
    ]


def test_a_maintenance_request_equals_an_enqueue_by_queue() -> None:
    enqueue = valid_keyword_request(
        capability="maintenance", inputs={"steps": [{"action": "reboot"}]}, target={"routing": "queue", "phone_id": "P"}
    )
    short = {name: enqueue[name] for name in ("request_id", "inputs", "callback", "requested_by")}
    first = admit(enqueue, RULES, process_id="p")
    second = admit_maintenance({**short, "phone_id": "P"}, RULES, process_id="p")
    assert (first.key, first.canonical()) == (second.key, second.canonical())


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({}, "missing_field"),
        ({"account_id": None}, "missing_field"),
        ({"account_id": "a", "phone_id": "p"}, "invalid_target:phone_id"),
    ],
)
def test_a_maintenance_request_names_an_account_or_a_phone(target: dict[str, Any], code: str) -> None:
    body = valid_keyword_request(inputs={"steps": [{"action": "reboot"}]})
    short = {name: body[name] for name in ("request_id", "inputs", "callback", "requested_by")}
    with pytest.raises(ValidationFailed) as refused:
        admit_maintenance({**short, **target}, RULES, process_id="p")
    assert [fault.code for fault in refused.value.faults] == [code]


@pytest.mark.parametrize(
    "name", ["like", "likes_per_video", "autoFollow", "comment_plan", "DM", "post_caption", "randomized", "sendMessage"]
)
def test_names_that_ask_to_act(name: str) -> None:
    assert is_out_of_scope(name)


@pytest.mark.parametrize("name", ["likely", "compost", "keyword", "position", "commentary", "followup", ""])
def test_names_that_do_not(name: str) -> None:
    assert not is_out_of_scope(name)


def test_the_farms_configuration_makes_the_rules() -> None:
    rules = ServeConfig(callbacks_allow=("127.0.0.0/8",), default_app="clips").rules()
    assert rules.check_callback_url("http://127.0.0.1:9099/") is None
    for url in ("http://10.0.0.1/", "http://10.0.0.1/", "http://10.0.0.1/" + "x" * 600):
        fault = rules.check_callback_url(url)
        assert fault is not None
        assert fault.code == "forbidden_callback_address"
    assert rules.default_app in rules.apps
    with pytest.raises(ConfigError):
        ServeConfig(callbacks_allow=("not a network",)).rules()
