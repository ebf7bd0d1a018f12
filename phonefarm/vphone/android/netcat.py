"""``nc``, as toybox has it: enough to talk through ``adb forward`` and ``adb reverse``."""

import asyncio
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call
from phonefarm.vphone.wire.stream import Stream

_HERE = ("localhost", "127.0.0.1", "::1")


async def nc(android: Android, call: Call) -> int:
    """``nc HOST PORT``, ``nc -l -p PORT``, with ``-U`` for an abstract name instead of a port."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    if not words:
        return await call.fail("Needs a host and a port")
    name = f"localabstract:{words[0].lstrip('@')}" if "-U" in call.args else f"tcp:{words[-1]}"
    if "-l" in call.args or "-L" in call.args:
        try:
            stream: Stream | None = await android.sockets.listen(name)
        except OSError as error:
            return await call.fail(f"bind: {error}")
    else:
        here = "-U" in call.args or words[0] in _HERE
        stream = android.sockets.dial(name) if here else None
    if stream is None:
        return await call.fail("connect: Connection refused")
    return await _talk(call, stream)


async def _talk(call: Call, stream: Stream) -> int:
    """Both ways until the other end closes; the end of our input closes nothing, as in toybox."""
    sending = asyncio.get_running_loop().create_task(_send(call, stream))
    try:
        while data := await stream.read():
            await call.io.stdout.write(data)
    finally:
        sending.cancel()
        await stream.finish()
    return 0


async def _send(call: Call, stream: Stream) -> None:
    try:
        while data := await call.io.stdin.read():
            await stream.write(data)
    except BrokenPipeError:
        return


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"nc": nc, "netcat": nc}
