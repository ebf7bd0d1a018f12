"""``pm`` (and ``cmd package``): what is installed, installing, clearing."""

import io
import re
import zipfile
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.parts import Package
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

CACHE_ONLY_SDK = 34
_NAME = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)+\Z")


async def pm(android: Android, call: Call) -> int:
    """``pm list|path|clear|install|uninstall|enable|disable|grant|revoke ..``."""
    verb, rest = (call.args[0], call.args[1:]) if call.args else ("", [])
    verbs: dict[str, Callable[[Android, Call, list[str]], Awaitable[int]]] = {
        "list": _list,
        "path": _path,
        "clear": _clear,
        "help": _help,
        "trim-caches": _trim,
        "install": _install,
        "uninstall": _uninstall,
        "resolve-activity": _resolve,
    }
    if verb in verbs:
        return await verbs[verb](android, call, rest)
    if verb in ("enable", "disable", "disable-user", "grant", "revoke"):
        return 0
    await call.err(f"Unknown command: {verb}\n")
    return 255


async def _list(android: Android, call: Call, rest: list[str]) -> int:
    if rest[:1] == ["features"]:
        await call.out("feature:android.hardware.touchscreen\nfeature:android.hardware.wifi\n")
        return 0
    words = [arg for arg in rest[1:] if not arg.startswith("-")]
    for name, package in sorted(android.packages.items()):
        hidden = ("-3" in rest and package.system) or ("-s" in rest and not package.system)
        if hidden or (words and words[0] not in name):
            continue
        suffix = f" versionCode:{package.version_code}" if "--show-versioncode" in rest else ""
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
    await call.out(f"package:{package.path}\n")
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
    android.stop_app(package.name)
    del android.packages[package.name]
    await call.out("Success\n")
    return 0


async def _resolve(android: Android, call: Call, rest: list[str]) -> int:
    package = android.packages.get(rest[-1]) if rest else None
    if package is None or not package.activity:
        await call.out("No activity found\n")
        return 0
    await call.out(f"priority=0 preferredOrder=0 match=0x108000\n{package.name}/{package.activity}\n")
    return 0


async def _install(android: Android, call: Call, rest: list[str]) -> int:
    size = next((int(rest[i + 1]) for i, arg in enumerate(rest[:-1]) if arg == "-S" and rest[i + 1].isdigit()), -1)
    paths = [arg for arg in rest if "/" in arg]
    if size >= 0:
        data = await _exactly(call, size)
    elif paths:
        data = call.fs.read(call.shell.absolute(paths[0]))
    else:
        await call.out("Error: no package specified\n")
        return 1
    problem = _put(android, data, downgrade="-d" in rest)
    await call.out(f"Failure [{problem}]\n" if problem else "Success\n")
    return 1 if problem else 0


async def _exactly(call: Call, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := await call.io.stdin.read(size - len(data))):
        data += more
    return bytes(data)


def _put(android: Android, data: bytes, *, downgrade: bool) -> str:
    """Install an APK; returns the reason of a failure, or ``""``."""
    if android.faults.on("disk_full"):
        return "INSTALL_FAILED_INSUFFICIENT_STORAGE"
    found = read_apk(data)
    if found is None:
        return "INSTALL_PARSE_FAILED_NOT_APK: Failed to parse base.apk"
    old = android.packages.get(found.name)
    if old is not None and old.version_code > found.version_code and not downgrade:
        return f"INSTALL_FAILED_VERSION_DOWNGRADE: Update version code {found.version_code} is older than current"
    if old is not None:
        found.activity, found.label, found.colour = old.activity, old.label, old.colour
    found.installed_at = android.wall()
    android.stop_app(found.name)
    android.packages[found.name] = found
    return ""


def read_apk(data: bytes) -> Package | None:
    """Name and version in an APK's manifest (as text, or the names in the binary form), or None when it is no APK."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo("AndroidManifest.xml").file_size > 10_000_000:
                return None
            manifest = archive.read("AndroidManifest.xml")
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError):
        return None
    text = manifest.decode("utf-8", "replace")
    name = re.search(r'package="([^"]+)"', text)
    code = re.search(r'versionCode="(\d+)"', text)
    if name is not None:
        version = re.search(r'versionName="([^"]+)"', text)
        return Package(
            name=name.group(1),
            activity=".MainActivity",
            version_code=int(code.group(1)) if code else 1,
            version_name=version.group(1) if version else "1.0",
        )
    strings = manifest.decode("utf-16-le", "ignore").split("\0")
    names = [word for word in strings if _NAME.match(word) and not word.startswith("android.")]
    return Package(name=names[0], activity=".MainActivity") if names else None


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"pm": pm}
