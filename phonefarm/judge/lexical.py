"""The offline judge: counts words, needs no network and no model, answers the same every time.

The score is the share of the wanted words that stand in the video's title or tags, compared by stem; a video is
relevant from 0.5 on. Wanted is the keyword, or without one the interest that fits best. A tag that is the
whole keyword written together counts as all of it. Text of scripts that are written without spaces is searched
as a whole.

The screen's other text and the prompt's wording are not read at all, so nothing written there can sway it. The
answer is still held to the prompt's ``output_contract``: if it does not fit, the bare ``{"relevant": ...}`` is
tried once, and then the verdict is ``judge_failed``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from phonefarm import logs
from phonefarm.core.prompts import answer_fault, prompt_ref
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

JUDGE = "lexical"
FAILED = "judge_failed"
THRESHOLD = 0.5

_log = logs.logger(__name__)
_SUFFIXES = ("ings", "ing", "ed", "es", "s", "e")
#: First letters of Unicode names of scripts written without spaces between words.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


class LexicalJudge:
    """Fulfils ``Judge``; stateless, safe to share."""

    def judge(self, prompt: Mapping[str, Any] | None, facts: VideoFacts, *, interests: Sequence[str] = ()) -> Verdict:
        """The verdict on one video. Never raises; without a prompt the answer is free of any contract."""
        try:
            return _judge(prompt, facts, interests)
        except Exception:
            _log.exception("judge.broken", next_step=logs.REPORT_IT)
            return Verdict(relevant=None, reason="the judge failed", judge=JUDGE, error=FAILED)


def lexical_score(wanted: str, title: str, tags: Sequence[str]) -> float:
    """Share (0..1) of the distinct words of ``wanted`` found in title and tags, rounded to 3 digits."""
    text = _fold(" ".join((title, *tags)))
    words = list(dict.fromkeys(_words(_fold(wanted))))
    if not words:
        return 1.0 if wanted.strip() and _fold(wanted).strip() in text else 0.0
    if "".join(words) in {"".join(_words(_fold(tag))) for tag in tags}:
        return 1.0
    stems = {_stem(word) for word in _words(text)}
    hits = sum(_stem(word) in stems or (_unspaced(word) and word in text) for word in words)
    return round(hits / len(words), 3)


def _judge(prompt: Mapping[str, Any] | None, facts: VideoFacts, interests: Sequence[str]) -> Verdict:
    wanted = [facts.keyword] if facts.keyword.strip() else list(interests)
    score = max((lexical_score(term, facts.title, facts.tags) for term in wanted), default=0.0)
    relevant = score >= THRESHOLD
    reason = f"{score:.0%} of the wanted words stand in the title or tags"
    if prompt is None:
        return Verdict(relevant=relevant, score=score, reason=reason, judge=JUDGE)
    full, bare = {"relevant": relevant, "score": score, "reason": reason}, {"relevant": relevant}
    return _conforming(prompt, (full, bare))


def _conforming(prompt: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Verdict:
    """The first answer that keeps the prompt's contract, as a verdict; else the failure of the last one."""
    ref, fault = prompt_ref(prompt), None
    for answer in answers:
        fault = answer_fault(prompt, dict(answer))
        if fault is None:
            return Verdict(**answer, judge=JUDGE, prompt=ref)
    return Verdict(relevant=None, reason=fault, judge=JUDGE, prompt=ref, error=FAILED)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[str]:
    """Runs of letters, digits and the marks that belong to them."""
    return "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in text).split()


def _stem(word: str) -> str:
    """A light English stem: endings off, doubled consonant undone; short words stay as they are."""
    if word.endswith(("ss", "us", "is")):
        return word
    for suffix in _SUFFIXES:
        root = word.removesuffix(suffix)
        if root != word and len(root) >= 3:
            root = root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiousl" else root
            return root[:-1] + "y" if root.endswith("i") and suffix in ("es", "ed") else root
    return word


def _unspaced(word: str) -> bool:
    return any(unicodedata.name(c, "").startswith(_UNSPACED) for c in word)
