"""A host's process."""

from __future__ import annotations

import asyncio
import os

from phonefarm.actors import gateway
from phonefarm.actors import host as plain
from phonefarm.actors.adb import ServedAdb
from phonefarm.actors.hosted import begin
from phonefarm.actors.ladder import LadderConfig
from phonefarm.actors.moving import Means, Moving
from phonefarm.actors.spawn import end_phone, spawn_phone
from phonefarm.core.leases import BEATS_PER_TERM
from phonefarm.settings import Settings


class HostActor(plain.HostActor):
    def __init__(self, settings: Settings, name: str) -> None:
        here = settings.host_named(name)

        means = Means(
            manager=gateway.manager(),
            phone=gateway.phone,
            host=gateway.host,
            make=lambda phone_id: asyncio.to_thread(spawn_phone, settings, phone_id, name),
            end=lambda phone_id: asyncio.to_thread(end_phone, phone_id),
        )
        super().__init__(
            plain.HostConfig(
                name=name,
                connect=here.connect,
                usb=here.usb,
                ladder=LadderConfig(reboot=settings.health.reboot),
                beat_seconds=settings.lease_seconds / BEATS_PER_TERM,
            ),
            adb=ServedAdb(port=settings.adb_port, state_dir=settings.state_dir / "adb" / name, usb=here.usb),
            manager=gateway.manager(),
            homes=Moving(name, means, lease_seconds=settings.lease_seconds, cores=os.cpu_count() or 1),
        )
        begin(self, settings, gateway.host_name(name), host=name)
