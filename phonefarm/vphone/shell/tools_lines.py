"""More small programs on lines and bytes: ``uniq``, ``tac``, ``rev``, ``cmp``, ``expr``, ``xxd``, ``dd``."""

import re
from itertools import groupby

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.arithmetic import number
from phonefarm.vphone.shell.call import Call, Command
from phonefarm.vphone.shell.tools_grep import compiled


async def _lines(call: Call, paths: list[str]) -> list[str]:
    data = bytearray()
    for path in paths or ["-"]:
        data += await pipes.read_all(call.io.stdin) if path == "-" else call.fs.read(call.shell.absolute(path))
    text = pipes.to_text(bytes(data))
    return text.removesuffix("\n").split("\n") if text else []


def _apart(args: list[str]) -> tuple[str, list[str]]:
    letters = "".join(arg[1:] for arg in args if arg.startswith("-") and len(arg) > 1)
    return letters, [arg for arg in args if not arg.startswith("-") or arg == "-"]


async def uniq(call: Call) -> int:
    """``uniq [-c] [-d] [-u] [file]``."""
    letters, paths = _apart(call.args)
    for line, group in groupby(await _lines(call, paths[:1])):
        count = len(list(group))
        if ("d" in letters and count == 1) or ("u" in letters and count > 1):
            continue
        await call.out(f"{count:>7} {line}\n" if "c" in letters else f"{line}\n")
    return 0


async def tac(call: Call) -> int:
    """``tac [files]``: the last line first."""
    for line in reversed(await _lines(call, call.args)):
        await call.out(f"{line}\n")
    return 0


async def rev(call: Call) -> int:
    """``rev [files]``: each line backwards."""
    for line in await _lines(call, call.args):
        await call.out(f"{line[::-1]}\n")
    return 0


async def nl(call: Call) -> int:
    """``nl [files]``: lines with their numbers; empty ones have none."""
    count = 0
    for line in await _lines(call, _apart(call.args)[1]):
        count += line != ""
        await call.out(f"{count:>6}\t{line}\n" if line else "       \n")
    return 0


async def compare(call: Call) -> int:
    """``cmp [-s] one other``."""
    letters, paths = _apart(call.args)
    if len(paths) != 2:
        return await call.fail("Needs 2 arguments", 2)
    one, other = (call.fs.read(call.shell.absolute(path)) for path in paths)
    if one == other:
        return 0
    place = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if "s" not in letters:
        if place == min(len(one), len(other)):
            await call.err(f"cmp: EOF on {paths[0] if len(one) < len(other) else paths[1]}\n")
        else:
            row = one[:place].count(b"\n") + 1
            await call.out(f"{paths[0]} {paths[1]} differ: char {place + 1}, line {row}\n")
    return 1


async def expr(call: Call) -> int:
    """``expr a op b``: arithmetic, comparison, ``string : pattern``; 1 when the result is 0 or empty."""
    args = list(call.args)
    value = _either(args)
    if args:
        return await call.fail("syntax error", 2)
    await call.out(f"{value}\n")
    return int(value in ("", "0"))


def _either(args: list[str]) -> str:
    left = _level(args, 0)
    while args[:1] == ["|"]:
        args.pop(0)
        right = _level(args, 0)
        left = right if left in ("", "0") else left
    return left


_LEVELS = (("<", "<=", "=", "==", "!=", ">=", ">"), ("+", "-"), ("*", "/", "%"), (":",))


def _level(args: list[str], level: int) -> str:
    if level == len(_LEVELS):
        if args[0] != "(":
            return args.pop(0)
        args.pop(0)
        value = _either(args)
        args.pop(0)
        return value
    left = _level(args, level + 1)
    while args and args[0] in _LEVELS[level]:
        op = args.pop(0)
        left = _apply(left, op, _level(args, level + 1))
    return left


def _apply(left: str, op: str, right: str) -> str:
    if op == ":":
        match = compiled(right, extended=False).match(pipes.to_bytes(left))
        grouped = match is not None and match.re.groups > 0
        if match is None:
            return "" if "\\(" in right else "0"
        return pipes.to_text(match.group(1) or b"") if grouped else str(match.end())
    if op in ("+", "-", "*", "/", "%"):
        from phonefarm.vphone.shell.arithmetic import evaluate

        return str(evaluate(f"({int(left)}) {op} ({int(right)})", {}))
    whole = re.compile(r"-?\d+")
    one, two = (int(left), int(right)) if whole.fullmatch(left) and whole.fullmatch(right) else (left, right)
    answers = {"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}  # type: ignore[operator]
    return str(int({**answers, "=": one == two, "==": one == two, "!=": one != two}[op]))


async def xxd(call: Call) -> int:
    """``xxd [-p] [file]``: bytes in hexadecimal."""
    letters, paths = _apart(call.args)
    data = call.fs.read(call.shell.absolute(paths[0])) if paths else await pipes.read_all(call.io.stdin)
    size = 30 if "p" in letters else 16
    for start in range(0, len(data), size):
        row = data[start : start + size]
        if "p" in letters:
            await call.out(row.hex() + "\n")
            continue
        words = " ".join(row[i : i + 2].hex() for i in range(0, len(row), 2))
        seen = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        await call.out(f"{start:08x}: {words:<39}  {seen}\n")
    return 0


async def dd(call: Call) -> int:
    """``dd [if=] [of=] [bs=] [count=] [skip=]``: copies blocks, and says on standard error how many."""
    given = dict(arg.partition("=")[::2] for arg in call.args)
    size = _size(given.get("bs", "512"))
    left = _size(given["count"]) * size if "count" in given else -1
    skip = _size(given.get("skip", "0")) * size
    source = given.get("if", "-")
    reader: pipes.Reader = call.io.stdin
    if source == "/dev/zero":
        reader = pipes.ZeroReader()
    elif source != "-":
        reader = pipes.BytesReader(call.fs.read(call.shell.absolute(source)))
    while skip > 0 and (gone := await reader.read(min(skip, pipes.PIPE_BYTES))):
        skip -= len(gone)
    node = call.fs.open_write(call.shell.absolute(given["of"])) if "of" in given else None
    total = 0
    while left != 0 and (data := await reader.read(pipes.PIPE_BYTES if left < 0 else min(left, pipes.PIPE_BYTES))):
        left -= len(data) if left > 0 else 0
        total += len(data)
        await (pipes.FileWriter(call.fs, node) if node is not None else call.io.stdout).write(data)
    rows = f"{total // size}+{int(total % size > 0)}"
    await call.err(f"{rows} records in\n{rows} records out\n{total} bytes copied\n")
    return 0


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([ckKmMgG]?)", text)
    if match is None:
        raise ValueError(text)
    return number(match.group(1)) * {"": 1, "c": 1, "k": 1024, "m": 1024**2, "g": 1024**3}[match.group(2).lower()]


TOOLS: dict[str, Command] = {
    "uniq": uniq,
    "tac": tac,
    "rev": rev,
    "nl": nl,
    "cmp": compare,
    "expr": expr,
    "xxd": xxd,
    "dd": dd,
}
