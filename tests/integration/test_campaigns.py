"""Campaigns on a whole farm in this process: HTTP, manager, router and phone actors are real; the phones are fakes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from phonefarm.cli.maintain.campaign import Outcome, again, begin
from phonefarm.cli.maintain.keep import Keep
from phonefarm.cli.maintain.planner import Standing, Terms
from phonefarm.cli.maintain.running import Ended, Manner, Run, recovered
from phonefarm.cli.maintain.selection import choose, parse
from phonefarm.cli.maintain.steps import parse_steps
from phonefarm.client import Farm
from phonefarm.errors import ApkMissing, ConfigError
from phonefarm.models.action import ActionKind
from phonefarm.models.process import OperateCommand, Operation, OperationScope
from phonefarm.serve.app import create_app
from phonefarm.serve.auth import KeyRing
from phonefarm.store.engine import sqlite_url
from tests.farmtools import LocalFarm, local_farm
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(240)
KEY = "pf_key_of_the_campaigns"
SELECT = "group=rack1,android>=13"
STEPS = parse_steps(["reboot", "health_check"])


@asynccontextmanager
async def rack(directory: Path, phones: int) -> AsyncIterator[tuple[LocalFarm, str]]:
    """A farm with phones P1, P2, ... in group rack1, and its URL."""
    async with local_farm(sqlite_url(directory / "farm.db"), directory) as farm:
        app = create_app(farm.manager, keys=KeyRing.single(KEY), phone=farm._phone)
        async with served(app) as url:
            await asyncio.gather(*(farm.add_phone(f"P{number}", "rack1") for number in range(1, phones + 1)))
            yield farm, url


async def operate(farm: LocalFarm, operation: str, reason: str) -> None:
    scope, operation_ = OperationScope.PHONE, Operation(operation)
    await farm.manager.operate(OperateCommand(scope=scope, name="P6", operation=operation_, reason=reason, by="ops"))


def rebooted(farm: LocalFarm) -> list[str]:
    return sorted(phone for phone, _, action in farm.log if action.kind is ActionKind.REBOOT)


async def campaign(url: str, directory: Path, terms: Terms, steps: tuple[dict[str, Any], ...] = STEPS) -> Ended:
    """One run, going on with what is kept in ``directory``."""

    def run() -> Ended:
        keep = Keep(directory, "spring")
        with Farm(url, KEY) as farm, keep.alone():
            chosen = choose(parse(SELECT), farm.phones())
            made = keep.load() or recovered(begin("spring", SELECT, steps, chosen.phones, chosen.unknown), farm, "ops")
            made = again(made, terms, retry_failed=False)
            manner = Manner(system="ops")
            return Run(made, farm, keep, manner=manner, tell=lambda *_: None, sleep=lambda _: time.sleep(0.02)).run()

    return await asyncio.to_thread(run)


async def test_a_campaign_reports_every_phone_and_running_it_again_does_nothing_twice(tmp_path: Path) -> None:
    async with rack(tmp_path, 6) as (farm, url):
        await operate(farm, "pause", "new cable")
        farm.devices["P4"].errors = [ApkMissing("no such file")]
        terms = Terms(canary=1, wave=2, max_failures=1)
        ended = await campaign(url, tmp_path / "a", terms)
        standings = {one.phone_id: one.standing for one in ended.campaign.records}
        assert ended.outcome is Outcome.SOME_FAILED
        assert standings == {**dict.fromkeys(("P1", "P2", "P3", "P5"), Standing.DONE),
                             "P4": Standing.FAILED, "P6": Standing.WAITING}  # fmt: skip
        assert dict(ended.away) == {"P6": "paused: new cable (by ops)"}
        assert [one.why for one in ended.campaign.records if one.why] == ["apk_missing: no such file"]
        done = rebooted(farm)
        assert [phone for phone in done if phone != "P4"] == ["P1", "P2", "P3", "P5"]
        assert (await farm.manager.list_callbacks())["items"] == [], "nobody listens, so nothing waits to be sent"

        await operate(farm, "resume", "the cable is new")
        await farm.until(lambda: farm._state_is("P6", "available"))
        assert (await campaign(url, tmp_path / "a", terms)).outcome is Outcome.SOME_FAILED
        assert rebooted(farm) == sorted([*done, "P6"]), "only the phone that was away got its turn"
        ended = await campaign(url, tmp_path / "elsewhere", terms)
        assert (ended.outcome, rebooted(farm)) == (Outcome.SOME_FAILED, sorted([*done, "P6"]))
        with pytest.raises(ConfigError, match="with other steps"):
            await campaign(url, tmp_path / "third", terms, parse_steps(["reboot"]))


async def test_a_run_that_is_told_to_end_goes_on_where_it_was(tmp_path: Path) -> None:
    async with rack(tmp_path, 3) as (farm, url):
        farm.devices["P1"].gate.clear()
        words = ("--select", SELECT, "--step", "reboot", "--step", "health_check", "--campaign", "spring")
        more = ("--system", "ops", "--canary", "2", "--url", url, "--key", KEY, "--state-dir", str(tmp_path), "--json")
        first = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "phonefarm.cli", "maintain", *words, *more, stdout=asyncio.subprocess.PIPE
        )
        await farm.until(farm.devices["P1"].started.is_set, 120)
        first.send_signal(signal.SIGTERM)
        output, _ = await first.communicate()
        assert json.loads(output.decode().splitlines()[-1])["event"] == "interrupted"
        assert first.returncode == 128 + signal.SIGTERM
        assert "P3" not in rebooted(farm)
        farm.devices["P1"].gate.set()
        ended = await campaign(url, tmp_path, Terms(canary=2))
        assert (ended.outcome, rebooted(farm)) == (Outcome.DONE, ["P1", "P2", "P3"])


async def test_a_paused_campaign_lets_what_has_begun_end_and_goes_on_later(tmp_path: Path) -> None:
    async with rack(tmp_path, 2) as (farm, url):
        farm.devices["P1"].gate.clear()
        run = asyncio.create_task(campaign(url, tmp_path, Terms()))
        await farm.until(farm.devices["P1"].started.is_set)
        keep = Keep(tmp_path, "spring")
        keep.ask_pause("a session is due")
        farm.devices["P1"].gate.set()
        paused = await run
        assert (paused.outcome, paused.why, rebooted(farm)) == (Outcome.PAUSED, "paused: a session is due", ["P1"])
        keep.end_pause()
        assert (await campaign(url, tmp_path, Terms())).outcome is Outcome.DONE
        assert rebooted(farm) == ["P1", "P2"]
