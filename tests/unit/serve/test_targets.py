"""Target shapes: accepted exactly when the model here, written from contract section 3, says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.errors import ValidationFailed
from phonefarm.models.process import Submission
from phonefarm.serve.admission import Rules, admit
from tests.contract.bad_requests import valid_keyword_request

pytestmark = pytest.mark.timeout(60)

RULES = Rules(check_callback_url=lambda url: None)
_ids = st.sampled_from(["a", "b", "c"])
_maybe = st.none() | _ids
_targets = st.fixed_dictionaries(
    {"routing": st.sampled_from(["direct", "queue", "group"])},
    optional={
        "phone_id": _maybe,
        "account_id": _maybe,
        "phone_group": _maybe,
        "account_group": _maybe,
        "phone_ids": st.lists(_ids, max_size=4),
        "account_ids": st.lists(_ids, max_size=4),
    },
)


def expected(target: dict[str, Any]) -> bool:
    """Section 3, in words of its own."""
    given_fields = {name for name, value in target.items() if name != "routing" and value not in (None, [])}
    single = {"phone_id", "account_id"}
    groups = {"phone_group", "account_group"}
    lists = {"phone_ids", "account_ids"}
    if target["routing"] == "direct":
        return bool(given_fields & single) and not given_fields & (groups | lists)
    if target["routing"] == "queue":
        return not given_fields & lists
    return bool(given_fields & (lists | groups)) and not given_fields & single


def _admit(target: dict[str, Any]) -> Submission | ValidationFailed:
    try:
        return admit(valid_keyword_request(target=target), RULES, process_id="p")
    except ValidationFailed as refusal:
        return refusal


@given(_targets)
def test_accepted_as_the_model_says(target: dict[str, Any]) -> None:
    found = _admit(target)
    assert isinstance(found, Submission) is expected(target)
    if isinstance(found, Submission):
        shown = found.target.as_json()
        for name, value in target.items():
            assert shown[name] == (list(dict.fromkeys(value)) if isinstance(value, list) else value)
    else:
        for fault in found.faults:
            assert fault.code == f"invalid_target:{fault.loc[1]}"


@pytest.mark.parametrize("count", [1, 1_000])
def test_as_many_as_allowed_after_duplicates_are_removed(count: int) -> None:
    ids = [f"p{number}" for number in range(count)]
    found = _admit({"routing": "group", "phone_ids": [*ids, *ids]})
    assert isinstance(found, Submission)
    assert found.target.phone_ids == tuple(ids)
