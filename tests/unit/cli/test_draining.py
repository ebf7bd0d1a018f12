"""``drain`` and ``down --drain`` against a farm with answers made beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phonefarm.cli import run
from phonefarm.cli.draining import NotQuiet, drain_before_down, drained_before, resume_drained, wait_quiet
from phonefarm.cli.statedir import StateDir
from phonefarm.client import Farm
from phonefarm.settings import API_KEY_ENV
from tests.unit.cli.fakefarm import KEY, FakeFarm, fake_farm

pytestmark = pytest.mark.timeout(30)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFarm]:
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    monkeypatch.setattr("phonefarm.cli.draining._TICK", 0.01)
    with fake_farm() as made:
        yield made


def phone(phone_id: str, state: str = "available", *, draining: bool = False, host: str = "h1") -> dict[str, Any]:
    return {"phone_id": phone_id, "state": state, "draining": draining, "host": host}


def listed(*phones: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"items": list(phones), "next_cursor": None}


def at(farm: FakeFarm, tmp_path: Path, *words: str) -> list[str]:
    return [*words, "--url", farm.url, "--key", KEY, "--state-dir", str(tmp_path)]


def test_a_host_is_drained_and_waited_for(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    busy, quiet = phone("A", "busy", draining=True), phone("A", "paused")
    farm.answers["POST /hosts/h1/drain"] = [listed(busy, phone("B", "paused"))]
    farm.answers["GET /phones"] = [listed(busy, phone("C", "busy", draining=True)), listed(busy), listed(quiet)]
    assert run(at(farm, tmp_path, "drain", "host", "h1", "--reason", "new power supply")) == 0
    told = capsys.readouterr().out
    assert told.count("1 of 2 phones still work: A") == 1, "said when it changes only"
    assert "host h1 is quiet, phones paused: 2" in told
    assert farm.asked[0] == ("POST /hosts/h1/drain", {"reason": "new power supply"})


def test_a_farm_is_drained_host_by_host(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["GET /hosts"] = [listed()]  # none has spoken for itself yet
    for host, name in (("h1", "A"), ("h2", "B")):
        farm.answers[f"POST /hosts/{host}/drain"] = [listed(phone(name, "paused"))]
    farm.answers["GET /phones"] = [listed(phone("A", "paused"), phone("B", "paused", host="h2"))]
    assert run(at(farm, tmp_path, "drain", "farm", "--json")) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["phones"]) == ("quiet", ["A", "B"])


def test_a_farm_has_no_name_and_the_others_have_one(farm: FakeFarm, tmp_path: Path) -> None:
    assert run(at(farm, tmp_path, "drain", "farm", "h1")) == 1
    assert run(at(farm, tmp_path, "drain", "host")) == 1
    assert farm.asked == []


def test_what_does_not_get_quiet_is_named(farm: FakeFarm) -> None:
    farm.answers["GET /phones"] = [listed(phone("A", "busy", draining=True))]
    with Farm(farm.url, KEY) as client, pytest.raises(NotQuiet, match="1 of 1 phones still work: A"):
        wait_quiet(client, {"A"}, 0.0, lambda _line: None)


def test_phones_that_were_drained_for_a_restart_are_resumed_and_no_others(farm: FakeFarm, tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    before = listed(phone("A", "busy"), phone("B", "paused"), phone("C", "quarantined"))
    farm.answers["GET /phones"] = [before, before, listed(phone("A", "paused"), phone("B", "paused"))]
    farm.answers["POST /hosts/h1/drain"] = [listed(phone("A", "busy", draining=True), phone("B", "paused"))]
    farm.answers["POST /phones/A/resume"] = [(200, phone("A", "checking"))]
    with Farm(farm.url, KEY) as client:
        drain_before_down(client, state, 5.0, lambda _line: None)
        assert drained_before(state) == {"A"}
        resume_drained(client, state)
    assert [line for line, _ in farm.asked if line.endswith("/resume")] == ["POST /phones/A/resume"]
    assert drained_before(state) == set()
