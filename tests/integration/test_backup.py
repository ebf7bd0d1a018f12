"""Backups of either database, made while the farm runs, restored into either, and farms that go on from them."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.cli import run
from phonefarm.cli.statedir import StateDir
from phonefarm.errors import BackupRefused
from phonefarm.models.action import ActionKind
from phonefarm.models.clock import system_clock
from phonefarm.models.process import Accepted, Submission
from phonefarm.store import backup, backup_file, epoch, tables
from phonefarm.store.engine import open_engines, sqlite_path, sqlite_url
from phonefarm.store.restore import restore
from tests.databases import Postgres, new_sqlite
from tests.farmtools import LocalFarm, keyword_inputs, local_farm, maintenance, submission

pytestmark = pytest.mark.timeout(120)

NewUrl = Callable[[], str]


@pytest.fixture(params=["to-sqlite", "to-postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """URLs of databases without a schema, of one kind."""
    if request.param == "to-sqlite":
        return lambda: new_sqlite(tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda: postgres.new_database(empty=True)


async def submit(farm: LocalFarm, order: Submission) -> Accepted:
    (answer,) = await farm.manager.submit_many([order])
    assert isinstance(answer, Accepted), answer
    return answer


def make(url: str, path: Path, **options: Any) -> backup_file.Manifest:
    return backup.make(url, path, now=system_clock(), **options)


def put(path: Path, url: str, artifacts: Path, **options: Any) -> backup_file.Manifest:
    return restore(path, url, now=system_clock(), artifacts=artifacts, **options)


def epoch_of(url: str) -> int:
    engines = open_engines(url)
    with engines.reader.connect() as connection:
        found = connection.execute(sa.select(tables.meta.c.value).where(tables.meta.c.name == "epoch")).scalar_one()
    engines.dispose()
    return int(found)


class Story:
    """A farm in the middle of its work, and the requests it has accepted."""

    done, running, once, waiting = (submission(), submission(), maintenance({"action": "reboot"}), submission())

    async def tell(self, farm: LocalFarm) -> None:
        """One process is done; A runs one; B is in the middle of a reboot; one waits."""
        first = await farm.add_phone("A")
        await submit(farm, self.done)
        await farm.status_of(self.done.process_id, "completed")
        first.gate.clear()
        first.started.clear()
        await submit(farm, self.running)
        await asyncio.to_thread(first.started.wait, 30)
        await farm.status_of(self.running.process_id, "executing")  # its start is told beside its first action
        second = await farm.add_phone("B")
        second.gate.clear()
        await submit(farm, self.once)
        await asyncio.to_thread(second.started.wait, 30)
        await submit(farm, self.waiting)

    async def goes_on(self, farm: LocalFarm) -> None:
        await farm.add_phone("A")
        await farm.add_phone("B")
        running = await farm.status_of(self.running.process_id, "completed")
        assert [item["attempt"] for item in running["items"]] == [2]
        await farm.status_of(self.waiting.process_id, "completed")
        once = await farm.status_of(self.once.process_id, "failed_terminal")
        assert once["error"]["code"] == "interrupted"
        assert ActionKind.REBOOT not in {action.kind for _, _, action in farm.log}
        for order in (self.done, self.running, self.once, self.waiting):
            again = await submit(
                farm, submission(request_id=order.request_id, inputs=order.inputs, capability=order.capability)
            )
            assert (again.duplicate, again.process_id) == (True, order.process_id)
        due = (await farm.manager.due_callbacks(100)).callbacks
        assert {callback.process_id for callback in due} >= {self.done.process_id, self.once.process_id}


async def test_a_farm_goes_on_from_a_backup(db_url: str, empty_url: NewUrl, tmp_path: Path) -> None:
    story, file = Story(), tmp_path / "farm.backup"
    async with local_farm(db_url, tmp_path / "old") as farm:
        await story.tell(farm)
        old_epoch = farm.manager._db.epoch
        manifest = await asyncio.to_thread(make, db_url, file, artifacts=tmp_path / "old" / "artifacts")
    assert file.stat().st_mode & 0o777 == 0o600
    assert (manifest.rows["processes"], manifest.files, manifest.files_missing) == (4, 1, 0)

    url = empty_url()
    put(file, url, tmp_path / "new" / "artifacts")
    assert epoch_of(url) > old_epoch
    async with local_farm(url, tmp_path / "new", clock=lambda: system_clock() + 60_000) as farm:
        await story.goes_on(farm)
        names = sa.select(tables.artifacts.c.name).where(tables.artifacts.c.process_id == story.done.process_id)
        (name,) = await farm.manager._db.read(lambda connection: connection.execute(names).scalars().all())
        assert (await farm.manager.artifact(story.done.process_id, name)).data == b"\x89PNG fake"


async def test_a_backup_of_a_restored_database_is_the_same(db_url: str, empty_url: NewUrl, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await submit(
            farm, submission(inputs=keyword_inputs(keywords=["Ünïcode \U0001f35e", "'quotes\" \\"], n=1.5e300, m=2**53))
        )
        await submit(farm, submission())
    first = make(db_url, tmp_path / "one")
    url = empty_url()
    put(tmp_path / "one", url, tmp_path)
    second = make(url, tmp_path / "two")
    changed = {name for name in first.digests if first.digests[name] != second.digests[name]}
    assert changed == {"meta"}  # the epoch


async def test_the_farm_accepts_while_a_backup_is_in_the_middle(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 1)
    inside, go_on = threading.Event(), threading.Event()

    def progress() -> None:
        inside.set()
        go_on.wait(60)

    async with local_farm(db_url, tmp_path) as farm:
        for _ in range(3):
            await submit(farm, submission())
        making = asyncio.create_task(asyncio.to_thread(make, db_url, tmp_path / "b", progress=progress))
        await asyncio.to_thread(inside.wait, 60)
        for _ in range(20):
            await submit(farm, submission())
        go_on.set()
        manifest = await making
    assert manifest.rows["processes"] == 3
    assert manifest.rows["items"] == manifest.rows["outbox"] == manifest.rows["events"] == 3


async def test_an_old_manager_is_stale_on_a_restored_database(db_url: str, tmp_path: Path) -> None:
    """Even one with an epoch that the backup knows nothing of."""
    assert epoch.raised(3, 9, now=0) == 10
    now = system_clock()
    assert epoch.raised(3, 0, now=now) > now
    async with local_farm(db_url, tmp_path) as farm:
        await submit(farm, submission())
        await asyncio.to_thread(make, db_url, tmp_path / "b")
        with pytest.raises(BackupRefused, match="phonefarm down"):
            await asyncio.to_thread(put, tmp_path / "b", db_url, tmp_path, replace=True)
        assert farm.stale == 0
        for _ in range(3):
            await farm.restart_manager()
        last = farm.manager._db.epoch
    put(tmp_path / "b", db_url, tmp_path, replace=True)
    assert epoch_of(db_url) > last + 1_000_000


def test_a_manager_that_is_just_leaving_is_let_go(good: Path, postgres: Postgres, tmp_path: Path) -> None:
    """A server lists a session a moment longer than the client has it."""
    url = postgres.new_database()
    engines = open_engines(url)
    with engines.writer.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    leaving = threading.Timer(0.3, engines.dispose)
    leaving.start()
    try:
        put(good, url, tmp_path, replace=True)
    finally:
        leaving.join()


# -- what is refused -----------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A backup with a process in it."""

    async def farm() -> None:
        async with local_farm(sqlite_url(tmp_path / "source.db"), tmp_path) as here:
            await submit(here, submission())

    asyncio.run(farm())
    make(sqlite_url(tmp_path / "source.db"), tmp_path / "good")
    return tmp_path / "good"


def flipped(data: bytes, text: bytes) -> bytes:
    at = data.index(text)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def without(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(statement)
            connection.commit()

    return change


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all " * 100),
        lambda path: path.write_bytes(path.read_bytes()[:-4096]),
        lambda path: path.write_bytes(flipped(path.read_bytes(), b"sourdough")),
        lambda path: path.unlink(),
        without("DROP TABLE backup_manifest"),
        without("DELETE FROM processes"),
        without("DELETE FROM outbox"),
        without("DROP TABLE phones"),
        without("UPDATE backup_manifest SET value = '2' WHERE name = 'format'"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_and_restores_nothing(
    good: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    backup_file.verify(good)
    harm(good)
    with pytest.raises(BackupRefused):
        backup_file.verify(good)
    with pytest.raises(BackupRefused):
        put(good, sqlite_url(tmp_path / "target.db"), tmp_path)
    assert not list(tmp_path.glob("*target*"))


def test_a_backup_that_is_not_there_is_said_not_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match=r"there is no file .*/none\.backup"):
        backup_file.verify(tmp_path / "none.backup")


def test_a_backup_of_a_newer_version_is_refused(good: Path, tmp_path: Path) -> None:
    without("UPDATE backup_manifest SET value = '\"9999\"' WHERE name = 'revision'")(good)
    with pytest.raises(BackupRefused, match="9999"):
        put(good, sqlite_url(tmp_path / "target.db"), tmp_path)


def test_a_database_with_rows_is_replaced_only_on_purpose(good: Path, empty_url: NewUrl, tmp_path: Path) -> None:
    url = empty_url()
    put(good, url, tmp_path)
    first = epoch_of(url)
    with pytest.raises(BackupRefused, match="--replace-all-data"):
        put(good, url, tmp_path)
    assert epoch_of(url) == first
    put(good, url, tmp_path, replace=True)
    assert epoch_of(url) > first
    assert make(url, tmp_path / "again").rows["processes"] == 1


def test_a_damaged_database_is_kept_aside_when_it_is_replaced(good: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    target.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    with pytest.raises(BackupRefused, match="--replace-all-data"):
        put(good, sqlite_url(target), tmp_path)
    put(good, sqlite_url(target), tmp_path, replace=True)
    (aside,) = tmp_path.glob("target.db.before-*")
    assert aside.read_bytes().endswith(b"\xff" * 4000)
    assert make(sqlite_url(target), tmp_path / "again").rows["processes"] == 1


def test_a_backup_that_fails_leaves_the_last_one_and_nothing_else(good: Path, tmp_path: Path) -> None:
    before, source = good.read_bytes(), tmp_path / "source.db"
    data = source.read_bytes()
    source.write_bytes(data[:8192] + bytes([data[8192] ^ 255]) + data[8193:])
    with pytest.raises(BackupRefused, match="is damaged"):
        make(sqlite_url(source), good)
    assert good.read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
    with pytest.raises(BackupRefused, match="no database"):
        make(sqlite_url(tmp_path / "none.db"), good)
    with pytest.raises(BackupRefused, match="another name"):
        make(sqlite_url(source), source)


# -- the commands --------------------------------------------------------------------------------


def test_the_commands_find_the_database_of_the_state_directory(
    db_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def farm() -> None:
        async with local_farm(db_url, tmp_path) as here:
            await submit(here, submission())

    asyncio.run(farm())
    state, file = StateDir(tmp_path / "state"), tmp_path / "b"
    state.open()
    state.update(db=db_url)
    there = ["--state-dir", str(state.path)]
    assert run(["backup", str(file), "--artifacts", "--json", *there]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"]["processes"], said["source"]) == (1, "sqlite" if sqlite_path(db_url) else "postgresql")
    assert run(["backup", str(file), "--verify", *there]) == 0
    assert "is whole: 1 processes" in capsys.readouterr().out
    assert run(["restore", str(file), *there]) == 1
    assert "--replace-all-data" in capsys.readouterr().err
    with state.alone():
        assert run(["restore", str(file), "--replace-all-data", *there]) == 1
    assert "phonefarm down" in capsys.readouterr().err
    before = epoch_of(db_url)
    assert run(["restore", str(file), "--replace-all-data", *there]) == 0
    assert epoch_of(db_url) > before
    assert run(["restore", str(file), "--db", f"sqlite:///{tmp_path / 'other.db'}", *there]) == 0
    assert epoch_of(f"sqlite:///{tmp_path / 'other.db'}") > before
