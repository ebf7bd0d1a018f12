"""``pm`` (and ``cmd package``): what is installed, installing, clearing."""

from collections.abc import Awaitable, Callable

from phonefarm.vphone.android import install
from phonefarm.vphone.android.activity import parse_intent, resolved
from phonefarm.vphone.android.dumpsys import package as package_report
from phonefarm.vphone.android.parts import INSTALL_TIME
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

CACHE_ONLY_SDK = 34


async def pm(android: Android, call: Call) -> int:
    """``pm list|path|clear|install|uninstall|enable|disable|grant|revoke ..``."""
    verb, rest = (call.args[0], call.args[1:]) if call.args else ("", [])
    verbs: dict[str, Callable[[Android, Call, list[str]], Awaitable[int]]] = {
        "list": _list,
        "path": _path,
        "clear": _clear,
        "help": _help,
        "trim-caches": _trim,
        "uninstall": _uninstall,
        "resolve-activity": _resolve,
        "query-activities": _resolve,
        "dump": _dump,
        "get-max-users": _users,
        **install.VERBS,
    }
    if verb in verbs:
        return await verbs[verb](android, call, rest)
    if verb in ("grant", "revoke"):
        return await _permit(android, call, call.args)
    if verb in ("enable", "disable", "disable-user"):
        return await _switch(android, call, call.args)
    if verb in (
        "set-install-location",
        "set-user-restriction",
        "compile",
        "bg-dexopt-job",
        "reset-permissions",
        "hide",
    ):
        return 0
    await call.err(f"Unknown command: {verb}\n")
    return 255


async def _list(android: Android, call: Call, rest: list[str]) -> int:
    if rest[:1] == ["features"]:
        await call.out("feature:android.hardware.touchscreen\nfeature:android.hardware.wifi\n")
        return 0
    if rest[:1] == ["users"]:
        await call.out("Users:\n\tUserInfo{0:Owner:c13} running\n")
        return 0
    if rest[:1] and rest[0] not in ("packages", "package"):
        return 0
    words = [arg for arg in rest[1:] if not arg.startswith("-")]
    for name, package in sorted(android.packages.items()):
        hidden = ("-3" in rest and package.system) or ("-s" in rest and not package.system)
        hidden = hidden or ("-d" in rest and not package.disabled) or ("-e" in rest and package.disabled)
        if hidden or (words and words[0] not in name):
            continue
        suffix = f" versionCode:{package.version_code}" if "--show-versioncode" in rest else ""
        suffix += f" uid:{android.uid(name)}" if "-U" in rest else ""
        suffix += "  installer=null" if "-i" in rest else ""
        await call.out(f"package:{package.path + '=' if '-f' in rest else ''}{name}{suffix}\n")
    return 0


def _named(rest: list[str]) -> str:
    """The package among the arguments, past ``--user 0`` and options."""
    words = [arg for arg in rest if not arg.startswith("-") and not arg.isdigit()]
    return words[0] if words else ""


async def _path(android: Android, call: Call, rest: list[str]) -> int:
    package = android.packages.get(_named(rest))
    if package is None:
        return 1
    for path in (package.path, *(package.split_path(split) for split in package.splits)):
        await call.out(f"package:{path}\n")
    return 0


async def _dump(android: Android, call: Call, rest: list[str]) -> int:
    """``pm dump PACKAGE``, which is ``dumpsys package``."""
    await call.out(package_report(android, rest))
    return 0


async def _users(android: Android, call: Call, rest: list[str]) -> int:
    """``pm get-max-users``."""
    await call.out("Maximum supported users: 4\n")
    return 0


async def _trim(android: Android, call: Call, rest: list[str]) -> int:
    """``pm trim-caches BYTES``: empty caches, the largest first, until so much is free."""
    if not rest or not rest[0].isdigit():
        await call.err("Error: no size specified\n")
        return 1
    for name in sorted(android.caches, key=lambda name: -android.caches[name]):
        if android.free_bytes() >= int(rest[0]):
            break
        android.caches[name] = 0
    return 0


async def _clear(android: Android, call: Call, rest: list[str]) -> int:
    """Erases an app's data. ``--cache-only`` before the package spares all but the cache, from Android 14 on; earlier
    ones, and this one after the package, ignore the option, as the real ones do."""
    name = _named(rest)
    if name not in android.packages:
        await call.out("Failed\n")
        return 1
    android.caches[name] = 0
    if not (rest[:1] == ["--cache-only"] and _knows_cache_only(android)):
        android.erase(name)
    await call.out("Success\n")
    return 0


def _knows_cache_only(android: Android) -> bool:
    return int(android.properties.get("ro.build.version.sdk", booted=True) or "0") >= CACHE_ONLY_SDK


async def _help(android: Android, call: Call, rest: list[str]) -> int:
    option = " [--cache-only]" if _knows_cache_only(android) else ""
    await call.out(
        "Package manager (package) commands:\n  help\n    Print this help text.\n\n"
        f"  clear [--user USER_ID]{option} PACKAGE\n    Deletes data associated with a package. Options are:\n"
        "  trim-caches DESIRED_FREE_SPACE [internal|UUID]\n    Trim cache files to reach the given free space.\n"
    )
    return 0


async def _uninstall(android: Android, call: Call, rest: list[str]) -> int:
    package = android.packages.get(_named(rest))
    if package is None or package.system:
        await call.out("Failure [DELETE_FAILED_INTERNAL_ERROR]\n")
        return 1
    android.remove_app(package.name)
    await call.out("Success\n")
    return 0


async def _resolve(android: Android, call: Call, rest: list[str]) -> int:
    """``pm resolve-activity [--brief] [-a ACTION] [-d URI] [PACKAGE]``."""
    found = resolved(android, parse_intent([arg for arg in rest if arg not in ("--brief", "--components")]))
    if found is None:
        await call.out("No activity found\n")
        return 0
    name = f"{found.name}/{found.activity}"
    if "--brief" in rest:
        await call.out(f"priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=true\n{name}\n")
    elif "--components" in rest:
        await call.out(f"{name}\n")
    else:
        full = found.name + found.activity
        await call.out(
            "priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=true\n"
            f"ActivityInfo:\n  name={full}\n  packageName={found.name}\n  enabled=true exported=true\n"
        )
    return 0


async def _permit(android: Android, call: Call, rest: list[str]) -> int:
    """``pm grant|revoke PACKAGE PERMISSION``: silent when it works."""
    words = [arg for arg in rest[1:] if not arg.startswith("-") and not arg.isdigit()]
    name, permission = [*words, "", ""][:2]
    package = android.packages.get(name)
    problem = ""
    if package is None:
        problem = f"java.lang.IllegalArgumentException: Unknown package: {name}"
    elif permission not in package.requested:
        problem = f"java.lang.SecurityException: Package {name} has not requested permission {permission}"
    elif permission in INSTALL_TIME:
        what = f"Permission {permission} requested by {name}"
        problem = f"java.lang.SecurityException: {what} is not a changeable permission type"
    if problem:
        await call.err(f"\nException occurred while executing '{rest[0]}':\n{problem}\n")
        return 255
    assert package is not None
    (package.granted.add if rest[0] == "grant" else package.granted.discard)(permission)
    return 0


async def _switch(android: Android, call: Call, rest: list[str]) -> int:
    """``pm enable|disable|disable-user PACKAGE``."""
    name = _named(rest[1:])
    package = android.packages.get(name)
    if package is None:
        await call.err(f"Error: java.lang.IllegalArgumentException: Unknown package: {name}\n")
        return 255
    package.disabled = rest[0] != "enable"
    if package.disabled:
        android.stop_app(name)
    state = {"enable": "enabled", "disable": "disabled", "disable-user": "disabled-user"}[rest[0]]
    await call.out(f"Package {name} new state: {state}\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"pm": pm}
