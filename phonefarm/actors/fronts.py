"""The actors as Ray knows them: the methods of a port, each handed on to what was made in the actor's own process.

Ray imports the class of an actor in every process that gets a handle of it, to know its methods. Were that the class
that does the work, each phone's process would load the manager's SQL, and each HTTP replica the phones' drivers: a
second of processor and tens of megabytes each (docs/performance.md, j). So Ray is given these, which import nothing;
``hosted`` has what they stand for. They bear the names of the plain classes, since that is what Ray's dashboard and
``ps`` show.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from phonefarm.actors.ports import HostPort, JudgePort, ManagerPort, PhonePort, RouterPort, SenderPort


class Front:
    """``port``: whose methods it has. ``of``: the module of ``hosted`` with the class of the same name, which is made
    with the same arguments."""

    _hosted: ClassVar[str] = ""
    _name: ClassVar[str] = ""

    def __init_subclass__(cls, *, port: type | None = None, of: str = "") -> None:
        if port is None:  # Ray's own subclass
            return
        cls._hosted, cls._name = f"phonefarm.actors.hosted.{of}", cls.__name__
        for name in methods_of(port):
            setattr(cls, name, _handed_on(name))

    def __init__(self, *args: Any) -> None:
        self._actor = getattr(importlib.import_module(self._hosted), self._name)(*args)


def methods_of(port: type) -> list[str]:
    """The names of what an actor of this port can be asked."""
    return [name for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction) if not name.startswith("_")]


def _handed_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: Front, *args: Any, **options: Any) -> Any:
        return await getattr(self._actor, name)(*args, **options)

    method.__name__ = name
    return method


class ProcessManager(Front, port=ManagerPort, of="manager"): ...


class Router(Front, port=RouterPort, of="router"): ...


class PhoneActor(Front, port=PhonePort, of="phone"): ...


class HostActor(Front, port=HostPort, of="host"): ...


class CallbackSender(Front, port=SenderPort, of="sender"): ...


class JudgeActor(Front, port=JudgePort, of="judge"): ...
