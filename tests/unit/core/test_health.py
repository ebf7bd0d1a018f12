"""Fit or not, trusted or not: the decisions alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.health import GIB, Trust, full_since, unfit
from phonefarm.models.phone import Battery, PhoneFacts
from phonefarm.settings import HealthSettings, Limits, Patience


def facts(
    level: int | None = 80, temperature: float | None = 30.0, charging: bool | None = True, free: int | None = 9 * GIB
) -> PhoneFacts:
    battery = Battery(level=level, temperature=temperature, charging=charging)
    return PhoneFacts(phone_id="p", battery=battery, storage_free=free)


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("phone", "words"),
    [
        (facts(), None),
        (facts(level=20, charging=False), None),
        (facts(level=19, charging=False), "battery at 19 %, needs 20 % when it does not charge"),
        (facts(level=10), None),
        (facts(level=9), "battery at 9 %, needs 10 % while it charges"),
        (facts(temperature=42.0), None),
        (facts(temperature=42.1), "battery at 42.1 degrees Celsius, at most 42"),
        (facts(free=GIB), None),
        (facts(free=GIB // 2), "0.50 GiB of storage free, needs 1 GiB"),
        (facts(level=None, temperature=None, charging=None, free=None), None),
        (facts(level=19, charging=None), "battery at 19 %, needs 20 %"),
    ],
)
def test_a_phone_is_unfit_for_a_reason_that_is_shown(phone: PhoneFacts, words: str | None) -> None:
    why = unfit(phone, Limits())
    assert why is None if words is None else words in (why or "")


def test_every_reason_is_named() -> None:
    why = unfit(facts(level=1, temperature=60.0, free=0), Limits()) or ""
    assert why.count(";") == 2


def test_a_group_has_its_own_limits_and_of_several_the_strictest_count() -> None:
    health = HealthSettings(groups={"a": {"battery": 50, "temperature": 45}, "b": {"battery": 30, "temperature": 38}})
    assert health.limits_for(()) == Limits()
    assert health.limits_for(("a",)) == Limits(battery=50, temperature=45)
    assert health.limits_for(("a", "b", "c")) == Limits(battery=50, temperature=38)


HOUR = 3_600_000


def test_a_battery_is_full_from_100_until_it_is_used() -> None:
    full, topped, used = (Battery(level=level, charging=True) for level in (100, 96, 94))
    assert full_since(None, full, 5) == 5
    assert full_since(5, full, 5 + HOUR) == 5
    assert full_since(5, topped, 5 + HOUR) == 5
    assert full_since(None, topped, 5) is None
    assert full_since(5, used, 5 + HOUR) is None
    assert full_since(5, Battery(level=100, charging=False), 6) is None
    assert full_since(5, Battery(), 6) is None


def test_a_phone_that_comes_and_goes_is_set_apart_until_it_was_clean_some_times() -> None:
    trust = Trust(patience=Patience(losses=3, seconds=60, clean=2))
    trust.lost(0.0)
    trust.lost(10.0)
    assert trust.why is None
    trust.lost(20.0)
    assert "lost 3 times" in (trust.why or "")
    assert "2 more clean checks" in (trust.why or "")
    trust.clean()
    trust.lost(30.0)
    trust.clean()
    assert trust.why is not None, "a loss begins the count anew"
    trust.clean()
    assert trust.why is None
    trust.lost(40.0)
    assert trust.why is None, "what was is forgotten"


def test_losses_far_apart_do_not_count_together_and_an_operator_pardons() -> None:
    trust = Trust(patience=Patience(losses=2, seconds=60))
    trust.lost(0.0)
    trust.lost(60.0)
    assert trust.why is None
    trust.lost(61.0)
    assert trust.why is not None
    trust.pardon()
    assert trust.why is None


@given(st.lists(st.floats(min_value=0, max_value=1000), max_size=30), st.integers(1, 6), st.floats(1, 500))
def test_set_apart_exactly_when_enough_losses_lie_close(times: list[float], losses: int, seconds: float) -> None:
    times.sort()
    trust = Trust(patience=Patience(losses=losses, seconds=seconds))
    for time in times:
        trust.lost(time)
    close = any(times[i] > times[i + losses - 1] - seconds for i in range(len(times) - losses + 1))
    assert (trust.why is not None) == close
