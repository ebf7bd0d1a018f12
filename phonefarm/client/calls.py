"""Every operation of the API as a value: what to send, and what the answer means. The one source of both clients.

No I/O: ``Farm`` and ``AsyncFarm`` send a ``Call`` and hand its answer to ``parse``. ``repeatable`` says whether it may
be sent again when nobody knows whether it arrived: submissions are, by their ``request_id``; so are cancel, operations
and whatever only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from phonefarm.client import values
from phonefarm.client.values import Accepted, Page, Process

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP answer as far as it matters here. ``body``: parsed JSON, None for another media type."""

    status: int
    headers: Mapping[str, str]
    body: Any
    content: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[T]):
    """One request. ``slow``: seconds the farm may take beyond the usual."""

    method: str
    path: str
    parse: Callable[[Answer], T]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    slow: float = 0.0
    repeatable: bool = True


def _body(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = answer.body
    return found


def _page(answer: Answer) -> Page:
    return values.page(answer.body)


def _items(answer: Answer) -> list[dict[str, Any]]:
    return values.page(answer.body).items


def _accepted(answer: Answer) -> Accepted:
    return values.accepted(answer.body)


def _content(answer: Answer) -> bytes:
    return answer.content


def _segment(text: str) -> str:
    """One segment of a path: an id with a slash must not become another route."""
    return quote(text, safe="")


def _query(given: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}


def _get(path: str, parse: Callable[[Answer], T], **query: object) -> Call[T]:
    return Call(method="GET", path=path, parse=parse, query=_query(query))


# -- processes -------------------------------------------------------------------------------------


def submit(body: Json) -> Call[Accepted]:
    return Call(method="POST", path="/capability-requests/enqueue", parse=_accepted, body=body)


def submit_maintenance(body: Json) -> Call[Accepted]:
    return Call(method="POST", path="/maintenance/requests", parse=_accepted, body=body)


def replay(process_id: str, *, request_id: str, requested_by: Json) -> Call[Accepted]:
    body = {"request_id": request_id, "requested_by": dict(requested_by)}
    return Call(method="POST", path=f"/processes/{_segment(process_id)}/replay", parse=_accepted, body=body)


def get(process_id: str, *, etag: str | None = None, wait: float | None = None) -> Call[Process | None]:
    """None: as the caller knows it by ``etag``. ``wait``: seconds (0 to 60) to wait for another status."""

    def parse(answer: Answer) -> Process | None:
        return None if answer.status == 304 else values.process(answer.body, answer.headers.get("etag"))

    return Call(
        method="GET",
        path=f"/processes/{_segment(process_id)}",
        parse=parse,
        query=_query({"wait": wait}),
        headers={"If-None-Match": etag} if etag else {},
        slow=wait or 0.0,
    )


def processes(**filters: object) -> Call[Page]:
    return _get("/processes", _page, **filters)


def cancel(
    process_id: str,
    *,
    reason: str,
    requested_by: Json,
    strategy: str = "soft_then_force",
    force_after_seconds: float = 10.0,
) -> Call[dict[str, Any]]:
    body = {
        "reason": reason,
        "requested_by": dict(requested_by),
        "strategy": strategy,
        "force_after_seconds": force_after_seconds,
    }
    return Call(method="POST", path=f"/processes/{_segment(process_id)}/cancel", parse=_body, body=body)


def artifact(process_id: str, name: str) -> Call[bytes]:
    return _get(f"/processes/{_segment(process_id)}/artifacts/{_segment(name)}", _content)


def event_stream(process_id: str, after: int) -> tuple[str, dict[str, str]]:
    """Path and headers of the stream of a process's events with a sequence over ``after``."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    return f"/processes/{_segment(process_id)}/events", headers


# -- farm ------------------------------------------------------------------------------------------


def hosts() -> Call[list[dict[str, Any]]]:
    return _get("/hosts", _items)


def phones() -> Call[list[dict[str, Any]]]:
    return _get("/phones", _items)


def phone(phone_id: str) -> Call[dict[str, Any]]:
    return _get(f"/phones/{_segment(phone_id)}", _body)


def operate(phone_id: str, operation: str, reason: str) -> Call[dict[str, Any]]:
    path = f"/phones/{_segment(phone_id)}/{_segment(operation)}"
    return Call(method="POST", path=path, parse=_body, body={"reason": reason})


def operate_many(place: str, name: str, operation: str, reason: str) -> Call[list[dict[str, Any]]]:
    """``place``: hosts or groups; ``operation``: drain or resume."""
    path = f"/{place}/{_segment(name)}/{_segment(operation)}"
    return Call(method="POST", path=path, parse=_items, body={"reason": reason})


def screen(phone_id: str, *, width: int | None = None, media_type: str = "image/png") -> Call[bytes]:
    return Call(
        method="GET",
        path=f"/phones/{_segment(phone_id)}/screen",
        parse=_content,
        query=_query({"width": width}),
        headers={"Accept": media_type},
    )


def accounts() -> Call[list[dict[str, Any]]]:
    return _get("/accounts", _items)


def account(account_id: str) -> Call[dict[str, Any]]:
    return _get(f"/accounts/{_segment(account_id)}", _body)


def put_account(account_id: str, body: Json) -> Call[dict[str, Any]]:
    return Call(method="PUT", path=f"/accounts/{_segment(account_id)}", parse=_body, body=body)


def patch_account(account_id: str, body: Json) -> Call[dict[str, Any]]:
    return Call(method="PATCH", path=f"/accounts/{_segment(account_id)}", parse=_body, body=body)


def callbacks(**filters: object) -> Call[Page]:
    return _get("/callbacks", _page, **filters)


def redeliver(event_id: str) -> Call[dict[str, Any]]:
    return Call(method="POST", path=f"/callbacks/{_segment(event_id)}/redeliver", parse=_body)


def queue(**filters: object) -> Call[Page]:
    return _get("/queue", _page, **filters)


def capabilities() -> Call[list[dict[str, Any]]]:
    return _get("/capabilities", _items)


def ready() -> Call[dict[str, Any]]:
    return _get("/readyz", _body)


# -- keys ------------------------------------------------------------------------------------------


def keys() -> Call[list[dict[str, Any]]]:
    return _get("/keys", _items)


def create_key(name: str, scopes: list[str], system: str | None = None) -> Call[dict[str, Any]]:
    """Not repeatable: the secret is in the first answer only."""
    body = {"name": name, "scopes": scopes, **({"system": system} if system is not None else {})}
    return Call(method="POST", path="/keys", parse=_body, body=body, repeatable=False)


def revoke_key(name: str) -> Call[dict[str, Any]]:
    return Call(method="DELETE", path=f"/keys/{_segment(name)}", parse=_body)
