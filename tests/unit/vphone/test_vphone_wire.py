"""Packets and the link, byte by byte, with a host made of plain functions."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.vphone.wire import packets
from phonefarm.vphone.wire.packets import Decoder, Packet, WireError, encode
from tests.unit.vphone.wirehost import Host, phone_and_host

pytestmark = pytest.mark.timeout(60)

COMMANDS = (packets.CNXN, packets.AUTH, packets.OPEN, packets.OKAY, packets.WRTE, packets.CLSE)
U32 = st.integers(0, 2**32 - 1)


@given(st.sampled_from(COMMANDS), U32, U32, st.binary(max_size=300), st.integers(1, 50))
def test_packets_survive_any_cutting(command: int, arg0: int, arg1: int, payload: bytes, size: int) -> None:
    """Two packets in pieces of any size come out as they went in."""
    packet = Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)
    data = encode(packet, with_checksum=True) * 2
    decoder = Decoder()
    decoder.verify = True
    found = [got for at in range(0, len(data), size) for got in decoder.feed(data[at : at + size])]
    assert found == [packet, packet]


@pytest.mark.parametrize("place", [0, 20, 13, 17])
def test_broken_headers_are_refused(place: int) -> None:
    """Command, magic, length and checksum are all looked at."""
    data = bytearray(encode(Packet(command=packets.WRTE, arg0=1, arg1=2, payload=b"abc"), with_checksum=True))
    data[place] ^= 0x55
    decoder = Decoder()
    decoder.verify = True
    with pytest.raises(WireError):
        list(decoder.feed(bytes(data)))


async def test_greeting_and_features() -> None:
    """The banner names the product and what we can do."""
    async with phone_and_host() as (_, host):
        packet = await host.greet()
        assert (packet.command, packet.arg0, packet.arg1) == (packets.CNXN, 0x01000001, 1 << 20)
        assert packet.payload.startswith(b"device::ro.product.name=shiba;ro.product.model=Pixel 8;")
        assert b"shell_v2" in packet.payload.split(b"features=")[1].split(b",")


async def test_old_hosts_get_checksums() -> None:
    """Version 0x01000000: every packet carries the sum of its bytes."""
    async with phone_and_host() as (_, host):
        await host.greet(0x01000000, features="")
        host.send(packets.OPEN, 7, 0, b"shell:echo hi\0")
        assert (await host.receive()).command == packets.OKAY
        packet = await host.receive()
        assert (packet.payload, host.checksum) == (b"hi\n", sum(b"hi\n"))


async def test_old_shell_mixes_and_new_shell_frames() -> None:
    """v1 has output and errors in one stream; v2 names the channel and ends with the exit code."""
    async with phone_and_host() as (_, host):
        await host.greet()
        assert await host.run("shell:echo a; echo b >&2; exit 3") == b"a\nb\n"
        framed = await host.run("shell,v2,raw:echo a; echo b >&2; exit 3", local=8)
        assert framed == b"\1\2\0\0\0a\n" + b"\2\2\0\0\0b\n" + b"\3\1\0\0\0\3"


async def test_one_packet_in_flight() -> None:
    """Without delayed_ack the next WRTE waits for the OKAY, and none is over the host's maxdata."""
    async with phone_and_host() as (_, host):
        await host.greet(maxdata=4096)
        host.send(packets.OPEN, 7, 0, b"shell:head -c 10000 /dev/zero\0")
        opened = await host.receive()
        sizes = []
        while (packet := await host.receive()).command == packets.WRTE:
            sizes.append(len(packet.payload))
            with pytest.raises(TimeoutError):
                await _nothing(host)
            host.send(packets.OKAY, 7, opened.arg0)
        assert (sum(sizes), max(sizes)) == (10000, 4096)


async def _nothing(host: Host) -> None:
    """Raises ``TimeoutError`` when nothing arrives within 20 ms."""
    async with asyncio.timeout(0.02):
        data = await host.reader.read(1)
        raise AssertionError(f"unexpected {data!r}")


async def test_delayed_ack_windows() -> None:
    """With it, the window is sent with OPEN, used up, and refilled by OKAYs with four bytes."""
    async with phone_and_host() as (_, host):
        await host.greet(features="shell_v2,delayed_ack")
        host.send(packets.OPEN, 7, 5000, b"source:9000\0")
        opened = await host.receive()
        assert int.from_bytes(opened.payload, "little") == 32 << 20
        first = await host.receive()
        assert len(first.payload) == 5000
        host.send(packets.OKAY, 7, opened.arg0, (4000).to_bytes(4, "little"))
        assert len((await host.receive()).payload) == 4000
        assert (await host.receive()).command == packets.CLSE


async def test_a_window_without_the_feature_is_refused() -> None:
    """OPEN and features must agree."""
    async with phone_and_host() as (_, host):
        await host.greet()
        host.send(packets.OPEN, 7, 5000, b"shell:true\0")
        packet = await host.receive()
        assert (packet.command, packet.arg0, packet.arg1) == (packets.CLSE, 0, 7)


@pytest.mark.parametrize("name", ["nonsense:", "tcp:99", "localabstract:x", "jdwp:1"])
async def test_unknown_services_are_closed(name: str) -> None:
    """CLSE(0, their id)."""
    async with phone_and_host() as (_, host):
        await host.greet()
        host.send(packets.OPEN, 7, 0, name.encode() + b"\0")
        packet = await host.receive()
        assert (packet.command, packet.arg0, packet.arg1) == (packets.CLSE, 0, 7)


async def test_close_is_answered_and_ends_the_command() -> None:
    """The host hangs up on an endless command: CLSE comes back, and the journal knows no exit code."""
    async with phone_and_host() as (phone, host):
        await host.greet()
        host.send(packets.OPEN, 7, 0, b"shell:yes >/dev/null\0")
        opened = await host.receive()
        host.send(packets.CLSE, 7, opened.arg0)
        packet = await host.receive()
        assert (packet.command, packet.arg0, packet.arg1) == (packets.CLSE, opened.arg0, 7)
        while phone.journal.count == 0:
            await asyncio.sleep(0)


async def test_packets_for_no_stream_are_ignored() -> None:
    """The connection goes on."""
    async with phone_and_host() as (_, host):
        await host.greet()
        for command in (packets.WRTE, packets.OKAY, packets.CLSE):
            host.send(command, 99, 99, b"")
        assert await host.run("shell:echo still") == b"still\n"


async def test_garbage_drops_the_connection() -> None:
    """Nothing is answered."""
    async with phone_and_host() as (_, host):
        host.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await host.receive()


async def test_exec_finishes_after_the_end_of_its_input() -> None:
    """``exec:`` is not killed by a hang-up."""
    async with phone_and_host() as (phone, host):
        await host.greet()
        host.send(packets.OPEN, 7, 0, b"exec:cat > /sdcard/f\0")
        opened = await host.receive()
        host.send(packets.WRTE, 7, opened.arg0, b"data")
        assert (await host.receive()).command == packets.OKAY
        host.send(packets.CLSE, 7, opened.arg0)
        while phone.journal.count == 0:
            await asyncio.sleep(0)
        assert phone.fs.read("/sdcard/f") == b"data"


async def test_unknown_key_waits_for_acceptance() -> None:
    """AUTH: a token, our key, silence; then acceptance lets the host in."""
    async with phone_and_host(auth=True) as (phone, host):
        token = await host.greet()
        assert (token.command, token.arg0, len(token.payload)) == (packets.AUTH, 1, 20)
        host.send(packets.AUTH, 2, 0, bytes(256))
        again = await host.receive()
        assert again.payload != token.payload
        host.send(packets.AUTH, 3, 0, _public_key())
        while not phone.gate.pending:
            await asyncio.sleep(0)
        assert phone.accept_keys() == 1
        assert (await host.receive()).command == packets.CNXN


def _public_key() -> bytes:
    modulus = b"\x01" + bytes(254) + b"\xc0"
    blob = (64).to_bytes(4, "little") + bytes(4) + modulus + bytes(256) + (65537).to_bytes(4, "little")
    return base64.b64encode(blob) + b" somebody@somewhere\0"


async def test_a_hanging_phone_goes_on_where_it_stopped() -> None:
    """Nothing is answered while it hangs, nothing is lost afterwards."""
    async with phone_and_host() as (phone, host):
        await host.greet()
        phone.hang(True)
        host.send(packets.OPEN, 7, 0, b"shell:echo late\0")
        with pytest.raises(TimeoutError):
            await _nothing(host)
        phone.hang(False)
        assert (await host.receive()).command == packets.OKAY
        assert (await host.receive()).payload == b"late\n"
