"""The wire under hosts that are slow, old, broken or hostile, with a host made of plain functions."""

import asyncio
import base64
import contextlib
import struct

import pytest

from phonefarm.vphone.phone import FEATURES
from phonefarm.vphone.wire import packets
from phonefarm.vphone.wire.auth import RSAPUBLICKEY, SIGNATURE
from phonefarm.vphone.wire.stream import HIGH_WATER
from tests.unit.vphone.wirehost import Host, phone_and_host

pytestmark = pytest.mark.timeout(60)

# An RSA key of nobody, for the handshake.
MODULUS = int(
    "a244407c27cbc187aff0bc9f288296842e38e254569c31650ee945e56b553c34f1ea07bd1abbbacaef91ff7c3c4396541109"
    "6851ff20548fb4c6d8090e00a4b340b2e04ee5ec6611f9e91f652f5b0f9fba54d33c7cef18e1be006cf8ba8d9b74137a37f6"
    "88205448249095c6c98b0451793fe2cba949acf1b2e9cb047d0ec0c3cc6f91b90d733750c0902d9e3b90095ae4fb5e983645"
    "7e1e05ad75551a9b2e72ee71627c4b5c1c12ce10a81d89f08bca760fe400b09615ea1af4a6c9e6ddba9e18b78d211606d602"
    "85d0ae56d2e0f921b1296e76d451133c70d0b413ea6e71e112a2eda950d66579dcba93d5496456a708accc75f515fda5642a"
    "4049b510b265",
    16,
)
PRIVATE = int(
    "3587144aa08a1b7e5a30acd847f1c41b3870356122ed057253d7e9e1c3656ba5ff8377280f908c0ef3b692b3f5e149ced38b"
    "e9e8daa35ca1c73dacf857b128a3a51d1cd78a0b50a46f6f5296fb672ba14243472776031d8f22315bc135310f6ddc1afe29"
    "0a40b7ecd07b0d9d74d0b20cfa5573c84140f79707b10df29e1a66c5e9becb06542d89aeb0da625c195ab261635f027a6d80"
    "53e691f38a7cd0528970cfc92fa772c9183d06b93d3ca687a78028c9fc2567ff0ad6878b40ffd01e236ef98058b750d7fd01"
    "fc3ec67fe0f7d5af1bbdb969b50b9387f19e0d3700cdd6f167db1dd109d3898d491dbc61ad7adbe3c2f16248f0060d375c04"
    "e6c5cf111825",
    16,
)


def signed(token: bytes) -> bytes:
    """PKCS#1 v1.5 with the token as the SHA-1 digest."""
    digest = bytes.fromhex("3021300906052b0e03021a05000414") + token
    block = b"\x00\x01" + b"\xff" * (256 - 3 - len(digest)) + b"\x00" + digest
    return pow(int.from_bytes(block, "big"), PRIVATE, MODULUS).to_bytes(256, "big")


def public_key() -> bytes:
    """The key as Android writes it."""
    blob = struct.pack("<II", 64, 0) + MODULUS.to_bytes(256, "little") + bytes(256) + struct.pack("<I", 65537)
    return base64.b64encode(blob) + b" nobody@nowhere\0"


async def opened(host: Host, service: bytes, local: int = 7, window: int = 0) -> int:
    """Open a service; the phone's number of the stream."""
    host.send(packets.OPEN, local, window, service + b"\0")
    packet = await host.receive()
    assert (packet.command, packet.arg1) == (packets.OKAY, local)
    return packet.arg0


async def until_closed(host: Host, remote: int, local: int = 7) -> bytes:
    """What a stream still says, acknowledged, up to its end, which is answered."""
    said = bytearray()
    while (packet := await host.receive()).command != packets.CLSE:
        if packet.command == packets.WRTE:
            said += packet.payload
            host.send(packets.OKAY, local, remote)
    host.send(packets.CLSE, local, remote)
    return bytes(said)


@pytest.mark.parametrize("banner", ["host::", "host::\0", "host", "", "host::features=", "host::x=y;features=nothing"])
async def test_a_banner_without_features(banner: str) -> None:
    """Then the phone speaks the old protocol, and everything old works."""
    async with phone_and_host() as (_, host):
        host.send(packets.CNXN, 0x01000000, 4096, banner.encode())
        assert (await host.receive()).command == packets.CNXN
        assert await host.run("shell:echo a; echo b >&2") == b"a\nb\n"


@pytest.mark.parametrize("maxdata", [4096, 256 << 10, 1 << 20, 1 << 24])
async def test_no_packet_is_over_the_host_s_maxdata(maxdata: int) -> None:
    """3 MB through each: whole, in packets as large as both sides take and no larger."""
    async with phone_and_host() as (_, host):
        await host.greet(maxdata=maxdata)
        remote = await opened(host, b"shell:head -c 3000000 /dev/zero")
        sizes = []
        while (packet := await host.receive()).command == packets.WRTE:
            sizes.append(len(packet.payload))
            host.send(packets.OKAY, 7, remote)
        assert sum(sizes) == 3_000_000
        assert max(sizes) <= min(maxdata, 1 << 20)


async def test_an_old_host_with_a_wrong_checksum_is_dropped() -> None:
    """Version 0x01000000 means that checksums count, on every packet."""
    async with phone_and_host() as (_, host):
        await host.greet(0x01000000, features="")
        assert await host.run("shell:echo right") == b"right\n"
        data = bytearray(packets.encode(packets.Packet(command=packets.OPEN, arg0=7, arg1=0, payload=b"shell:true\0"),
                                        with_checksum=True))  # fmt: skip
        data[16] ^= 1
        host.writer.write(bytes(data))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await host.receive()


async def test_a_new_host_s_checksums_are_not_looked_at() -> None:
    async with phone_and_host() as (_, host):
        await host.greet()
        packet = packets.Packet(command=packets.OPEN, arg0=7, arg1=0, payload=b"shell:echo fine\0")
        host.writer.write(packets.encode(packet, with_checksum=False))
        assert (await host.receive()).command == packets.OKAY
        assert (await host.receive()).payload == b"fine\n"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_stls_breaks_nothing(when: str) -> None:
    """The phone offers no TLS; a host that asks for it is not answered, and may go on."""
    async with phone_and_host() as (_, host):
        if when == "before":
            host.send(packets.STLS, 0x01000000, 0)
        await host.greet()
        host.send(packets.STLS, 0x01000000, 0)
        assert await host.run("shell:echo on") == b"on\n"


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<6I", packets.WRTE, 1, 1, (1 << 20) + 1, 0, packets.WRTE ^ 0xFFFFFFFF),
        struct.pack("<6I", packets.WRTE, 1, 1, 0, 0, packets.WRTE),
        struct.pack("<6I", 0x12345678, 1, 1, 0, 0, 0x12345678 ^ 0xFFFFFFFF),
    ],
)
async def test_what_is_no_packet_drops_the_connection(data: bytes) -> None:
    async with phone_and_host() as (phone, host):
        await host.greet()
        host.writer.write(data)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await host.receive()
        reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
        assert (await Host(reader, writer).greet()).command == packets.CNXN
        writer.close()


async def test_a_large_first_packet_is_refused() -> None:
    """Before both sides have said what they take, 4096 bytes are the most."""
    async with phone_and_host() as (_, host):
        host.send(packets.CNXN, 0x01000001, 1 << 20, b"host::features=" + b"x" * 4096)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await host.receive()


async def test_windows_and_features_must_agree() -> None:
    """With delayed_ack an OPEN without a window is refused, as one with a window is without it."""
    async with phone_and_host() as (_, host):
        await host.greet(features="shell_v2,delayed_ack")
        host.send(packets.OPEN, 7, 0, b"shell:true\0")
        packet = await host.receive()
        assert (packet.command, packet.arg0, packet.arg1) == (packets.CLSE, 0, 7)
        assert await opened(host, b"shell:true", local=8, window=1000)


async def test_close_crosses_close() -> None:
    """Both hang up at once: nobody is confused, the number of the stream is free again."""
    async with phone_and_host() as (_, host):
        await host.greet()
        for _ in range(20):
            remote = await opened(host, b"shell:true")
            host.send(packets.CLSE, 7, remote)
            while (await host.receive()).command != packets.CLSE:
                pass
        host.send(packets.WRTE, 7, remote, b"too late")
        host.send(packets.OKAY, 7, remote)
        assert await host.run("shell:echo on") == b"on\n"


async def test_64_streams_do_not_cross() -> None:
    """Each gets its own bytes, whole, whatever the order."""
    async with phone_and_host() as (_, host):
        await host.greet()
        for local in range(1, 65):
            command = f"for i in 1 2 3 4 5 6 7 8 9; do echo {local}-$i; done"
            host.send(packets.OPEN, local, 0, f"shell:{command}".encode() + b"\0")
        said: dict[int, bytes] = {}
        left = set(range(1, 65))
        while left:
            packet = await host.receive()
            if packet.command == packets.WRTE:
                said[packet.arg1] = said.get(packet.arg1, b"") + packet.payload
                host.send(packets.OKAY, packet.arg1, packet.arg0)
            elif packet.command == packets.CLSE:
                left.remove(packet.arg1)
        assert said == {n: "".join(f"{n}-{i}\n" for i in range(1, 10)).encode() for n in range(1, 65)}


async def test_source_and_sink_count() -> None:
    """``source:N`` gives N bytes and hangs up; ``sink:N`` takes N and hangs up; ``sink:0`` takes all."""
    async with phone_and_host() as (_, host):
        await host.greet()
        assert len(await host.run("source:5000000")) == 5_000_000
        for count in (2_000_000, 0):
            remote = await opened(host, b"sink:%d" % count)
            for _ in range(8):
                host.send(packets.WRTE, 7, remote, bytes(250_000))
                assert (await host.receive()).command == packets.OKAY
            if not count:
                host.send(packets.CLSE, 7, remote)
            assert (await host.receive()).command == packets.CLSE


async def test_both_ways_at_once_with_windows() -> None:
    """4 MB through a command and back, with windows on both sides: nothing is lost, no window is overdrawn."""
    data = bytes(range(256)) * 16384
    async with phone_and_host() as (_, host):
        await host.greet(features="shell_v2,delayed_ack")
        credit = 100_000
        remote = await opened(host, b"exec:head -c %d" % len(data), window=credit)
        at = 0
        back = bytearray()
        for _ in range(4):  # more than the window before anything is acknowledged
            host.send(packets.WRTE, 7, remote, data[at : at + 65536])
            at += 65536
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.1):
                    packet = await host.receive()
                back += packet.payload if packet.command == packets.WRTE else b""
        assert len(back) == credit
        host.send(packets.OKAY, 7, remote, credit.to_bytes(4, "little"))
        while len(back) < len(data):
            if at < len(data):
                host.send(packets.WRTE, 7, remote, data[at : at + 65536])
                at += 65536
            packet = await host.receive()
            if packet.command == packets.WRTE:
                credit -= len(packet.payload)
                assert credit >= 0
                back += packet.payload
                credit += len(packet.payload)
                host.send(packets.OKAY, 7, remote, len(packet.payload).to_bytes(4, "little"))
        assert bytes(back) == data


async def test_a_command_that_does_not_read_holds_the_host_back() -> None:
    """Input is acknowledged up to a full pipe, and no further until the command reads."""
    async with phone_and_host() as (phone, host):
        await host.greet()
        phone.android.faults.set("endless", "cat")
        remote = await opened(host, b"shell:cat | wc -c")
        sent = 0
        while True:
            host.send(packets.WRTE, 7, remote, bytes(65536))
            sent += 65536
            try:
                async with asyncio.timeout(0.1):
                    assert (await host.receive()).command == packets.OKAY
            except TimeoutError:
                break
        assert sent <= 2 * HIGH_WATER + 65536
        phone.android.faults.clear()
        assert (await host.receive()).command == packets.OKAY
        host.send(packets.CLSE, 7, remote)


async def test_a_host_that_does_not_read_holds_the_phone_back() -> None:
    """With an endless window the socket itself must stop the phone, and the phone's memory stays small."""
    async with phone_and_host() as (phone, host):
        await host.greet(features="shell_v2,delayed_ack")
        host.send(packets.OPEN, 7, 0x7FFFFFFF, b"source:2000000000\0")
        (link,) = phone._links
        full = 0
        while full < 1000:  # turns of the loop that both ends run in, after which nothing can move any more
            full = 0 if link.writable else full + 1
            await asyncio.sleep(0)
        (stream,) = link._streams.values()
        assert len(stream._outbox) <= HIGH_WATER + 65536


async def test_wrong_twice_then_the_key_then_known() -> None:
    """Two wrong signatures, each with a new token; the public key; a person accepts; the next time the key is known."""
    async with phone_and_host(auth=True) as (phone, host):
        tokens = [(await host.greet()).payload]
        for _ in range(2):
            host.send(packets.AUTH, SIGNATURE, 0, signed(b"x" * 20))
            tokens.append((await host.receive()).payload)
        assert len(set(tokens)) == 3
        host.send(packets.AUTH, RSAPUBLICKEY, 0, b"not a key\0")
        host.send(packets.OPEN, 7, 0, b"shell:echo sneaked in\0")
        host.send(packets.AUTH, RSAPUBLICKEY, 0, public_key())
        while not phone.gate.pending:
            await asyncio.sleep(0)
        phone.accept_keys()
        assert (await host.receive()).command == packets.CNXN
        assert await host.run("shell:echo in") == b"in\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
        again = Host(reader, writer)
        token = (await again.greet()).payload
        again.send(packets.AUTH, SIGNATURE, 0, signed(token))
        assert (await again.receive()).command == packets.CNXN
        writer.close()


async def test_an_old_signature_is_worth_nothing() -> None:
    """What was signed for one token opens nothing for another."""
    async with phone_and_host(auth=True) as (phone, host):
        first = (await host.greet()).payload
        host.send(packets.AUTH, RSAPUBLICKEY, 0, public_key())
        while not phone.gate.pending:
            await asyncio.sleep(0)
        phone.accept_keys()
        assert (await host.receive()).command == packets.CNXN
        assert (await host.greet()).command == packets.AUTH
        host.send(packets.AUTH, SIGNATURE, 0, signed(first))
        assert (await host.receive()).command == packets.AUTH


async def test_framebuffer_version_2() -> None:
    async with phone_and_host() as (_, host):
        await host.greet()
        data = await host.run("framebuffer:")
        version, depth, space, size, width, height, *channels = struct.unpack("<14I", data[:56])
        assert (version, depth, space, width, height) == (2, 32, 1, 1080, 2400)
        assert size == len(data) - 56 == 1080 * 2400 * 4
        assert channels == [0, 8, 16, 8, 8, 8, 24, 8]


async def test_exec_is_binary_clean_both_ways() -> None:
    data = bytes(range(256)) * 5000
    async with phone_and_host() as (phone, host):
        await host.greet()
        phone.fs.write("/sdcard/b", data)
        assert await host.run("exec:cat /sdcard/b") == data
        remote = await opened(host, b"exec:md5sum; echo \\$ out; echo err >&2")
        host.send(packets.CLSE, 7, remote)
        assert (await host.receive()).command == packets.CLSE


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """A shell_v2 answer as (channel, bytes), neighbours of a channel joined."""
    found: list[tuple[int, bytes]] = []
    while data:
        channel, length = struct.unpack("<BI", data[:5])
        if found and found[-1][0] == channel:
            found[-1] = (channel, found[-1][1] + data[5 : 5 + length])
        else:
            found.append((channel, data[5 : 5 + length]))
        data = data[5 + length :]
    return found


def frame(channel: int, data: bytes = b"") -> bytes:
    return struct.pack("<BI", channel, len(data)) + data


async def test_a_terminal_of_version_2() -> None:
    """TERM and the window's size arrive; errors and output share the screen; ``exit N`` is the exit code."""
    async with phone_and_host() as (_, host):
        await host.greet()
        remote = await opened(host, b"shell,v2,TERM=xterm-256color,pty:")
        typed = b"echo $TERM; stty size; nope 2>&1; [ -t 0 ] && echo tty\nexit 9\n"
        host.send(packets.WRTE, 7, remote, frame(5, b"50x160,0x0\0") + frame(0, typed))
        found = frames(await until_closed(host, remote))
        assert found[-1] == (3, b"\x09")
        screen = found[0][1]
        assert [channel for channel, _ in found] == [1, 3]
        for text in (b"xterm-256color\r\n50 160\r\n", b"inaccessible or not found\r\n", b"\r\ntty\r\n", b"$ "):
            assert text in screen


async def test_control_c_ends_a_command_of_a_terminal() -> None:
    """130, as a shell gives it; without a terminal the byte is only a byte."""
    async with phone_and_host() as (_, host):
        await host.greet()
        remote = await opened(host, b"shell,v2,pty:echo on; sleep 600")
        assert frames((await host.receive()).payload) == [(1, b"on\r\n")]
        host.send(packets.OKAY, 7, remote)
        host.send(packets.WRTE, 7, remote, frame(0, b"\x03"))
        assert frames(await until_closed(host, remote))[-1] == (3, b"\x82")
        remote = await opened(host, b"shell,v2,raw:cat; stty size; [ -t 0 ] || echo no tty")
        host.send(packets.WRTE, 7, remote, frame(0, b"\x03a\n") + frame(4))
        found = frames(await until_closed(host, remote))
        assert (1, b"\x03a\n") in found
        assert found[-2:] == [(1, b"no tty\n"), (3, b"\0")]


async def test_raw_and_interactive() -> None:
    """``shell,v2,raw:`` without a command reads its commands from its input, and shows no prompt and no echo."""
    async with phone_and_host() as (_, host):
        await host.greet()
        remote = await opened(host, b"shell,v2,raw:")
        host.send(packets.WRTE, 7, remote, frame(0, b"x=4\nfor i in a b; do\necho $i$x\ndone\nexit $x\n"))
        assert frames(await until_closed(host, remote)) == [(1, b"a4\nb4\n"), (3, b"\x04")]


@pytest.mark.parametrize("name", [b"track-jdwp", b"track-app"])
async def test_no_process_can_be_debugged(name: bytes) -> None:
    """A list of nothing, and then the stream waits for a change; ``jdwp`` lists and ends."""
    assert "track_app" in FEATURES
    async with phone_and_host() as (_, host):
        await host.greet()
        remote = await opened(host, name)
        assert (await host.receive()).payload == b"0000"
        host.send(packets.OKAY, 7, remote)
        assert await host.run("shell:echo beside", local=8) == b"beside\n"
        host.send(packets.CLSE, 7, remote)
        assert (await host.receive()).command == packets.CLSE
        assert await host.run("jdwp") == b""


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("root:", b"adbd cannot run as root in production builds\n"),
        ("unroot:", b"adbd not running as root\n"),
        ("tcpip:5555", b"restarting in TCP mode port: 5555\n"),
        ("tcpip:0", b"invalid port 0\n"),
        ("tcpip:x", b"invalid port x\n"),
        ("usb:", b"restarting in USB mode\n"),
        ("abb_exec:package\0list\0packages\0reader", b"package:org.phonefarm.reader\n"),
        ("abb:settings\0get\0global\0no such", b"null\n"),
        ("shell,v2,raw:exit 5", frame(3, b"\5")),
        ("exec:echo $0 $#", b"/system/bin/sh 0\n"),
    ],
)
async def test_small_services(service: str, said: bytes) -> None:
    async with phone_and_host() as (_, host):
        await host.greet()
        assert await host.run(service) == said
