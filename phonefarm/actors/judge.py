"""The farm's judge: one place, so that its limits hold for all phones together (ADR 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phonefarm.actors.ports import JudgePort
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts


class JudgeActor:
    """Fulfils ``JudgePort`` by the judge it was given."""

    def __init__(self, judge: JudgePort) -> None:
        self._judge = judge

    async def start(self) -> None:
        """Nothing to wait for: the endpoint is asked when a video is there."""

    async def judge(
        self, *, process_id: str, prompt: Mapping[str, Any] | None, facts: VideoFacts, interests: Sequence[str] = ()
    ) -> Verdict:
        """The verdict on one video; what went wrong is a verdict too."""
        return await self._judge.judge(process_id=process_id, prompt=prompt, facts=facts, interests=interests)
