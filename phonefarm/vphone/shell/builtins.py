"""Commands that change the shell itself, and the few that every shell carries because they are called so often."""

import asyncio
import posixpath
import re
import shlex

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.call import Call, Command
from phonefarm.vphone.shell.conditions import test
from phonefarm.vphone.shell.expand import BLANKS, pieces
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
    """``echo [-neE] words``; backslashes are read as in ``printf`` unless ``-E``, as mksh and dash do."""
    args = list(call.args)
    newline, escapes = "\n", True
    while args and re.fullmatch(r"-[neE]+", args[0]):
        flags = args.pop(0)
        newline = "" if "n" in flags else newline
        escapes = "E" not in flags
    text = " ".join(args)
    if escapes:
        kept = re.match(r"((?:[^\\]|\\[^c])*)\\c", text, re.DOTALL)
        text, newline = (unescape(kept.group(1)), "") if kept else (unescape(text), newline)
    await call.out(text + newline)
    return 0


async def printf(call: Call) -> int:
    """``printf format args``; the format is used again while arguments are left."""
    if not call.args:
        return await call.fail("missing format")
    await call.out(printf_text(call.args[0], call.args[1:]))
    return 0


async def cd(call: Call) -> int:
    """``cd [folder]``; ``cd -`` goes back and says where to."""
    shell = call.shell
    wanted = call.args[0] if call.args else shell.variables.get("HOME", "/")
    path = shell.absolute(shell.variables.get("OLDPWD", shell.cwd) if wanted == "-" else wanted)
    node = call.fs.find(path)
    if node is None or not node.is_dir:
        reason = "Not a directory" if node else "No such file or directory"
        await call.err(f"{shell.name}: cd: {path}: {reason}\n")
        return 2
    shell.variables["OLDPWD"] = shell.cwd
    shell.cwd = posixpath.normpath(path).replace("//", "/")
    if wanted == "-":
        await call.out(f"{shell.cwd}\n")
    return 0


async def pwd(call: Call) -> int:
    """``pwd``."""
    await call.out(f"{call.shell.cwd}\n")
    return 0


async def export(call: Call) -> int:
    """``export [name[=value]]``, ``readonly``, ``local`` and ``typeset``."""
    shell = call.shell
    for arg in call.args:
        name, equals, value = arg.partition("=")
        if arg.startswith("-"):
            continue
        if not _NAME.match(name):
            return await call.fail(f"{name}: is not an identifier")
        if call.name in ("local", "typeset") and shell.locals:
            shell.locals[-1].setdefault(name, shell.variables.get(name))
        if equals:
            shell.variables[name] = value
        if call.name == "readonly":
            shell.variables.fixed.add(name)
        elif call.name == "export":
            shell.exported.add(name)
    if call.name == "export" and call.args in ([], ["-p"]):
        await _list_variables(call, sorted(shell.exported & shell.variables.keys()), "export ")
    return 0


async def unset(call: Call) -> int:
    """``unset [-v|-f] name``."""
    for name in (arg for arg in call.args if not arg.startswith("-")):
        if "-f" not in call.args:
            call.shell.variables.remove(name)
            call.shell.exported.discard(name)
        if "-v" not in call.args:
            call.shell.functions.pop(name, None)
    return 0


async def set_options(call: Call) -> int:
    """``set [-efu] [+efu] [-o name] [--] [words]``; without anything it lists the variables."""
    args = list(call.args)
    if not args:
        await _list_variables(call, sorted(call.shell.variables), "")
    while args and args[0][:1] in ("-", "+") and len(args[0]) > 1:
        flag = args.pop(0)
        if flag == "--":
            call.shell.positional = args
            return 0
        letters = _long(args.pop(0)) if flag[1:] == "o" and args else flag[1:]
        change = call.shell.options.update if flag[0] == "-" else call.shell.options.difference_update
        change(letters)
    if args:
        call.shell.positional = args
    return 0


def _long(name: str) -> str:
    """The letter of a long name of an option; one that is not known here changes nothing."""
    return {"errexit": "e", "noglob": "f", "nounset": "u", "xtrace": "x", "allexport": "a"}.get(name, "")


async def _list_variables(call: Call, names: list[str], prefix: str) -> None:
    for name in names:
        await call.out(f"{prefix}{name}={call.shell.variables[name]}\n")


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
    """``break [n]``."""
    raise Break(max(_number(call, 1), 1))


async def next_round(call: Call) -> int:
    """``continue [n]``."""
    raise Continue(max(_number(call, 1), 1))


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


async def kind(call: Call) -> int:
    """``type name``: what a command is."""
    rc = 0
    for name in call.args:
        if name in call.shell.functions:
            await call.out(f"{name} is a function\n")
        elif name in BUILTINS:
            await call.out(f"{name} is a shell builtin\n")
        elif call.shell.lookup(name) is not None:
            await call.out(f"{name} is /system/bin/{posixpath.basename(name)}\n")
        else:
            await call.out(f"{name} not found\n")
            rc = 1
    return rc


async def evaluate(call: Call) -> int:
    """``eval words``."""
    return await call.shell.run_lines(" ".join(call.args), call.io)


async def source(call: Call) -> int:
    """``. file``."""
    text = pipes.to_text(call.fs.read(call.shell.absolute(call.args[0])))
    return await call.shell.run_lines(text, call.io)


async def read(call: Call) -> int:
    """``read [-r] [-p prompt] [names]``: one line of standard input, split at ``IFS``; the last name takes the rest."""
    args = list(call.args)
    raw = False
    while args and args[0].startswith("-"):
        flag = args.pop(0)
        raw = raw or "r" in flag
        if flag in ("-p", "-d", "-n", "-t", "-u") and args:
            args.pop(0)
    line = await _one_line(call, raw=raw)
    text = line.removesuffix("\n")
    ifs = call.shell.variables.get("IFS", BLANKS)
    for name, value in zip(args or ["REPLY"], _shared_out(text, ifs, len(args) or 1), strict=True):
        call.shell.variables[name] = value
    return 0 if line.endswith("\n") else 1


async def _one_line(call: Call, *, raw: bool) -> str:
    """A line with its end; unless ``raw`` a backslash hides the end of a line and is taken out."""
    reader = pipes.LineReader(call.io.stdin)
    line = pipes.to_text(await reader.line())
    while not raw and re.search(r"(?<!\\)(\\\\)*\\\n\Z", line):
        line = line[:-2] + pipes.to_text(await reader.line())
    return line if raw else re.sub(r"\\(.)", r"\1", line)


def _shared_out(text: str, ifs: str, count: int) -> list[str]:
    blanks = "".join(char for char in ifs if char in BLANKS)
    others = "".join(char for char in ifs if char not in BLANKS)
    found = [piece for piece, _ in pieces(text.strip(blanks), blanks, others, count - 1)]
    if len(found) == count and others and found[-1][-1:] in others and not set(found[-1][:-1]) & set(ifs):
        found[-1] = found[-1][:-1]  # a single separator at the very end ends the last field
    return found + [""] * (count - len(found))


async def wait(call: Call) -> int:
    """``wait [job]``: for all background jobs, or for one whose exit code it gives; 127 for one that is not known."""
    jobs = call.shell.jobs
    if call.args:
        task = jobs.pop(call.args[0].lstrip("%"), None)
        return 127 if task is None else await task
    waiting, call.shell.jobs = list(jobs.values()), {}
    await asyncio.gather(*waiting)
    return 0


async def trap(call: Call) -> int:
    """``trap [text|-] EXIT``: run when this shell ends. Signals are taken and never arrive; without words it lists."""
    traps = call.shell.traps
    if not call.args:
        await call.out("".join(f"trap -- {shlex.quote(text)} {name}\n" for name, text in traps.items()))
        return 0
    action, names = (call.args[0], call.args[1:]) if len(call.args) > 1 else ("-", call.args)
    for name in (one.upper().removeprefix("SIG") for one in names):
        name = "EXIT" if name == "0" else name
        if action == "-":
            traps.pop(name, None)
        else:
            traps[name] = action
    return 0


async def umask(call: Call) -> int:
    """``umask [mode]``: kept and told; files are made as the phone makes them."""
    if call.args:
        call.shell.mask = int(call.args[0], 8)
    else:
        await call.out(f"{call.shell.mask:04o}\n")
    return 0


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
    "trap": trap,
    "type": kind,
    "ulimit": colon,
    "umask": umask,
}
