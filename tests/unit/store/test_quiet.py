"""What a database complains about does not carry the values of the statement into a log."""

from __future__ import annotations

import traceback

import pytest
import sqlalchemy as sa

from phonefarm.store.engine import open_engines

pytestmark = pytest.mark.timeout(60)

CANARY = "canary-of-a-prompt"


@pytest.mark.parametrize("which", ["writer", "reader"])
def test_an_error_does_not_repeat_the_values_of_its_statement(db_url: str, which: str) -> None:
    engines = open_engines(db_url)
    try:
        engines.writer.connect().close()  # makes the file of SQLite, which a reader never does
        with pytest.raises(sa.exc.DBAPIError) as caught, getattr(engines, which).begin() as connection:
            connection.execute(sa.text("SELECT :text FROM no_such_table"), {"text": CANARY})
    finally:
        engines.dispose()
    told = "".join(traceback.format_exception(caught.value))
    assert "no_such_table" in told
    assert CANARY not in told
