"""Who runs next: (waiting items, phones, now) -> assignments, and the reason for every item that must wait.

One pass over the items in claim order. Free phones are held once, by id, and once more per group, both in the
order of their last use, so a pinned item costs one look-up and a free one takes the phone that rested longest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.queue import Assignment, WaitingItem
from phonefarm.models.states import PhoneState, WaitingReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Farm:
    """What placement knows. ``busy_phones`` and ``busy_accounts`` have an item now; ``rested`` is a sequence
    number of each phone's last use (absent: never used). ``spent_accounts`` are at their daily limit."""

    phones: Mapping[str, PhoneRow]
    accounts: Mapping[str, AccountRow] = field(default_factory=dict)
    busy_phones: frozenset[str] | set[str] = frozenset()
    busy_accounts: frozenset[str] | set[str] = frozenset()
    spent_accounts: frozenset[str] | set[str] = frozenset()
    rested: Mapping[str, int] = field(default_factory=dict)


def claim_order(item: WaitingItem) -> tuple[int, int, str]:
    """Sort key: higher priority first, then first come first served."""
    return (-item.priority, item.created_at, item.item_id)


def place(waiting: Iterable[WaitingItem], farm: Farm, now: int) -> list[Assignment]:
    """The assignments to make now (``now`` in ms since the epoch). No phone and no account is given twice."""
    free = _FreePhones(farm)
    if not free:
        return []
    ready = sorted((item for item in waiting if item.ready_at <= now), key=claim_order)
    return list(_assign(ready, free, _FreeAccounts(farm)))


def _assign(items: Sequence[WaitingItem], free: _FreePhones, accounts: _FreeAccounts) -> Iterator[Assignment]:
    for item in items:
        if not free:
            return
        found = _by_account_group(item, free, accounts) if item.account_group else _by_phone(item, free, accounts)
        if found is None:
            continue
        phone_id, account_id = found
        free.take(phone_id)
        accounts.take(account_id)
        yield Assignment(item_id=item.item_id, phone_id=phone_id, account_id=account_id)


def _by_phone(item: WaitingItem, free: _FreePhones, accounts: _FreeAccounts) -> tuple[str, str | None] | None:
    if item.account_id is not None and not accounts.is_free(item.account_id):
        return None
    phone_id = free.pick(item.phone_id, item.phone_group, avoid=item.last_phone)
    return None if phone_id is None else (phone_id, item.account_id)


def _by_account_group(item: WaitingItem, free: _FreePhones, accounts: _FreeAccounts) -> tuple[str, str | None] | None:
    for account in accounts.in_group(item.account_group or ""):
        if item.account_id not in (None, account.account_id) or account.phone_id is None:
            continue
        if item.phone_id in (None, account.phone_id) and free.pick(account.phone_id, item.phone_group):
            return account.phone_id, account.account_id
    return None


class _FreePhones:
    """Available phones without an item, by id and by group, longest rested first."""

    def __init__(self, farm: Farm) -> None:
        fit = (p for p in farm.phones.values() if p.state is PhoneState.AVAILABLE)
        order = sorted(
            (p for p in fit if p.phone_id not in farm.busy_phones),
            key=lambda p: (farm.rested.get(p.phone_id, -1), p.phone_id),
        )
        self._free: dict[str, PhoneRow] = {p.phone_id: p for p in order}
        self._groups: dict[str, dict[str, None]] = defaultdict(dict)
        for phone in order:
            for group in phone.groups:
                self._groups[group][phone.phone_id] = None

    def __bool__(self) -> bool:
        return bool(self._free)

    def pick(self, phone_id: str | None, group: str | None, *, avoid: str | None = None) -> str | None:
        """A free phone that fits; ``avoid`` only if there is no other."""
        if phone_id is not None:
            phone = self._free.get(phone_id)
            return phone_id if phone is not None and (group is None or group in phone.groups) else None
        pool: Iterable[str] = self._free if group is None else self._groups.get(group, ())
        last = None
        for candidate in pool:
            if candidate != avoid:
                return candidate
            last = candidate
        return last

    def take(self, phone_id: str) -> None:
        phone = self._free.pop(phone_id)
        for group in phone.groups:
            self._groups[group].pop(phone_id, None)


class _FreeAccounts:
    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._taken: set[str] = set()
        self._groups: dict[str, list[AccountRow]] | None = None

    def is_free(self, account_id: str) -> bool:
        account = self._farm.accounts.get(account_id)
        usable = account is not None and account.active and account.authorization is not None
        blocked = account_id in self._farm.busy_accounts or account_id in self._farm.spent_accounts
        return usable and not blocked and account_id not in self._taken

    def in_group(self, group: str) -> list[AccountRow]:
        if self._groups is None:
            self._groups = defaultdict(list)
            for account in sorted(self._farm.accounts.values(), key=lambda a: a.account_id):
                if account.group:
                    self._groups[account.group].append(account)
        return [a for a in self._groups.get(group, []) if self.is_free(a.account_id)]

    def take(self, account_id: str | None) -> None:
        if account_id is not None:
            self._taken.add(account_id)


# -- reasons -------------------------------------------------------------------------------------

_PINNED: Mapping[PhoneState, WaitingReason] = {
    PhoneState.OFFLINE: WaitingReason.PHONE_OFFLINE,
    PhoneState.UNAUTHORIZED: WaitingReason.PHONE_OFFLINE,
    PhoneState.CHECKING: WaitingReason.PHONE_OFFLINE,
    PhoneState.PAUSED: WaitingReason.PHONE_PAUSED,
    PhoneState.QUARANTINED: WaitingReason.PHONE_QUARANTINED,
    PhoneState.RETIRED: WaitingReason.PHONE_OFFLINE,
    PhoneState.BUSY: WaitingReason.PHONES_BUSY,
    PhoneState.AVAILABLE: WaitingReason.PHONES_BUSY,
}


def why_waiting(item: WaitingItem, farm: Farm, now: int) -> tuple[WaitingReason, int]:
    """Why an item is not running, and how many phones were considered for it."""
    phones = list(_candidates(item, farm))
    return _reason(item, phones, farm, now), len(phones)


def _candidates(item: WaitingItem, farm: Farm) -> Iterator[PhoneRow]:
    if item.phone_id is not None:
        phone = farm.phones.get(item.phone_id)
        yield from [phone] if phone else []
        return
    group = item.account_group
    homes = {a.phone_id for a in farm.accounts.values() if a.group == group} if group else None
    for phone in farm.phones.values():
        if phone.state is PhoneState.RETIRED or (item.phone_group and item.phone_group not in phone.groups):
            continue
        if homes is None or phone.phone_id in homes:
            yield phone


def _reason(item: WaitingItem, phones: Sequence[PhoneRow], farm: Farm, now: int) -> WaitingReason:
    if item.ready_at > now:
        return WaitingReason.RETRY_BACKOFF if item.attempt else WaitingReason.NOT_BEFORE
    if item.account_id in farm.spent_accounts:
        return WaitingReason.ACCOUNT_DAILY_LIMIT
    if item.account_id in farm.busy_accounts:
        return WaitingReason.ACCOUNT_BUSY
    if item.phone_id is not None and phones:
        return _PINNED[phones[0].state]
    if any(p.state in (PhoneState.AVAILABLE, PhoneState.BUSY) for p in phones):
        return WaitingReason.PHONES_BUSY
    return WaitingReason.NO_PHONE_ONLINE
