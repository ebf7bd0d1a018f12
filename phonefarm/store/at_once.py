"""Accepting and granting in one transaction.

Where phones are spare what is accepted need not wait: it is inserted, placed and granted, with the same statements that
do either alone, and one commit makes it all true. What finds no phone waits, as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from phonefarm.core import placement
from phonefarm.core.leases import LeaseTerms
from phonefarm.core.line import Line
from phonefarm.models.phone import PhoneRow
from phonefarm.models.process import SubmitOutcome
from phonefarm.models.queue import WaitingItem
from phonefarm.models.session import Job
from phonefarm.store import accept, claim
from phonefarm.store.writer import Tx


def accept_and_grant(
    tx: Tx,
    batch: Sequence[accept.Planned | accept.Refused],
    spare: Sequence[PhoneRow],
    *,
    plan: claim.Plan,
    terms: LeaseTerms,
    new_id: Callable[[], str],
) -> tuple[list[SubmitOutcome], list[WaitingItem], list[Job]]:
    """Answer each of ``batch``; the items that now wait, and the jobs of those granted on phones of ``spare``."""
    outcomes, new = accept.accept(tx, batch, new_id)
    wishes = placement.place(Line(new), placement.at_rest(spare), tx.now) if spare and new else []
    if not wishes:
        return outcomes, new, []
    jobs, _, _ = claim.claim(tx, wishes, plan=plan, terms=terms, new_id=new_id)
    granted = {job.lease.item_id for job in jobs}
    return outcomes, [item for item in new if item.item_id not in granted], jobs
