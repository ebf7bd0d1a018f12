"""What the phone writes about itself: ``logcat`` and bug reports."""

import asyncio
import io
import struct
import time
import zipfile
from collections.abc import Awaitable, Callable, Sequence

from phonefarm.vphone.android.dumpsys import SERVICES
from phonefarm.vphone.android.state import Android, LogLine
from phonefarm.vphone.shell.call import Call

LEVELS = "VDIWEFS"
BUGREPORTS = "/data/user_de/0/com.android.shell/files/bugreports"
_LOOK_SECONDS = 0.05
_ENTRY = struct.Struct("<HHiIIIII")
_VALUED = ("-b", "-e", "-m", "-T", "-t", "-v", "--pid", "--buffer", "--format", "--regex", "--max-count")


def _stamp(line: LogLine) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(line.at)) + f".{int(line.at % 1 * 1000):03d}"


FORMATS: dict[str, Callable[[LogLine], str]] = {
    "threadtime": lambda x: f"{_stamp(x)} {x.pid:>5} {x.pid:>5} {x.level} {x.tag}: {x.text}\n",
    "time": lambda x: f"{_stamp(x)} {x.level}/{x.tag}({x.pid:>5}): {x.text}\n",
    "brief": lambda x: f"{x.level}/{x.tag}({x.pid:>5}): {x.text}\n",
    "tag": lambda x: f"{x.level}/{x.tag}: {x.text}\n",
    "process": lambda x: f"{x.level}({x.pid:>5}) {x.text} ({x.tag})\n",
    "raw": lambda x: f"{x.text}\n",
    "long": lambda x: f"[ {_stamp(x)} {x.pid:>5}:{x.pid:>5} {x.level}/{x.tag} ]\n{x.text}\n\n",
}


def _value(args: Sequence[str], *names: str) -> str | None:
    """The value of an option, given as ``-v time``, ``-vtime`` or ``--format=time``."""
    for place, arg in enumerate(args):
        for name in names:
            if arg == name:
                return args[place + 1] if place + 1 < len(args) else ""
            if arg.startswith(name + "=") or (len(name) == 2 and arg.startswith(name) and not arg.startswith("--")):
                return arg.removeprefix(name).removeprefix("=")
    return None


def _wanted(args: Sequence[str]) -> Callable[[LogLine], bool]:
    """The filter of ``TAG:LEVEL`` words; ``-s`` silences everything that is not named."""
    levels: dict[str, str] = {"*": "S"} if "-s" in args else {}
    skip = False
    for arg in args:
        if skip or arg.startswith("-"):
            skip = arg in _VALUED and not skip
            continue
        tag, _, level = arg.partition(":")
        levels[tag] = (level or "V").upper().replace("*", "V")[:1]
    pid = _value(args, "--pid")

    def shown(line: LogLine) -> bool:
        least = levels.get(line.tag, levels.get("*", "V"))
        fits = LEVELS.find(line.level) >= LEVELS.find(least) and least != "S"
        return fits and (pid is None or str(line.pid) == pid)

    return shown


async def logcat(android: Android, call: Call) -> int:
    """``logcat [-d] [-c] [-t N] [-v FORMAT] [-s] [--pid N] [TAG:LEVEL ...]``; without ``-d`` it follows the log."""
    if "-c" in call.args:
        android.log.clear()
        return 0
    name = _value(call.args, "-v", "--format") or "threadtime"
    if name not in FORMATS:
        return await call.fail(f'Invalid parameter "{name}" to -v')
    form, shown = FORMATS[name], _wanted(call.args)
    if "-g" in call.args:
        await call.out("main: ring buffer is 256 KiB (12 KiB consumed), max entry is 5120 B, max payload is 4068 B\n")
        return 0
    if "-B" in call.args:
        return await _binary(android, call, shown)
    await call.out("--------- beginning of main\n")
    lines = [line for line in android.log if shown(line)]
    count = _value(call.args, "-t")
    if count is not None and count.isdigit():
        lines = lines[-int(count) :]
    for line in lines:
        await call.out(form(line))
    if "-d" in call.args or count is not None:
        return 0
    last = android.log[-1] if android.log else None
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        for line in _after(list(android.log), last):
            last = line
            if shown(line):
                await call.out(form(line))


async def _binary(android: Android, call: Call, shown: Callable[[LogLine], bool]) -> int:
    """``logcat -B``: records for programs, as liblog's ``logger_entry`` of version 4 says."""
    last: LogLine | None = None
    while True:
        for line in _after(list(android.log), last):
            last = line
            if shown(line):
                await call.io.stdout.write(_record(line))
        if "-d" in call.args:
            return 0
        await asyncio.sleep(_LOOK_SECONDS)


def _record(line: LogLine) -> bytes:
    payload = bytes([LEVELS.find(line.level) + 2]) + line.tag.encode() + b"\0" + line.text.encode() + b"\0"
    seconds, rest = int(line.at), int(line.at % 1 * 1e9)
    head = _ENTRY.pack(len(payload), _ENTRY.size, line.pid, line.pid, seconds, rest, 0, 1000)
    return head + payload


def _after(lines: list[LogLine], last: LogLine | None) -> list[LogLine]:
    """The lines that came after ``last``; all of them when it has been cleared away."""
    place = next((i for i in range(len(lines) - 1, -1, -1) if lines[i] is last), -1)
    return lines[place + 1 :]


def _report(android: Android) -> str:
    services = (f"DUMP OF SERVICE {name}:\n{dump(android, [])}\n" for name, dump in sorted(SERVICES.items()))
    log = "".join(FORMATS["threadtime"](line) for line in android.log)
    head = "=" * 56
    return f"{head}\n== dumpstate: {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(android.wall()))}\n{head}\n" + (
        f"\n------ SYSTEM LOG (logcat) ------\n{log}\n" + "".join(services)
    )


async def bugreport(android: Android, call: Call) -> int:
    """The old report: text on standard output."""
    await call.out(_report(android))
    return 0


async def bugreportz(android: Android, call: Call) -> int:
    """``bugreportz -v``: its version, on standard error as adb wants it. ``-p``: progress lines, and the zip's path."""
    if "-v" in call.args:
        await call.err("1.2\n")
        return 0
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(android.wall()))
    name = f"bugreport-{android.properties.get('ro.product.name', booted=True)}-{stamp}"
    path = f"{BUGREPORTS}/{name}.zip"
    if "-p" in call.args:
        await call.out(f"BEGIN:{path}\n")
        for done in (10, 50, 100):
            await call.out(f"PROGRESS:{done}/100\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("version.txt", "2.0")
        archive.writestr("main_entry.txt", f"{name}.txt")
        archive.writestr(f"{name}.txt", _report(android))
    call.fs.plant_file(path, packed.getvalue())
    await call.out(f"OK:{path}\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {
    "logcat": logcat,
    "bugreport": bugreport,
    "bugreportz": bugreportz,
}
