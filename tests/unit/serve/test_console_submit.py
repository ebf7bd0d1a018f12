"""The form that makes a process: drawn from the models, read back as JSON, and held to the API's own check."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from phonefarm.core import registry
from phonefarm.errors import ActorUnavailable, Conflict, Fault, NotFound
from phonefarm.models.states import Capability, Routing
from phonefarm.serve.admission import Rules, admit
from phonefarm.serve.console import schema_form, submit_form
from phonefarm.serve.console.schema_form import STARTERS, Field
from phonefarm.serve.console.submit_form import Draft, Names
from phonefarm.serve.targets import USED
from tests.contract.bad_requests import BOUND_KEY, BOUND_SYSTEM, KEY, READER_KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build
from tests.unit.serve.test_console import sign_in, token_of, visit

pytestmark = pytest.mark.timeout(60)

RULES = Rules(check_callback_url=lambda _url: None, apps=frozenset({"feed", "reader"}))
KEYWORD = {
    "capability": "keyword_warmup",
    "request_id": "r-1",
    "mode": "unattended",
    "target.routing": "group",
    "target.phone_ids": "VP000001\n\n  VP000002 ",
    "target.account_ids": "",
    "inputs.keywords": "meal prep\nweeknight soup",
    "inputs.videos_per_keyword": "3",
    "inputs.watch_seconds.min": "2",
    "inputs.watch_seconds.max": "4.5",
    "inputs.max_minutes": "",
    "inputs.app": " ",
    "inputs.prompts.keyword_judge.output_contract": STARTERS["output_contract"],
    "callback.url": "https://example.com/hook",
    "callback.metadata": '{"environment": "demo"}',
    "requested_by.system": "lab",
    "options.priority": "9",
    "options.not_before": "2026-11-23T09:30:00Z",
}


def draft(**values: str) -> Draft:
    return submit_form.draft_of(values)


def body(values: dict[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    return submit_form.body_of(submit_form.draft_of(values))


def fields(found: Draft, names: Names | None = None) -> dict[str, Field]:
    """Every field of a form by its path."""

    def walk(field: Field) -> Any:
        yield field
        for child in field.children:
            yield from walk(child)

    drawn = submit_form.sections(found, names or Names())
    return {f.path: f for section in drawn for top in section.fields for f in walk(top)}


# -- drawing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("capability", Capability)
@pytest.mark.parametrize("routing", Routing)
def test_every_input_of_every_capability_has_a_field(capability: Capability, routing: Routing) -> None:
    found = fields(draft(capability=capability.value, **{"target.routing": routing.value}))
    asked = set(registry.REGISTRY[capability].inputs.model_fields)
    assert {f"inputs.{name}" for name in asked - {"prompts"}} <= set(found)
    for prompt in registry.REGISTRY[capability].prompts:
        assert found[f"inputs.prompts.{prompt.name}.task_prompt"].kind == "area"
    entry = registry.REGISTRY[capability]
    shown = routing if entry.routing_code(routing) is None else Routing.QUEUE
    assert found["target.routing"].value == shown.value
    targets = {path.removeprefix("target.") for path in found if path.startswith("target.")}
    assert targets - {"routing"} == USED[shown]


def test_only_modes_and_routings_that_are_offered_can_be_chosen() -> None:
    found = fields(draft(capability="maintenance"))
    assert (found["mode"].choices, found["target.routing"].choices) == (("manual",), ("queue",))
    (where, *_) = submit_form.sections(draft(capability="fyp_warmup"), Names())
    assert where.hint == "fyp_warmup runs in manual mode only"


def test_fields_know_their_bounds_defaults_and_what_may_be_chosen() -> None:
    names = Names(phones=("P1", "P2"), apps=("feed",))
    found = fields(draft(capability="keyword_warmup", **{"target.routing": "direct"}), names)
    videos = found["inputs.videos_per_keyword"]
    assert (videos.kind, videos.least, videos.most, videos.placeholder, videos.whole) == ("number", 1, 50, "5", True)
    assert (found["inputs.watch_seconds.min"].placeholder, found["inputs.watch_seconds.min"].required) == ("4", False)
    assert found["inputs.keywords"].required
    assert found["target.phone_id"].suggestions == ("P1", "P2")
    assert found["inputs.app"].suggestions == ("feed",)
    assert found["inputs.judge"].kind == "check"
    assert found["options.not_before"].kind == "time"
    assert found["callback.metadata"].kind == "json"


@pytest.mark.parametrize("action", registry.REGISTRY[Capability.MAINTENANCE].steps)
def test_every_step_of_upkeep_has_its_fields(action: str) -> None:
    found = fields(draft(capability="maintenance", **{"inputs.steps.0.action": action}))
    model = registry.REGISTRY[Capability.MAINTENANCE].steps[action]
    params = model.model_fields["params"].annotation
    asked = set(getattr(params, "model_fields", {})) - {"mutation_kind", "randomized"}
    prefix = "inputs.steps.0.params."
    assert {path.removeprefix(prefix).partition(".")[0] for path in found if path.startswith(prefix)} == asked
    assert found["inputs.steps.0.action"].shapes


def test_entries_are_added_and_taken_away() -> None:
    first = {"inputs.steps.0.action": "reboot", "inputs.steps.1.action": "screenshot", "other": "x"}
    more = schema_form.added(first, "inputs.steps", True)
    assert schema_form.count(more, "inputs.steps", True) == 3
    assert schema_form.count(schema_form.added({}, "inputs.steps", True), "inputs.steps", True) == 2
    left = schema_form.dropped({**first, "inputs.steps.2.action": "reboot"}, "inputs.steps.0")
    assert left == {"inputs.steps.0.action": "screenshot", "inputs.steps.1.action": "reboot", "other": "x"}


# -- reading ---------------------------------------------------------------------------------------


def test_what_was_typed_as_json_and_nothing_more() -> None:
    found, faults = body(KEYWORD)
    assert faults == []
    assert found == {
        "request_id": "r-1",
        "capability": "keyword_warmup",
        "mode": "unattended",
        "target": {"routing": "group", "phone_ids": ["VP000001", "VP000002"]},
        "inputs": {
            "keywords": ["meal prep", "weeknight soup"],
            "videos_per_keyword": 3,
            "watch_seconds": {"min": 2, "max": 4.5},
        },
        "callback": {"url": "https://example.com/hook", "metadata": {"environment": "demo"}},
        "requested_by": {"system": "lab"},
        "options": {"priority": 9, "not_before": "2026-11-23T09:30:00Z"},
    }
    assert admit(found, RULES, process_id="p").target.phone_ids == ("VP000001", "VP000002")


def test_steps_of_upkeep_as_json() -> None:
    place = "inputs.steps."
    values = {
        "capability": "maintenance",
        f"{place}0.action": "update_settings",
        f"{place}0.params.settings.0.namespace": "system",
        f"{place}0.params.settings.0.name": "font_scale",
        f"{place}0.params.settings.0.value": "1.0",
        f"{place}1.action": "",
        f"{place}2.action": "reboot",
        f"{place}3.action": "install_app",
        f"{place}3.params.allow_downgrade": "true",
    }
    found, _ = body(values)
    assert found["inputs"]["steps"] == [
        {
            "action": "update_settings",
            "params": {"settings": [{"namespace": "system", "name": "font_scale", "value": "1.0"}]},
        },
        {"action": "reboot"},
        {"action": "install_app", "params": {"allow_downgrade": True}},
    ]


def test_a_prompt_is_given_once_something_was_typed_into_it() -> None:
    contract = {"inputs.prompts.fyp_judge.output_contract": STARTERS["output_contract"]}
    untouched, _ = body({"capability": "fyp_warmup", **contract})
    assert "prompts" not in untouched["inputs"]
    begun, _ = body({"capability": "fyp_warmup", **contract, "inputs.prompts.fyp_judge.version": "3"})
    prompt = begun["inputs"]["prompts"]["fyp_judge"]
    assert (prompt["version"], prompt["output_contract"]["required"]) == ("3", ["relevant"])


def test_what_is_no_number_stays_text_so_that_the_api_says_so() -> None:
    found, _ = body({**KEYWORD, "inputs.videos_per_keyword": "three", "inputs.max_minutes": "1.5"})
    assert (found["inputs"]["videos_per_keyword"], found["inputs"]["max_minutes"]) == ("three", "1.5")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": "\\u0000"}'])
def test_json_typed_by_hand_is_held_to_what_the_api_takes(text: str) -> None:
    found, (fault,) = body({**KEYWORD, "callback.metadata": text})
    assert (fault.loc, fault.code) == (("callback", "metadata"), "invalid_json")
    assert "metadata" not in found["callback"]


def test_fields_that_another_routing_had_are_not_sent() -> None:
    found, _ = body({**KEYWORD, "target.routing": "queue", "target.phone_group": "rack-1"})
    assert found["target"] == {"routing": "queue", "phone_group": "rack-1"}


# -- faults beside fields --------------------------------------------------------------------------


def test_faults_stand_beside_their_field_or_the_nearest_around_it() -> None:
    drawn = submit_form.sections(submit_form.draft_of(KEYWORD), Names())
    faults = [
        Fault(loc=("inputs", "keywords"), code="c", msg="one"),
        Fault(loc=("inputs", "keywords", 1), code="c", msg="two"),
        Fault(loc=("inputs", "watch_seconds", "max"), code="c", msg="three"),
        Fault(loc=("inputs", "watch_seconds", "most"), code="c", msg="four"),
        Fault(loc=("nowhere",), code="c", msg="five"),
        Fault(loc=(), code="c", msg="six"),
    ]
    found, others = schema_form.beside([f for section in drawn for f in section.fields], faults)
    assert found == {
        "inputs.keywords": ["one", "1: two"],
        "inputs.watch_seconds.max": ["three"],
        "inputs.watch_seconds": ["most: four"],
    }
    assert others == ["nowhere: five", "six"]


def test_refusals_without_a_place_get_one() -> None:
    unknown = NotFound("unknown_phone", "unknown_phone:P9")
    one = submit_form.faults_of(unknown, ["target.phone_id"])
    many = submit_form.faults_of(unknown, ["target.phone_ids"])
    assert [(f.loc, f.msg) for f in (*one, *many)] == [
        (("target", "phone_id"), "unknown phone: P9"),
        (("target", "phone_ids"), "unknown phone: P9"),
    ]
    assert submit_form.faults_of(Conflict("moon", "moon"), [])[0].loc == ()


# -- shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["it's", '"; rm -rf ~ #', "$(id) `id` $HOME", "a\nb", "\u202egnp.exe", "日本 🍞", "\\"]
)
def test_the_curl_line_says_in_a_shell_exactly_what_is_sent(text: str) -> None:
    wanted, _ = body({**KEYWORD, "request_id": text})
    line = submit_form.curl(wanted, "http://farm.test:8000/")
    script = f'curl() {{ printf "%s\\0" "$@"; }}\nPHONEFARM_API_KEY=secret\n{line}'
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=20).stdout.split(b"\0")
    assert said[:2] == [b"-sS", b"http://farm.test:8000/capability-requests/enqueue"]
    assert b"Authorization: Bearer secret" in said
    assert json.loads(said[said.index(b"-d") + 1]) == wanted
    assert "secret" not in line
    assert "\u202e" not in submit_form.shown(wanted)


# -- the page --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def page(farm: FakeFarm, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    async with visit(build(farm)) as client:
        assert (await sign_in(client, key)).status_code == 303
        yield client


async def send(client: httpx.AsyncClient, act: str, **changes: str) -> httpx.Response:
    token = token_of(await client.get("/console/submit"))
    values = {**KEYWORD, "callback.url": "http://127.0.0.1:9/hook", **changes}
    return await client.post("/console/submit", data={**values, "csrf": token, "act": act})


async def test_a_form_that_is_sent_twice_makes_one_process(farm: FakeFarm) -> None:
    async with page(farm) as client:
        first, second = await send(client, "send"), await send(client, "send")
    (process_id,) = farm.processes
    assert {a.headers["location"] for a in (first, second)} == {f"/console/processes/{process_id}"}
    assert first.status_code == second.status_code == 303
    made = farm.processes[process_id]
    assert (made.inputs["videos_per_keyword"], made.inputs["max_minutes"], made.system) == (3, 15, "lab")


async def test_lines_that_a_browser_sends_are_those_that_were_typed(farm: FakeFarm) -> None:
    contract = STARTERS["output_contract"].replace("\n", "\r\n")
    prompt = "inputs.prompts.keyword_judge."
    async with page(farm) as client:
        untouched = await send(client, "check", **{f"{prompt}output_contract": contract})
        typed = await send(client, "check", **{f"{prompt}system_prompt": "one\r\ntwo"})
    assert "output_contract" not in untouched.text.partition('<pre id="json"')[2].partition("</pre>")[0]
    assert "one\\ntwo" in typed.text


async def test_each_new_form_has_a_request_id_of_its_own(farm: FakeFarm) -> None:
    async with page(farm) as client:
        pages = [(await client.get("/console/submit")).text for _ in range(2)]
    ids = {text.partition('name="request_id"')[2].partition('value="')[2].partition('"')[0] for text in pages}
    assert len(ids) == 2
    assert all(each.startswith("console-") for each in ids)


async def test_checking_sends_nothing_and_says_every_fault_beside_its_field(farm: FakeFarm) -> None:
    async with page(farm) as client:
        answer = await send(client, "check", **{"inputs.videos_per_keyword": "99", "callback.url": "ftp://x"})
        fine = await send(client, "check")
    assert answer.status_code == 200
    assert farm.processes == {}
    for path in ("inputs.videos_per_keyword", "callback.url"):
        beside = answer.text.partition(f'id="e-{path}">')[2].partition("</div>")[0]
        assert 'class="error"' in beside, path
    assert "would be accepted" in fine.text
    assert "would be accepted" not in answer.text


async def test_a_refusal_keeps_what_was_typed(farm: FakeFarm) -> None:
    async with page(farm) as client:
        wrong = await send(client, "send", **{"inputs.keywords": ""})
        unknown = await send(client, "send", **{"target.phone_ids": "VP9"})
        farm.error = ActorUnavailable("the manager has died")
        away = await send(client, "check")
        assert away.status_code == 200
    assert (wrong.status_code, unknown.status_code) == (422, 404)
    assert "unknown phone: VP9" in unknown.text
    assert ">VP9</textarea>" in unknown.text
    assert farm.processes == {}


async def test_another_request_with_the_same_id_is_refused_beside_it(farm: FakeFarm) -> None:
    async with page(farm) as client:
        await send(client, "send")
        other = await send(client, "send", **{"inputs.keywords": "bread"})
    assert other.status_code == 409
    beside = other.text.partition('id="e-request_id">')[2].partition("</div>")[0]
    assert "idempotency key reused" in beside


async def test_hostile_text_is_text(farm: FakeFarm) -> None:
    evil = '"><script>alert(1)</script>'
    async with page(farm) as client:
        answer = await send(client, "check", request_id=evil, **{"inputs.keywords": evil, "target.phone_ids": evil})
    assert "<script>alert" not in answer.text


async def test_a_bound_key_asks_for_its_own_system_only(farm: FakeFarm) -> None:
    async with page(farm, BOUND_KEY) as client:
        form = await client.get("/console/submit")
        refused = await send(client, "send", **{"requested_by.system": "others"})
        own = await send(client, "send", **{"requested_by.system": BOUND_SYSTEM})
    assert f'value="{BOUND_SYSTEM}"' in form.text
    assert "bound to another" in refused.text
    assert own.status_code == 303


async def test_a_key_that_may_not_submit_is_told_so(farm: FakeFarm) -> None:
    async with page(farm, READER_KEY) as client:
        answer = await client.get("/console/submit")
    assert answer.status_code == 403
    assert "Your key may not do this" in answer.text
