"""The fault table: what breaks on a phone x what phonefarm makes of it, on both adb servers, with and without bursts.

A row is a fault, what is asked of the phone meanwhile, and the one named error (or the state) that is right. After each
the fault is taken back and the same question must be answered. Faults of the wire itself are in ``test_vphone_adb``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from phonefarm.core.health import unfit
from phonefarm.devices.driver import Driver
from phonefarm.devices.executor import Executor
from phonefarm.devices.probe import probe
from phonefarm.devices.profiles import load_profile
from phonefarm.errors import PhoneFarmError
from phonefarm.models.action import Action, ActionKind
from phonefarm.settings import Limits
from phonefarm.vphone.phone import VPhone
from tests.integration.test_vphone_adb import Lab, _Never, address, eventually, lab

__all__ = ["lab"]
pytestmark = pytest.mark.timeout(120)

APP = "org.phonefarm.feed"
Ask = Callable[[Driver], Any]


def _executor(driver: Driver) -> Executor:
    return Executor(
        driver=driver,
        profile=load_profile("feed"),
        judge=None,
        stop=_Never(),
        pause=lambda seconds: None,
        rng=random.Random(1),
        phone_id="p",
        now=lambda: datetime(2026, 11, 24, tzinfo=UTC),
    )


def _do(kind: ActionKind, **params: Any) -> Ask:
    action = Action(index=0, kind=kind, params={"app": "feed", **params})
    return lambda driver: _executor(driver).run(action)


def _fit(driver: Driver) -> None:
    """Raises with the reason, as the farm would show it."""
    if (why := unfit(probe(driver), Limits())) is not None:
        raise AssertionError(why)


SEARCH = _do(ActionKind.SEARCH, keyword="tea")
TYPED = _do(ActionKind.SEARCH, keyword="brötchen")
OPEN = _do(ActionKind.OPEN_APP)
SHOT = _do(ActionKind.SCREENSHOT, keyword="tea", name="x")


def _endless(driver: Driver) -> None:
    driver.sh(["sleep", "600"], timeout=0.5)


def _push(driver: Driver) -> None:
    driver.push(b"x" * 100_000, "/sdcard/x", timeout=10)


@dataclass(frozen=True, kw_only=True)
class RowOf:
    """``error``: code of the error, or words of the reason; None: it is done in spite of the fault."""

    on: Callable[[VPhone], object]
    ask: Ask
    error: str | None
    off: Callable[[VPhone], object] = lambda phone: phone.android.faults.clear()
    again: Ask | None = None


def _fault(name: str, value: object = True) -> Callable[[VPhone], object]:
    return lambda phone: phone.android.faults.set(name, value)


def _battery(**values: object) -> Callable[[VPhone], object]:
    return lambda phone: phone.android.battery.update(values)


_CHARGED = _battery(level=85, temperature=289, plugged=True)

TABLE: Mapping[str, RowOf] = {
    "could not get idle state": RowOf(on=_fault("no_idle"), ask=SEARCH, error="bad_screen"),
    "null root node": RowOf(on=_fault("null_root"), ask=SEARCH, error="bad_screen"),
    "hostile dump": RowOf(on=_fault("xml", "<hierarchy>" + "<node>" * 5_000), ask=SEARCH, error="bad_screen"),
    "popup": RowOf(on=_fault("popup", "Rate this app"), ask=SEARCH, error=None),
    "lock screen": RowOf(on=_fault("locked"), ask=SEARCH, error=None),
    "slow phone": RowOf(on=_fault("slow_ms", 60), ask=SEARCH, error=None),
    "crash at start": RowOf(on=_fault("crash_on_start", APP), ask=OPEN, error="action_failed"),
    "crash now": RowOf(on=lambda p: p.android.crash(APP), ask=SEARCH, error=None),
    "package missing": RowOf(
        on=lambda p: p.android.remove(APP), off=lambda p: p.android.restore(APP), ask=OPEN, error="app_missing"
    ),
    "no ADB keyboard": RowOf(on=_fault("ime_absent"), ask=TYPED, error="action_failed"),
    # an app may forbid pictures of itself, so a black one is kept as it is; nothing is ever read from a picture
    "blank screenshot": RowOf(on=_fault("blank_screen"), ask=SHOT, error=None),
    "disk full": RowOf(on=_fault("disk_full"), ask=_push, error="command_failed"),
    "rotation": RowOf(on=lambda p: p.android.rotate(1), off=lambda p: p.android.rotate(0), ask=SEARCH, error=None),
    "endless command": RowOf(on=lambda p: None, ask=_endless, error="device_timeout", again=SEARCH),
    "dead battery": RowOf(on=_battery(level=3, plugged=True), off=_CHARGED, ask=_fit, error="battery at 3 %"),
    "hot battery": RowOf(on=_battery(temperature=480), off=_CHARGED, ask=_fit, error="battery at 48 degrees"),
}


@pytest.mark.fault(25, 26, 27, 28)
@pytest.mark.parametrize("fault", TABLE)
def test_a_fault_has_its_name_and_ends(lab: Lab, fault: str) -> None:
    row, phone = TABLE[fault], lab.rack.host.phones["VP000002"]
    lab.connect(phone)
    driver = Driver(port=lab.port, serial=address(phone))
    OPEN(driver)
    lab.rack.do(lambda: row.on(phone))
    try:
        said = _said(row.ask, driver)
    finally:
        lab.rack.do(lambda: row.off(phone))
    assert (said is None) == (row.error is None), said
    assert row.error is None or row.error in (said or ""), said
    assert "no message" not in (said or "")
    assert "no next step" not in (said or "")
    (row.again or row.ask)(driver)


def _said(ask: Ask, driver: Driver) -> str | None:
    """The error's code and message, None if it was done."""
    try:
        ask(driver)
    except PhoneFarmError as error:
        return f"{error.code}: {error.message or 'no message'} {error.next_step or 'no next step'}"
    except AssertionError as reason:
        return str(reason)
    return None


def test_a_reboot_cuts_the_command_and_the_phone_comes_back(lab: Lab) -> None:
    phone = lab.rack.host.phones["VP000002"]
    lab.connect(phone)
    driver = Driver(port=lab.port, serial=address(phone))
    before = driver.sh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=10).stdout
    driver.reboot(timeout=10)
    lab.adb("disconnect", address(phone))
    eventually("it is booted", lambda: _booted(lab, phone))
    assert driver.sh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=10).stdout != before


def _booted(lab: Lab, phone: VPhone) -> bool:
    lab.adb("connect", address(phone))
    try:
        return probe(Driver(port=lab.port, serial=address(phone))).phone_id == phone.serialno
    except PhoneFarmError:
        return False
