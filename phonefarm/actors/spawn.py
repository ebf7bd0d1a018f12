"""The only ray.remote: each actor in a process of its own, by its front.

All are named, detached, restarted for ever and without a share of CPUs. The manager, the router and the callback
sender run on the head, a host's actor and its phones on the node labelled ``pf.host=NAME``: a label survives the
node's restart, a node id does not (design notes on Ray, finding 1).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from phonefarm.actors import fronts, gateway
from phonefarm.errors import ActorUnavailable
from phonefarm.settings import NAMESPACE, Settings

HEAD_LABEL = "pf.role"
HOST_LABEL = "pf.host"
#: Calls the manager may hold at once: most of them are callers that wait for news of a process.
MANAGER_CALLS = 8_192
_END_SECONDS = 30.0


def spawn_farm(settings: Settings) -> None:
    """Start every actor of the farm but the phones', which their hosts start. Those that run are left alone."""
    head = {HEAD_LABEL: "head"}
    _spawn(fronts.ProcessManager, gateway.MANAGER, head, settings, calls=MANAGER_CALLS)
    for host in settings.hosts:
        _spawn(fronts.HostActor, gateway.host_name(host.name), {HOST_LABEL: host.name}, settings, host.name)
    _spawn(fronts.Router, gateway.ROUTER, head, settings)
    _spawn(fronts.CallbackSender, gateway.SENDER, head, settings)
    if settings.judge is not None:
        _spawn(fronts.JudgeActor, gateway.JUDGE, head, settings)


def spawn_phone(settings: Settings, phone_id: str, host: str) -> bool:
    """Start the actor of a phone on the host that holds its cable; False if there is one, wherever it lives. Raises
    ActorUnavailable if Ray does not do it now."""
    name = gateway.phone_name(phone_id)
    with _asking_ray(name):
        if _exists(name):
            return False
        _spawn(fronts.PhoneActor, name, {HOST_LABEL: host}, settings, phone_id, host)
        return True


def end_phone(phone_id: str) -> None:
    """End the actor of a phone for good; returns when its name is free. Raises ActorUnavailable if it stays."""
    name, until = gateway.phone_name(phone_id), time.monotonic() + _END_SECONDS
    with _asking_ray(name):
        while time.monotonic() < until:
            if (actor := _exists(name)) is None:
                return
            ray.kill(actor)
            time.sleep(0.1)
    raise ActorUnavailable(f"the old actor of {phone_id} does not end")


def _exists(name: str) -> Any | None:
    """The handle of an actor, None if no actor has this name."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError:
        return None


@contextmanager
def _asking_ray(name: str) -> Iterator[None]:
    """While its head is away, or when two ask for one name, Ray raises more than its own kinds of errors."""
    try:
        yield
    except (RayError, ValueError, RuntimeError) as error:
        raise ActorUnavailable(f"Ray did not start or end {name}: {type(error).__name__}") from error


def _spawn(cls: type, name: str, label: dict[str, str], *args: Any, calls: int = 1_000) -> Any:
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "num_cpus": 0,
        "enable_task_events": False,  # as Serve does with its replicas: a record of each call, kept by the head
        "max_concurrency": calls,
        "label_selector": label,
    }
    return ray.remote(cls).options(**options).remote(*args)
