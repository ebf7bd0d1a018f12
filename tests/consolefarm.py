"""A farm in one process with its HTTP app on a real socket, for tests of the console in a browser.

The manager, the router and the phones' actors are the real ones; the phones show a drawn screen.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image, ImageDraw

from phonefarm.serve.app import ServeConfig, create_app
from phonefarm.serve.auth import KeyRing, Scope, make_key
from tests.databases import new_sqlite
from tests.farmtools import FakeDevice, LocalFarm, local_farm
from tests.unit.serve.server import served

KEY, READER_KEY = "pf_console_tests_everything", "pf_console_tests_reading"


def picture(text: str, colour: str = "#3a6ea5") -> bytes:
    """A phone's screen, as PNG."""
    image = Image.new("RGB", (540, 1170), colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 540, 60), fill="#111")
    draw.text((20, 20), "09:41", fill="white", font_size=28)
    draw.text((40, 540), text, fill="white", font_size=40)
    draw.rectangle((190, 1145, 350, 1152), fill="white")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


async def add_phone(farm: LocalFarm, phone_id: str, *groups: str, host: str = "local") -> FakeDevice:
    """A phone with a screen to look at, available when this returns."""
    device = FakeDevice(phone_id, farm.log)
    device.picture = picture(phone_id)
    farm.devices[phone_id] = device
    return await farm.add_phone(phone_id, *groups, host=host)


@asynccontextmanager
async def console_farm(directory: Path) -> AsyncIterator[tuple[LocalFarm, str]]:
    """A farm without phones and the address of its console. ``KEY`` may do everything, ``READER_KEY`` read."""
    keys = KeyRing([make_key(KEY, name="operator"), make_key(READER_KEY, name="reader", scopes={Scope.READ})])
    async with local_farm(new_sqlite(directory), directory) as farm:
        config = ServeConfig(callbacks_allow=("127.0.0.0/8",))
        app = create_app(farm.manager, keys=keys, config=config, phone=farm._phone)
        async with served(app) as url:
            yield farm, url
