"""Target resolution against a model: for any farm and any target, the same items or the same refusal.

The model is written from contract sections 3 and 10 alone, as sets and plain loops, and shares no code with
``core.routing``. Where several refusals are due the contract does not say which comes first, so the model gives all of
them and any one will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.core.routing import Directory, resolve
from phonefarm.errors import RequestError
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import ResolvedItem, Target
from phonefarm.models.states import PhoneState, Routing

pytestmark = pytest.mark.timeout(120)

PHONES = ("P1", "P2", "P3", "P4")
ACCOUNTS = ("A1", "A2", "A3", "A4")
PHONE_GROUPS = ("rack-1", "rack-2", "empty")
ACCOUNT_GROUPS = ("cooks", "bakers")
AUTHORISED = {"authorized_by": "ops", "basis": "own", "granted_at": "2026-11-01T00:00:00.000Z"}


@dataclass(frozen=True)
class World:
    """What the model knows: the same facts as the directory, in its own form."""

    retired: dict[str, bool]
    groups: dict[str, frozenset[str]]
    accounts: dict[str, AccountRow]

    @property
    def directory(self) -> Directory:
        return Directory(
            phones={
                phone_id: PhoneRow(
                    phone_id=phone_id,
                    host="h",
                    serial=phone_id,
                    state=PhoneState.RETIRED if retired else PhoneState.OFFLINE,
                    groups=tuple(sorted(name for name, members in self.groups.items() if phone_id in members)),
                )
                for phone_id, retired in self.retired.items()
            },
            accounts=self.accounts,
            groups=frozenset({"empty"}),
        )


def _rarely(draw: st.DrawFn) -> bool:
    """True now and then: most targets shall resolve, or the items would hardly be looked at."""
    return draw(st.integers(0, 11)) == 0


@st.composite
def worlds(draw: st.DrawFn) -> World:
    known = [phone_id for phone_id in PHONES if not _rarely(draw)]
    retired = {phone_id: _rarely(draw) for phone_id in known}
    groups = {name: frozenset(p for p in known if draw(st.booleans())) for name in PHONE_GROUPS[:2]}
    accounts = {
        account_id: AccountRow(
            account_id=account_id,
            phone_id=None if _rarely(draw) else draw(st.sampled_from(PHONES)),
            group=draw(_maybe(ACCOUNT_GROUPS)),
            active=draw(st.integers(0, 4)) > 0,
            authorization=AUTHORISED if draw(st.integers(0, 4)) else None,
        )
        for account_id in ACCOUNTS
        if not _rarely(draw)
    }
    return World(retired=retired, groups=groups, accounts=accounts)


def _maybe(names: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(names)


def _some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=4).map(tuple)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Targets whose shape has been checked: only the fields their routing uses."""
    routing = draw(st.sampled_from(list(Routing)))
    if routing is Routing.DIRECT:
        phone_id = draw(_maybe(PHONES))
        account_id = draw(_maybe(ACCOUNTS) if phone_id else st.sampled_from(ACCOUNTS))
        return Target(routing=routing, phone_id=phone_id, account_id=account_id)
    groups: dict[str, Any] = {
        "phone_group": draw(_maybe(PHONE_GROUPS)),
        "account_group": draw(_maybe(ACCOUNT_GROUPS)),
    }
    if routing is Routing.QUEUE:
        return Target(routing=routing, phone_id=draw(_maybe(PHONES)), account_id=draw(_maybe(ACCOUNTS)), **groups)
    phone_ids, account_ids = draw(_some(PHONES)), draw(_some(ACCOUNTS))
    if not (phone_ids or account_ids or any(groups.values())):
        phone_ids = ("P1",)
    return Target(routing=routing, phone_ids=phone_ids, account_ids=account_ids, **groups)


# -- the model -------------------------------------------------------------------------------------


def phone_faults(world: World, phone_id: str | None) -> set[tuple[int, str]]:
    if phone_id is None:
        return set()
    if phone_id not in world.retired:
        return {(404, "unknown_phone")}
    return {(409, "phone_retired")} if world.retired[phone_id] else set()


def account_faults(world: World, account_id: str | None) -> set[tuple[int, str]]:
    if account_id is None:
        return set()
    account = world.accounts.get(account_id)
    if account is None:
        return {(404, "unknown_account")}
    faults = set()
    if account.authorization is None:
        faults.add((409, "account_unauthorized"))
    if not account.active:
        faults.add((409, "account_inactive"))
    return faults


def group_faults(world: World, target: Target) -> set[tuple[int, str]]:
    faults = set()
    name = target.phone_group
    if name is not None and name != "empty" and not world.groups[name]:
        faults.add((404, "unknown_phone_group"))
    if target.account_group is not None and target.account_group not in {a.group for a in world.accounts.values()}:
        faults.add((404, "unknown_account_group"))
    return faults


def home_of(world: World, account_id: str | None) -> str | None:
    account = world.accounts.get(account_id or "")
    return account.phone_id if account else None


def model(world: World, target: Target) -> tuple[set[tuple[int, str]], set[tuple[str | None, str | None]]]:
    """(every refusal that is due, the items as (phone, account) otherwise)."""
    if target.routing is Routing.GROUP:
        return group_model(world, target)
    faults = (
        phone_faults(world, target.phone_id) | account_faults(world, target.account_id) | group_faults(world, target)
    )
    home = home_of(world, target.account_id)
    if target.routing is Routing.DIRECT:
        if target.account_id is not None and home is None and target.account_id in world.accounts:
            faults.add((409, "account_has_no_phone"))
        faults |= phone_faults(world, home)
    if target.phone_id is not None and home is not None and home != target.phone_id:
        faults.add((422, "target_mismatch"))
    return faults, {(target.phone_id or home, target.account_id)}


def group_model(world: World, target: Target) -> tuple[set[tuple[int, str]], set[tuple[str | None, str | None]]]:
    faults = group_faults(world, target)
    phones: set[str] = set(target.phone_ids)
    for phone_id in target.phone_ids:
        faults |= phone_faults(world, phone_id)
    named = list(target.account_ids)
    for account_id in named:
        faults |= account_faults(world, account_id)
    usable = [
        a.account_id
        for a in world.accounts.values()
        if a.group is not None and a.group == target.account_group and a.active and a.authorization
    ]
    for account_id in {*named, *usable} & set(world.accounts):
        home = home_of(world, account_id)
        if home is None:
            faults.add((409, "account_has_no_phone"))
        else:
            faults |= phone_faults(world, home)
            phones.add(home)
    if target.phone_group not in (None, "empty"):
        phones |= {p for p in world.groups[target.phone_group or ""] if not world.retired[p]}
    if not phones:
        faults.add((409, "group_is_empty"))
    return faults, {(phone_id, None) for phone_id in phones}


# -- the law ---------------------------------------------------------------------------------------


@settings(max_examples=500, deadline=None)
@given(world=worlds(), target=targets())
def test_a_target_resolves_exactly_when_the_model_says_so(world: World, target: Target) -> None:
    faults, items = model(world, target)
    got = resolve(target, world.directory)
    if isinstance(got, RequestError):
        assert (got.status, got.problem_code) in faults
        return
    assert not faults
    assert all(isinstance(item, ResolvedItem) for item in got)
    if target.routing is not Routing.GROUP:
        assert [(item.phone_id, item.account_id) for item in got] == list(items)
        return
    assert {(item.phone_id, None) for item in got} == items
    assert len(got) == len(items), "several ids that mean one phone make one item"
    check_accounts(world, target, got)


def check_accounts(world: World, target: Target, got: object) -> None:
    """An account runs on its own phone, and only one that was asked for."""
    assert isinstance(got, tuple)
    for item in got:
        if item.account_id is not None:
            account = world.accounts[item.account_id]
            assert account.phone_id == item.phone_id
            assert item.account_id in target.account_ids or account.group == target.account_group
    for account_id in target.account_ids:
        home = world.accounts[account_id].phone_id
        assert any(item.phone_id == home and item.account_id is not None for item in got)
