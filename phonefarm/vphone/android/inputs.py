"""``input`` and ``ime``."""

from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

KEYS = {
    3: "HOME", 4: "BACK", 19: "DPAD_UP", 20: "DPAD_DOWN", 21: "DPAD_LEFT", 22: "DPAD_RIGHT", 24: "VOLUME_UP",
    25: "VOLUME_DOWN", 26: "POWER", 61: "TAB", 62: "SPACE", 66: "ENTER", 67: "DEL", 82: "MENU", 84: "SEARCH",
    111: "ESCAPE", 112: "FORWARD_DEL", 122: "MOVE_HOME", 123: "MOVE_END", 160: "NUMPAD_ENTER", 187: "APP_SWITCH",
    223: "SLEEP", 224: "WAKEUP",
}  # fmt: skip
"""Android's key codes that do something here; others are taken and change nothing."""
_NAMES = frozenset(KEYS.values())
_SOURCES = frozenset({"touchscreen", "keyboard", "mouse", "dpad", "touchpad", "stylus"})


async def input_(android: Android, call: Call) -> int:
    """``input [source] tap|swipe|draganddrop|text|keyevent ..``: silent when it works."""
    args = list(call.args)
    while args and (args[0] in _SOURCES or args[0] == "-d"):
        args = args[2:] if args[0] == "-d" else args[1:]
    verb, rest = (args[0], args[1:]) if args else ("", [])
    if verb in ("text", "keyevent", "keycombination"):
        return await (_text if verb == "text" else _keyevent)(android, call, rest)
    if verb in ("tap", "swipe", "draganddrop", "press", "roll", "motionevent"):
        return await _pointer(android, call, verb, rest)
    await call.err(f"Error: Unknown command: {verb}\n" if verb else "Usage: input [<source>] <command> [<arg>...]\n")
    return 255


async def _pointer(android: Android, call: Call, verb: str, rest: list[str]) -> int:
    kind = rest[0].upper() if verb == "motionevent" and rest else ""
    try:
        numbers = [int(float(arg)) for arg in (rest[1:] if kind else rest)]
    except (ValueError, OverflowError):
        await call.err("Error: Invalid arguments for command: " + verb + "\n")
        return 255
    if verb == "tap" and len(numbers) == 2:
        android.tap(numbers[0], numbers[1])
    elif verb in ("swipe", "draganddrop") and len(numbers) in (4, 5):
        android.swipe((numbers[0], numbers[1]), (numbers[2], numbers[3]))
    elif kind in ("DOWN", "UP", "MOVE", "CANCEL") and len(numbers) == 2:
        _motion(android, kind, (numbers[0], numbers[1]))
    elif verb in ("tap", "swipe", "draganddrop", "motionevent"):
        await call.err(f"Error: Invalid arguments for command: {verb}\n")
        return 255
    return 0


def _motion(android: Android, kind: str, place: tuple[int, int]) -> None:
    """A finger that comes down in one command and goes up in another: a tap, or a swipe if it moved."""
    if kind == "DOWN":
        android.finger = place
    elif kind in ("UP", "CANCEL") and android.finger is not None:
        start, android.finger = android.finger, None
        if kind == "UP":
            android.swipe(start, place)


async def _text(android: Android, call: Call, rest: list[str]) -> int:
    if len(rest) != 1:
        await call.err("Error: Invalid arguments for command: text\n")
        return 255
    text = rest[0].replace("%s", " ")
    if not all(" " <= char <= "~" for char in text):
        await call.err(
            "\nException occurred while executing 'text':\n"
            "java.lang.NullPointerException: Attempt to get length of null array\n"
            "\tat com.android.server.input.InputShellCommand.sendText(InputShellCommand.java:335)\n"
        )
        return 255
    android.type_text(text)
    return 0


async def _keyevent(android: Android, call: Call, rest: list[str]) -> int:
    for arg in (arg for arg in rest if not arg.startswith("--")):
        name = KEYS.get(int(arg), f"CODE_{arg}") if arg.isdigit() else arg.upper().removeprefix("KEYCODE_")
        if not arg.isdigit() and name not in _NAMES and not name.replace("_", "").isalnum():
            await call.err(f"Error: Unknown keycode: {arg}\n")
            return 255
        android.press(name)
    return 0


async def ime(android: Android, call: Call) -> int:
    """``ime list [-a] [-s]``, ``ime set|enable|disable id``, ``ime reset``."""
    verb, target = [*call.args, "", ""][:2]
    if verb == "list":
        short = "-s" in call.args
        await call.out("".join(f"{name}\n" if short else f"{name}:\n  mId={name}\n" for name in android.imes()))
        return 0
    if verb == "reset":
        android.settings["secure"]["default_input_method"] = android.imes()[0]
        await call.out("Reset current and enabled IMEs for user #0\n")
        return 0
    if target not in android.imes():
        done = "selected" if verb == "set" else f"{verb}d"
        await call.err(f"Unknown input method {target} cannot be {done} for user #0\n")
        return 255
    if verb == "set":
        android.settings["secure"]["default_input_method"] = target
        await call.out(f"Input method {target} selected for user #0\n")
    else:
        await call.out(f"Input method {target}: now {verb}d for user #0\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"input": input_, "ime": ime}
