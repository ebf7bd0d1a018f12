"""Sockets of the phone that hosts can reach, and sockets of the host that the phone can reach.

``tcp:N``, ``localabstract:NAME`` and their kin open what listens on the phone: a ``nc -l`` of its shell, or a name that
a host has reversed. ``reverse:forward:LOCAL;REMOTE`` makes the phone listen on LOCAL; whoever dials it there (``nc`` in
the phone's shell, or a host) is joined to a stream that the phone opens to the host's REMOTE. What a host reversed ends
with its connection.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from phonefarm.vphone.wire.stream import Stream

Service = Callable[[Stream], Awaitable[None]]
KINDS = ("tcp", "local", "localabstract", "localreserved", "localfilesystem", "dev", "vsock")
_FIRST_FREE, _LAST_FREE = 32768, 60999


class Line(Protocol):
    """What sockets need of a link to a host."""

    def open(self, service: str) -> Stream:
        """A stream to a service of the host; closed at once when the host refuses it."""
        ...


class Sockets:
    """The phone's listening sockets, by name."""

    def __init__(self) -> None:
        self._reversed: dict[str, tuple[Line, str]] = {}
        self._waiting: dict[str, asyncio.Future[Stream]] = {}

    def service(self, line: Line, name: str) -> Service | None:
        """What ``name`` opens, None when nothing listens there."""
        kind, _, argument = name.partition(":")
        if kind == "reverse":
            return partial(self._reverse, line, argument)
        if kind not in KINDS or (name not in self._waiting and name not in self._reversed):
            return None
        return partial(self._serve, name)

    def forget(self, line: Line) -> None:
        """The host is gone."""
        self._reversed = {local: pair for local, pair in self._reversed.items() if pair[0] is not line}

    def dial(self, name: str) -> Stream | None:
        """From inside the phone: a stream to what a host reversed, None when nothing listens."""
        found = self._reversed.get(name)
        return None if found is None else found[0].open(found[1])

    async def listen(self, name: str) -> Stream:
        """From inside the phone: the next stream that a host opens to ``name``. Raises ``OSError`` if it is taken."""
        if name in self._waiting or name in self._reversed:
            raise OSError("Address already in use")
        self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            return await self._waiting[name]
        finally:
            self._waiting.pop(name, None)

    async def _serve(self, name: str, stream: Stream) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(stream)
            await stream.ended()
        elif (other := self.dial(name)) is not None:
            await join(stream, other)

    # -- reverse:... -------------------------------------------------------------------------------------------------
    async def _reverse(self, line: Line, argument: str, stream: Stream) -> None:
        await stream.write(self._answer(line, argument))

    def _answer(self, line: Line, argument: str) -> bytes:
        verb, _, rest = argument.partition(":")
        if verb == "list-forward":
            return _block("".join(f"UsbFfs {local} {pair[1]}\n" for local, pair in self._reversed.items()))
        if verb == "killforward-all":
            self._reversed.clear()
            return b"OKAY"
        if verb == "killforward":
            found = self._reversed.pop(rest, None)
            return b"OKAY" if found else b"FAIL" + _block(f"listener '{rest}' not found")
        if verb == "forward":
            return self._add(line, rest)
        return b"FAIL" + _block(f"unknown reverse command '{verb}'")

    def _add(self, line: Line, rest: str) -> bytes:
        keep = rest.startswith("norebind:")
        local, _, remote = rest.removeprefix("norebind:").partition(";")
        if local.partition(":")[0] not in KINDS or not remote:
            return b"FAIL" + _block(f"bad forward: {rest}")
        if keep and local in self._reversed:
            return b"FAIL" + _block(f"cannot rebind existing socket '{local}'")
        if local != "tcp:0":
            self._reversed[local] = (line, remote)
            return b"OKAY"
        free = next(n for n in range(_FIRST_FREE, _LAST_FREE) if f"tcp:{n}" not in self._reversed)
        self._reversed[f"tcp:{free}"] = (line, remote)
        return b"OKAY" + _block(str(free))


def _block(text: str) -> bytes:
    return f"{len(text):04x}{text}".encode()


async def join(one: Stream, other: Stream) -> None:
    """Carry bytes both ways until both ends are done."""
    await asyncio.gather(_carry(one, other), _carry(other, one))


async def _carry(source: Stream, sink: Stream) -> None:
    try:
        while data := await source.read():
            await sink.write(data)
    except BrokenPipeError:
        pass
    await sink.finish()
