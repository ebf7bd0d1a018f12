"""A router that is told to stop stops, at whatever moment: Python 3.11's ``wait_for`` loses a cancellation that comes
while what it waited for has just happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from phonefarm.actors.ports import FarmChange
from phonefarm.actors.router import Router
from phonefarm.models.queue import QueueSnapshot, WaitingItem

pytestmark = pytest.mark.timeout(20)


#: What waits for its time makes the router rest with a time-out.
LATER = WaitingItem(item_id="i", process_id="p", priority=5, created_at=0, ready_at=4_000_000_000_000)


class QuietFarm:
    async def snapshot(self) -> QueueSnapshot:
        return QueueSnapshot(waiting=(LATER,), running=(), phones=(), accounts=(), undelivered=())


def no_phone(_phone_id: str) -> Any:
    raise AssertionError("there is none")


@pytest.mark.parametrize("steps", range(8))
async def test_it_stops_so_many_steps_after_news(steps: int) -> None:
    router = Router(manager=QuietFarm(), phone=no_phone)  # type: ignore[arg-type]
    await router.start()
    while not router._loaded.is_set():
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)  # it rests; if it does not yet, the test asks less
    await router.changed(FarmChange())
    for _ in range(steps):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(router.stop())
    done, _ = await asyncio.wait([stopping], timeout=5)
    assert done
