"""Connections that are kept open between callbacks: for one name at one address, for a moment, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from phonefarm.callbacks import lanes
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.callbacks.guard import parse_endpoint
from phonefarm.callbacks.lanes import Lanes
from phonefarm.errors import Fault
from phonefarm.models.outbox import CallbackState
from tests.unit.callbacks.test_delivery import due, http

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]


class Keeper:
    """A receiver that keeps its connections open. ``hosts``: the Host headers that came over each of them."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> None:
        self.answer = answer
        self.hosts: list[list[str]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came: list[str] = []
        self.hosts.append(came)
        self.writers.append(writer)
        while head := await _head(reader):
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["Content-Length"]))
            came.append(fields["Host"].partition(":")[0])
            writer.write(self.answer)
        writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


@asynccontextmanager
async def keeping(keeper: Keeper, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Keeper]:
    server = await asyncio.start_server(keeper.serve, address, port)
    keeper.port = server.sockets[0].getsockname()[1]
    try:
        yield keeper
    finally:
        server.close()
        for writer in keeper.writers:
            writer.close()


def names(**addresses: list[str]) -> object:
    """A resolver: the answers of a name one after the other, the last one for ever."""

    async def resolve(host: str, _port: int) -> Sequence[str]:
        found = addresses[host.partition(".")[0]]
        return [found.pop(0) if len(found) > 1 else found[0]]

    return resolve


async def send(sender: CallbackHttp, host: str, port: int) -> CallbackState:
    return (await sender.deliver(due(f"http://{host}:{port}/hook"))).state


async def test_callbacks_in_a_row_share_a_connection() -> None:
    async with keeping(Keeper()) as keeper, http() as sender:
        for _ in range(3):
            assert await send(sender, "127.0.0.1", keeper.port) is CallbackState.DELIVERED
    assert keeper.hosts == [["127.0.0.1"] * 3]


async def test_two_names_at_one_address_do_not() -> None:
    resolver = names(a=["127.0.0.1"], b=["127.0.0.1"])
    async with keeping(Keeper()) as keeper, http(resolver=resolver) as sender:
        for host in ("a.example", "b.example", "a.example"):
            assert await send(sender, host, keeper.port) is CallbackState.DELIVERED
    assert keeper.hosts == [["a.example", "a.example"], ["b.example"]]


async def test_an_open_connection_does_not_stand_for_a_name_that_leads_elsewhere_now() -> None:
    resolver = names(a=["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    allow = ["127.0.0.1/32", "127.0.0.2/32"]
    async with (
        keeping(Keeper()) as old,
        keeping(Keeper(), "127.0.0.2", old.port) as new,
        http(resolver=resolver, allow=allow) as sender,
    ):
        states = [await send(sender, "a.example", old.port) for _ in range(3)]
    assert states == [CallbackState.DELIVERED, CallbackState.DELIVERED, CallbackState.PENDING]
    assert (old.hosts, new.hosts) == ([["a.example"]], [["a.example"]])


async def test_one_that_the_receiver_has_closed_is_not_used() -> None:
    async with keeping(Keeper()) as keeper, http() as sender:
        await send(sender, "127.0.0.1", keeper.port)
        keeper.writers[0].close()
        await keeper.writers[0].wait_closed()
        assert await send(sender, "127.0.0.1", keeper.port) is CallbackState.DELIVERED
    assert len(keeper.hosts) == 2


async def test_one_with_an_answer_that_was_not_read_to_its_end_is_not_used() -> None:
    size = 200_000
    long = Keeper(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
    async with keeping(long) as keeper, http() as sender:
        for _ in range(2):
            assert await send(sender, "127.0.0.1", keeper.port) is CallbackState.DELIVERED
    assert len(keeper.hosts) == 2


async def test_only_so_many_lanes_are_kept_and_none_that_is_used_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LANES", 2)
    endpoints = [parse_endpoint(f"http://h{n}.example/") for n in range(4)]
    found = [endpoint for endpoint in endpoints if not isinstance(endpoint, Fault)]
    address = ip_address("127.0.0.1")
    kept = Lanes()
    async with kept.to(found[0], address) as first:
        for endpoint in found[1:]:
            async with kept.to(endpoint, address):
                pass
        async with kept.to(found[0], address) as again:
            assert again is first
    async with kept.to(found[0], address) as still:
        assert still is first
    async with kept.to(found[1], address), kept.to(found[2], address):
        pass
    async with kept.to(found[0], address) as other:
        assert other is not first, "it had rested longest"
    await kept.aclose()
