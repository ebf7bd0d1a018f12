"""Is a phone well, and who is it: read in one round trip.

Theory of operation
-------------------
One line asks everything, with a mark between the parts; each part is read on its own, and what a phone does not
tell is None, never an error. What makes a phone unfit is not decided here. Not booted is an error, because nothing
else that such a phone says counts. Sources: ``getprop``, ``dumpsys battery``, ``df -k``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from phonefarm.devices.shell import Joiner, ShellResult
from phonefarm.errors import CommandFailed, DeviceError
from phonefarm.models.phone import Battery, PhoneFacts

PROBE_SECONDS = 15.0
_MARK = "phonefarm-mark"
_PARTS: tuple[tuple[str, ...], ...] = (
    ("getprop", "ro.serialno"),
    ("getprop", "sys.boot_completed"),
    ("getprop", "ro.product.model"),
    ("getprop", "ro.build.version.release"),
    ("dumpsys", "battery"),
    ("df", "-k", "/data"),
    ("dumpsys", "window", "policy"),
)
_WHO = (
    ("getprop", "ro.serialno"),
    ("cat", "/proc/sys/kernel/random/boot_id"),
    ("settings", "get", "secure", "android_id"),
)
_AWAKE = re.compile(r"\bmAwake=(true|false)|\binteractiveState=INTERACTIVE_STATE_(AWAKE|WAKING|SLEEP|GOING_TO_SLEEP)")
#: KeyguardServiceDelegate says ``showing``; older Androids and some makers only the other two.
_LOCKED = re.compile(r"^\s*(?:showing|isStatusBarKeyguard|mShowingLockscreen)=(true|false)\b", re.MULTILINE)
_POWERED = re.compile(r"^\s*(?:AC|USB|Wireless|Dock) powered: true", re.MULTILINE)
_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: BatteryManager: 2 charging, 5 full.
_CHARGING = ("2", "5")


class ProbeShell(Protocol):
    """The part of ``Driver`` that a probe uses."""

    def sh_all(self, lines: Sequence[Sequence[str]], *, timeout: float, joiner: Joiner = "&&") -> ShellResult: ...


def probe(driver: ProbeShell, *, timeout: float = PROBE_SECONDS) -> PhoneFacts:
    """What the phone says of itself; ``phone_id`` is its ro.serialno.

    Raises DeviceError (retryable) while it boots, CommandFailed when its shell does not echo, other DeviceErrors as the
    driver does.
    """
    serial, booted, model, android, battery, storage, policy = _ask(driver, _PARTS, timeout)
    if booted.strip() != "1":
        raise DeviceError("the phone has not finished booting")
    free, total = parse_df(storage)
    return PhoneFacts(
        phone_id=serial.strip(),
        model=model.strip(),
        android=android.strip(),
        battery=parse_battery(battery),
        storage_free=free,
        storage_total=total,
        screen_on=_screen_on(policy),
        locked=_word(_LOCKED, policy),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who answers: ``phone_id`` is ro.serialno, the same over USB and TCP. ``body`` tells two phones apart that claim
    the same one: it differs between any two that run, and is the same on every way to one."""

    phone_id: str
    body: str


def identity(driver: ProbeShell, *, timeout: float = PROBE_SECONDS) -> Identity:
    """Raises DeviceError when the phone tells no ro.serialno."""
    serial, boot, android_id = (part.strip() for part in _ask(driver, _WHO, timeout))
    if not serial:
        raise DeviceError("the phone tells no ro.serialno")
    return Identity(phone_id=serial, body=boot if _BOOT_ID.fullmatch(boot) else android_id)


def _screen_on(policy: str) -> bool | None:
    found = _AWAKE.search(policy)
    return None if found is None else (found[1] == "true" if found[1] else found[2] in ("AWAKE", "WAKING"))


def _word(pattern: re.Pattern[str], text: str) -> bool | None:
    found = pattern.search(text)
    return None if found is None else found[1] == "true"


def parse_battery(text: str) -> Battery:
    """``dumpsys battery``; temperature comes in tenths of a degree."""
    level, temperature, status = (_field(text, name) for name in ("level", "temperature", "status"))
    known = status is not None or "powered:" in text
    return Battery(
        level=int(level) if level else None,
        temperature=int(temperature) / 10 if temperature else None,
        charging=(status in _CHARGING or _POWERED.search(text) is not None) if known else None,
    )


def parse_df(text: str) -> tuple[int | None, int | None]:
    """Free and total bytes of the file system, from ``df -k``; a long device name may take a line of its own."""
    numbers = re.search(r"(?<=\s)(\d+)\s+(\d+)\s+(\d+)\s+\d+%", text)
    if numbers is None:
        return None, None
    return int(numbers[3]) * 1024, int(numbers[1]) * 1024


def _ask(driver: ProbeShell, parts: Sequence[Sequence[str]], timeout: float) -> list[str]:
    mark = ("echo", _MARK)
    lines = [mark, *(line for part in parts for line in (part, mark))]
    answer = driver.sh_all(lines, timeout=timeout, joiner=";")
    pieces = answer.stdout.split(_MARK + "\n")
    if len(pieces) != len(parts) + 2:
        raise CommandFailed(f"the phone's shell does not answer: {answer.said[:200]!r}")
    return pieces[1:-1]


def _field(text: str, name: str) -> str | None:
    match = re.search(rf"^\s*{name}: (-?\d{{1,9}})\s*$", text, re.MULTILINE)
    return match[1] if match else None
