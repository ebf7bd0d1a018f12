"""ADB packets to bytes and back.

A packet is a 24-byte little-endian header (command, two arguments, payload length, payload checksum, the command
inverted) and then the payload. The checksum is the plain sum of the payload bytes; hosts that agreed on version
``VERSION_SKIP_CHECKSUM`` leave it out. Source: AOSP packages/modules/adb, ``protocol.txt`` and ``types.h``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CNXN = 0x4E584E43
AUTH = 0x48545541
OPEN = 0x4E45504F
OKAY = 0x59414B4F
WRTE = 0x45545257
CLSE = 0x45534C43
STLS = 0x534C5453

VERSION_MIN = 0x01000000
"""Hosts of this version want right checksums on every packet."""
VERSION_SKIP_CHECKSUM = 0x01000001
"""From this version on checksums are not looked at."""

MAX_PAYLOAD = 1024 * 1024
"""Largest payload that we take, in bytes."""
MAX_PAYLOAD_BEFORE_CNXN = 4096
"""Largest payload before both sides have said how much they take, in bytes."""

HEADER = struct.Struct("<6I")
_KNOWN = frozenset({CNXN, AUTH, OPEN, OKAY, WRTE, CLSE, STLS})
_MASK = 0xFFFFFFFF


class WireError(Exception):
    """The peer broke the protocol; the only answer is to drop the connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packet:
    """One message of the protocol."""

    command: int
    arg0: int
    arg1: int
    payload: bytes = b""


def checksum(payload: bytes) -> int:
    """Sum of all payload bytes, modulo 2**32."""
    return sum(payload) & _MASK


def encode(packet: Packet, *, with_checksum: bool) -> bytes:
    """Bytes of ``packet``; the checksum field is zero when the host does not look at it."""
    total = checksum(packet.payload) if with_checksum else 0
    magic = packet.command ^ _MASK
    header = HEADER.pack(packet.command, packet.arg0, packet.arg1, len(packet.payload), total, magic)
    return header + packet.payload


class Decoder:
    """Cuts a byte stream into packets.

    ``limit`` and ``verify`` may be changed while packets are being taken out: a CNXN alters both for what follows.
    The first CNXN is not verified: an adb server that comes back after a lost connection leaves its checksum out.
    """

    def __init__(self) -> None:
        self.limit = MAX_PAYLOAD_BEFORE_CNXN
        self.verify = False
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Add ``data`` and yield every packet that is now whole.

        Raises ``WireError`` on an unknown command, a bad magic, a length over the limit or a wrong checksum.
        """
        self._buffer += data
        while (packet := self._take()) is not None:
            yield packet

    def _take(self) -> Packet | None:
        if len(self._buffer) < HEADER.size:
            return None
        command, arg0, arg1, length, total, magic = HEADER.unpack_from(self._buffer)
        if magic != command ^ _MASK or command not in _KNOWN:
            raise WireError(f"bad header: command {command:#x}, magic {magic:#x}")
        if length > self.limit:
            raise WireError(f"payload of {length} bytes is over {self.limit}")
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        if self.verify and checksum(payload) != total:
            raise WireError("wrong checksum")
        return Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)
