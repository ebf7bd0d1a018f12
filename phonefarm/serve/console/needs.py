"""What needs a person today, worst first: one pure function over what is known of the farm.

Theory of operation
-------------------
A *need* is a line that a person can act on: what it is, since when, and the next step. What mends itself is none: a
phone that reboots, a callback that failed once, an item that waits for its turn. The bounds of ``Bounds`` say when
something that usually mends itself does not. One cause makes one line: the phones of a host that is gone are counted in
the host's line, and phones that merely sit full on their chargers share one.

The order is that of ``NeedKind``: first what stops the farm or burns, then what holds work up, then what will. Within a
kind the oldest comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import quote, urlsplit

from phonefarm.core.health import GIB, Excess, excesses
from phonefarm.core.presence import SILENT
from phonefarm.errors import DeviceLost, DeviceUnauthorized
from phonefarm.models.attention import Attention, FailingReceiver
from phonefarm.models.phone import Battery
from phonefarm.models.requests_base import parse_time
from phonefarm.models.states import PhoneState
from phonefarm.serve import codes
from phonefarm.serve.console import phrases
from phonefarm.serve.console.words import size, span
from phonefarm.settings import HealthSettings

Phone = Mapping[str, Any]


class Severity(Enum):
    """How soon somebody should come, and the word for it."""

    NOW = "now"
    TODAY = "today"
    SOON = "soon"


class NeedKind(Enum):
    """Every kind of need, worst first."""

    DATABASE = ("Database", Severity.NOW)
    FARM_AWAY = ("Farm", Severity.NOW)
    PHONE_HOT = ("Hot phone", Severity.NOW)
    DISK_FULL = ("Disk", Severity.NOW)
    HOST_GONE = ("Host gone", Severity.NOW)
    QUEUE_OLD = ("Queue", Severity.TODAY)
    HOST_TROUBLE = ("Host", Severity.TODAY)
    PHONE_FLAPPING = ("Comes and goes", Severity.TODAY)
    PHONE_QUARANTINED = ("Quarantined", Severity.TODAY)
    PHONE_UNAUTHORIZED = ("Unauthorized", Severity.TODAY)
    PHONE_OFFLINE = ("Offline", Severity.TODAY)
    CALLBACKS_FAILING = ("Callbacks", Severity.TODAY)
    CALLBACKS_DEAD = ("Lost callbacks", Severity.TODAY)
    DEAD_LETTER = ("Failed", Severity.TODAY)
    DISK_LOW = ("Disk", Severity.SOON)
    PHONE_UNFIT = ("Unfit", Severity.SOON)
    PHONE_BATTERY = ("Battery", Severity.SOON)
    PHONE_STORAGE = ("Storage", Severity.SOON)
    PHONE_UNSTEADY = ("Needed help", Severity.SOON)
    BATTERY_FULL = ("Always full", Severity.SOON)

    def __init__(self, word: str, severity: Severity) -> None:
        self.word = word
        self.severity = severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """``subject``: which phone, host or process; ``href``: where to look; ``since``: ms since the epoch, None if it is
    not known."""

    kind: NeedKind
    subject: str
    what: str
    step: str
    since: int | None = None
    href: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """When something that usually mends itself does not. Times in seconds, ``full_hours`` on the charger at 100 %."""

    offline: float = 120.0
    queue: float = 900.0
    callbacks: float = 600.0
    helped: float = 3_600.0
    full_hours: float = 14 * 24.0
    disk_full: int = GIB
    disk_low: int = 5 * GIB
    disk_low_share: float = 0.05
    letters: int = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What was read. None: it could not be read, and ``parts`` says why. ``parts``: of the farm, None if well."""

    phones: Sequence[Phone] | None = None
    hosts: Sequence[Mapping[str, Any]] | None = None
    attention: Attention | None = None
    parts: Mapping[str, str | None] = field(default_factory=dict)
    health: HealthSettings = field(default_factory=HealthSettings)


_ORDER = {kind: place for place, kind in enumerate(NeedKind)}


def needs(facts: Facts, now: int, bounds: Bounds | None = None) -> list[Need]:
    """What needs a person, worst first; ``now`` in ms since the epoch."""
    bounds = bounds or Bounds()
    found = [
        *_parts(facts.parts),
        *_hosts(facts.hosts or (), facts.phones or ()),
        *_phones(_dated(facts), facts.health, now, bounds),
        *(_attention(facts.attention, now, bounds) if facts.attention is not None else ()),
    ]
    return sorted(found, key=_rank)


def _rank(need: Need) -> tuple[int, float, str]:
    return (_ORDER[need.kind], need.since if need.since is not None else float("inf"), need.subject)


# -- the farm itself -------------------------------------------------------------------------------


def _parts(parts: Mapping[str, str | None]) -> Iterator[Need]:
    for name, trouble in parts.items():
        if trouble is None:
            continue
        kind = NeedKind.DATABASE if name == "storage" else NeedKind.FARM_AWAY
        step = (
            "Nothing is accepted until it is mended; look at its disk, its server and the manager's log"
            if kind is NeedKind.DATABASE
            else "It is restarted by itself; if this stays, read its log in the state directory"
        )
        yield Need(kind=kind, subject=name, what=trouble, step=step)


def _attention(seen: Attention, now: int, bounds: Bounds) -> Iterator[Need]:
    yield from _disk(seen, bounds)
    yield from _queue(seen, now, bounds)
    yield from (need for receiver in seen.receivers for need in _receiver(receiver, now, bounds))
    yield from _letters(seen, bounds)


def _disk(seen: Attention, bounds: Bounds) -> Iterator[Need]:
    if seen.disk_free is None or seen.disk_total is None:
        return
    low = min(bounds.disk_low, int(seen.disk_total * bounds.disk_low_share))
    if seen.disk_free < max(bounds.disk_full, low):
        kind = NeedKind.DISK_FULL if seen.disk_free < bounds.disk_full else NeedKind.DISK_LOW
        what = f"{size(seen.disk_free)} of {size(seen.disk_total)} free on the disk of the farm's state"
        step = "Make room, or keep processes for fewer days; a full disk stops the farm"
        yield Need(kind=kind, subject="state directory", what=what, step=step)


def _queue(seen: Attention, now: int, bounds: Bounds) -> Iterator[Need]:
    if seen.oldest_ready is not None and now - seen.oldest_ready > bounds.queue * 1000:
        age = span((now - seen.oldest_ready) / 1000)
        what = f"{_count(seen.ready_items, 'item')} could run and waits; the oldest for {age}"
        step = "See why in the queue: phones that are away, held or too few"
        yield Need(
            kind=NeedKind.QUEUE_OLD, subject="queue", what=what, step=step, since=seen.oldest_ready,
            href="/console/queue",
        )  # fmt: skip


def _receiver(receiver: FailingReceiver, now: int, bounds: Bounds) -> Iterator[Need]:
    if not receiver.dead and now - receiver.since <= bounds.callbacks * 1000:
        return
    said = f"answers {receiver.http_status}" if receiver.http_status is not None else (receiver.error or "no answer")
    many = _count(receiver.count, "callback")
    if receiver.dead:
        kind, what = NeedKind.CALLBACKS_DEAD, f"{many} given up; the last try: {said}"
        step = "Mend the receiver, then send them again from the pages of their processes"
    else:
        kind, what = NeedKind.CALLBACKS_FAILING, f"{many} not delivered: {said}"
        step = "Mend the receiver; they are tried again by themselves"
    yield Need(kind=kind, subject=place_of(receiver.url), what=what, step=step, since=receiver.since)


def place_of(url: str) -> str:
    """A URL without what may be secret in it: no user, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _letters(seen: Attention, bounds: Bounds) -> Iterator[Need]:
    for letter in seen.dead_letters[: bounds.letters]:
        what = f"{letter.process_type.replace('_', ' ')} failed: {letter.code or 'no reason given'}"
        step = f"{_cure(letter.code)}; then replay it"
        yield Need(
            kind=NeedKind.DEAD_LETTER, subject=letter.request_id, what=what, step=step, since=letter.finished_at,
            href=f"/console/processes/{letter.process_id}",
        )  # fmt: skip
    more = seen.dead_letter_count - min(len(seen.dead_letters), bounds.letters)
    if more > 0:
        what = f"{_count(more, 'more process', 'more processes')} failed within the last week"
        href = "/console/processes?status=failed_terminal"
        yield Need(
            kind=NeedKind.DEAD_LETTER,
            subject="others",
            what=what,
            step="Look through the list of what failed",
            href=href,
        )


def _cure(code: str | None) -> str:
    text = codes.process_errors().get(code or "", "Look at its timeline")
    return text[:1].upper() + text[1:]


# -- hosts -----------------------------------------------------------------------------------------


def _is_gone(host: Mapping[str, Any]) -> bool:
    return str(host["why"] or "").startswith(SILENT)


def _hosts(hosts: Iterable[Mapping[str, Any]], phones: Sequence[Phone]) -> Iterator[Need]:
    for host in hosts:
        if host["why"] is None:
            continue
        own = sum(1 for phone in phones if phone["host"] == host["host"])
        named = f" Its {_count(own, 'phone')} cannot be used." if own and _is_gone(host) else ""
        what, step = phrases.said_by_host(str(host["why"]))
        yield Need(
            kind=NeedKind.HOST_GONE if _is_gone(host) else NeedKind.HOST_TROUBLE,
            subject=str(host["host"]),
            what=f"{what}.{named}" if named else what,
            step=_sentence(step) or "Read the host's log in its state directory",
            since=parse_time(host["last_seen"]) if _is_gone(host) else None,
        )


def _dated(facts: Facts) -> Iterator[Phone]:
    """The phones that are not away with their host, each with ``since``: of its state, as far as it is known."""
    gone = {host["host"] for host in facts.hosts or () if _is_gone(host)}
    known = facts.attention.states if facts.attention is not None else {}
    for phone in facts.phones or ():
        if phone["host"] not in gone or phone["state"] != PhoneState.OFFLINE.value:
            yield {**phone, "since": known.get(phone["phone_id"])}


# -- phones ----------------------------------------------------------------------------------------


def _phones(phones: Iterable[Phone], health: HealthSettings, now: int, bounds: Bounds) -> Iterator[Need]:
    always_full: list[Phone] = []
    for phone in phones:
        away = _away(phone, now, bounds)
        yield from away
        if phone["state"] not in _NOT_READ:
            ailing = [*_ailing(phone, health), *_unsteady(phone, now, bounds)]
            yield from ailing
            yield from _unfit(phone, ailing)
            if phone["battery"]["full_hours"] >= bounds.full_hours:
                always_full.append(phone)
    if always_full:
        yield _full(always_full, now)


#: What is known of a phone in one of these states is old.
_NOT_READ = {PhoneState.OFFLINE.value, PhoneState.UNAUTHORIZED.value, PhoneState.RETIRED.value}


def _need(phone: Phone, kind: NeedKind, what: str, step: str, since: int | None = None) -> Need:
    phone_id = str(phone["phone_id"])
    href = f"/console/phones/{quote(phone_id, safe='')}"
    return Need(kind=kind, subject=phone_id, what=what, step=step, since=since, href=href)


def _away(phone: Phone, now: int, bounds: Bounds) -> list[Need]:
    make = _AWAY.get(phone["state"])
    return list(make(phone, now, bounds)) if make is not None else []


def _offline(phone: Phone, now: int, bounds: Bounds) -> Iterator[Need]:
    since = phone["since"] or parse_time(phone["last_seen"])
    if since is None or now - since > bounds.offline * 1000:
        yield _need(phone, NeedKind.PHONE_OFFLINE, _why(phone), _sentence(DeviceLost.next_step), since)


def _unauthorized(phone: Phone, _now: int, _bounds: Bounds) -> Iterator[Need]:
    step = _sentence(DeviceUnauthorized.next_step)
    yield _need(phone, NeedKind.PHONE_UNAUTHORIZED, _why(phone), step, phone["since"])


def _quarantined(phone: Phone, _now: int, _bounds: Bounds) -> Iterator[Need]:
    what, _, step = _why(phone).partition(": ")
    if what.startswith("lost "):
        step = _sentence(step) or "Look at cable, hub and power"
        yield _need(phone, NeedKind.PHONE_FLAPPING, what, step, phone["since"])
    else:
        step = "Release it on its page once the cause is gone"
        yield _need(phone, NeedKind.PHONE_QUARANTINED, _why(phone), step, phone["since"])


_AWAY: Mapping[str, Callable[[Phone, int, Bounds], Iterator[Need]]] = {
    PhoneState.OFFLINE.value: _offline,
    PhoneState.UNAUTHORIZED.value: _unauthorized,
    PhoneState.QUARANTINED.value: _quarantined,
}


def _why(phone: Phone) -> str:
    return str(phone["why"] or f"it is {phone['state']}, no reason given")


#: How a battery is low, and the next step.
_CHARGED = ("though it charges", "If this stays, give it a stronger charger or cable")
_UNCHARGED = ("and it does not charge", "Look at its cable, hub and charger")


def _ailing(phone: Phone, health: HealthSettings) -> Iterator[Need]:
    limits, free = health.limits_for(phone["groups"]), phone["storage"]["free"]
    battery = Battery(**{name: phone["battery"][name] for name in ("level", "temperature", "charging")})
    for excess in excesses(battery, free, limits):
        match excess:
            case Excess.HEAT:
                what = f"battery at {battery.temperature:g} °C, at most {limits.temperature:g}"
                step = "Take it off its charger and let it cool; look whether it swells"
                yield _need(phone, NeedKind.PHONE_HOT, what, step)
            case Excess.BATTERY:
                how, step = _CHARGED if battery.charging else _UNCHARGED
                yield _need(phone, NeedKind.PHONE_BATTERY, f"battery at {battery.level} % {how}", step)
            case Excess.STORAGE:
                what = f"{size(free)} free, needs {limits.storage_gib:g} GiB"
                yield _need(phone, NeedKind.PHONE_STORAGE, what, "Submit maintenance with the step free_storage")


def _unfit(phone: Phone, ailing: Sequence[Need]) -> Iterator[Need]:
    """A phone that failed its check for a reason that has no line of its own."""
    told = {NeedKind.PHONE_HOT, NeedKind.PHONE_BATTERY, NeedKind.PHONE_STORAGE}
    if phone["state"] == PhoneState.CHECKING.value and phone["why"] and not told & {need.kind for need in ailing}:
        step = "It gets work once a check has passed"
        yield _need(phone, NeedKind.PHONE_UNFIT, str(phone["why"]), step, phone["since"])


def _unsteady(phone: Phone, now: int, bounds: Bounds) -> Iterator[Need]:
    """It works now, but its host had to help it a short while ago."""
    tried = {rung: at for rung, seen in phone["ladder"].items() if (at := parse_time(seen["last_at"])) is not None}
    last = max(tried.values(), default=None)
    if last is None or now - last > bounds.helped * 1000 or phone["state"] == PhoneState.QUARANTINED.value:
        return
    rung = max(tried, key=lambda name: tried[name]).replace("_", " ")
    what = f"did not answer and was helped by: {rung}"
    yield _need(phone, NeedKind.PHONE_UNSTEADY, what, "If it comes again, look at cable, hub and power", last)


def _full(phones: Sequence[Phone], now: int) -> Need:
    hours = max(phone["battery"]["full_hours"] for phone in phones)
    names = ", ".join(str(phone["phone_id"]) for phone in phones[:5])
    rest = f" and {len(phones) - 5} more" if len(phones) > 5 else ""
    return Need(
        kind=NeedKind.BATTERY_FULL,
        subject=names + rest,
        what=f"{_count(len(phones), 'phone')} at 100 % on the charger for up to {hours / 24:.0f} days",
        step="Look whether a battery swells; a charger with a timer keeps them well",
        since=now - round(hours * 3_600_000),
    )


# -- words -----------------------------------------------------------------------------------------


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def looked_at(facts: Facts) -> list[str]:
    """What was looked at, for a page that has nothing to show."""
    seen = []
    if facts.phones is not None:
        seen.append(f"{_count(len(facts.phones), 'phone')}: connection, battery, heat, storage")
    if facts.hosts is not None:
        seen.append(f"{_count(len(facts.hosts), 'host')}: sign of life, adb server")
    if facts.attention is not None:
        seen.append("what failed and which callbacks were lost within the last week")
        seen.append(f"the queue: {_count(facts.attention.ready_items, 'item')} could run now")
    if facts.attention is not None and facts.attention.disk_free is not None:
        seen.append(f"the disk of the farm's state: {size(facts.attention.disk_free)} free")
    well = [name for name, trouble in facts.parts.items() if trouble is None]
    return [*seen, *([", ".join(well)] if well else [])]
