"""What both clients share of HTTP: reading answers, knowing when to ask again, and parsing event streams. No I/O."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from phonefarm.client import values
from phonefarm.client.calls import Answer, Call
from phonefarm.client.errors import Refused, Unreachable, Unsendable
from phonefarm.client.values import Event

#: Seconds to wait when a farm that is away does not say how long.
PAUSE_SECONDS = 0.5
#: Statuses that say: not now.
_AWAY = frozenset({429, 503})
#: In the plain text of an ingress that has not heard yet, or no longer, that there is a farm behind it.
_NO_ROUTE = "/-/routes"
_LONGEST_PAUSE = 30.0
_MOST_LINE = 4 * 1024 * 1024


def request_options(call: Call[Any], timeout: float) -> dict[str, Any]:
    """Keyword arguments for httpx's ``request``. Raises Unsendable for a body that is no JSON."""
    options: dict[str, Any] = {"params": dict(call.query), "headers": dict(call.headers)}
    if call.body is not None:
        options["content"] = _json(call.body)
        options["headers"]["Content-Type"] = "application/json"
    return {**options, "timeout": timeout + call.slow}


def _json(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unsendable(f"the body is not JSON: {error}") from error


def authorization(key: str) -> dict[str, str]:
    """The header that every call bears. Raises Unsendable for a key that no header can hold, without showing it."""
    if not key or not all("!" <= letter <= "~" for letter in key):
        raise Unsendable("the key is empty, or has spaces or letters that no key has")
    return {"Authorization": f"Bearer {key}"}


def away(response: httpx.Response) -> bool:
    """Whether the farm says: not now; or its ingress does, for a farm that is just being started again.

    An ingress speaks for itself in plain text: 404 while it knows no routes, or 5xx. Its body must have been read.
    """
    if response.status_code in _AWAY:
        return True
    kind = response.headers.get("content-type", "")
    if response.status_code < 400 or "json" in kind:
        return False
    return response.status_code >= 500 or (response.status_code == 404 and _NO_ROUTE in response.text)


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
    if 300 <= response.status_code < 400 and response.status_code != 304:
        raise Unreachable(f"{url} sends its callers elsewhere ({response.status_code}): give the farm's own URL")
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
    """The problem document, or one made of the status. ``status`` is always that of the answer."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return {"status": response.status_code, "title": response.reason_phrase, "code": "no_problem_document"}
    return {**problem, "status": response.status_code}


def unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(f"no farm answers at {url}: {error or type(error).__name__}")


class Lines:
    """Bytes of an event stream to its lines, which end with CR LF, CR or LF and nothing else.

    Not ``httpx``'s iter_lines: that one ends lines at U+2028 and U+0085 too, which stand unescaped in JSON.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        text = self._rest + self._decoder.decode(data)
        held = "\r" if text.endswith("\r") else ""  # the LF of a CR LF may be still to come
        text = text.removesuffix("\r") if held else text
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        return lines


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
        try:
            event = values.event(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"an event is not as a farm's: {type(error).__name__}") from error
        if event.sequence > self.last:
            self.last = event.sequence
            yield event

    def feed_all(self, lines: Iterable[str]) -> Iterator[Event]:
        """As ``feed``, for several lines."""
        for line in lines:
            yield from self.feed(line)

    def broken_off(self) -> None:
        """The connection is gone; half an event is none."""
        self._data.clear()


def check(response: httpx.Response) -> None:
    """Raises Refused for a problem, whose body has been read."""
    if response.status_code >= 400:
        raise Refused(problem_of(response))
