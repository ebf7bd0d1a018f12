"""The actors as Ray runs them: each plain class with the farm's settings and the gateway put in.

One module each, so that an actor's process imports what it needs and no more: a phone's process has no SQL, the
manager's no adb. They bear the names of the plain classes, since that is what Ray's dashboard and ``ps`` show.
Constructors only assign and schedule ``start``; what can fail is retried inside (an exception in a constructor
would bury the actor for good: design notes on Ray, finding 8).
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from phonefarm.settings import Settings

log = logging.getLogger(__name__)


def begin(actor: Any, settings: Settings, name: str) -> None:
    """Log to the actor's file and start it, on the loop that its process runs."""
    log_to_file(settings, name)
    log.info("%s runs as process %d", name, os.getpid())
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
