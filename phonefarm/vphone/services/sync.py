"""The ``sync:`` service, versions 1 and 2: look at, list, fetch and store files.

Every request is an id of four letters, a u32 length and a path. Source: AOSP ``file_sync_protocol.h`` and ``SYNC.TXT``.
"""

import errno
import posixpath
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from phonefarm.vphone.fs import S_IFLNK, FileSystem, Node
from phonefarm.vphone.journal import Entry
from phonefarm.vphone.wire.stream import Stream, StreamReader

if TYPE_CHECKING:
    from phonefarm.vphone.services.table import Device

CHUNK = 64 * 1024
"""Largest DATA packet in either direction, in bytes."""
DRY_RUN = 0x80000000
"""Flag of SND2: take the file, keep nothing."""
_MAX_PATH = 1024
_HEAD = struct.Struct("<4sI")
_STAT2 = struct.Struct("<IQQIIIIQqqq")


class _RefusedError(Exception):
    """Answered with FAIL and this text."""


async def serve(device: "Device", stream: Stream) -> None:
    """Answer requests until QUIT or until the host closes."""
    session = _Session(device, stream)
    while await session.one_request():
        pass


class _Session:
    def __init__(self, device: "Device", stream: Stream) -> None:
        self._device = device
        self._stream = stream
        self._reader = StreamReader(stream)
        self._requests: dict[bytes, Callable[[str, Entry], Awaitable[None]]] = {
            b"STAT": self._stat,
            b"STA2": self._stat2,
            b"LST2": self._stat2,
            b"LIST": self._list,
            b"LIS2": self._list,
            b"SEND": self._send,
            b"SND2": self._send2,
            b"RECV": self._recv,
            b"RCV2": self._recv,
        }
        self._kind = b""

    @property
    def _fs(self) -> FileSystem:
        return self._device.fs

    async def one_request(self) -> bool:
        """Answer one request; False when it was the last."""
        try:
            self._kind, length = _HEAD.unpack(await self._reader.exactly(_HEAD.size))
        except EOFError:
            return False
        if self._kind == b"QUIT":
            return False
        if self._kind not in self._requests or length > _MAX_PATH:
            await self._fail(f"unknown or too long request {self._kind!r}")
            return False
        path = (await self._reader.exactly(length)).decode("utf-8", "surrogateescape")
        with self._device.journal.command("sync", f"{self._kind.decode()} {path}") as entry:
            try:
                await self._requests[self._kind](path, entry)
                entry.rc = 0 if entry.rc is None else entry.rc
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                entry.rc = 1
                await self._fail(error.strerror or str(error))
            except _RefusedError as error:
                entry.rc = 1
                await self._fail(str(error))
        return True

    async def _fail(self, text: str) -> None:
        data = text.encode()
        await self._stream.write(_HEAD.pack(b"FAIL", len(data)) + data)

    # -- stat and list ---------------------------------------------------------------------------------------------
    async def _stat(self, path: str, entry: Entry) -> None:
        node = self._fs.find(path, follow=False)
        await self._stream.write(b"STAT" + _stat1(node))

    async def _stat2(self, path: str, entry: Entry) -> None:
        node = self._fs.find(path, follow=self._kind == b"STA2")
        await self._stream.write(self._kind + _stat2(node))

    async def _list(self, path: str, entry: Entry) -> None:
        second = self._kind == b"LIS2"
        folder = self._fs.find(path)
        for name, node in sorted((folder.children or {}).items() if folder is not None else []):
            raw = name.encode("utf-8", "surrogateescape")
            head = b"DNT2" + _stat2(node) if second else b"DENT" + _stat1(node)
            await self._stream.write(head + struct.pack("<I", len(raw)) + raw)
        await self._stream.write(b"DONE" + bytes(72 if second else 16))

    # -- fetch -----------------------------------------------------------------------------------------------------
    async def _recv(self, path: str, entry: Entry) -> None:
        if self._kind == b"RCV2":
            _, flags = _HEAD.unpack(await self._reader.exactly(_HEAD.size))
            if flags & ~DRY_RUN:
                raise _RefusedError(f"compression {flags:#x} is not supported")
        data = self._fs.read(path)
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            await self._stream.write(_HEAD.pack(b"DATA", len(chunk)) + chunk)
        await self._stream.write(_HEAD.pack(b"DONE", 0))

    # -- store -----------------------------------------------------------------------------------------------------
    async def _send(self, spec: str, entry: Entry) -> None:
        path, comma, mode = spec.rpartition(",")
        if not comma or not mode.isdigit():
            await self._take_all(None)
            raise _RefusedError("missing ,<mode> in ID_SEND")
        await self._store(path, int(mode), dry=False)

    async def _send2(self, path: str, entry: Entry) -> None:
        _, mode, flags = struct.unpack("<4sII", await self._reader.exactly(12))
        if flags & ~DRY_RUN:
            await self._take_all(None)
            raise _RefusedError(f"compression {flags:#x} is not supported")
        await self._store(path, mode, dry=bool(flags & DRY_RUN))

    async def _store(self, path: str, mode: int, *, dry: bool) -> None:
        """Take a whole file, then answer: a refusal must not leave its data in the stream."""
        keep = None if dry else bytearray()
        mtime = await self._take_all(keep)
        if keep is not None:
            self._put(path, mode, mtime, bytes(keep))
        await self._stream.write(_HEAD.pack(b"OKAY", 0))

    def _put(self, path: str, mode: int, mtime: int, data: bytes) -> None:
        if mode & 0o170000 == S_IFLNK:
            self._fs.link(data.rstrip(b"\0").decode("utf-8", "surrogateescape"), path)
            return
        if self._fs.full:
            raise OSError(errno.ENOSPC, "couldn't write: No space left on device")
        try:
            self._fs.make_dirs(posixpath.dirname(path))
            self._fs.write(path, data, mode=mode & 0o777, mtime=mtime)
        except OSError as error:
            raise _RefusedError(f"couldn't create file: {error.strerror}") from error

    async def _take_all(self, keep: bytearray | None) -> int:
        """Read DATA packets up to DONE; returns the time of change in seconds since 1970."""
        while True:
            kind, length = _HEAD.unpack(await self._reader.exactly(_HEAD.size))
            if kind == b"DONE":
                return int(length)
            if kind != b"DATA" or length > CHUNK:
                raise EOFError("broken sync data")
            data = await self._reader.exactly(length)
            if keep is not None:
                keep += data


def _stat1(node: Node | None) -> bytes:
    if node is None:
        return bytes(12)
    return struct.pack("<III", node.mode, node.size & 0xFFFFFFFF, int(node.mtime) & 0xFFFFFFFF)


def _stat2(node: Node | None) -> bytes:
    if node is None:
        return struct.pack("<I", errno.ENOENT) + bytes(_STAT2.size - 4)
    when = int(node.mtime)
    links = 2 if node.is_dir else 1
    return _STAT2.pack(0, 64768, id(node) & 0xFFFFFFFF, node.mode, links, 2000, 2000, node.size, when, when, when)
