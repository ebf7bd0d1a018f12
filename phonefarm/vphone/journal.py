"""What a phone was told to do, one JSON line a command, for people and for tests that must prove what happened.

Each line is written and flushed when the command ends: ``mono_start`` and ``mono`` are seconds of the monotonic clock
(arrival and end), ``at`` is the wall time of the end (UTC, milliseconds), ``rc`` is null for a command that was killed
or that has no exit code. Two commands overlapped when their intervals do. A second file, ``<serial>.shown.jsonl``, says
which video or article filled the screen, and when it came up.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


@dataclass(kw_only=True, slots=True)
class Entry:
    """One command under way; whoever runs it sets ``rc``."""

    service: str
    command: str
    rc: int | None = None


class Journal:
    """Appends to ``<folder>/<serialno>.jsonl``; without a folder it only counts."""

    def __init__(self, folder: Path | None, serialno: str) -> None:
        self.count = 0
        self._folder, self._serialno = folder, serialno
        self._file: TextIO | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / f"{serialno}.jsonl").open("a", encoding="utf-8")

    def shown(self, query: str, rank: int, title: str, author: str) -> None:
        """A piece of content fills the screen: a line in ``<serialno>.shown.jsonl``."""
        if self._folder is None:
            return
        line = {"mono": time.monotonic(), "query": query, "rank": rank, "title": title, "author": author}
        with (self._folder / f"{self._serialno}.shown.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @contextmanager
    def command(self, service: str, command: str) -> Iterator[Entry]:
        """Record the command that runs inside the block, however it ends."""
        entry = Entry(service=service, command=command)
        start = time.monotonic()
        try:
            yield entry
        finally:
            self._write(entry, start)

    def close(self) -> None:
        """No more lines."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, entry: Entry, start: float) -> None:
        self.count += 1
        if self._file is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": at, "mono": time.monotonic(), "mono_start": start}
        line |= {"service": entry.service, "command": entry.command, "rc": entry.rc}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
