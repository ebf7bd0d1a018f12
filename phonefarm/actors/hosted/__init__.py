"""The actors as Ray runs them: each plain class with the farm's settings and the gateway put in.

One module each, so that an actor's process imports what it needs and no more: a phone's process has no SQL, the
manager's no adb. Ray does not know these classes: it is given the ``fronts``, which import them when an actor begins.
Constructors only assign and schedule ``start``; what can fail is retried inside (an exception in a constructor
would bury the actor for good: design notes on Ray, finding 8).
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from phonefarm import logs, tracing
from phonefarm.settings import Settings

log = logs.logger(__name__)


def begin(actor: Any, settings: Settings, name: str, **ids: str) -> None:
    """Log to the actor's file, trace if the farm does, and start it, on the loop that its process runs. ``ids``: the
    phone's, the host's, for each line of the log."""
    watch(settings, name, **ids)
    keep_what_is_loaded()
    log.info("actor.started")
    actor._started = asyncio.get_running_loop().create_task(actor.start())


def watch(settings: Settings, name: str, **ids: str) -> None:
    """Send this process's log to ``logs/NAME.log`` of the state directory, and its traces where the farm's go."""
    logs.to_file(settings.log_dir, name, level=settings.log_level, **ids)
    if settings.tracing is not None:
        tracing.start(settings.tracing.endpoint, name, headers=settings.tracing.headers)


def keep_what_is_loaded() -> None:
    """What was made until now stays for ever: the garbage collector, whose full rounds stop everything else, need not
    look at it again. Call it when a process has loaded its modules."""
    gc.collect()
    gc.freeze()
