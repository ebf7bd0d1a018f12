"""Services with a command of their own: ``cmd wifi``, ``cmd location``, ``svc``, ``locksettings`` and their like.

Each keeps its state in the phone's settings, so that ``settings get`` tells the same.
"""

import asyncio
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

Service = Callable[[Android, Call, list[str]], Awaitable[int]]


def _switch(android: Android, name: str, on: bool) -> None:
    android.settings["global"][name] = str(int(on))


def _is_on(android: Android, name: str, default: str = "1") -> bool:
    return android.settings["global"].get(name, default) == "1"


async def _unknown(call: Call, words: list[str]) -> int:
    await call.err(f"Unknown command: {' '.join(words[:1])}\n")
    return 255


async def wifi(android: Android, call: Call, args: list[str]) -> int:
    """``cmd wifi set-wifi-enabled enabled|disabled`` and ``status``."""
    if args[:1] == ["set-wifi-enabled"] and args[1:] in (["enabled"], ["disabled"]):
        _switch(android, "wifi_on", args[1] == "enabled")
        return 0
    if args[:1] == ["status"]:
        on = _is_on(android, "wifi_on")
        await call.out(f"Wifi is {'enabled' if on else 'disabled'}\nWifi scanning is always available\n")
        await call.out('Wifi is connected to "rack"\n' if on else "Wifi is not connected\n")
        return 0
    return await _unknown(call, args)


async def phone(android: Android, call: Call, args: list[str]) -> int:
    """``cmd phone data enable|disable``."""
    if args[:1] == ["data"] and args[1:] in (["enable"], ["disable"]):
        _switch(android, "mobile_data", args[1] == "enable")
        return 0
    return await _unknown(call, args)


async def connectivity(android: Android, call: Call, args: list[str]) -> int:
    """``cmd connectivity airplane-mode [enable|disable]``."""
    if args[:1] != ["airplane-mode"]:
        return await _unknown(call, args)
    if args[1:] in (["enable"], ["disable"]):
        _switch(android, "airplane_mode_on", args[1] == "enable")
    else:
        await call.out("enabled\n" if _is_on(android, "airplane_mode_on", "0") else "disabled\n")
    return 0


async def bluetooth(android: Android, call: Call, args: list[str]) -> int:
    """``cmd bluetooth_manager enable|disable|wait-for-state:STATE_ON``."""
    if args[:1] in (["enable"], ["disable"]):
        _switch(android, "bluetooth_on", args[0] == "enable")
    return 0


async def location(android: Android, call: Call, args: list[str]) -> int:
    """``cmd location is-location-enabled`` and ``set-location-enabled true|false``."""
    secure = android.settings["secure"]
    if args[:1] == ["is-location-enabled"]:
        await call.out("true\n" if secure.get("location_mode", "3") != "0" else "false\n")
    elif args[:1] == ["set-location-enabled"] and args[1:2] in (["true"], ["false"]):
        secure["location_mode"] = "3" if args[1] == "true" else "0"
    else:
        return await _unknown(call, args)
    return 0


async def uimode(android: Android, call: Call, args: list[str]) -> int:
    """``cmd uimode night [yes|no]``."""
    if args[:1] == ["night"]:
        if args[1:2] in (["yes"], ["no"]):
            android.settings["secure"]["ui_night_mode"] = "2" if args[1] == "yes" else "1"
        night = android.settings["secure"].get("ui_night_mode") == "2"
        await call.out(f"Night mode: {'yes' if night else 'no'}\n")
    return 0


async def deviceidle(android: Android, call: Call, args: list[str]) -> int:
    """``cmd deviceidle whitelist [+PACKAGE|-PACKAGE]``."""
    if args[:1] == ["whitelist"]:
        for arg in args[1:]:
            change = android.idle_allowed.add if arg.startswith("+") else android.idle_allowed.discard
            change(arg[1:])
            await call.out(f"{'Added' if arg.startswith('+') else 'Removed'}: {arg[1:]}\n")
        if not args[1:]:
            names = sorted(android.idle_allowed)
            await call.out("".join(f"user,{name},{android.uid(name)}\n" for name in names))
    return 0


async def lock_settings(android: Android, call: Call, args: list[str]) -> int:
    """``locksettings get-disabled|set-disabled|set-pin|set-password|set-pattern|clear|verify [--old X] [secret]``."""
    guard = android.keyguard
    words = list(args)
    old = ""
    if "--old" in words[:-1]:
        place = words.index("--old")
        old = words[place + 1]
        del words[place : place + 2]
    verb, value = [*words, "", ""][:2]
    if verb == "get-disabled":
        await call.out(f"{str(guard.disabled and not guard.secret).lower()}\n")
        return 0
    if verb == "set-disabled":
        guard.disabled = value == "true"
        await call.out(f"Lock screen disabled set to {str(guard.disabled).lower()}\n")
        return 0
    done = {
        "set-pin": f"Pin set to '{value}'", "set-password": f"Password set to '{value}'",
        "set-pattern": f"Pattern set to '{value}'", "clear": "Lock credential cleared",
        "verify": "Lock credential verified successfully",
    }  # fmt: skip
    if verb not in done:
        return await _unknown(call, args)
    if old != guard.secret:
        await call.out(f"Old password '{old}' didn't match\n")
        return 0
    guard.secret = guard.secret if verb == "verify" else "" if verb == "clear" else value
    await call.out(f"{done[verb]}\n")
    return 0


async def silent(android: Android, call: Call, args: list[str]) -> int:
    """Services whose effects nobody can see here."""
    return 0


SERVICES: dict[str, Service] = {
    "wifi": wifi,
    "phone": phone,
    "connectivity": connectivity,
    "bluetooth_manager": bluetooth,
    "location": location,
    "uimode": uimode,
    "deviceidle": deviceidle,
    "lock_settings": lock_settings,
    "statusbar": silent,
    "notification": silent,
    "power": silent,
    "jobscheduler": silent,
    "appops": silent,
    "netpolicy": silent,
    "media_session": silent,
    "overlay": silent,
    "role": silent,
    "stats": silent,
}
SAME = {
    "package": "pm", "activity": "am", "settings": "settings", "input": "input", "wm": "wm", "window": "wm",
    "input_method": "ime",
}  # fmt: skip
"""Services whose command is also a program."""


async def svc(android: Android, call: Call) -> int:
    """``svc wifi|data|bluetooth|nfc enable|disable``, ``svc power stayon|reboot|shutdown``."""
    names = {"wifi": "wifi_on", "data": "mobile_data", "bluetooth": "bluetooth_on", "nfc": "nfc_on"}
    what, verb = [*call.args, "", ""][:2]
    if what in names and verb in ("enable", "disable"):
        _switch(android, names[what], verb == "enable")
    elif what == "power" and verb in ("reboot", "shutdown"):
        android.on_reboot(call.args[2] if len(call.args) > 2 else "")
        await never()
    return 0


async def never() -> None:
    """Wait until the connection drops."""
    await asyncio.Event().wait()


async def locksettings(android: Android, call: Call) -> int:
    """The same as ``cmd lock_settings``."""
    return await lock_settings(android, call, call.args)


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"svc": svc, "locksettings": locksettings}
