"""The ``sync:`` service, versions 1 and 2: look at, list, fetch and store files.

Every request is an id of four letters, a u32 length and a path. Source: AOSP ``file_sync_protocol.h`` and ``SYNC.TXT``.
"""

import errno
import posixpath
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from phonefarm.vphone.fs import S_IFLNK, FileSystem, Node
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
    """Answered with FAIL and this text. ``lost``: what follows in the stream means nothing, so it is closed.

    After a refusal that leaves the stream in order the session goes on. Older adbd does that, newer ones hang up; a
    host can live with both, and one that asks for several files on one stream needs the former.
    """

    def __init__(self, text: str, *, lost: bool = False) -> None:
        super().__init__(text)
        self.lost = lost


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
        self._requests: dict[bytes, Callable[[str], Awaitable[None]]] = {
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
        if length > _MAX_PATH:
            return await self._fail("path too long")
        path = (await self._reader.exactly(length)).decode("utf-8", "surrogateescape")
        if self._kind not in self._requests:
            return await self._fail(f"unknown command {int.from_bytes(self._kind, 'little'):08x}")
        with self._device.journal.command("sync", f"{self._kind.decode()} {path}") as entry:
            try:
                await self._requests[self._kind](path.partition("\0")[0])
            except BrokenPipeError:
                raise
            except _RefusedError as error:
                entry.rc = 1
                return await self._fail(str(error)) or not error.lost
            entry.rc = 0
        return True

    async def _fail(self, text: str) -> bool:
        data = text.encode("utf-8", "surrogateescape")
        await self._stream.write(_HEAD.pack(b"FAIL", len(data)) + data)
        return False

    # -- stat and list ---------------------------------------------------------------------------------------------
    async def _stat(self, path: str) -> None:
        node = self._fs.find(path, follow=False)
        await self._stream.write(b"STAT" + _stat1(node))

    async def _stat2(self, path: str) -> None:
        try:
            data = _stat2(self._fs.get(path, follow=self._kind == b"STA2"))
        except OSError as error:
            data = struct.pack("<I", error.errno or errno.EIO) + bytes(_STAT2.size - 4)
        await self._stream.write(self._kind + data)

    async def _list(self, path: str) -> None:
        """Everything in a folder, with ``.`` and ``..``; what is no folder has nothing in it."""
        second = self._kind == b"LIS2"
        folder = self._fs.find(path)
        if folder is not None and folder.children is not None:
            above = self._fs.find(posixpath.join(path, "..")) or folder
            for name, node in [(".", folder), ("..", above), *sorted(folder.children.items())]:
                raw = name.encode("utf-8", "surrogateescape")
                head = b"DNT2" + _stat2(node) if second else b"DENT" + _stat1(node)
                await self._stream.write(head + struct.pack("<I", len(raw)) + raw)
        await self._stream.write(b"DONE" + bytes(72 if second else 16))

    # -- fetch -----------------------------------------------------------------------------------------------------
    async def _recv(self, path: str) -> None:
        if self._kind == b"RCV2":
            _, flags = _HEAD.unpack(await self._reader.exactly(_HEAD.size))
            if flags & ~DRY_RUN:
                raise _RefusedError(f"unknown flags: {flags}", lost=True)
        try:
            data = self._fs.read(path)
        except OSError as error:
            verb = "read" if error.errno == errno.EISDIR else "open"
            raise _RefusedError(f"{verb} failed: {error.strerror}") from error
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            await self._stream.write(_HEAD.pack(b"DATA", len(chunk)) + chunk)
        await self._stream.write(_HEAD.pack(b"DONE", 0))

    # -- store -----------------------------------------------------------------------------------------------------
    async def _send(self, spec: str) -> None:
        path, comma, mode = spec.rpartition(",")
        if not comma:
            raise _RefusedError("missing , in ID_SEND_V1", lost=True)
        try:
            number = int(mode, 8 if mode.startswith("0") and mode.isdigit() else 0)
        except ValueError:
            raise _RefusedError("bad mode", lost=True) from None
        await self._store(path, number, dry=False)

    async def _send2(self, path: str) -> None:
        _, mode, flags = struct.unpack("<4sII", await self._reader.exactly(12))
        if flags & ~DRY_RUN:
            raise _RefusedError(f"unknown flags: {flags}", lost=True)
        await self._store(path, mode, dry=bool(flags & DRY_RUN))

    async def _store(self, path: str, mode: int, *, dry: bool) -> None:
        """Take a whole file, then answer: nothing of it is there before its end has come.

        adbd says a refusal at once and throws the rest away; hosts that only wait for acknowledgements while they send
        lose it then. Said after the end it reaches all of them.
        """
        refusal = "" if dry else self._refusal(path, mode)
        if refusal:
            await self._take_all(None)
            raise _RefusedError(refusal)
        keep = None if dry else bytearray()
        mtime = await self._take_all(keep)
        if keep is not None:
            self._put(path, mode, mtime, bytes(keep))
        await self._stream.write(_HEAD.pack(b"OKAY", 0))

    def _refusal(self, path: str, mode: int) -> str:
        """Why ``path`` cannot be written; empty if it can."""
        try:
            if self._fs.find(posixpath.dirname(path) or "/") is None:
                self._fs.make_dirs(posixpath.dirname(path))
        except OSError as error:
            return f"secure_mkdirs failed: {error.strerror}"
        try:
            self._fs.check_new(path)
        except OSError as error:
            verb = "symlink failed" if _is_link(mode) else "couldn't create file"
            return f"{verb}: {error.strerror}"
        return ""

    def _put(self, path: str, mode: int, mtime: int, data: bytes) -> None:
        if _is_link(mode):
            if self._fs.find(path, follow=False) is not None:
                self._fs.remove(path)
            self._fs.link(data.rstrip(b"\0").decode("utf-8", "surrogateescape"), path)
            return
        if self._fs.full and data:
            raise _RefusedError("write failed: No space left on device")
        owner = mode & 0o700
        node = self._fs.find(path, follow=False)
        if node is not None and node.target is not None:
            self._fs.remove(path)  # a file pushed over a link takes its place
        self._fs.write(path, data, mode=(mode & 0o777) | owner >> 3 | owner >> 6, mtime=mtime)

    async def _take_all(self, keep: bytearray | None) -> int:
        """Read DATA packets up to DONE; returns the time of change in seconds since 1970."""
        while True:
            kind, length = _HEAD.unpack(await self._reader.exactly(_HEAD.size))
            if kind == b"DONE":
                return int(length)
            if kind != b"DATA":
                raise _RefusedError("invalid data message", lost=True)
            if length > CHUNK:
                raise _RefusedError("oversize data message", lost=True)
            data = await self._reader.exactly(length)
            if keep is not None:
                keep += data


def _is_link(mode: int) -> bool:
    return mode & 0o170000 == S_IFLNK


def _stat1(node: Node | None) -> bytes:
    if node is None:
        return bytes(12)
    return struct.pack("<III", node.mode, node.size & 0xFFFFFFFF, int(node.mtime) & 0xFFFFFFFF)


def _stat2(node: Node) -> bytes:
    when = int(node.mtime)
    links = 2 if node.is_dir else 1
    return _STAT2.pack(0, 64768, id(node) & 0xFFFFFFFF, node.mode, links, 2000, 2000, node.size, when, when, when)
