"""A farm in memory for campaigns: what becomes of a phone's steps is decided beforehand, when is a matter of chance.

It keeps the books that a campaign is judged by: which phones were touched, how often, and how many at once.
``crash_at`` is the number of a call of farm or keep that never returns, before or after it had its effect.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from phonefarm.cli.maintain.campaign import Campaign, as_json, from_json
from phonefarm.cli.maintain.planner import Terms
from phonefarm.client import Accepted, Process, Refused

#: What becomes of a phone.
DONE, FAILED, EXPIRES, AWAY = "done", "failed", "expires", "away"


class Crash(BaseException):
    """The run was killed."""


class MemoryFarm:
    """Fulfils ``FarmPort`` and ``KeepPort``. ``fates``: phone -> what becomes of it."""

    def __init__(self, fates: Mapping[str, str], terms: Terms, seed: int) -> None:
        self.fates, self.terms = fates, terms
        self.held: dict[str, dict[str, Any]] = {}
        self.by_request: dict[str, str] = {}
        self.touched: list[str] = []
        self.most_at_once = 0
        self.calls = 0
        self.crash_at: int | None = None
        self.crash_after = False
        self.pause_at: int | None = None
        self.saved: str = ""
        self._chance = random.Random(seed)

    # -- the farm --

    def phones(self) -> list[dict[str, Any]]:
        self._call()
        return [self._phone(name, fate) for name, fate in self.fates.items()]

    def _phone(self, phone_id: str, fate: str) -> dict[str, Any]:
        return {"phone_id": phone_id, "state": "offline" if fate == AWAY else "available", "why": None}

    def submit_maintenance(self, body: Mapping[str, Any]) -> Accepted:
        self._call(before=True)
        request_id, phone_id = str(body["request_id"]), str(body["phone_id"])
        known = self.by_request.get(request_id)
        if known is not None:
            self._call(after=True)
            if self.held[known]["expires_at"] != body["options"]["expires_at"]:
                raise Refused({"status": 409, "code": "idempotency_key_reused", "process_id": known,
                               "differs": ["options.expires_at"]})  # fmt: skip
            return Accepted(process_id=known, duplicate=True)
        process_id = f"process-{len(self.held)}"
        self.by_request[request_id] = process_id
        self.held[process_id] = {
            "process_id": process_id,
            "phone_id": phone_id,
            "callback": body["callback"],
            "status": "queued",
            "expires_at": body["options"]["expires_at"],
            "timestamps": {"first_action_at": None},
        }
        self.most_at_once = max(self.most_at_once, len(self._open()))
        self._check_canary()
        self._call(after=True)
        return Accepted(process_id=process_id)

    def get(self, process_id: str) -> Process:
        self._call()
        raw = self.held[process_id]
        return Process(process_id=process_id, status=raw["status"], raw=raw)

    def processes(self, **_filters: object) -> Iterator[Process]:
        self._call()
        for request_id, process_id in self.by_request.items():
            raw = {**self.held[process_id], "request_id": request_id}
            yield Process(process_id=process_id, status=raw["status"], raw=raw)

    def cancel(self, process_id: str, *, reason: str, requested_by: Any, strategy: str) -> dict[str, Any]:
        self._call(before=True)
        raw = self.held[process_id]
        if raw["status"] == "queued":
            raw.update(status="cancelled")
        self._call(after=True)
        return {}

    def sleep(self, _seconds: float) -> None:
        """Time passes: some begin, some end."""
        for raw in self._open():
            fate = self.fates[raw["phone_id"]]
            if self._chance.random() < 0.5:
                continue
            if raw["status"] == "queued" and fate == EXPIRES:
                raw.update(status="failed_terminal", error={"code": "expired"})
            elif raw["status"] == "queued":
                raw.update(status="executing", timestamps={"first_action_at": "now"})
                self.touched.append(raw["phone_id"])
            else:
                error = {"code": "command_failed", "message": "it did not come up"} if fate == FAILED else None
                raw.update(status="failed_terminal" if error else "completed", error=error)

    def _open(self) -> list[dict[str, Any]]:
        return [raw for raw in self.held.values() if raw["status"] in ("queued", "executing")]

    def _check_canary(self) -> None:
        done = sum(raw["status"] == "completed" for raw in self.held.values())
        canaries = min(self.terms.canary, len(self.fates))
        if done < canaries:
            assert done + len(self._open()) <= canaries, "a phone beyond the canaries before those were done"

    # -- the keep --

    def save(self, campaign: Campaign) -> None:
        self._call(before=True)
        self.saved = json.dumps(as_json(campaign))
        self._call(after=True)

    def load(self) -> Campaign:
        return from_json(json.loads(self.saved))

    def pause_asked(self) -> str | None:
        self._call()
        return "a pause" if self.pause_at is not None and self.calls >= self.pause_at else None

    # -- crashing --

    def _call(self, *, before: bool = False, after: bool = False) -> None:
        """Counts one call; those with an effect call it twice, around that."""
        if not after:
            self.calls += 1
        if self.crash_at == self.calls and (self.crash_after if after else not (before and self.crash_after)):
            self.crash_at = None
            raise Crash
