"""Many phones in one process.

``VPhoneHost`` runs inside somebody's event loop (tests); ``serve_phones`` is the whole life of a phones process: start,
say so, wait for SIGTERM or SIGINT, stop.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from phonefarm.vphone.control import ControlPort
from phonefarm.vphone.faultplan import Plan, carry_out
from phonefarm.vphone.latency import Profile
from phonefarm.vphone.phone import PhoneConfig, VPhone


@dataclass(frozen=True, kw_only=True, slots=True)
class HostConfig:
    """Which phones to run. Phone i listens on ``port_base + i`` (0: any port); times are in seconds."""

    phones: int
    host: str = "127.0.0.1"
    port_base: int = 0
    profile: Profile = "instant"
    journal_dir: Path | None = None
    serial_prefix: str = "VP"
    first_number: int = 1
    seed: int = 1
    reboot_down_seconds: float = 1.0
    boot_seconds: float = 0.5
    auth_required: bool = False
    control_port: int | None = None
    plan: Plan | None = None

    def phone(self, index: int) -> PhoneConfig:
        """Configuration of phone number ``index``, from 0."""
        return PhoneConfig(
            serialno=f"{self.serial_prefix}{self.first_number + index:06d}",
            host=self.host,
            port=self.port_base + index if self.port_base else 0,
            seed=self.seed,
            profile=self.profile,
            journal_dir=self.journal_dir,
            reboot_down_seconds=self.reboot_down_seconds,
            boot_seconds=self.boot_seconds,
            auth_required=self.auth_required,
        )


class VPhoneHost:
    """A rack of virtual phones. Use as ``async with``, or call ``start`` and ``stop``."""

    def __init__(self, config: HostConfig) -> None:
        self.config = config
        made = [VPhone(config.phone(index)) for index in range(config.phones)]
        self.phones: dict[str, VPhone] = {phone.serialno: phone for phone in made}
        self._control: ControlPort | None = None
        self._faults: asyncio.Task[None] | None = None

    @property
    def control_port(self) -> int | None:
        """Port of the control connection, or None when there is none."""
        return self._control.port if self._control is not None else None

    async def start(self) -> None:
        """Start every phone. Raises ``OSError`` when a port is taken; then nothing is left running."""
        try:
            for phone in self.phones.values():
                await phone.start()
            if self.config.control_port is not None:
                self._control = ControlPort(self.phones)
                await self._control.start(self.config.host, self.config.control_port)
        except OSError:
            await self.stop()
            raise
        if self.config.plan is not None:
            self._faults = asyncio.get_running_loop().create_task(carry_out(self.config.plan, self.phones, _complain))

    async def stop(self) -> None:
        """Stop every phone and end every command."""
        if self._faults is not None:
            self._faults.cancel()
            await asyncio.gather(self._faults, return_exceptions=True)
            self._faults = None
        if self._control is not None:
            await self._control.stop()
            self._control = None
        for phone in self.phones.values():
            await phone.stop()

    async def __aenter__(self) -> "VPhoneHost":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def ready_event(self) -> dict[str, object]:
        """What is told when every phone listens."""
        phones = [{"serialno": phone.serialno, "port": phone.port} for phone in self.phones.values()]
        event: dict[str, object] = {"event": "ready", "phones": phones}
        if self.control_port is not None:
            event["control_port"] = self.control_port
        return event


async def serve_phones(
    config: HostConfig, *, ready_file: Path | None = None, say: Callable[[str], object] | None = None
) -> None:
    """Run phones until SIGTERM or SIGINT.

    One JSON line goes to ``say`` (standard output by default) when all listen; ``ready_file`` gets the same text, whole
    or not at all. Raises ``OSError`` when a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with VPhoneHost(config) as host:
        line = json.dumps(host.ready_event(), separators=(",", ":"))
        if ready_file is not None:
            _write_whole(ready_file, line + "\n")
        (say or _print)(line)
        await stop.wait()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


def _write_whole(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader never sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
