"""Dumps as real phones give them are read whole, and the largest within a budget that grows with its size alone."""

from __future__ import annotations

import time

import pytest

from phonefarm.devices.screen import Selector, parse
from tests.unit.devices.dumps import DUMPS, dump, node

pytestmark = pytest.mark.timeout(20)


def test_there_are_enough_of_them() -> None:
    assert len(DUMPS) >= 30


@pytest.mark.parametrize("name", DUMPS)
def test_read_whole(name: str) -> None:
    wanted = DUMPS[name]
    screen = parse(wanted.xml.encode())
    found = list(screen.root.walk())[1:]
    assert len(found) == wanted.nodes
    assert sum(one.bounds.empty for one in found) == wanted.empty
    for text in wanted.texts:
        assert text in screen.text


def test_a_text_that_looks_like_markup_is_a_text() -> None:
    screen = parse(DUMPS["something like xml"].xml)
    assert screen.find(Selector(text="x")) is None


def _seconds(nodes: int) -> float:
    """The best of three."""
    xml = dump(node("".join(node(text=f"t{n}") for n in range(nodes))))
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        parse(xml).find_all(Selector(text="t1", within=Selector(cls="none", otherwise=Selector(text=""))))
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.fault(26)
def test_time_grows_with_the_size_alone() -> None:
    """Eight times the nodes take about eight times as long; a parser that looks back would take sixty."""
    assert _seconds(5000) < 24 * _seconds(625)
