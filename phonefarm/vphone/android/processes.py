"""Processes: ``ps``, ``pidof``, ``pgrep``, ``top``, and ending them."""

import re
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.procfs import FIXED
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

_COLUMNS = ("USER", "PID", "PPID", "VSZ", "RSS", "WCHAN", "ADDR", "S", "NAME")


def running(android: Android) -> list[tuple[str, int, str]]:
    """User, number and name of all processes, by number."""
    apps = [(f"u0_a{android.uid(name) - 10000}", task.pid, name) for name, task in android.tasks.items()]
    return sorted([*FIXED, *apps], key=lambda row: row[1])


async def ps(android: Android, call: Call) -> int:
    """``ps [-A|-e] [-o COLUMN,..] [-p PID]``: without ``-A`` those of the shell user only."""
    if "--help" in call.args:
        await call.out(
            "usage: ps [-AadefLlnwZ] [-o FIELD,] [-p PID,]\n\nList processes.\n\n-A\tAll\n-o\tShow these FIELDs\n"
        )
        return 0
    args = list(call.args)
    columns = args[args.index("-o") + 1].upper().split(",") if "-o" in args[:-1] else []
    wanted = args[args.index("-p") + 1].split(",") if "-p" in args[:-1] else []
    everyone = any(re.fullmatch(r"-\w*[Ae]\w*", arg) for arg in args) or wanted
    rows = [
        row for row in running(android) if (everyone or row[0] == "shell") and (not wanted or str(row[1]) in wanted)
    ]
    if columns:
        await call.out(" ".join(columns) + "\n")
    else:
        await call.out("USER            PID   PPID     VSZ    RSS WCHAN            ADDR S NAME\n")
    for user, pid, name in rows:
        if columns:
            await call.out(" ".join(_cell(column, user, pid, name) for column in columns) + "\n")
        else:
            line = f"{user:<12} {pid:>6} {min(pid - 1, 900):>6} 14523920 182340 0                   0 S {name}\n"
            await call.out(line)
    return 0


def _cell(column: str, user: str, pid: int, name: str) -> str:
    cells = {
        "USER": user,
        "PID": str(pid),
        "PPID": str(min(pid - 1, 900)),
        "S": "S",
        "RSS": "182340",
        "VSZ": "14523920",
    }
    return cells.get(column, name if column in ("NAME", "ARGS", "CMD", "CMDLINE", "COMM") else "-")


async def pidof(android: Android, call: Call) -> int:
    """``pidof name``: 1 when it does not run."""
    found = [str(pid) for _, pid, name in running(android) if name in call.args]
    if found:
        await call.out(" ".join(found) + "\n")
    return 0 if found else 1


async def pgrep(android: Android, call: Call) -> int:
    """``pgrep [-f] [-l] pattern``."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    try:
        found = [row for row in running(android) if words and re.search(words[0], row[2])]
    except re.error as error:
        return await call.fail(f"bad regex: {error}", 2)
    for _, pid, name in found:
        await call.out(f"{pid} {name}\n" if "-l" in call.args else f"{pid}\n")
    return 0 if found else 1


async def kill(android: Android, call: Call) -> int:
    """``kill [-SIGNAL] PID..``: ends apps; other processes are not the shell's to end. ``killall`` takes names."""
    if "-l" in call.args:
        await call.out("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM\n")
        return 0
    args = call.args[2:] if call.args[:1] == ["-s"] else [arg for arg in call.args if not arg.startswith("-")]
    rc = 0
    for word in args:
        rows = [row for row in running(android) if word in (row[2] if call.name != "kill" else "", str(row[1]))]
        if not rows:
            rc = await call.fail(f"{word}: No such process")
        for _, _, name in rows:
            if name in android.tasks:
                android.stop_app(name)
            else:
                rc = await call.fail(f"{word}: Operation not permitted")
    return rc


async def top(android: Android, call: Call) -> int:
    """``top -n N -b``: one picture of the load."""
    rows = running(android)
    await call.out(
        f"Tasks: {len(rows)} total,   1 running, {len(rows) - 1} sleeping,   0 stopped,   0 zombie\n"
        "  Mem:  7732428K total,  7320120K used,   412308K free,     4212K buffers\n"
        " Swap:  3145724K total,   231424K used,  2914300K free,  3421412K cached\n"
        "800%cpu  24%user   0%nice  30%sys 742%idle   0%iow   3%irq   1%sirq   0%host\n"
        "  PID USER         PR  NI VIRT  RES  SHR S[%CPU] %MEM     TIME+ ARGS\n"
    )
    for user, pid, name in rows:
        await call.out(f"{pid:>5} {user:<12} 20   0  13G 178M 101M S  0.0   2.3   0:01.00 {name}\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {
    "ps": ps,
    "pidof": pidof,
    "pgrep": pgrep,
    "kill": kill,
    "killall": kill,
    "pkill": kill,
    "top": top,
}
