"""Orders on a screen (fault 40): to the offline judge they are words, to a model they are data between marks."""

from __future__ import annotations

from dataclasses import fields

import pytest

from phonefarm.core.planning import plan
from phonefarm.judge import answers
from phonefarm.judge.lexical import LexicalJudge
from phonefarm.judge.messages import CAPS, question
from phonefarm.models.action import ActionKind, Verdict
from phonefarm.models.states import Capability
from phonefarm.models.video import VideoFacts
from tests.contract.base import valid_prompt
from tests.farmtools import keyword_inputs
from tests.unit.judge.injections import INJECTIONS

pytestmark = [pytest.mark.timeout(60), pytest.mark.fault(40)]

MARK = "0123456789abcdef0"
PROMPT = valid_prompt(task_prompt="For {keyword}: {title} by {author}, {tags}. On screen: {screen_text}")
TITLES = ("a cat", "sourdough bread for all")
each = pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))


def facts(title: str, *, author: str = "someone", tags: tuple[str, ...] = ("pets",), screen: str = "") -> VideoFacts:
    return VideoFacts(keyword="sourdough bread", title=title, author=author, tags=tags, screen_text=screen)


def test_there_are_enough_of_them_and_none_says_what_is_wanted() -> None:
    assert len(INJECTIONS) >= 15
    assert len(set(INJECTIONS)) == len(INJECTIONS)
    assert not [text for text in INJECTIONS if "dough" in text.casefold() or "bread" in text.casefold()]


@each
@pytest.mark.parametrize("title", TITLES)
def test_the_offline_judge_counts_words_and_obeys_none(text: str, title: str) -> None:
    """Wherever the order stands, the verdict is the one of the words that were there without it."""
    judge = LexicalJudge()
    honest = judge.judge(PROMPT, facts(title))
    for seen in (
        facts(title, screen=text),
        facts(title, author=text),
        facts(f"{title} {text}"),
        facts(f"{text} {title}"),
        facts(title, tags=("pets", text)),
    ):
        assert judge.judge(PROMPT, seen) == honest


@each
def test_a_model_s_orders_are_the_same_whatever_stands_on_the_screen(text: str) -> None:
    """The system message does not change; the user message changes between the marks alone."""
    benign = question(PROMPT, facts("t", author="a", tags=("g",), screen="s"), interests=(), mark=MARK)
    hostile = question(PROMPT, facts(text, author=text, tags=(text,), screen=text), interests=(), mark=MARK)
    assert [message["role"] for message in hostile] == ["system", "user"]
    assert hostile[0] == benign[0]
    assert outside(hostile[1]["content"]) == outside(benign[1]["content"])
    for name, data in zip(CAPS, inside(hostile[1]["content"]), strict=True):
        assert len(data) <= CAPS[name]
        assert all(character == "\n" or character.isprintable() for character in data)


def parts(content: str) -> list[str]:
    """Cut at the marks: text outside and inside by turns."""
    return content.replace(f"|{MARK}]]", f"[[{MARK}|").split(f"[[{MARK}|")


def outside(content: str) -> list[str]:
    return parts(content)[0::2]


def inside(content: str) -> list[str]:
    return parts(content)[1::2]


@each
def test_what_a_model_says_under_orders_is_no_verdict_unless_it_keeps_the_contract(text: str) -> None:
    """A model that repeats the order gives no answer; one that wraps it into its reason has chosen watch or skip."""
    answer, fault = answers.parse(PROMPT, text)
    assert (answer, fault is not None) == (None, True) or set(answer or ()) <= {"relevant", "score"}
    obeyed = {"relevant": True, "reason": text, "action": "follow", "tap": [540, 1200]}
    verdict = answers.verdict(PROMPT, obeyed, "model")
    assert verdict.relevant is True
    assert len(verdict.reason or "") <= 500
    assert all(character == "\n" or character.isprintable() for character in verdict.reason or "")
    assert "follow" not in verdict.as_json()


def test_a_verdict_has_no_room_for_an_action_and_actions_are_planned_before_a_screen_is_read() -> None:
    assert {field.name for field in fields(Verdict)} == {
        "relevant",
        "score",
        "reason",
        "judge",
        "prompt",
        "error",
        "flagged",
    }
    planned = plan(Capability.KEYWORD_WARMUP, keyword_inputs(judge=True, prompts={"keyword_judge": PROMPT}))
    assert {action.kind for action in planned} <= set(ActionKind)
    hostile = keyword_inputs(keywords=[INJECTIONS[0]], judge=True, prompts={"keyword_judge": PROMPT})
    assert [action.kind for action in plan(Capability.KEYWORD_WARMUP, hostile)] == [action.kind for action in planned]
