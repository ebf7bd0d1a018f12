"""Campaigns whatever happens: what phones do, and where a run is killed or paused, is Hypothesis's choice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.cli.maintain import running
from phonefarm.cli.maintain.campaign import Campaign, Outcome, again, begin, in_turn
from phonefarm.cli.maintain.planner import Standing, Terms
from phonefarm.cli.maintain.running import Ended, Manner, Run, recovered
from phonefarm.client import Unreachable
from tests.unit.cli.maintain.memoryfarm import AWAY, DONE, EXPIRES, FAILED, Crash, MemoryFarm

pytestmark = pytest.mark.timeout(120)
STEPS: tuple[Mapping[str, Any], ...] = ({"action": "reboot", "params": {}},)

fates = st.lists(st.sampled_from([DONE, DONE, DONE, FAILED, EXPIRES, AWAY]), min_size=1, max_size=14).map(
    lambda found: {f"P{number:02d}": fate for number, fate in enumerate(found)}
)
terms = st.builds(Terms, canary=st.integers(0, 4), wave=st.integers(1, 5), max_failures=st.integers(0, 4))


def fresh(farm: MemoryFarm) -> Campaign:
    phones = [{"phone_id": phone_id, "host": "h", "model": "m"} for phone_id in farm.fates]
    made = recovered(begin("c", "all", STEPS, phones), farm, "s")
    return again(made, farm.terms, retry_failed=False)


def run(farm: MemoryFarm, campaign: Campaign) -> Ended:
    clock = iter(range(10**9))
    return Run(
        campaign, farm, farm, manner=Manner(), tell=lambda *_: None, sleep=farm.sleep, clock=lambda: next(clock)
    ).run()


def standings(campaign: Campaign) -> dict[str, Standing]:
    return {record.phone_id: record.standing for record in campaign.records}


def check_the_books(farm: MemoryFarm, ended: Ended) -> None:
    """What holds for every run: see ``planner``; that canaries come first is checked by the farm itself."""
    assert farm.most_at_once <= farm.terms.wave
    assert len(farm.touched) == len(set(farm.touched)), "a phone was touched twice"
    found = standings(ended.campaign)
    assert {phone for phone, how in found.items() if how in (Standing.DONE, Standing.FAILED)} == set(farm.touched)
    assert Standing.SENT not in found.values(), "a run waits for what it has begun"
    failed = [one for one in ended.campaign.records if one.standing is Standing.FAILED]
    for record in ended.campaign.records:
        before = [one for one in failed if one.wave is not None and record.wave is not None and one.wave < record.wave]
        assert len(before) <= farm.terms.max_failures, f"{record.phone_id} was touched after too many had failed"


def check_the_end(farm: MemoryFarm, ended: Ended) -> None:
    found = standings(ended.campaign)
    if ended.outcome is Outcome.STOPPED:
        assert all(phone in ended.why for phone, how in list(found.items()) if how is Standing.FAILED)
        return
    expected = {DONE: Standing.DONE, FAILED: Standing.FAILED, EXPIRES: Standing.MISSED, AWAY: Standing.WAITING}
    assert found == {phone: expected[fate] for phone, fate in farm.fates.items()}
    assert dict(ended.away) == {phone: "offline" for phone, fate in farm.fates.items() if fate == AWAY}
    told = ((FAILED, Outcome.SOME_FAILED), (EXPIRES, Outcome.NOT_ALL_REACHED), (AWAY, Outcome.NOT_ALL_REACHED))
    assert ended.outcome is next((out for fate, out in told if fate in farm.fates.values()), Outcome.DONE)


@given(fates, terms, st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_campaign_keeps_its_terms(fates: dict[str, str], terms: Terms, seed: int) -> None:
    farm = MemoryFarm(fates, terms, seed)
    ended = run(farm, fresh(farm))
    check_the_books(farm, ended)
    check_the_end(farm, ended)


def settled(ended: Ended) -> dict[str, Standing]:
    """Where phones stand, without those that the stop rule found under way: what had begun of a wave is chance."""
    stopped = ended.outcome is Outcome.STOPPED
    last = max((one.wave for one in ended.campaign.records if one.wave is not None), default=0)
    return {one.phone_id: one.standing for one in ended.campaign.records if not (stopped and one.wave == last)}


crashes = st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.booleans()), max_size=3)


@given(fates, terms, crashes, st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_a_run_that_is_killed_anywhere_and_run_again_has_the_same_end(
    fates: dict[str, str], terms: Terms, crashes: list[tuple[int, bool, bool]], seed: int
) -> None:
    """``crashes``: after how many calls, whether the call had its effect, whether the campaign's file is lost."""
    calm = MemoryFarm(fates, terms, seed)
    expected = run(calm, fresh(calm))
    farm = MemoryFarm(fates, terms, seed + 1)
    campaign = fresh(farm)
    for calls, after, lost in crashes:
        farm.crash_at, farm.crash_after = farm.calls + calls, after
        with contextlib.suppress(Crash):
            run(farm, campaign)
        farm.crash_at = None
        campaign = again(farm.load(), terms, retry_failed=False) if farm.saved and not lost else fresh(farm)
    ended = run(farm, campaign)
    check_the_books(farm, ended)
    if not any(lost for *_, lost in crashes) or expected.outcome is not Outcome.STOPPED:
        assert settled(ended) == settled(expected)
    assert ended.outcome is expected.outcome


@given(fates, terms, st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_paused_campaign_leaves_nothing_running_and_goes_on(
    fates: dict[str, str], terms: Terms, pause_at: int, seed: int
) -> None:
    farm = MemoryFarm(fates, terms, seed)
    farm.pause_at = pause_at
    paused = run(farm, fresh(farm))
    check_the_books(farm, paused)
    farm.pause_at = None
    ended = run(farm, again(farm.load(), terms, retry_failed=False))
    check_the_books(farm, ended)
    check_the_end(farm, ended)


@given(fates, terms, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_running_it_again_touches_only_what_was_not_reached(fates: dict[str, str], terms: Terms, seed: int) -> None:
    farm = MemoryFarm(fates, terms, seed)
    first = run(farm, fresh(farm))
    touched = list(farm.touched)
    farm.fates = {phone: DONE if fate in (EXPIRES, AWAY) else fate for phone, fate in fates.items()}
    ended = run(farm, again(farm.load(), terms, retry_failed=False))
    check_the_books(farm, ended)
    assert farm.touched[: len(touched)] == touched
    if first.outcome is Outcome.STOPPED:
        assert farm.touched == touched, "a stopped campaign stays stopped"
    else:
        assert set(farm.touched) == set(fates)


def test_phones_that_failed_are_tried_again_if_asked_for() -> None:
    farm = MemoryFarm({"A": FAILED, "B": DONE}, Terms(canary=1), 1)
    assert run(farm, fresh(farm)).why == "a canary failed: A"
    farm.fates = {"A": DONE, "B": DONE}
    assert run(farm, again(farm.load(), farm.terms, retry_failed=False)).outcome is Outcome.STOPPED
    assert run(farm, again(farm.load(), farm.terms, retry_failed=True)).outcome is Outcome.DONE
    assert farm.touched == ["A", "A", "B"]


class Shaky(MemoryFarm):
    """A farm that is away every other time."""

    away = True

    def phones(self) -> list[dict[str, Any]]:
        self.away = not self.away
        if not self.away:
            raise Unreachable("nobody there")
        return super().phones()


def test_a_farm_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    farm = Shaky({"A": DONE, "B": DONE}, Terms(), 1)
    assert run(farm, fresh(farm)).outcome is Outcome.DONE
    monkeypatch.setattr(running, "AWAY_SECONDS", -1.0)
    with pytest.raises(Unreachable):
        run(farm, fresh(farm))


def test_hosts_and_models_take_turns() -> None:
    phones = [{"phone_id": f"P{n}", "host": "h1" if n < 4 else "h2", "model": "m"} for n in range(6)]
    assert [phone["phone_id"] for phone in in_turn(phones)] == ["P0", "P4", "P1", "P5", "P2", "P3"]
