"""What figures need of the machine: made when first asked for, kept for the next figure, ended with the lab.

``quick`` makes everything small: for trying whether a figure works, not for figures to be kept.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy.engine import make_url

from tests.databases import Postgres, postgres_server

T = TypeVar("T")

#: The checkout; what the bench builds or writes lies in ignored folders of it.
ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".bench"


class NotHere(Exception):
    """Something a contestant needs is not on this machine; the words say what."""


class Troubles:
    """What was left out, to be said in the results."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, text: str) -> None:
        if text not in self._said:
            self._said.append(text)

    def pop_all(self) -> list[str]:
        said, self._said = self._said, []
        return said


class Lab:
    """Use as a context. ``keep`` makes a thing once by its key; ``let_go`` ends it before its time."""

    def __init__(self, *, quick: bool, say: Callable[[str], None]) -> None:
        self.quick = quick
        self.say = say
        self.trouble = Troubles()
        self._kept: dict[str, tuple[Any, contextlib.ExitStack]] = {}
        self._directory: Path | None = None

    @property
    def directory(self) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="pf-bench-"))
        return self._directory

    def pick(self, whole: T, quick: T) -> T:
        """The size of something."""
        return quick if self.quick else whole

    def keep(self, key: str, make: Callable[[], AbstractContextManager[T]]) -> T:
        if key not in self._kept:
            stack = contextlib.ExitStack()
            self._kept[key] = (stack.enter_context(make()), stack)
        return cast(T, self._kept[key][0])

    def let_go(self, prefix: str = "") -> None:
        """End what was kept under a key that begins with ``prefix``, the last made first."""
        for key in [key for key in reversed(self._kept) if key.startswith(prefix)]:
            _, stack = self._kept.pop(key)
            stack.close()

    def kept(self) -> list[str]:
        """The keys, the last made first."""
        return list(reversed(self._kept))

    def postgres(self) -> Postgres:
        return self.keep("postgres", postgres_server)

    def postgres_pid(self) -> int:
        """Of the server's first process."""
        (socket,) = {make_url(self.postgres().url("x")).query["host"]}
        return int((Path(str(socket)) / "postmaster.pid").read_text().split()[0])

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.let_go()
        finally:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
