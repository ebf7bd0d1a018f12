"""The judge's process; only a farm with a judge's endpoint has one."""

from __future__ import annotations

from phonefarm.actors import gateway
from phonefarm.actors import judge as plain
from phonefarm.actors.hosted import begin
from phonefarm.judge.openai import OpenAiConfig, OpenAiJudge
from phonefarm.settings import Settings


class JudgeActor(plain.JudgeActor):
    def __init__(self, settings: Settings) -> None:
        assert settings.judge is not None, "a farm without an endpoint judges in its phones' processes"
        asked = settings.judge
        config = OpenAiConfig(
            url=asked.url,
            model=asked.model,
            key=asked.key,
            seconds=asked.seconds,
            at_once=asked.at_once,
            tokens=asked.tokens,
        )
        super().__init__(OpenAiJudge(config))
        begin(self, settings, gateway.JUDGE)
