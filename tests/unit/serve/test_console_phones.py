"""The wall and the page of a phone, as they are rendered: what they show, escaped, and what their forms do."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import pytest_asyncio

from phonefarm.core.operations import Step, decide, hold_of
from phonefarm.errors import Conflict
from phonefarm.models.clock import rfc3339
from phonefarm.models.outbox import NOBODY
from phonefarm.models.process import Operation
from phonefarm.models.states import Capability, PhoneState
from phonefarm.serve.console import phone as phone_page
from phonefarm.serve.console import plots, tiles
from tests.contract.bad_requests import BOUND_KEY, BOUND_SYSTEM, READER_KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build
from tests.unit.serve.test_console import sign_in, token_of, visit

pytestmark = pytest.mark.timeout(60)

PAGE = "/console/phones/VP000001"
HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>' {{ 7*7 }} &lt;"
RUNNING = {
    "queue_item_id": "0193580c-7a2b-7e44-9a51-0c61f3a9d001",
    "process_id": "0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11",
    "process_type": "keyword_warmup",
    "account_id": "acct-soup",
    "action": "watch",
    "actions_done": 3,
    "actions_total": 12,
    "started_at": "2026-11-23T09:30:00.112Z",
}
SESSION = {
    **{name: RUNNING[name] for name in ("queue_item_id", "process_id", "process_type", "account_id")},
    "system": "tests",
    "attempt": 2,
    "pictures": ["end.png"],
    "actions": [
        {"at": RUNNING["started_at"], "index": 1, "kind": "watch", "status": "finished", "seconds": 4.2,
         "skipped": None, "what": "a film"},
    ],
}  # fmt: skip


@pytest_asyncio.fixture
async def browser(farm: FakeFarm) -> AsyncIterator[httpx.AsyncClient]:
    async with visit(build(farm)) as client:
        await sign_in(client)
        yield client


class Tags(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def each(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


# -- escaping --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", PAGE, f"{PAGE}?range=7d&done={HOSTILE}", f"/?host={HOSTILE}&group={HOSTILE}"])
async def test_what_comes_from_phones_and_operators_is_text_and_nothing_else(
    browser: httpx.AsyncClient, farm: FakeFarm, path: str
) -> None:
    farm.views["VP000001"] = {
        **dict.fromkeys(("serial", "host", "model", "android", "why"), HOSTILE),
        "groups": [HOSTILE],
        "state": "busy",
        "wanted": {"state": "paused", "why": HOSTILE},
        "current_item": {**RUNNING, "account_id": HOSTILE, "action": HOSTILE, "process_type": HOSTILE},
        "ladder": {HOSTILE: {"tries": 1, "helped": 0, "last_at": None}},
    }
    action = {**SESSION["actions"][0], "what": HOSTILE, "kind": HOSTILE, "status": "failed", "skipped": HOSTILE}  # type: ignore[index]
    farm.history = {
        "samples": [],
        "log": [{"at": RUNNING["started_at"], "state": "offline", "why": HOSTILE, "wanted": None}],
        "sessions": [{**SESSION, "account_id": HOSTILE, "pictures": [HOSTILE], "actions": [action]}],
    }
    answer = await browser.get(path)
    assert answer.status_code == 200
    tags = Tags(answer.text)
    assert all("src" in script for script in tags.each("script"))
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    assert "x" not in [image.get("src") for image in tags.each("img")]
    assert any(HOSTILE in text for text in tags.text) or "host=" in path
    for link in tags.each("a"):
        assert (link["href"] or "").startswith(("/", "#"))


# -- the wall --------------------------------------------------------------------------------------


async def test_a_tile_says_what_the_phone_does_and_why(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    farm.views["VP000001"] = {"state": "busy", "why": None, "current_item": RUNNING, "host": "rack-b"}
    battery = {"level": 9, "temperature": 47.25, "charging": False, "full_hours": 0.0}
    farm.views["VP000002"] = {"state": "offline", "why": "not connected", "host": "rack-a", "battery": battery}
    page = (await browser.get("/")).text
    names = [tile["data-phone"] for tile in Tags(page).each("article")]
    assert names == ["VP000002", "VP000001"], "by host, so that a tile stays where it is"
    looks = {tile["data-phone"]: (tile["data-look"], tile["data-busy"]) for tile in Tags(page).each("article")}
    assert looks == {"VP000001": ("yes", "yes"), "VP000002": ("no", "no")}
    assert "keyword warmup: watch" in page
    assert {"value": "3", "max": "12"}.items() <= Tags(page).each("progress")[0].items()
    assert '<span class="alarm">9 %</span>' in page
    assert '<span class="alarm">47.2 °C</span>' in page
    assert "not connected" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["VP000001", "VP000002"]),
        ("?state=busy", ["VP000002"]),
        ("?group=rack-1&host=local", ["VP000001", "VP000002"]),
        ("?group=rack-2", []),
        ("?state=&host=&group=", ["VP000001", "VP000002"]),
        ("?state=nonsense", []),
    ],
)
async def test_filters_are_in_the_address(
    browser: httpx.AsyncClient, farm: FakeFarm, query: str, shown: list[str]
) -> None:
    farm.views["VP000002"] = {"state": "busy"}
    tags = Tags((await browser.get(f"/{query}")).text)
    assert [tile["data-phone"] for tile in tags.each("article")] == shown
    (wall,) = [div for div in tags.each("div") if div.get("id") == "wall"]
    kept = "&".join(part for part in query.removeprefix("?").split("&") if not part.endswith("="))
    assert wall["data-stream"] == f"/console/events?{kept}"
    (none,) = [div for div in tags.each("div") if div.get("id") == "none"]
    assert ("hidden" in none) == bool(shown)


async def test_a_farm_without_phones_says_where_to_begin(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    farm.directory = type(farm.directory)(phones={}, accounts={})
    assert "This farm has no phone yet." in (await browser.get("/")).text


def test_the_numbers_above_the_wall_count_what_host_and_group_leave() -> None:
    phones = [{"state": s, "host": h, "groups": ["g"]} for s, h in (("busy", "a"), ("busy", "b"), ("offline", "a"))]
    found = tiles.counted(phones, tiles.Filter(host="a", state="paused"))
    assert found == [("offline", 1, "/?state=offline&host=a"), ("busy", 1, "/?state=busy&host=a")]


# -- the page of a phone ---------------------------------------------------------------------------


async def test_what_a_phone_did_and_which_states_it_had(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    farm.history = {
        "samples": [],
        "log": [{"at": RUNNING["started_at"], "state": "available", "why": None,
                 "wanted": {"state": "paused", "why": "drained: rack 2"}}],
        "sessions": [SESSION],
    }  # fmt: skip
    page = (await browser.get(PAGE)).text
    assert f"/processes/{RUNNING['process_id']}/artifacts/end.png" in [i["src"] for i in Tags(page).each("img")]
    assert "a film" in page
    assert "4.2 s" in page
    assert "drained: rack 2" in page
    assert (await browser.get("/console/phones/nobody")).status_code == 404
    assert "There is no such phone" in (await browser.get("/console/phones/nobody")).text


@pytest.mark.parametrize("state", PhoneState)
async def test_only_what_makes_sense_is_offered(browser: httpx.AsyncClient, farm: FakeFarm, state: PhoneState) -> None:
    farm.states["VP000001"] = state.value
    offered = {
        b["id"] for b in Tags((await browser.get(PAGE)).text).each("button") if (b.get("id") or "").startswith("do-")
    }
    possible = {o for o in Operation if decide(o, hold_of(state, None)) in (Step.HOLD, Step.LIFT)}
    expected = {f"do-{operation.value}" for operation in possible}
    assert offered == expected | ({"do-reboot"} if state is not PhoneState.RETIRED else set())


async def test_a_key_that_only_reads_is_offered_nothing(farm: FakeFarm) -> None:
    async with visit(build(farm)) as client:
        await sign_in(client, READER_KEY)
        page = await client.get(PAGE)
        assert "Do something" not in page.text
        refused = await client.post(f"{PAGE}/pause", data={"reason": "r", "csrf": token_of(page)})
        assert refused.status_code == 403
        assert "missing_scope:operate" in refused.text
    assert farm.operations == []


async def send(client: httpx.AsyncClient, what: str, **form: str) -> httpx.Response:
    token = token_of(await client.get(PAGE))
    return await client.post(f"{PAGE}/{what}", data={"csrf": token, "order": str(uuid.uuid4()), **form})


async def test_an_operation_is_the_api_s_with_its_reason_and_who_asked(
    browser: httpx.AsyncClient, farm: FakeFarm
) -> None:
    done = await send(browser, "pause", reason=" new battery ")
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=pause")
    (command,) = farm.operations
    assert (command.name, command.operation, command.reason, command.by) == ("VP000001", "pause", "new battery", "all")
    assert "Pause: done." in (await browser.get(done.headers["location"])).text


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1_001])
@pytest.mark.parametrize("what", ["pause", "reboot"])
async def test_an_operation_needs_a_reason(browser: httpx.AsyncClient, farm: FakeFarm, what: str, reason: str) -> None:
    refused = await send(browser, what, reason=reason)
    assert refused.status_code == 422
    assert f'value="{reason}"' in refused.text, "what was typed is there yet"
    assert (farm.operations, farm.processes) == ([], {})


async def test_an_operation_that_makes_no_sense_says_so_on_the_page(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    refused = await send(browser, "release", reason="<i>again</i>")
    assert refused.status_code == 409
    assert "This cannot be done to the phone as it is now" in refused.text
    assert "&lt;i&gt;again" in refused.text
    assert (await send(browser, "dance", reason="r")).headers["location"] == PAGE
    nowhere = await browser.get(f"{PAGE}/pause")
    assert (nowhere.status_code, "There is no such page" in nowhere.text) == (404, True)


async def test_a_reboot_is_a_process_that_announces_itself_to_nobody(
    browser: httpx.AsyncClient, farm: FakeFarm
) -> None:
    done = await send(browser, "reboot", reason="hangs")
    assert done.headers["location"] == f"{PAGE}?done=reboot"
    (order,) = farm.processes.values()
    assert order.capability is Capability.MAINTENANCE
    assert order.target.phone_id == "VP000001"
    assert order.inputs == {"steps": [{"action": "reboot", "params": {}}], "metadata": {"reason": "hangs"}}
    assert (order.requested_by["system"], order.requested_by["user"]) == (phone_page.SYSTEM, "all")
    assert order.callback["url"] == NOBODY
    assert "A reboot is on its way" in (await browser.get(done.headers["location"])).text


async def test_a_button_that_is_pressed_twice_makes_one_reboot(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    page = await browser.get(PAGE)
    (order,) = re.findall(r'name="order" value="([^"]+)"', page.text)
    form = {"csrf": token_of(page), "reason": "hangs", "order": order}
    for _ in range(2):
        assert (await browser.post(f"{PAGE}/reboot", data=form)).headers["location"] == f"{PAGE}?done=reboot"
    assert len(farm.processes) == 1
    assert order not in (await browser.get(PAGE)).text, "the next page orders anew"


@pytest.mark.parametrize("order", ["", "x" * 300, "../other"])
async def test_an_order_that_no_page_of_ours_made_is_refused(
    browser: httpx.AsyncClient, farm: FakeFarm, order: str
) -> None:
    refused = await send(browser, "reboot", reason="hangs", order=order)
    assert (refused.status_code, farm.processes) == (422, {})


async def test_a_bound_key_asks_in_the_name_of_its_system(farm: FakeFarm) -> None:
    async with visit(build(farm)) as client:
        await sign_in(client, BOUND_KEY)
        await send(client, "reboot", reason="hangs")
    (order,) = farm.processes.values()
    assert order.requested_by["system"] == BOUND_SYSTEM


async def test_a_refusal_of_the_farm_is_shown(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    async def refuse(_batch: Any) -> list[Any]:
        return [Conflict("phone_retired", "phone_retired:VP000001")]

    farm.submit_many = refuse  # type: ignore[method-assign, assignment]
    refused = await send(browser, "reboot", reason="hangs")
    assert refused.status_code == 409
    assert "phone_retired:VP000001" in refused.text


# -- plots -----------------------------------------------------------------------------------------

NOW = 1_795_000_000.0


def sample(minutes_ago: float, level: float | None = 50.0) -> dict[str, Any]:
    return {"at": rfc3339(round((NOW - minutes_ago * 60) * 1000)), "level": level, "temperature": None,
            "charging": None, "storage_free": None}  # fmt: skip


def battery(*samples: dict[str, Any], hours: float = 24) -> plots.Plot:
    return plots.plots(samples, now=NOW, hours=hours)[0]


def test_a_plot_has_gaps_where_nobody_looked_and_a_point_for_one_value() -> None:
    plot = battery(sample(60), sample(55), sample(10), sample(5), sample(0, 80))
    assert [len(line.split()) for line in plot.lines] == [2, 3]
    assert plot.now == "80 %"
    assert "between 50.0 and 80.0 %" in plot.label
    alone = battery(sample(5))
    assert (alone.lines, len(alone.dots) > 0) == ([], True)


def test_a_plot_is_within_its_frame_and_of_its_time() -> None:
    plot = battery(sample(25 * 60, 0), sample(24 * 60, 0), sample(0, 100))
    (first, last) = plot.dots[0], plot.dots[-1]
    assert first == (plots.LEFT, plots.HEIGHT - plots.BOTTOM)
    assert last == (plots.WIDTH - plots.RIGHT, plots.TOP)
    for hours in (6, 24, 168):
        marks = battery(sample(1), hours=hours).hours
        assert 3 <= len(marks) <= 8
        assert all(plots.LEFT <= x <= plots.WIDTH - plots.RIGHT for x, _ in marks)


def test_a_plot_of_nothing_says_so() -> None:
    for plot in (*plots.plots([], now=NOW, hours=24), battery(sample(1, None))):
        assert (plot.lines, plot.ticks, plot.now) == ([], [], "")
        assert "nothing known" in plot.label
