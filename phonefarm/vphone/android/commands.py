"""All commands of Android, bound to one phone."""

from collections.abc import Awaitable, Callable
from functools import partial

from phonefarm.vphone.android import activity, dumpsys, inputs, netcat, packages, reports, screen, system
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call, Command

Function = Callable[[Android, Call], Awaitable[int]]

FUNCTIONS: dict[str, Function] = {
    **system.FUNCTIONS,
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
    services = {"package": "pm", "activity": "am", "settings": "settings", "input": "input", "wm": "wm", "window": "wm"}
    if call.args[:1] in ([], ["-l"]):
        await call.out("Currently running services:\n" + "".join(f"  {name}\n" for name in sorted(services)))
        return 0
    name = services.get(call.args[0])
    if name is None:
        await call.err(f"cmd: Can't find service: {call.args[0]}\n")
        return 20
    return await FUNCTIONS[name](android, Call(name=name, args=call.args[1:], shell=call.shell, io=call.io))


def commands_of(android: Android) -> dict[str, Command]:
    """Name to command, for the shell of ``android``."""
    table: dict[str, Command] = {name: partial(function, android) for name, function in FUNCTIONS.items()}
    table["cmd"] = partial(cmd, android)
    return table
