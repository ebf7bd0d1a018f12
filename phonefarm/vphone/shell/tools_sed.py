"""``sed``: the commands that one-liners use: ``s``, ``d``, ``p``, ``q``, ``=``, ``y``, with addresses and ``!``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.call import Call, Command
from phonefarm.vphone.shell.tools_grep import compiled


@dataclass(kw_only=True, slots=True)
class _Step:
    """One command with its addresses (a line number, ``$``, a pattern); ``inside`` while in a range."""

    first: int | str | re.Pattern[bytes] | None
    last: int | str | re.Pattern[bytes] | None
    negated: bool
    name: str
    pattern: re.Pattern[bytes] | None = None
    text: bytes = b""
    flags: str = ""
    inside: bool = False

    def wanted(self, number: int, line: bytes, final: bool) -> bool:
        """Does the command apply to this line?"""
        return self._chosen(number, line, final) != self.negated

    def _chosen(self, number: int, line: bytes, final: bool) -> bool:
        if self.first is None:
            return True
        if self.last is None:
            return _here(self.first, number, line, final)
        if self.inside:
            self.inside = not (_here(self.last, number, line, final) or _past(self.last, number))
            return True
        if _here(self.first, number, line, final):
            self.inside = not (isinstance(self.last, int) and self.last <= number)
            return True
        return False


def _here(address: int | str | re.Pattern[bytes], number: int, line: bytes, final: bool) -> bool:
    if isinstance(address, int):
        return address == number
    return final if isinstance(address, str) else bool(address.search(line))


def _past(address: int | str | re.Pattern[bytes], number: int) -> bool:
    return isinstance(address, int) and number >= address


class _Script:
    """Reads a script into steps. Raises ``ValueError`` for what is not known."""

    def __init__(self, text: str, *, extended: bool) -> None:
        self._text = text
        self._at = 0
        self._extended = extended

    def steps(self) -> list[_Step]:
        found = []
        while self._skip(" \t;\n") and self._at < len(self._text):
            found.append(self._step())
        return found

    def _skip(self, chars: str) -> bool:
        while self._at < len(self._text) and self._text[self._at] in chars:
            self._at += 1
        return True

    def _step(self) -> _Step:
        first = self._address()
        last = None
        if self._text[self._at : self._at + 1] == ",":
            self._at += 1
            last = self._address()
        self._skip(" ")
        negated = self._text[self._at : self._at + 1] == "!"
        self._at += negated
        name = self._text[self._at : self._at + 1]
        self._at += 1
        step = _Step(first=first, last=last, negated=negated, name=name)
        if name in ("s", "y"):
            self._substitution(step)
        elif name not in ("d", "p", "q", "="):
            raise ValueError(f"unknown command '{name}'")
        return step

    def _address(self) -> int | str | re.Pattern[bytes] | None:
        match = re.compile(r"\d+|\$").match(self._text, self._at)
        if match:
            self._at = match.end()
            return "$" if match.group() == "$" else int(match.group())
        if self._text[self._at : self._at + 1] == "/":
            self._at += 1
            return compiled(self._until("/"), extended=self._extended)
        return None

    def _until(self, mark: str) -> str:
        made = ""
        while self._text[self._at] != mark:
            if self._text.startswith("\\" + mark, self._at):
                made += mark
                self._at += 2
            else:
                size = 2 if self._text[self._at] == "\\" else 1
                made += self._text[self._at : self._at + size]
                self._at += size
        self._at += 1
        return made

    def _substitution(self, step: _Step) -> None:
        mark = self._text[self._at]
        self._at += 1
        pattern, target = self._until(mark), self._until(mark)
        flags = re.compile(r"[gpiI0-9]*").match(self._text, self._at)
        step.flags = flags.group() if flags else ""
        self._at += len(step.flags)
        if step.name == "y":
            step.flags, step.text = pattern, pipes.to_bytes(target)
            return
        step.pattern = compiled(pattern, extended=self._extended, ignore_case="i" in step.flags.lower())
        step.text = pipes.to_bytes(target)


def _replacement(match: re.Match[bytes], template: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        text = found.group()
        if text == b"&":
            return match.group()
        if text[1:].isdigit():
            return match.group(int(text[1:])) or b""
        return {b"\\n": b"\n", b"\\t": b"\t"}.get(text, text[1:])

    return re.sub(rb"\\.|&", one, template, flags=re.DOTALL)


def _substituted(step: _Step, line: bytes) -> tuple[bytes, bool]:
    assert step.pattern is not None
    nth = int("".join(char for char in step.flags if char.isdigit()) or "1")
    seen = 0

    def one(match: re.Match[bytes]) -> bytes:
        nonlocal seen
        seen += 1
        wanted = seen == nth or ("g" in step.flags and seen > nth)
        return _replacement(match, step.text) if wanted else match.group()

    made = step.pattern.sub(one, line)
    return made, seen >= nth


def edited(steps: Sequence[_Step], lines: Sequence[bytes], *, quiet: bool) -> bytes:
    """All lines through all steps."""
    out = bytearray()
    for number, line in enumerate(lines, 1):
        shown, end = True, False
        for step in steps:
            if not step.wanted(number, line, number == len(lines)):
                continue
            if step.name == "d":
                shown = False
                break
            line, end = _applied(step, line, number, out), end or step.name == "q"
            if end:
                break
        out += line + b"\n" if shown and not quiet else b""
        if end:
            break
    return bytes(out)


def _applied(step: _Step, line: bytes, number: int, out: bytearray) -> bytes:
    if step.name == "s":
        line, done = _substituted(step, line)
        out += line + b"\n" if done and "p" in step.flags else b""
    elif step.name == "y":
        line = line.translate(bytes.maketrans(pipes.to_bytes(step.flags), step.text))
    elif step.name == "p":
        out += line + b"\n"
    elif step.name == "=":
        out += b"%d\n" % number
    return line


async def sed(call: Call) -> int:
    """``sed [-n] [-E|-r] [-i] [-e script].. [script] [files]``."""
    scripts, paths, flags = [], [], set()
    queue = list(call.args)
    while queue:
        arg = queue.pop(0)
        if arg == "-e" and queue:
            scripts.append(queue.pop(0))
        elif arg.startswith("-") and len(arg) > 1:
            flags |= set(arg[1:])
        else:
            paths.append(arg)
    scripts = scripts or [paths.pop(0) if paths else ""]
    try:
        steps = _Script("\n".join(scripts), extended=bool(flags & {"E", "r"})).steps()
    except (ValueError, IndexError, re.error) as error:
        return await call.fail(f"bad script '{' '.join(scripts)}': {error}")
    if "i" in flags:
        for path in paths:
            full = call.shell.absolute(path)
            call.fs.write(full, edited(steps, _lines(call.fs.read(full)), quiet="n" in flags))
        return 0
    data = b"".join([await _read(call, path) for path in paths or ["-"]])
    await call.io.stdout.write(edited(steps, _lines(data), quiet="n" in flags))
    return 0


async def _read(call: Call, path: str) -> bytes:
    return await pipes.read_all(call.io.stdin) if path == "-" else call.fs.read(call.shell.absolute(path))


def _lines(data: bytes) -> list[bytes]:
    return [line.removesuffix(b"\n") for line in re.findall(rb"[^\n]*\n|[^\n]+", data)]


TOOLS: dict[str, Command] = {"sed": sed}
