"""What is known of phones and accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from phonefarm.models.states import PhoneState


@dataclass(frozen=True, kw_only=True, slots=True)
class Battery:
    """``level`` in percent, ``temperature`` in degrees Celsius."""

    level: int | None = None
    temperature: float | None = None
    charging: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneFacts:
    """What a check read from a phone, None for what it does not tell. ``storage_free`` and ``storage_total`` in bytes;
    ``locked``: the lock screen is up (a session opens it)."""

    phone_id: str
    model: str = ""
    android: str = ""
    battery: Battery = field(default_factory=Battery)
    storage_free: int | None = None
    storage_total: int | None = None
    screen_on: bool | None = None
    locked: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneReport:
    """What a host or a phone actor says about one phone. ``facts`` None leaves the known ones as they are.
    ``incarnation``: of the actor that says so, "" for a host."""

    phone_id: str
    host: str
    serial: str
    state: PhoneState
    why: str | None = None
    groups: tuple[str, ...] = ()
    facts: PhoneFacts | None = None
    incarnation: str = ""


class Claim(StrEnum):
    """What a host answers to another one that sees a phone of its own. ``FREE``: it is not here, take it. ``SAME``: it
    is reached from both, and stays. ``TWIN``: another phone says the same of itself, so both are set apart."""

    FREE = "free"
    SAME = "same"
    TWIN = "twin"


class Rung(StrEnum):
    """What a host does, one after the other, for a phone that does not answer."""

    RECONNECT = "reconnect"
    CONNECT = "connect"
    SERVER = "server_restart"
    REBOOT = "reboot"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, kw_only=True, slots=True)
class RungReport:
    """One rung was tried; ``helped``: the phone answered after it."""

    phone_id: str
    rung: Rung
    helped: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class HostReport:
    """How a host is. ``why``: what is wrong with it and what to do, None when nothing is."""

    name: str
    adb_port: int
    why: str | None = None
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneRow:
    """A phone as the router sees it. ``draining``: an operator wants it held once its item ends, so it gets no more."""

    phone_id: str
    host: str
    serial: str
    state: PhoneState
    why: str | None = None
    groups: tuple[str, ...] = ()
    draining: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DailyLimits:
    """None means no limit of that kind. ``minutes`` of session time a UTC day."""

    sessions: int | None = None
    minutes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRow:
    """An account as the router sees it. Inactive unless somebody authorised its use.

    ``spent_day``: the UTC day (days since the epoch) on which a daily limit was reached, None if on no known day;
    ``timed_out_day``: on which it was that of minutes, so that not even a session that has begun may go on.
    """

    account_id: str
    phone_id: str | None = None
    group: str | None = None
    active: bool = False
    limits: DailyLimits = field(default_factory=DailyLimits)
    authorization: Mapping[str, str] | None = None
    spent_day: int | None = None
    timed_out_day: int | None = None
