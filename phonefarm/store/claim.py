"""Granting attempts: waiting -> CLAIMED, with a lease, and the jobs to run.

A grant is one compare-and-set an item; the unique columns ``running_phone`` and ``running_account`` make a
second item on a phone or an account impossible whatever the router believed. An assignment that cannot be
granted is left out; the router hears of it by its absence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from phonefarm import tracing
from phonefarm.core import leases, metrics
from phonefarm.core.lifecycle import ItemEvent, item_sources, item_target
from phonefarm.models.action import NOT_REPEATABLE, Action
from phonefarm.models.phone import AccountRow
from phonefarm.models.queue import Assignment
from phonefarm.models.session import CancelOrder, Job, Lease
from phonefarm.models.states import CancelStrategy, Capability, ItemState, PhoneState
from phonefarm.store import counting
from phonefarm.store.accounts import seconds_left_today
from phonefarm.store.ledger import Ledger
from phonefarm.store.roster import account_rows, add_usage, is_spent, set_phone_state
from phonefarm.store.tables import actions, events, items, phones, processes
from phonefarm.store.writer import Row, Tx

_NO_LIMIT = float("inf")

#: Valid inputs to the actions of one item; the registry's planners.
Plan = Callable[[Capability, Mapping[str, Any]], Sequence[Action]]


def claim(
    tx: Tx,
    assignments: Sequence[Assignment],
    *,
    plan: Plan,
    terms: leases.LeaseTerms,
    new_id: Callable[[], str],
) -> tuple[list[Job], list[AccountRow], bool]:
    """Grant what can be granted: jobs, the accounts they use as they are now, and whether a callback was written. The
    phones of the jobs are busy."""
    ledger = Ledger(tx, new_id)
    granted = [a for a in assignments if _grant(tx, a, terms, ledger)]
    for one in granted:
        set_phone_state(tx, one.phone_id, PhoneState.BUSY)
    callbacks = ledger.flush()
    used = sorted({one.account_id for one in granted if one.account_id is not None})
    jobs = load_jobs(tx, [one.item_id for one in granted], plan=plan, terms=terms)
    return jobs, account_rows(tx, used) if used else [], callbacks


def _compare_and_set(*more: sa.ColumnElement[bool]) -> sa.Update:
    """Claim an item that may run now on a phone that is available, not draining and without a running item."""
    phone = sa.bindparam("phone", type_=sa.String)
    fit = (phones.c.id == phone, phones.c.state == PhoneState.AVAILABLE.value, phones.c.wanted_state.is_(None))
    return (
        sa.update(items)
        .where(
            items.c.id == sa.bindparam("item"),
            items.c.state.in_([s.value for s in item_sources(ItemEvent.CLAIM)]),
            items.c.ready_at <= sa.bindparam("now"),
            sa.or_(items.c.phone_id.is_(None), items.c.phone_id == phone),
            sa.exists().where(*fit),
            ~sa.exists().where(_OTHERS.c.running_phone == phone),
            *more,
        )
        .values(
            state=item_target(ItemEvent.CLAIM).value,
            attempt=items.c.attempt + 1,
            running_phone=phone,
            running_account=sa.bindparam("account", type_=sa.String),
            last_phone=phone,
            delivered=0,
            lease_until=sa.bindparam("until"),
        )
        .returning(items.c.process_id, items.c.attempt, items.c.account_id, items.c.ready_at, items.c.created_at)
    )


_OTHERS = items.alias("others")
_CLAIM = _compare_and_set()
_CLAIM_WITH_ACCOUNT = _compare_and_set(
    ~sa.exists().where(_OTHERS.c.running_account == sa.bindparam("account", type_=sa.String))
)


def _grant(tx: Tx, wish: Assignment, terms: leases.LeaseTerms, ledger: Ledger) -> bool:
    if wish.account_id is not None and is_spent(tx, wish.account_id, begun=_begun(tx, wish.item_id)):
        return False
    values = {
        "item": wish.item_id,
        "phone": wish.phone_id,
        "account": wish.account_id,
        "now": tx.now,
        "until": leases.expires_at(tx.now, terms.delivery_seconds),
    }
    row = tx.rows(_CLAIM if wish.account_id is None else _CLAIM_WITH_ACCOUNT, values).one_or_none()
    if row is None:
        return False
    if wish.account_id is not None and (row.attempt == 1 or row.account_id is None):
        # else it goes on with a session (``_begun``)
        add_usage(tx, wish.account_id, sessions=1)
    before = ItemState.QUEUED if row.attempt == 1 else ItemState.RETRYABLE
    counting.moves(tx.tally, metrics.ITEMS, before.value, item_target(ItemEvent.CLAIM).value)
    tx.tally.observe(metrics.CLAIM_WAIT, max(0, tx.now - max(row.ready_at, row.created_at)) / 1000)
    ledger.event(
        row.process_id,
        "item.claimed",
        item_id=wish.item_id,
        phone_id=wish.phone_id,
        moved=(None, item_target(ItemEvent.CLAIM).value),
        data={"attempt": row.attempt, "account_id": wish.account_id},
    )
    return True


def _begun(tx: Tx, item_id: str) -> bool:
    """Whether a grant goes on with a session that was counted: a retry, unless a group may have given it another
    account."""
    query = sa.select(items.c.id).where(items.c.id == item_id, items.c.attempt > 0, items.c.account_id.is_not(None))
    return tx.rows(query).first() is not None


_JOBS = (
    sa.select(items, processes.c.process_type, processes.c.inputs, phones.c.incarnation)
    .join(processes, processes.c.id == items.c.process_id)
    .join(phones, phones.c.id == items.c.running_phone, isouter=True)
    .where(items.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(items.c.id)
)


def load_jobs(tx: Tx, item_ids: Sequence[str], *, plan: Plan, terms: leases.LeaseTerms) -> list[Job]:
    """The jobs of running items, each with the actions that may still be done."""
    if not item_ids:
        return []
    rows = tx.maps(_JOBS, {"ids": list(item_ids)})
    settled = _settled(tx, [row["id"] for row in rows if row["attempt"] > 1 or row["delivered"]])
    days = seconds_left_today(tx, {row["running_account"] for row in rows} - {None})
    traces = _traces(tx, {row["process_id"] for row in rows}) if tracing.on() else {}
    return [
        _job(
            row,
            settled.get(row["id"], set()),
            days.get(row["running_account"], _NO_LIMIT),
            plan=plan,
            terms=terms,
            trace=traces.get(row["process_id"]),
        )
        for row in rows
    ]


def _settled(tx: Tx, item_ids: Sequence[str]) -> dict[str, set[int]]:
    """Indices of actions that are done, or were started and must not be started again. An item of which nobody has
    reported anything yet has none."""
    if not item_ids:
        return {}
    never_again = sa.or_(actions.c.status == "finished", actions.c.kind.in_(sorted(k.value for k in NOT_REPEATABLE)))
    query = sa.select(actions.c.item_id, actions.c.idx).where(actions.c.item_id.in_(list(item_ids)), never_again)
    found: dict[str, set[int]] = {}
    for item_id, index in tx.tuples(query):
        found.setdefault(item_id, set()).add(index)
    return found


def _traces(tx: Tx, process_ids: set[str]) -> dict[str, str | None]:
    """What the first event of each process says of its trace."""
    query = sa.select(events.c.process_id, events.c.data).where(events.c.process_id.in_(process_ids))
    return {key: (data or {}).get(tracing.TRACEPARENT) for key, data in tx.tuples(query.where(events.c.sequence == 1))}


def _job(
    row: Row, settled: set[int], day_left: float, *, plan: Plan, terms: leases.LeaseTerms, trace: str | None
) -> Job:
    inputs = row["inputs"]
    todo = tuple(a for a in plan(Capability(row["process_type"]), inputs) if a.index not in settled)
    budget = max(0.0, inputs.get("max_minutes", 60) * 60.0 - row["seconds_used"])
    return Job(
        process_id=row["process_id"],
        process_type=row["process_type"],
        phone_id=row["running_phone"],
        account_id=row["running_account"],
        lease=Lease(
            item_id=row["id"],
            attempt=row["attempt"],
            seconds=terms.seconds,
            delivery_seconds=terms.delivery_seconds,
            incarnation=row["incarnation"] or "",
        ),
        actions=todo,
        seconds_left=min(budget, day_left),
        prompts=inputs.get("prompts") or {},
        cancel=cancel_order(row["cancel"]),
        trace=trace,
    )


def cancel_order(stored: Mapping[str, Any] | None) -> CancelOrder | None:
    """A stored cancel request as the phone gets it."""
    if stored is None:
        return None
    return CancelOrder(strategy=CancelStrategy(stored["strategy"]), force_after=float(stored["force_after_seconds"]))
