"""A clock that is set takes nobody's lease away, and gives nobody one for an hour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from phonefarm.models.clock import new_id
from phonefarm.store import rescue
from phonefarm.store.steps import TOLERANCE_MS, Steps, step_between
from phonefarm.store.writer import Tx, Writer
from tests.farmtools import submission
from tests.unit.store.desk import TERMS, Desk

pytestmark = [pytest.mark.timeout(60), pytest.mark.fault(34)]

HOUR = 3_600_000


class Clocks(Desk):
    """A desk whose time can pass, or be set."""

    def __init__(self, db_url: str) -> None:
        super().__init__(db_url)
        self.writer.stop()
        self.steady = 0.0
        self.writer = Writer(
            self.engines, clock=lambda: self.now, steps=Steps(lambda: self.steady), on_stale=lambda: None
        )
        self.writer.start()

    def pass_by(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        self.steady += seconds

    def taken_back(self) -> bool:
        """Whether the rescue takes the attempt back now."""
        return bool(self.run(lambda tx: rescue.expire_leases(tx, new_id)).callbacks)


@contextmanager
def running(db_url: str) -> Iterator[Clocks]:
    """A phone works on an item."""
    here = Clocks(db_url)
    try:
        here.phone("A")
        (item,) = here.submit(submission())
        assert here.grant(item) is not None
        yield here
    finally:
        here.close()


@pytest.mark.parametrize("step", [HOUR, -HOUR, 24 * HOUR, TOLERANCE_MS + 2_000], ids=str)
def test_a_lease_holds_over_a_step_and_ends_when_its_time_has_passed(db_url: str, step: int) -> None:
    with running(db_url) as here:
        here.pass_by(2)
        here.now += step
        assert not here.taken_back(), "nobody was unheard for a whole lease"
        here.pass_by(TERMS.delivery_seconds - 3)
        assert not here.taken_back()
        here.pass_by(2)
        assert here.taken_back(), "and a dead phone's lease still ends on time"


def test_a_step_in_a_transaction_that_fails_is_followed_by_the_next(db_url: str) -> None:
    def fails(_tx: Tx) -> None:
        raise ZeroDivisionError

    with running(db_url) as here:
        here.now += HOUR
        with pytest.raises(ZeroDivisionError):
            here.run(fails)
        assert not here.taken_back()


def test_time_that_only_passes_is_no_step(db_url: str) -> None:
    with running(db_url) as here:
        here.pass_by(3_600)
        assert here.taken_back()


def test_what_counts_as_a_step() -> None:
    assert step_between(None, (5, 1.0)) == 0
    assert step_between((0, 0.0), (HOUR, 3_600.0)) == 0
    assert step_between((0, 0.0), (HOUR + TOLERANCE_MS, 3_600.0)) == 0
    assert step_between((0, 0.0), (HOUR, 0.0)) == HOUR
    assert step_between((HOUR, 0.0), (0, 1.0)) == -HOUR - 1_000
