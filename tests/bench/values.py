"""What figures, goals and results are."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.stats import Spread, ratio, spread

if TYPE_CHECKING:
    from tests.bench.lab import Lab

#: Readings of one turn, by name: ``rate`` a second, ``p50_ms``, ``p99_ms``, ``mb`` and so on.
Readings = Mapping[str, float]
#: Takes the number of the round, from 0.
Turn = Callable[[int], Readings]
#: Contestant -> its readings, one mapping a round.
Rounds = Mapping[str, Sequence[Readings]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """``ours`` over the best of ``peers``, by one reading. Exactly one of ``at_least`` and ``at_most`` is set. Without
    ``peers`` the reading itself is held to the goal. ``peer_reading``: of the peers, if it has another name;
    ``peer_label``: what the table calls them, if not by their names."""

    letter: str
    text: str
    ours: str
    reading: str
    peers: tuple[str, ...] = ()
    peer_reading: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    peer_label: str = ""

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"goal {self.letter} needs a bound, and one only")

    @property
    def bound(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def holds(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A goal and what came of it. ``peer`` None: the reading itself was judged. ``ratio`` is then the reading."""

    goal: Goal
    ours: Spread
    ratio: Spread
    met: bool
    rounds: int
    peer: str | None = None
    theirs: Spread | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """Lines over a common x: label -> (x, y) points."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = True
    log_y: bool = True


#: Plots from the readings of a figure, made when it is over.
Plotter = Callable[[Rounds], Sequence[Plot]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """``letters``: of the table of goals, such as ``ab``; ``name``: of its module. ``open`` gives the contestants for
    as long as it lasts. ``rounds``: at most so many, for what takes minutes; the table says how many there were."""

    name: str
    letters: str
    title: str
    goals: tuple[Goal, ...]
    open: Callable[[Lab], AbstractContextManager[Mapping[str, Turn]]]
    plots: Plotter = field(default=lambda _rounds: ())
    rounds: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a figure gave. ``trouble``: why it, or a contestant of it, gave nothing; ``when``: it began, UTC."""

    letters: str
    title: str
    verdicts: tuple[Verdict, ...]
    readings: Rounds
    plots: tuple[Plot, ...] = ()
    trouble: tuple[str, ...] = ()
    when: str = ""


def verdicts(figure: Figure, found: Rounds) -> tuple[Verdict, ...]:
    """Of the goals for which there are readings."""
    return tuple(v for goal in figure.goals if (v := judge(goal, found)) is not None)


def judge(goal: Goal, rounds: Rounds) -> Verdict | None:
    """None if a side has no readings: it was skipped, or failed."""
    mine = _values(rounds.get(goal.ours, ()), goal.reading)
    if not mine:
        return None
    if not goal.peers:
        own = spread(mine)
        return Verdict(goal=goal, ours=own, ratio=own, met=goal.holds(own.median), rounds=len(mine))
    name = goal.peer_reading or goal.reading
    sides = {peer: _values(rounds.get(peer, ()), name) for peer in goal.peers}
    sides = {peer: values for peer, values in sides.items() if values}
    if not sides:
        return None
    pick = max if goal.at_least is not None else min
    peer = pick(sides, key=lambda one: statistics.median(sides[one]))
    both = min(len(mine), len(sides[peer]))
    found = ratio(mine[:both], sides[peer][:both])
    return Verdict(
        goal=goal, ours=spread(mine), theirs=spread(sides[peer]), ratio=found, peer=goal.peer_label or peer,
        met=goal.holds(found.median), rounds=both,
    )  # fmt: skip


def _values(rounds: Sequence[Readings], name: str) -> list[float]:
    return [readings[name] for readings in rounds if name in readings]
