"""The manager's desk for callbacks, keys and numbers, on both databases."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from phonefarm.core import metrics
from phonefarm.core.tally import value_of
from phonefarm.errors import Conflict, NotFound
from phonefarm.models.clock import new_id
from phonefarm.models.outbox import CallbackState, Delivery
from phonefarm.models.process import KeyCommand
from tests.farmtools import local_farm, submission

pytestmark = pytest.mark.timeout(90)


def key(name: str, secret: str = "") -> KeyCommand:
    digest = hashlib.sha256((secret or name).encode()).hexdigest()
    return KeyCommand(name=name, digest=digest, scopes=("submit", "read"), system="ci")


async def test_keys_are_made_listed_and_revoked(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        made = await farm.manager.create_key(key("ci"))
        assert (made["name"], made["scopes"], made["system"]) == ("ci", ["submit", "read"], "ci")
        assert made["revoked_at"] is None
        assert "digest" not in str(await farm.manager.list_keys())
        (row,) = await farm.manager.key_rows()
        assert (row.name, row.scopes, row.system) == ("ci", ("submit", "read"), "ci")
        for again in (key("ci", "other"), key("other", "ci")):
            with pytest.raises(Conflict) as refused:
                await farm.manager.create_key(again)
            assert refused.value.problem_code == "key_exists"
        first = await farm.manager.revoke_key("ci")
        assert first["revoked_at"] is not None
        assert await farm.manager.revoke_key("ci") == first
        assert await farm.manager.key_rows() == []
        with pytest.raises(Conflict):
            await farm.manager.create_key(key("ci", "new"))
        with pytest.raises(NotFound):
            await farm.manager.revoke_key("nobody")


async def test_keys_outlive_the_manager(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.manager.create_key(key("ci"))
        await farm.restart_manager()
        assert [row.name for row in await farm.manager.key_rows()] == ["ci"]


async def test_callbacks_are_paged_and_filtered(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        for _ in range(5):
            await farm.manager.submit_many([submission()])
        found: list[str] = []
        cursor = None
        while True:
            page = await farm.manager.list_callbacks(limit=2, cursor=cursor)
            found += [c["event_id"] for c in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert len(set(found)) == 5
        assert (await farm.manager.list_callbacks(state="dead"))["items"] == []
        assert len((await farm.manager.list_callbacks(state="pending"))["items"]) == 5


async def test_a_dead_callback_is_delivered_again_from_the_start(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        order = submission()
        await farm.manager.submit_many([order])
        (due,) = (await farm.manager.due_callbacks(10)).callbacks
        dead = Delivery(event_id=due.event_id, process_id=due.process_id, state=CallbackState.DEAD, error="http_500")
        await farm.manager.callbacks_done([dead])
        assert (await farm.manager.due_callbacks(10)).callbacks == ()
        view = await farm.manager.redeliver(due.event_id)
        assert (view["state"], view["attempts"], view["error"]) == ("pending", 0, None)
        assert [c.event_id for c in (await farm.manager.due_callbacks(10)).callbacks] == [due.event_id]
        kinds = [e["kind"] for e in (await farm.manager.process_events(order.process_id))["items"]]
        assert kinds == ["process.accepted", "callback.died", "callback.redelivered"]
        with pytest.raises(NotFound) as refused:
            await farm.manager.redeliver(new_id())
        assert refused.value.problem_code == "unknown_callback"


async def test_the_numbers_of_the_farm(db_url: str, tmp_path: Path) -> None:
    now = [1_790_000_000_000]
    async with local_farm(db_url, tmp_path, clock=lambda: now[0]) as farm:
        await farm.manager.submit_many([submission(), submission()])
        now[0] += 5_000
        numbers = await farm.manager.metrics()
        expected: dict[tuple[Any, ...], float] = {
            (metrics.PROCESSES, "queued"): 2,
            (metrics.PROCESSES, "completed"): 0,
            (metrics.REQUESTS, "keyword_warmup", "accepted"): 2,
            (metrics.QUEUE_ITEMS,): 2,
            (metrics.QUEUE_OLDEST,): 5,
            (metrics.CALLBACKS, "pending"): 2,
            (metrics.CALLBACKS, "dead"): 0,
            (metrics.PHONES, "available"): 0,
        }
        assert {key: value_of(numbers, *key) for key in expected} == expected
        commits, size = value_of(numbers, metrics.COMMITS), value_of(numbers, metrics.DATABASE_BYTES)
        assert isinstance(commits, float)
        assert isinstance(size, float)
        assert commits > 0
        assert size > 10_000
