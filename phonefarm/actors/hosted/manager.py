"""The process manager's process."""

from __future__ import annotations

import logging
import os

from phonefarm import logs
from phonefarm.actors import gateway
from phonefarm.actors import process_manager as plain
from phonefarm.actors.hosted import begin
from phonefarm.actors.raymeter import RayMirror
from phonefarm.core.leases import LeaseTerms
from phonefarm.settings import Settings

log = logs.logger(__name__)


class ProcessManager(plain.ProcessManager):
    def __init__(self, settings: Settings) -> None:
        config = plain.ManagerConfig(
            db_url=settings.db_url,
            artifact_dir=settings.artifact_dir,
            run_id=settings.run_id,
            terms=LeaseTerms(seconds=settings.lease_seconds, delivery_seconds=settings.delivery_seconds),
            rescue_seconds=settings.rescue_seconds,
            retention_days=settings.retention_days,
            hosts=frozenset(host.name for host in settings.hosts),
            groups=settings.group_names(),
            host_seconds=settings.lease_seconds,
            patience=settings.health.patience,
        )
        super().__init__(
            config, router=gateway.router(), sender=gateway.sender(), on_stale=_end_process, mirror=RayMirror()
        )
        begin(self, settings, gateway.MANAGER)


def _end_process() -> None:
    log.error(
        "manager.replaced",
        cause="another process manager has taken over",
        next_step="none: this one ends and the other one goes on",
    )
    logging.shutdown()
    os._exit(1)
