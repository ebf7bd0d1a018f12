"""The pages of the work in a browser: a process from its form to its callbacks, the queue, what needs a person."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from phonefarm.actors.callback_sender import CallbackSender
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.errors import UnexpectedScreen
from phonefarm.models.phone import Battery, HostReport, PhoneFacts, PhoneReport
from phonefarm.models.process import AccountCommand, Options, ProcessQuery, Target
from phonefarm.models.states import PhoneState, Routing
from phonefarm.serve.console import work
from phonefarm.serve.console.needs import Bounds
from tests.browser import LARGE, SCREENSHOTS, SMALL, Visit, chromium, visit
from tests.consolefarm import KEY, add_phone, console_farm
from tests.farmtools import AUTHORISED, FakeDevice, LocalFarm, keyword_inputs, submission
from tests.receiver import Receiver, receiver

pytestmark = pytest.mark.timeout(240)

#: Markup, a text that runs from right to left, and a character that turns what follows.
HOSTILE = "</title><script>window.owned=1</script><img src=x onerror=alert(1)> שלום \u202egnp"


def name(ordinary: str) -> str:
    """What callers, phones and screens say: the worst, but on pictures for the documentation what is usual."""
    return ordinary if SCREENSHOTS else HOSTILE


@dataclass(kw_only=True)
class Scene:
    """A farm with two phones, its callbacks, and a window at it."""

    farm: LocalFarm
    hook: Receiver
    seen: Visit
    devices: dict[str, FakeDevice]

    async def submit(self, **changes: Any) -> str:
        order = submission(callback={"url": self.hook.url, "metadata": {}}, **changes)
        await self.farm.manager.submit_many([order])
        return order.process_id

    async def open(self, process_id: str) -> None:
        await self.seen.go(f"/console/processes/{process_id}")


@asynccontextmanager
async def delivering(farm: LocalFarm) -> AsyncIterator[None]:
    """The farm's callbacks really go out."""
    http = CallbackHttp(allow=("127.0.0.0/8",))
    sender = CallbackSender(farm.manager, http)
    await sender.start()
    farm.sender.kick = sender.kick  # type: ignore[method-assign]
    try:
        yield
    finally:
        await sender.stop()
        await http.aclose()


@asynccontextmanager
async def scene(directory: Path, then: str = "/console/processes") -> AsyncIterator[Scene]:
    with receiver() as hook:
        async with console_farm(directory) as (farm, url), delivering(farm), chromium() as browser:
            devices = {name: await add_phone(farm, name, "rack-1") for name in ("VP000001", "VP000002")}
            async with visit(browser, url) as seen:
                seen.page.set_default_timeout(60_000)
                expect.set_options(timeout=60_000)
                await seen.sign_in(KEY, then)
                yield Scene(farm=farm, hook=hook, seen=seen, devices=devices)


async def test_a_process_from_its_form_to_its_last_callback_without_a_reload(tmp_path: Path) -> None:
    async with scene(tmp_path, "/console/submit") as here:
        page = here.seen.page
        for device in here.devices.values():
            device.gate.clear()
        await page.fill("[name='inputs.keywords']", "sourdough")
        await page.fill("[name='inputs.videos_per_keyword']", "999")
        await page.fill("[name='callback.url']", here.hook.url)
        await expect(page.locator("#json")).to_contain_text('"videos_per_keyword": 999')
        await page.press("[name='inputs.videos_per_keyword']", "Tab")
        await expect(page.locator("[id='e-inputs.videos_per_keyword']")).to_contain_text("less than or equal to 50")
        await page.fill("[name='inputs.videos_per_keyword']", "2")
        await expect(page.locator("[id='e-inputs.videos_per_keyword']")).to_have_text("")
        await expect(page.locator("#curl")).to_contain_text('Bearer $PHONEFARM_API_KEY"')
        assert KEY not in await page.content()
        await page.dblclick("button[value=send]")
        await page.wait_for_url(re.compile("/console/processes/[0-9a-f-]{36}$"))
        process_id = page.url.rpartition("/")[2]
        await expect(page.locator("#standing .s-executing")).to_be_visible()
        await page.evaluate("window.stayed = true")
        for device in here.devices.values():
            device.gate.set()
        await expect(page.locator("#standing .s-completed")).to_be_visible()
        await expect(page.locator("#timeline")).to_contain_text("Watch: “about sourdough” by a, 1 s")
        await expect(page.locator("#timeline .shot img")).to_have_count(1)
        await expect(page.locator("#results td").first).to_have_text("about sourdough")
        await expect(page.locator("#callbacks .s-delivered")).to_have_count(3)
        await expect(page.locator("#acts details")).to_have_count(0)
        assert await page.evaluate("window.stayed"), "the page was loaded anew"
        shot = page.locator("#timeline .shot img")
        await shot.scroll_into_view_if_needed()
        await expect(shot).to_have_js_property("complete", True)
        assert await shot.evaluate("image => image.naturalWidth") == 540
        listed = (await here.farm.manager.list_processes(ProcessQuery()))["items"]
        assert [view["process_id"] for view in listed] == [process_id], "a double click made two"
        delivered = len(here.hook.deliveries)
        page.once("dialog", lambda dialog: dialog.accept())
        await page.click("button[aria-label='Send completed again']")
        await here.farm.until(lambda: len(here.hook.deliveries) > delivered)
        await expect(page.locator("#timeline")).to_contain_text("Callback to be sent again")


async def test_cancelling_with_a_reason_and_replaying_what_failed(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        page, phone = here.seen.page, here.devices["VP000001"]
        phone.gate.clear()
        pinned = Target(routing=Routing.DIRECT, phone_id="VP000001")
        running = await here.submit(target=pinned)
        await here.farm.status_of(running, "executing")
        await here.open(running)
        await page.click("#cancel summary")
        await page.fill("#reason", "wrong <b>words</b>")
        await page.select_option("#strategy", "hard")
        await page.click("#cancel button[type=submit]")
        await expect(page.locator("#standing .s-cancelled")).to_be_visible()
        await expect(page.locator("#standing")).to_contain_text("Cancelled because wrong <b>words</b>.")
        await expect(page.locator("#timeline")).to_contain_text("Cancel asked for by operator")

        phone.gate.set()
        phone.errors = [UnexpectedScreen("the search field was not found")]
        failed = await here.submit(target=pinned, request_id="bread-audit", options=Options(max_attempts=1))
        await here.farm.status_of(failed, "failed_terminal")
        await here.open(failed)
        await expect(page.locator("#standing")).to_contain_text("the search field was not found")
        await expect(page.locator("#standing")).to_contain_text("What to do (unexpected_screen)")
        await expect(page.locator("#timeline .t-bad .shot img")).to_have_count(1)
        await page.click("#replay summary")
        await expect(page.locator("#request_id")).to_have_value("bread-audit-again-1")
        await page.click("#replay button[type=submit]")
        await page.wait_for_url(lambda url: not url.endswith(failed))
        await expect(page.locator("#standing .s-completed")).to_be_visible()
        await page.click("text=this process")
        await expect(page.locator("#standing")).to_contain_text("Replay 1")


async def test_the_queue_says_why_and_health_what_needs_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "BOUNDS", Bounds(offline=0))
    async with scene(tmp_path, "/console/health") as here:
        page = here.seen.page
        await expect(page.locator("main")).to_contain_text("Nothing needs you")
        await expect(page.locator(".looked")).to_contain_text("2 phones: connection, battery, heat, storage")
        await here.seen.go("/console/queue")
        await expect(page.locator("main")).to_contain_text("Nothing waits")
        await here.farm.phones["VP000001"].detach("unplugged")
        await here.submit(target=Target(routing=Routing.DIRECT, phone_id="VP000001"))
        await expect(page.locator(".lane")).to_contain_text("its phone is offline")
        await expect(page.locator(".lane")).to_contain_text("look at the phone's cable, hub and power")
        await here.seen.go("/console/health")
        await expect(page.locator(".needs")).to_contain_text("VP000001")
        await expect(page.locator(".needs")).to_contain_text("unplugged")
        await here.farm.phones["VP000001"].attach("VP000001", 1)
        await expect(page.locator("main")).to_contain_text("Nothing needs you")


async def fill(here: Scene) -> dict[str, str]:
    """Something on every page, much of it hostile; the pages' names and paths."""
    farm, phone = here.farm, here.devices["VP000001"]
    account = AccountCommand(
        account_id=name("acct-soup"), phone_id="VP000001", group="cooks", active=True,
        authorization={**AUTHORISED, "basis": name("the company's own")}, daily_limits={"sessions": 4, "minutes": None},
    )  # fmt: skip
    await farm.manager.put_account(account)
    done = await here.submit(request_id="evening-soups", inputs=keyword_inputs(keywords=["meal prep", "soup"]))
    await farm.status_of(done, "completed")
    phone.errors = [UnexpectedScreen(name("the search field was not found: the app asks to sign in"))]
    pinned = Target(routing=Routing.DIRECT, phone_id="VP000001")
    failed = await here.submit(request_id=name("bread-audit-17"), target=pinned, options=Options(max_attempts=1))
    await farm.status_of(failed, "failed_terminal")
    for device in here.devices.values():
        device.gate.clear()
    running = await here.submit(
        request_id="both-of-rack-1",
        target=Target(routing=Routing.GROUP, phone_group="rack-1"),
        requested_by={"system": name("lab"), "user": name("ann"), "metadata": {}},
    )
    await farm.status_of(running, "executing")
    await here.submit(target=Target(routing=Routing.DIRECT, account_id=name("acct-soup")))
    await here.submit(target=Target(routing=Routing.QUEUE, phone_group="rack-1"), options=Options(priority=9))
    await farm.manager.report_phones(list(ailing()))
    await farm.manager.report_host(
        HostReport(
            name="spare", adb_port=1, why="another adb server may hold phones on cables: adb, process 4711; end it"
        )
    )
    processes = {"process": done, "process-failed": failed, "process-running": running}
    return {
        **{name: f"/console/processes/{process_id}" for name, process_id in processes.items()},
        **{name: f"/console/{name}" for name in ("processes", "queue", "health", "submit", "accounts")},
        "submit-maintenance": "/console/submit?capability=maintenance",
    }


def ailing() -> list[PhoneReport]:
    hot = PhoneFacts(phone_id="VP000011", battery=Battery(level=80, temperature=46.0, charging=True))
    flat = PhoneFacts(phone_id="VP000012", battery=Battery(level=15, temperature=30.0, charging=False))
    lost = "lost 5 times within 10 minutes: look at cable, hub and power"
    said = [
        ("VP000009", PhoneState.UNAUTHORIZED, "it has not accepted this computer's key", None),
        ("VP000010", PhoneState.QUARANTINED, lost, None),
        ("VP000011", PhoneState.CHECKING, "battery at 46 degrees Celsius, at most 42: let it cool", hot),
        ("VP000012", PhoneState.AVAILABLE, None, flat),
        (name("VP000013"), PhoneState.QUARANTINED, name("quarantine by ann: swollen"), None),
    ]
    return [
        PhoneReport(phone_id=name, host="local", serial=name, state=state, why=why, facts=facts)
        for name, state, why, facts in said
    ]


async def test_every_page_is_for_everybody_and_shows_hostile_text_as_text(tmp_path: Path) -> None:
    """At both widths, by day and by night; its pictures are those of the documentation."""
    async with scene(tmp_path) as here:
        paths = await fill(here)
        state = await here.seen.page.context.storage_state()
        browser = here.seen.page.context.browser
        assert browser is not None
        for size, dark in ((LARGE, False), (SMALL, True), (LARGE, True), (SMALL, False)):
            async with visit(browser, here.seen.url, size=size, dark=dark) as seen:
                await seen.page.context.add_cookies(state["cookies"])  # type: ignore[arg-type]
                for what, path in paths.items():
                    await look(seen, what, path, size=size, dark=dark)


async def look(seen: Visit, what: str, path: str, *, size: tuple[int, int], dark: bool) -> None:
    await seen.go(path)
    page = seen.page
    assert await page.evaluate("window.owned === undefined")
    assert await page.locator("main script, main img[src='x']").count() == 0
    await seen.check_width()
    if (size is LARGE) is not dark:  # colours by day at one width and by night at the other
        await seen.check_accessibility()
    if (size, dark) in ((LARGE, False), (SMALL, True)):
        await seen.shoot(f"console-{what}{'' if size is LARGE else '-small'}", full=size is LARGE)
