"""The strict parser reads what json reads, less what is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.errors import ValidationFailed
from phonefarm.serve.jsontext import MOST_LEVELS, parse_object

pytestmark = pytest.mark.timeout(60)

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_text, _values, max_size=5), st.booleans())
def test_what_json_writes_is_read(value: dict[str, Any], escaped: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.fault(38)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValidationFailed):
        assert isinstance(parse_object(raw), dict)


def _nested(levels: int, opening: str, closing: str) -> bytes:
    inner = levels - 1
    return ('{"a":' + opening * inner + "1" + closing * inner + "}").encode()


@pytest.mark.fault(38)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_levels(opening: str, closing: str) -> None:
    parse_object(_nested(MOST_LEVELS, opening, closing))
    with pytest.raises(ValidationFailed, match="invalid_json"):
        parse_object(_nested(MOST_LEVELS + 1, opening, closing))


def test_many_but_flat_is_read() -> None:
    assert len(parse_object(json.dumps({"a": [[]] * 500}).encode())["a"]) == 500


@pytest.mark.parametrize(
    "text", [r'{"a": "\\u0000"}', r'{"a": "\ud83d\ude00"}', '{"a": 9223372036854775807}', '{"a":1e308}']
)
def test_what_only_looks_bad_is_read(text: str) -> None:
    assert parse_object(text.encode()) == json.loads(text)


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    "text", ['{"a": 9223372036854775808}', '{"a": -1e400}', r'{"\udc00": 1}', '{"a": 1,}', '{"a": "\n"}']
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_object(text.encode())
    (fault,) = caught.value.faults
    assert (fault.loc, fault.code) == ((), "invalid_json")
