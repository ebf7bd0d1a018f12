"""Nothing is lost, wherever the farm dies: killed at each numbered commit, before and after, and at each callback.

A run of the scenario (``tests.chaos``) is killed by SIGKILL at one point; another run on the same database recovers
and ends everything; then the rules are checked from what client, database, phones and receiver wrote. The recovery of
every third point is killed too, somewhere, before another one brings things to their end.
A seeded sample of the points is tried, or with ``PHONEFARM_ALL_CRASH_POINTS=1`` each of them.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from phonefarm.store.engine import open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.tables import meta
from phonefarm.store.writer import Tx, Writer
from tests.chaos import reading
from tests.chaos.checker import check
from tests.chaos.client import PHONES, client_file, orders
from tests.chaos.forkserver import Forge, forge
from tests.chaos.phones import journal
from tests.chaos.reading import read_lines
from tests.chaos.records import Delivery, Records
from tests.chaos.scenario import NOWHERE, Point, counted, sends
from tests.chaos.sink import Sink, sink
from tests.databases import Postgres, new_sqlite

ALL = bool(os.environ.get("PHONEFARM_ALL_CRASH_POINTS"))
SEED = int(os.environ.get("PHONEFARM_CRASH_SEED", "20261125"))
#: Points tried of each kind, on each database, unless all are.
SAMPLE = {"commit": 8, "send": 3}
AT_ONCE = 2
#: How often a point that was not reached is drawn again.
TRIES = 3
KILLED = -9
#: Of the runs: one receiver takes the callbacks of all of them.
_NUMBERS = itertools.count(1)

pytestmark = pytest.mark.timeout(7_200 if ALL else 300)


@dataclass(kw_only=True)
class Outcome:
    """What became of one point. ``statuses``: of each run; ``passed``: how many points a clean first run has;
    ``wrong``: everything that was found, in words."""

    point: Point
    statuses: list[int]
    passed: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Ground:
    """Where runs are played. ``postgres`` None: on SQLite."""

    def __init__(self, forge: Forge, sink: Sink, directory: Path, postgres: Postgres | None) -> None:
        self._forge = forge
        self._sink = sink
        self._directory = directory
        self._postgres = postgres

    def play(self, point: Point) -> Outcome:
        """Kill a run there, recover, check."""
        name = f"{'postgresql' if self._postgres else 'sqlite'}{next(_NUMBERS)}"
        directory = self._directory / name
        directory.mkdir()
        url = self._postgres.new_database() if self._postgres is not None else new_sqlite(directory)
        try:
            outcome = self._to_its_end(point, name, directory, url)
        finally:
            if self._postgres is not None:
                self._postgres.drop(url)
        if not outcome.wrong:
            shutil.rmtree(directory)
        return outcome

    def _to_its_end(self, point: Point, name: str, directory: Path, url: str) -> Outcome:
        place = {
            "db_url": url,
            "directory": str(directory),
            "callback_url": self._sink.url(name),
            "began_ms": round(time.time() * 1000),
        }
        statuses = [self._forge.run(**place, crash=(point.kind, point.number, point.phase))]
        passed = json.loads(counted(directory).read_text()) if statuses == [0] else {}
        # the whole farm died, or only its actors: then it is the same start of the farm for the phones
        place["run_id"] = 1 + point.number % 2
        if point is not NOWHERE and (again := second_point(point)) is not None:
            statuses.append(self._forge.run(**place, crash=(again.kind, again.number, again.phase)))
        statuses.append(self._forge.run(**place))
        wrong = []
        if statuses[-1] != 0 or not set(statuses) <= {0, KILLED}:
            wrong.append(f"ended as {statuses}: {_last(directory)}")
        else:
            records = written(url, directory, self._sink.of(name))
            wrong += [*map(str, check(records)), *wrong_ends(records), *_not_sent_again(records, point, directory)]
        return Outcome(point=point, statuses=statuses, passed=passed, wrong=wrong)


def second_point(point: Point) -> Point | None:
    """Where the recovery from every third point dies."""
    if point.number % 3:
        return None
    chance = random.Random(f"{SEED} {point}")
    return Point(kind="commit", number=chance.randint(1, 30), phase="before" if chance.random() < 0.5 else "after")


def written(url: str, directory: Path, deliveries: Sequence[Delivery]) -> Records:
    """What client, phones and database have written of a run."""
    return Records(
        rows=reading.rows(url),
        requests=reading.requests(client_file(directory)),
        readings=reading.readings(client_file(directory)),
        touches=[touch for phone in PHONES for touch in reading.touches(journal(directory, phone))],
        deliveries=deliveries,
    )


def wrong_ends(records: Records) -> Iterator[str]:
    """Each request ended in a way that it may end."""
    states = {row["request_id"]: row["state"] for row in records.rows.processes}
    for order in orders("", 0):
        state = states.pop(order.name, None)
        if state not in order.ends:
            yield f"{order.name} ended as {state}"
    yield from (f"{name} is there" for name in states)


def _not_sent_again(records: Records, point: Point, directory: Path) -> Iterator[str]:
    """A callback that was answered, and the sender killed before that was written down, is sent again."""
    first = next((line for line, _ in read_lines(sends(directory)) if line["number"] == point.number), None)
    if point.kind == "send" and point.phase == "after" and first is not None:
        arrived = sum(d.event_id == first["event_id"] for d in records.deliveries)
        if arrived < 2:
            yield f"{first['event_id']} arrived {arrived} times, and nobody can have known"


def _last(directory: Path) -> str:
    died = directory / "died.txt"
    return died.read_text()[-2_000:] if died.exists() else "without a word"


@pytest.fixture(scope="module")
def forged() -> Iterator[Forge]:
    with forge(AT_ONCE) as found:
        yield found


@pytest.fixture(scope="module")
def sunk() -> Iterator[Sink]:
    with sink() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, forged: Forge, sunk: Sink, tmp_path: Path) -> Ground:
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Ground(forged, sunk, tmp_path, postgres)


def points(passed: dict[str, int]) -> list[Point]:
    """All of them, or the sample."""
    chance = random.Random(SEED)
    found: list[Point] = []
    for kind, count in passed.items():
        every = [Point(kind=kind, number=n, phase=phase) for n in range(1, count + 1) for phase in ("before", "after")]
        found += every if ALL else chance.sample(every, SAMPLE[kind])
    return found


def reached(ground: Ground, point: Point) -> Outcome:
    """Killed there or, where the run did not come so far (more changes went in one commit than in the clean run), at a
    point that this run passed."""
    outcome = ground.play(point)
    chance = random.Random(f"{SEED} {point}")
    for _ in range(TRIES):
        if outcome.wrong or outcome.statuses[0] == KILLED:
            break
        point = replace(point, number=chance.randint(1, outcome.passed[point.kind]))
        outcome = ground.play(point)
    return outcome


@pytest.mark.fault(6, 36)
def test_nothing_is_lost_wherever_the_farm_dies(ground: Ground) -> None:
    began = time.monotonic()
    clean = ground.play(NOWHERE)
    assert clean.wrong == []
    assert clean.statuses == [0, 0]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(lambda point: reached(ground, point), points(clean.passed)))
    _tell(outcomes, time.monotonic() - began)
    wrong = {str(o.point): o.wrong for o in outcomes if o.wrong}
    assert wrong == {}
    killed = sum(o.statuses[0] == KILLED for o in outcomes)
    assert killed >= 0.9 * len(outcomes), f"only {killed} of {len(outcomes)} points were reached"


def test_a_point_that_a_run_does_not_reach_is_drawn_again(ground: Ground) -> None:
    assert reached(ground, Point(kind="commit", number=10**6, phase="after")).statuses[0] == KILLED


def _tell(outcomes: Sequence[Outcome], seconds: float) -> None:
    kinds = Counter(o.point.kind for o in outcomes)
    killed = sum(o.statuses[0] == KILLED for o in outcomes)
    wrong = sum(bool(o.wrong) for o in outcomes)
    print(f"\n{dict(kinds)} points in {seconds:.0f} s: {killed} killed, {wrong} with a violation")


def test_a_commit_is_known_by_its_number_and_has_two_sides(db_url: str) -> None:
    """Before it: nobody else sees the change; after it: everybody does, but whoever asked for it has not heard."""
    engines = open_engines(db_url)
    upgrade(engines)
    heard: Future[None] = Future()
    seen: list[tuple[int, str, bool, bool]] = []

    def at_commit(number: int, phase: str) -> None:
        with engines.reader.connect() as connection:
            there = connection.execute(sa.select(meta.c.name).where(meta.c.name == "x")).first() is not None
        seen.append((number, phase, there, heard.done()))

    def change(tx: Tx) -> None:
        tx.rows(sa.insert(meta).values(name="x", value=1))

    writer = Writer(engines, on_stale=lambda: None, at_commit=at_commit)
    writer.start()
    heard = writer.submit(change)
    heard.result(30)
    writer.stop()
    engines.dispose()
    assert seen == [
        (1, "before", False, False),
        (1, "after", False, False),
        (2, "before", False, False),
        (2, "after", True, False),
    ]
