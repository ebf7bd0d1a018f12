"""``Stop`` asks the clock itself: nobody may have told a thread that woke up that its lease is over."""

from __future__ import annotations

import pytest

from phonefarm.actors.session import Stop
from phonefarm.errors import SessionStopped


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_that_is_over_stops_every_way_of_going_on() -> None:
    clock = Clock()
    stop = Stop(lambda: None, clock=clock)
    stop.lasts_until(10.0)
    clock.now = 9.9
    stop.check()
    assert stop.reason is None
    clock.now = 10.0
    for go_on in (stop.check, lambda: stop.pause(0.0)):
        with pytest.raises(SessionStopped, match="lease_lost"):
            go_on()
    assert stop.reason == "lease_lost"


def test_a_renewed_lease_goes_on() -> None:
    clock = Clock()
    stop = Stop(lambda: None, clock=clock)
    stop.lasts_until(10.0)
    stop.lasts_until(20.0)
    clock.now = 15.0
    stop.check()


def test_tidying_up_after_a_cancel_ends_with_the_lease_too() -> None:
    clock = Clock()
    stop = Stop(lambda: None, clock=clock)
    stop.lasts_until(10.0)
    stop.hard("cancelled")
    stop.calm()
    stop.check()
    clock.now = 11.0
    with pytest.raises(SessionStopped, match="lease_lost"):
        stop.check()
