"""One virtual phone: a listening port, an Android behind it, and switches to break it.

All methods belong to the event loop that started the phone; from another thread use ``loop.call_soon_threadsafe`` or
the control port. A phone keeps its port over ``kill``/``revive`` and reboots, as a phone on a shelf keeps its address.
"""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonefarm.vphone import latency
from phonefarm.vphone.android.commands import commands_of
from phonefarm.vphone.android.state import Android, AndroidConfig
from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.journal import Journal
from phonefarm.vphone.services import service_for
from phonefarm.vphone.shell.call import Command
from phonefarm.vphone.shell.interpreter import Shell
from phonefarm.vphone.wire.auth import Gate
from phonefarm.vphone.wire.link import Link, Service

FEATURES = frozenset(
    {
        "shell_v2",
        "cmd",
        "stat_v2",
        "ls_v2",
        "fixed_push_mkdir",
        "apex",
        "abb",
        "fixed_push_symlink_timestamp",
        "abb_exec",
        "remount_shell",
        "track_app",
        "sendrecv_v2",
        "sendrecv_v2_dry_run_send",
        "delayed_ack",
    }
)
"""What the phone offers; a host uses what it knows too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneConfig:
    """One phone. ``port`` 0 lets the system choose; times are in seconds; ``journal_dir`` None keeps no journal."""

    serialno: str
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    profile: latency.Profile = "instant"
    journal_dir: Path | None = None
    reboot_down_seconds: float = 1.0
    boot_seconds: float = 0.5
    auth_required: bool = False
    model: str = "Pixel 8"
    product: str = "shiba"


class VPhone:
    """A phone that any ADB host can dial."""

    def __init__(self, config: PhoneConfig) -> None:
        self.config = config
        self.port = config.port
        self.hung = False
        self.answering = True
        self.gate = Gate(required=config.auth_required)
        self.journal = Journal(config.journal_dir, config.serialno)
        self.android = Android(
            AndroidConfig(
                serialno=config.serialno,
                model=config.model,
                product=config.product,
                seed=config.seed,
                boot_seconds=config.boot_seconds,
            ),
            on_reboot=self.reboot,
        )
        self.android.on_shown = lambda playing: self.journal.shown(
            playing.query, playing.rank, playing.video.title, playing.video.author
        )
        self._commands = commands_of(self.android)
        self._links: set[Link] = set()
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None
        self._rebooting: asyncio.TimerHandle | None = None
        self._stopped = False
        self.android.faults.on_change = self._hasten_links

    @property
    def serialno(self) -> str:
        """The phone's identity (``ro.serialno``)."""
        return self.config.serialno

    # -- life ------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        self._stopped = False
        self._listen()
        if self._starting is not None:
            await self._starting

    async def stop(self) -> None:
        """Close everything and end every command."""
        self._stopped = True
        if self._rebooting is not None:
            self._rebooting.cancel()
        self.kill()
        self.android.close()
        for _ in range(3):
            await asyncio.sleep(0)
        self.journal.close()

    # -- switches --------------------------------------------------------------------------------------------------
    def drop(self) -> None:
        """Close every connection in order (FIN); the listener stays."""
        for link in list(self._links):
            link.close()

    def reset(self) -> None:
        """Reset every connection (RST); the listener stays."""
        for link in list(self._links):
            link.abort()

    def kill(self) -> None:
        """Stop listening and reset every connection, as a phone that lost power."""
        self._close_listener()
        self.reset()

    def revive(self) -> None:
        """Listen again on the same port, unless the phone was stopped. Raises ``OSError`` when it has been taken."""
        if self._listener is None and not self._stopped:
            self._listen()

    def hang(self, hung: bool) -> None:
        """While ``hung`` the phone reads and answers nothing; afterwards it goes on where it stopped."""
        self.hung = hung
        self._wake_links()

    def offline(self, offline: bool) -> None:
        """While ``offline`` connections are dropped and new ones are not greeted (adb shows ``offline``)."""
        self.answering = not offline
        if offline:
            self.drop()
        self._wake_links()

    def require_auth(self, required: bool) -> None:
        """Ask hosts for an accepted key from their next connection on."""
        self.gate.required = required

    def accept_keys(self) -> int:
        """Accept the keys that hosts have shown, and let those hosts in; returns how many were new."""
        count = self.gate.accept_pending()
        for link in list(self._links):
            link.admit()
        return count

    def reboot(self, argument: str = "") -> None:
        """Go down for ``reboot_down_seconds``, listen again, and be booted ``boot_seconds`` later."""
        if self._rebooting is not None:
            return
        self._close_listener()
        self.drop()
        self.android.shut_down()
        loop = asyncio.get_running_loop()
        self._rebooting = loop.call_later(self.config.reboot_down_seconds, self._come_back)

    def _come_back(self) -> None:
        self._rebooting = None
        self.android.boot()
        self.revive()

    # -- for the link ----------------------------------------------------------------------------------------------
    def link_delay(self) -> float:
        """Seconds that each packet to a host is late."""
        return self.android.faults.number("slow_link") / 1000

    def banner(self) -> str:
        """What the phone says of itself, with its features."""
        config = self.config
        props = f"ro.product.name={config.product};ro.product.model={config.model};ro.product.device={config.product};"
        return f"device::{props}features={','.join(sorted(self.features()))}"

    def features(self) -> frozenset[str]:
        """Features that the phone offers."""
        return FEATURES

    def service(self, name: str, link: Link) -> Service | None:
        """The service that ``name`` opens, or None to refuse."""
        return self.android.sockets.service(link, name) or service_for(self, name)

    def link_opened(self, link: Link) -> None:
        """A host connected."""
        self._links.add(link)

    def link_closed(self, link: Link) -> None:
        """The connection is gone."""
        self._links.discard(link)
        self.android.sockets.forget(link)

    # -- for services and the shell --------------------------------------------------------------------------------
    @property
    def fs(self) -> FileSystem:
        """The phone's files."""
        return self.android.fs

    @property
    def commands(self) -> Mapping[str, Command]:
        """Commands of Android."""
        return self._commands

    def new_shell(self) -> Shell:
        """A fresh shell."""
        return Shell(self)

    def now(self) -> float:
        """Wall time in seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    async def hold(self, name: str, args: Sequence[str]) -> None:
        """Wait while this command is one that never ends."""
        await self.android.faults.hold(" ".join([name, *args]))

    async def pause(self, name: str, args: Sequence[str]) -> None:
        """Wait as long as a real phone needs for this command."""
        delay = latency.seconds(self.config.profile, name, args) + self.android.faults.number("slow_ms") / 1000
        if delay:
            await asyncio.sleep(delay)

    async def raw_screen(self) -> tuple[int, int, bytes]:
        """Width and height in pixels, and RGBA bytes, of the screen."""
        return await self.android.raw_screen()

    # -- inside ----------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((self.config.host, self.port))
            listener.listen(32)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._starting = asyncio.get_running_loop().create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Link(self), sock=listener)
        if self._listener is listener:
            self._server = server
        else:
            server.close()

    def _close_listener(self) -> None:
        server, self._server = self._server, None
        listener, self._listener = self._listener, None
        if server is not None:
            server.close()
        elif listener is not None:
            listener.close()

    def _hasten_links(self) -> None:
        for link in list(self._links):
            link.hasten()

    def _wake_links(self) -> None:
        if self.hung:
            return
        for link in list(self._links):
            link.wake()
