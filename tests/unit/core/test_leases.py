"""How long a phone may work without having been answered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.leases import SAFETY, grant_stop_at, stop_at
from phonefarm.models.clock import Moment, clock_name, monotonic_moment


def at(seconds: float, clock: str = "boot 1") -> Moment:
    return Moment(clock=clock, seconds=seconds)


@given(asked=st.floats(0, 1e6), later=st.floats(0, 100), term=st.floats(1, 60))
def test_a_grant_holds_from_before_it_was_asked_for(asked: float, later: float, term: float) -> None:
    now, ends = asked + later, stop_at(asked, term)
    assert grant_stop_at(at(asked), at(now), term) == (ends if now < ends else None)
    assert ends <= asked + SAFETY * term


@pytest.mark.parametrize(
    ("asked", "now"),
    [
        (None, at(10.0)),
        (at(10.0, "boot 2"), at(10.0)),
        (at(10.0, ""), at(10.0, "")),
        (at(10.0), at(10.0 + SAFETY * 30.0)),
    ],
    ids=["nobody said when", "another machine", "no name to compare", "too long ago"],
)
def test_a_grant_of_which_the_age_is_not_known_does_not_hold(asked: Moment | None, now: Moment) -> None:
    assert grant_stop_at(asked, now, 30.0) is None


def test_all_processes_of_a_machine_have_one_clock_until_it_boots_or_changes_its_namespace(tmp_path: Path) -> None:
    def machine(name: str, boot: str, namespace: str) -> str:
        proc = tmp_path / name
        (proc / "sys/kernel/random").mkdir(parents=True)
        (proc / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (proc / "self/ns").mkdir(parents=True)
        os.symlink(namespace, proc / "self/ns/time")
        return clock_name(proc)

    one = machine("one", "b1", "time:[1]")
    assert machine("two", "b1", "time:[1]") == one
    assert len({one, machine("booted", "b2", "time:[1]"), machine("contained", "b1", "time:[2]")}) == 3
    assert clock_name(tmp_path / "none") == ""


def test_this_machine_has_a_clock_that_goes_on() -> None:
    first, second = monotonic_moment(), monotonic_moment()
    assert first.clock == second.clock != ""
    assert first.seconds <= second.seconds
