"""The clients of a storm: they send each order until it is answered, and write down all they send and get.

A line is written before a request leaves and another when its answer is there (``tests.chaos.reading``), so the file is
a record of its own: what was acknowledged stands in it whatever becomes of the farm.

Those that may send at once are counted here and not by httpx's pool: when a thousand callers wait for a connection
while the farm is away, that pool loses connections to those that give up, and in the end nobody gets one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.chaos.reading import Lines
from tests.chaos.records import CANCEL, SUBMIT
from tests.chaos.storm.orders import SYSTEM, Order

_PAUSE = 0.3
_AT_ONCE = 64
_AGAIN = frozenset({408, 429, 502, 503, 504})
_SOON_SECONDS = 4.0


class Clients:
    """Sends orders to wherever ``url`` says that the farm is now. ``patience``: seconds an order is repeated for."""

    def __init__(self, *, url: Callable[[], str], key: str, notebook: Lines, patience: float) -> None:
        self._url = url
        self._notebook = notebook
        self._patience = patience
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"},
            timeout=20,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_AT_ONCE),
        )
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self.answered = 0
        self.unanswered: list[str] = []
        self.strange: Counter[int] = Counter()

    async def close(self) -> None:
        await self._http.aclose()

    async def serve(self, order: Order, began: float) -> None:
        """All of an order, from its moment on. ``began``: the storm's start on the loop's clock."""
        await asyncio.sleep(max(0.0, began + order.at - asyncio.get_running_loop().time()))
        body = _dated(order.body)
        copies = [self._insist(order, body, copy) for copy in range(order.copies)]
        answers = await asyncio.gather(*copies)
        process_id = next((a["process_id"] for a in answers if a is not None and "process_id" in a), None)
        if order.other:
            await self._insist(order, _changed(body), copy=-1)
        if order.cancel_after is not None and process_id is not None:
            await asyncio.sleep(order.cancel_after)
            await self._cancel(order, process_id)

    async def _insist(self, order: Order, body: Mapping[str, Any], copy: int) -> dict[str, Any] | None:
        """Repeat until it is answered one way or the other; None if it never was."""
        until = time.monotonic() + self._patience
        timeout = order.hang_up if copy == 0 else None
        while time.monotonic() < until:
            answer = await self._send(order, body, copy, timeout)
            timeout = None
            if answer is not None and answer.status_code not in _AGAIN:
                self.answered += 1
                return _said(answer)
            await asyncio.sleep(_PAUSE)
        self.unanswered.append(order.request_id)
        return None

    async def _send(
        self, order: Order, body: Mapping[str, Any], copy: int, timeout: float | None
    ) -> httpx.Response | None:
        said_to_be = "another" if copy < 0 else "order"
        async with self._turn:
            name = self._notebook.begin(
                kind=SUBMIT, key=_key(order), body=said_to_be, about=order.kind, process_id=None
            )  # fmt: skip
            url = f"{self._url()}/capability-requests/enqueue"
            try:
                answer = await self._http.post(url, json=body, timeout=timeout or 20)
            except httpx.HTTPError:
                return None
        said = _said(answer)
        if said is None:
            self.strange[answer.status_code] += 1
            return None
        self._notebook.end(name, status=answer.status_code, process_id=said.get("process_id"), code=said.get("code"))
        return answer

    async def _cancel(self, order: Order, process_id: str) -> None:
        """Until it is answered."""
        until = time.monotonic() + self._patience
        body = {
            "reason": "the storm",
            "requested_by": {"system": SYSTEM, "user": None, "metadata": {}},
            "strategy": order.strategy,
            "force_after_seconds": 2,
        }
        while time.monotonic() < until:
            async with self._turn:
                name = self._notebook.begin(kind=CANCEL, key=_key(order), body=order.strategy, process_id=process_id)
                try:
                    answer = await self._http.post(f"{self._url()}/processes/{process_id}/cancel", json=body)
                except httpx.HTTPError:
                    answer = None
            if answer is not None:
                self._notebook.end(name, status=answer.status_code, process_id=process_id)
                if answer.status_code not in _AGAIN:
                    return
            await asyncio.sleep(_PAUSE)


def _said(answer: httpx.Response) -> dict[str, Any] | None:
    """None for what is not the farm's own answer: an ingress that is just being replaced speaks HTML or plain text."""
    try:
        said = answer.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _key(order: Order) -> tuple[str, str, str]:
    return (str(order.body["capability"]), SYSTEM, order.request_id)


def _dated(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as it is sent every time; ``SOON`` is a moment from now."""
    if body.get("options", {}).get("expires_at") != "SOON":
        return dict(body)
    soon = datetime.now(UTC) + timedelta(seconds=_SOON_SECONDS)
    text = soon.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**body, "options": {**body["options"], "expires_at": text}}


def _changed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same key for other work."""
    inputs = {
        "keywords": ["another thing"],
        "videos_per_keyword": 1,
        "watch_seconds": {"min": 1, "max": 1},
    }
    if body["capability"] == "keyword_warmup":
        return {**body, "inputs": inputs}
    if body["capability"] == "maintenance":
        return {**body, "inputs": {"steps": [{"action": "screenshot", "params": {}}]}}
    return {**body, "inputs": {**body["inputs"], "max_videos": 9}}
