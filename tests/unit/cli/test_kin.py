"""Whose processes are whose, and that ending hits only these."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from phonefarm.cli.kin import COOKIE_ENV, Entry, end_all, family, related, wait_gone
from phonefarm.cli.statedir import mark_of, runs
from phonefarm.devices.processes import Mark
from phonefarm.settings import child_environment

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@contextmanager
def running(command: list[str], cookie: str = "") -> Iterator[subprocess.Popen[bytes]]:
    environment = child_environment({COOKIE_ENV: cookie} if cookie else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def entry(pid: int, parent: int = 1, session: int = 1, cookie: str = "") -> Entry:
    return Entry(pid=pid, parent=parent, session=session, cookie=cookie)


def test_descent_session_and_cookie_make_kin_and_nothing_else_does() -> None:
    table = [
        entry(900_010, session=900_010),
        entry(900_011, parent=900_010, session=900_011),  # a child in a session of its own
        entry(900_012, parent=900_011, session=900_012),  # its child
        entry(900_013, session=900_099),  # of the session of a root that is dead
        entry(900_014, session=900_014, cookie="ours"),
        entry(900_015, session=900_015, cookie="theirs"),
        entry(900_016, session=900_016),
    ]
    assert related(table, [Mark(pid=900_099, started="x")], "ours") == {900_013, 900_014}
    assert related(table, [], "") == set()
    grandchildren = [entry(900_011, parent=900_014, session=3), entry(900_014, session=4, cookie="ours")]
    assert related(grandchildren, [], "ours") == {900_011, 900_014}


def test_a_stranger_that_has_a_root_s_number_now_is_no_kin() -> None:
    me = os.getpid()
    table = [entry(me, session=me), entry(900_020, parent=me, session=me)]
    assert related(table, [Mark(pid=me, started="long ago")], "") == set()
    assert related(table, [mark_of(me)], "") == {me, 900_020}


@pytest.mark.skipif(sys.platform != "linux", reason="cookies are read from /proc")
def test_a_process_is_known_by_its_cookie() -> None:
    with running(SLEEP, cookie="cookie-of-test-1") as ours, running(SLEEP, cookie="cookie-of-test-2") as other:
        found = family([], "cookie-of-test-1")
        assert [mark.pid for mark in found] == [ours.pid]
        assert end_all(found, grace=5.0) == []
        assert other.poll() is None


def test_this_process_is_never_of_the_family() -> None:
    assert os.getpid() not in {mark.pid for mark in family([mark_of(os.getpid())], "")}


def test_one_that_does_not_listen_is_killed() -> None:
    with running(DEAF) as child:
        mark = mark_of(child.pid)
        assert end_all([mark], grace=0.2) == []
        assert not runs(mark)


def test_a_number_that_has_a_new_owner_is_left_alone() -> None:
    with running(SLEEP) as child:
        assert end_all([Mark(pid=child.pid, started="long ago")], grace=0.1) == []
        assert child.poll() is None
        assert wait_gone([mark_of(child.pid)], 0.05) == [mark_of(child.pid)]
