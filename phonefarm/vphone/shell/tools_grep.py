"""``grep``: lines that match, with the options that scripts use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.call import Call, Command

_VALUED = "efmABC"


@dataclass(kw_only=True, slots=True)
class _Wish:
    """What a call asks for."""

    flags: set[str] = field(default_factory=set)
    patterns: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)


def _wish(args: list[str]) -> _Wish:
    wish = _Wish()
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg == "--":
            wish.paths += queue
            break
        if not arg.startswith("-") or arg == "-":
            wish.paths.append(arg)
        elif arg.startswith("--"):
            wish.flags |= {"color"} if arg.startswith("--color") else {arg}
        else:
            _letters(wish, arg[1:], queue)
    if not wish.patterns and "e" not in wish.values and wish.paths:
        wish.patterns = [wish.paths.pop(0)]
    return wish


def _letters(wish: _Wish, letters: str, queue: list[str]) -> None:
    for place, letter in enumerate(letters):
        if letter in _VALUED:
            value = letters[place + 1 :] or (queue.pop(0) if queue else "")
            if letter == "e":
                wish.patterns.append(value)
            wish.values[letter] = value
            return
        wish.flags.add(letter)


def basic(pattern: str) -> str:
    r"""A basic regular expression as an extended one: ``\(`` groups, ``(`` is a bracket, and so on."""
    made, at = [], 0
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pattern[at] == "[":
            end = pattern.find("]", at + (3 if pattern.startswith("[^", at) else 2))
            end = len(pattern) - 1 if end < 0 else end
            made.append(pattern[at : end + 1])
            at = end + 1
        elif len(pair) == 2 and pair[0] == "\\":
            made.append(pair[1] if pair[1] in "(){}|+?" else pair)
            at += 2
        else:
            made.append("\\" + pattern[at] if pattern[at] in "(){}|+?" else pattern[at])
            at += 1
    return "".join(made)


def compiled(pattern: str, *, extended: bool, ignore_case: bool = False) -> re.Pattern[bytes]:
    """A regular expression of POSIX as one of Python. Raises ``re.error``."""
    source = pattern if extended else basic(pattern)
    for name, chars in (
        ("alpha", "A-Za-z"),
        ("digit", "0-9"),
        ("alnum", "A-Za-z0-9"),
        ("space", r"\s"),
        ("upper", "A-Z"),
    ):
        source = source.replace(f"[:{name}:]", chars)
    return re.compile(pipes.to_bytes(source), re.IGNORECASE if ignore_case else 0)


def _regex(call: Call, wish: _Wish) -> re.Pattern[bytes]:
    extended = "E" in wish.flags or call.name == "egrep"
    one = [re.escape(line) if "F" in wish.flags or call.name == "fgrep" else line if extended else basic(line)
           for pattern in wish.patterns for line in pattern.split("\n")]  # fmt: skip
    source = "|".join(f"(?:{pattern})" for pattern in one)
    if "x" in wish.flags:
        source = f"^(?:{source})$"
    elif "w" in wish.flags:
        source = rf"(?<!\w)(?:{source})(?!\w)"
    return compiled(source, extended=True, ignore_case="i" in wish.flags)


async def grep(call: Call) -> int:
    """``grep [-EFivcqonlLxwhHsr] [-m N] [-A N] [-B N] [-C N] [-e pattern].. [files]``."""
    wish = _wish(call.args)
    try:
        regex = _regex(call, wish)
    except re.error as error:
        return await call.fail(f"bad regex '{' '.join(wish.patterns)}': {error}", 2)
    deep = bool(wish.flags & {"r", "R"})
    paths = [found for path in wish.paths or (["."] if deep else ["-"]) for found in _below(call, path, deep=deep)]
    named = (len(paths) > 1 or deep or "H" in wish.flags) and "h" not in wish.flags
    rc = 1
    for path in paths:
        try:
            data = await pipes.read_all(call.io.stdin) if path == "-" else call.fs.read(call.shell.absolute(path))
        except OSError as error:
            if "s" not in wish.flags:
                await call.fail(f"{path}: {error.strerror}")
            rc = 2 if rc else rc
            continue
        if await _one(call, wish, regex, path, data, f"{path}:" if named else ""):
            rc = 0
    return rc


def _below(call: Call, path: str, *, deep: bool) -> Iterator[str]:
    node = call.fs.find(call.shell.absolute(path)) if deep else None
    if node is None or node.children is None:
        yield path
        return
    for name in sorted(node.children):
        yield from _below(call, f"{path.rstrip('/')}/{name}", deep=True)


async def _one(call: Call, wish: _Wish, regex: re.Pattern[bytes], path: str, data: bytes, prefix: str) -> bool:
    """Search one file; true when a line was found."""
    lines = [line.removesuffix(b"\n") for line in re.findall(rb"[^\n]*\n|[^\n]+", data)]
    hits = [place for place, line in enumerate(lines) if bool(regex.search(line)) != ("v" in wish.flags)]
    hits = hits[: int(wish.values["m"])] if "m" in wish.values else hits
    if wish.flags & {"l", "L"}:
        if bool(hits) == ("l" in wish.flags):
            await call.out(f"{path}\n")
    elif "c" in wish.flags:
        await call.out(f"{prefix}{len(hits)}\n")
    elif "q" not in wish.flags:
        await call.io.stdout.write(b"".join(_shown(wish, regex, lines, hits, pipes.to_bytes(prefix))))
    return bool(hits)


def _shown(
    wish: _Wish, regex: re.Pattern[bytes], lines: list[bytes], hits: list[int], prefix: bytes
) -> Iterator[bytes]:
    before = int(wish.values.get("B", wish.values.get("C", "0")))
    after = int(wish.values.get("A", wish.values.get("C", "0")))
    chosen = sorted({near for hit in hits for near in range(hit - before, hit + after + 1) if 0 <= near < len(lines)})
    found = set(hits)
    for index, place in enumerate(chosen):
        if (before or after) and index and chosen[index - 1] != place - 1:
            yield b"--\n"
        mark = b":" if place in found else b"-"
        head = prefix[:-1] + mark if prefix else b""
        head += str(place + 1).encode() + mark if "n" in wish.flags else b""
        texts = [m.group() for m in regex.finditer(lines[place])] if "o" in wish.flags else [lines[place]]
        yield from (head + text + b"\n" for text in texts if text or "o" not in wish.flags)


TOOLS: dict[str, Command] = {"grep": grep, "egrep": grep, "fgrep": grep}
