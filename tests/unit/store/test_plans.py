"""Queries on the hot path use an index: the database is asked how it would run them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from phonefarm.store import accept
from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import upgrade

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def engines(db_url: str) -> Iterator[Engines]:
    found = open_engines(db_url)
    upgrade(found)
    yield found
    found.dispose()


def test_keys_are_looked_up_by_their_index(engines: Engines) -> None:
    seen: list[tuple[str, object]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        seen.append((statement, parameters))

    with engines.writer.connect() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        accept.find_keys(connection, [("keyword_warmup", "a", f"r{n}") for n in range(50)])
        (asked,) = [one for one in seen if "processes" in one[0]]
        if engines.is_sqlite:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}", asked[1]).all()  # type: ignore[arg-type]
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {asked[0]}", asked[1]).all()  # type: ignore[arg-type]
        connection.rollback()
    text = " ".join(str(row) for row in plan)
    assert "request_id" in text
    assert "SCAN processes" not in text
    assert "Seq Scan" not in text
