"""Targets to items: each routing of the contract, each refusal."""

from __future__ import annotations

import pytest

from phonefarm.core.routing import Directory, resolve, resolve_unaided
from phonefarm.errors import Conflict, NotFound, RequestError, ValidationFailed
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import ResolvedItem, Target
from phonefarm.models.states import PhoneState, Routing

BY = {"authorized_by": "ops"}


def phone(phone_id: str, *groups: str, state: PhoneState = PhoneState.AVAILABLE) -> PhoneRow:
    return PhoneRow(phone_id=phone_id, host="h", serial=phone_id, state=state, groups=groups)


HERE = Directory(
    phones={
        p.phone_id: p
        for p in (phone("A", "rack"), phone("B", "rack"), phone("C"), phone("OLD", "rack", state=PhoneState.RETIRED))
    },
    accounts={
        a.account_id: a
        for a in (
            AccountRow(account_id="soup", phone_id="A", group="cooks", active=True, authorization=BY),
            AccountRow(account_id="bread", phone_id="A", group="cooks", active=True, authorization=BY),
            AccountRow(account_id="homeless", active=True, authorization=BY),
            AccountRow(account_id="asleep", phone_id="B", active=False, authorization=BY),
            AccountRow(account_id="nobody's", phone_id="B", active=False),
        )
    },
    groups=frozenset({"planned"}),
)


def target(routing: Routing, **fields: object) -> Target:
    return Target(routing=routing, **fields)  # type: ignore[arg-type]


def items(routing: Routing, **fields: object) -> list[tuple[str | None, str | None]]:
    found = resolve(target(routing, **fields), HERE)
    assert not isinstance(found, RequestError), found
    return [(i.phone_id, i.account_id) for i in found]


def test_direct_by_phone_by_account_and_by_both() -> None:
    assert items(Routing.DIRECT, phone_id="C") == [("C", None)]
    assert items(Routing.DIRECT, account_id="soup") == [("A", "soup")]
    assert items(Routing.DIRECT, account_id="soup", phone_id="A") == [("A", "soup")]


def test_queue_is_one_item_that_may_be_narrowed() -> None:
    assert items(Routing.QUEUE) == [(None, None)]
    (narrowed,) = resolve(target(Routing.QUEUE, phone_group="rack", account_group="cooks"), HERE)  # type: ignore[misc]
    assert narrowed == ResolvedItem(phone_group="rack", account_group="cooks")
    assert items(Routing.QUEUE, account_id="soup") == [("A", "soup")]


def test_a_group_is_one_item_a_phone_ids_and_names_add_up() -> None:
    assert items(Routing.GROUP, phone_group="rack") == [("A", None), ("B", None)]
    assert items(Routing.GROUP, phone_ids=("C", "A", "C"), phone_group="rack") == [
        ("C", None),
        ("A", None),
        ("B", None),
    ]
    assert items(Routing.GROUP, phone_ids=("A",), account_ids=("soup", "bread")) == [("A", "soup")]
    assert items(Routing.GROUP, account_group="cooks") == [("A", "bread")]


@pytest.mark.parametrize(
    ("wish", "kind", "detail"),
    [
        (target(Routing.DIRECT, phone_id="X"), NotFound, "unknown_phone:X"),
        (target(Routing.DIRECT, account_id="X"), NotFound, "unknown_account:X"),
        (target(Routing.DIRECT, phone_id="OLD"), Conflict, "phone_retired:OLD"),
        (target(Routing.DIRECT, account_id="homeless"), Conflict, "account_has_no_phone:homeless"),
        (target(Routing.DIRECT, account_id="asleep"), Conflict, "account_inactive:asleep"),
        (target(Routing.DIRECT, account_id="nobody's"), Conflict, "account_unauthorized:nobody's"),
        (target(Routing.DIRECT, account_id="soup", phone_id="B"), ValidationFailed, "target_mismatch"),
        (target(Routing.QUEUE, account_id="soup", phone_id="B"), ValidationFailed, "target_mismatch"),
        (target(Routing.QUEUE, phone_group="X"), NotFound, "unknown_phone_group:X"),
        (target(Routing.QUEUE, account_group="X"), NotFound, "unknown_account_group:X"),
        (target(Routing.GROUP, phone_group="X"), NotFound, "unknown_phone_group:X"),
        (target(Routing.GROUP, phone_ids=("A", "X")), NotFound, "unknown_phone:X"),
        (target(Routing.GROUP, account_ids=("homeless",)), Conflict, "account_has_no_phone:homeless"),
        (target(Routing.GROUP, phone_group="planned"), Conflict, "group_is_empty:planned"),
    ],
)
def test_refusals(wish: Target, kind: type[RequestError], detail: str) -> None:
    refused = resolve(wish, HERE)
    assert isinstance(refused, kind)
    assert refused.detail == detail


@pytest.mark.parametrize(
    "fields",
    [{}, {"phone_id": "A"}, {"account_id": "soup"}, {"phone_group": "rack"}, {"account_group": "cooks"}],
    ids=lambda fields: "+".join(fields) or "nothing",
)
@pytest.mark.parametrize("routing", list(Routing))
def test_what_is_resolved_unaided_is_what_anybody_s_directory_gives(routing: Routing, fields: dict[str, str]) -> None:
    asked = target(routing, **fields)
    found = resolve_unaided(asked)
    assert (found is not None) == (routing is Routing.QUEUE and not fields)
    if found is not None:
        assert found == resolve(asked, HERE) == resolve(asked, Directory(phones={}, accounts={}))
