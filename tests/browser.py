"""A real Chromium for the tests of the console, without a window, with a profile of its own that is thrown away.

Whatever a page does is held to what every page promises: it asks nothing of another machine, and its policy and
scripts give the browser nothing to complain of. Where no Chromium is, a test that needs one is skipped and says what
to install.

Pictures of pages are written to ``docs/img/`` only with ``PHONEFARM_SCREENSHOTS=1``, so that a run leaves the tree as
it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "img"
SCREENSHOTS = os.environ.get("PHONEFARM_SCREENSHOTS") == "1"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SMALL, LARGE = (390, 844), (1600, 1000)
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What Chromium says of an answer that the test itself provoked; everything else on its console is a fault.
_TOLD = "Failed to load resource"


def chromium_path() -> str:
    """Where Chromium is. Skips the test where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here: run scripts/chromium.sh as root, or apt-get install chromium")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, ended at the end."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(kw_only=True, slots=True)
class Visit:
    """A window at a farm. ``requests``: everything it asked for; ``said``: what the browser complained of."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def sign_in(self, key: str, then: str = "/") -> None:
        """By the page for it, as a person does."""
        await self.go(then)
        await self.page.fill("#key", key)
        await self.page.click("button[type=submit]")
        await self.page.wait_for_url(self.url + then)

    async def check_accessibility(self) -> None:
        """axe-core finds nothing serious."""
        found = await Axe().run(self.page, options={"resultTypes": ["violations"]})
        worst = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
        assert not worst, "\n".join(_shown(violation) for violation in worst)

    async def check_width(self) -> None:
        """Nothing sticks out at the side."""
        script = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        wide, seen = await self.page.evaluate(script)
        assert wide <= seen, f"{self.page.url} is {wide} wide in a window of {seen}"

    async def shoot(self, name: str, *, full: bool = False) -> None:
        """A picture for the documentation, when they are asked for."""
        if SCREENSHOTS:
            IMAGES.mkdir(exist_ok=True)
            await self.page.screenshot(path=IMAGES / f"{name}.png", full_page=full)

    def check(self) -> None:
        """What holds for every page: no request to another machine, nothing to complain of."""
        outside = [url for url in self.requests if urlsplit(url).netloc != urlsplit(self.url).netloc]
        assert not outside, f"asked of other machines: {outside}"
        assert not self.said, self.said


def _shown(violation: dict[str, Any]) -> str:
    nodes = [f"  {node['target']}: {node.get('failureSummary', '')}" for node in violation["nodes"][:5]]
    return "\n".join([f"{violation['impact']}: {violation['help']}", *nodes])


@contextlib.asynccontextmanager
async def visit(
    browser: Browser, url: str, *, size: tuple[int, int] = LARGE, dark: bool = False
) -> AsyncIterator[Visit]:
    """A window of its own, with its own cookies; held to what every page promises when it is closed."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", locale="en-GB"
    )
    page = await context.new_page()
    seen = Visit(page=page, url=url)

    def asked(request: Request) -> None:
        seen.requests.append(request.url)

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_TOLD):
            seen.said.append(message.text)

    context.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    try:
        yield seen
        seen.check()
    finally:
        await context.close()
