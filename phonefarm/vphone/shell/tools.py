"""All the small programs of the shell, by name, and those that run other programs."""

import asyncio
import re

from phonefarm.vphone.shell import pipes, tools_files, tools_grep, tools_lines, tools_misc, tools_sed, tools_text
from phonefarm.vphone.shell.call import Call, Command

TIMEOUT_RC = 124


async def sh(call: Call) -> int:
    """``sh [-c text [name args]] [file args]``; without either it runs its standard input."""
    args = [arg for arg in call.args if arg in ("-c",) or not re.fullmatch(r"-[exl]+", arg)]
    shell = call.shell.program()
    if args[:1] == ["-c"]:
        shell.positional = args[3:]
        shell.name = args[2] if len(args) > 2 else shell.name
        return await shell.run(args[1] if len(args) > 1 else "", call.io)
    if args:
        shell.positional, shell.name = args[1:], args[0]
        return await shell.run(pipes.to_text(call.fs.read(call.shell.absolute(args[0]))), call.io)
    return await shell.run(pipes.to_text(await pipes.read_all(call.io.stdin)), call.io)


async def toybox(call: Call) -> int:
    """``toybox name args`` runs the tool; without a name it lists them."""
    if not call.args:
        await call.out(" ".join(sorted(TOOLS)) + "\n")
        return 0
    if call.shell.lookup(call.args[0]) is None:
        return await call.fail(f"Unknown command {call.args[0]}", 127)
    return await call.shell.invoke(call.args, call.io, functions=False)


async def env(call: Call) -> int:
    """``env [name=value] [command]``."""
    args = list(call.args)
    shell = call.shell.child()
    while args and "=" in args[0]:
        name, _, value = args.pop(0).partition("=")
        shell.variables[name] = value
        shell.exported.add(name)
    if args:
        return await shell.invoke(args, call.io, functions=False)
    for name in sorted(shell.exported & shell.variables.keys()):
        await call.out(f"{name}={shell.variables[name]}\n")
    return 0


async def nohup(call: Call) -> int:
    """``nohup command``: runs it."""
    return await call.shell.invoke(call.args, call.io, functions=False) if call.args else 125


async def timeout(call: Call) -> int:
    """``timeout seconds command``: 124 when the time is up."""
    if len(call.args) < 2:
        return await call.fail("Needs 2 arguments")
    try:
        async with asyncio.timeout(tools_misc.seconds(call.args[0])):
            return await call.shell.invoke(call.args[1:], call.io, functions=False)
    except TimeoutError:
        return TIMEOUT_RC


async def xargs(call: Call) -> int:
    """``xargs [-0] [-r] [-n N] [-I X] command``: words (with ``-I`` lines) of standard input as arguments."""
    args, size, split, place = list(call.args), 0, r"[ \t\n]+", ""
    while args and args[0].startswith("-"):
        flag = args.pop(0)
        if flag == "-0":
            split = "\0"
        elif flag == "-n" and args:
            size = int(args.pop(0))
        elif flag.startswith("-I"):
            place, split, size = flag[2:] or args.pop(0), "\n", 1
    text = pipes.to_text(await pipes.read_all(call.io.stdin))
    words = [word for word in re.split(split, text) if word]
    if not words and (place or "-r" in call.args):
        return 0
    rc = 0
    for start in range(0, max(len(words), 1), size or max(len(words), 1)):
        chunk = words[start : start + size] if size else words
        made = [arg.replace(place, chunk[0]) for arg in args] if place else [*(args or ["echo"]), *chunk]
        rc = await call.shell.invoke(made, call.io, functions=False) or rc
    return rc


async def which(call: Call) -> int:
    """``which name``."""
    rc = 0
    for name in call.args:
        if call.shell.lookup(name) is None:
            rc = 1
        else:
            await call.out(f"/system/bin/{name}\n")
    return rc


TOOLS: dict[str, Command] = {
    **tools_files.TOOLS,
    **tools_text.TOOLS,
    **tools_grep.TOOLS,
    **tools_sed.TOOLS,
    **tools_lines.TOOLS,
    **tools_misc.TOOLS,
    "sh": sh,
    "mksh": sh,
    "toybox": toybox,
    "env": env,
    "printenv": env,
    "nohup": nohup,
    "timeout": timeout,
    "xargs": xargs,
    "which": which,
}
