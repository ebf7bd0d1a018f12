"""The program's words in a person's: states, reasons, actions. Each table is complete; a test holds it to that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phonefarm.models.action import ActionKind
from phonefarm.models.states import PublicStatus, WaitingReason

STATUS: Mapping[str, str] = {
    PublicStatus.QUEUED.value: "Waiting",
    PublicStatus.EXECUTING.value: "Running",
    PublicStatus.RETRYING.value: "Trying again",
    PublicStatus.COMPLETED.value: "Done",
    PublicStatus.FAILED_TERMINAL.value: "Failed",
    PublicStatus.CANCELLED.value: "Cancelled",
}
#: How a status is coloured.
TONE: Mapping[str, str] = {
    PublicStatus.QUEUED.value: "wait",
    PublicStatus.EXECUTING.value: "run",
    PublicStatus.RETRYING.value: "warn",
    PublicStatus.COMPLETED.value: "ok",
    PublicStatus.FAILED_TERMINAL.value: "bad",
    PublicStatus.CANCELLED.value: "off",
}

#: Why something waits, and what would end it.
WAITING: Mapping[str, tuple[str, str]] = {
    WaitingReason.NO_PHONE_ONLINE.value: ("no phone that fits is online", "attach one, or see the wall for why"),
    WaitingReason.PHONES_BUSY.value: ("every phone that fits is busy", "it gets one by itself"),
    WaitingReason.PHONE_OFFLINE.value: ("its phone is offline", "look at the phone's cable, hub and power"),
    WaitingReason.PHONE_PAUSED.value: ("its phone is paused", "resume the phone on its page"),
    WaitingReason.PHONE_DRAINING.value: ("its phone is being drained", "resume the phone on its page"),
    WaitingReason.PHONE_QUARANTINED.value: ("its phone is quarantined", "release the phone once the cause is gone"),
    WaitingReason.PHONE_UNFIT.value: ("its phone is being checked or is not fit", "the phone's page says why"),
    WaitingReason.ACCOUNT_BUSY.value: ("its account is in use, or may not be used", "see the account"),
    WaitingReason.ACCOUNT_DAILY_LIMIT.value: ("its account has used up its day", "it goes on after midnight UTC"),
    WaitingReason.NOT_BEFORE.value: ("it may not start yet", "it starts by itself"),
    WaitingReason.RETRY_BACKOFF.value: ("it failed and pauses before it is tried again", "it starts by itself"),
}

#: An action as something to do, when no more is known of it.
ACTION: Mapping[str, str] = {
    ActionKind.OPEN_APP.value: "Open the app",
    ActionKind.SEARCH.value: "Search",
    ActionKind.OPEN_RESULT.value: "Open a result",
    ActionKind.WATCH.value: "Watch",
    ActionKind.SCREENSHOT.value: "Screenshot",
    ActionKind.CLOSE_APP.value: "Close the app",
    ActionKind.FEED_VIDEO.value: "Video of the feed",
    ActionKind.HEALTH_CHECK.value: "Health check",
    ActionKind.COLLECT_DIAGNOSTICS.value: "Collect diagnostics",
    ActionKind.RESTART_APP.value: "Restart the app",
    ActionKind.CLEAR_APP_CACHE.value: "Clear the app's cache",
    ActionKind.FREE_STORAGE.value: "Free storage",
    ActionKind.INSTALL_APP.value: "Install an app",
    ActionKind.UPDATE_SETTINGS.value: "Change settings",
    ActionKind.REBOOT.value: "Reboot",
    ActionKind.EDIT_PROFILE.value: "Edit the profile",
}


def action_text(kind: str, params: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    """An action in words, with what it was about and what it found."""
    name = ACTION.get(kind, kind.replace("_", " "))
    about = _ABOUT.get(kind)
    said = about(params, output) if about is not None else ""
    return f"{name}: {said}" if said else name


def _keyword(params: Mapping[str, Any], _output: Mapping[str, Any]) -> str:
    return f"“{params['keyword']}”" if params.get("keyword") else ""


def _rank(params: Mapping[str, Any], _output: Mapping[str, Any]) -> str:
    rank, keyword = params.get("rank"), params.get("keyword")
    return f"number {rank + 1} for “{keyword}”" if isinstance(rank, int) else ""


def _video(params: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    """A video that was watched or skipped, with the judge's verdict."""
    number = f"number {params['number'] + 1}, " if isinstance(params.get("number"), int) else ""
    if not output.get("title"):
        return number.removesuffix(", ")
    author = f" by {output['author']}" if output.get("author") else ""
    watched = output.get("watched_seconds")
    time = f", {watched:.0f} s" if isinstance(watched, int | float) else ""
    return f"{number}“{output['title']}”{author}{time}{verdict_text(output.get('verdict'))}"


def verdict_text(verdict: Any) -> str:
    """A judge's verdict as the end of a line, empty if nobody judged."""
    if not isinstance(verdict, Mapping):
        return ""
    word = {True: "relevant", False: "not relevant"}.get(verdict.get("relevant"), "not judged")  # type: ignore[arg-type]
    return f", {word}"


def _app(params: Mapping[str, Any], _output: Mapping[str, Any]) -> str:
    return str(params.get("app") or "")


def _file(params: Mapping[str, Any], _output: Mapping[str, Any]) -> str:
    return str(params.get("file") or "")


_ABOUT = {
    ActionKind.OPEN_APP.value: _app,
    ActionKind.CLOSE_APP.value: _app,
    ActionKind.RESTART_APP.value: _app,
    ActionKind.CLEAR_APP_CACHE.value: _app,
    ActionKind.SEARCH.value: _keyword,
    ActionKind.SCREENSHOT.value: _keyword,
    ActionKind.OPEN_RESULT.value: _rank,
    ActionKind.WATCH.value: _video,
    ActionKind.FEED_VIDEO.value: _video,
    ActionKind.INSTALL_APP.value: _file,
}


def milestone_text(name: str) -> str:
    return name.replace("_", " ")


def said_by_host(why: str) -> tuple[str, str]:
    """What is wrong, and what to do: after the last semicolon, else after the first colon."""
    what, mark, step = why.rpartition("; ")
    if not mark:
        what, _, step = why.partition(": ")
    return what, step
