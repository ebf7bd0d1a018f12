"""Lets contestants take turns, judges, and goes on with the next figure when one fails."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tests.bench.lab import Lab, NotHere
from tests.bench.values import Figure, Readings, Result, Turn, verdicts

T = TypeVar("T")
Say = Callable[[str], None]


def order(names: Sequence[T], number: int) -> list[T]:
    """Who goes when in round ``number``: there and back, so that nobody always follows the same."""
    return list(names) if number % 2 == 0 else list(reversed(names))


def take_turns(contestants: Mapping[str, Turn], rounds: int, say: Say) -> dict[str, list[Readings]]:
    """The readings of each contestant, one a round."""
    found: dict[str, list[Readings]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in order(list(contestants), number):
            readings = contestants[name](number)
            found[name].append(readings)
            say(f"  round {number + 1}/{rounds}  {name}: " + "  ".join(f"{k} {v:.4g}" for k, v in readings.items()))
    return found


def measure(figure: Figure, lab: Lab, rounds: int, say: Say) -> Result:
    """One figure, from its start to its verdicts. What fails is said in the result and hurts no other figure."""
    began, when = time.monotonic(), time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    say(f"{figure.letters}  {figure.title}")
    try:
        with figure.open(lab) as contestants:
            found = take_turns(contestants, min(rounds, figure.rounds or rounds), say)
    except Exception as error:
        say(traceback.format_exc())
        why = str(error) if isinstance(error, NotHere) else f"{type(error).__name__}: {error}"
        return Result(letters=figure.letters, title=figure.title, verdicts=(), readings={}, trouble=(why,), when=when)
    say(f"  {time.monotonic() - began:.0f} s")
    return Result(
        letters=figure.letters, title=figure.title, verdicts=verdicts(figure, found), readings=found,
        plots=tuple(figure.plots(found)), trouble=tuple(lab.trouble.pop_all()), when=when,
    )  # fmt: skip


def chosen(figures: Iterable[Figure], only: str | None) -> list[Figure]:
    """Those with any of the letters or names in ``only`` (``g,k,session``), all if None. ValueError for others."""
    known = list(figures)
    if only is None:
        return known
    words = [word.strip() for word in only.split(",") if word.strip()]
    unknown = [word for word in words if not any(_is_called(figure, word) for figure in known)]
    if unknown:
        there = ", ".join(dict.fromkeys(f"{figure.name} ({figure.letters})" for figure in known))
        raise ValueError(f"no figure {', '.join(unknown)}; there are {there}")
    return [figure for figure in known if any(_is_called(figure, word) for word in words)]


def _is_called(figure: Figure, word: str) -> bool:
    return word == figure.name or (len(word) == 1 and word in figure.letters)
