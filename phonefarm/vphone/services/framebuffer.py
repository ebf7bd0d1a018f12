"""``framebuffer:`` version 2: fourteen u32, and the pixels as RGBA.

The u32 are version, depth, colour space, size, width, height, then offset and length in bits of red, blue, green and
alpha. Source: AOSP ``framebuffer_service.cpp``.
"""

import struct
from typing import TYPE_CHECKING

from phonefarm.vphone.wire.stream import Stream

if TYPE_CHECKING:
    from phonefarm.vphone.services.table import Device

SRGB = 1
_HEADER = struct.Struct("<14I")


async def serve(device: "Device", stream: Stream) -> None:
    """Send one picture of the screen."""
    with device.journal.command("framebuffer", "") as entry:
        width, height, pixels = await device.raw_screen()
        channels = (0, 8, 16, 8, 8, 8, 24, 8)
        await stream.write(_HEADER.pack(2, 32, SRGB, len(pixels), width, height, *channels))
        for start in range(0, len(pixels), 256 * 1024):
            await stream.write(pixels[start : start + 256 * 1024])
        entry.rc = 0
