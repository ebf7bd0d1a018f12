"""More examples of the OpenAPI document: farm, accounts, callbacks, keys, replay. Ids and times are illustrations."""

from __future__ import annotations

from typing import Any

_PROCESS = "0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11"
_COPY = "0193580c-9b20-7c3e-8f5a-3b1f6a4f2f22"
_AT = "2026-11-23T09:30:00.112Z"


def problem(status: int, title: str, code: str, detail: str = "", **extra: Any) -> dict[str, Any]:
    """A problem document."""
    return {**extra, "type": "about:blank", "title": title, "status": status, "detail": detail or code, "code": code}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """A page that is the last one."""
    return {"items": list(items), "next_cursor": None}


MAINTENANCE: dict[str, Any] = {
    "request_id": "maint-2026-11-23-001",
    "account_id": "acct-soup",
    "inputs": {
        "steps": [
            {"action": "health_check", "params": {}},
            {
                "action": "edit_profile",
                "params": {
                    "display_name": "Weekday soups",
                    "bio": "Slow pots, quick plates",
                    "mutation_kind": "operator_requested",
                },
            },
        ],
        "metadata": {"ticket": "OPS-41"},
    },
    "callback": {"url": "http://127.0.0.1:9099/phonefarm", "metadata": {"environment": "demo"}},
    "requested_by": {"system": "lab-console", "user": "operator@example.com", "metadata": {}},
}

REPLAY_REQUEST: dict[str, Any] = {
    "request_id": "kw-2026-11-23-001-again",
    "requested_by": {"system": "lab-console", "user": "operator@example.com", "metadata": {}},
}
REPLAY: dict[str, Any] = {
    "status": "accepted",
    "process_id": _COPY,
    "request_id": "kw-2026-11-23-001-again",
    "process_type": "keyword_warmup",
    "replay_of": _PROCESS,
}
REPLAY_DUPLICATE: dict[str, Any] = {**REPLAY, "duplicate": True, "process_status": "executing"}
CANCEL_IGNORED: dict[str, Any] = {
    "status": "ignored_terminal",
    "cancelled_queue_item_ids": [],
    "active_queue_item_ids": [],
    "active_target": None,
    "termination": {"process_id": _PROCESS, "status": "none", "terminate_issued": False, "container": None},
    "process": {"process_id": _PROCESS, "status": "completed"},
}
EVENTS: dict[str, Any] = listed(
    {
        "event_id": "0193580c-7a11-7b02-8e0c-5d1f2a7c9e01",
        "sequence": 1,
        "at": _AT,
        "kind": "process.accepted",
        "queue_item_id": None,
        "phone_id": None,
        "from": None,
        "to": "QUEUED",
        "data": None,
    }
)

PHONE: dict[str, Any] = {
    "phone_id": "VP000001",
    "serial": "127.0.0.1:21000",
    "host": "local",
    "groups": ["rack-1"],
    "labels": {},
    "model": "Virtual 1",
    "android": "14",
    "state": "paused",
    "why": "pause by farm: new battery",
    "battery": {"level": 100, "temperature": 29.5, "charging": True, "full_hours": 7.25},
    "storage": {"free": 40_000_000_000, "total": 64_000_000_000},
    "screen": {"on": True, "locked": False},
    "ladder": {"reconnect": {"tries": 2, "helped": 1, "last_at": _AT}},
    "first_seen": _AT,
    "last_seen": _AT,
    "current_item": None,
    "lease": None,
    "counters": {"items_done": 12, "items_failed": 1},
    "wanted": None,
    "draining": False,
}
HOST: dict[str, Any] = {
    "host": "local",
    "adb_port": 22037,
    "state": "ok",
    "why": None,
    "other_adb_servers": ["process 4711 (adb -L tcp:5037 fork-server server) on port 5037"],
    "last_seen": _AT,
}
QUEUED: dict[str, Any] = {
    "queue_item_id": "0193580c-7a2b-7e44-9a51-0c61f3a9d001",
    "process_id": _PROCESS,
    "priority": 5,
    "effective_priority": 6,
    "created_at": _AT,
    "ready_at": _AT,
    "attempt": 0,
    "phone_id": "VP000001",
    "account_id": None,
    "phone_group": None,
    "account_group": None,
    "reason": "phone_paused",
    "position": 1,
    "phones_considered": 1,
    "next_attempt_at": None,
}
ACCOUNT: dict[str, Any] = {
    "account_id": "acct-soup",
    "phone_id": "VP000001",
    "group": "soups",
    "active": True,
    "authorization": {
        "authorized_by": "operator@example.com",
        "basis": "the company's own account",
        "granted_at": "2026-11-01T00:00:00.000Z",
    },
    "daily_limits": {"sessions": 4, "minutes": 60},
    "used_today": {"sessions": 1, "minutes": 12.5},
    "created_at": _AT,
    "updated_at": _AT,
}
CALLBACK: dict[str, Any] = {
    "event_id": "0193580c-7a11-7b02-8e0c-5d1f2a7c9e01",
    "process_id": _PROCESS,
    "sequence": 1,
    "milestone": "accepted",
    "url": "http://127.0.0.1:9099/phonefarm",
    "state": "pending",
    "attempts": 0,
    "http_status": None,
    "error": None,
    "created_at": _AT,
    "next_attempt_at": _AT,
    "delivered_at": None,
}
KEY_REQUEST: dict[str, Any] = {"name": "ci", "scopes": ["submit", "read"], "system": "ci"}
KEY: dict[str, Any] = {
    "name": "ci",
    "scopes": ["read", "submit"],
    "system": "ci",
    "created_at": _AT,
    "revoked_at": None,
}


def _fault(loc: list[str | int], code: str, msg: str) -> dict[str, Any]:
    return problem(422, "Validation failed", code, errors=[{"loc": loc, "code": code, "msg": msg}])


BAD_CURSOR = _fault(["query", "cursor"], "invalid_cursor", "is not a cursor this farm gave for these filters")
AUTHORIZATION_REQUIRED = _fault(
    ["authorization"], "authorization_required", "an account is active only when somebody authorised its use"
)
NOT_REPLAYABLE = problem(409, "Conflict", "not_replayable", "not_replayable:completed")
NOT_POSSIBLE = problem(409, "Conflict", "operation_not_possible", "operation_not_possible:release:available")
PHONE_NOT_REACHABLE = problem(409, "Conflict", "phone_not_reachable", "phone_not_reachable:device_lost")
KEY_EXISTS = problem(409, "Conflict", "key_exists", "key_exists:ci")
UNKNOWN_KEY = problem(404, "Not found", "unknown_key", "unknown_key:nobody")
UNKNOWN_ACCOUNT = problem(404, "Not found", "unknown_account", "unknown_account:acct-nobody")
UNKNOWN_ARTIFACT = problem(404, "Not found", "unknown_artifact", "unknown_artifact:VP000001-none.png")
UNKNOWN_CALLBACK = problem(404, "Not found", "unknown_callback")
