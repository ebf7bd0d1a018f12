"""Cursors: what was made is read back, for the same question only; anything else is a named fault."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.errors import ValidationFailed
from phonefarm.store import cursor

pytestmark = pytest.mark.timeout(60)

FILTERS = {"list": "processes", "status": "queued", "system": None}


@given(at=st.integers(0, 2**53), last=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=60))
def test_a_cursor_is_read_back(at: int, last: str) -> None:
    assert cursor.decode(cursor.encode(at, last, FILTERS), FILTERS) == (at, last)


def test_a_cursor_of_another_question_is_refused() -> None:
    made = cursor.encode(1, "x", FILTERS)
    with pytest.raises(ValidationFailed) as refused:
        cursor.decode(made, {**FILTERS, "status": "completed"})
    assert refused.value.problem_code == "invalid_cursor"
    assert refused.value.faults[0].loc == ("query", "cursor")


@given(text=st.text(max_size=80))
def test_any_text_is_refused_not_raised(text: str) -> None:
    with pytest.raises(ValidationFailed):
        cursor.decode(text, FILTERS)


@pytest.mark.parametrize(
    "body", [[], {}, [1], [1, "m", 2], ["1", 2, 3, 4], [1, "m", True, "x"], None, 7, [1, "m", -1, "x"]]
)
def test_json_of_another_shape_is_refused(body: object) -> None:
    with pytest.raises(ValidationFailed):
        cursor.decode(base64.urlsafe_b64encode(json.dumps(body).encode()).decode(), FILTERS)
