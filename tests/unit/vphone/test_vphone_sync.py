"""The ``sync:`` service, versions 1 and 2, byte by byte."""

import errno
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from phonefarm.vphone.phone import VPhone
from phonefarm.vphone.wire import packets
from tests.unit.vphone.wirehost import Host, phone_and_host

pytestmark = pytest.mark.timeout(60)

DIR = "/sdcard/Download"


class Session:
    """One ``sync:`` stream, seen as bytes."""

    def __init__(self, host: Host, remote: int) -> None:
        self.host, self.remote = host, remote
        self.buffer = bytearray()
        self.closed = False

    def put(self, data: bytes) -> None:
        """Send bytes in as many packets as they need."""
        for start in range(0, len(data), 1 << 18):
            self.host.send(packets.WRTE, 7, self.remote, data[start : start + (1 << 18)])

    def ask(self, kind: bytes, path: bytes) -> None:
        """One request."""
        self.put(kind + struct.pack("<I", len(path)) + path)

    async def take(self, count: int) -> bytes:
        """So many bytes of the answer."""
        while len(self.buffer) < count and not self.closed:
            packet = await self.host.receive()
            if packet.command == packets.WRTE:
                self.buffer += packet.payload
                self.host.send(packets.OKAY, 7, self.remote)
            self.closed = packet.command == packets.CLSE
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    async def head(self) -> tuple[bytes, int]:
        """An id and a number."""
        kind, number = struct.unpack("<4sI", await self.take(8))
        return kind, number

    async def failure(self) -> str:
        """The text of a FAIL."""
        kind, length = await self.head()
        assert kind == b"FAIL"
        return (await self.take(length)).decode()

    async def names(self, kind: bytes) -> dict[str, tuple[int, int]]:
        """Name to mode and size, of LIST or LIS2."""
        found: dict[str, tuple[int, int]] = {}
        while True:
            head = await self.take(4)
            if kind == b"LIS2":
                error, _, _, mode, _, _, _, size, *_ = struct.unpack("<IQQIIIIQqqq", await self.take(68))
                assert error == 0
            else:
                mode, size, _ = struct.unpack("<III", await self.take(12))
            (length,) = struct.unpack("<I", await self.take(4))
            if head == b"DONE":
                return found
            assert head == {b"LIST": b"DENT", b"LIS2": b"DNT2"}[kind]
            found[(await self.take(length)).decode()] = (mode, size)


@asynccontextmanager
async def session() -> AsyncIterator[tuple[VPhone, Session]]:
    async with phone_and_host() as (phone, host):
        await host.greet(features="shell_v2,stat_v2,ls_v2,sendrecv_v2")
        host.send(packets.OPEN, 7, 0, b"sync:\0")
        yield phone, Session(host, (await host.receive()).arg0)


def _file(data: bytes, mtime: int = 1_700_000_000) -> bytes:
    body = b"".join(
        b"DATA" + struct.pack("<I", len(data[at : at + 65536])) + data[at : at + 65536]
        for at in range(0, len(data), 65536)
    )
    return body + b"DONE" + struct.pack("<I", mtime)


@pytest.mark.parametrize("kind", [b"LIST", b"LIS2"])
async def test_a_big_folder_with_its_dots(kind: bytes) -> None:
    async with session() as (phone, sync):
        for number in range(2000):
            phone.fs.write(f"{DIR}/file {number} \u00fc", b"x" * (number % 7))
        sync.ask(kind, DIR.encode())
        found = await sync.names(kind)
        assert set(found) == {".", ".."} | {f"file {number} \u00fc" for number in range(2000)}
        assert found["file 6 \u00fc"] == (0o100660, 6)
        assert found["."][0] & 0o170000 == 0o040000


@pytest.mark.parametrize("kind", [b"LIST", b"LIS2"])
@pytest.mark.parametrize("path", [b"/sdcard/none", b"/proc/version"])
async def test_what_is_no_folder_lists_nothing(kind: bytes, path: bytes) -> None:
    async with session() as (_, sync):
        sync.ask(kind, path)
        assert await sync.names(kind) == {}


async def test_stat_of_files_links_and_nothing() -> None:
    """v1 does not follow links; v2 says which error it is, and has one id that follows and one that does not."""
    async with session() as (phone, sync):
        phone.fs.write(f"{DIR}/f", b"12345", mtime=1_600_000_000)
        phone.fs.link(f"{DIR}/f", f"{DIR}/link")
        phone.fs.link("/sdcard/no/where", f"{DIR}/broken")
        old = {}
        for name in ("f", "link", "none"):
            sync.ask(b"STAT", f"{DIR}/{name}".encode())
            old[name] = struct.unpack("<4sIII", await sync.take(16))
        assert old["f"] == (b"STAT", 0o100660, 5, 1_600_000_000)
        assert old["link"][1] & 0o170000 == 0o120000
        assert old["none"] == (b"STAT", 0, 0, 0)
        new = {}
        for kind, name in [
            (b"STA2", "link"),
            (b"LST2", "link"),
            (b"STA2", "broken"),
            (b"LST2", "f/x"),
            (b"STA2", "none"),
        ]:
            sync.ask(kind, f"{DIR}/{name}".encode())
            assert await sync.take(4) == kind
            fields = struct.unpack("<IQQIIIIQqqq", await sync.take(68))
            new[kind, name] = (fields[0], fields[3] & 0o170000, fields[7])
        assert new == {
            (b"STA2", "link"): (0, 0o100000, 5),
            (b"LST2", "link"): (0, 0o120000, len(f"{DIR}/f")),
            (b"STA2", "broken"): (errno.ENOENT, 0, 0),
            (b"LST2", "f/x"): (errno.ENOTDIR, 0, 0),
            (b"STA2", "none"): (errno.ENOENT, 0, 0),
        }


NAMES = ["plain", "\u00fcn\u00efc\u00f6de \U0001f98a", "new\nline", "com,ma", "a b'c\"d$e", "deep/er/still"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [b"SEND", b"SND2"])
async def test_send_and_fetch(name: str, kind: bytes) -> None:
    """Any name, empty or not; the time of change and the mode are kept, bits of the owner spread to the others."""
    async with session() as (phone, sync):
        path = f"{DIR}/{name}".encode()
        for data in (b"", bytes(range(256)) * 1000):
            if kind == b"SEND":
                sync.ask(kind, path + b",33188")
            else:
                sync.ask(kind, path)
                sync.put(b"SND2" + struct.pack("<II", 0o100644, 0))
            sync.put(_file(data))
            assert await sync.head() == (b"OKAY", 0)
            sync.ask(b"RECV" if kind == b"SEND" else b"RCV2", path)
            if kind == b"SND2":
                sync.put(b"RCV2" + struct.pack("<I", 0))
            got = bytearray()
            while (head := await sync.head())[0] == b"DATA":
                assert head[1] <= 65536
                got += await sync.take(head[1])
            assert (head, bytes(got)) == ((b"DONE", 0), data)
        node = phone.fs.get(path.decode())
        assert (node.mtime, node.mode) == (1_700_000_000, 0o100666)


async def test_half_a_file_never_appears() -> None:
    """The host hangs up before DONE: no file, and an older one keeps what it had."""
    async with session() as (phone, sync):
        phone.fs.write(f"{DIR}/old", b"old")
        for name in ("old", "new"):
            sync.ask(b"SEND", f"{DIR}/{name},33188".encode())
            sync.put(b"DATA" + struct.pack("<I", 60000) + b"x" * 30000)
            sync.host.send(packets.CLSE, 7, sync.remote)
            while (await sync.host.receive()).command != packets.CLSE:
                pass
            sync.host.send(packets.OPEN, 7, 0, b"sync:\0")
            sync.remote = (await sync.host.receive()).arg0
        assert phone.fs.read(f"{DIR}/old") == b"old"
        assert phone.fs.find(f"{DIR}/new") is None


async def test_dry_run_keeps_nothing() -> None:
    async with session() as (phone, sync):
        sync.ask(b"SND2", f"{DIR}/dry".encode())
        sync.put(b"SND2" + struct.pack("<II", 0o100644, 0x80000000) + _file(b"x" * 100_000))
        assert await sync.head() == (b"OKAY", 0)
        assert phone.fs.find(f"{DIR}/dry") is None


async def test_links_travel() -> None:
    """SEND with a link's mode makes one; a file sent over it takes its place."""
    async with session() as (phone, sync):
        sync.ask(b"SEND", f"{DIR}/link,{0o120777}".encode())
        sync.put(_file(b"/sdcard/Music\0"))
        assert await sync.head() == (b"OKAY", 0)
        assert phone.fs.get(f"{DIR}/link", follow=False).target == "/sdcard/Music"
        sync.ask(b"SEND", f"{DIR}/link,33188".encode())
        sync.put(_file(b"plain"))
        assert await sync.head() == (b"OKAY", 0)
        assert phone.fs.get(f"{DIR}/link", follow=False).data == b"plain"


REFUSALS = {
    "a folder": (b"SEND", b"/sdcard/Download,33188", _file(b"x"), "couldn't create file: Is a directory"),
    "the system": (b"SEND", b"/system/x,33188", _file(b"x" * 300_000), "couldn't create file: Permission denied"),
    "below the system": (b"SEND", b"/system/a/b,33188", _file(b"x"), "secure_mkdirs failed: Permission denied"),
    "no mode": (b"SEND", b"/sdcard/x", b"", "missing , in ID_SEND_V1"),
    "bad mode": (b"SEND", b"/sdcard/x,rw", b"", "bad mode"),
    "bad data": (b"SEND", b"/sdcard/x,33188", b"JUNK\1\0\0\0", "invalid data message"),
    "big data": (b"SEND", b"/sdcard/x,33188", b"DATA\1\0\1\0", "oversize data message"),
    "nothing to fetch": (b"RECV", b"/sdcard/none", b"", "open failed: No such file or directory"),
    "a folder to fetch": (b"RECV", b"/sdcard", b"", "read failed: Is a directory"),
    "compression": (b"RCV2", b"/sdcard", b"RCV2\1\0\0\0", "unknown flags: 1"),
    "compression in": (b"SND2", b"/sdcard/x", b"SND2\0\0\0\0\1\0\0\0", "unknown flags: 1"),
    "unknown": (b"NOPE", b"/sdcard", b"", "unknown command 45504f4e"),
    "long": (b"STAT", b"/" + b"x" * 1024, b"", "path too long"),
}


IN_ORDER = ("a folder", "the system", "below the system", "nothing to fetch", "a folder to fetch")


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals_say_why(name: str) -> None:
    """The session goes on where the stream is still in order, and ends where it is not."""
    kind, path, more, text = REFUSALS[name]
    async with session() as (phone, sync):
        sync.ask(kind, path)
        sync.put(more)
        assert await sync.failure() == text
        assert phone.fs.find("/sdcard/x") is None
        if name in IN_ORDER:
            sync.ask(b"STAT", b"/sdcard/none")
            assert await sync.take(16) == b"STAT" + bytes(12)
        else:
            assert await sync.take(1) == b""


async def test_a_full_disk_is_said() -> None:
    async with session() as (phone, sync):
        phone.android.faults.set("disk_full")
        sync.ask(b"SEND", b"/sdcard/x,33188")
        sync.put(_file(b"x"))
        assert await sync.failure() == "write failed: No space left on device"
        assert phone.fs.find("/sdcard/x") is None


async def test_quit_ends_the_session() -> None:
    async with session() as (_, sync):
        sync.ask(b"QUIT", b"")
        assert await sync.take(1) == b""
