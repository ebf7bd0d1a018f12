"""The connection goes to the address that was checked, under the name that was given: real sockets, real TLS.

Names are resolved by the operating system's call, which these tests replace below everything of phonefarm and of the
HTTP client; so a client that looked a name up once more would be seen, and would reach the wrong server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.models.outbox import CallbackState
from tests.certificates import Authority
from tests.unit.callbacks.test_delivery import Receiver, answers, drips, due, hangs, http, receiving

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]

NAME = "hook.example"


class NameServer:
    """Answers of the operating system's look-up: one list a question, the last one for ever. ``asked``: the names."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: Any, port: Any, *_args: Any, **_options: Any) -> list[Any]:
        host = host.decode() if isinstance(host, bytes) else host
        if host == NAME:
            self.asked.append(host)
            found = self.answers[min(len(self.asked), len(self.answers)) - 1]
        else:
            found = [str(host)]
            assert set(found[0]) <= set("0123456789abcdef.:"), f"another name was looked up: {host}"
        return [(_family(a), socket.SOCK_STREAM, 6, "", (a, int(port or 0))) for a in found]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NameServer]:
    def install(*answers: list[str]) -> NameServer:
        server = NameServer(*answers)
        monkeypatch.setattr(socket, "getaddrinfo", server)
        return server

    return install


@asynccontextmanager
async def two_receivers() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """One at 127.0.0.1 and one at 127.0.0.2, on the same port: outside and inside."""
    outside, inside = Receiver(answers("200 OK")), Receiver(answers("200 OK"))
    first = await asyncio.start_server(outside.serve, "127.0.0.1", 0)
    outside.port = inside.port = first.sockets[0].getsockname()[1]
    second = await asyncio.start_server(inside.serve, "127.0.0.2", outside.port)
    try:
        yield outside, inside
    finally:
        first.close()
        second.close()


@pytest.mark.fault(37)
async def test_a_name_that_changes_its_address_reaches_only_the_one_that_was_checked(
    names: Callable[..., NameServer],
) -> None:
    async with two_receivers() as (outside, inside), http(allow=["127.0.0.1/32"]) as sender:
        asked = names(["127.0.0.1"], ["127.0.0.2"])
        url = f"http://{NAME}:{outside.port}/"
        first, second = await sender.deliver(due(url)), await sender.deliver(due(url))
    assert first.state is CallbackState.DELIVERED
    assert asked.asked == [NAME, NAME], "looked up once an attempt, by the guard alone"
    assert (second.state, second.error) == (CallbackState.PENDING, "forbidden_callback_address")
    assert (len(outside.requests), len(inside.requests)) == (1, 0)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "found",
    [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "::1"], ["8.8.8.8", "169.254.169.254"]],
)
async def test_one_forbidden_address_among_a_name_s_answers_refuses_them_all(
    names: Callable[..., NameServer], found: list[str]
) -> None:
    async with two_receivers() as (outside, inside), http(allow=["127.0.0.1/32"]) as sender:
        names(found)
        got = await sender.deliver(due(f"http://{NAME}:{outside.port}/"))
    assert got.error == "forbidden_callback_address"
    assert (len(outside.requests), len(inside.requests)) == (0, 0)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("host", "found"),
    [("127.0.0.2", None), ("0x7f.2", None), ("[::ffff:7f00:2]", None), (NAME, ["::ffff:127.0.0.2"])],
)
async def test_no_spelling_of_an_inner_address_is_connected_to(
    names: Callable[..., NameServer], host: str, found: list[str] | None
) -> None:
    async with two_receivers() as (outside, inside), http(allow=["127.0.0.1/32"]) as sender:
        names(found or [])
        got = await sender.deliver(due(f"http://{host}:{inside.port}/"))
    assert got.error == "forbidden_callback_address"
    assert not outside.requests
    assert not inside.requests


# -- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def secure(context: ssl.SSLContext) -> AsyncIterator[tuple[Receiver, list[str | None]]]:
    """A TLS receiver at 127.0.0.1, and the server names that clients asked it for."""
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver = Receiver(answers("200 OK"))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver, asked
    finally:
        server.close()


async def test_tls_to_a_pinned_address_asks_for_the_name_and_checks_it(
    authority: Authority, names: Callable[..., NameServer]
) -> None:
    async with secure(authority.serving(NAME)) as (receiver, asked), http(tls=authority.trusting()) as sender:
        names(["127.0.0.1"], ["127.0.0.2"])
        got = await sender.deliver(due(f"https://{NAME}:{receiver.port}/hook"))
    assert (got.state, got.error) == (CallbackState.DELIVERED, None)
    assert asked == [NAME]
    ((line, headers, _),) = receiver.requests
    assert (line, headers["Host"]) == ("POST /hook HTTP/1.1", f"{NAME}:{receiver.port}")


async def test_an_address_in_the_url_is_checked_as_an_address(authority: Authority) -> None:
    async with secure(authority.serving("127.0.0.1")) as (receiver, _), http(tls=authority.trusting()) as sender:
        got = await sender.deliver(due(f"https://127.0.0.1:{receiver.port}/"))
    assert (got.state, len(receiver.requests)) == (CallbackState.DELIVERED, 1)


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    ("certified", "options"),
    [
        (NAME, {"self_signed": True}),
        (NAME, {"expired": True}),
        ("other.example", {}),
        ("127.0.0.1", {}),
    ],
    ids=["self-signed", "expired", "another name", "the address instead of the name"],
)
async def test_a_certificate_that_does_not_hold_gets_nothing(
    authority: Authority, names: Callable[..., NameServer], certified: str, options: dict[str, bool]
) -> None:
    context = authority.serving(certified, **options)
    async with secure(context) as (receiver, _), http(tls=authority.trusting()) as sender:
        names(["127.0.0.1"])
        got = await sender.deliver(due(f"https://{NAME}:{receiver.port}/"))
        last = await sender.deliver(due(f"https://{NAME}:{receiver.port}/", attempts=8))
    assert (got.state, got.http_status, got.error, got.retry_in) == (CallbackState.PENDING, None, "tls_failed", 5.0)
    assert (last.state, last.error) == (CallbackState.DEAD, "tls_failed")
    assert receiver.requests == []


async def test_the_world_s_authorities_do_not_know_ours(authority: Authority, names: Callable[..., NameServer]) -> None:
    """What a sender trusts by default does not include the test's own, whatever the environment says."""
    async with secure(authority.serving(NAME)) as (receiver, _), http() as sender:
        names(["127.0.0.1"])
        got = await sender.deliver(due(f"https://{NAME}:{receiver.port}/"))
    assert (got.error, receiver.requests) == ("tls_failed", [])


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(35)
async def test_a_handshake_that_never_comes_is_a_timeout() -> None:
    server = await asyncio.start_server(_reads_only, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with http(total_seconds=0.3) as sender:
        got = await sender.deliver(due(f"https://127.0.0.1:{port}/"))
    server.close()
    assert (got.state, got.error) == (CallbackState.PENDING, "timeout")


async def _reads_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(1_000):
            pass
    finally:
        writer.close()


@pytest.mark.fault(35)
@pytest.mark.parametrize("behaviour", [drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), hangs])
async def test_promises_without_an_answer_are_a_timeout(behaviour: Any) -> None:
    async with receiving(behaviour) as receiver, http(total_seconds=0.3) as sender:
        got = await sender.deliver(due(f"http://127.0.0.1:{receiver.port}/"))
    assert (got.state, got.http_status) == (CallbackState.PENDING, None)
    assert got.error in ("timeout", "bad_answer")


@pytest.fixture
def tarpit(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Look-ups of ``slow...`` never end while the test lasts; gives the names that hang."""
    over, hanging, real = threading.Event(), list[str](), socket.getaddrinfo

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).startswith("slow"):
            hanging.append(host)
            over.wait(50)
            raise OSError("no answer")
        return real("127.0.0.1" if host == NAME else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield hanging
    over.set()


@pytest.mark.fault(35)
async def test_names_that_are_never_answered_hold_up_no_others(tarpit: list[str]) -> None:
    """More of them than an event loop has threads of its own."""
    async with receiving(answers("200 OK")) as receiver, http(total_seconds=30.0) as sender:
        slow = [asyncio.create_task(sender.deliver(due(f"http://slow{n}.example/"))) for n in range(40)]
        got = await asyncio.wait_for(sender.deliver(due(f"http://{NAME}:{receiver.port}/")), 20)
        assert got.state is CallbackState.DELIVERED
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


@pytest.mark.fault(35)
async def test_a_name_that_is_never_answered_is_a_timeout(tarpit: list[str]) -> None:
    async with http(total_seconds=0.2) as sender:
        got = await sender.deliver(due("http://slow.example/"))
    assert (got.state, got.error) == (CallbackState.PENDING, "timeout")


# -- the environment -----------------------------------------------------------------------------------------------


async def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither proxies for either scheme nor the passwords of a .netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with receiving(answers("200 OK")) as receiver, http() as sender:
        got = await sender.deliver(due(f"http://127.0.0.1:{receiver.port}/"))
    assert got.state is CallbackState.DELIVERED
    assert "Authorization" not in receiver.requests[0][1]


async def test_certificates_named_by_the_environment_are_not_trusted(
    authority: Authority, names: Callable[..., NameServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(authority._own.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    sender = CallbackHttp(allow=["127.0.0.0/8"])
    async with secure(authority.serving(NAME)) as (receiver, _):
        names(["127.0.0.1"])
        got = await sender.deliver(due(f"https://{NAME}:{receiver.port}/"))
    await sender.aclose()
    assert (got.error, receiver.requests) == ("tls_failed", [])
