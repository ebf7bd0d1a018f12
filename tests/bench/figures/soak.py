"""(m) Twenty thousand processes on fifty phones, and what the farm has grown by between a quarter of them and all.

Each process is one ``health_check``. At most ``AHEAD`` are under way, so that what waits is no part of the figure.
Processes are kept for seconds only; at a quarter and at the end the farm is left alone until the last one is pruned and
the database's size has not changed for ten seconds (its log is cut when it begins anew, some seconds after the last
of the pruning). Then it is looked at: the memory (PSS), the files and the threads of all its processes together, and
the database file with its log. ``free_mb`` in the JSON is what of the file holds nothing, ``log_mb`` the log.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.bench.bodies import enqueue
from tests.bench.farms import Running, Wish, alone, farm, processes
from tests.bench.lab import Lab
from tests.bench.procfs import fds, pss_mb, threads
from tests.bench.programs import until
from tests.bench.values import Figure, Goal, Plot, Readings, Rounds, Turn

OURS = "phonefarm"
AHEAD = 400
SENDERS = 4
KEEP_SECONDS = 20.0
REST_SECONDS = 10.0
MEASURES = ("memory_mb", "fds", "threads", "database_mb")


def look(found: Running) -> dict[str, float]:
    pids = list(processes(found.file.cookie))
    database = found.farm.state_dir / "farm.db"
    free = _free_mb(database)
    return {
        "memory_mb": sum(map(pss_mb, pids)),
        "fds": float(sum(map(fds, pids))),
        "threads": float(sum(map(threads, pids))),
        "database_mb": _size(database) / 1e6,
        "free_mb": free,
        "log_mb": _size(database, "-wal") / 1e6,
    }


def _size(database: Path, ending: str = "*") -> int:
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}{ending}"))


def rest(database: Path, *, seconds: float = REST_SECONDS, most: float = 600.0) -> None:
    """Until the database with its log has kept its size for so long."""
    seen, since = -1, 0.0

    def quiet() -> bool:
        nonlocal seen, since
        if (size := _size(database)) != seen:
            seen, since = size, time.monotonic()
        return time.monotonic() - since >= seconds

    until(quiet, "the database rests", seconds=most, pause=0.5)


def _free_mb(database: Path) -> float:
    """Of pages in the file that hold nothing: SQLite keeps them for what comes next."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return float(pages * size / 1e6)


def _rows(database: Path, where: str = "") -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM processes {where}").fetchone()[0])


def send(found: Running, count: int) -> None:
    """``count`` processes, never more than ``AHEAD`` that have not ended."""
    database, left = found.farm.state_dir / "farm.db", iter(range(count))
    lock, failed = threading.Lock(), threading.Event()

    def one_sender(client: httpx.Client) -> None:
        while not failed.is_set():
            with lock:
                if next(left, None) is None:
                    return
            work = {"capability": "maintenance", "inputs": {"steps": [{"action": "health_check"}]}}
            name = f"m-{uuid.uuid4().hex}"
            answer = client.post(
                "/capability-requests/enqueue", json=enqueue(name, callback=found.callbacks.url, **work)
            )
            if answer.status_code != 202:
                failed.set()
                raise ValueError(answer.text)
            if name[-1] == "0":
                while _rows(database, "WHERE finished_at IS NULL") > AHEAD:
                    time.sleep(0.1)

    with (
        httpx.Client(base_url=found.file.url, headers=found.headers, timeout=60) as client,
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        for future in [pool.submit(one_sender, client) for _ in range(SENDERS)]:
            future.result()
    until(lambda: _rows(database) == 0, "all pruned", seconds=900, pause=2.0)
    rest(database)
    found.callbacks.quiet()


def turn(lab: Lab, found: Running) -> Readings:
    total = lab.pick(20_000, 200)
    began = time.monotonic()
    readings: dict[str, float] = {}
    for share, count in ((25, total // 4), (100, total - total // 4)):
        send(found, count)
        seen = look(found)
        lab.say(f"  at {share} %: " + "  ".join(f"{name} {value:.4g}" for name, value in seen.items()))
        readings |= {f"{name}, {share} %": value for name, value in seen.items()}
    return {**readings, "processes_per_second": total / (time.monotonic() - began)}


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab)
    count = lab.pick(50, 4)
    wish = Wish(name="soak", database="sqlite", phones=count, settings={"retention_days": KEEP_SECONDS / 86_400})
    found = farm(lab, wish)
    until(lambda: sum(p["state"] == "available" for p in found.farm.phones().values()) == count, "phones", seconds=300)
    yield {OURS: lambda _number: turn(lab, found)}


def plots(rounds: Rounds) -> list[Plot]:
    last = rounds[OURS][-1]
    lines = {name: [(share, last[f"{name}, {share:.0f} %"]) for share in (25.0, 100.0)] for name in MEASURES}
    title = "What the farm has after so many of 20,000 processes, pruned"
    return [Plot(name="m-soak", title=title, x="percent", y="MB, or number", lines=lines, log_x=False)]


def goal(name: str) -> Goal:
    text = f"soak, 20,000 processes on 50 phones: {name.replace('_mb', '')} at 100 %"
    return Goal(
        letter="m", text=text, ours=OURS, reading=f"{name}, 100 %", peers=(OURS,), peer_reading=f"{name}, 25 %",
        peer_label="at 25 %", at_most=1.05, unit="MB" if name.endswith("_mb") else "",
    )  # fmt: skip


FIGURE = Figure(
    name="soak",
    letters="m",
    title="soak",
    goals=tuple(goal(name) for name in MEASURES),
    open=contestants,
    plots=plots,
    rounds=1,
)
