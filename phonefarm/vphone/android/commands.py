"""All commands of Android, bound to one phone."""

from collections.abc import Awaitable, Callable
from functools import partial

from phonefarm.vphone.android import (
    activity,
    dumpsys,
    inputs,
    netcat,
    packages,
    processes,
    reports,
    screen,
    services,
    system,
)
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call, Command

Function = Callable[[Android, Call], Awaitable[int]]

FUNCTIONS: dict[str, Function] = {
    **system.FUNCTIONS,
    **services.FUNCTIONS,
    **processes.FUNCTIONS,
    **reports.FUNCTIONS,
    **netcat.FUNCTIONS,
    **screen.FUNCTIONS,
    **inputs.FUNCTIONS,
    **activity.FUNCTIONS,
    **packages.FUNCTIONS,
    **dumpsys.FUNCTIONS,
}


async def cmd(android: Android, call: Call) -> int:
    """``cmd service args``: the services that have a command of their own."""
    args = call.args[1:] if call.args[:1] == ["-w"] else call.args
    if args[:1] in ([], ["-l"]):
        names = sorted({*services.SERVICES, *services.SAME})
        await call.out("Currently running services:\n" + "".join(f"  {name}\n" for name in names))
        return 0
    if (name := services.SAME.get(args[0])) is not None:
        return await FUNCTIONS[name](android, Call(name=name, args=args[1:], shell=call.shell, io=call.io))
    service = services.SERVICES.get(args[0])
    if service is None:
        await call.err(f"cmd: Can't find service: {args[0]}\n")
        return 20
    return await service(android, call, args[1:])


def commands_of(android: Android) -> dict[str, Command]:
    """Name to command, for the shell of ``android``."""
    table: dict[str, Command] = {name: partial(function, android) for name, function in FUNCTIONS.items()}
    table["cmd"] = partial(cmd, android)
    return table
