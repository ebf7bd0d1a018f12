"""Sessions in a seeded storm: every video is read right, or an error says what went wrong; never a wrong result.

Popups, idle-state errors, crashes, slow screens and dropped connections come by a plan of faults. As the farm does, an
action that failed is tried again from whatever state the phone is in. What is read is compared with the phones' own
catalogue and with their own journals of what filled the screen; the journals also show that the storm was there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from phonefarm.errors import DeviceError, PhoneFarmError
from tests.integration.test_devices_executor import Session, expected, part
from tests.integration.test_devices_rack import Phone, Rack, rack_of

pytestmark = pytest.mark.timeout(180)

PHONES = 4
RANKS = 6
TRIES = 40
STORM = """
seed: 11
faults:
  - {do: set_fault, fault: slow_ms, value: 12}
  - {do: set_fault, fault: slow_ms, value: 40, every: 1.3, chance: 0.5}
  - {do: set_fault, fault: slow_ms, value: 12, every: 1.7}
  - {do: set_fault, fault: popup, value: "A system dialog", every: 0.4, chance: 0.5}
  - {do: set_fault, fault: no_idle, every: 0.9, chance: 0.4, lasts: 0.3}
  - {do: set_fault, fault: null_root, every: 1.1, chance: 0.3, lasts: 0.2}
  - {do: set_fault, fault: locked, every: 1.5, chance: 0.3}
  - {do: crash, every: 0.8, chance: 0.3}
  - {do: drop, every: 1.3, chance: 0.3}
  - {do: reset, every: 2.3, chance: 0.3}
"""


class Hurried(Session):
    """Waits for real, but not for long: the storm needs time to pass."""

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        time.sleep(min(seconds, 0.1))


@dataclass(kw_only=True)
class Outcome:
    """What became of a phone's session."""

    read: list[dict[str, Any]] = field(default_factory=list)
    wanted: list[dict[str, Any]] = field(default_factory=list)
    errors: list[PhoneFarmError] = field(default_factory=list)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    base: Path = tmp_path_factory.mktemp("storm")
    plan = base / "storm.yaml"
    plan.write_text(STORM)
    with rack_of(2 * PHONES, base, "--faults", str(plan)) as made:
        yield made


def weathered(phone: Phone, app: str, keyword: str) -> Outcome:
    """Every rank of a keyword, each tried again until it is read."""
    outcome = Outcome()
    chance = random.Random(phone.serialno)
    for rank in chance.sample(range(20), RANKS):
        for _ in range(TRIES):
            session = Hurried(phone=phone, app=app)
            try:
                result = session.watch(keyword, rank)
            except PhoneFarmError as error:
                outcome.errors.append(error)
                if isinstance(error, DeviceError):
                    phone.rack.until(lambda seen: seen.get(phone.address) == "device")
                continue
            outcome.read.append(part(result.output))
            outcome.wanted.append(expected(keyword, rank))
            break
    return outcome


@pytest.mark.parametrize("app", ["feed", "reader"])
def test_nothing_is_ever_read_wrong(rack: Rack, app: str) -> None:
    phones = [rack.next() for _ in range(PHONES)]
    with ThreadPoolExecutor(PHONES) as threads:
        outcomes = list(threads.map(lambda phone: weathered(phone, app, "street food"), phones))
    for outcome in outcomes:
        assert outcome.read == outcome.wanted
        assert len(outcome.read) == RANKS, [error.message for error in outcome.errors]
        assert all(error.code and error.message for error in outcome.errors)
    for phone, outcome in zip(phones, outcomes, strict=True):
        shown = {(line["query"], line["rank"], line["title"], line["author"]) for line in phone.shown()}
        read = {(got["keyword"], got["rank"], got["title"], got["author"]) for got in outcome.read}
        assert read <= shown, "something was read that the phone never showed"
    assert sum(len(outcome.errors) for outcome in outcomes) > 0, "the storm did nothing"
    taps = [line for phone in phones for line in phone.journal() if "input tap 830 1320" in str(line["command"])]
    assert taps, "no popup was ever put away"
