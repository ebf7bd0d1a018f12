"""Where records come from: files of lines that outlive whoever wrote them, and the tables of the database.

A line is one ``write`` to a file opened for appending, so it is there whole or not at all, and a process that is killed
takes none of them with it (a machine that loses power would: nothing is fsynced). What takes time is two lines with one
``id``: the second one has ``at`` and what came of it. A line that begins something and has no second one was never
finished as far as anybody knows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from phonefarm.models.clock import new_id
from phonefarm.store import tables
from tests.chaos.records import Reading, Request, Rows, Touch


class Lines:
    """A file that lines are appended to. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def begin(self, **line: Any) -> str:
        """A line with the time and a new ``id``, which it gives."""
        name = new_id()
        self.write(id=name, at=time.time(), **line)
        return name

    def end(self, name: str, **line: Any) -> None:
        self.write(id=name, over=True, at=time.time(), **line)

    def close(self) -> None:
        os.close(self._file)


def read_lines(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each beginning with its end, None if it has none; in the order of the beginnings."""
    begun: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    for text in path.read_text().splitlines() if path.exists() else ():
        line = json.loads(text)
        (ended if line.get("over") else begun)[line["id"]] = line
    for name, line in begun.items():
        yield line, ended.get(name)


def requests(path: Path) -> list[Request]:
    """A client's file: ``begin(kind, key, body, process_id)``, ``end(status, process_id)``."""
    return [
        Request(
            kind=line["kind"],
            key=(line["key"][0], line["key"][1], line["key"][2]),
            body=line["body"],
            sent_at=line["at"],
            answered_at=end["at"] if end else None,
            status=end["status"] if end else None,
            process_id=(end["process_id"] if end else None) or line.get("process_id"),
        )
        for line, end in read_lines(path)
        if line["kind"] != "read"
    ]


def readings(path: Path) -> list[Reading]:
    """The same file: ``begin(kind="read", process_id, status)``."""
    return [
        Reading(process_id=line["process_id"], at=line["at"], status=line["status"])
        for line, _ in read_lines(path)
        if line["kind"] == "read"
    ]


def touches(path: Path) -> list[Touch]:
    """A phone's file: ``begin`` with the fields of ``Touch``, ``end()``."""
    names = ("item_id", "attempt", "index", "account_id", "once")
    return [
        Touch(
            phone_id=line["phone_id"],
            kind=line["kind"],
            started=line["at"],
            ended=end["at"] if end else None,
            **{name: line.get(name) for name in names},
        )
        for line, end in read_lines(path)
    ]


def rows(url: str) -> Rows:
    """The tables as they are at one moment, by a connection of our own; the farm may go on meanwhile."""
    sqlite = sa.make_url(url).get_backend_name() == "sqlite"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT" if sqlite else "REPEATABLE READ")
    try:
        with engine.connect() as connection:
            if sqlite:
                connection.exec_driver_sql("BEGIN")
            found: dict[str, list[Mapping[str, Any]]] = {}
            for name in Rows.__dataclass_fields__:
                table = tables.metadata.tables[name]
                found[name] = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            return Rows(**found)
    finally:
        engine.dispose()
