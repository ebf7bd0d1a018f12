"""A host's process."""

from __future__ import annotations

import asyncio

from phonefarm.actors import gateway
from phonefarm.actors import host as plain
from phonefarm.actors.adb import ServedAdb
from phonefarm.actors.hosted import begin
from phonefarm.actors.ladder import LadderConfig
from phonefarm.actors.ports import PhonePort
from phonefarm.actors.spawn import spawn_phone
from phonefarm.settings import Settings


class HostActor(plain.HostActor):
    def __init__(self, settings: Settings, name: str) -> None:
        here = settings.host_named(name)

        async def ensure(phone_id: str) -> PhonePort:
            await asyncio.to_thread(spawn_phone, settings, phone_id, name)
            return gateway.phone(phone_id)

        super().__init__(
            plain.HostConfig(
                name=name, connect=here.connect, usb=here.usb, ladder=LadderConfig(reboot=settings.health.reboot)
            ),
            adb=ServedAdb(port=settings.adb_port, state_dir=settings.state_dir / "adb" / name, usb=here.usb),
            manager=gateway.manager(),
            ensure_phone=ensure,
        )
        begin(self, settings, gateway.host_name(name))
