"""The schedule of retries, to the letter of the contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.callbacks.schedule import LONGEST, SHORTEST, asked_for, retry_in

pytestmark = pytest.mark.timeout(60)


def test_the_schedule() -> None:
    assert [retry_in(made, 0.0) for made in range(9)] == [5, 30, 120, 600, 3600, 10800, 21600, 43200, None]


@pytest.mark.fault(35)
@given(made=st.integers(0, 7), jitter=st.floats(0, 1))
def test_jitter_adds_at_most_a_fifth(made: int, jitter: float) -> None:
    plain, spread = retry_in(made, 0.0), retry_in(made, jitter)
    assert plain is not None
    assert spread is not None
    assert plain <= spread <= plain * 1.2


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, SHORTEST), (7.0, 7.0), (1e12, LONGEST)])
def test_what_a_receiver_asks_for_is_held_within_limits(seconds: float, pause: float) -> None:
    assert asked_for(0, seconds) == pause
    assert asked_for(8, seconds) is None
