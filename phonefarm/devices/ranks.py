"""Which result is which: a list that shows a few rows at a time, counted from its top. Pure.

Theory of operation
-------------------
A row on the screen does not say its rank. So the rows seen from the top on are remembered in order, and what is visible
now is found in that memory by its overlap. The memory is only a hint: what does not fit it unambiguously is "unknown",
and the list is then read again from its top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from phonefarm.devices.screen import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One result as the list shows it; ``node`` is what to tap and counts for nothing in comparisons."""

    title: str
    author: str = ""
    node: Node = field(default=Node(), compare=False, repr=False)


def offset_of(known: Sequence[Row], visible: Sequence[Row]) -> int | None:
    """The rank of the first visible row, if all that is visible lies inside ``known`` at one place only."""
    size = len(visible)
    if not size:
        return None
    places = [at for at in range(len(known) - size + 1) if list(known[at : at + size]) == list(visible)]
    return places[0] if len(places) == 1 else None


def extended(known: Sequence[Row], visible: Sequence[Row]) -> tuple[tuple[Row, ...], int] | None:
    """``known`` with what a scroll down brought, and the rank of the first visible row.

    None when nothing overlaps, or when it could overlap in several ways.
    """
    inside = offset_of(known, visible)
    if inside is not None:
        return tuple(known), inside
    overlaps = [n for n in range(1, min(len(known), len(visible)) + 1) if list(known[-n:]) == list(visible[:n])]
    if len(overlaps) != 1:
        return None
    return (*known, *visible[overlaps[0] :]), len(known) - overlaps[0]
