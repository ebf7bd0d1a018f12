"""What commands read from and write to.

Everything is asynchronous and bounded: a pipe holds 64 KiB and then its writer waits, and writing to a pipe whose
reader has gone raises ``BrokenPipeError``, which ends the command with 141 as SIGPIPE does.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from phonefarm.vphone.fs import FileSystem, Node

PIPE_BYTES = 64 * 1024
"""Bytes a pipe holds before its writer waits."""


def to_bytes(text: str) -> bytes:
    """Text of the shell as the bytes that it came from."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """Bytes as text of the shell; bytes that are not UTF-8 survive the way there and back."""
    return data.decode("utf-8", "surrogateescape")


class Reader(Protocol):
    """Something to read from."""

    async def read(self, limit: int = PIPE_BYTES) -> bytes:
        """At most ``limit`` bytes; ``b""`` at the end."""
        ...

    def close(self) -> None:
        """Nobody will read any more."""
        ...


class Writer(Protocol):
    """Something to write to."""

    async def write(self, data: bytes) -> None:
        """Write all of ``data``. Raises ``BrokenPipeError`` when nobody can read it any more."""
        ...

    def close(self) -> None:
        """Nothing more will be written."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Io:
    """The channels of a command: the three standard ones, and ``others`` by number, from 3 on."""

    stdin: Reader
    stdout: Writer
    stderr: Writer
    others: Mapping[int, Reader | Writer] = field(default_factory=dict)

    def replaced(self, fd: int, channel: Reader | Writer) -> "Io":
        """The same with channel ``fd`` changed."""
        if fd == 0:
            return replace(self, stdin=cast(Reader, channel))
        if fd == 1:
            return replace(self, stdout=cast(Writer, channel))
        if fd == 2:
            return replace(self, stderr=cast(Writer, channel))
        return replace(self, others={**self.others, fd: channel})

    def closed(self, fd: int) -> "Io":
        """The same without channel ``fd``; of the standard ones, what is read is empty and what is written is lost."""
        if fd > 2:
            return replace(self, others={number: one for number, one in self.others.items() if number != fd})
        return self.replaced(fd, BytesReader() if fd == 0 else NullWriter())

    def channel(self, fd: int) -> Reader | Writer | None:
        """Channel ``fd``, or None when it is not open."""
        channels: dict[int, Reader | Writer] = {0: self.stdin, 1: self.stdout, 2: self.stderr, **self.others}
        return channels.get(fd)


class Pipe:
    """A bounded pipe with one reader and one writer."""

    def __init__(self, limit: int = PIPE_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._ended = False
        self._unread = False
        self._changed = asyncio.Event()

    async def read(self, limit: int = PIPE_BYTES) -> bytes:
        """At most ``limit`` bytes; ``b""`` at the end."""
        while not self._buffer and not self._ended:
            await self._wait()
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        self._changed.set()
        return data

    async def write(self, data: bytes) -> None:
        """Write all of ``data``, waiting for the reader. Raises ``BrokenPipeError`` when it has gone."""
        view = memoryview(bytes(data))
        while view:
            if self._unread:
                raise BrokenPipeError("nobody reads this pipe")
            room = self._limit - len(self._buffer)
            if room <= 0:
                await self._wait()
                continue
            self._buffer += view[:room]
            view = view[room:]
            self._changed.set()

    def end(self) -> None:
        """The writer is done."""
        self._ended = True
        self._changed.set()

    def abandon(self) -> None:
        """The reader is done."""
        self._unread = True
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class PipeReader:
    """Reading end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def read(self, limit: int = PIPE_BYTES) -> bytes:
        """At most ``limit`` bytes; ``b""`` at the end."""
        return await self._pipe.read(limit)

    def close(self) -> None:
        """The writer will be told with ``BrokenPipeError``."""
        self._pipe.abandon()


class PipeWriter:
    """Writing end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        await self._pipe.write(data)

    def close(self) -> None:
        """The reader will see the end."""
        self._pipe.end()


class BytesReader:
    """Reads from bytes in memory; empty bytes make it ``/dev/null``."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._at = 0

    async def read(self, limit: int = PIPE_BYTES) -> bytes:
        """At most ``limit`` bytes; ``b""`` at the end."""
        taken = self._data[self._at : self._at + limit]
        self._at += len(taken)
        return taken

    def close(self) -> None:
        """Nothing to do."""


class ZeroReader:
    """``/dev/zero``."""

    async def read(self, limit: int = PIPE_BYTES) -> bytes:
        """``limit`` zero bytes, for ever."""
        await asyncio.sleep(0)
        return bytes(limit)

    def close(self) -> None:
        """Nothing to do."""


class NullWriter:
    """``/dev/null``."""

    async def write(self, data: bytes) -> None:
        """Forget ``data``; other tasks get their turn, so an endless command cannot stop the phone."""
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing to do."""


class MemoryWriter:
    """Keeps what is written, for ``$(..)`` and tests."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        """Keep ``data``."""
        self.data += data
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing to do."""


class FileWriter:
    """Appends to an opened file."""

    def __init__(self, fs: FileSystem, node: Node) -> None:
        self._fs = fs
        self._node = node

    async def write(self, data: bytes) -> None:
        """Append ``data``. Raises ``OSError`` when the disk is full."""
        self._fs.append(self._node, data)
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing to do."""


async def read_all(reader: Reader) -> bytes:
    """Everything up to the end."""
    parts = bytearray()
    while data := await reader.read():
        parts += data
    return bytes(parts)


class LineReader:
    """Reads lines without taking more than it gives: the next command may read on from there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def line(self) -> bytes:
        """One line with its newline; the last may lack it; ``b""`` at the end."""
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = await self._reader.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)
