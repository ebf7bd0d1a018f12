"""What every judge answers.

A judge decides one thing: whether a video is worth watching in full. It has no tools, sees only what
``VideoFacts`` holds, and its answer is checked against the prompt's ``output_contract``; the most a hostile
screen could gain is a wrong verdict about itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts


class Judge(Protocol):
    """Judging never raises: what went wrong is a ``Verdict`` with ``relevant`` None and ``error`` set."""

    def judge(
        self, prompt: Mapping[str, Any] | None, facts: VideoFacts, *, interests: Sequence[str] = ()
    ) -> Verdict: ...
