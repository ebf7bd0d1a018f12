"""Who runs next: (waiting items, phones, now) -> assignments, and the reason for every item that must wait.

One pass over the lines of what waits (``line``) in claim order: by priority, which rises while an item waits, so
nothing starves. Free phones are held once, by id, and once more per group, both in the order of their last use, so a
pinned item costs one look-up and a free one takes the phone that rested longest.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from phonefarm.core.line import Following, Line, Order
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.queue import Assignment, WaitingItem
from phonefarm.models.states import PhoneState, WaitingReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Farm:
    """What placement knows. ``busy_phones`` and ``busy_accounts`` have an item now; ``rested`` is a sequence
    number of each phone's last use (absent: never used). ``spent_accounts`` are at a daily limit, of those
    ``timed_out_accounts`` at that of minutes: a session that has begun, and is counted, may go on in the others."""

    phones: Mapping[str, PhoneRow]
    accounts: Mapping[str, AccountRow] = field(default_factory=dict)
    busy_phones: frozenset[str] | set[str] = frozenset()
    busy_accounts: frozenset[str] | set[str] = frozenset()
    spent_accounts: frozenset[str] | set[str] = frozenset()
    timed_out_accounts: frozenset[str] | set[str] = frozenset()
    rested: Mapping[str, int] = field(default_factory=dict)

    def is_spent(self, account_id: str, item: WaitingItem) -> bool:
        """Whether the account's day is over for an item. A retry with an account of its own goes on with a session."""
        begun = item.attempt > 0 and item.account_id is not None
        return account_id in (self.timed_out_accounts if begun else self.spent_accounts)


#: The first of a run, and what stands behind it: how to begin with that, or where it has come to.
_First = tuple[Order, WaitingItem, Following | Iterator[tuple[Order, WaitingItem]] | None]


def place(waiting: Line, farm: Farm, now: int, *, limit: int | None = None) -> list[Assignment]:
    """The assignments to make now (``now`` in ms since the epoch), at most ``limit``. No phone and no account is
    given twice."""
    free = _FreePhones(farm)
    return list(islice(_assign(waiting, free, _FreeAccounts(farm), now), limit)) if free.ids else []


def spare(farm: Farm, most: int) -> list[PhoneRow]:
    """The phones that could take an item now, longest rested first, at most ``most``."""
    return list(islice(_FreePhones(farm).ids.values(), most))


def at_rest(phones: Sequence[PhoneRow]) -> Farm:
    """A farm of nothing but ``spare`` phones, which keep their order. It knows no account, so what needs one is not
    placed in it."""
    return Farm(
        phones={phone.phone_id: phone for phone in phones},
        rested={phone.phone_id: number for number, phone in enumerate(phones)},
    )


def _assign(waiting: Line, free: _FreePhones, accounts: _FreeAccounts, now: int) -> Iterator[Assignment]:
    """By the firsts of all runs, the first of these first. A run whose first finds nothing is left: nothing comes
    back in one pass."""
    firsts: list[_First] = list(waiting.firsts(now, free.ids))
    heapq.heapify(firsts)
    while firsts and free.ids:
        _, item, following = firsts[0]
        found = _by_account_group(item, free, accounts) if item.account_group else _by_phone(item, free, accounts)
        if found is None:
            heapq.heappop(firsts)
            continue
        phone_id, account_id = found
        free.take(phone_id)
        accounts.take(account_id)
        yield Assignment(item_id=item.item_id, phone_id=phone_id, account_id=account_id)
        run = following() if callable(following) else following
        if run is not None and (behind := next(run, None)) is not None:
            heapq.heapreplace(firsts, (*behind, run))
        else:
            heapq.heappop(firsts)


def _by_phone(item: WaitingItem, free: _FreePhones, accounts: _FreeAccounts) -> tuple[str, str | None] | None:
    if item.account_id is not None and not accounts.is_free(item.account_id, item):
        return None
    phone_id = free.pick(item.phone_id, item.phone_group, avoid=item.last_phone)
    return None if phone_id is None else (phone_id, item.account_id)


def _by_account_group(item: WaitingItem, free: _FreePhones, accounts: _FreeAccounts) -> tuple[str, str | None] | None:
    for account in accounts.in_group(item, free):
        if item.account_id not in (None, account.account_id) or account.phone_id is None:
            continue
        if item.phone_id in (None, account.phone_id) and free.pick(account.phone_id, item.phone_group):
            return account.phone_id, account.account_id
    return None


class _FreePhones:
    """Available phones without an item, by id and by group, longest rested first."""

    def __init__(self, farm: Farm) -> None:
        fit = (p for p in farm.phones.values() if p.state is PhoneState.AVAILABLE and not p.draining)
        order = sorted(
            (p for p in fit if p.phone_id not in farm.busy_phones),
            key=lambda p: (farm.rested.get(p.phone_id, -1), p.phone_id),
        )
        # ordered dicts, since a plain one walks over the gaps of what was taken from its front
        self.ids = OrderedDict((p.phone_id, p) for p in order)
        self._groups: dict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)
        for phone in order:
            for group in phone.groups:
                self._groups[group][phone.phone_id] = None

    def pick(self, phone_id: str | None, group: str | None, *, avoid: str | None = None) -> str | None:
        """A free phone that fits; ``avoid`` only if there is no other."""
        if phone_id is not None:
            phone = self.ids.get(phone_id)
            return phone_id if phone is not None and (group is None or group in phone.groups) else None
        pool: Iterable[str] = self.ids if group is None else self._groups.get(group, ())
        last = None
        for candidate in pool:
            if candidate != avoid:
                return candidate
            last = candidate
        return last

    def take(self, phone_id: str) -> None:
        phone = self.ids.pop(phone_id)
        for group in phone.groups:
            self._groups[group].pop(phone_id, None)


class _FreeAccounts:
    """Accounts that may run, by group; one whose phone is taken leaves its group for the rest of the pass."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._taken: set[str] = set()
        self._groups: dict[str, deque[AccountRow]] | None = None

    def is_free(self, account_id: str, item: WaitingItem) -> bool:
        blocked = account_id in self._farm.busy_accounts or self._farm.is_spent(account_id, item)
        return _usable(self._farm.accounts.get(account_id)) and not blocked and account_id not in self._taken

    def in_group(self, item: WaitingItem, phones: _FreePhones) -> Iterator[AccountRow]:
        """The free accounts of the item's group whose phones are free."""
        if self._groups is None:
            self._groups = self._by_group()
        here = self._groups.get(item.account_group or "", deque())
        for _ in range(len(here)):
            account = here.popleft()
            if account.phone_id in phones.ids and self.is_free(account.account_id, item):
                here.append(account)
                yield account

    def take(self, account_id: str | None) -> None:
        if account_id is not None:
            self._taken.add(account_id)

    def _by_group(self) -> dict[str, deque[AccountRow]]:
        groups: dict[str, deque[AccountRow]] = defaultdict(deque)
        for account in sorted(self._farm.accounts.values(), key=lambda a: a.account_id):
            if account.group:
                groups[account.group].append(account)
        return groups


def _usable(account: AccountRow | None) -> bool:
    return account is not None and account.active and account.authorization is not None


# -- reasons -------------------------------------------------------------------------------------

#: A phone that is being checked is not fit yet. Retired is like quarantined: taken out until somebody releases it.
_PINNED: Mapping[PhoneState, WaitingReason] = {
    PhoneState.OFFLINE: WaitingReason.PHONE_OFFLINE,
    PhoneState.UNAUTHORIZED: WaitingReason.PHONE_OFFLINE,
    PhoneState.CHECKING: WaitingReason.PHONE_UNFIT,
    PhoneState.PAUSED: WaitingReason.PHONE_PAUSED,
    PhoneState.QUARANTINED: WaitingReason.PHONE_QUARANTINED,
    PhoneState.RETIRED: WaitingReason.PHONE_QUARANTINED,
    PhoneState.BUSY: WaitingReason.PHONES_BUSY,
    PhoneState.AVAILABLE: WaitingReason.PHONES_BUSY,
}


def why_waiting(item: WaitingItem, farm: Farm, now: int) -> tuple[WaitingReason, int]:
    """Why an item is not running, and how many phones were considered for it."""
    return Reasons(farm, now).of(item)


class Reasons:
    """Why items wait in one farm at one moment. Items that narrow their choice alike share one look at the phones."""

    def __init__(self, farm: Farm, now: int) -> None:
        self._farm = farm
        self._now = now
        self._seen: dict[tuple[str | None, str | None], tuple[WaitingReason, int]] = {}
        self._members: dict[str, list[AccountRow]] | None = None

    def of(self, item: WaitingItem) -> tuple[WaitingReason, int]:
        """The reason, and how many phones were considered."""
        by_phone, considered = self._by_phone(item)
        if item.ready_at > self._now:
            return (WaitingReason.RETRY_BACKOFF if item.attempt else WaitingReason.NOT_BEFORE), considered
        return self._by_account(item) or by_phone, considered

    def _by_account(self, item: WaitingItem) -> WaitingReason | None:
        """An account that nobody may use (any more) counts as busy: it is not the phones that are missing."""
        if item.account_id is not None:
            wanted = [item.account_id]
        elif item.account_group is not None:
            wanted = [a.account_id for a in self._in_group(item.account_group) if _usable(a)]
        else:
            return None
        rested = [a for a in wanted if not self._farm.is_spent(a, item)]
        if wanted and not rested:
            return WaitingReason.ACCOUNT_DAILY_LIMIT
        free = [a for a in rested if a not in self._farm.busy_accounts and _usable(self._farm.accounts.get(a))]
        return None if free else WaitingReason.ACCOUNT_BUSY

    def _by_phone(self, item: WaitingItem) -> tuple[WaitingReason, int]:
        if item.phone_id is not None:
            phone = self._farm.phones.get(item.phone_id)
            return _of_phones([phone] if phone else [], pinned=True), int(phone is not None)
        key = (item.phone_group, item.account_group)
        if key not in self._seen:
            phones = list(self._candidates(*key))
            self._seen[key] = _of_phones(phones, pinned=False), len(phones)
        return self._seen[key]

    def _candidates(self, phone_group: str | None, account_group: str | None) -> Iterator[PhoneRow]:
        homes = {a.phone_id for a in self._in_group(account_group)} if account_group else None
        for phone in self._farm.phones.values():
            if phone.state is PhoneState.RETIRED or (phone_group and phone_group not in phone.groups):
                continue
            if homes is None or phone.phone_id in homes:
                yield phone

    def _in_group(self, group: str) -> list[AccountRow]:
        if self._members is None:
            self._members = defaultdict(list)
            for account in self._farm.accounts.values():
                if account.group:
                    self._members[account.group].append(account)
        return self._members.get(group, [])


def _of_phones(phones: Sequence[PhoneRow], *, pinned: bool) -> WaitingReason:
    working = [p for p in phones if p.state in (PhoneState.AVAILABLE, PhoneState.BUSY)]
    if any(not p.draining for p in working):
        return WaitingReason.PHONES_BUSY
    if working or any(p.draining for p in phones):
        return WaitingReason.PHONE_DRAINING
    if pinned and phones:
        return _PINNED[phones[0].state]
    states = {p.state for p in phones}
    if states == {PhoneState.PAUSED}:
        return WaitingReason.PHONE_PAUSED
    held = states and states <= {PhoneState.PAUSED, PhoneState.QUARANTINED}
    return WaitingReason.PHONE_QUARANTINED if held else WaitingReason.NO_PHONE_ONLINE
