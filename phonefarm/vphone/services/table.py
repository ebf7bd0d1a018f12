"""From the name in an OPEN packet to the coroutine that serves it; unknown names give None, which becomes a CLSE."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.journal import Journal
from phonefarm.vphone.services import framebuffer, shells, sync, transfers
from phonefarm.vphone.services.spec import ShellSpec, parse_shell
from phonefarm.vphone.shell.interpreter import Shell
from phonefarm.vphone.wire.stream import Stream

Service = Callable[[Stream], Awaitable[None]]


class Device(Protocol):
    """What services need of a phone."""

    @property
    def fs(self) -> FileSystem:
        """Its files."""
        ...

    @property
    def journal(self) -> Journal:
        """Where commands are recorded."""
        ...

    def new_shell(self) -> Shell:
        """A fresh shell."""
        ...

    async def raw_screen(self) -> tuple[int, int, bytes]:
        """Width and height in pixels, and RGBA bytes, of the screen."""
        ...

    def reboot(self, argument: str) -> None:
        """Go down and come back."""
        ...

    def drop(self) -> None:
        """Close every connection."""
        ...


def service_for(device: Device, name: str) -> Service | None:
    """The service called ``name`` on ``device``, or None when there is none."""
    kind, _, argument = name.partition(":")
    if kind == "shell" or kind.startswith("shell,"):
        return partial(shells.serve_shell, device, parse_shell(kind, argument))
    if kind == "abb_exec" or kind == "abb":
        words = argument.split("\0")
        return partial(shells.serve_exec, device, kind, ShellSpec.of_words(["cmd", *words]))
    if kind == "exec":
        return partial(shells.serve_exec, device, kind, ShellSpec(command=argument))
    if kind in ("sink", "source"):
        return partial(transfers.serve, kind, int(argument) if argument.isdigit() else 0)
    if name in ("jdwp", "track-jdwp", "track-app"):
        return partial(_no_debuggee, device, name)
    if name in ("sync:", "framebuffer:"):
        serve = sync.serve if kind == "sync" else framebuffer.serve
        return partial(serve, device)
    return _switch(device, kind, argument, name)


def _switch(device: Device, kind: str, argument: str, name: str) -> Service | None:
    port = argument if argument.isdigit() and 0 < int(argument) < 65536 else ""
    texts = {
        "root": "adbd cannot run as root in production builds\n",
        "unroot": "adbd not running as root\n",
        "remount": 'Not running as root. Try "adb root" first.\n',
        "tcpip": f"restarting in TCP mode port: {port}\n" if port else f"invalid port {argument}\n",
        "usb": "restarting in USB mode\n",
        "disable-verity": "Device must be running as root\n",
    }
    if kind in texts and ":" in name:
        return partial(_say, device, name, texts[kind])
    if kind == "reboot":
        return partial(_reboot, device, argument)
    return partial(_reconnect, device) if name == "reconnect" else None


async def _say(device: Device, name: str, text: str, stream: Stream) -> None:
    with device.journal.command(name.partition(":")[0], name.partition(":")[2]) as entry:
        await stream.write(text.encode())
        entry.rc = 0


async def _no_debuggee(device: Device, name: str, stream: Stream) -> None:
    """Processes that a debugger could attach to: none. The tracking services say so, and wait for a change."""
    with device.journal.command(name, "") as entry:
        if name.startswith("track"):
            await stream.write(b"0000")
            await stream.ended()
        entry.rc = 0


async def _reboot(device: Device, argument: str, stream: Stream) -> None:
    with device.journal.command("reboot", argument):
        pass
    device.reboot(argument)


async def _reconnect(device: Device, stream: Stream) -> None:
    with device.journal.command("reconnect", "") as entry:
        entry.rc = 0
    await stream.write(b"done")
    asyncio.get_running_loop().call_soon(device.drop)
