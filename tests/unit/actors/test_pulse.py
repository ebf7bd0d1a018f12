"""A host's signs of life."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from phonefarm.actors import pulse as pulse_module
from phonefarm.actors.ports import ManagerPort
from phonefarm.actors.pulse import HostConfig, Pulse
from phonefarm.errors import StorageUnavailable
from phonefarm.models.phone import HostReport

pytestmark = [pytest.mark.timeout(20), pytest.mark.asyncio]
#: Seconds, so many that no beat comes by itself within the test's time.
NEVER = 3_600.0


class Opening:
    """A manager that opens its database while a host speaks so many times."""

    def __init__(self, refused: int) -> None:
        self.refused = refused
        self.heard: asyncio.Queue[HostReport] = asyncio.Queue()

    async def report_host(self, report: HostReport) -> bool:
        if self.refused:
            self.refused -= 1
            raise StorageUnavailable("the database is being opened")
        self.heard.put_nowait(report)
        return True


async def nobody() -> tuple[str, ...]:
    return ()


async def test_a_sign_of_life_that_was_not_heard_is_given_again_long_before_the_next_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a farm that has just been started does not know its own host for ten seconds."""
    monkeypatch.setattr(pulse_module, "_AGAIN", 0.01)
    manager = Opening(refused=3)
    config = HostConfig(name="h", beat_seconds=NEVER)
    pulse = Pulse(
        config, port=1, manager=cast(ManagerPort, manager), strangers=nobody, given_up=lambda: None
    )  # fmt: skip
    life = asyncio.create_task(pulse.run())
    await pulse.look()
    assert manager.heard.empty()
    assert (await manager.heard.get()).name == "h"
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    assert pulse._rest() == NEVER, "the next one is due when it always is"
