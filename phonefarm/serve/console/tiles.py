"""What the wall shows of each phone: which phones a filter leaves, in which order, and a tile for each.

Tiles are the same for everybody who looks, so each is rendered once for every change that it shows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from phonefarm.models.states import PhoneState
from phonefarm.serve.console import pages
from phonefarm.settings import Limits

#: Phones in these states cannot be looked at.
UNSEEN = frozenset({PhoneState.OFFLINE.value, PhoneState.UNAUTHORIZED.value, PhoneState.RETIRED.value})
#: Change without anything that a tile shows; ``last_seen`` is shown of phones that are away.
_NOT_SHOWN = ("last_seen", "lease", "counters", "ladder", "storage", "first_seen")
_DEFAULTS = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """None: whatever it is."""

    state: str | None = None
    host: str | None = None
    group: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """As it stands in the address. An empty value filters nothing."""
        return cls(**{name: query.get(name) or None for name in ("state", "host", "group")})

    def takes(self, phone: Mapping[str, Any]) -> bool:
        return (
            self.state in (None, phone["state"])
            and self.host in (None, phone["host"])
            and (self.group is None or self.group in phone["groups"])
        )

    def with_state(self, state: str | None) -> str:
        """The address of the wall with another state."""
        values = {"state": state, "host": self.host, "group": self.group}
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"/?{query}" if query else "/"


def place(phone: Mapping[str, Any]) -> tuple[str, str]:
    """Where a tile stands: by host, so that it stays where it is whatever the phone does."""
    return phone["host"], phone["phone_id"]


def counted(phones: Iterable[Mapping[str, Any]], chosen: Filter) -> list[tuple[str, int, str]]:
    """(state, how many, address) of the states there are, whatever state was chosen."""
    wide = Filter(host=chosen.host, group=chosen.group)
    counts = Counter(phone["state"] for phone in phones if wide.takes(phone))
    return [
        (state.value, counts[state.value], chosen.with_state(state.value))
        for state in PhoneState
        if counts[state.value]
    ]


def choices(phones: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The hosts and groups there are to choose from."""
    phones = list(phones)
    return {
        "hosts": sorted({phone["host"] for phone in phones}),
        "groups": sorted({group for phone in phones for group in phone["groups"]}),
    }


def looks_bad(phone: Mapping[str, Any]) -> dict[str, bool]:
    """Numbers of a phone to be coloured, by the limits that a farm has if it sets none."""
    battery = phone["battery"]
    level, temperature = battery["level"], battery["temperature"]
    return {
        "low": level is not None and level <= _DEFAULTS.battery,
        "hot": temperature is not None and temperature >= _DEFAULTS.temperature,
    }


class Tiles:
    """Renderings by phone, kept while what they show stays the same."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[dict[str, Any], str]] = {}

    def of(self, phone: Mapping[str, Any]) -> str:
        """The tile of a phone, as HTML."""
        shown = {name: value for name, value in phone.items() if name not in _NOT_SHOWN}
        if phone["state"] in UNSEEN:
            shown["last_seen"] = phone["last_seen"]
        kept = self._kept.get(phone["phone_id"])
        if kept is not None and kept[0] == shown:
            return kept[1]
        module = pages.environment().get_template("tile.html").make_module({"now": time.time(), "csrf": ""})
        html = str(module.tile(phone, looks_bad(phone), phone["state"] not in UNSEEN))  # type: ignore[attr-defined]
        self._kept[phone["phone_id"]] = (shown, html)
        return html

    def forget_others(self, phone_ids: Iterable[str]) -> None:
        for phone_id in self._kept.keys() - set(phone_ids):
            del self._kept[phone_id]
