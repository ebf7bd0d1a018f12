"""Whether a phone may be given work, and whether it is trusted: pure decisions, no clock of their own.

Two questions. *Fit*: does what the last check read lie within the limits (battery, heat, storage)? What a phone does
not tell is no reason against it. *Trusted*: does it stay? A phone that comes and goes would take work and lose it
again and again, so after a few losses within a short time it is set apart, by itself, until some checks in a row were
clean. An operator's ``release`` pardons it at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from phonefarm.models.phone import Battery, PhoneFacts
from phonefarm.settings import Limits, Patience

GIB = 1024**3
#: Below this level a battery that was full counts as used again; between it and 100 a charger only tops it up.
FULL, STILL_FULL = 100, 95


class Excess(Enum):
    """What of a phone may lie outside its limits."""

    BATTERY = auto()
    HEAT = auto()
    STORAGE = auto()


def excesses(battery: Battery, storage_free: int | None, limits: Limits) -> Iterator[Excess]:
    """What lies outside; ``storage_free`` in bytes."""
    if battery.level is not None and battery.level < least_level(battery, limits):
        yield Excess.BATTERY
    if battery.temperature is not None and battery.temperature > limits.temperature:
        yield Excess.HEAT
    if storage_free is not None and storage_free < limits.storage_gib * GIB:
        yield Excess.STORAGE


def least_level(battery: Battery, limits: Limits) -> float:
    """The level, in percent, below which the phone may not work."""
    return limits.battery_charging if battery.charging else limits.battery


def unfit(facts: PhoneFacts, limits: Limits) -> str | None:
    """Why a phone may not be given work now, in words for an operator; None when it may."""
    found = excesses(facts.battery, facts.storage_free, limits)
    return "; ".join(_in_words(excess, facts, limits) for excess in found) or None


def _in_words(excess: Excess, facts: PhoneFacts, limits: Limits) -> str:
    battery = facts.battery
    match excess:
        case Excess.BATTERY:
            how = "while it charges" if battery.charging else "when it does not charge"
            return f"battery at {battery.level} %, needs {least_level(battery, limits):g} % {how}"
        case Excess.HEAT:
            return f"battery at {battery.temperature:g} degrees Celsius, at most {limits.temperature:g}: let it cool"
        case Excess.STORAGE:
            free = (facts.storage_free or 0) / GIB
            return f"{free:.2f} GiB of storage free, needs {limits.storage_gib:g} GiB: run free_storage"


def full_since(before: int | None, battery: Battery, now: int) -> int | None:
    """Since when (ms) the battery is full on its charger, None when it is not.

    A charger that tops up between 95 and 100 % does not end it: that is what swells batteries.
    """
    if battery.level is None or not battery.charging:
        return None
    if battery.level >= FULL:
        return before if before is not None else now
    return before if battery.level >= STILL_FULL else None


@dataclass(kw_only=True, slots=True)
class Trust:
    """What a phone's actor remembers of how the phone behaved. Times in seconds of any steady clock."""

    patience: Patience = field(default_factory=Patience)
    _lost: deque[float] = field(default_factory=deque)
    _why: str | None = None
    _clean: int = 0

    @property
    def why(self) -> str | None:
        """Why the phone is set apart, with what ends it; None when it is trusted."""
        if self._why is None:
            return None
        return f"{self._why}; released after {self.patience.clean - self._clean} more clean checks, or by an operator"

    def lost(self, now: float) -> None:
        """The phone went away, or did not answer a check."""
        self._clean = 0
        self._lost.append(now)
        while self._lost[0] <= now - self.patience.seconds:
            self._lost.popleft()
        if len(self._lost) >= self.patience.losses and self._why is None:
            minutes = self.patience.seconds / 60
            self.distrust(f"lost {len(self._lost)} times within {minutes:g} minutes: look at cable, hub and power")

    def distrust(self, why: str) -> None:
        """Set the phone apart; clean checks count from now."""
        self._why, self._clean = why, 0

    def clean(self) -> None:
        """A check found the phone well."""
        if self._why is None:
            return
        self._clean += 1
        if self._clean >= self.patience.clean:
            self.pardon()

    def pardon(self) -> None:
        """Forget everything: the phone is trusted."""
        self._lost.clear()
        self._why, self._clean = None, 0
