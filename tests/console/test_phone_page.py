"""The page of a phone in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Dialog

from phonefarm.models.process import ProcessQuery, Target
from phonefarm.models.states import Routing
from tests.browser import LARGE, SMALL, chromium, visit
from tests.consolefarm import KEY, READER_KEY, add_phone, console_farm
from tests.farmtools import submission

pytestmark = pytest.mark.timeout(180)

PATH = "/console/phones/VP000001"


async def test_what_happens_to_a_phone_is_seen_as_it_happens(tmp_path: Path) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser, visit(browser, url) as seen:
        seen.page.set_default_timeout(60_000)
        device = await add_phone(farm, "VP000001", "rack-1")
        await seen.sign_in(KEY, PATH)
        await seen.page.wait_for_selector("#screen[data-frames]")
        await seen.page.fill("#reason", "half a rea")
        device.gate.clear()
        await farm.manager.submit_many([submission(Target(routing=Routing.DIRECT, phone_id="VP000001"))])
        await seen.page.wait_for_selector("#p-head .s-busy")
        await seen.page.wait_for_selector("#p-now progress")
        device.gate.set()
        await seen.page.wait_for_selector("#p-head .s-available")
        await seen.page.wait_for_selector("#p-did .acts li")
        assert await seen.page.input_value("#reason") == "half a rea", "what is being typed stays"
        device.alive = False
        await farm.phones["VP000001"].detach("not connected")
        await seen.page.wait_for_selector("#p-head .s-offline")
        assert await seen.page.get_attribute("#screen", "data-look") == "no"
        assert "not connected" in await seen.page.inner_text("#p-log")


async def test_a_reboot_asks_first_and_is_a_process(tmp_path: Path) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser, visit(browser, url) as seen:
        seen.page.set_default_timeout(60_000)
        await add_phone(farm, "VP000001")
        await seen.sign_in(KEY, PATH)
        asked: list[str] = []

        async def answer(yes: bool) -> None:
            async def say(dialog: Dialog) -> None:
                asked.append(dialog.message)
                await (dialog.accept() if yes else dialog.dismiss())

            seen.page.once("dialog", say)
            await seen.page.click("#do-reboot")

        await seen.page.fill("#reason", "it hangs")
        await answer(False)
        assert (await farm.manager.list_processes(ProcessQuery()))["items"] == []
        await answer(True)
        await seen.page.get_by_text("A reboot is on its way").wait_for()
        assert asked == ["Reboot VP000001?"] * 2
        await seen.page.wait_for_selector("#p-did .acts li")
        (process,) = (await farm.manager.list_processes(ProcessQuery()))["items"]
        assert process["requested_by"]["user"] == "operator"
        assert (await farm.manager.list_callbacks())["items"] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_page_is_readable_by_everybody(tmp_path: Path, dark: bool) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser:
        await add_phone(farm, "VP000001", "rack-1")
        for size, key in ((SMALL, KEY), (LARGE, READER_KEY)):
            async with visit(browser, url, size=size, dark=dark) as seen:
                seen.page.set_default_timeout(60_000)
                await seen.sign_in(key, PATH)
                await seen.page.wait_for_selector("#screen[data-frames]")
                await seen.check_accessibility()
                await seen.check_width()
                assert await seen.page.locator("#do-pause").count() == (1 if key == KEY else 0)
