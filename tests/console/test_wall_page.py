"""The wall in a browser: live without loading again, light, readable by everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import LARGE, SMALL, Visit, chromium, visit
from tests.consolefarm import KEY, add_phone, console_farm, picture

pytestmark = pytest.mark.timeout(180)

NAMES = ("VP000001", "VP000002", "A-PHONE-WITH-A-VERY-LONG-SERIAL-NUMBER-0123456789")


def tile(phone_id: str, more: str = "") -> str:
    return f'.tile[data-phone="{phone_id}"]{more}'


async def colour(seen: Visit, phone_id: str) -> list[int]:
    """Of a point of the picture that a tile shows."""
    script = "c => [...c.getContext('2d').getImageData(5, c.height / 3, 1, 1).data].slice(0, 3)"
    found: list[int] = await seen.page.eval_on_selector(tile(phone_id, " canvas"), script)
    return found


async def hide(seen: Visit, hidden: bool) -> None:
    """As if another tab were in front."""
    value = "hidden" if hidden else "visible"
    await seen.page.evaluate(
        f"Object.defineProperty(document, 'visibilityState', {{ value: '{value}', configurable: true }});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


async def test_the_wall_is_live_and_costs_nothing_while_it_is_hidden(tmp_path: Path) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser, visit(browser, url) as seen:
        seen.page.set_default_timeout(60_000)
        await seen.sign_in(KEY)
        await seen.page.get_by_text("This farm has no phone yet.").wait_for()
        await seen.page.evaluate("window.here_before = true")
        devices = [await add_phone(farm, name, "rack-1") for name in NAMES]
        for name in NAMES:
            await seen.page.wait_for_selector(tile(name, ".t-available[data-frames]"))
        assert await seen.page.get_by_text("This farm has no phone yet.").is_hidden()
        devices[0].picture = picture("another", "#00ff00")
        await seen.page.wait_for_selector(tile(NAMES[0], "[data-frames='2']"))
        red, green, blue = await colour(seen, NAMES[0])
        assert green > 200 > 100 > max(red, blue)

        devices[1].alive = False
        await farm.phones[NAMES[1]].detach("not connected")
        await seen.page.wait_for_selector(tile(NAMES[1], ".t-offline[data-look=no]"))
        assert "not connected" in await seen.page.inner_text(tile(NAMES[1]))
        assert "1" in await seen.page.inner_text("#summary .s-offline + .num")
        assert await seen.page.evaluate("window.here_before"), "without loading the page again"

        await hide(seen, True)
        await farm.until(lambda: len(farm.manager._waiters) == 0)
        looks = sum(device.looks for device in devices)
        await farm.phones[NAMES[0]].detach("gone while nobody looked")
        await farm.until(lambda: farm._state_is(NAMES[0], "offline"))
        assert sum(device.looks for device in devices) <= looks + 1, "at most one that was on its way"
        await hide(seen, False)
        await seen.page.wait_for_selector(tile(NAMES[0], ".t-offline"))


async def test_only_what_is_in_view_is_looked_at(tmp_path: Path) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser:
        names = [f"VP{n:06d}" for n in range(16)]
        devices = {name: await add_phone(farm, name) for name in names}
        async with visit(browser, url, size=SMALL) as seen:
            seen.page.set_default_timeout(60_000)
            await seen.sign_in(KEY)
            await seen.page.wait_for_selector(tile(names[0], "[data-frames]"))
            await seen.page.wait_for_selector(tile(names[1], "[data-frames]"))
            assert devices[names[-1]].looks == 0
            await seen.page.locator(tile(names[-1])).scroll_into_view_if_needed()
            await seen.page.wait_for_selector(tile(names[-1], "[data-frames]"))
            assert devices[names[8]].looks <= 1
            streams = [url for url in seen.requests if "/console/events" in url]
            assert len(streams) == 1, "one stream for the page"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_wall_is_readable_by_everybody(tmp_path: Path, dark: bool) -> None:
    async with console_farm(tmp_path) as (farm, url), chromium() as browser:
        for name, host in zip(NAMES, ("a", "b", "b"), strict=True):
            await add_phone(farm, name, "rack-1", host=host)
        await farm.phones[NAMES[1]].detach("adb: device offline; unplug it and plug it in again " * 3)
        for size in (SMALL, LARGE):
            async with visit(browser, url, size=size, dark=dark) as seen:
                seen.page.set_default_timeout(60_000)
                await seen.sign_in(KEY, "/")
                await seen.page.wait_for_selector(tile(NAMES[0], "[data-frames]"))
                await seen.check_accessibility()
                await seen.check_width()
                await seen.page.select_option("#f-host", "b")
                await seen.page.wait_for_url(f"{url}/?state=&host=b&group=")
                assert await seen.page.locator(".tile").count() == 2
                await seen.page.keyboard.press("Tab")
                assert await seen.page.evaluate("document.activeElement.tagName") != "BODY"
