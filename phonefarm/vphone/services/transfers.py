"""``sink:N`` swallows N bytes (0: until the host closes) and ``source:N`` sends N bytes: for measuring throughput."""

from phonefarm.vphone.wire.stream import Stream

_BLOCK = 64 * 1024


async def serve(kind: str, count: int, stream: Stream) -> None:
    """Run either to its end."""
    if kind == "sink":
        await _sink(count, stream)
    else:
        await _source(count, stream)


async def _sink(count: int, stream: Stream) -> None:
    taken = 0
    while (count == 0 or taken < count) and (data := await stream.read()):
        taken += len(data)


async def _source(count: int, stream: Stream) -> None:
    left = count
    while left > 0:
        size = min(left, _BLOCK)
        await stream.write(bytes(size))
        left -= size
