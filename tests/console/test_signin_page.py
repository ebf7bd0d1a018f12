"""Signing in, seen in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import LARGE, SMALL, chromium, visit
from tests.consolefarm import KEY, console_farm

pytestmark = pytest.mark.timeout(90)


async def test_signing_in_and_out(tmp_path: Path) -> None:
    async with console_farm(tmp_path) as (_, url), chromium() as browser:
        for dark, size in ((False, SMALL), (True, LARGE)):
            async with visit(browser, url, size=size, dark=dark) as seen:
                await seen.go("/?state=busy")
                await seen.check_accessibility()
                await seen.check_width()
                await seen.page.fill("#key", "wrong")
                await seen.page.keyboard.press("Enter")
                await seen.page.get_by_role("alert").wait_for()
                await seen.check_accessibility()
                await seen.page.fill("#key", KEY)
                await seen.page.keyboard.press("Enter")
                await seen.page.wait_for_url(f"{url}/?state=busy")
                assert await seen.page.locator(".bar .key").inner_text() == "operator"
                await seen.page.get_by_role("button", name="Sign out").click()
                await seen.page.wait_for_url(f"{url}/console/sign-in")
                await seen.go("/")
                await seen.page.wait_for_url(f"{url}/console/sign-in?next=/")
