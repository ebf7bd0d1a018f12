"""Commands that change the shell itself, and the few that every shell carries because they are called so often."""

import asyncio
import posixpath
import re

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.call import Call, Command
from phonefarm.vphone.shell.conditions import test
from phonefarm.vphone.shell.flow import Break, Continue, Exit, Return
from phonefarm.vphone.shell.formats import printf_text, unescape

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


async def colon(call: Call) -> int:
    """``:`` and ``true``."""
    return 0


async def false(call: Call) -> int:
    """``false``."""
    return 1


async def echo(call: Call) -> int:
    """``echo [-n] [-e] words``."""
    args = list(call.args)
    newline, escapes = "\n", False
    while args and re.fullmatch(r"-[neE]+", args[0]):
        flags = args.pop(0)
        newline = "" if "n" in flags else newline
        escapes = "e" in flags or escapes
    text = " ".join(args)
    await call.out((unescape(text) if escapes else text) + newline)
    return 0


async def printf(call: Call) -> int:
    """``printf format args``; the format is used again while arguments are left."""
    if not call.args:
        return await call.fail("missing format")
    await call.out(printf_text(call.args[0], call.args[1:]))
    return 0


async def cd(call: Call) -> int:
    """``cd [folder]``."""
    path = call.shell.absolute(call.args[0] if call.args else call.shell.variables.get("HOME", "/"))
    node = call.fs.find(path)
    if node is None or not node.is_dir:
        reason = "Not a directory" if node else "No such file or directory"
        await call.err(f"{call.shell.name}: cd: {path}: {reason}\n")
        return 2
    call.shell.cwd = posixpath.normpath(path).replace("//", "/")
    return 0


async def pwd(call: Call) -> int:
    """``pwd``."""
    await call.out(f"{call.shell.cwd}\n")
    return 0


async def export(call: Call) -> int:
    """``export name[=value]``, ``readonly``, ``local``, ``typeset``."""
    for arg in call.args:
        name, equals, value = arg.partition("=")
        if arg.startswith("-"):
            continue
        if not _NAME.match(name):
            return await call.fail(f"{name}: is not an identifier")
        if equals:
            call.shell.variables[name] = value
        call.shell.exported.add(name)
    return 0


async def unset(call: Call) -> int:
    """``unset name``."""
    for name in call.args:
        call.shell.variables.pop(name, None)
        call.shell.functions.pop(name, None)
    return 0


async def set_options(call: Call) -> int:
    """``set -- words``; options are accepted and ignored."""
    if "--" in call.args:
        call.shell.positional = call.args[call.args.index("--") + 1 :]
    elif not call.args:
        for name, value in sorted(call.shell.variables.items()):
            await call.out(f"{name}={value}\n")
    return 0


async def shift(call: Call) -> int:
    """``shift [n]``."""
    count = int(call.args[0]) if call.args else 1
    if count > len(call.shell.positional):
        return await call.fail("nothing to shift")
    call.shell.positional = call.shell.positional[count:]
    return 0


async def leave(call: Call) -> int:
    """``exit [rc]``."""
    raise Exit(_number(call, call.shell.status))


async def give_back(call: Call) -> int:
    """``return [rc]``."""
    raise Return(_number(call, call.shell.status))


async def stop_loop(call: Call) -> int:
    """``break``."""
    raise Break


async def next_round(call: Call) -> int:
    """``continue``."""
    raise Continue


async def execute(call: Call) -> int:
    """``exec command``: run it and leave with its code."""
    raise Exit(await call.shell.invoke(call.args, call.io, functions=False))


async def command(call: Call) -> int:
    """``command [-v] name``."""
    if call.args[:1] in (["-v"], ["-V"]):
        return await _where(call, call.args[1:])
    return await call.shell.invoke(call.args, call.io, functions=False) if call.args else 0


async def _where(call: Call, names: list[str]) -> int:
    for name in names:
        if name in BUILTINS or name in call.shell.functions:
            await call.out(f"{name}\n")
        elif call.shell.lookup(name) is not None:
            await call.out(f"/system/bin/{posixpath.basename(name)}\n")
        else:
            return 1
    return 0


async def evaluate(call: Call) -> int:
    """``eval words``."""
    return await call.shell.run_lines(" ".join(call.args), call.io)


async def source(call: Call) -> int:
    """``. file``."""
    text = pipes.to_text(call.fs.read(call.shell.absolute(call.args[0])))
    return await call.shell.run_lines(text, call.io)


async def read(call: Call) -> int:
    """``read [-r] names``: one line of standard input."""
    names = [arg for arg in call.args if not arg.startswith("-")] or ["REPLY"]
    line = pipes.to_text(await pipes.LineReader(call.io.stdin).line())
    rest = line.removesuffix("\n").strip(" \t")
    for index, name in enumerate(names):
        if index == len(names) - 1:
            call.shell.variables[name] = rest
        else:
            pieces = re.split(r"[ \t]+", rest, maxsplit=1)
            call.shell.variables[name], rest = pieces[0], pieces[1] if len(pieces) > 1 else ""
    return 0 if line.endswith("\n") else 1


async def wait(call: Call) -> int:
    """``wait``: for all background jobs."""
    jobs, call.shell.jobs = call.shell.jobs, []
    rcs = await asyncio.gather(*jobs)
    return rcs[-1] if rcs and call.args else 0


def _number(call: Call, default: int) -> int:
    text = call.args[0] if call.args else ""
    return int(text) if re.fullmatch(r"-?\d+", text) else default


BUILTINS: dict[str, Command] = {
    ":": colon,
    "true": colon,
    "false": false,
    "echo": echo,
    "printf": printf,
    "test": test,
    "[": test,
    "[[": test,
    "cd": cd,
    "pwd": pwd,
    "export": export,
    "readonly": export,
    "local": export,
    "typeset": export,
    "unset": unset,
    "set": set_options,
    "shift": shift,
    "exit": leave,
    "return": give_back,
    "break": stop_loop,
    "continue": next_round,
    "exec": execute,
    "command": command,
    "builtin": command,
    "eval": evaluate,
    ".": source,
    "source": source,
    "read": read,
    "wait": wait,
    "trap": colon,
    "ulimit": colon,
    "umask": colon,
}
