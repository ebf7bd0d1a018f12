"""One attempt on one phone, in its own thread: action by action, each reported, stopping when told to.

The thread blocks on the phone; the event loop of the actor reports, beats and listens. They meet in ``Stop``:
a soft stop is seen before the next action, a hard one ends the command in flight and any watching at once.

``Stop`` also knows until when the attempt's lease holds. A process that was frozen wakes up wherever it stood, in any
thread, so the thread that drives the phone asks the clock itself before each command and does not wait to be told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from phonefarm import logs, tracing
from phonefarm.errors import (
    ActionError,
    ActionTimedOut,
    BadScreen,
    CommandFailed,
    DeviceLost,
    PhoneFarmError,
    SessionStopped,
)
from phonefarm.models.action import Action, ActionKind, ActionResult, Artifact
from phonefarm.models.session import Entry, EntryKind, ErrorInfo, Job

log = logs.logger(__name__)


class Runner(Protocol):
    """What a session needs of a phone: ``phonefarm.devices.executor.Executor``, or a fake of it."""

    def run(self, action: Action) -> ActionResult: ...
    def leave(self) -> None: ...
    def snapshot(self, name: str) -> Artifact: ...
    def dump(self, name: str) -> Artifact: ...


class Stop:
    """Asks a session to stop. ``interrupt`` ends the command in flight; it is called for hard stops only. ``clock``:
    monotonic seconds."""

    def __init__(self, interrupt: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interrupt = interrupt
        self._clock = clock
        self._hard = threading.Event()
        self._reason: str | None = None
        self._ends_at = float("inf")

    def lasts_until(self, monotonic: float) -> None:
        """The lease holds until then, by this clock. After that nothing may be sent, whoever says so or not."""
        self._ends_at = monotonic

    def interrupt(self) -> None:
        """End the command in flight, without asking to stop: whoever runs it sees what is wrong."""
        self._interrupt()

    def soft(self) -> None:
        """Stop before the next action."""
        self._reason = self._reason or "cancelled"

    def hard(self, reason: str) -> None:
        """Stop now; ``reason`` is ``cancelled`` or ``lease_lost``."""
        if reason == "lease_lost" or self._reason is None:
            self._reason = reason
        self._hard.set()
        self._interrupt()

    def calm(self) -> None:
        """After a cancel was obeyed, the phone is still ours to tidy up: let commands run again."""
        self._hard.clear()

    @property
    def reason(self) -> str | None:
        """Why to stop, None to go on."""
        if self._over():
            self._reason = "lease_lost"
        return self._reason

    def check(self) -> None:
        """Raises SessionStopped if a hard stop was asked, or the lease is over."""
        if self._over():
            self._reason = "lease_lost"
            raise SessionStopped(self._reason)
        if self._hard.is_set():
            raise SessionStopped(self._reason or "cancelled")

    def pause(self, seconds: float) -> None:
        """Let time pass on the phone. Raises SessionStopped as soon as a hard stop is asked."""
        self._hard.wait(seconds)
        self.check()

    def _over(self) -> bool:
        return self._clock() >= self._ends_at


class Session:
    """Runs a job's actions. ``put`` takes their entries, ``run`` returns the last; ``clock``: monotonic seconds.

    ``commit`` waits until all that was put is durable, False if the lease was lost instead: an action that must not be
    repeated touches the phone only after that."""

    def __init__(
        self,
        job: Job,
        runner: Runner,
        stop: Stop,
        put: Callable[[Entry], None],
        *,
        commit: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._runner = runner
        self._stop = stop
        self._put = put
        self._commit = commit
        self._clock = clock
        self._doing: Action | None = None
        self._began = 0.0

    @property
    def doing(self) -> Action | None:
        """The action under way, None between two. May be read from any thread."""
        return self._doing

    def run(self) -> Entry | None:
        """Run to the end, whatever it is; the entry says which. None after a lost lease: nothing more is said."""
        try:
            self._actions()
        except PhoneFarmError as error:
            return self._broken_off(error)
        except Exception as error:
            log.exception("session.broken", next_step=logs.REPORT_IT)
            return self._failed(ActionError(f"internal error: {type(error).__name__}"), definite=False)
        return Entry(kind=EntryKind.FINISHED)

    def _actions(self) -> None:
        ends_at = self._clock() + self._job.seconds_left
        for action in self._job.actions:
            if self._stop.reason is not None:
                raise SessionStopped(self._stop.reason)
            spent = self._clock() >= ends_at and action.kind is not ActionKind.CLOSE_APP
            self._one(action, "time_budget" if spent else None)

    def _one(self, action: Action, skip: str | None) -> None:
        named = _with_phone(action, self._job.phone_id)
        if skip is not None:
            self._put(Entry(kind=EntryKind.ACTION_FINISHED, action=named, skipped=skip))
            return
        self._doing, self._began = named, self._clock()
        with tracing.span(f"action.{named.kind.value}", index=named.index):
            self._do(named)
        self._doing = None

    def _do(self, named: Action) -> None:
        self._put(Entry(kind=EntryKind.ACTION_STARTED, action=named))
        if not named.repeatable:
            self._written_ahead()
        result = self._runner.run(named)
        self._put(
            Entry(
                kind=EntryKind.ACTION_FINISHED,
                action=named,
                output=_naming(result),
                skipped=result.skipped,
                seconds=self._spent(),
                artifacts=result.artifacts,
            )
        )
        log.debug("action.finished", index=named.index, action=named.kind.value, seconds=self._spent())

    def _written_ahead(self) -> None:
        """Raises SessionStopped if the start could not be made durable, or somebody asked to stop meanwhile."""
        if not self._commit():
            self._stop.hard("lease_lost")
        if self._stop.reason is not None:
            raise SessionStopped(self._stop.reason)

    def _spent(self) -> float:
        """Seconds of the action under way."""
        return round(self._clock() - self._began, 3) if self._doing is not None else 0.0

    def _broken_off(self, error: PhoneFarmError) -> Entry | None:
        """Stopped only if somebody asked for it; a command that was ended for another reason means a lost phone."""
        if self._stop.reason is not None:
            return self._stopped(self._stop.reason)
        if isinstance(error, SessionStopped):
            return self._failed(DeviceLost("the phone went away in the middle of a command"))
        return self._failed(error)

    def _stopped(self, reason: str) -> Entry | None:
        if reason == "lease_lost":
            log.warning(
                "session.lease_lost",
                cause="the manager was not reached within the lease, or gave the item to another attempt",
                next_step="none: the phone is left as it is, and the item goes on by itself",
            )
            return None
        last = Entry(kind=EntryKind.CANCELLED, action=self._doing, seconds=self._spent())
        self._stop.calm()
        self._tidy()
        return last

    def _failed(self, error: PhoneFarmError, *, definite: bool | None = None) -> Entry:
        """``definite``: whether the phone answered; by default what the kind of the error says."""
        answered = isinstance(error, ActionError | CommandFailed) and not isinstance(error, ActionTimedOut)
        answered = answered if definite is None else definite
        info = ErrorInfo(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            action=self._doing.kind.value if self._doing is not None else None,
            definite=answered,
        )
        last = Entry(kind=EntryKind.FAILED, action=self._doing, error=info, seconds=self._spent())
        evidence = tuple(self._evidence()) if isinstance(error, ActionError | BadScreen) else ()
        self._tidy()
        return replace(last, artifacts=evidence)

    def _evidence(self) -> Iterable[Artifact]:
        """The screen as a picture and as the text it was read from, as far as the phone still gives them."""
        name = f"{safe_name(self._job.phone_id)}-failure-{self._job.lease.attempt}"
        for take in (self._runner.snapshot, self._runner.dump):
            try:
                yield take(name)
            except PhoneFarmError as error:
                log.info("evidence.missing", of=take.__name__, error=error)

    def _tidy(self) -> None:
        try:
            self._runner.leave()
        except PhoneFarmError as error:
            log.info("phone.not_tidied", error=error)


def _naming(result: ActionResult) -> Mapping[str, Any]:
    """The output of an action, with the name of the artifact it made."""
    return {**result.output, "artifact": result.artifacts[0].name} if result.artifacts else result.output


def safe_name(text: str) -> str:
    """A phone id as part of a file name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in text)


def _with_phone(action: Action, phone_id: str) -> Action:
    """Artifacts are named within their process, so their name begins with the phone."""
    if "name" not in action.params:
        return action
    return replace(action, params={**action.params, "name": f"{safe_name(phone_id)}-{action.params['name']}"})
