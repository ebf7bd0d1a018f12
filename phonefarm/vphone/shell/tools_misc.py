"""Small programs about time, identity and the machine."""

import asyncio
import re
import time

from phonefarm.vphone.shell.call import Call, Command

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)\Z")
YES_BLOCK = 4096


def seconds(text: str) -> float:
    """A duration such as ``1.5`` or ``2m`` in seconds. Raises ``ValueError``."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(text)
    return float(match.group(1)) * _UNITS[match.group(2)]


async def sleep(call: Call) -> int:
    """``sleep seconds``: really waits."""
    if not call.args:
        return await call.fail("Needs 1 argument")
    try:
        total = sum(seconds(arg) for arg in call.args)
    except ValueError as error:
        return await call.fail(f"bad number '{error}'")
    await asyncio.sleep(total)
    return 0


async def yes(call: Call) -> int:
    """``yes [words]``: the line again and again until someone stops it."""
    line = " ".join(call.args or ["y"]) + "\n"
    block = line * max(1, YES_BLOCK // len(line))
    while True:
        await call.out(block)
        await asyncio.sleep(0)


async def date(call: Call) -> int:
    """``date [-u] [+format]`` in UTC; ``%N`` is nanoseconds."""
    now = call.shell.machine.now()
    template = next((arg[1:] for arg in call.args if arg.startswith("+")), "%a %b %e %H:%M:%S GMT %Y")
    template = template.replace("%N", f"{int(now % 1 * 1e9):09d}").replace("%s", str(int(now)))
    template = template.replace("%Z", "GMT").replace("%z", "+0000")
    await call.out(time.strftime(template, time.gmtime(now)) + "\n")
    return 0


async def identity(call: Call) -> int:
    """``id [-u] [-un]``."""
    if "-u" in call.args and "-n" not in call.args:
        await call.out("2000\n")
    elif call.args and "n" in call.args[0]:
        await call.out("shell\n")
    else:
        groups = "1004(input),1007(log),1011(adb),1015(sdcard_rw),1028(sdcard_r),3003(inet)"
        await call.out(f"uid=2000(shell) gid=2000(shell) groups=2000(shell),{groups} context=u:r:shell:s0\n")
    return 0


async def whoami(call: Call) -> int:
    """``whoami``."""
    await call.out("shell\n")
    return 0


async def uname(call: Call) -> int:
    """``uname [-a]``."""
    full = "Linux localhost 5.15.110-android14-11 #1 SMP PREEMPT aarch64 Toybox"
    parts = {"-a": full, "-r": "5.15.110-android14-11", "-m": "aarch64", "-n": "localhost"}
    await call.out(parts.get(call.args[0] if call.args else "", "Linux") + "\n")
    return 0


async def sequence(call: Call) -> int:
    """``seq [first [step]] last`` with whole numbers."""
    numbers = [int(arg) for arg in call.args]
    if not 1 <= len(numbers) <= 3:
        return await call.fail("Needs 1 to 3 arguments")
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    if step == 0:
        return await call.fail("step must not be zero")
    for value in range(first, numbers[-1] + (1 if step > 0 else -1), step):
        await call.out(f"{value}\n")
    return 0


async def stty(call: Call) -> int:
    """``stty size``: rows and columns of the terminal; its other settings are taken and change nothing."""
    if not call.shell.window:
        return await call.fail("not a TTY")
    if call.args == ["size"]:
        await call.out("{} {}\n".format(*call.shell.window))
    elif not call.args or call.args == ["-a"]:
        rows, columns = call.shell.window
        await call.out(f"speed 38400 baud; rows {rows}; columns {columns}; line = 0;\n")
    return 0


async def tty(call: Call) -> int:
    """``tty``: the terminal's name."""
    await call.out("/dev/pts/0\n" if call.shell.window else "not a tty\n")
    return int(not call.shell.window)


async def nothing(call: Call) -> int:
    """Programs that do their work out of sight."""
    return 0


TOOLS: dict[str, Command] = {
    "sleep": sleep,
    "yes": yes,
    "date": date,
    "id": identity,
    "whoami": whoami,
    "uname": uname,
    "seq": sequence,
    "stty": stty,
    "tty": tty,
    "sync": nothing,
    "usleep": nothing,
}
