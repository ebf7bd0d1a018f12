"""Faults by plan: a YAML file that says what breaks, on which phones, when, and how likely.

::

    seed: 7
    faults:
      - {do: set_fault, fault: popup, value: "Battery low", every: 5, chance: 0.3, lasts: 2}
      - {do: drop, phones: [VP000001], at: 10}
      - {do: reboot, every: 60, chance: 0.1, times: 3}

A rule fires ``at`` seconds after the start, or ``every`` so many seconds, on each of its ``phones`` (all by default)
with ``chance`` (1 by default), at most ``times`` times a phone. What ``lasts`` is undone after so many seconds. The
rest of a rule are the keys of the control port's action. Chances are drawn from (seed, rule, phone), so that a plan
does the same to a phone however many others there are. PyYAML is imported only when a plan is read.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonefarm.vphone.control import ACTIONS, UNDO
from phonefarm.vphone.phone import VPhone

_OWN = frozenset({"phones", "at", "every", "chance", "times", "lasts"})


class PlanError(ValueError):
    """The plan makes no sense; the message names the rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a plan. Times in seconds; ``every`` 0: once, ``at``."""

    body: Mapping[str, Any]
    phones: frozenset[str] | None = None
    at: float = 0.0
    every: float = 0.0
    chance: float = 1.0
    times: int | None = None
    lasts: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All rules and the seed of their chances."""

    seed: int = 1
    rules: Sequence[Rule] = field(default_factory=tuple)

    def moments(self, serialno: str) -> Iterator[tuple[float, Rule]]:
        """When what happens to a phone, in order of time; endless if a rule repeats without end."""
        queues = [self._of(place, rule, serialno) for place, rule in enumerate(self.rules)]
        heads = [(next(queue, None), queue) for queue in queues]
        while ready := [(head, queue) for head, queue in heads if head is not None]:
            first = min(ready, key=lambda pair: pair[0][0])
            yield first[0]
            heads = [(next(queue, None) if queue is first[1] else head, queue) for head, queue in ready]

    def _of(self, place: int, rule: Rule, serialno: str) -> Iterator[tuple[float, Rule]]:
        if rule.phones is not None and serialno not in rule.phones:
            return
        chance = random.Random(f"{self.seed}|{place}|{serialno}")
        when, left = (rule.at or rule.every), rule.times
        while left != 0:
            if chance.random() < rule.chance:
                yield when, rule
                left = None if left is None else left - 1
            if not rule.every:
                return
            when += rule.every


def read_plan(path: Path) -> Plan:
    """The plan in a YAML file. Raises PlanError naming the rule, ``OSError``."""
    import yaml

    try:
        body = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: not YAML: {error}") from error
    return parse_plan(body)


def parse_plan(body: Any) -> Plan:
    """A plan from plain values. Raises PlanError."""
    if not isinstance(body, Mapping) or set(body) - {"seed", "faults"} or not isinstance(body.get("faults"), list):
        raise PlanError("a plan is a mapping with the keys seed (a number) and faults (a list)")
    seed = body.get("seed", 1)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise PlanError("seed: must be a whole number")
    return Plan(seed=seed, rules=tuple(_rule(place, rule) for place, rule in enumerate(body["faults"])))


def _rule(place: int, raw: Any) -> Rule:
    where = f"faults[{place}]"
    if not isinstance(raw, Mapping) or raw.get("do") not in ACTIONS:
        raise PlanError(f"{where}: do must be one of {', '.join(sorted(ACTIONS))}")
    numbers = {name: _number(where, name, raw[name]) for name in ("at", "every", "chance", "lasts") if name in raw}
    if numbers.get("chance", 1.0) > 1:
        raise PlanError(f"{where}: chance must be between 0 and 1")
    times, phones = raw.get("times"), raw.get("phones")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise PlanError(f"{where}: times must be a whole number from 1 on")
    if phones is not None and (not isinstance(phones, list) or not all(isinstance(one, str) for one in phones)):
        raise PlanError(f"{where}: phones must be a list of serial numbers")
    if "lasts" in raw and raw["do"] not in UNDO:
        raise PlanError(
            f"{where}: {raw['do']} cannot be undone, so it cannot last; what can: {', '.join(sorted(UNDO))}"
        )
    body = {name: value for name, value in raw.items() if name not in _OWN}
    return Rule(body=body, phones=None if phones is None else frozenset(phones), times=times, **numbers)


def _number(where: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise PlanError(f"{where}: {name} must be a number from 0 on")
    return float(value)


async def carry_out(
    plan: Plan, phones: Mapping[str, VPhone], note: Callable[[str], object] = lambda text: None
) -> None:
    """Do to all ``phones`` what ``plan`` says, until cancelled or done. ``note`` hears of what could not be done."""
    async with asyncio.TaskGroup() as group:
        for serialno, phone in phones.items():
            group.create_task(_one(plan, serialno, phone, note))


async def _one(plan: Plan, serialno: str, phone: VPhone, note: Callable[[str], object]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    undoing: list[asyncio.TimerHandle] = []
    try:
        for when, rule in plan.moments(serialno):
            await asyncio.sleep(max(0.0, began + when - loop.time()))
            if _do(rule.body, phone, note) and rule.lasts:
                undo = UNDO[rule.body["do"]](rule.body)
                undoing.append(loop.call_later(rule.lasts, _do, undo, phone, note))
    except asyncio.CancelledError:
        for timer in undoing:
            timer.cancel()  # the phones are about to stop: nothing may wake one of them again
        raise


def _do(body: Mapping[str, Any], phone: VPhone, note: Callable[[str], object]) -> bool:
    try:
        ACTIONS[body["do"]](phone, body)
    except (KeyError, TypeError, ValueError, OSError) as error:
        note(f"{phone.serialno}: {body['do']} failed: {error}")
        return False
    return True
