"""The demo, with the farm that it starts and ends."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.farm import phonefarm, until, with_cookie

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Short, else the farm puts its sockets elsewhere."""
    made = Path(f"/tmp/{secrets.token_hex(3)}")
    made.mkdir()
    yield made
    shutil.rmtree(made)


def test_the_demo_runs_to_its_end_and_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    mark = uuid4().hex  # in the environment of all that the demo starts
    variables = {"OF_THE_DEMO": mark, "TMPDIR": str(temporary)}
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(phonefarm, "demo", "--output", str(tmp_path), timeout=300, **variables)
        seen = until(
            lambda: "over" if running.done() else len(with_cookie(mark)) > 10, "its farm carries the mark", 120
        )
        done = running.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 6
    assert all(f"VP00000{n}" in done.stdout for n in (1, 2, 3))
    assert done.stdout.count("verified") == 3
    assert seen is True, "else it would not be seen either if some were left"
    until(lambda: not with_cookie(mark), "the demo's processes are gone")
    assert list(temporary.iterdir()) == []
