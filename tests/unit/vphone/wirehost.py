"""A host made of plain functions: it speaks the ADB wire to a phone, byte by byte, and knows no library."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.wire import packets
from phonefarm.vphone.wire.packets import Packet, encode


class Host:
    """The other side: sends packets and reads packets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, command: int, arg0: int, arg1: int, payload: bytes = b"") -> None:
        """Send one packet with its checksum."""
        packet = Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)
        self.writer.write(encode(packet, with_checksum=True))

    async def receive(self) -> Packet:
        """The next packet; checks its magic and returns its checksum unread."""
        head = packets.HEADER.unpack(await self.reader.readexactly(24))
        self.checksum = head[4]
        assert head[5] == head[0] ^ 0xFFFFFFFF
        payload = await self.reader.readexactly(head[3])
        return Packet(command=head[0], arg0=head[1], arg1=head[2], payload=payload)

    async def greet(self, version: int = 0x01000001, features: str = "shell_v2", maxdata: int = 1 << 20) -> Packet:
        """CNXN both ways."""
        self.send(packets.CNXN, version, maxdata, f"host::features={features}\0".encode())
        return await self.receive()

    async def run(self, service: str, local: int = 7) -> bytes:
        """Open a service, acknowledge all it says, and return it once it has closed."""
        self.send(packets.OPEN, local, 0, service.encode() + b"\0")
        said = bytearray()
        while True:
            packet = await self.receive()
            if packet.command == packets.WRTE:
                said += packet.payload
                self.send(packets.OKAY, local, packet.arg0)
            elif packet.command == packets.CLSE:
                self.send(packets.CLSE, local, packet.arg0)
                return bytes(said)


@asynccontextmanager
async def phone_and_host(**options: bool) -> AsyncIterator[tuple[VPhone, Host]]:
    """A listening phone and a host that has dialled it."""
    phone = VPhone(PhoneConfig(serialno="VP000001", auth_required=options.get("auth", False)))
    await phone.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
    try:
        yield phone, Host(reader, writer)
    finally:
        writer.close()
        await phone.stop()
