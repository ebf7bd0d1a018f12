"""What operators do to phones: the decision of ``core.operations``, written down.

An operator's hold stays over whatever hosts and phones report (``phones.seen_state`` keeps that underneath). A hold
that is wanted of a phone with a running item is kept in ``wanted_state`` and ``wanted_why`` until the item ends
(``settle``), so it survives anybody's restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from phonefarm.core.operations import BREAKS_OFF, TARGET, Step, decide, hold_of, lifted
from phonefarm.errors import Conflict, NotFound
from phonefarm.models.phone import PhoneRow
from phonefarm.models.process import OperateCommand, Operation, OperationScope
from phonefarm.models.session import CancelOrder
from phonefarm.models.states import CancelStrategy, PhoneState
from phonefarm.store import diary
from phonefarm.store.roster import phone_rows, set_phone_state
from phonefarm.store.tables import items, phones
from phonefarm.store.writer import Row, Tx

#: How a session is ended whose phone an operator takes out: now, and no caller asked for it.
BREAK_OFF = CancelOrder(strategy=CancelStrategy.HARD)

_VERB = {
    Operation.PAUSE: "paused",
    Operation.RESUME: "resumed",
    Operation.DRAIN: "drained",
    Operation.QUARANTINE: "quarantined",
    Operation.RELEASE: "released",
    Operation.RETIRE: "retired",
}


@dataclass(slots=True)
class OperateEffects:
    """``done``: the phones it holds of now. The rest is news for the router, after commit."""

    done: list[str] = field(default_factory=list)
    phones: list[PhoneRow] = field(default_factory=list)
    cancels: list[tuple[str, str, int, CancelOrder]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)


def operate(
    tx: Tx, command: OperateCommand, *, hosts: frozenset[str] = frozenset(), groups: frozenset[str] = frozenset()
) -> OperateEffects:
    """Do it, to one phone or to all of a host or group; of those, phones for which it makes no sense are left alone.

    ``hosts`` and ``groups`` are the configured names. Doing it again is harmless. Raises NotFound for a name that is
    not known, Conflict ``operation_not_possible`` for one phone."""
    rows = _phones(tx, command, hosts, groups)
    effects = OperateEffects()
    for row in rows:
        hold = _hold_of(row, command.operation)
        step = decide(command.operation, hold)
        if step is Step.IMPOSSIBLE:
            if command.scope is OperationScope.PHONE:
                raise _not_possible(command, hold or PhoneState(row["state"]))
            continue
        effects.done.append(row["id"])
        _apply(tx, command, row, step, effects)
    diary.note(tx, effects.done)
    effects.phones = phone_rows(tx, effects.done)
    return effects


def _hold_of(row: Row, operation: Operation) -> PhoneState | None:
    """How the phone is held. One that set itself apart is held by nobody, but may be released like one that is."""
    if row["set_apart"] and operation is not Operation.RELEASE:
        return _state(row["wanted_state"])
    return hold_of(PhoneState(row["state"]), _state(row["wanted_state"]))


def _not_possible(command: OperateCommand, state: PhoneState) -> Conflict:
    operation = command.operation.value
    return Conflict("operation_not_possible", f"operation_not_possible:{operation}:{state.value}")


def _phones(tx: Tx, command: OperateCommand, hosts: frozenset[str], groups: frozenset[str]) -> list[Row]:
    query = sa.select(phones, items.c.id.label("item_id"), items.c.attempt)
    query = query.join(items, items.c.running_phone == phones.c.id, isouter=True).order_by(phones.c.id)
    name = command.name
    if command.scope is OperationScope.PHONE:
        found, known = tx.maps(query.where(phones.c.id == name)), False
    elif command.scope is OperationScope.HOST:
        found, known = tx.maps(query.where(phones.c.host == name)), name in hosts
    else:
        found, known = [row for row in tx.maps(query) if name in row["groups"]], name in groups
    if not found and not known:
        raise NotFound(f"unknown_{command.scope.value}", f"unknown_{command.scope.value}:{name}")
    return found


def _apply(tx: Tx, command: OperateCommand, row: Row, step: Step, effects: OperateEffects) -> None:
    if step is Step.HOLD:
        _hold(tx, command, row, effects)
    elif step is Step.LIFT:
        _lift(tx, command, row, effects)


def _hold(tx: Tx, command: OperateCommand, row: Row, effects: OperateEffects) -> None:
    target = TARGET[command.operation]
    if row["item_id"] is None:
        _set(tx, row["id"], state=target.value, why=_why(command), wanted_state=None, wanted_why=None, set_apart=0)
        return
    _set(tx, row["id"], wanted_state=target.value, wanted_why=_why(command))
    if target in BREAKS_OFF:
        effects.cancels.append((row["id"], row["item_id"], row["attempt"], BREAK_OFF))


def _lift(tx: Tx, command: OperateCommand, row: Row, effects: OperateEffects) -> None:
    if row["wanted_state"] is not None:
        _set(tx, row["id"], wanted_state=None, wanted_why=None)
        return
    state = lifted(_state(row["seen_state"]))
    _set(tx, row["id"], state=state.value, why=_why(command), set_apart=0)
    effects.checks.append(row["id"])


def _set(tx: Tx, phone_id: str, **values: Any) -> None:
    tx.rows(sa.update(phones).where(phones.c.id == phone_id).values(**values))


def _why(command: OperateCommand) -> str:
    by = f" (by {command.by})" if command.by else ""
    return f"{_VERB[command.operation]}: {command.reason}{by}"


def _state(stored: str | None) -> PhoneState | None:
    return PhoneState(stored) if stored is not None else None


def breaks_off(wanted_state: str | None) -> CancelOrder | None:
    """The order for a phone's running session, None if it may go on."""
    return BREAK_OFF if _state(wanted_state) in BREAKS_OFF else None


_WISH = sa.select(phones.c.wanted_state, phones.c.wanted_why).where(phones.c.id == sa.bindparam("phone"))


def settle(tx: Tx, phone_id: str) -> Sequence[PhoneRow]:
    """A phone's item has ended: it takes the state an operator wants, else BUSY becomes AVAILABLE."""
    if freed := set_phone_state(tx, phone_id, PhoneState.AVAILABLE):
        return freed
    wish = tx.rows(_WISH, {"phone": phone_id}).one_or_none()
    if wish is None or wish.wanted_state is None:
        return []
    held = {"state": wish.wanted_state, "why": wish.wanted_why, "set_apart": 0}
    _set(tx, phone_id, **held, wanted_state=None, wanted_why=None)
    diary.note(tx, [phone_id])
    return phone_rows(tx, [phone_id])
