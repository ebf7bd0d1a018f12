"""``dumpsys`` of services that are looked at for a line or two: input, memory, processor, network, idle."""

from collections.abc import Callable

from phonefarm.vphone.android.parts import INSTALL_TIME, Package
from phonefarm.vphone.android.processes import running
from phonefarm.vphone.android.state import Android


def input_service(android: Android, args: list[str]) -> str:
    """How the touch screen is turned."""
    width, height = android.size
    frame = f"[0, 0, {width}, {height}]"
    return (
        "INPUT MANAGER (dumpsys input)\n\nInput Reader State (Nums of device: 2):\n"
        "  Device 2: touchscreen\n"
        "    Viewport INTERNAL: displayId=0, uniqueId=local:4619827259835644672, port=0, "
        f"orientation={android.rotation}, logicalFrame={frame}, physicalFrame={frame}, deviceSize=[{width}, {height}]\n"
        f"      SurfaceWidth: {width}px\n      SurfaceHeight: {height}px\n"
        f"      SurfaceOrientation: {android.rotation}\n"
    )


def meminfo(android: Android, args: list[str]) -> str:
    """Memory of an app, or of all."""
    names = [arg for arg in args if not arg.startswith("-")]
    rows = [(pid, name) for _, pid, name in running(android)]
    if not names:
        body = "".join(f"    178,340K: {name} (pid {pid})\n" for pid, name in rows)
        return f"Total PSS by process:\n{body}\nTotal RAM: 7,732,428K (status normal)\n Free RAM: 3,910,456K\n"
    found = [(pid, name) for pid, name in rows if names[0] in (name, str(pid))]
    if not found:
        return f"No process found for: {names[0]}\n"
    pid, name = found[0]
    return (
        "Applications Memory Usage (in Kilobytes):\nUptime: 100000 Realtime: 100000\n\n"
        f"** MEMINFO in pid {pid} [{name}] **\n"
        "                   Pss  Private  Private     Swap      Rss     Heap     Heap     Heap\n"
        "                 Total    Dirty    Clean    Dirty    Total     Size    Alloc     Free\n"
        "                ------   ------   ------   ------   ------   ------   ------   ------\n"
        "  Native Heap    21044    21012        0      120    22340    38912    24310    10211\n"
        "  Dalvik Heap    11230    11180        0      100    12480    17408     9216     8192\n"
        "        TOTAL   178340    98120    32044      420   182340    56320    33526    18403\n\n"
        " App Summary\n                       Pss(KB)                        Rss(KB)\n"
        "           TOTAL PSS:   178340            TOTAL RSS:   182340       TOTAL SWAP (KB):      420\n"
    )


def cpuinfo(android: Android, args: list[str]) -> str:
    """Load by process."""
    rows = "".join(f"  0.{place}% {pid}/{name}: 0.{place}% user + 0% kernel\n" for place, (_, pid, name) in
                   enumerate(running(android), 1))  # fmt: skip
    return f"Load: 0.52 / 0.61 / 0.58\nCPU usage from 60000ms to 0ms ago:\n{rows}7.2% TOTAL: 3% user + 3.8% kernel\n"


def batterystats(android: Android, args: list[str]) -> str:
    """Charge since the last full one; ``-c`` in the form for programs."""
    level = android.battery.level
    if "-c" in args or "--checkin" in args:
        version = "9,0,i,vers,36,200,UD1A.231105.004,UD1A.231105.004\n"
        return f"{version}9,0,l,bt,0,100000,100000,90000,90000\n9,0,l,dc,0,0,0,{level}\n"
    return f"Battery History (0% used, 0 used of 4MB, 12 strings using 1000):\n  0 (10) RESET:TIME: {level}\n"


def wifi(android: Android, args: list[str]) -> str:
    """On or off."""
    on = android.settings["global"].get("wifi_on") == "1"
    return f'Wi-Fi is {"enabled" if on else "disabled"}\nStay-awake conditions: 0\nmWifiInfo SSID: "rack", RSSI: -48\n'


def connectivity(android: Android, args: list[str]) -> str:
    """The network in use."""
    on = android.settings["global"].get("wifi_on") == "1"
    return "NetworkProviders for:\n" + f"Active default network: {100 if on else 'none'}\n"


def deviceidle(android: Android, args: list[str]) -> str:
    """Who may run while the phone sleeps; ``whitelist +PACKAGE`` adds."""
    for arg in args[1:] if args[:1] == ["whitelist"] else []:
        change = android.idle_allowed.add if arg.startswith("+") else android.idle_allowed.discard
        change(arg[1:])
    if args[1:] and args[0] == "whitelist":
        return "".join(f"{'Added' if arg.startswith('+') else 'Removed'}: {arg[1:]}\n" for arg in args[1:])
    listed = "".join(f"user,{name},{android.uid(name)}\n" for name in sorted(android.idle_allowed))
    return listed if args[:1] == ["whitelist"] else f"  Whitelist user apps:\n{listed}  mState=ACTIVE\n"


def processes(android: Android) -> str:
    """``dumpsys activity processes``."""
    rows = "".join(
        f"  *APP* UID {android.uid(name)} ProcessRecord{{8c2b1a7 {task.pid}:{name}/u0a{android.uid(name) - 10000}}}\n"
        f"    pid={task.pid}\n"
        for name, task in android.tasks.items()
    )
    return f"ACTIVITY MANAGER RUNNING PROCESSES (dumpsys activity processes)\n  All known processes:\n{rows}"


def permissions(package: Package) -> str:
    """The part of ``dumpsys package`` about permissions."""
    runtime = [name for name in package.requested if name not in INSTALL_TIME]
    installed = [name for name in package.requested if name in INSTALL_TIME]
    lines = ["    requested permissions:", *(f"      {name}" for name in package.requested)]
    lines += ["    install permissions:", *(f"      {name}: granted=true" for name in installed)]
    lines.append("    User 0: ceDataInode=4242 installed=true hidden=false suspended=false stopped=false enabled=0")
    lines.append("      runtime permissions:")
    for name in runtime:
        granted = str(name in package.granted).lower()
        lines.append(f"        {name}: granted={granted}, flags=[ USER_SENSITIVE_WHEN_GRANTED]")
    return "\n".join(lines) + "\n"


def resolver_table(package: Package) -> str:
    """The part of ``dumpsys package`` about what its icon opens."""
    if not package.activity:
        return ""
    return (
        "Activity Resolver Table:\n  Non-Data Actions:\n      android.intent.action.MAIN:\n"
        f"        8c2b1a7 {package.name}/{package.activity} filter d3b2a1c\n"
        '          Action: "android.intent.action.MAIN"\n          Category: "android.intent.category.LAUNCHER"\n\n'
    )


SERVICES: dict[str, Callable[[Android, list[str]], str]] = {
    "input": input_service,
    "meminfo": meminfo,
    "cpuinfo": cpuinfo,
    "batterystats": batterystats,
    "wifi": wifi,
    "connectivity": connectivity,
    "deviceidle": deviceidle,
    "notification": lambda android, args: "Current Notification Manager state:\n  Notification List:\n",
    "alarm": lambda android, args: "Current Alarm Manager state:\n  mPendingBroadcasts: 0\n",
    "audio": lambda android, args: "MediaFocusControl dump:\n\nAudio Focus stack entries (last is top of stack):\n",
    "media_session": lambda android, args: "MEDIA SESSION SERVICE (dumpsys media_session)\n\n0 sessions listeners.\n",
    "usb": lambda android, args: "USB MANAGER STATE (dumpsys usb):\n  current_functions=ADB\n",
    "diskstats": lambda android, args: f"Data-Free: {android.free_bytes() // 1024}K / 113246208K total\n",
}
