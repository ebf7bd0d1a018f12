"""The manager's numbers as work goes by: what a request leaves in them, how often they are read, who else is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from phonefarm.actors import manager_desk
from phonefarm.core import metrics
from phonefarm.core.leases import BEATS_PER_TERM
from phonefarm.core.metrics import Metric
from phonefarm.core.tally import Distribution, Observation, Sample, value_of
from phonefarm.models.phone import HostReport
from tests.databases import new_sqlite
from tests.farmtools import LocalFarm, local_farm, submission

pytestmark = pytest.mark.timeout(60)


async def number(farm: LocalFarm, metric: Metric, *labels: str) -> float:
    """As it is now, not as it was read up to a second ago."""
    farm.manager._reading = None
    value = value_of(await farm.manager.metrics(), metric, *labels)
    return float(value.count) if isinstance(value, Distribution) else float(value or 0.0)


async def test_what_a_request_that_ran_leaves_in_the_numbers(tmp_path: Path) -> None:
    async with local_farm(new_sqlite(tmp_path), tmp_path) as farm:
        await farm.add_phone("P1")
        order = submission()
        for _ in range(2):
            await farm.manager.submit_many([order, submission(request_id=order.request_id)])
        view = await farm.status_of(order.process_id, "completed")
        assert await number(farm, metrics.REQUESTS, "keyword_warmup", "accepted") == 1
        assert await number(farm, metrics.REQUESTS, "keyword_warmup", "duplicate") == 2
        assert await number(farm, metrics.CLAIM_WAIT) == 1
        assert await number(farm, metrics.FIRST_COMMAND) == 1
        assert await number(farm, metrics.ACTION_SECONDS, "watch", "finished") == 2
        assert await number(farm, metrics.ATTEMPTS, "finished") == 1
        assert await number(farm, metrics.PROCESSES, "completed") == 1
        assert await number(farm, metrics.CALLBACKS, "pending") == 3
        assert view["attempts"] == 1
        await farm.restart_manager()
        assert await number(farm, metrics.PROCESSES, "completed") == 1, "counted anew"
        assert await number(farm, metrics.ATTEMPTS, "finished") == 0, "counters begin again"
        assert await number(farm, metrics.EPOCH) == 2


async def test_however_many_ask_the_numbers_are_read_once_a_second(tmp_path: Path) -> None:
    async with local_farm(new_sqlite(tmp_path), tmp_path) as farm:
        reads: list[Any] = []
        read = farm.manager._db.read

        async def counted(query: Any) -> Any:
            reads.append(query)
            return await read(query)

        farm.manager._db.read = counted  # type: ignore[method-assign]
        await asyncio.gather(*(farm.manager.metrics() for _ in range(20)))
        assert len(reads) == 1
        farm.manager._reading_until = 0.0  # the second is over
        await farm.manager.metrics()
        assert len(reads) == 2


async def test_after_a_commit_of_which_nobody_knows_the_numbers_are_counted_anew(tmp_path: Path) -> None:
    async with local_farm(new_sqlite(tmp_path), tmp_path) as farm:
        await farm.manager.submit_many([submission()])
        farm.manager._tally.add(metrics.PROCESSES, "queued")  # as if it had been told twice
        assert await number(farm, metrics.PROCESSES, "queued") == 2
        farm.manager._catch_up_with_doubt()
        assert await number(farm, metrics.PROCESSES, "queued") == 1


async def test_signs_of_life_that_did_not_come_are_counted_when_one_does(tmp_path: Path) -> None:
    async with local_farm(new_sqlite(tmp_path), tmp_path) as farm:
        report = HostReport(name="local", adb_port=1)
        await farm.manager.report_host(report)
        assert await number(farm, metrics.HEARTBEATS_MISSED, "local") == 0
        beat = farm.manager._config.host_seconds / BEATS_PER_TERM
        farm.manager._beats["local"] -= 3 * beat
        await farm.manager.report_host(report)
        assert await number(farm, metrics.HEARTBEATS_MISSED, "local") == 2
        assert await number(farm, metrics.HOST_UP, "local") == 1


def value_actions(samples: Sequence[Sample]) -> int:
    found = (s.value for s in samples if s.name == metrics.ACTION_SECONDS.name)
    return sum(value.count for value in found if isinstance(value, Distribution))


class Told:
    """Fulfils ``Mirror``."""

    def __init__(self) -> None:
        self.samples: list[Sequence[Sample]] = []
        self.observed: list[Observation] = []

    def take(self, samples: Sequence[Sample], observed: Sequence[Observation]) -> None:
        self.samples.append(samples)
        self.observed += observed


async def test_the_mirror_is_told_now_and_then(tmp_path: Path) -> None:
    told = Told()
    async with local_farm(new_sqlite(tmp_path), tmp_path) as farm:
        await farm.add_phone("P1")
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "completed")
        farm.manager._mirror, farm.manager._reading = told, None
        for _ in range(3):
            await farm.manager.tell_numbers()
        assert len(told.samples) == 1, "the next time is not yet"
        assert value_of(told.samples[0], metrics.PROCESSES, "completed") == 1
        assert {metrics.CLAIM_WAIT, metrics.ACTION_SECONDS} <= {metric for metric, _, _ in told.observed}
        farm.manager._told_at -= manager_desk.TOLD_SECONDS
        await farm.manager.tell_numbers()
        assert len(told.samples) == 2
        actions = [metric for metric, _, _ in told.observed if metric is metrics.ACTION_SECONDS]
        assert len(actions) == value_actions(told.samples[-1]), "each once"
