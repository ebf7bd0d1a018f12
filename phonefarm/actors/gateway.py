"""The only place that calls ``.remote()``: actors by name, as the protocols of ``ports``, with our errors.

A handle is looked up when it is first used and forgotten when its actor has died for good, so a caller holds a
port for ever. Ray's errors become ours here, once:

* what our code raised in the actor comes back as itself;
* an actor that is away, restarting, unknown or too busy is ``ActorUnavailable``: the call may have been
  executed, so whoever repeats it needs a key (design notes on Ray, finding 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import ray
from ray import exceptions as ray_errors

from phonefarm.actors.ports import HostPort, JudgePort, ManagerPort, PhonePort, RouterPort, SenderPort
from phonefarm.errors import ActorUnavailable, PhoneFarmError
from phonefarm.settings import NAMESPACE

MANAGER = "process_manager"
ROUTER = "router"
SENDER = "callback_sender"
JUDGE = "judge"

_AWAY = (
    ray_errors.RayActorError,
    ray_errors.ActorUnavailableError,
    ray_errors.ActorUnschedulableError,
    ray_errors.PendingCallsLimitExceeded,
    ray_errors.GetTimeoutError,
    ray_errors.TaskCancelledError,
    ray_errors.RaySystemError,
    ray_errors.RpcError,
)


def host_name(host: str) -> str:
    return f"host:{host}"


def phone_name(phone_id: str) -> str:
    return f"phone:{phone_id}"


class RemoteActor:
    """An actor by name: any method of its port, awaited."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)

        async def call(*args: Any, **options: Any) -> Any:
            return await self._call(method, args, options)

        return call

    async def _call(self, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            handle = self._handle or await self._find()
            return await getattr(handle, method).remote(*args, **options)
        except ray_errors.RayTaskError as error:
            raise our_error(error, self._name) from error
        except ray_errors.ActorDiedError as error:
            self._handle = None
            raise ActorUnavailable(f"{self._name} has died") from error
        except _AWAY as error:
            raise ActorUnavailable(f"{self._name} does not answer: {type(error).__name__}") from error

    async def _find(self) -> Any:
        try:
            self._handle = await asyncio.to_thread(ray.get_actor, self._name, NAMESPACE)
        except ValueError as error:
            raise ActorUnavailable(f"{self._name} does not exist (yet)") from error
        return self._handle


def our_error(error: ray_errors.RayTaskError, name: str) -> Exception:
    """What our code raised inside the actor, or PhoneFarmError for what was not meant to happen."""
    cause = error.cause
    if isinstance(cause, PhoneFarmError):
        return cause
    return PhoneFarmError(f"{name} failed: {type(cause).__name__}")


def manager() -> ManagerPort:
    return cast(ManagerPort, RemoteActor(MANAGER))


def router() -> RouterPort:
    return cast(RouterPort, RemoteActor(ROUTER))


def sender() -> SenderPort:
    return cast(SenderPort, RemoteActor(SENDER))


def judge() -> JudgePort:
    return cast(JudgePort, RemoteActor(JUDGE))


def host(name: str) -> HostPort:
    return cast(HostPort, RemoteActor(host_name(name)))


def phone(phone_id: str) -> PhonePort:
    """A new port each time would look the actor up each time, so they are kept."""
    if phone_id not in _PHONES:
        _PHONES[phone_id] = cast(PhonePort, RemoteActor(phone_name(phone_id)))
    return _PHONES[phone_id]


_PHONES: dict[str, PhonePort] = {}
