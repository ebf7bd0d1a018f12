"""What is known of phones and accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from phonefarm.models.states import PhoneState


@dataclass(frozen=True, kw_only=True, slots=True)
class Battery:
    """``level`` in percent, ``temperature`` in degrees Celsius."""

    level: int | None = None
    temperature: float | None = None
    charging: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneFacts:
    """What a passed check read from a phone. ``storage_free`` and ``storage_total`` in bytes."""

    phone_id: str
    model: str = ""
    android: str = ""
    battery: Battery = field(default_factory=Battery)
    storage_free: int | None = None
    storage_total: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneReport:
    """What a host or a phone actor says about one phone. ``facts`` None leaves the known ones as they are."""

    phone_id: str
    host: str
    serial: str
    state: PhoneState
    why: str | None = None
    groups: tuple[str, ...] = ()
    facts: PhoneFacts | None = None


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

    ``spent_day``: the UTC day (days since the epoch) on which a daily limit was reached, None if on no known day.
    """

    account_id: str
    phone_id: str | None = None
    group: str | None = None
    active: bool = False
    limits: DailyLimits = field(default_factory=DailyLimits)
    authorization: Mapping[str, str] | None = None
    spent_day: int | None = None
