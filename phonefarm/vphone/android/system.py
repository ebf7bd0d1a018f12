"""Properties, settings, disks, processes, log, network and power."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.services import SERVICES
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.fs import CAPACITY
from phonefarm.vphone.shell.call import Call

_NAMES = sorted({*SERVICES, "package", "activity", "window", "power", "input", "input_method", "battery", "display"})
"""Services that ``service`` knows."""


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
    """``service check name``, ``service list`` and ``service call name code``."""
    verb, name = [*call.args, "", ""][:2]
    if verb == "check":
        await call.out(f"Service {name}: {'found' if name in _NAMES else 'not found'}\n")
    elif verb == "list":
        await call.out(f"Found {len(_NAMES)} services:\n")
        await call.out("".join(f"{place}\t{one}: []\n" for place, one in enumerate(_NAMES)))
    elif verb == "call":
        await call.out("Result: Parcel(00000000    '....')\n")
    return 0


async def must_be_root(android: Android, call: Call) -> int:
    """``start`` and ``stop``: a production phone's shell may not."""
    await call.err("Must be root\n")
    return 1


async def free(android: Android, call: Call) -> int:
    """``free``: memory in kilobytes, the same as in ``/proc/meminfo``."""
    await call.out(
        "\t\ttotal        used        free      shared     buffers\n"
        "Mem:        7732428     7320120      412308       40212        4212\n"
        "-/+ buffers/cache:   3894496     3837932\n"
        "Swap:       3145724      231424     2914300\n"
    )
    return 0


async def mount(android: Android, call: Call) -> int:
    """``mount``: what is mounted."""
    rows = (line.split(" ") for line in call.fs.read("/proc/mounts").decode().splitlines())
    await call.out("".join(f"{row[0]} on {row[1]} type {row[2]} ({row[3]})\n" for row in rows))
    return 0


async def ping(android: Android, call: Call) -> int:
    """``ping [-c N] host``: this phone only knows itself."""
    host = call.args[-1] if call.args else ""
    count = call.args[call.args.index("-c") + 1] if "-c" in call.args[:-1] else "4"
    if host not in ("localhost", "127.0.0.1"):
        await call.err(f"ping: unknown host {host}\n")
        return 2
    await call.out(f"PING {host} (127.0.0.1) 56(84) bytes of data.\n")
    for number in range(1, min(int(count), 100) + 1):
        await call.out(f"64 bytes from 127.0.0.1: icmp_seq={number} ttl=64 time=0.05 ms\n")
    await call.out(
        f"\n--- {host} ping statistics ---\n{count} packets transmitted, {count} received, 0% packet loss, time 0ms\n"
    )
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {
    "getprop": getprop,
    "setprop": setprop,
    "settings": settings,
    "df": df,
    "ip": ip,
    "uptime": uptime,
    "reboot": reboot,
    "service": service,
    "start": must_be_root,
    "stop": must_be_root,
    "free": free,
    "mount": mount,
    "ping": ping,
}
