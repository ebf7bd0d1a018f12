"""Calls between the farm's parts get lost, before or after they were executed; nothing is lost and nothing done twice.

The scenario of the crash points, in one process, with a seeded share of all calls lost (``tests.chaos.lossy``) between
manager, router, phones, host, callback sender and client. What Ray itself does when its messages are lost is another
test's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import farm as chaos
from tests.chaos.checker import check
from tests.chaos.farm import Farm, Place, play
from tests.chaos.lossy import Losses
from tests.chaos.sink import Sink, sink
from tests.integration.test_crash_points import written, wrong_ends

pytestmark = pytest.mark.timeout(180)

#: Share of the calls lost on their way there, and of the answers lost on their way back.
SHARE = 0.1
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def sunk() -> Iterator[Sink]:
    with sink() as found:
        yield found


@pytest.mark.fault(15)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_with_a_call(
    db_url: str, tmp_path: Path, sunk: Sink, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in chaos.SHORT:
        monkeypatch.setattr(module, name, value)
    run = f"{tmp_path.parent.name}-{tmp_path.name}"
    place = Place(
        db_url=db_url, directory=tmp_path, callback_url=sunk.url(run), began_ms=round(time.time() * 1000)
    )  # fmt: skip
    losses = Losses(seed=seed, share=SHARE)
    await play(Farm(place, wrap=losses.wrap), place, 60.0)
    records = written(db_url, tmp_path, sunk.of(run))
    assert [*map(str, check(records)), *wrong_ends(records)] == []
    assert {who for who, _, _ in losses.lost} >= {"manager", "router", "sender", "client"}
    for row in records.rows.outbox:
        arrived = sum(d.event_id == row["id"] for d in records.deliveries)
        assert row["attempts"] == arrived, "an attempt to deliver is counted once"
