"""The in-memory file system: paths, links, permissions, globbing, a full disk."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.vphone.fs import FileSystem

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def files() -> FileSystem:
    """A new phone's files at time 1000."""
    return FileSystem(lambda: 1000.0)


def test_sdcard_is_a_link(files: FileSystem) -> None:
    """What is written under one name is read under the other."""
    files.write("/sdcard/Download/a", b"x")
    assert files.read("/storage/emulated/0/Download/a") == b"x"
    assert files.get("/sdcard", follow=False).target == "/storage/emulated/0"


def test_times_and_modes(files: FileSystem) -> None:
    """Given ones are kept, others come from the clock."""
    files.write("/sdcard/a", b"x", mode=0o600, mtime=5.0)
    node = files.get("/sdcard/a")
    assert (node.mode & 0o777, node.mtime, node.size) == (0o600, 5.0, 1)


@pytest.mark.parametrize(
    ("path", "code"),
    [("/system/x", errno.EACCES), ("/x", errno.EACCES), ("/sdcard/no/x", errno.ENOENT), ("/sdcard", errno.EISDIR)],
)
def test_places_that_refuse(files: FileSystem, path: str, code: int) -> None:
    """Writing elsewhere than a shell user may, fails with Android's errno."""
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        files.write(path, b"")
    assert caught.value.errno == code


def test_a_link_in_a_circle(files: FileSystem) -> None:
    """ELOOP instead of an endless walk."""
    files.link("/sdcard/b", "/sdcard/a")
    files.link("/sdcard/a", "/sdcard/b")
    with pytest.raises(OSError, match="Too many symbolic links"):
        files.read("/sdcard/a")


def test_a_full_disk(files: FileSystem) -> None:
    """ENOSPC, and what was there stays."""
    files.write("/sdcard/a", b"x")
    files.full = True
    with pytest.raises(OSError, match="No space left"):
        files.append(files.open_write("/sdcard/a", append=True), b"y")
    assert files.read("/sdcard/a") == b"x"


def test_moving_a_folder_into_itself(files: FileSystem) -> None:
    """Refused, nothing is lost."""
    files.make_dirs("/sdcard/a/b")
    with pytest.raises(OSError, match="Invalid argument"):
        files.move("/sdcard/a", "/sdcard/a/b/c")
    assert files.get("/sdcard/a/b").is_dir


def test_globbing(files: FileSystem) -> None:
    """Sorted; hidden names only by a dot."""
    for name in ("b.txt", "a.txt", ".c.txt"):
        files.write(f"/sdcard/{name}", b"")
    assert files.glob("/sdcard/*.txt", "/") == ["/sdcard/a.txt", "/sdcard/b.txt"]
    assert files.glob(".*", "/sdcard") == [".c.txt"]


@given(st.lists(st.sampled_from(["..", ".", "Download", "sdcard", ""]), max_size=8))
def test_resolved_paths_are_plain(parts: list[str]) -> None:
    """No dots, no links, and resolving again changes nothing."""
    files = FileSystem(lambda: 0.0)
    try:
        real = files.resolve("/" + "/".join(parts))
    except OSError:
        return
    assert files.resolve(real) == real
    assert not {"..", "."} & set(real.split("/"))
