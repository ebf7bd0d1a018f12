"""From a model's words to a verdict. Pure; whatever the words are, the verdict can only choose watch or skip."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from phonefarm.core.prompts import answer_fault, prompt_ref
from phonefarm.judge.messages import clean
from phonefarm.models.action import Verdict

FAILED = "judge_failed"
_MOST_REASON = 500
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


def parse(prompt: Mapping[str, Any], words: str) -> tuple[dict[str, Any] | None, str | None]:
    """(the answer, None), or (None, what is wrong with it): one JSON object that keeps the prompt's contract."""
    fenced = _FENCE.fullmatch(words)
    try:
        answer = json.loads(fenced[1] if fenced else words, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None, "it is not one JSON object"
    fault = answer_fault(prompt, answer)
    return (None, fault) if fault is not None else (answer, None)


def verdict(prompt: Mapping[str, Any], answer: Mapping[str, Any], judge: str) -> Verdict:
    """The verdict of an answer that keeps the contract."""
    score, reason = answer.get("score"), answer.get("reason")
    plain = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
    return Verdict(
        relevant=bool(answer["relevant"]),
        score=float(score) if plain and score is not None else None,
        reason=clean(reason)[:_MOST_REASON] if isinstance(reason, str) else None,
        judge=judge,
        prompt=prompt_ref(prompt),
    )


def failed(prompt: Mapping[str, Any] | None, judge: str, reason: str) -> Verdict:
    """The verdict when there is none; ``reason`` is ours, never the model's words."""
    return Verdict(
        relevant=None, reason=reason, judge=judge, prompt=prompt_ref(prompt) if prompt else None, error=FAILED
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
