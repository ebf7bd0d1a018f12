"""The callback sender's process."""

from __future__ import annotations

from phonefarm.actors import callback_sender as plain
from phonefarm.actors import gateway
from phonefarm.actors.hosted import begin
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.settings import Settings


class CallbackSender(plain.CallbackSender):
    def __init__(self, settings: Settings) -> None:
        http = CallbackHttp(
            secret=settings.webhook_secret, second=settings.webhook_secret_second, allow=settings.callbacks_allow
        )
        super().__init__(manager=gateway.manager(), http=http)
        begin(self, settings, gateway.SENDER)
