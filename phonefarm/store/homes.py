"""Which host a phone is on, as far as hosts can go away and phones can move.

A host that is not heard of for a lease's term is given up: its phones are offline, so that no work goes there, until it
is heard of again. A phone's actor that was replaced (its phone moved while its host was cut off) may wake up later and
speak; what it says of the phone is dropped, by its incarnation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.core.operations import HELD
from phonefarm.core.presence import SILENT
from phonefarm.models.phone import HostReport, PhoneReport, PhoneRow
from phonefarm.models.states import PhoneState
from phonefarm.store import diary, rescue
from phonefarm.store import hosts as stored
from phonefarm.store.progress import Effects
from phonefarm.store.roster import phone_rows
from phonefarm.store.tables import hosts, items, phones
from phonefarm.store.writer import Tx


def give_up(tx: Tx, host: str, seconds: float) -> list[PhoneRow]:
    """A host is silent: its phones are offline. The phones that were not before; what operators set stays."""
    why = f"{SILENT} for more than {seconds:g} s: look at its power, its network and its Ray node"
    tx.rows(sa.update(hosts).where(hosts.c.name == host).values(why=why))
    here = sa.and_(phones.c.host == host, phones.c.seen_state != PhoneState.OFFLINE.value)
    ids = [row[0] for row in tx.tuples(sa.select(phones.c.id).where(here))]
    held = sa.and_(phones.c.state.in_([state.value for state in HELD]), phones.c.set_apart == 0)
    lost = {"state": PhoneState.OFFLINE.value, "why": f"host {host} is {why}", "set_apart": 0}
    tx.rows(sa.update(phones).where(here, ~held).values(**lost))
    tx.rows(sa.update(phones).where(here).values(seen_state=PhoneState.OFFLINE.value))
    diary.note(tx, ids)
    return phone_rows(tx, ids)


def report_host(tx: Tx, report: HostReport) -> bool:
    """A host's sign of life. False if it had been given up."""
    before = tx.rows(sa.select(hosts.c.why).where(hosts.c.name == report.name)).scalar_one_or_none()
    stored.report_host(tx, report)
    return not (before or "").startswith(SILENT)


def expire_leases(tx: Tx, new_id: Callable[[], str], terms: LeaseTerms) -> Effects:
    """Take back the attempts that were not heard of. Their phones get no work before their actors have spoken again:
    one that is frozen, or cannot be reached, would waste one attempt after the other. One that spoke since its last
    report, as a phone does that stopped by its own clock, goes on."""
    silent = _silent(tx, terms)
    effects = rescue.expire_leases(tx, new_id)
    here = sa.and_(phones.c.id.in_(silent), phones.c.state == PhoneState.AVAILABLE.value)
    why = "its actor was not heard of within a lease: it gets work once it speaks"
    tx.rows(sa.update(phones).where(here).values(state=PhoneState.OFFLINE.value, why=why))
    diary.note(tx, silent)
    effects.phones += phone_rows(tx, effects.freed)
    return effects


def _silent(tx: Tx, terms: LeaseTerms) -> list[str]:
    """Phones whose lease has expired and that have said nothing since it was renewed."""
    term = sa.case((items.c.delivered == 1, round(terms.seconds * 1000)), else_=round(terms.delivery_seconds * 1000))
    query = sa.select(items.c.running_phone).join(phones, phones.c.id == items.c.running_phone, isouter=True)
    expired = sa.and_(items.c.lease_until < tx.now, items.c.running_phone.is_not(None))
    spoke = phones.c.last_seen > items.c.lease_until - term
    return [phone_id for (phone_id,) in tx.tuples(query.where(expired, sa.or_(phones.c.id.is_(None), ~spoke)))]


def heard(tx: Tx, reports: Sequence[PhoneReport]) -> list[PhoneReport]:
    """Without those of actors that were replaced."""
    ids = [report.phone_id for report in reports if report.incarnation]
    query = sa.select(phones.c.id, phones.c.incarnation).where(phones.c.id.in_(ids))
    now = {phone_id: incarnation for phone_id, incarnation in tx.tuples(query) if incarnation}
    return [r for r in reports if not r.incarnation or now.get(r.phone_id, r.incarnation) == r.incarnation]
