"""The router's process."""

from __future__ import annotations

from phonefarm.actors import gateway
from phonefarm.actors import router as plain
from phonefarm.actors.hosted import begin
from phonefarm.settings import Settings


class Router(plain.Router):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            manager=gateway.manager(),
            phone=gateway.phone,
            groups=settings.group_names(),
            delivery_seconds=settings.delivery_seconds,
        )
        begin(self, settings, gateway.ROUTER)
