"""A server that does nothing, as little as Python can: 204 to whatever is sent. It receives the callbacks of the farms,
and shows how much the load generator can do.

    python -m tests.bench.null_server    prints its port

``GET /count`` answers how many requests came before it, and when (monotonic seconds) the first and the last of those
came that were counted since the last ``GET /reset``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NOTHING = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Nothing(asyncio.Protocol):
    count = 0
    first = last = 0.0

    def __init__(self) -> None:
        self._got = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (size := whole(self._got)) is not None:
            request, self._got = self._got[:size], self._got[size:]
            assert self._transport is not None
            self._transport.write(self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"GET /count "):
            body = json.dumps({"count": Nothing.count, "first": Nothing.first, "last": Nothing.last}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        if request.startswith(b"GET /reset "):
            Nothing.count, Nothing.first = 0, 0.0
            return NOTHING
        Nothing.count += 1
        Nothing.last = time.monotonic()
        Nothing.first = Nothing.first or Nothing.last
        return NOTHING


def whole(got: bytes) -> int | None:
    """The length of the first request, None if it is not all there."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(got, 0, end)
    size = end + 4 + int(found[1] if found else 0)
    return size if len(got) >= size else None


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Nothing, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
