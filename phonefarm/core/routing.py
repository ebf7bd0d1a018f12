"""Targets to items (contract sections 3 and 10). Pure: it knows the phones and accounts it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from phonefarm.errors import Conflict, Fault, NotFound, RequestError, ValidationFailed
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import Resolution, ResolvedItem, Target
from phonefarm.models.states import PhoneState, Routing


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """Who exists. ``groups`` are the configured group names, known even while no phone of them is."""

    phones: Mapping[str, PhoneRow]
    accounts: Mapping[str, AccountRow]
    groups: frozenset[str] = field(default_factory=frozenset)

    def group_members(self, name: str) -> list[PhoneRow]:
        return sorted((p for p in self.phones.values() if name in p.groups), key=lambda p: p.phone_id)

    def knows_group(self, name: str) -> bool:
        return name in self.groups or any(name in p.groups for p in self.phones.values())

    def account_group_members(self, name: str) -> list[AccountRow]:
        return sorted((a for a in self.accounts.values() if a.group == name), key=lambda a: a.account_id)


def resolve(target: Target, directory: Directory) -> Resolution:
    """The items of a target, or the refusal (404, 409, 422) as a value."""
    try:
        return tuple(_RESOLVERS[target.routing](target, directory))
    except RequestError as refusal:
        return refusal


def resolve_unaided(target: Target) -> Resolution | None:
    """The item of a target that leaves everything open: any phone, no account. Nobody need be known for it, so nobody
    need be asked. None for every other target."""
    named = (target.phone_id, target.account_id, target.phone_group, target.account_group)
    if target.routing is not Routing.QUEUE or any(one is not None for one in named):
        return None
    return (ResolvedItem(),)


def _direct(target: Target, directory: Directory) -> Iterator[ResolvedItem]:
    account = _account(target.account_id, directory) if target.account_id else None
    if account is None:
        phone = _phone(target.phone_id or "", directory)
        yield ResolvedItem(phone_id=phone.phone_id)
        return
    home = account.phone_id
    if home is None:
        raise Conflict("account_has_no_phone", f"account_has_no_phone:{account.account_id}")
    if target.phone_id is not None:
        _phone(target.phone_id, directory)
        if target.phone_id != home:
            raise ValidationFailed(
                [Fault(loc=("target", "phone_id"), code="target_mismatch", msg=f"the account lives on phone {home}")]
            )
    yield ResolvedItem(phone_id=_phone(home, directory).phone_id, account_id=account.account_id)


def _queue(target: Target, directory: Directory) -> Iterator[ResolvedItem]:
    if target.phone_id is not None:
        _phone(target.phone_id, directory)
    if target.phone_group is not None:
        _group(target.phone_group, directory)
    if target.account_group is not None and not directory.account_group_members(target.account_group):
        raise NotFound("unknown_account_group", f"unknown_account_group:{target.account_group}")
    account = _account(target.account_id, directory) if target.account_id else None
    home = account.phone_id if account else None
    if target.phone_id is not None and home is not None and home != target.phone_id:
        raise ValidationFailed(
            [Fault(loc=("target", "phone_id"), code="target_mismatch", msg=f"the account lives on phone {home}")]
        )
    yield ResolvedItem(
        phone_id=target.phone_id or home,
        account_id=target.account_id,
        phone_group=target.phone_group,
        account_group=target.account_group,
    )


def _group(name: str, directory: Directory) -> list[PhoneRow]:
    if not directory.knows_group(name):
        raise NotFound("unknown_phone_group", f"unknown_phone_group:{name}")
    return [p for p in directory.group_members(name) if p.state is not PhoneState.RETIRED]


def _group_targets(target: Target, directory: Directory) -> Iterator[ResolvedItem]:
    """One item a phone; ids and groups add up, and an account on an already named phone joins its item."""
    chosen: dict[str, str | None] = {}
    for phone_id in target.phone_ids:
        chosen.setdefault(_phone(phone_id, directory).phone_id, None)
    for account in _named_accounts(target, directory):
        if account.phone_id is None:
            raise Conflict("account_has_no_phone", f"account_has_no_phone:{account.account_id}")
        phone_id = _phone(account.phone_id, directory).phone_id
        if chosen.get(phone_id) is None:
            chosen[phone_id] = account.account_id
    if target.phone_group is not None:
        for phone in _group(target.phone_group, directory):
            chosen.setdefault(phone.phone_id, None)
    if not chosen:
        raise Conflict("group_is_empty", f"group_is_empty:{target.phone_group or target.account_group}")
    for phone_id, account_id in chosen.items():
        yield ResolvedItem(phone_id=phone_id, account_id=account_id)


def _named_accounts(target: Target, directory: Directory) -> Iterable[AccountRow]:
    for account_id in target.account_ids:
        yield _account(account_id, directory)
    if target.account_group is not None:
        members = directory.account_group_members(target.account_group)
        if not members:
            raise NotFound("unknown_account_group", f"unknown_account_group:{target.account_group}")
        yield from (account for account in members if account.active and account.authorization)


def _phone(phone_id: str, directory: Directory) -> PhoneRow:
    phone = directory.phones.get(phone_id)
    if phone is None:
        raise NotFound("unknown_phone", f"unknown_phone:{phone_id}")
    if phone.state is PhoneState.RETIRED:
        raise Conflict("phone_retired", f"phone_retired:{phone_id}")
    return phone


def _account(account_id: str, directory: Directory) -> AccountRow:
    account = directory.accounts.get(account_id)
    if account is None:
        raise NotFound("unknown_account", f"unknown_account:{account_id}")
    if account.authorization is None:
        raise Conflict("account_unauthorized", f"account_unauthorized:{account_id}")
    if not account.active:
        raise Conflict("account_inactive", f"account_inactive:{account_id}")
    return account


_RESOLVERS = {Routing.DIRECT: _direct, Routing.QUEUE: _queue, Routing.GROUP: _group_targets}
