"""Accepted exactly when the model says so: targets and inputs of every capability, against rules written here by hand.

The model reads contract sections 2, 3, 4 and 10 and shares no code with the program.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.errors import ValidationFailed
from phonefarm.serve.admission import Rules, admit
from tests.contract.base import valid_keyword_request, valid_prompt

pytestmark = pytest.mark.timeout(120)

RULES = Rules(check_callback_url=lambda url: None)
ABSENT: Any = object()


def pick(*good: Any, bad: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Mostly a good value, now and then a bad one or none."""
    rare = (*bad, ABSENT)
    return st.sampled_from([*good * (19 * len(rare) // len(good) + 1), *rare])


def body_of(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ABSENT}


def accepted(body: dict[str, Any]) -> bool:
    try:
        admit(body, RULES, process_id="p")
    except ValidationFailed:
        return False
    return True


def is_int(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def absent_or(value: Any, good: bool) -> bool:
    return value is ABSENT or good


# -- targets -----------------------------------------------------------------------------------------

IDS = pick("VP000001", None, None, None, bad=("", " ", 7, "x" * 201))
LISTS = pick([], [], [], ["VP000001"], ["a", "b", "a"], bad=("a", [""], [7], None, [f"p{n}" for n in range(1_001)]))
TARGETS = st.builds(
    body_of,
    routing=pick("direct", "queue", "group", bad=("air", 7, None)),
    phone_id=IDS,
    account_id=IDS,
    phone_group=pick(None, None, "rack-1", bad=("",)),
    account_group=pick(None, None, "cooks", bad=(7,)),
    phone_ids=LISTS,
    account_ids=LISTS,
)
USES = {
    "direct": {"phone_id", "account_id"},
    "queue": {"phone_id", "account_id", "phone_group", "account_group"},
    "group": {"phone_ids", "account_ids", "phone_group", "account_group"},
}


def target_is_good(target: dict[str, Any]) -> bool:
    routing = target.get("routing")
    if not isinstance(routing, str) or routing not in USES:
        return False
    given = set()
    for name, value in target.items():
        if name in ("phone_ids", "account_ids"):
            if not isinstance(value, list) or len(set(map(str, value))) > 1_000:
                return False
            if not all(isinstance(v, str) and v.strip() and len(v) <= 200 for v in value):
                return False
            given |= {name} if value else set()
        elif name != "routing":
            if value is not None and not (isinstance(value, str) and value.strip() and len(value) <= 200):
                return False
            given |= {name} if value is not None else set()
    needed = routing == "queue" or bool(given & USES[routing])
    return given <= USES[routing] and needed


@settings(max_examples=500, deadline=None)
@given(target=TARGETS)
def test_targets(target: dict[str, Any]) -> None:
    assert accepted(valid_keyword_request(target=target)) == target_is_good(target)


# -- keyword_warmup ----------------------------------------------------------------------------------

SECONDS = pick(1, 4.5, 120, bad=(0.5, 121, "4", None, True))
KEYWORD = st.builds(
    body_of,
    keywords=pick(
        ["a"],
        ["a", "b"],
        [" tea "],
        bad=([], ["a", "A "], [""], ["x" * 101], ["\n"], "a", [7], [f"k{n}" for n in range(21)]),
    ),
    videos_per_keyword=pick(1, 50, bad=(0, 51, "5", 2.5, True)),
    watch_seconds=st.one_of(st.just(ABSENT), st.builds(body_of, min=SECONDS, max=SECONDS)),
    max_minutes=pick(1, 60, bad=(0, 61, None)),
    app=pick("feed", None, bad=("nothing", "", 7)),
    judge=pick(False, True, bad=("true", None)),
    prompts=pick(
        {},
        {"keyword_judge": valid_prompt()},
        {"keyword_judge": None},
        bad=({"fyp_judge": valid_prompt()}, [], {"keyword_judge": {}}),
    ),
)


def get(body: dict[str, Any], name: str) -> Any:
    return body.get(name, ABSENT)


def watch_is_good(value: Any, least: float, most: float) -> bool:
    good = isinstance(value, dict) and {"min", "max"} == set(value)
    return good and all(is_number(value[n], least, most) for n in value) and value["min"] <= value["max"]


def app_is_good(value: Any) -> bool:
    return value is ABSENT or value is None or value == "feed"


def prompts_are_good(value: Any, name: str, needed: bool) -> bool:
    if value is ABSENT:
        return not needed
    if not isinstance(value, dict) or not set(value) <= {name}:
        return False
    prompt = value.get(name)
    return not needed if prompt is None else prompt == valid_prompt()


def keyword_is_good(body: dict[str, Any]) -> bool:
    words = get(body, "keywords")
    good = isinstance(words, list) and 1 <= len(words) <= 20 and all(isinstance(w, str) for w in words)
    if not good or not all(w.strip() and w.isprintable() and len(w) <= 100 for w in words):
        return False
    if len({w.strip().casefold() for w in words}) < len(words):
        return False
    judge = get(body, "judge")
    return (
        absent_or(get(body, "videos_per_keyword"), is_int(get(body, "videos_per_keyword"), 1, 50))
        and absent_or(get(body, "watch_seconds"), watch_is_good(get(body, "watch_seconds"), 1, 120))
        and absent_or(get(body, "max_minutes"), is_int(get(body, "max_minutes"), 1, 60))
        and app_is_good(get(body, "app"))
        and absent_or(judge, isinstance(judge, bool))
        and prompts_are_good(get(body, "prompts"), "keyword_judge", judge is True)
    )


@settings(max_examples=500, deadline=None)
@given(inputs=KEYWORD)
def test_keyword_inputs(inputs: dict[str, Any]) -> None:
    assert accepted(valid_keyword_request(inputs=inputs)) == keyword_is_good(inputs)


# -- fyp_warmup --------------------------------------------------------------------------------------

FYP = st.builds(
    body_of,
    max_videos=pick(1, 200, bad=(0, 201, "1", None)),
    max_minutes=pick(1, 60, bad=(0, 61)),
    interests=pick([], ["bread"], ["a"] * 20, bad=(["a"] * 21, [""], ["\t"], "bread", [7], None)),
    watch_seconds=st.one_of(st.just(ABSENT), st.builds(body_of, min=SECONDS, max=SECONDS)),
    skip_seconds=st.one_of(
        st.just(ABSENT), st.builds(body_of, min=pick(0, 1, bad=(-1, "0")), max=pick(1, 30, bad=(31, None)))
    ),
    app=pick("feed", None, bad=("nothing",)),
    prompts=st.one_of(
        *[st.just({"fyp_judge": valid_prompt()})] * 5,
        pick({}, bad=({"keyword_judge": valid_prompt()}, {"fyp_judge": 7}, {"fyp_judge": None})),
    ),
)


def interests_are_good(value: Any) -> bool:
    good = isinstance(value, list) and len(value) <= 20
    return good and all(isinstance(v, str) and v.strip() and v.isprintable() and len(v) <= 100 for v in value)


def fyp_is_good(body: dict[str, Any]) -> bool:
    return (
        absent_or(get(body, "max_videos"), is_int(get(body, "max_videos"), 1, 200))
        and absent_or(get(body, "max_minutes"), is_int(get(body, "max_minutes"), 1, 60))
        and absent_or(get(body, "interests"), interests_are_good(get(body, "interests")))
        and absent_or(get(body, "watch_seconds"), watch_is_good(get(body, "watch_seconds"), 1, 120))
        and absent_or(get(body, "skip_seconds"), watch_is_good(get(body, "skip_seconds"), 0, 30))
        and app_is_good(get(body, "app"))
        and prompts_are_good(get(body, "prompts"), "fyp_judge", True)
    )


@settings(max_examples=500, deadline=None)
@given(inputs=FYP)
def test_fyp_inputs(inputs: dict[str, Any]) -> None:
    assert accepted(valid_keyword_request(capability="fyp_warmup", inputs=inputs)) == fyp_is_good(inputs)


# -- maintenance -------------------------------------------------------------------------------------

TEXT = pick("soups", bad=("", 7, "x" * 501))
STEP = st.one_of(
    st.builds(
        body_of,
        action=pick("health_check", "screenshot", "reboot", bad=("like", 7)),
        params=pick({}, bad=({"x": 1}, [])),
    ),
    st.builds(
        body_of,
        action=st.just("collect_diagnostics"),
        params=st.builds(body_of, log_lines=pick(1, 5_000, bad=(0, 5_001))),
    ),
    st.builds(
        body_of,
        action=pick("restart_app", "clear_app_cache"),
        params=st.builds(body_of, app=pick("feed", bad=("nothing", 7))),
    ),
    st.builds(
        body_of, action=st.just("free_storage"), params=st.builds(body_of, target_mib=pick(1, 65_536, bad=(0, 65_537)))
    ),
    st.builds(
        body_of,
        action=st.just("install_app"),
        params=st.builds(
            body_of, file=pick("a.apk", bad=("../a.apk", "a.exe", ".apk", 7)), allow_downgrade=pick(True, bad=("yes",))
        ),
    ),
    st.builds(
        body_of,
        action=st.just("edit_profile"),
        params=st.builds(
            body_of,
            display_name=TEXT,
            bio=TEXT,
            mutation_kind=pick("operator_requested", bad=("drift",)),
            randomized=pick(False, bad=(True,)),
        ),
    ),
)


def step_is_good(step: dict[str, Any]) -> bool:
    action, params = get(step, "action"), step.get("params", {})
    if not isinstance(action, str) or not isinstance(params, dict):
        return False
    if action in ("health_check", "screenshot", "reboot"):
        return not params
    if action == "collect_diagnostics":
        return absent_or(get(params, "log_lines"), is_int(get(params, "log_lines"), 1, 5_000))
    if action in ("restart_app", "clear_app_cache"):
        return app_is_good(get(params, "app"))
    if action == "free_storage":
        return absent_or(get(params, "target_mib"), is_int(get(params, "target_mib"), 1, 65_536))
    if action == "install_app":
        return params.get("file") == "a.apk" and absent_or(
            get(params, "allow_downgrade"), params.get("allow_downgrade") is True
        )
    texts = [get(params, name) for name in ("display_name", "bio")]
    return (
        action == "edit_profile"
        and any(text is not ABSENT for text in texts)
        and all(text in (ABSENT, "soups") for text in texts)
        and get(params, "mutation_kind") in (ABSENT, "operator_requested")
        and get(params, "randomized") in (ABSENT, False)
    )


@settings(max_examples=500, deadline=None)
@given(steps=st.lists(STEP, max_size=3))
def test_maintenance_inputs(steps: list[dict[str, Any]]) -> None:
    body = valid_keyword_request(capability="maintenance", inputs={"steps": steps})
    assert accepted(body) == (bool(steps) and all(step_is_good(step) for step in steps))
