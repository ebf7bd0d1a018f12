"""``uiautomator``, ``screencap`` and ``wm``."""

import re
import struct
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.state import Android
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, to_xml
from phonefarm.vphone.shell.call import Call
from phonefarm.vphone.shell.pipes import to_bytes

DUMP = "/sdcard/window_dump.xml"
DENSITY = 420
_BLOCK = 256 * 1024


async def uiautomator(android: Android, call: Call) -> int:
    """``uiautomator dump [--compressed] [file]``; failing it writes an error and still returns 0, as the real one."""
    if call.args[:1] != ["dump"]:
        await call.err("Unsupported command\n")
        return 1
    if android.faults.on("no_idle"):
        await call.err("ERROR: could not get idle state.\n")
        return 0
    if android.faults.on("null_root") or not android.awake or not android.booted:
        await call.err("ERROR: null root node returned by UiTestAutomationBridge.\n")
        return 0
    target = next((arg for arg in call.args[1:] if not arg.startswith("-")), DUMP)
    xml = android.faults.text("xml") or to_xml(android.tree(), android.window_package(), android.rotation)
    if target in ("/dev/tty", "/dev/stdout"):
        await call.out(xml)
    else:
        call.fs.write(call.shell.absolute(target), to_bytes(xml))
    await call.out(f"UI hierchary dumped to: {target}\n")
    return 0


async def screencap(android: Android, call: Call) -> int:
    """``screencap [-p] [file]``; raw is width, height, format 1, colour space 1 (u32 each) and RGBA."""
    paths = [arg for arg in call.args if not arg.startswith("-")]
    if "-p" in call.args or (paths and paths[0].endswith(".png")):
        data = await android.screenshot()
    else:
        width, height, pixels = await android.raw_screen()
        data = struct.pack("<4I", width, height, 1, 1) + pixels
    if paths:
        call.fs.write(call.shell.absolute(paths[0]), data)
        return 0
    for start in range(0, len(data), _BLOCK):
        await call.io.stdout.write(data[start : start + _BLOCK])
    return 0


async def wm(android: Android, call: Call) -> int:
    """``wm size [WxH|reset]`` and ``wm density [N|reset]``."""
    what, value = [*call.args, "", ""][:2]
    if what == "size":
        return await _size(android, call, value)
    if what == "density":
        return await _density(android, call, value)
    if what == "dismiss-keyguard":
        if not android.keyguard.secret:
            android.faults.set("locked", False)
        return 0
    if what in ("user-rotation", "fixed-to-user-rotation", "set-user-rotation"):
        return await _rotation(android, call, call.args[1:])
    await call.err(f"Unknown command: {what}\n")
    return 255


async def _rotation(android: Android, call: Call, words: list[str]) -> int:
    """``wm user-rotation [lock N|free]``: lock turns the phone."""
    if words[:1] == ["lock"] and words[1:2] and words[1] in "0123":
        android.rotate(int(words[1]))
        android.settings["system"]["user_rotation"] = words[1]
    elif not words:
        await call.out("free\n" if android.settings["system"].get("accelerometer_rotation") == "1" else "lock\n")
    return 0


async def _size(android: Android, call: Call, value: str) -> int:
    match = re.fullmatch(r"(\d+)x(\d+)", value)
    if match:
        width, height = int(match.group(1)), int(match.group(2))
        if not (72 <= width <= 8192 and 72 <= height <= 8192):
            await call.err("Error: invalid display size\n")
            return 255
        android.size_override = (width, height)
    elif value == "reset":
        android.size_override = None
    elif value:
        await call.err(f"Error: bad size {value}\n")
        return 255
    else:
        await call.out(f"Physical size: {WIDTH}x{HEIGHT}\n")
        if android.size_override:
            await call.out("Override size: {}x{}\n".format(*android.size_override))
    return 0


async def _density(android: Android, call: Call, value: str) -> int:
    if value.isdigit():
        android.density_override = int(value)
    elif value == "reset":
        android.density_override = None
    elif not value:
        await call.out(f"Physical density: {DENSITY}\n")
        if android.density_override:
            await call.out(f"Override density: {android.density_override}\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {
    "uiautomator": uiautomator,
    "screencap": screencap,
    "wm": wm,
}
