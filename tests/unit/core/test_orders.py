"""Texts that give orders to a judge are flagged, ordinary ones are not (fault 40)."""

from __future__ import annotations

import time

import pytest

from phonefarm.core.orders import gives_orders
from tests.unit.judge.injections import INJECTIONS

pytestmark = [pytest.mark.timeout(60), pytest.mark.fault(40)]

ORDINARY = (
    "Sourdough bread for beginners",
    "The 10 rules of good coffee",
    "I ignored my doctor and this happened",
    "How to answer difficult questions in an interview",
    "System of a Down: live in Berlin",
    "Why assistants quit",
    "Ein Tag am Meer\u00a0\U0001f30a",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u200f(2024)",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family vlog",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f England wins",
    "Say yes to the dress",
    "true or false? 20 facts about cats",
    "Follow me for more",
    "new recipe [part 2] (4K)",
    "C++ in 100 seconds: {braces} and <templates>",
    "prompt engineering is not a job",
    "",
)


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_orders_are_flagged_wherever_they_stand(text: str) -> None:
    assert gives_orders(text)
    assert gives_orders("a cat", f"a title\n{text}")


@pytest.mark.parametrize("text", ORDINARY, ids=range(len(ORDINARY)))
def test_ordinary_texts_are_not(text: str) -> None:
    assert not gives_orders(text)


def test_a_long_hostile_text_takes_no_longer_than_its_length_says() -> None:
    """No pattern backs up over what it has read: ten times the text takes about ten times as long."""

    def seconds(size: int) -> float:
        texts = ["ignore " * size, "<" * size, "answer " * size, "a\u200b" * size, "say only with " * size]
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            gives_orders(*texts)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(1_000) < 40 * seconds(100)
