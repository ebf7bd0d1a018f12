"""The console over a real farm: its phones live on the wall, one that dies while it is watched, an operation, a log."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.browser import LARGE, SMALL, Visit, chromium, visit
from tests.e2e.conftest import PHONES
from tests.e2e.farm import KEY, Farm
from tests.e2e.test_phones_come_and_go import extra_phone

pytestmark = pytest.mark.timeout(300)


def tile(seen: Visit, phone_id: str, more: str = "") -> str:
    return f'.tile[data-phone="{phone_id}"]{more}'


async def test_the_wall_is_live_and_shows_a_phone_that_dies_while_it_is_watched(here: Farm, tmp_path: Path) -> None:
    async with chromium() as browser, visit(browser, here.file["url"]) as seen:
        seen.page.set_default_timeout(90_000)
        await seen.sign_in(KEY)
        for phone_id in PHONES:
            await seen.page.wait_for_selector(tile(seen, phone_id, "[data-frames]"))
        await seen.page.evaluate("window.here_before = true")
        process_id = here.submit({"routing": "direct", "phone_id": PHONES[0]}, videos_per_keyword=8)
        await seen.page.wait_for_selector(tile(seen, PHONES[0], ".t-busy progress"))
        with extra_phone(here, tmp_path) as (phone_id, process, _):
            await seen.page.wait_for_selector(tile(seen, phone_id, ".t-available[data-frames]"))
            process.send_signal(signal.SIGKILL)
            await seen.page.wait_for_selector(tile(seen, phone_id, ".t-offline[data-look=no]"))
            await seen.page.set_viewport_size({"width": 1200, "height": 640})
            await seen.shoot("console-wall")
        assert await seen.page.evaluate("window.here_before"), "without loading the page again"
        await asyncio.to_thread(here.wait_process, process_id, "completed")
        await seen.page.wait_for_selector(tile(seen, PHONES[0], ".t-available"))


async def test_a_phone_is_paused_and_resumed_with_a_reason_and_shows_what_it_did(here: Farm) -> None:
    here.wait_process(here.submit({"routing": "direct", "phone_id": PHONES[1]}), "completed")
    async with chromium() as browser, visit(browser, here.file["url"], size=SMALL, dark=True) as seen:
        seen.page.set_default_timeout(90_000)
        await seen.sign_in(KEY, f"/console/phones/{PHONES[1]}")
        await seen.page.wait_for_selector("#screen[data-frames]")
        await seen.page.get_by_role("link", name="keyword warmup").first.wait_for()
        await seen.page.wait_for_function(
            "[...document.querySelectorAll('.strip img')].some((i) => i.naturalWidth > 0)"
        )
        await seen.page.fill("#reason", "new cable")
        await seen.page.click("#do-pause")
        await seen.page.wait_for_selector("#p-head .s-paused")
        await seen.page.fill("#reason", "cable is new")
        await seen.page.click("#do-resume")
        await seen.page.wait_for_selector("#p-head .s-available")
        assert "paused: new cable (by farm)" in await seen.page.inner_text("#p-log")
        await seen.check_accessibility()
        await seen.check_width()
        await seen.shoot("console-phone-small", full=True)
        await seen.page.set_viewport_size({"width": LARGE[0], "height": LARGE[1]})
        await seen.page.emulate_media(color_scheme="light")
        await seen.shoot("console-phone", full=True)
