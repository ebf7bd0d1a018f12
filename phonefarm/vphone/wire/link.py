"""One connection of a host to the phone.

The link greets (CNXN, AUTH when the gate asks for it), then hands every OPEN to its owner and routes WRTE, OKAY and
CLSE to the stream they name. Packets for streams that are not open are ignored, a CLSE is answered by a CLSE, and
anything malformed drops the connection.

Three faults live here because they are about bytes: a *hanging* phone reads and answers nothing (both directions are
kept back until it recovers), an *offline* one leaves the greeting unanswered, and on a *slow* link packets to the host
arrive late, in their order.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

from phonefarm.vphone.wire import auth, packets
from phonefarm.vphone.wire.delay import DelayLine
from phonefarm.vphone.wire.packets import Packet
from phonefarm.vphone.wire.stream import OUR_WINDOW, Stream

_NO_LINGER = struct.pack("ii", 1, 0)
"""Closing sends RST instead of FIN."""
Service = Callable[[Stream], Awaitable[None]]
"""Runs one opened stream to its end."""


class Owner(Protocol):
    """What a link needs of its phone."""

    hung: bool
    answering: bool
    gate: auth.Gate

    def link_delay(self) -> float:
        """Seconds that a packet to the host is under way more than it need be."""
        ...

    def banner(self) -> str:
        """What the phone says of itself in CNXN, with its features."""
        ...

    def features(self) -> frozenset[str]:
        """Features that the phone offers."""
        ...

    def service(self, name: str, link: "Link") -> Service | None:
        """The service that ``name`` opens, or None to refuse."""
        ...

    def link_opened(self, link: "Link") -> None:
        """A host connected."""
        ...

    def link_closed(self, link: "Link") -> None:
        """The connection is gone."""
        ...


class Link(asyncio.Protocol):
    """Device side of one ADB connection."""

    def __init__(self, owner: Owner) -> None:
        self.features: frozenset[str] = frozenset()
        self.connected = False
        self.max_payload = packets.MAX_PAYLOAD_BEFORE_CNXN
        self.writable = True
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._decoder = packets.Decoder()
        self._with_checksum = True
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_id = 1
        self._token = b""
        self._offered = False
        self._greeting: Packet | None = None
        self._kept_in = bytearray()
        self._kept_out = bytearray()
        self._line = DelayLine(self._write, owner.link_delay)

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A host connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.link_opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the host."""
        if self._owner.hung:
            self._kept_in += data
            return
        try:
            for packet in self._decoder.feed(data):
                self._handle(packet)
        except packets.WireError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The host is gone: end every stream."""
        self.connected = False
        self._transport = None
        self._line.drop()
        self._drop_streams()
        for task in list(self._tasks):
            task.cancel()
        self._owner.link_closed(self)

    def pause_writing(self) -> None:
        """The socket is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self.writable = True
        for stream in list(self._streams.values()):
            stream.pump()

    # -- for the owner ---------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Close in order (FIN) after what is queued."""
        self._line.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once with a reset (RST), dropping what is queued."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()

    def wake(self) -> None:
        """The phone hangs no longer, or answers greetings again: go on where we stopped."""
        if self._kept_out and self._transport is not None:
            self._transport.write(bytes(self._kept_out))
        self._kept_out.clear()
        kept = bytes(self._kept_in)
        self._kept_in.clear()
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
            self._on_cnxn(greeting)
        self.data_received(kept)

    def hasten(self) -> None:
        """The link is slow no longer, or less so."""
        self._line.hasten()

    def admit(self) -> None:
        """A person accepted this host's key."""
        if not self.connected and self._offered:
            self._welcome()

    # -- for streams -----------------------------------------------------------------------------------------------
    def send(self, command: int, arg0: int, arg1: int, payload: bytes = b"") -> None:
        """Queue one packet to the host."""
        packet = Packet(command=command, arg0=arg0, arg1=arg1, payload=payload)
        checked = self._with_checksum or command == packets.CNXN
        self._line.send(packets.encode(packet, with_checksum=checked))

    def _write(self, data: bytes) -> None:
        if self._owner.hung:
            self._kept_out += data
        elif self._transport is not None:
            self._transport.write(data)

    def open(self, service: str) -> Stream:
        """A stream to a service of the host, such as ``tcp:8081``. It is closed if the host refuses; what is written
        before the host accepts waits."""
        delayed = "delayed_ack" in self.features
        stream = Stream(self, self._next_id, 0, 0 if delayed else None)
        stream.hold()
        self._next_id += 1
        if self.connected:
            self._streams[stream.local] = stream
            self.send(packets.OPEN, stream.local, OUR_WINDOW if delayed else 0, service.encode() + b"\0")
        else:
            stream.hung_up()
        return stream

    def forget(self, stream: Stream) -> None:
        """``stream`` has closed on our side."""
        self._streams.pop(stream.local, None)

    # -- packets ---------------------------------------------------------------------------------------------------
    def _handle(self, packet: Packet) -> None:
        if packet.command == packets.CNXN:
            self._on_cnxn(packet)
        elif packet.command == packets.AUTH:
            self._on_auth(packet)
        elif not self.connected:
            return
        elif packet.command == packets.OPEN:
            self._on_open(packet)
        else:
            self._on_stream_packet(packet)

    def _on_cnxn(self, packet: Packet) -> None:
        if not self._owner.answering:
            self._greeting = packet
            return
        self._drop_streams()
        self._with_checksum = packet.arg0 < packets.VERSION_SKIP_CHECKSUM
        self._decoder.verify = self._with_checksum
        self.max_payload = max(1, min(packet.arg1, packets.MAX_PAYLOAD))
        self.features = _features_of(packet.payload) & self._owner.features()
        if self._owner.gate.required:
            self.connected = False
            self._challenge()
        else:
            self._welcome()

    def _challenge(self) -> None:
        self._token = self._owner.gate.new_token()
        self.send(packets.AUTH, auth.TOKEN, 0, self._token)

    def _welcome(self) -> None:
        self.connected = True
        self._token = b""
        self._decoder.limit = packets.MAX_PAYLOAD
        banner = self._owner.banner().encode()
        self.send(packets.CNXN, packets.VERSION_SKIP_CHECKSUM, packets.MAX_PAYLOAD, banner)

    def _on_auth(self, packet: Packet) -> None:
        if not self._token:
            return
        if packet.arg0 == auth.RSAPUBLICKEY:
            self._offered = self._owner.gate.offer(packet.payload)
        elif packet.arg0 == auth.SIGNATURE and self._owner.gate.knows(self._token, packet.payload):
            self._welcome()
        elif packet.arg0 == auth.SIGNATURE:
            self._challenge()

    def _on_open(self, packet: Packet) -> None:
        delayed = "delayed_ack" in self.features
        name = packet.payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
        service = self._owner.service(name, self) if packet.arg0 else None
        if service is None or delayed != bool(packet.arg1):
            self.send(packets.CLSE, 0, packet.arg0)
            return
        stream = Stream(self, self._next_id, packet.arg0, packet.arg1 if delayed else None)
        self._next_id += 1
        self._streams[stream.local] = stream
        stream.accept()
        task = asyncio.get_running_loop().create_task(self._serve(service, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, service: Service, stream: Stream) -> None:
        try:
            await service(stream)
        except (EOFError, BrokenPipeError):
            pass
        finally:
            await stream.finish()

    def _on_stream_packet(self, packet: Packet) -> None:
        stream = self._streams.get(packet.arg1)
        if stream is not None and not stream.remote and packet.command == packets.OKAY:
            stream.remote = packet.arg0  # the host accepts what we opened
        if stream is None or (packet.arg0 != stream.remote and packet.arg0 != 0):
            return
        if packet.command == packets.WRTE:
            stream.received(packet.payload)
        elif packet.command == packets.OKAY:
            stream.acknowledged(packet.payload)
        elif packet.command == packets.CLSE:
            self.forget(stream)
            self.send(packets.CLSE, stream.local, stream.remote)
            stream.hung_up()

    def _drop_streams(self) -> None:
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.hung_up()


def _features_of(banner: bytes) -> frozenset[str]:
    """Features named in a banner such as ``host::features=shell_v2,cmd``."""
    text = banner.rstrip(b"\0").decode("utf-8", "replace")
    for prop in text.split("::", 1)[-1].split(";"):
        name, _, value = prop.partition("=")
        if name == "features":
            return frozenset(value.split(","))
    return frozenset()
