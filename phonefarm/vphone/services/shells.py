"""``shell:``, ``shell,v2:``, ``exec:`` and ``abb_exec:``.

The v2 protocol frames what travels (id, u32 length, data): 0 input, 1 output, 2 errors, 3 exit code, 4 input ends,
5 window size. The older ``shell:`` mixes output and errors and has no exit code. When the host closes a shell stream
its command is cancelled, as SIGHUP would do; ``exec:`` only sees the end of its input and must come to its own end.
"""

import asyncio
import struct
from typing import TYPE_CHECKING

from phonefarm.vphone.journal import Entry
from phonefarm.vphone.services.spec import ShellSpec
from phonefarm.vphone.services.terminal import Terminal, interact
from phonefarm.vphone.shell.pipes import Io, Pipe, PipeReader, Reader, Writer
from phonefarm.vphone.wire.stream import Stream, StreamReader

if TYPE_CHECKING:
    from phonefarm.vphone.services.table import Device

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN, WINDOW = range(6)
_HEAD = struct.Struct("<BI")


class FrameWriter:
    """One output channel of the v2 protocol."""

    def __init__(self, stream: Stream, channel: int) -> None:
        self._stream = stream
        self._channel = channel

    async def write(self, data: bytes) -> None:
        """Send ``data`` as one frame."""
        if data:
            await self._stream.write(_HEAD.pack(self._channel, len(data)) + data)

    def close(self) -> None:
        """The stream is closed by the service, not by a command."""


class PlainWriter:
    """Output without frames."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def write(self, data: bytes) -> None:
        """Send ``data``."""
        await self._stream.write(data)

    def close(self) -> None:
        """The stream is closed by the service, not by a command."""


class PlainReader:
    """Input without frames."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = b""

    async def read(self, limit: int = 65536) -> bytes:
        """At most ``limit`` bytes; ``b""`` at the end."""
        data = self._left or await self._stream.read()
        self._left = data[limit:]
        return data[:limit]

    def close(self) -> None:
        """The rest of the input is not wanted."""


async def serve_shell(device: "Device", spec: ShellSpec, stream: Stream) -> None:
    """Run ``shell:`` to its end, or until the host hangs up."""
    with device.journal.command("shell", spec.command) as entry:
        running = asyncio.get_running_loop().create_task(_shell(device, spec, stream, entry))
        stream.on_hangup = running.cancel
        try:
            await running
        except asyncio.CancelledError:
            running.cancel()
            if not stream.closed:
                raise


async def serve_exec(device: "Device", service: str, spec: ShellSpec, stream: Stream) -> None:
    """Run ``exec:``; errors and output share the stream."""
    with device.journal.command(service, spec.command) as entry:
        out = PlainWriter(stream)
        entry.rc = await device.new_shell().run(spec.command, Io(stdin=PlainReader(stream), stdout=out, stderr=out))


async def _shell(device: "Device", spec: ShellSpec, stream: Stream, entry: Entry) -> None:
    pipe = Pipe()
    out: Writer = FrameWriter(stream, STDOUT) if spec.framed else PlainWriter(stream)
    err: Writer = FrameWriter(stream, STDERR) if spec.framed and not spec.pty else out
    terminal = Terminal(pipe, out) if spec.pty else None
    source: Reader = PipeReader(pipe)
    if terminal is not None:
        out = err = terminal.output
    feeding = asyncio.get_running_loop().create_task(_feed(stream, spec, pipe, terminal))
    try:
        entry.rc = await _run(device, spec, Io(stdin=source, stdout=out, stderr=err), terminal)
    finally:
        feeding.cancel()
    if spec.framed:
        await stream.write(_HEAD.pack(EXIT, 1) + bytes([entry.rc & 0xFF]))


async def _run(device: "Device", spec: ShellSpec, io: Io, terminal: Terminal | None) -> int:
    shell = device.new_shell()
    shell.variables["TERM"] = spec.term
    shell.exported.add("TERM")
    if terminal is not None:
        shell.window = terminal.window
    if not spec.command:
        return await interact(shell, io, terminal)
    return await (shell.run(spec.command, io) if terminal is None else terminal.run(shell.run(spec.command, io)))


async def _feed(stream: Stream, spec: ShellSpec, pipe: Pipe, terminal: Terminal | None) -> None:
    """Carry the host's input to the command's."""
    try:
        if spec.framed:
            await _feed_frames(StreamReader(stream), pipe, terminal)
        while not spec.framed and (data := await stream.read()):
            await _give(data, pipe, terminal)
    except (EOFError, BrokenPipeError):
        pass
    finally:
        pipe.end()


async def _feed_frames(reader: StreamReader, pipe: Pipe, terminal: Terminal | None) -> None:
    while True:
        channel, length = _HEAD.unpack(await reader.exactly(_HEAD.size))
        data = await reader.exactly(length)
        if channel == STDIN:
            await _give(data, pipe, terminal)
        elif channel == CLOSE_STDIN:
            pipe.end()
        elif channel == WINDOW and terminal is not None:
            terminal.resize(data)


async def _give(data: bytes, pipe: Pipe, terminal: Terminal | None) -> None:
    if terminal is None:
        await pipe.write(data)
    else:
        await terminal.typed(data)
