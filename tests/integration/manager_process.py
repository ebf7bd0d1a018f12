"""A manager in a process of its own, for tests that stop, kill and race real processes.

``python -m tests.integration.manager_process URL DIRECTORY``. Words on standard input, one answer a line:

``submit KEY``  a submission; ``accepted PROCESS_ID`` or the error's code
``hold NAME``   a change that writes a row and then stays inside its transaction; says ``holding``, later the outcome
``release``     lets the held change end
``ready``       says ``ready`` once the database is open
``why``         why the database is not usable

It says ``stale`` and ends with code 7 when another manager has taken over.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import PhoneFarmError
from phonefarm.models.process import Accepted
from phonefarm.store import epoch, postgresql, sqlite
from phonefarm.store.tables import meta
from phonefarm.store.writer import Tx
from tests.farmtools import LocalFarm, submission

STALE = 7


class Process(LocalFarm):
    """A farm without phones. ``open``: what holds the held change, until it is set."""

    def __init__(self, url: str, directory: Path) -> None:
        super().__init__(url, directory, terms=LeaseTerms(), clock=None)
        self.open = threading.Event()

    def _gone_stale(self) -> None:
        say("stale")
        os._exit(STALE)

    async def ready(self) -> str:
        await self.manager._db.opened.wait()
        await self.router._loaded.wait()
        return "ready"

    async def why(self) -> str:
        return str(self.manager._db._problem)

    async def submit(self, key: str) -> str:
        (answer,) = await self.manager.submit_many([submission(request_id=key)])
        return f"accepted {answer.process_id}" if isinstance(answer, Accepted) else answer.problem_code

    async def hold(self, name: str) -> str:
        def change(tx: Tx) -> None:
            tx.rows(sa.insert(meta).values(name=name, value=1))
            say("holding")
            self.open.wait()

        await self.manager._db.write(change)
        return "held"

    async def release(self) -> str:
        self.open.set()
        return "released"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def answer(work: Any) -> None:
    try:
        say(await work)
    except PhoneFarmError as error:
        say(error.code)


async def main(url: str, directory: Path) -> None:
    epoch.TAKE_OVER_SECONDS, sqlite.BUSY_MS, postgresql.IDLE_SECONDS = 1.0, 500, 600
    farm = Process(url, directory)
    starting = asyncio.gather(farm.manager.start(), farm.router.start())
    working: set[asyncio.Future[Any]] = {starting}
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, *rest = line.split()
        working.add(asyncio.ensure_future(answer(getattr(farm, word)(*rest))))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
