"""(h) Granting one attempt (``store.claim``) with a million waiting items and with a thousand, on both databases.

The store as the manager uses it: its writer thread, one transaction and one fsync a grant, from the call to the return
after the commit. Items and phones are drawn by chance, no phone twice in a turn; after the turn, outside the measure,
what was granted is set back. The waiting items are written by the database itself, as rows like those of ``accept``.
Both
sizes of a kind are open at the same time and get one grant each in turn.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.core.planning import plan
from phonefarm.models.clock import new_id
from phonefarm.models.phone import PhoneReport
from phonefarm.models.queue import Assignment
from phonefarm.models.states import PhoneState
from phonefarm.store import claim, roster, tables
from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.writer import Tx, Writer
from tests.bench import rows
from tests.bench.lab import Lab
from tests.bench.stats import quantile
from tests.bench.values import Figure, Goal, Plot, Readings, Rounds, Turn
from tests.databases import new_sqlite

TERMS = LeaseTerms(seconds=30, delivery_seconds=30)
PHONES = 300


class Queue:
    """A store with ``count`` waiting items and phones that are all free."""

    def __init__(self, url: str, count: int) -> None:
        self.count = count
        self._engines: Engines = open_engines(url)
        upgrade(self._engines)
        self._writer = Writer(self._engines, on_stale=lambda: None)
        self._writer.start()
        self._run(lambda tx: rows.waiting(tx.connection, count))
        self._run(_phones)
        if not self._engines.is_sqlite:  # what its autovacuum does a minute later
            self._run(lambda tx: tx.rows(sa.text("ANALYZE")))

    def close(self) -> None:
        self._writer.stop()
        self._engines.dispose()

    def grant(self, n: int, phone: str) -> float:
        """Milliseconds of granting item number ``n``."""
        wish = [Assignment(item_id=rows.item_id(n), phone_id=phone)]
        began = time.perf_counter()
        jobs, _, _ = self._run(lambda tx: claim.claim(tx, wish, plan=plan, terms=TERMS, new_id=new_id))
        took = time.perf_counter() - began
        if len(jobs) != 1:
            raise ValueError(f"not granted: {wish}")
        return 1000 * took

    def set_back(self, numbers: list[int]) -> None:
        self._run(lambda tx: _set_back(tx, [rows.item_id(n) for n in numbers]))

    def _run(self, change: Callable[[Tx], Any]) -> Any:
        return self._writer.submit(change).result(3600)


def _phones(tx: Tx) -> None:
    names = [f"P{n:04d}" for n in range(PHONES)]
    roster.report_phones(
        tx, [PhoneReport(phone_id=n, host="h", serial=n, state=PhoneState.AVAILABLE, groups=()) for n in names]
    )


def _set_back(tx: Tx, item_ids: list[str]) -> None:
    free = {"state": "QUEUED", "attempt": 0, "running_phone": None, "last_phone": None, "lease_until": None}
    tx.rows(sa.update(tables.items).where(tables.items.c.id.in_(item_ids)).values(**free))
    tx.rows(sa.update(tables.phones).values(state=PhoneState.AVAILABLE.value))


SIZES = {"1,000": 1_000, "1,000,000": 1_000_000}
QUICK = {"1,000": 100, "1,000,000": 5_000}


def turn(queues: Mapping[str, Queue], grants: int, number: int) -> Readings:
    """One grant on each in turn, so that a slow moment of the machine hits all sizes alike."""
    rng = random.Random(number)
    picked = {label: rng.sample(range(queue.count), grants) for label, queue in queues.items()}
    took: dict[str, list[float]] = {label: [] for label in queues}
    for place in range(grants):
        for label, queue in queues.items():
            took[label].append(queue.grant(picked[label][place], f"P{place:04d}"))
    for label, queue in queues.items():
        queue.set_back(picked[label])
    return {
        f"{name}_ms, {label}": quantile(values, share)
        for label, values in took.items()
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    grants, sizes = lab.pick(PHONES, 20), lab.pick(SIZES, QUICK)
    directory = lab.directory / "h"
    directory.mkdir()
    makers: dict[str, Callable[[], str]] = {
        "PostgreSQL": lab.postgres().new_database,
        "SQLite": lambda: new_sqlite(directory),
    }
    with ExitStack() as stack:
        found: dict[str, dict[str, Queue]] = {}
        for kind, make in makers.items():
            lab.say(f"  filling {kind}")
            found[kind] = {label: stack.enter_context(closing(Queue(make(), size))) for label, size in sizes.items()}
            turn(found[kind], min(20, grants), 99)
        yield {kind: partial(turn, queues, grants) for kind, queues in found.items()}


def plots(rounds: Rounds) -> list[Plot]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for kind, readings in rounds.items():
        for name in readings[0]:
            quantile_of, _, label = name.partition("_ms, ")
            middle = statistics.median(one[name] for one in readings)
            lines.setdefault(f"{kind} {quantile_of}", []).append((float(label.replace(",", "")), middle))
    title = "Granting one attempt"
    return [Plot(name="h-claims", title=title, x="waiting items", y="milliseconds", lines=lines, log_y=False)]


def goal(kind: str) -> Goal:
    return Goal(
        letter="h", text=f"claim latency p99 with 1,000,000 waiting items, {kind}", ours=kind,
        reading="p99_ms, 1,000,000", peers=(kind,), peer_reading="p99_ms, 1,000", at_most=1.5, unit="ms",
        peer_label="with 1,000",
    )  # fmt: skip


FIGURE = Figure(
    name="claims",
    letters="h",
    title="claim latency with a million waiting items",
    goals=(goal("PostgreSQL"), goal("SQLite")),
    open=contestants,
    plots=plots,
)
