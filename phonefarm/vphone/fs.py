"""The phone's file system: a tree of dictionaries in memory, shared by the shell and the sync service.

Paths are absolute POSIX paths. ``/sdcard`` is a symbolic link, as on a phone, so links are followed component by
component. Only the places a shell user may write to are writable; everything else answers "Permission denied". A file
may instead have a ``source``, a function that makes its content when it is read (``/proc/uptime``).

Errors are ``OSError`` with the errno and the text that Android prints.
"""

import errno
import fnmatch
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR = 0o040000, 0o100000, 0o120000, 0o020000

WRITABLE = ("/storage/emulated/0", "/data/local/tmp", "/tmp", "/dev")
"""Folders under which the shell user may write."""
CAPACITY = 108 * 1024**3
"""Size of /data in bytes; only what is really stored counts against it."""
SYSTEM_BYTES = 18_400_000 * 1024
"""What Android itself takes of the capacity."""

_TEXT = {
    errno.ENOENT: "No such file or directory",
    errno.EACCES: "Permission denied",
    errno.ENOTDIR: "Not a directory",
    errno.EISDIR: "Is a directory",
    errno.EEXIST: "File exists",
    errno.ENOTEMPTY: "Directory not empty",
    errno.ENOSPC: "No space left on device",
    errno.ELOOP: "Too many symbolic links encountered",
    errno.EINVAL: "Invalid argument",
}


def failure(code: int, path: str) -> OSError:
    """An ``OSError`` with Android's text for ``code``."""
    return OSError(code, _TEXT[code], path)


@dataclass(kw_only=True, slots=True)
class Node:
    """A file, a folder (``children`` set) or a link (``target`` set). ``mtime`` is in seconds since 1970."""

    mode: int
    mtime: float
    data: bytearray = field(default_factory=bytearray)
    children: "dict[str, Node] | None" = None
    target: str | None = None
    source: Callable[[], bytes] | None = None

    @property
    def is_dir(self) -> bool:
        """Is it a folder?"""
        return self.children is not None

    @property
    def size(self) -> int:
        """Size in bytes, as ``stat`` tells it."""
        if self.children is not None:
            return 4096
        return len(self.target) if self.target is not None else len(self.data)

    def content(self) -> bytes:
        """The bytes of a file."""
        return self.source() if self.source is not None else bytes(self.data)


class FileSystem:
    """One phone's files. ``clock`` gives the wall time in seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.root = self._folder(0o755)
        self.full = False
        for path in ("/data/local/tmp", "/data/app", "/storage/emulated/0", "/dev", "/proc", "/system/bin", "/tmp"):
            self._plant_dirs(path)
        for name in ("Download", "DCIM", "Pictures", "Movies", "Music", "Android"):
            self._plant_dirs(f"/storage/emulated/0/{name}")
        self.plant_link("/sdcard", "/storage/emulated/0")
        self.plant_link("/storage/self", "/storage/emulated")
        for name in ("null", "zero", "tty"):
            self.plant_source(f"/dev/{name}", bytes, S_IFCHR | 0o666)

    # -- building, without permissions -----------------------------------------------------------------------------
    def plant_source(self, path: str, source: Callable[[], bytes], mode: int = S_IFREG | 0o444) -> None:
        """Put a file whose content is made when it is read."""
        self._plant(path, Node(mode=mode, mtime=self._clock(), source=source))

    def plant_link(self, path: str, target: str) -> None:
        """Put a symbolic link."""
        self._plant(path, Node(mode=S_IFLNK | 0o777, mtime=self._clock(), target=target))

    def plant_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Put a file, whatever its place."""
        self._plant(path, Node(mode=S_IFREG | mode, mtime=self._clock(), data=bytearray(data)))

    def plant_node(self, path: str, node: Node) -> None:
        """Put a node that several phones may share: nobody may write at such a place."""
        self._plant(path, node)

    def uproot(self, path: str) -> None:
        """Take away what was planted, whatever its place; nothing there is fine."""
        parent = self.find(posixpath.dirname(path))
        if parent is not None and parent.children is not None:
            parent.children.pop(posixpath.basename(path), None)

    # -- looking ---------------------------------------------------------------------------------------------------
    def resolve(self, path: str, *, follow_last: bool = True) -> str:
        """``path`` without links and dots; the last part may be missing. Raises ``OSError`` for a missing folder."""
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        hops = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            node = self._node_at([*done, part], path)
            if node is not None and node.target is not None and (todo or follow_last):
                hops += 1
                if hops > 40:
                    raise failure(errno.ELOOP, path)
                if node.target.startswith("/"):
                    done.clear()
                todo.extend(p for p in reversed(node.target.split("/")) if p not in ("", "."))
                continue
            done.append(part)
        return "/" + "/".join(done)

    def get(self, path: str, *, follow: bool = True) -> Node:
        """The node at ``path``. Raises ``OSError`` (ENOENT, ENOTDIR, ELOOP)."""
        real = self.resolve(path, follow_last=follow)
        node = self._node_at([p for p in real.split("/") if p], path)
        if node is None:
            raise failure(errno.ENOENT, path)
        return node

    def find(self, path: str, *, follow: bool = True) -> Node | None:
        """The node at ``path``, or None."""
        try:
            return self.get(path, follow=follow)
        except OSError:
            return None

    def read(self, path: str) -> bytes:
        """Content of a file. Raises ``OSError`` (ENOENT, EISDIR ...)."""
        node = self.get(path)
        if node.is_dir:
            raise failure(errno.EISDIR, path)
        return node.content()

    def children(self, path: str) -> dict[str, Node]:
        """Name to node of a folder. Raises ``OSError`` (ENOENT, ENOTDIR)."""
        node = self.get(path)
        if node.children is None:
            raise failure(errno.ENOTDIR, path)
        return node.children

    def glob(self, pattern: str, cwd: str) -> list[str]:
        """Paths that match a shell pattern, sorted; hidden names only match a pattern that starts with a dot."""
        prefix = "/" if pattern.startswith("/") else ""
        found = [prefix]
        for part in (p for p in pattern.split("/") if p):
            found = [hit for base in found for hit in self._glob_step(base, part, cwd)]
        return sorted(found)

    def used(self) -> int:
        """Bytes stored in files."""
        return sum(len(node.data) for node in _walk(self.root))

    # -- changing --------------------------------------------------------------------------------------------------
    def open_write(self, path: str, *, append: bool = False, mode: int = 0o660) -> Node:
        """The file at ``path``, made if missing and emptied unless ``append``. Raises ``OSError``."""
        real = self.resolve(path)
        node = self.find(real)
        if node is not None and node.is_dir:
            raise failure(errno.EISDIR, path)
        if node is not None and node.source is not None:
            return node
        self._check_writable(real, path)
        if node is None:
            node = Node(mode=S_IFREG | (mode & 0o7777), mtime=self._clock())
            self._parent(real, path)[posixpath.basename(real)] = node
        elif not append:
            node.data.clear()
        node.mtime = self._clock()
        return node

    def check_new(self, path: str) -> None:
        """Raises ``OSError`` when a file could not be written at ``path`` (EACCES, EISDIR, ENOENT)."""
        real = self.resolve(path, follow_last=False)
        node = self.find(real, follow=False)
        if node is not None and node.is_dir:
            raise failure(errno.EISDIR, path)
        self._check_writable(real, path)
        self._parent(real, path)

    def append(self, node: Node, data: bytes) -> None:
        """Add bytes to an opened file. Raises ``OSError`` (ENOSPC) when the disk is full."""
        if node.source is not None:
            return
        if self.full and data:
            raise failure(errno.ENOSPC, "")
        node.data += data
        node.mtime = self._clock()

    def write(self, path: str, data: bytes, *, mode: int = 0o660, mtime: float | None = None) -> None:
        """Make or replace a file. Raises ``OSError``."""
        node = self.open_write(path, mode=mode)
        self.append(node, data)
        node.mode = S_IFREG | (mode & 0o7777)
        if mtime is not None:
            node.mtime = mtime

    def make_dirs(self, path: str) -> None:
        """Make a folder and its parents; one that is there is fine. Raises ``OSError``."""
        built = ""
        for part in (p for p in path.split("/") if p):
            built += f"/{part}"
            if self.find(built) is None:
                self.make_dir(built)

    def make_dir(self, path: str) -> None:
        """Make one folder. Raises ``OSError`` (EEXIST, ENOENT, EACCES)."""
        real = self.resolve(path)
        if self.find(real) is not None:
            raise failure(errno.EEXIST, path)
        self._check_writable(real, path)
        self._parent(real, path)[posixpath.basename(real)] = self._folder(0o770)

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link at ``path``. Raises ``OSError``."""
        real = self.resolve(path, follow_last=False)
        if self.find(real, follow=False) is not None:
            raise failure(errno.EEXIST, path)
        self._check_writable(real, path)
        node = Node(mode=S_IFLNK | 0o777, mtime=self._clock(), target=target)
        self._parent(real, path)[posixpath.basename(real)] = node

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or a folder when ``recursive``. Raises ``OSError``."""
        node = self.get(path, follow=False)
        real = self.resolve(path, follow_last=False)
        if node.is_dir and not recursive:
            raise failure(errno.EISDIR, path)
        self._check_writable(real, path)
        del self._parent(real, path)[posixpath.basename(real)]

    def move(self, old: str, new: str) -> None:
        """Rename, replacing a file that is there. Raises ``OSError``."""
        node = self.get(old, follow=False)
        source, target = self.resolve(old, follow_last=False), self.resolve(new, follow_last=False)
        if target == source:
            return
        if target.startswith(source + "/"):
            raise failure(errno.EINVAL, new)
        self._check_writable(source, old)
        self._check_writable(target, new)
        self._parent(target, new)[posixpath.basename(target)] = node
        del self._parent(source, old)[posixpath.basename(source)]

    # -- inside ----------------------------------------------------------------------------------------------------
    def _folder(self, mode: int) -> Node:
        return Node(mode=S_IFDIR | mode, mtime=self._clock(), children={})

    def _plant(self, path: str, node: Node) -> None:
        parent, name = posixpath.split(path)
        self._plant_dirs(parent)[name] = node

    def _plant_dirs(self, path: str) -> "dict[str, Node]":
        node = self.root
        for part in (p for p in path.split("/") if p):
            assert node.children is not None
            node = node.children.setdefault(part, self._folder(0o771))
        assert node.children is not None
        return node.children

    def _node_at(self, parts: list[str], path: str) -> Node | None:
        """The node at plain ``parts``; None when only the last is missing."""
        node = self.root
        for index, part in enumerate(parts):
            if node.children is None:
                raise failure(errno.ENOTDIR, path)
            child = node.children.get(part)
            if child is None:
                if index == len(parts) - 1:
                    return None
                raise failure(errno.ENOENT, path)
            node = child
        return node

    def _parent(self, real: str, path: str) -> "dict[str, Node]":
        node = self._node_at([p for p in posixpath.dirname(real).split("/") if p], path)
        if node is None:
            raise failure(errno.ENOENT, path)
        if node.children is None:
            raise failure(errno.ENOTDIR, path)
        return node.children

    def _check_writable(self, real: str, path: str) -> None:
        if not any(real.startswith(place + "/") for place in WRITABLE):
            raise failure(errno.EACCES, path)

    def _glob_step(self, base: str, part: str, cwd: str) -> Iterator[str]:
        folder = self.find(posixpath.join(cwd, base))
        if folder is None or folder.children is None:
            return
        for name in folder.children:
            if fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith(".")):
                yield posixpath.join(base, name)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in (node.children or {}).values():
        yield from _walk(child)
