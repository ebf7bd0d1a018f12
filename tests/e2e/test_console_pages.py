"""The console's pages of the work over a whole farm: virtual phones, the wire, real callbacks, a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser import chromium, visit
from tests.e2e.farm import KEY, Farm
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(300)


async def test_a_session_from_the_form_to_its_callbacks_and_a_phone_that_is_held(here: Farm, hook: Receiver) -> None:
    expect.set_options(timeout=60_000)
    async with chromium() as browser, visit(browser, here.file["url"]) as seen:
        page = seen.page
        page.set_default_timeout(60_000)
        await seen.sign_in(KEY, "/console/submit")
        await page.fill("[name='inputs.keywords']", "sourdough")
        await page.fill("[name='inputs.videos_per_keyword']", "2")
        await page.fill("[name='inputs.watch_seconds.min']", "1")
        await page.fill("[name='inputs.watch_seconds.max']", "2")
        await page.fill("[name='callback.url']", hook.url)
        await page.click("button[value=send]")
        await page.wait_for_url(re.compile("/console/processes/[0-9a-f-]{36}$"))
        process_id = page.url.rpartition("/")[2]
        await page.evaluate("window.stayed = true")
        await expect(page.locator("#standing .s-completed")).to_be_visible()
        await expect(page.locator("#timeline")).to_contain_text("Search: “sourdough”")
        await expect(page.locator("#callbacks .s-delivered")).to_have_count(3)
        assert await page.evaluate("window.stayed"), "the page was loaded anew"
        shot = page.locator("#timeline .shot img")
        await shot.scroll_into_view_if_needed()
        await expect(shot).to_have_js_property("complete", True)
        assert await shot.evaluate("image => image.naturalWidth") > 100
        view = here.process(process_id)
        title = view["result"]["keywords"][0]["videos"][0]["title"]
        await expect(page.locator("#results")).to_contain_text(title)
        assert hook.milestones(process_id) == ["accepted", "executing", "completed"]

        held = here.client.post("/phones/VP000003/quarantine", json={"reason": "smells of smoke"})
        assert held.status_code == 200, held.text
        try:
            waits = here.submit({"routing": "direct", "phone_id": "VP000003"})
            await seen.go("/console/queue")
            await expect(page.locator(".lane")).to_contain_text("its phone is quarantined")
            await seen.go("/console/health")
            await expect(page.locator(".needs", has_text="smells of smoke")).to_be_visible()
            await seen.go(f"/console/processes/{waits}")
            await page.click("#cancel summary")
            await page.fill("#reason", "the phone is taken away")
            await page.click("#cancel button[type=submit]")
            await expect(page.locator("#standing .s-cancelled")).to_be_visible()
        finally:
            here.client.post("/phones/VP000003/release", json={"reason": "it was the toaster"})
