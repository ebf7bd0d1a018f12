"""A terminal in front of a shell: echo, line ends, ^C and ^D, and the interactive loop with its prompt."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from phonefarm.vphone.shell.flow import Exit
from phonefarm.vphone.shell.interpreter import SIGPIPE_RC, Shell
from phonefarm.vphone.shell.parser import parse
from phonefarm.vphone.shell.pipes import Io, LineReader, Pipe, Writer, to_bytes, to_text
from phonefarm.vphone.shell.syntax import ShellSyntaxError

INTERRUPTED_RC = 130
_CTRL_C, _CTRL_D = 3, 4


class _Output:
    """Turns line feeds into carriage return and line feed."""

    def __init__(self, out: Writer) -> None:
        self._out = out

    async def write(self, data: bytes) -> None:
        """Write ``data`` as a terminal shows it."""
        await self._out.write(data.replace(b"\n", b"\r\n"))

    def close(self) -> None:
        """The terminal stays."""


class Terminal:
    """The line discipline between what is typed and what the shell reads."""

    def __init__(self, pipe: Pipe, out: Writer) -> None:
        self.output: Writer = _Output(out)
        self.foreground: asyncio.Task[int] | None = None
        self.window = [24, 80]
        self._pipe = pipe
        self._line = bytearray()

    def resize(self, data: bytes) -> None:
        """The window has another size: ``ROWSxCOLUMNS,WIDTHxHEIGHT``; nonsense changes nothing."""
        match = re.match(rb"(\d+)x(\d+)", data)
        if match is not None:
            self.window[:] = int(match.group(1)), int(match.group(2))

    async def run(self, running: Coroutine[Any, Any, int]) -> int:
        """Run a command in the foreground, where ^C reaches it; its exit code, 130 after ^C."""
        task = asyncio.get_running_loop().create_task(running)
        self.foreground = task
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                task.cancel()
                raise
            return INTERRUPTED_RC
        finally:
            self.foreground = None

    async def typed(self, data: bytes) -> None:
        """Bytes from the keyboard: echoed, and given to the shell line by line."""
        for byte in data.replace(b"\r", b"\n"):
            if byte == _CTRL_C:
                await self._interrupt()
            elif byte == _CTRL_D:
                await self._end_of_input()
            elif byte in (8, 127):
                del self._line[-1:]
                await self.output.write(b"\b \b")
            else:
                await self._character(byte)

    async def _character(self, byte: int) -> None:
        self._line.append(byte)
        await self.output.write(bytes([byte]))
        if byte == ord("\n"):
            await self._hand_over()

    async def _hand_over(self) -> None:
        line, self._line = bytes(self._line), bytearray()
        await self._pipe.write(line)

    async def _end_of_input(self) -> None:
        if self._line:
            await self._hand_over()
        else:
            self._pipe.end()

    async def _interrupt(self) -> None:
        self._line.clear()
        await self.output.write(b"^C\n")
        if self.foreground is not None:
            self.foreground.cancel()


async def interact(shell: Shell, io: Io, terminal: Terminal | None) -> int:
    """Read commands line by line and run them until the input ends or ``exit``; returns the exit code."""
    lines = LineReader(io.stdin)
    source = ""
    while True:
        if terminal is not None:
            await io.stderr.write(to_bytes("> " if source else f"shiba:{shell.cwd} $ "))
        line = to_text(await lines.line())
        source += line
        if line and _is_incomplete(source):
            continue
        if source.strip():
            try:
                shell.status = await _run_line(shell, source, io, terminal)
            except Exit as leaving:
                return leaving.rc
        source = ""
        if not line:
            return shell.status


def _is_incomplete(source: str) -> bool:
    try:
        parse(source)
    except ShellSyntaxError as error:
        return error.incomplete
    return False


async def _run_line(shell: Shell, source: str, io: Io, terminal: Terminal | None) -> int:
    running = _to_code(shell, source, io)
    return await (running if terminal is None else terminal.run(running))


async def _to_code(shell: Shell, source: str, io: Io) -> int:
    try:
        return await shell.run_lines(source, io)
    except BrokenPipeError:
        return SIGPIPE_RC
