"""What both clients share of HTTP: reading answers, knowing when to ask again, and parsing event streams. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from phonefarm.client import values
from phonefarm.client.calls import Answer, Call
from phonefarm.client.errors import Refused, Unreachable
from phonefarm.client.values import Event

#: Seconds to wait when a farm that is away does not say how long.
PAUSE_SECONDS = 0.5
#: Statuses that say: not now.
AWAY = frozenset({429, 503})
_LONGEST_PAUSE = 30.0
_MOST_LINE = 4 * 1024 * 1024


def request_options(call: Call[Any], timeout: float) -> dict[str, Any]:
    """Keyword arguments for httpx's ``request``."""
    options: dict[str, Any] = {"params": dict(call.query), "headers": dict(call.headers)}
    if call.body is not None:
        options["json"] = call.body
    return {**options, "timeout": timeout + call.slow}


def pause_of(response: httpx.Response) -> float:
    """Seconds after which a farm that is away wants to be asked again."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 6:
        return min(max(float(text), PAUSE_SECONDS), _LONGEST_PAUSE)
    return PAUSE_SECONDS


def answer_of(response: httpx.Response, url: str) -> Answer:
    """Raises Refused for a problem, Unreachable for what no farm would say."""
    if response.status_code >= 400:
        raise Refused(problem_of(response))
    body = None
    if response.headers.get("content-type", "").startswith("application/json"):
        try:
            body = response.json()
        except ValueError:
            raise Unreachable(f"{url} does not speak JSON: it is no farm") from None
        if not isinstance(body, dict):
            raise Unreachable(f"{url} gave {type(body).__name__} where a farm gives an object")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, body=body, content=response.content)


def parsed(call: Call[Any], answer: Answer, url: str) -> Any:
    """The value of an answer. Raises Unreachable for one that lacks what a farm's has."""
    try:
        return call.parse(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"{url} does not answer as a farm does: {type(error).__name__}") from error


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem document, or one made of the status."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return {"status": response.status_code, "title": response.reason_phrase, "code": "no_problem_document"}
    return problem


def unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(f"no farm answers at {url}: {error or type(error).__name__}")


@dataclass(slots=True)
class Frames:
    """Lines of a stream to events (HTML, 9.2). ``last``: sequence of the last event that was given."""

    last: int = 0
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> Iterator[Event]:
        """The event that this line completes, if it is one that was not given before."""
        if line:
            name, _, value = line.partition(":")
            if name == "data" and len(line) <= _MOST_LINE:
                self._data.append(value.removeprefix(" "))
            return
        if not self._data:
            return
        text, self._data = "\n".join(self._data), []
        event = values.event(json.loads(text))
        if event.sequence > self.last:
            self.last = event.sequence
            yield event

    def broken_off(self) -> None:
        """The connection is gone; half an event is none."""
        self._data.clear()


def check(response: httpx.Response) -> None:
    """Raises Refused for a problem, whose body has been read."""
    if response.status_code >= 400:
        raise Refused(problem_of(response))
