"""A phone's process."""

from __future__ import annotations

import asyncio

from phonefarm.actors import gateway
from phonefarm.actors import phone as plain
from phonefarm.actors.device import AdbDevice, Means
from phonefarm.actors.hosted import begin
from phonefarm.actors.raymeter import RayMeter
from phonefarm.settings import Settings


class PhoneActor(plain.PhoneActor):
    def __init__(self, settings: Settings, phone_id: str, host: str) -> None:
        config = plain.PhoneConfig(
            phone_id=phone_id,
            host=host,
            groups=settings.groups_of(phone_id, host),
            check_seconds=settings.check_seconds,
            limits=settings.health.limits_for(settings.groups_of(phone_id, host)),
            patience=settings.health.patience,
        )
        means = Means(
            app=settings.app,
            profiles=settings.profile_dir,
            apk_dir=settings.apk_dir,
            judge=gateway.judge() if settings.judge is not None else None,
            loop=asyncio.get_running_loop(),
            meter=(meter := RayMeter()),
        )
        super().__init__(
            config,
            manager=gateway.manager(),
            host=gateway.host(host),
            device=lambda serial, port: AdbDevice(phone_id=phone_id, serial=serial, port=port, means=means),
            meter=meter,
        )
        begin(self, settings, gateway.phone_name(phone_id), phone=phone_id, host=host)
