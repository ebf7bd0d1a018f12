"""One opened stream of a link, with flow control in both directions.

Outgoing bytes wait in ``_outbox``. Without ``delayed_ack`` one WRTE may be in flight and the next leaves when its OKAY
has come; with it, a credit in bytes is used up by WRTEs and refilled by OKAYs. ``write`` waits only when the outbox is
over its high-water mark, so small outputs (a line and the exit code) travel in one packet.

Incoming bytes wait in ``_inbox``. They are acknowledged at once while little is waiting, and otherwise when the service
has read them: a command that does not read its input blocks the host, as a full pipe does on a phone.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from phonefarm.vphone.wire import packets

HIGH_WATER = 256 * 1024
"""Bytes that may wait in either direction before someone has to wait."""
OUR_WINDOW = 32 * 1024 * 1024
"""Bytes we let a ``delayed_ack`` host send before we acknowledge."""


class Carrier(Protocol):
    """What a stream needs of its link."""

    @property
    def max_payload(self) -> int:
        """Largest payload the host takes, in bytes."""
        ...

    @property
    def writable(self) -> bool:
        """False while the socket's buffer is full."""
        ...

    def send(self, command: int, arg0: int, arg1: int, payload: bytes = b"") -> None:
        """Queue one packet."""
        ...

    def forget(self, stream: "Stream") -> None:
        """The stream is closed on our side."""
        ...


class Stream:
    """The device end of one ADB stream. ``credit`` is None without ``delayed_ack``, else the host's window in bytes."""

    def __init__(self, carrier: Carrier, local: int, remote: int, credit: int | None) -> None:
        self.local = local
        self.remote = remote
        self.closed = False
        self.on_hangup: Callable[[], object] | None = None
        self._carrier = carrier
        self._credit = credit
        self._in_flight = False
        self._outbox = bytearray()
        self._inbox: deque[bytes] = deque()
        self._waiting = 0
        self._owed = 0
        self._changed = asyncio.Event()

    # -- called by the service -------------------------------------------------------------------------------------
    async def read(self) -> bytes:
        """The next bytes from the host, or ``b""`` once it has closed the stream."""
        while not self._inbox:
            if self.closed:
                return b""
            await self._wait()
        data = self._inbox.popleft()
        self._waiting -= len(data)
        self._consumed(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send ``data``; waits while too much is under way. Raises ``BrokenPipeError`` when the host is gone."""
        if self.closed:
            raise BrokenPipeError("stream closed by the host")
        self._outbox += data
        self.pump()
        while len(self._outbox) > HIGH_WATER and not self.closed:
            await self._wait()

    async def finish(self) -> None:
        """Send what is left, wait until it is acknowledged, and close."""
        while not self.closed and (self._outbox or self._in_flight):
            await self._wait()
        if not self.closed:
            self.closed = True
            self._carrier.send(packets.CLSE, self.local, self.remote)
            self._carrier.forget(self)
            self._changed.set()

    async def ended(self) -> None:
        """Wait until the stream is closed, by whomever."""
        while not self.closed:
            await self._wait()

    # -- called by the link ----------------------------------------------------------------------------------------
    def hold(self) -> None:
        """We opened this stream: nothing leaves before the host has accepted it."""
        self._in_flight = True

    def accept(self) -> None:
        """Tell the host that the stream is open."""
        self._okay(OUR_WINDOW)

    def received(self, data: bytes) -> None:
        """A WRTE of the host."""
        self._inbox.append(data)
        self._waiting += len(data)
        self._owed += len(data)
        if self._credit is None and self._waiting <= HIGH_WATER:
            self._acknowledge()
        self._changed.set()

    def acknowledged(self, payload: bytes) -> None:
        """An OKAY of the host; with ``delayed_ack`` its payload says how many bytes were taken."""
        self._in_flight = False
        if self._credit is None:
            pass
        elif len(payload) == 4:
            self._credit += int.from_bytes(payload, "little")
        self.pump()
        self._changed.set()

    def hung_up(self) -> None:
        """The host closed the stream, or the link is gone."""
        self.closed = True
        self._outbox.clear()
        self._changed.set()
        if self.on_hangup is not None:
            self.on_hangup()

    def pump(self) -> None:
        """Send as much of the outbox as flow control allows."""
        while self._outbox and self._carrier.writable and (room := self._room()) > 0:
            chunk = bytes(self._outbox[:room])
            del self._outbox[:room]
            if self._credit is None:
                self._in_flight = True
            else:
                self._credit -= len(chunk)
            self._carrier.send(packets.WRTE, self.local, self.remote, chunk)

    # -- inside ----------------------------------------------------------------------------------------------------
    def _room(self) -> int:
        if self._credit is not None:
            return min(self._credit, self._carrier.max_payload)
        return 0 if self._in_flight else self._carrier.max_payload

    def _consumed(self, count: int) -> None:
        if self.closed:
            return
        if self._credit is not None:
            self._okay(count)
        elif self._owed and self._waiting <= HIGH_WATER:
            self._acknowledge()

    def _acknowledge(self) -> None:
        self._owed = 0
        self._okay(0)

    def _okay(self, count: int) -> None:
        payload = b"" if self._credit is None else count.to_bytes(4, "little")
        self._carrier.send(packets.OKAY, self.local, self.remote, payload)

    async def _wait(self) -> None:
        """Sleep until something changes; several waiters may share one change, so each looks again itself."""
        self._changed.clear()
        await self._changed.wait()


class StreamReader:
    """Exact reads over a stream, for services with records."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def exactly(self, count: int) -> bytes:
        """``count`` bytes. Raises ``EOFError`` when the host closed before that."""
        while len(self._buffer) < count:
            data = await self._stream.read()
            if not data:
                raise EOFError("stream closed inside a record")
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
