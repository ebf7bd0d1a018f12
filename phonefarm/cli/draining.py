"""Draining: phones get no new work, what runs on them ends, then they are paused.

``phonefarm drain`` does it to a phone, a group, a host or the farm, and waits until it is quiet. ``phonefarm down
--drain`` does it to the farm before it ends it; the phones it paused are named in the state directory, and the next
``up`` resumes them: who drains a farm to restart it wants its phones back, while one that was paused before stays so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from phonefarm.cli.statedir import StateDir, write_private
from phonefarm.errors import PhoneFarmError

if TYPE_CHECKING:
    from phonefarm.client import Farm

Scope = Literal["phone", "group", "host", "farm"]
_TICK = 0.5
_FILE = "drained.json"


class NotQuiet(PhoneFarmError):
    """The time is over, and some phones still work."""

    code = "not_quiet"
    next_step = "wait longer, cancel what runs, or end the farm: what is broken off goes on at the next start"


def drain(client: Farm, scope: Scope, name: str, reason: str) -> set[str]:
    """Ask for it. Ids of the phones that are paused, or will be once their work ends."""
    if scope == "phone":
        phones = [client.operate(name, "drain", reason)]
    elif scope == "group":
        phones = client.operate_group(name, "drain", reason)
    elif scope == "host":
        phones = client.operate_host(name, "drain", reason)
    else:
        hosts = sorted({phone["host"] for phone in client.phones()})  # also one that has not spoken for itself yet
        phones = [phone for host in hosts for phone in client.operate_host(host, "drain", reason)]
    return {phone["phone_id"] for phone in phones}


def wait_quiet(
    client: Farm,
    phones: set[str],
    seconds: float,
    tell: Callable[[str], None],
    quiet: Callable[[int], None] = lambda _count: None,
) -> None:
    """Until none of ``phones`` works any more; ``tell`` hears each change of how many do, ``quiet`` how many do not.
    Raises NotQuiet."""
    ends_at = time.monotonic() + seconds
    said = ""
    while busy := sorted(p["phone_id"] for p in client.phones() if p["phone_id"] in phones and p.get("draining")):
        line = f"{len(busy)} of {len(phones)} phones still work: {', '.join(busy[:5])}{' ...' if busy[5:] else ''}"
        if line != said:
            tell(line)
            quiet(len(phones) - len(busy))
            said = line
        if time.monotonic() > ends_at:
            raise NotQuiet(f"not quiet within {seconds:g} s: {line}")
        time.sleep(_TICK)


def drain_before_down(client: Farm, state: StateDir, seconds: float, tell: Callable[[str], None]) -> None:
    """Drain the farm and write down which phones were paused for it. Raises NotQuiet."""
    free = {phone["phone_id"] for phone in client.phones() if not _held(phone)}
    phones = drain(client, "farm", "", "phonefarm down --drain")
    write_private(state.path / _FILE, json.dumps(sorted(phones & free | drained_before(state))) + "\n")
    wait_quiet(client, phones, seconds, tell)


def drained_before(state: StateDir) -> set[str]:
    """Phones that the last ``down --drain`` paused and no ``up`` has resumed."""
    try:
        return set(json.loads((state.path / _FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def resume_drained(client: Farm, state: StateDir) -> None:
    """Give the phones back that ``down --drain`` paused. One that somebody did something else to is left alone."""
    for phone_id in sorted(drained_before(state)):
        try:
            client.operate(phone_id, "resume", "the farm is up again after down --drain")
        except PhoneFarmError:
            continue
    (state.path / _FILE).unlink(missing_ok=True)


def _held(phone: dict[str, Any]) -> bool:
    return bool(phone.get("draining")) or phone.get("state") in ("paused", "quarantined", "retired")
