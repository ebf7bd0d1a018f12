"""Changing accounts piece by piece, in both databases."""

from __future__ import annotations

from typing import Any

import pytest

from phonefarm.errors import NotFound, ValidationFailed
from phonefarm.models.phone import AccountRow
from phonefarm.models.process import AccountPatch
from phonefarm.store import accounts
from tests.farmtools import AUTHORISED
from tests.unit.store.desk import Desk, desk


def patch(here: Desk, account_id: str = "soup", **changes: Any) -> AccountRow:
    row = here.run(lambda tx: accounts.patch_account(tx, AccountPatch(account_id=account_id, changes=changes)))
    assert isinstance(row, AccountRow)
    return row


def test_only_what_is_given_changes(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", phone_id="A", group="g", daily_limits={"sessions": 3, "minutes": 60})
        row = patch(here, phone_id="B")
        assert (row.phone_id, row.group, row.active, row.authorization) == ("B", "g", True, AUTHORISED)
        row = patch(here, daily_limits={"sessions": 5})
        assert (row.limits.sessions, row.limits.minutes) == (5, 60)
        assert patch(here, active=False).active is False


def test_an_explicit_null_clears(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", phone_id="A", group="g", daily_limits={"sessions": 3, "minutes": 60})
        row = patch(here, phone_id=None, group=None, daily_limits={"minutes": None})
        assert (row.phone_id, row.group) == (None, None)
        assert (row.limits.sessions, row.limits.minutes) == (3, None)
        row = patch(here, daily_limits=None, active=False, authorization=None)
        assert (row.limits.sessions, row.authorization) == (None, None)


def test_the_whole_must_obey_the_rules_of_put(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup")
        for changes in ({"authorization": None}, {"active": True, "authorization": None}):
            with pytest.raises(ValidationFailed) as refused:
                patch(here, **changes)
            assert refused.value.problem_code == "authorization_required"
        assert patch(here).authorization == AUTHORISED, "nothing was changed"
        with pytest.raises(NotFound, match="unknown_phone:nobody"):
            patch(here, phone_id="nobody")


def test_an_unknown_account_is_not_made(db_url: str) -> None:
    with desk(db_url) as here, pytest.raises(NotFound, match="unknown_account:nobody"):
        patch(here, "nobody", active=False)
