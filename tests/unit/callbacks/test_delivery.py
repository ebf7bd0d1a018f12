"""One delivery against a real receiver on loopback that behaves badly in every way of faults 35."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from phonefarm.callbacks.delivery import (
    ANSWER_BYTES,
    Answer,
    CallbackHttp,
    host_header,
    judge_answer,
    parse_retry_after,
    url_at,
)
from phonefarm.callbacks.guard import Endpoint
from phonefarm.callbacks.signing import verify
from phonefarm.errors import ConfigError
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback

pytestmark = pytest.mark.timeout(60)

NOW = 1_790_000_000
BODY = b'{"event_type":"process.updated"}'
Behaviour = Callable[["Receiver", asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """An HTTP receiver over a bare socket: keeps what it got, then does as ``behaviour`` says."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.port = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.hung_up = asyncio.Event()
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode().strip().split("\r\n")
            headers = dict(text.split(": ", 1) for text in lines)
            body = await reader.readexactly(int(headers.get("Content-Length", "0")))
            self.requests.append((line, headers, body))
            await self.behaviour(self, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.hung_up.set()
            writer.close()


@asynccontextmanager
async def receiving(behaviour: Behaviour) -> AsyncIterator[Receiver]:
    receiver = Receiver(behaviour)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def answers(status: str, *headers: str, body: str = "") -> Behaviour:
    async def behave(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()

    return behave


async def hangs(_receiver: Receiver, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hangs_up(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def talks_nonsense(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


def pours(head: bytes, chunk: bytes) -> Behaviour:
    """Writes ``chunk`` for ever, as fast as it is read, up to 1 GB."""

    async def behave(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while receiver.sent < 1_000_000_000:
            writer.write(chunk)
            await writer.drain()
            receiver.sent += len(chunk)

    return behave


def drips(head: bytes, drop: bytes) -> Behaviour:
    """Writes ``head``, then a little now and then, and never ends."""

    async def behave(_receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)

    return behave


def due(url: str, *, attempts: int = 0) -> DueCallback:
    return DueCallback(event_id="evt-1", process_id="p", sequence=1, url=url, body=BODY, attempts=attempts)


@asynccontextmanager
async def http(**changes: Any) -> AsyncIterator[CallbackHttp]:
    options: dict[str, Any] = {"allow": ["127.0.0.0/8"], "clock": lambda: NOW * 1000, "chance": lambda: 0.0}
    sender = CallbackHttp(**{**options, **changes})
    try:
        yield sender
    finally:
        await sender.aclose()


async def deliver(behaviour: Behaviour, *, attempts: int = 0, **changes: Any) -> tuple[Delivery, Receiver]:
    async with receiving(behaviour) as receiver, http(**changes) as sender:
        got = await sender.deliver(due(f"http://127.0.0.1:{receiver.port}/hook?a=%20b", attempts=attempts))
    return got, receiver


@pytest.mark.asyncio
async def test_what_a_receiver_gets() -> None:
    got, receiver = await deliver(answers("204 No Content"), secret="s3cret")
    assert (got.state, got.http_status, got.error) == (CallbackState.DELIVERED, 204, None)
    ((line, headers, body),) = receiver.requests
    assert line == "POST /hook?a=%20b HTTP/1.1"
    assert body == BODY
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "phonefarm-callback/1.0"
    assert verify(secret="s3cret", headers=headers, body=body, now=NOW)


@pytest.mark.asyncio
async def test_a_second_secret_signs_beside_the_first() -> None:
    _, receiver = await deliver(answers("204 No Content"), secret="s3cret", second="the next")
    ((_, headers, body),) = receiver.requests
    assert verify(secret="s3cret", headers=headers, body=body, now=NOW)
    assert verify(secret="the next", headers=headers, body=body, now=NOW)


@pytest.mark.fault(35)
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("behaviour", "status", "error", "retry_in"),
    [
        (answers("500 No"), 500, "http_500", 5.0),
        (answers("404 No"), 404, "http_404", 5.0),
        (answers("301 Moved", "Location: http://127.0.0.1:1/"), 301, "http_301", 5.0),
        (answers("307 Moved", "Location: https://example.com/"), 307, "http_307", 5.0),
        (answers("429 Slow", "Retry-After: 77"), 429, "http_429", 77.0),
        (answers("503 Later", "Retry-After: Mon, 21 Sep 2026 14:30:00 GMT"), 503, "http_503", 1_000.0),
        (answers("503 Later", "Retry-After: 9999999"), 503, "http_503", 86_400.0),
        (answers("429 Slow", "Retry-After: soon"), 429, "http_429", 5.0),
        (answers("500 No", "Retry-After: 77"), 500, "http_500", 5.0),
        (hangs_up, None, "bad_answer", 5.0),
        (talks_nonsense, None, "bad_answer", 5.0),
    ],
)
async def test_failures_are_tried_again(behaviour: Behaviour, status: int | None, error: str, retry_in: float) -> None:
    got, receiver = await deliver(behaviour)
    assert (got.state, got.http_status, got.error) == (CallbackState.PENDING, status, error)
    assert got.retry_in == retry_in
    assert len(receiver.requests) == 1


@pytest.mark.fault(35)
@pytest.mark.asyncio
async def test_gone_is_dead_and_so_is_the_last_attempt() -> None:
    gone, _ = await deliver(answers("410 Gone"))
    assert (gone.state, gone.gone, gone.retry_in) == (CallbackState.DEAD, True, None)
    last, _ = await deliver(answers("429 Slow", "Retry-After: 1"), attempts=8)
    assert (last.state, last.gone, last.retry_in) == (CallbackState.DEAD, False, None)


@pytest.mark.fault(35)
@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", [hangs, drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), drips(b"", b"HTTP")])
async def test_no_status_in_time_is_a_timeout(behaviour: Behaviour) -> None:
    got, _ = await deliver(behaviour, total_seconds=0.2)
    assert (got.state, got.http_status) == (CallbackState.PENDING, None)
    assert got.error in ("timeout", "bad_answer")


@pytest.mark.fault(35)
@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "state"), [(200, CallbackState.DELIVERED), (500, CallbackState.PENDING)])
async def test_a_body_that_drips_forever_is_cut_off(status: int, state: CallbackState) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n".encode()
    got, _ = await deliver(drips(head, b"."), total_seconds=0.2)
    assert (got.state, got.http_status) == (state, status)


@pytest.mark.fault(35)
@pytest.mark.asyncio
@pytest.mark.parametrize("extra", [b"", b"Content-Encoding: gzip\r\n"])
async def test_a_huge_body_is_not_read(extra: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n" + extra + b"\r\n"
    async with receiving(pours(head, b"x" * ANSWER_BYTES)) as receiver, http() as sender:
        got = await sender.deliver(due(f"http://127.0.0.1:{receiver.port}/"))
        await receiver.hung_up.wait()
    assert got.state is CallbackState.DELIVERED
    assert receiver.sent < 100_000_000


@pytest.mark.asyncio
async def test_nobody_listens() -> None:
    async with receiving(hangs) as receiver:
        port = receiver.port
    async with http() as sender:
        got = await sender.deliver(due(f"http://127.0.0.1:{port}/"))
    assert (got.state, got.error) == (CallbackState.PENDING, "connect_failed")


@pytest.mark.fault(35)
@pytest.mark.asyncio
async def test_bad_tls() -> None:
    server = await asyncio.start_server(talks_plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with http() as sender:
        got = await sender.deliver(due(f"https://127.0.0.1:{port}/"))
    server.close()
    assert (got.state, got.http_status, got.error) == (CallbackState.PENDING, None, "tls_failed")


async def talks_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(OSError):
        await reader.read(10)
        await writer.drain()
    writer.close()


class Rebinding:
    """A name server that answers something else every time."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return [self.answers[min(self.asked, len(self.answers)) - 1]]


@pytest.mark.fault(37)
@pytest.mark.asyncio
async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    names = Rebinding("127.0.0.1", "169.254.169.254")
    async with receiving(answers("200 OK")) as receiver, http(resolver=names) as sender:
        url = f"http://hook.example:{receiver.port}/"
        first, second = await sender.deliver(due(url)), await sender.deliver(due(url))
    assert first.state is CallbackState.DELIVERED
    assert receiver.requests[0][1]["Host"] == f"hook.example:{receiver.port}"
    assert (second.state, second.error) == (CallbackState.PENDING, "forbidden_callback_address")
    assert (names.asked, len(receiver.requests)) == (2, 1)


@pytest.mark.asyncio
async def test_tls_is_asked_for_by_name() -> None:
    hello = asyncio.Event()
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(2_000))
        hello.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with http(resolver=Rebinding("127.0.0.1")) as sender:
        await sender.deliver(due(f"https://hook.example:{port}/"))
        await hello.wait()
    server.close()
    assert b"hook.example" in seen[0]


@pytest.mark.fault(37)
@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::ffff:7f00:1]/"])
async def test_refused_at_delivery_too(url: str) -> None:
    async with http(allow=()) as sender:
        got = await sender.deliver(due(url))
    assert (got.state, got.error) == (CallbackState.PENDING, "forbidden_callback_address")


@pytest.mark.asyncio
async def test_an_unusable_url_is_a_value_too() -> None:
    async with http() as sender:
        assert (await sender.deliver(due("http://a b/"))).error == "invalid_callback_url"


@pytest.mark.asyncio
async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    got, _ = await deliver(answers("200 OK"))
    assert got.state is CallbackState.DELIVERED


@pytest.mark.asyncio
async def test_a_delivery_knows_nothing_of_the_last_one() -> None:
    async with receiving(answers("200 OK", "Set-Cookie: who=me")) as receiver, http() as sender:
        for _ in range(2):
            await sender.deliver(due(f"http://127.0.0.1:{receiver.port}/"))
    assert [headers.get("Cookie") for _, headers, _ in receiver.requests] == [None, None]


@pytest.mark.asyncio
async def test_malformed_settings_are_refused_at_start() -> None:
    with pytest.raises(ConfigError):
        CallbackHttp(secret="whsec_***")
    with pytest.raises(ConfigError):
        CallbackHttp(secret="s3cret", second="whsec_***")
    with pytest.raises(ConfigError):
        CallbackHttp(allow=["127.0.0.0/40"])


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_all_of_2xx_is_delivered(status: int) -> None:
    assert judge_answer(due("http://x"), Answer(status=status), jitter=0).state is CallbackState.DELIVERED


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, 999_999_999_999.0),
        ("Mon, 21 Sep 2026 14:13:30 GMT", 10.0),
        ("Mon, 21 Sep 2026 14:00:00 GMT", 0.0),
        ("Mon, 99 Sep 2026", None),
        ("tomorrow", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now=NOW) == seconds


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        (Endpoint(scheme="https", host="hook.example", port=443), "hook.example"),
        (Endpoint(scheme="http", host="::1", port=81), "[::1]:81"),
        (Endpoint(scheme="http", host="127.1", port=80), "127.1"),
    ],
)
def test_urls_keep_path_and_query(endpoint: Endpoint, host: str) -> None:
    target = "/a%2Fb/../c?x=%20&y&z=%C3%a9"
    url = url_at(f"{endpoint.scheme}://HOOK{target}#part", endpoint)
    assert str(url) == f"{endpoint.scheme}://{host}{target}"
    assert (url.raw_path_qs, host_header(endpoint)) == (target, host)
