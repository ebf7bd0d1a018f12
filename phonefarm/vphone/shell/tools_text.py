"""Small programs that read text and write text; they stream where the real ones do."""

import base64
import hashlib
import posixpath
import re
from collections.abc import AsyncIterator

from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.call import Call, Command


async def _inputs(call: Call, paths: list[str]) -> AsyncIterator[tuple[str, pipes.Reader]]:
    """The named files, or standard input (``-`` or no names). Raises ``OSError`` for a missing one."""
    for path in paths or ["-"]:
        full = call.shell.absolute(path)
        if path == "-" or full in ("/dev/stdin", "/dev/tty"):
            yield path, call.io.stdin
        elif full == "/dev/zero":
            yield path, pipes.ZeroReader()
        else:
            yield path, pipes.BytesReader(call.fs.read(full))


async def _whole(call: Call, paths: list[str]) -> bytes:
    data = bytearray()
    async for _, reader in _inputs(call, paths):
        data += await pipes.read_all(reader)
    return bytes(data)


def _options(args: list[str], with_value: str = "") -> tuple[dict[str, str], list[str]]:
    """Single-letter options (those in ``with_value`` take a word) and the rest."""
    options: dict[str, str] = {}
    rest: list[str] = []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg == "--":
            return options, rest + queue
        if not arg.startswith("-") or arg == "-":
            rest.append(arg)
        elif arg[1:].isdigit():
            options["n"] = arg[1:]
        else:
            _letters(arg[1:], with_value, queue, options)
    return options, rest


def _letters(letters: str, with_value: str, queue: list[str], options: dict[str, str]) -> None:
    for index, letter in enumerate(letters):
        if letter in with_value:
            options[letter] = letters[index + 1 :] or (queue.pop(0) if queue else "")
            return
        options[letter] = ""


async def cat(call: Call) -> int:
    """``cat [-n] [files]``; goes on after a missing file and returns 1."""
    rc, count = 0, 0
    for path in [arg for arg in call.args if arg == "-" or not arg.startswith("-")] or ["-"]:
        try:
            async for _, reader in _inputs(call, [path]):
                if "-n" in call.args:
                    count = await _numbered(call, reader, count)
                while data := await reader.read():
                    await call.io.stdout.write(data)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            rc = await call.fail(f"{path}: {error.strerror}")
    return rc


async def _numbered(call: Call, reader: pipes.Reader, count: int) -> int:
    for line in re.findall(rb"[^\n]*\n|[^\n]+", await pipes.read_all(reader)):
        count += 1
        await call.io.stdout.write(b"%6d\t%s" % (count, line))
    return count


async def head(call: Call) -> int:
    """``head [-n N] [-c N] [files]``; stops reading when it has enough."""
    options, paths = _options(call.args, "nc")
    async for _, reader in _inputs(call, paths):
        if "c" in options:
            await _head_bytes(call, reader, int(options["c"]))
        elif options.get("n", "").startswith("-"):
            lines = re.findall(rb"[^\n]*\n|[^\n]+", await pipes.read_all(reader))
            await call.io.stdout.write(b"".join(lines[: int(options["n"])]))
        else:
            await _head_lines(call, reader, int(options.get("n", "10")))
    return 0


async def _head_bytes(call: Call, reader: pipes.Reader, count: int) -> None:
    while count > 0 and (data := await reader.read(min(count, pipes.PIPE_BYTES))):
        count -= len(data)
        await call.io.stdout.write(data)


async def _head_lines(call: Call, reader: pipes.Reader, count: int) -> None:
    while count > 0 and (data := await reader.read()):
        lines = data.splitlines(keepends=True) if b"\r" not in data else re.findall(rb"[^\n]*\n|[^\n]+", data)
        taken = lines[:count]
        count -= sum(line.endswith(b"\n") for line in taken)
        await call.io.stdout.write(b"".join(taken))


async def tail(call: Call) -> int:
    """``tail [-n [+]N] [-c N] [files]``."""
    options, paths = _options(call.args, "nc")
    data = await _whole(call, paths)
    if "c" in options:
        await call.io.stdout.write(data[-int(options["c"]) :])
        return 0
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    count = options.get("n", "10")
    start = int(count) - 1 if count.startswith("+") else max(len(lines) - abs(int(count)), 0)
    await call.io.stdout.write(b"".join(lines[start:]))
    return 0


async def wc(call: Call) -> int:
    """``wc [-l] [-w] [-c] [files]``."""
    options, paths = _options(call.args)
    wanted = [letter for letter in "lwc" if letter in options] or list("lwc")
    async for path, reader in _inputs(call, paths):
        counts = {"l": 0, "w": 0, "c": 0}
        tail_word = False
        while data := await reader.read():
            counts["l"] += data.count(b"\n")
            counts["c"] += len(data)
            counts["w"] += len(data.split()) - (tail_word and not data[:1].isspace())
            tail_word = not data[-1:].isspace()
        numbers = [str(counts[letter]) for letter in wanted]
        text = numbers[0] if len(numbers) == 1 else " ".join(f"{number:>7}" for number in numbers)
        await call.out(text + ("" if path == "-" else f" {path}") + "\n")
    return 0


async def sort(call: Call) -> int:
    """``sort [-r] [-n] [-u] [-k N] [-t X] [files]``."""
    options, paths = _options(call.args, "kt")
    lines = (await _whole(call, paths)).decode("utf-8", "surrogateescape").split("\n")
    lines = lines[:-1] if lines and lines[-1] == "" else lines
    unique = list(dict.fromkeys(lines)) if "u" in options else lines
    field = int(re.match(r"\d+", options.get("k", "1")).group()) if "k" in options else 0  # type: ignore[union-attr]

    def part(line: str) -> str:
        words = line.split(options.get("t") or None)
        return line if not field else (options.get("t") or " ").join(words[field - 1 :])

    def key(line: str) -> tuple[float | str, str]:
        return (_leading_number(part(line)) if "n" in options else part(line)), line

    for line in sorted(unique, key=key, reverse="r" in options):
        await call.out(f"{line}\n")
    return 0


def _leading_number(line: str) -> float:
    match = re.match(r"\s*(-?\d+(?:\.\d+)?)", line)
    return float(match.group(1)) if match else 0.0


async def tr(call: Call) -> int:
    """``tr [-c] [-d] [-s] from [to]`` for single characters, ranges and classes."""
    options, sets = _options(call.args)
    source = _characters(sets[0]) if sets else b""
    if "c" in options:
        source = bytes(byte for byte in range(256) if byte not in source)
    target = _characters(sets[1]) if len(sets) > 1 else b""
    table = bytes.maketrans(source, target.ljust(len(source), target[-1:] or b" ")[: len(source)])
    squeezed, last = (target or source) if "s" in options else b"", -1
    while data := await call.io.stdin.read():
        if "d" in options:
            data = data.translate(None, source)
        elif target:
            data = data.translate(table)
        if squeezed and data:
            data, last = _squeezed(data, squeezed, last), data[-1]
        await call.io.stdout.write(data)
    return 0


def _squeezed(data: bytes, chars: bytes, last: int) -> bytes:
    before = bytes([last]) + data[:-1] if last >= 0 else b"\xff" + data[:-1]
    return bytes(b for place, (a, b) in enumerate(zip(before, data, strict=True))
                 if a != b or b not in chars or (place == 0 and last < 0))  # fmt: skip


def _characters(spec: str) -> bytes:
    text = spec.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t").replace("\\0", "\0")
    for name, chars in (
        ("alpha", "A-Za-z"),
        ("digit", "0-9"),
        ("upper", "A-Z"),
        ("lower", "a-z"),
        ("space", " \t\n\r"),
    ):
        text = text.replace(f"[:{name}:]", chars)
    return pipes.to_bytes(
        re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m.group(1)), ord(m.group(2)) + 1))), text)
    )


async def cut(call: Call) -> int:
    """``cut -d X -f N[,N]`` and ``cut -c N-M``."""
    options, paths = _options(call.args, "dfc")
    spec = options.get("f") or options.get("c") or "1"
    for line in pipes.to_text(await _whole(call, paths)).split("\n")[:-1]:
        items = line.split(options.get("d", "\t")) if "f" in options else list(line)
        chosen = [item for index, item in enumerate(items, 1) if _in_ranges(index, spec)]
        await call.out((options.get("d", "\t") if "f" in options else "").join(chosen) + "\n")
    return 0


def _in_ranges(index: int, spec: str) -> bool:
    for piece in spec.split(","):
        first, dash, last = piece.partition("-")
        if int(first or 1) <= index <= int(last or (10**9 if dash else first)):
            return True
    return False


async def tee(call: Call) -> int:
    """``tee [-a] files``."""
    options, paths = _options(call.args)
    nodes = [call.fs.open_write(call.shell.absolute(path), append="a" in options) for path in paths]
    while data := await call.io.stdin.read():
        for node in nodes:
            call.fs.append(node, data)
        await call.io.stdout.write(data)
    return 0


async def digest(call: Call) -> int:
    """``md5sum``, ``sha1sum`` and ``sha256sum [-b] [files]``."""
    options, paths = _options(call.args)
    async for path, reader in _inputs(call, paths):
        total = hashlib.new(call.name.removesuffix("sum"), usedforsecurity=False)
        while data := await reader.read():
            total.update(data)
        await call.out(total.hexdigest() + ("" if "b" in options else f"  {path}") + "\n")
    return 0


async def base64_tool(call: Call) -> int:
    """``base64 [-d] [-w N] [file]``."""
    options, paths = _options(call.args, "w")
    data = await _whole(call, paths)
    if "d" in options:
        await call.io.stdout.write(base64.b64decode(data))
        return 0
    text = base64.b64encode(data).decode()
    width = int(options.get("w", "76")) or max(len(text), 1)
    for start in range(0, len(text), width):
        await call.out(text[start : start + width] + "\n")
    return 0


async def basename(call: Call) -> int:
    """``basename path [suffix]``."""
    name = posixpath.basename(call.args[0].rstrip("/")) if call.args else ""
    await call.out((name.removesuffix(call.args[1]) if len(call.args) > 1 else name) + "\n")
    return 0


async def dirname(call: Call) -> int:
    """``dirname path``."""
    await call.out((posixpath.dirname(call.args[0].rstrip("/")) if call.args else "") or ".")
    await call.out("\n")
    return 0


TOOLS: dict[str, Command] = {
    "cat": cat,
    "head": head,
    "tail": tail,
    "wc": wc,
    "sort": sort,
    "tr": tr,
    "cut": cut,
    "tee": tee,
    "md5sum": digest,
    "sha1sum": digest,
    "sha256sum": digest,
    "base64": base64_tool,
    "basename": basename,
    "dirname": dirname,
}
