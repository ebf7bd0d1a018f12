"""Who is silent, and who starts too often."""

from __future__ import annotations

from phonefarm.core.presence import Presence, Starts


def test_a_host_is_silent_after_its_time_and_heard_again_at_once() -> None:
    presence = Presence(["a", "b"], seconds=10.0, now=100.0)
    assert presence.silent(110.0) == []
    presence.heard("b", 108.0)
    assert presence.silent(110.5) == ["a"]
    assert presence.silent(118.5) == ["a", "b"], "silent until heard, not once"
    presence.heard("a", 118.6)
    assert presence.silent(118.7) == ["b"]


def test_a_host_that_was_not_configured_counts_once_it_spoke() -> None:
    presence = Presence([], seconds=10.0, now=0.0)
    assert presence.silent(1_000.0) == []
    presence.heard("new", 1_000.0)
    assert presence.silent(1_011.0) == ["new"]


def test_too_many_starts_within_the_time() -> None:
    starts = Starts(limit=3, seconds=60.0)
    seen = [starts.started("p", "h", str(n), at) for n, at in enumerate([0.0, 10.0, 20.0, 30.0])]
    assert seen == [None, None, None, 3], "the first start is no failure"
    assert starts.started("p", "h", "next", 31.0) is None, "it begins anew"


def test_what_a_host_s_loss_ended_is_not_counted() -> None:
    starts = Starts(limit=2, seconds=60.0)
    assert [starts.started("p", "h", str(n), float(n)) for n in range(2)] == [None, None]
    starts.forgive("p")
    assert [starts.started("p", "h", str(n), float(n)) for n in range(2, 5)] == [None, None, 2]


def test_a_start_that_is_told_twice_counts_once_and_old_ones_are_forgotten() -> None:
    starts = Starts(limit=2, seconds=60.0)
    assert starts.started("p", "h", "1", 0.0) is None
    assert starts.started("p", "h", "2", 1.0) is None
    assert starts.started("p", "h", "2", 2.0) is None
    assert starts.started("p", "h", "3", 62.0) is None
    assert starts.started("q", "h", "1", 62.0) is None
    assert starts.started("p", "h", "4", 63.0) == 2


def test_a_phone_that_is_carried_from_host_to_host_is_not_taken_for_one_whose_actor_fails() -> None:
    """Each host starts an actor of its own; none of the old ones failed."""
    starts = Starts(limit=2, seconds=60.0)
    assert [starts.started("p", f"h{n % 2}", str(n), float(n)) for n in range(6)] == [None] * 6
    assert [starts.started("p", "h1", str(n), float(n)) for n in (6, 7)] == [None, 2], "on one host they count"
