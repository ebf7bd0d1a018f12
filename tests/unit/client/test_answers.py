"""Answers that are awkward: odd text in a stream, JSON of something between, a farm that hangs. No farm is needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.client import Farm, Refused, Unreachable, Unsendable, wire
from tests.unit.client.test_client import Client

pytestmark = pytest.mark.timeout(60)
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@contextlib.asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """A server that gives each connection the next of ``answers``, the last again and again; empty: it only listens."""
    left = list(answers)
    open_ones: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer:
            writer.write(answer)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in open_ones:
            writer.close()
        server.close()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{named}\r\n".encode() + body


NOTHING_LEFT = answer("204 No Content")


@KINDS
@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "ä"])
async def test_text_from_a_screen_does_not_break_a_stream(kind: str, odd: str) -> None:
    """The farm leaves U+2028 and U+0085 as they are in JSON, and they end no line of a stream."""
    event = {"sequence": 1, "kind": "action.finished", "data": {"title": f"a{odd}b"}}
    frame = f"id: 1\nevent: action.finished\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
    async with answering(answer("200 OK", frame, Content_Type="text/event-stream"), NOTHING_LEFT) as url:
        client = Client(kind, url)
        assert [one.raw for one in await client.all("events", "p")] == [event]
        await client.close()


@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    size=st.integers(1, 7),
)
def test_lines_come_whole_however_they_are_cut(lines: list[str], ends: str, size: int) -> None:
    data = "".join(line + ends for line in [*lines, "end"]).encode() + b"x"
    reader = wire.Lines()
    found = [line for at in range(0, len(data), size) for line in reader.feed(data[at : at + size])]
    assert found == [*lines, "end"]


@KINDS
async def test_a_stream_that_is_not_given_now_is_asked_for_when_the_farm_says(kind: str) -> None:
    async with answering(answer("503 Away", b"{}", Retry_After="7"), NOTHING_LEFT) as url:
        client = Client(kind, url)
        assert await client.all("events", "p") == []
        assert client.slept == [7.0]
        await client.close()


@KINDS
async def test_an_event_that_is_none_is_told(kind: str) -> None:
    async with answering(answer("200 OK", b"data: {}\n\n", Content_Type="text/event-stream")) as url:
        client = Client(kind, url)
        with pytest.raises(Unreachable, match="KeyError"):
            await client.all("events", "p")
        await client.close()


@KINDS
@pytest.mark.parametrize("body", [b'{"status":"error","errors":["x"]}', b'{"errors":{"a":1}}', b"[1]", b"<html>"])
async def test_a_refusal_by_something_between_is_a_refusal(kind: str, body: bytes) -> None:
    async with answering(answer("404 Not Found", body)) as url:
        client = Client(kind, url)
        with pytest.raises(Refused) as refused:
            await client.call("phones")
        assert (refused.value.status, refused.value.errors) == (404, [])
        await client.close()


_FOUND = answer("200 OK", b'{"items": [], "next_cursor": null}', Content_Type="application/json")


@KINDS
@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("404 Not Found", b"Path '/phones' not found. Ping http://.../-/routes for available routes."),
        ("500 Internal Server Error", b"Internal Server Error"),
        ("502 Bad Gateway", b"<html>502</html>"),
    ],
)
async def test_an_ingress_that_speaks_for_itself_is_asked_again(kind: str, status: str, text: bytes) -> None:
    """As Ray Serve's does while the farm behind it is being started again."""
    async with answering(answer(status, text, Content_Type="text/plain"), _FOUND) as url:
        client = Client(kind, url)
        assert await client.call("phones") == []
        assert client.slept == [wire.PAUSE_SECONDS]
        await client.close()


@KINDS
async def test_a_server_error_of_the_farm_itself_is_told_at_once(kind: str) -> None:
    problem = b'{"status": 500, "title": "Unexpected", "code": "internal_error"}'
    async with answering(answer("500 Oops", problem, Content_Type="application/problem+json")) as url:
        client = Client(kind, url)
        with pytest.raises(Refused, match="internal_error"):
            await client.call("phones")
        assert client.slept == []
        await client.close()


@KINDS
async def test_what_is_sent_elsewhere_is_no_artifact(kind: str) -> None:
    async with answering(answer("302 Found", b"moved", Location="/sign-in")) as url:
        client = Client(kind, url)
        with pytest.raises(Unreachable, match="elsewhere"):
            await client.call("artifact", "p", "screen.png")
        await client.close()


@KINDS
async def test_calls_that_hang_use_up_patience(kind: str) -> None:
    """``patience`` is below what one call may take, so the first that hangs is the last."""
    async with answering(b"") as url:
        client = Client(kind, url, timeout=0.05, patience=0.02)
        with pytest.raises(Unreachable):
            await client.call("phones")
        assert client.slept == []
        await client.close()


@KINDS
async def test_waiting_is_not_more_patient_than_its_caller(kind: str) -> None:
    async with answering(answer("503 Away", b"{}", Retry_After="7")) as url:
        client = Client(kind, url, patience=60.0)
        with pytest.raises(Refused, match="503"):
            await client.call("wait", "p", timeout=5)
        assert client.slept == [7.0]
        await client.close()


@pytest.mark.parametrize("key", ["", "ä", "a\nb", "a b"])
def test_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(Unsendable) as refused:
        Farm("http://127.0.0.1:9", key)
    assert not key.strip() or key not in refused.value.message


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object()])
def test_a_body_that_is_no_json(value: Any) -> None:
    with Farm("http://127.0.0.1:9", "k") as farm, pytest.raises(Unsendable):
        farm.submit({"inputs": value})
