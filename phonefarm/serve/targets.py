"""The shape of a target against its routing (contract sections 3 and 10), as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phonefarm.errors import Fault
from phonefarm.models.states import Routing

FIELDS: tuple[str, ...] = ("phone_id", "account_id", "phone_group", "account_group", "phone_ids", "account_ids")

USED: Mapping[Routing, frozenset[str]] = {
    Routing.DIRECT: frozenset({"phone_id", "account_id"}),
    Routing.QUEUE: frozenset({"phone_id", "account_id", "phone_group", "account_group"}),
    Routing.GROUP: frozenset({"phone_ids", "account_ids", "phone_group", "account_group"}),
}
#: Of these at least one is needed; the fault stands at the first.
NEEDED: Mapping[Routing, tuple[str, ...]] = {
    Routing.DIRECT: ("phone_id", "account_id"),
    Routing.QUEUE: (),
    Routing.GROUP: ("phone_ids", "account_ids", "phone_group", "account_group"),
}


def target_faults(target: object) -> Iterator[Fault]:
    """Fields the routing does not use, and the need for one it does. Says nothing about an unknown routing."""
    if not isinstance(target, dict):
        return
    name = target.get("routing")
    if not isinstance(name, str) or name not in set(Routing):
        return
    routing = Routing(name)
    for name in FIELDS:
        if _given(target.get(name)) and name not in USED[routing]:
            yield _fault(name, f"{routing.value} routing does not use this field")
    needed = NEEDED[routing]
    if needed and not any(_given(target.get(name)) for name in needed):
        yield _fault(needed[0], f"{routing.value} routing needs one of {', '.join(needed)}")


def _given(value: Any) -> bool:
    return value is not None and value != []


def _fault(name: str, msg: str) -> Fault:
    return Fault(loc=("target", name), code=f"invalid_target:{name}", msg=msg)
