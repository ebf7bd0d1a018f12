"""Plans of faults: what is refused, when things happen, and that they do happen to phones and pass again."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from phonefarm.vphone import HostConfig, VPhoneHost
from phonefarm.vphone.faultplan import PlanError, carry_out, parse_plan, read_plan

pytestmark = pytest.mark.timeout(20)

BAD: dict[str, Any] = {
    "nothing": None,
    "no list": {"faults": {}},
    "another key": {"faults": [], "sede": 1},
    "seed": {"seed": "x", "faults": []},
    "unknown action": {"faults": [{"do": "like"}]},
    "chance": {"faults": [{"do": "drop", "chance": 1.5}]},
    "negative": {"faults": [{"do": "drop", "at": -1}]},
    "not a number": {"faults": [{"do": "drop", "every": True}]},
    "times": {"faults": [{"do": "drop", "times": 0}]},
    "phones": {"faults": [{"do": "drop", "phones": "VP000001"}]},
    "what cannot last": {"faults": [{"do": "drop", "lasts": 1}]},
}


@pytest.mark.parametrize("name", BAD)
def test_plans_that_make_no_sense(name: str) -> None:
    with pytest.raises(PlanError):
        parse_plan(BAD[name])


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 3\nfaults:\n  - {do: drop, every: 2, times: 2}\n  - {do: reset, at: 3}\n")
    moments = [(when, rule.body["do"]) for when, rule in read_plan(path).moments("VP000001")]
    assert moments == [(2.0, "drop"), (3.0, "reset"), (4.0, "drop")]
    path.write_text("faults: [")
    with pytest.raises(PlanError, match="not YAML"):
        read_plan(path)


def test_chances_depend_on_seed_rule_and_phone_alone() -> None:
    def first(seed: int, serialno: str) -> list[float]:
        plan = parse_plan({"seed": seed, "faults": [{"do": "drop", "every": 1, "chance": 0.3}]})
        return [when for when, _ in islice(plan.moments(serialno), 30)]

    assert first(1, "VP000001") == first(1, "VP000001")
    assert first(1, "VP000001") != first(1, "VP000002")
    assert first(1, "VP000001") != first(2, "VP000001")
    assert 30 / 0.3 * 0.5 < first(1, "VP000001")[-1] < 30 / 0.3 * 2


async def test_faults_come_and_go() -> None:
    plan = parse_plan(
        {
            "faults": [
                {"do": "set_fault", "fault": "popup", "value": "hi", "phones": ["VP000001"], "lasts": 0.05},
                {"do": "remove_package", "package": "org.phonefarm.reader"},
                {"do": "remove_package", "package": "no.such.app"},
                {"do": "rotate", "quarter": 1},
            ]
        }
    )
    said: list[str] = []
    async with VPhoneHost(HostConfig(phones=2)) as host:
        one, two = host.phones.values()
        await carry_out(plan, host.phones, said.append)
        assert one.android.faults.text("popup") == "hi"
        assert not two.android.faults.on("popup")
        assert "org.phonefarm.reader" not in two.android.packages
        assert two.android.size == (2400, 1080)
        assert sorted(said) == [f"{p.serialno}: remove_package failed: 'no.such.app'" for p in (one, two)]
        while one.android.faults.on("popup"):
            await asyncio.sleep(0)


async def test_a_host_carries_out_its_plan_and_stops_it() -> None:
    plan = parse_plan({"faults": [{"do": "set_battery", "level": 3}, {"do": "drop", "every": 0.001}]})
    async with VPhoneHost(HostConfig(phones=1, plan=plan)) as host:
        (phone,) = host.phones.values()
        while phone.android.battery.level != 3:
            await asyncio.sleep(0)
