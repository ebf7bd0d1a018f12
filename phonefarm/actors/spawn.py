"""The only ray.remote: each actor's plain class, started in an actor process of its own.

All are named, detached, restarted for ever and without a share of CPUs. Their constructors only assign and
schedule ``start``; what can fail is retried inside (design notes on Ray, finding 8). The manager, the router
and the callback sender run on the head, a host's actor and its phones on the node labelled ``pf.host=NAME``:
a label survives the node's restart, a node id does not (finding 1).
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import ray

from phonefarm.actors import gateway
from phonefarm.actors.callback_sender import CallbackSender
from phonefarm.actors.device import AdbDevice, ServedAdb
from phonefarm.actors.host import HostActor, HostConfig
from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.actors.ports import PhonePort
from phonefarm.actors.process_manager import ManagerConfig, ProcessManager
from phonefarm.actors.router import Router
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.core.leases import LeaseTerms
from phonefarm.settings import NAMESPACE, Settings

HEAD_LABEL = "pf.role"
HOST_LABEL = "pf.host"


def _begin(actor: Any, settings: Settings, name: str) -> None:
    log_to_file(settings, name)
    logging.getLogger(__name__).info("%s runs as process %d", name, os.getpid())
    actor._started = asyncio.get_running_loop().create_task(actor.start())


def log_to_file(settings: Settings, name: str) -> None:
    """Send this process's log to ``logs/NAME.log`` of the state directory."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=settings.log_dir / f"{name.replace(':', '-').replace('/', '_')}.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)


class _Manager(ProcessManager):
    def __init__(self, settings: Settings) -> None:
        config = ManagerConfig(
            db_url=settings.db_url,
            artifact_dir=settings.artifact_dir,
            terms=LeaseTerms(seconds=settings.lease_seconds, delivery_seconds=settings.delivery_seconds),
            rescue_seconds=settings.rescue_seconds,
        )
        super().__init__(config, router=gateway.router(), sender=gateway.sender(), on_stale=_end_process)
        _begin(self, settings, gateway.MANAGER)

    async def pid(self) -> int:
        return os.getpid()


def _end_process() -> None:
    logging.getLogger(__name__).error("another process manager has taken over; this one ends")
    os._exit(1)


class _Router(Router):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            manager=gateway.manager(),
            phone=gateway.phone,
            groups=settings.group_names(),
            delivery_seconds=settings.delivery_seconds,
        )
        _begin(self, settings, gateway.ROUTER)


class _Sender(CallbackSender):
    def __init__(self, settings: Settings) -> None:
        http = CallbackHttp(secret=settings.webhook_secret, allow=settings.callbacks_allow)
        super().__init__(manager=gateway.manager(), http=http)
        _begin(self, settings, gateway.SENDER)


class _Host(HostActor):
    def __init__(self, settings: Settings, name: str) -> None:
        here = settings.host_named(name)

        async def ensure(phone_id: str) -> PhonePort:
            await asyncio.to_thread(spawn_phone, settings, phone_id, name)
            return gateway.phone(phone_id)

        super().__init__(
            HostConfig(name=name, connect=here.connect),
            adb=ServedAdb(port=settings.adb_port, state_dir=settings.state_dir / "adb" / name, usb=here.usb),
            manager=gateway.manager(),
            ensure_phone=ensure,
        )
        _begin(self, settings, gateway.host_name(name))


class _Phone(PhoneActor):
    def __init__(self, settings: Settings, phone_id: str, host: str) -> None:
        config = PhoneConfig(
            phone_id=phone_id,
            host=host,
            groups=settings.groups_of(phone_id, host),
            check_seconds=settings.check_seconds,
        )
        super().__init__(
            config,
            manager=gateway.manager(),
            host=gateway.host(host),
            device=lambda serial, port: AdbDevice(phone_id=phone_id, serial=serial, port=port),
        )
        _begin(self, settings, gateway.phone_name(phone_id))


def _spawn(cls: type, name: str, label: dict[str, str], *args: Any) -> Any:
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "num_cpus": 0,
        "label_selector": label,
    }
    return ray.remote(cls).options(**options).remote(*args)


def spawn_farm(settings: Settings) -> None:
    """Start every actor of the farm but the phones', which their hosts start. Those that run are left alone."""
    head = {HEAD_LABEL: "head"}
    _spawn(_Manager, gateway.MANAGER, head, settings)
    _spawn(_Sender, gateway.SENDER, head, settings)
    _spawn(_Router, gateway.ROUTER, head, settings)
    for host in settings.hosts:
        _spawn(_Host, gateway.host_name(host.name), {HOST_LABEL: host.name}, settings, host.name)


def spawn_phone(settings: Settings, phone_id: str, host: str) -> None:
    """Start the actor of a phone on the host that holds its cable."""
    _spawn(_Phone, gateway.phone_name(phone_id), {HOST_LABEL: host}, settings, phone_id, host)
