"""One process as its page shows it: why it is where it is, its timeline, its results.

Pure: values of the API in, values for the template out, which escapes whatever is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonefarm.models.states import PublicStatus
from phonefarm.serve import codes
from phonefarm.serve.console import phrases

View = Mapping[str, Any]
_OVER = {PublicStatus.COMPLETED.value, PublicStatus.FAILED_TERMINAL.value, PublicStatus.CANCELLED.value}
_PICTURES = {"image/png", "image/jpeg", "image/webp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a timeline. ``pictures``: names of artifacts; ``tone`` as in ``phrases.TONE``, or empty."""

    at: str
    text: str
    detail: str = ""
    phone_id: str | None = None
    attempt: int | None = None
    tone: str = ""
    pictures: tuple[str, ...] = ()


def is_over(process: View) -> bool:
    return process["status"] in _OVER


# -- why -------------------------------------------------------------------------------------------


def why(process: View, events: Iterable[View] = ()) -> list[str]:
    """Where a process stands and why, in sentences."""
    said = [_standing(process, events)]
    if process["waiting"] is not None:
        said += _waiting(process["waiting"])
    error = process["error"]
    if error is not None and process["status"] != PublicStatus.COMPLETED.value:
        said += _error(error, over=is_over(process))
    return [text for text in said if text]


def _standing(process: View, events: Iterable[View]) -> str:
    status, progress = process["status"], process["partial_progress"]
    many = f"{progress['items_done']} of {progress['items_total']} items done"
    if status == PublicStatus.CANCELLED.value or process["timestamps"]["cancel_requested_at"] is not None:
        ended = "Cancelled" if is_over(process) else "Is being cancelled"
        return f"{ended}{_cancel_reason(events)}."
    if status == PublicStatus.COMPLETED.value:
        return f"Everything was done: {progress['actions_done']} of {progress['actions_total']} actions."
    if status == PublicStatus.EXECUTING.value:
        running = [item for item in process["items"] if item["status"] == status]
        return f"Runs on {_phones(running)}; {many}."
    if status == PublicStatus.FAILED_TERMINAL.value and process["outcome"] == "expired":
        return "It was not started in time, as its request asked."
    if status == PublicStatus.FAILED_TERMINAL.value:
        return f"It failed for good; {many}."
    return ""


def _phones(items: Sequence[View]) -> str:
    names = [str(item["phone_id"]) for item in items if item["phone_id"]]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more phones" if len(names) > 3 else "") or "a phone"


def _cancel_reason(events: Iterable[View]) -> str:
    for event in events:
        if event["kind"] == "process.cancel_requested" and event["data"]:
            return f" because {event['data']['reason']}"
    return ""


def _waiting(waiting: View) -> Iterator[str]:
    reason, step = phrases.WAITING.get(waiting["reason"], (waiting["reason"].replace("_", " "), ""))
    yield f"It waits because {reason}{f': {step}' if step else ''}."
    place = waiting.get("position")
    if place is not None:
        considered = waiting.get("phones_considered")
        looked = f"; {considered} phone{'' if considered == 1 else 's'} looked at" if considered is not None else ""
        yield f"Place {place} in the queue{looked}."


def _error(error: View, *, over: bool) -> Iterator[str]:
    where = f" on {error['phone_id']}" if error.get("phone_id") else ""
    doing = f" in “{phrases.ACTION.get(error['action'], error['action'])}”" if error.get("action") else ""
    attempt = f" (attempt {error['attempt']})" if error.get("attempt") else ""
    yield f"{'The cause' if over else 'The last attempt failed'}{where}{doing}{attempt}: {error['message']}"
    step = codes.process_errors().get(error["code"])
    if step:
        yield f"What to do ({error['code']}): {step}."


# -- the timeline ----------------------------------------------------------------------------------


def timeline(process: View, events: Sequence[View], actions: Sequence[View]) -> list[Line]:
    """The history, newest first, each action with what it was about and the pictures kept."""
    known = {(a["queue_item_id"], a["attempt"], a["index"]): a for a in actions}
    kept = _kept(process)
    return [_line(event, known, kept) for event in reversed(events)]


def _kept(process: View) -> dict[str, str]:
    """Names of pictures, with the item that made each."""
    found = process["result"].get("artifacts", ())
    return {a["name"]: a["queue_item_id"] for a in found if a["media_type"] in _PICTURES}


def _line(event: View, known: Mapping[tuple[Any, ...], View], kept: Mapping[str, str]) -> Line:
    data: View = event["data"] or {}
    room, _, what = event["kind"].partition(".")
    make = {"action": _action, "item": _item, "process": _process, "callback": _callback}.get(room)
    action = known.get((event["queue_item_id"], data.get("attempt"), data.get("index")))
    text, detail, tone = make(what, data, action) if make is not None else (event["kind"], "", "")
    return Line(
        at=event["at"],
        text=text,
        detail=detail,
        phone_id=event["phone_id"],
        attempt=data.get("attempt"),
        tone=tone,
        pictures=_pictures(event, action, kept),
    )


def _pictures(event: View, action: View | None, kept: Mapping[str, str]) -> tuple[str, ...]:
    """The picture an action made, or that was taken when its attempt failed (``actors.session``)."""
    item = event["queue_item_id"]
    if action is not None:
        name = action["output"].get("artifact")
        return (name,) if isinstance(name, str) and name in kept else ()
    if event["kind"] not in ("item.failed", "item.interrupted") or not event["data"]:
        return ()
    ending = f"-failure-{event['data'].get('attempt')}.png"
    return tuple(name for name, of in kept.items() if of == item and name.endswith(ending))


Said = tuple[str, str, str]


def _action(what: str, data: View, action: View | None) -> Said:
    found = action or {"params": {}, "output": {}, "seconds": 0.0}
    text = phrases.action_text(str(data.get("kind", "")), found["params"], found["output"])
    if what == "finished":
        seconds = found["seconds"]
        return text, f"{seconds:.1f} s" if seconds >= 0.05 else "", ""
    reason = str(data.get("reason") or "").replace("_", " ")
    return text, f"{what}{f': {reason}' if reason else ''}", "off" if what == "skipped" else "bad"


def _item(what: str, data: View, _action: View | None) -> Said:
    error = data.get("error") or {}
    account = f", account {data['account_id']}" if data.get("account_id") else ""
    texts: dict[str, Said] = {
        "claimed": ("Given to the phone", f"attempt {data.get('attempt')}{account}", "run"),
        "started": ("The phone began", "", ""),
        "finished": ("The phone is done with it", "", "ok"),
        "interrupted": ("The attempt was broken off; another follows", error.get("message", ""), "warn"),
        "failed": ("The item failed for good", error.get("message", ""), "bad"),
        "cancelled": ("The item was cancelled", "", "off"),
        "expired": ("The item was not started in time", "", "bad"),
    }
    return texts.get(what, (f"item {what.replace('_', ' ')}", "", ""))


_PROCESS: Mapping[str, tuple[str, str]] = {
    "accepted": ("Accepted, and on disk", ""),
    "planned": ("A phone was chosen", ""),
    "started": ("Runs", "run"),
    "interrupted": ("Waits for another attempt", "warn"),
    "completed": ("Done", "ok"),
    "partly_completed": ("Over: some items failed", "bad"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Cancelled", "off"),
}


def _process(what: str, data: View, _action: View | None) -> Said:
    if what == "cancel_requested":
        by = data.get("requested_by") or {}
        who = by.get("user") or by.get("system") or "somebody"
        return f"Cancel asked for by {who}", f"{data.get('reason', '')} ({data.get('strategy', '')})", "warn"
    text, tone = _PROCESS.get(what, (f"process {what.replace('_', ' ')}", ""))
    return text, "", tone


def _callback(what: str, data: View, _action: View | None) -> Said:
    said = f"HTTP {data['http_status']}" if data.get("http_status") else str(data.get("error") or "")
    texts: dict[str, Said] = {
        "delivered": ("Callback delivered", said, ""),
        "died": ("Callback given up", said, "bad"),
        "redelivered": ("Callback to be sent again", f"was {data.get('was', '')}", ""),
    }
    return texts.get(what, (f"callback {what}", "", ""))


# -- results ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Results as rows. ``picture``: name of the artifact that belongs to them."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    picture: str | None = None


_VIDEO_HEAD = ("Title", "Author", "Watched", "Verdict", "Phone")


def tables(result: View) -> list[Table]:
    """The result of a process as tables, whichever capability it is of."""
    found = [_keyword_table(entry) for entry in result.get("keywords", ())]
    if "videos" in result:
        share = result.get("relevant_share")
        title = "Feed" if share is None else f"Feed: {share:.0%} of what was judged is relevant"
        found.append(_table(title, _VIDEO_HEAD, [_video(video) for video in result["videos"]]))
    if "steps" in result:
        rows = [_step(step) for step in result["steps"]]
        found.append(_table("Steps", ("Step", "Status", "Found", "Phone"), rows))
    return found


def _keyword_table(entry: View) -> Table:
    rows = [_video(video)[:-1] for video in entry["videos"]]
    title = f"“{entry['keyword']}” on {entry['phone_id']}"
    return _table(title, _VIDEO_HEAD[:-1], rows, picture=entry.get("screenshot"))


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, picture: str | None = None) -> Table:
    """Without the columns in which nothing stands; a table without rows keeps its head."""
    kept = [at for at in range(len(head)) if not rows or any(row[at] for row in rows)]
    return Table(
        title=title,
        head=tuple(head[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in rows),
        picture=picture,
    )


def _video(video: View) -> tuple[str, ...]:
    seconds = video.get("watched_seconds")
    watched = f"{seconds:.0f} s" if isinstance(seconds, int | float) else ""
    verdict = video.get("verdict")
    judged = phrases.verdict_text(verdict).removeprefix(", ") or ""
    if isinstance(verdict, Mapping) and verdict.get("reason"):
        judged += f": {verdict['reason']}"
    return (str(video.get("title") or ""), str(video.get("author") or ""), watched, judged, str(video["phone_id"]))


def _step(step: View) -> tuple[str, ...]:
    name = phrases.ACTION.get(step["action"], step["action"])
    return (f"{step['index'] + 1}. {name}", step["status"], flat(step["output"]), str(step["phone_id"] or ""))


def flat(value: Any) -> str:
    """Plain values of JSON in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{str(name).replace('_', ' ')}: {flat(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(flat(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)
