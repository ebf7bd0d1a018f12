"""Properties, settings, disks, processes, log, network and power."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.state import Android
from phonefarm.vphone.fs import CAPACITY
from phonefarm.vphone.shell.call import Call


async def getprop(android: Android, call: Call) -> int:
    """``getprop [name [default]]``."""
    if call.args:
        value = android.properties.get(call.args[0], booted=android.booted)
        await call.out((value or (call.args[1] if len(call.args) > 1 else "")) + "\n")
        return 0
    for name, value in android.properties.all(booted=android.booted).items():
        await call.out(f"[{name}]: [{value}]\n")
    return 0


async def setprop(android: Android, call: Call) -> int:
    """``setprop name value``."""
    if len(call.args) != 2:
        return await call.fail("usage: setprop NAME VALUE")
    try:
        android.properties.set(*call.args)
    except ValueError as error:
        await call.err(f"{error}\n")
        return 1
    return 0


async def settings(android: Android, call: Call) -> int:
    """``settings get|put|delete|list namespace [key [value]]``."""
    verb, space = [*call.args, "", ""][:2]
    table = android.settings.get(space)
    if table is None or verb not in ("get", "put", "delete", "list"):
        await call.err("Invalid namespace or command\n")
        return 255
    key, value = [*call.args[2:], "", ""][:2]
    if verb == "get":
        await call.out(table.get(key, "null") + "\n")
    elif verb == "put":
        table[key] = value
    elif verb == "delete":
        await call.out(f"Deleted {int(table.pop(key, None) is not None)} rows\n")
    else:
        await call.out("".join(f"{name}={text}\n" for name, text in sorted(table.items())))
    return 0


async def df(android: Android, call: Call) -> int:
    """``df [path]`` in kilobytes."""
    human = "-h" in call.args
    total = CAPACITY // 1024
    used = total - android.free_bytes() // 1024
    sizes = [f"{n / 1024 / 1024:.0f}G" if human else str(n) for n in (total, used, total - used)]
    title = "Size" if human else "1K-blocks"
    await call.out(f"Filesystem      {title:>9} {'Used':>9} {'Available':>9} Use% Mounted on\n")
    row = " ".join(f"{size:>9}" for size in sizes)
    await call.out(f"/dev/block/dm-44 {row} {used * 100 // total:>3}% /data/user/0\n")
    return 0


def _processes(android: Android) -> list[tuple[str, int, str]]:
    fixed = [("root", 1, "init"), ("system", 1500, "system_server"), ("u0_a91", 2100, "com.android.systemui")]
    fixed.append(("u0_a120", 2300, "com.google.android.apps.nexuslauncher"))
    fixed.append(("shell", 980, "adbd"))
    return fixed + [("u0_a205", task.pid, name) for name, task in android.tasks.items()]


async def ps(android: Android, call: Call) -> int:
    """``ps [-A] [-o columns]``."""
    await call.out("USER            PID   PPID     VSZ    RSS WCHAN            ADDR S NAME\n")
    for user, pid, name in sorted(_processes(android), key=lambda row: row[1]):
        await call.out(f"{user:<12} {pid:>6} {min(pid - 1, 900):>6} 14523920 182340 0                   0 S {name}\n")
    return 0


async def pidof(android: Android, call: Call) -> int:
    """``pidof name``: 1 when it does not run."""
    found = [str(pid) for _, pid, name in _processes(android) if name in call.args]
    if found:
        await call.out(" ".join(found) + "\n")
    return 0 if found else 1


async def ip(android: Android, call: Call) -> int:
    """``ip addr show wlan0``, ``ip route``."""
    address = f"10.0.{sum(android.config.serialno.encode()) % 250}.{int(android.config.seed) % 250 + 2}"
    if "route" in call.args:
        await call.out(f"10.0.0.0/16 dev wlan0 proto kernel scope link src {address}\n")
        return 0
    await call.out("24: wlan0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP group default qlen 3000\n")
    await call.out("    link/ether 02:15:b2:00:00:00 brd ff:ff:ff:ff:ff:ff\n")
    await call.out(f"    inet {address}/16 brd 10.0.255.255 scope global wlan0\n")
    return 0


async def svc(android: Android, call: Call) -> int:
    """``svc wifi enable|disable``, ``svc power stayon``, ``svc power reboot``."""
    if call.args[:1] == ["wifi"] and len(call.args) > 1:
        android.settings["global"]["wifi_on"] = str(int(call.args[1] == "enable"))
    if call.args[:2] == ["power", "reboot"]:
        return await reboot(android, call)
    return 0


async def uptime(android: Android, call: Call) -> int:
    """``uptime``."""
    minutes = int(android.uptime() // 60)
    clock = time.strftime("%H:%M:%S", time.gmtime(android.wall()))
    span = f"{minutes} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}"
    await call.out(f" {clock} up {span},  0 users,  load average: 0.52, 0.61, 0.58\n")
    return 0


async def reboot(android: Android, call: Call) -> int:
    """``reboot``: the connection drops, so it never returns."""
    android.on_reboot(call.args[0] if call.args else "")
    await asyncio.Event().wait()
    return 0


async def service(android: Android, call: Call) -> int:
    """``service check name`` and ``service list``."""
    if call.args[:1] == ["check"] and len(call.args) > 1:
        await call.out(f"Service {call.args[1]}: found\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {
    "getprop": getprop,
    "setprop": setprop,
    "settings": settings,
    "df": df,
    "ps": ps,
    "pidof": pidof,
    "ip": ip,
    "svc": svc,
    "uptime": uptime,
    "reboot": reboot,
    "service": service,
}
