"""Fixtures of tests that bring the database into trouble: file systems of their own, limits, short waits."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonefarm.store import database, sqlite


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a lock, and between two attempts to open the database."""
    monkeypatch.setattr(sqlite, "BUSY_MS", 200)
    monkeypatch.setattr(database, "_LAST_PAUSE", 0.3)


class Mounts:
    """Mounts at ``place``, a directory that every user may enter. They need root and a kernel that lets it mount."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._mounted = False

    def __call__(self, *options: str) -> None:
        """Mount something, or change what is mounted."""
        done = subprocess.run(["mount", *options, str(self.place)], capture_output=True, text=True)
        if done.returncode != 0 and not self._mounted:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        self._mounted = True

    def fill(self) -> None:
        """A tmpfs is made as small as what is in it."""
        held = os.statvfs(self.place)
        self("-o", f"remount,size={(held.f_blocks - held.f_bfree) * held.f_frsize}")

    def end(self) -> None:
        if self._mounted:
            subprocess.run(["umount", str(self.place)], check=True)


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with tempfile.TemporaryDirectory(prefix="pf-mount-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        made = Mounts(place)
        yield made
        made.end()


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Says how many bytes a file of this process may have, as ``LimitFSIZE=`` or ``ulimit -f`` do for a farm. It holds
    for what pytest writes too, which is less."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
