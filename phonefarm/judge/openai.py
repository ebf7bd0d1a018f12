"""A judge behind any endpoint that speaks OpenAI's chat completions.

One question is one POST, tried again on a lost connection, 429 and 5xx while the total time lasts. An answer that
breaks the prompt's contract gets one repair attempt. What then is no verdict is one with a name, ``judge_failed``;
asking never raises. Redirects are not followed, and what is read of an answer is capped.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from phonefarm import logs
from phonefarm.judge import answers, messages
from phonefarm.judge.budget import TokenBudget, estimate
from phonefarm.judge.messages import Message
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

MOST_BYTES = 256 * 1024
_PAUSES = (0.5, 2.0, 5.0)
_LONGEST_PAUSE = 10.0
_MAX_TOKENS = 400
log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAiConfig:
    """``url``: of the API, such as ``http://host/v1``. Seconds are for one question with all its attempts.
    ``at_once``: questions under way together. ``tokens``: what a process may spend, 0 for no limit."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    seconds: float = 20.0
    connect_seconds: float = 5.0
    at_once: int = 4
    tokens: int = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reply:
    """What came back: the model's words, and the tokens used; or the name of what went wrong."""

    words: str = ""
    tokens: int = 0
    error: str | None = None
    retry_in: float | None = None


class OpenAiJudge:
    """Fulfils ``actors.ports.JudgePort``. ``sleep`` in seconds; ``chance`` gives 0..1; ``mark`` a random word."""

    def __init__(
        self,
        config: OpenAiConfig,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        mark: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._config = config
        self._sleep = sleep
        self._chance = chance
        self._mark = mark
        self._name = f"openai:{config.model}"
        self._budget = TokenBudget(config.tokens)
        self._room = asyncio.Semaphore(config.at_once)
        headers = {"Authorization": f"Bearer {config.key}"} if config.key else {}
        timeout = httpx.Timeout(config.seconds, connect=config.connect_seconds)
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False, follow_redirects=False)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def judge(
        self, *, process_id: str, prompt: Mapping[str, Any] | None, facts: VideoFacts, interests: Sequence[str] = ()
    ) -> Verdict:
        """The verdict on one video; never raises."""
        if prompt is None:
            return answers.failed(None, self._name, "no_prompt")
        if self._budget.spent(process_id):
            return answers.failed(prompt, self._name, "token_budget")
        try:
            async with self._room, asyncio.timeout(self._config.seconds):
                return await self._ask(process_id, prompt, facts, interests)
        except TimeoutError:
            return answers.failed(prompt, self._name, "timeout")
        except Exception:
            log.exception("judge.broken", process=process_id, next_step=logs.REPORT_IT)
            return answers.failed(prompt, self._name, "internal_error")

    async def _ask(
        self, process_id: str, prompt: Mapping[str, Any], facts: VideoFacts, interests: Sequence[str]
    ) -> Verdict:
        asked = messages.question(prompt, facts, interests=interests, mark=self._mark())
        fault: str | None = None
        for _ in range(2):
            reply = await self._insist(asked)
            self._budget.add(process_id, reply.tokens)
            if reply.error is not None:
                return answers.failed(prompt, self._name, reply.error)
            answer, fault = answers.parse(prompt, reply.words)
            if answer is not None:
                return answers.verdict(prompt, answer, self._name)
            asked = messages.repair(asked, reply.words, fault or "")
        return answers.failed(prompt, self._name, f"answer: {fault}")

    async def _insist(self, asked: Sequence[Message]) -> _Reply:
        """One question, again while trying again may help."""
        reply = await self._post(asked)
        for pause in _PAUSES:
            if reply.retry_in is None:
                break
            await self._sleep(min(max(reply.retry_in, pause * (0.5 + self._chance() / 2)), _LONGEST_PAUSE))
            reply = await self._post(asked)
        return reply

    async def _post(self, asked: Sequence[Message]) -> _Reply:
        body = {"model": self._config.model, "messages": list(asked), "temperature": 0, "max_tokens": _MAX_TOKENS}
        sent = estimate(sum(len(message["content"]) for message in asked))
        url = f"{self._config.url.rstrip('/')}/chat/completions"
        try:
            async with self._http.stream("POST", url, json=body) as response:
                raw = await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("judge.unreachable", error=type(error).__name__)
            return _Reply(error="unreachable", retry_in=0.0)
        if response.status_code == 429 or response.status_code >= 500:
            return _Reply(error=f"http_{response.status_code}", retry_in=_retry_after(response))
        if response.status_code != 200:
            return _Reply(error=f"http_{response.status_code}")
        return _understood(raw, sent)


async def _read(response: httpx.Response) -> bytes | None:
    """The body, None when it is too long."""
    parts = bytearray()
    async for chunk in response.aiter_bytes():
        parts += chunk
        if len(parts) > MOST_BYTES:
            return None
    return bytes(parts)


def _understood(raw: bytes | None, sent: int) -> _Reply:
    if raw is None:
        return _Reply(error="answer_too_long", tokens=sent + estimate(MOST_BYTES))
    try:
        body = json.loads(raw)
        words = body["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return _Reply(error="not_openai", tokens=sent)
    if not isinstance(words, str):
        return _Reply(error="not_openai", tokens=sent)
    usage = body.get("usage")
    used = usage.get("total_tokens") if isinstance(usage, dict) else None
    plain = isinstance(used, int) and not isinstance(used, bool) and used >= 0
    return _Reply(words=words, tokens=used if plain and used is not None else sent + estimate(len(words)))


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "").strip()
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0
