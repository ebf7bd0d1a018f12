"""Running a campaign: the shell around ``planner``, which speaks to the farm and keeps what was asked.

A wave is saved before any of it is sent, with the ids under which it goes; so whoever ends this at any moment loses
nothing: the next run sends the same ids again, and the farm answers with the processes it already has. Should the file
be lost, the farm is asked which of these ids it knows. A farm that is away is asked again for ten minutes; then the run
ends, and can be run again.

A request says by when its phone must have begun (``patience``). After that the farm drops it by itself, so no reboot is
left lying in a queue for a phone that comes back days later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from phonefarm.cli.maintain import campaign as values
from phonefarm.cli.maintain.campaign import Campaign, Outcome, Record
from phonefarm.cli.maintain.planner import Standing, decide, missing_canaries
from phonefarm.client import Accepted, Process, Refused, Unreachable
from phonefarm.errors import ConfigError
from phonefarm.models.clock import Clock, rfc3339, system_clock
from phonefarm.models.outbox import NOBODY

T = TypeVar("T")
Json = Mapping[str, Any]

#: How long a farm may be away.
AWAY_SECONDS = 600.0
TICK = 0.5
_LOOKS_PER_SECOND = 20
_AWAY_TICK = 2.0
_NOT_BEGUN = "queued"


class FarmPort(Protocol):
    """What a campaign asks of a farm; ``phonefarm.client.Farm`` is one."""

    def phones(self) -> list[dict[str, Any]]: ...
    def submit_maintenance(self, body: Json) -> Accepted: ...
    def get(self, process_id: str) -> Process: ...
    def processes(self, **filters: object) -> Iterator[Process]: ...
    def cancel(self, process_id: str, *, reason: str, requested_by: Json, strategy: str) -> dict[str, Any]: ...


class KeepPort(Protocol):
    """Where a campaign is kept; ``Keep`` is one."""

    def save(self, campaign: Campaign) -> None: ...
    def pause_asked(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How requests are made. ``patience``: seconds until a phone must have begun; ``system``: who asks."""

    system: str = "phonefarm-maintain"
    callback: str = NOBODY
    patience: float = 1_800.0
    priority: int = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A run that ended by itself. ``away``: phones that were not reached since they got no work, and why."""

    campaign: Campaign
    outcome: Outcome
    why: str = ""
    away: Mapping[str, str]


Tell = Callable[[Campaign, str], None]


def recovered(campaign: Campaign, farm: FarmPort, system: str) -> Campaign:
    """A campaign that nothing is kept of, with what the farm itself knows of it, should its file have been lost."""
    known: dict[str, str] = {}
    for one in farm.processes(process_type="maintenance", system=system, limit=200):
        asked = str(one.raw.get("request_id"))
        if asked.startswith(f"{campaign.name}:"):
            if (one.raw.get("callback") or {}).get("metadata") != _mark(campaign):
                raise _other_steps(campaign.name)
            known[asked] = one.process_id
    return values.recover(campaign, known)


class Run:
    """One run of a campaign. ``tell`` hears every change, with a line about it."""

    def __init__(
        self,
        campaign: Campaign,
        farm: FarmPort,
        keep: KeepPort,
        *,
        manner: Manner,
        tell: Tell,
        sleep: Callable[[float], None],
        clock: Clock = system_clock,
    ) -> None:
        self._campaign = campaign
        self._farm, self._keep, self._manner = farm, keep, manner
        self._tell, self._sleep, self._clock = tell, sleep, clock
        self._away: dict[str, str] = {}

    def run(self) -> Ended:
        """Until nothing is left to do, the stop rule holds, or a pause was asked for."""
        self._keep.save(self._campaign)
        for record in self._campaign.open_records():
            if not record.process_id:  # nobody knows whether it was sent
                self._send(replace(record, expires_at=self._expires_at()))
        while True:
            self._catch_up()
            pause = self._keep.pause_asked()
            self._look()
            decision = decide(self._campaign.terms, self._campaign.entries(self._away))
            halted = decision.stopped or pause
            if halted is not None:
                self._withdraw(halted)
            if decision.over or (halted is not None and not self._campaign.open_records()):
                return self._ended(decision.stopped, pause)
            if decision.send and halted is None:
                self._wave(decision.send)
            self._sleep(TICK + len(self._campaign.open_records()) / _LOOKS_PER_SECOND)

    def _ended(self, stopped: str | None, pause: str | None) -> Ended:
        self._campaign = replace(self._campaign, ended=True)
        self._keep.save(self._campaign)
        outcome = values.outcome_of(self._campaign, stopped=stopped is not None, paused=pause is not None)
        why = stopped or (f"paused: {pause}" if outcome is Outcome.PAUSED else "")
        waiting = {one.phone_id for one in self._campaign.records if one.standing is Standing.WAITING}
        away = {phone_id: reason for phone_id, reason in self._away.items() if phone_id in waiting}
        return Ended(campaign=self._campaign, outcome=outcome, why=why, away=away)

    # -- what came of what was sent --

    def _catch_up(self) -> None:
        for record in self._campaign.open_records():
            standing, why = self._standing(record)
            if standing is not Standing.SENT:
                self._put(replace(record, standing=standing, why=why), _line(record, standing, why))

    def _standing(self, record: Record) -> tuple[Standing, str]:
        try:
            process = self._asked(self._farm.get, record.process_id)
        except Refused as error:
            if error.status != 404:
                raise
            return Standing.MISSED, "the farm does not know the request any more"
        return values.standing_of(process.raw)

    def _look(self) -> None:
        """How the phones are; only when a wave may begin."""
        if not self._campaign.open_records():
            self._away = values.away_of(self._campaign, self._asked(self._farm.phones))

    # -- sending --

    def _wave(self, phones: tuple[str, ...]) -> None:
        canary = missing_canaries(self._campaign.terms, self._campaign.entries({})) > 0
        wave = 0 if canary else self._campaign.waves + 1
        records = tuple(
            self._next_try(replace(one, wave=wave)) if one.phone_id in phones else one for one in self._campaign.records
        )
        self._campaign = replace(self._campaign, records=records, waves=max(self._campaign.waves, wave))
        self._keep.save(self._campaign)
        self._tell(self._campaign, f"{f'wave {wave}' if wave else 'canary'}: {', '.join(phones)}")
        for record in self._campaign.open_records():
            self._send(record)

    def _next_try(self, record: Record) -> Record:
        number, expires_at = record.number + 1, self._expires_at()
        return replace(record, standing=Standing.SENT, number=number, expires_at=expires_at, process_id="")

    def _expires_at(self) -> str:
        return rfc3339(self._clock() + round(self._manner.patience * 1000)) or ""

    def _send(self, record: Record) -> None:
        """Send what is saved already, and save what became of it."""
        try:
            accepted = self._asked(self._farm.submit_maintenance, self._body(record))
        except Refused as error:
            if error.problem_code == "idempotency_key_reused":
                accepted = _known(error, self._campaign.name)
            elif error.status == 404:
                self._put(replace(record, standing=Standing.MISSED, why=error.detail), f"{record.phone_id} is gone")
                return
            else:
                self._put(replace(record, standing=Standing.WAITING, number=record.number - 1))
                raise
        self._put(replace(record, process_id=accepted.process_id))

    def _body(self, record: Record) -> dict[str, Any]:
        return {
            "request_id": values.request_id(self._campaign.name, record),
            "phone_id": record.phone_id,
            "inputs": {
                "steps": [dict(step) for step in self._campaign.steps],
                "metadata": {"campaign": self._campaign.name},
            },
            "callback": {"url": self._manner.callback, "metadata": _mark(self._campaign)},
            "requested_by": {"system": self._manner.system},
            "options": {"priority": self._manner.priority, "expires_at": record.expires_at},
        }

    def _withdraw(self, why: str) -> None:
        """Take back what no phone has begun; what has begun is waited for."""
        for record in self._campaign.open_records():
            if self._asked(self._farm.get, record.process_id).status == _NOT_BEGUN:
                reason = f"campaign {self._campaign.name}: {why}"[:1000]
                by = {"system": self._manner.system}
                self._asked(self._farm.cancel, record.process_id, reason=reason, requested_by=by, strategy="soft")

    # -- inside --

    def _put(self, record: Record, line: str = "") -> None:
        self._campaign = self._campaign.with_record(record)
        self._keep.save(self._campaign)
        if line:
            self._tell(self._campaign, line)

    def _asked(self, call: Callable[..., T], *args: Any, **options: Any) -> T:
        """The answer; a farm that is away is asked again, for a while."""
        waited = 0.0
        while True:
            try:
                return call(*args, **options)
            except (Unreachable, Refused) as error:
                if waited >= AWAY_SECONDS or not _away(error):
                    raise
                if waited == 0.0:
                    self._tell(self._campaign, "the farm does not answer; asking again")
            self._sleep(_AWAY_TICK)
            waited += _AWAY_TICK


def _away(error: Unreachable | Refused) -> bool:
    return isinstance(error, Unreachable) or error.status == 429 or error.status >= 500


def _known(error: Refused, campaign: str) -> Accepted:
    """The process of an earlier run whose state was lost. Raises ConfigError if it was to do something else."""
    differs = [str(name) for name in error.problem.get("differs", ())]
    if any(not name.startswith("options.") for name in differs):
        raise _other_steps(campaign)
    return Accepted(process_id=str(error.problem["process_id"]), duplicate=True)


def _other_steps(campaign: str) -> ConfigError:
    return ConfigError(f"the farm knows a campaign {campaign} with other steps; choose another name with --campaign")


def _mark(campaign: Campaign) -> dict[str, str]:
    """By which a request is known as one of this campaign, whatever machine it came from."""
    return {"campaign": campaign.name, "steps": values.digest(campaign.steps)}


def _line(record: Record, standing: Standing, why: str) -> str:
    return f"{record.phone_id} {standing.value}{f': {why}' if why else ''}"
