"""The selection language: ``group=rack1,android>=13`` says which phones are meant. Pure.

A selection is conditions with commas between them, and all must hold; ``all`` is every phone. A condition is a field,
an operator and a value: ``=`` and ``!=``; ``~`` compares with a pattern (``*``, ``?``, ``[ab]``); ``<``, ``<=``, ``>``
and ``>=`` order versions of Android and percents of battery. A value with a comma stands in double quotes. Letters
matter in both cases. ``group`` holds for any of a phone's groups, and ``group!=x`` for none of them.

A phone of which a field is not known neither matches nor does not: it is told apart, so that an operator sees it. What
cannot be read is refused with its position, since a selection that was meant otherwise reboots the wrong phones.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from phonefarm.errors import PhoneFarmError

Phone = Mapping[str, Any]
Order = tuple[int, ...]

EVERY = "all"
_TEXTS = ("id", "serial", "model", "group", "host", "state")
_ORDERED = ("android", "battery")
FIELDS = (*_TEXTS, *_ORDERED)
STATES = ("offline", "unauthorized", "checking", "available", "busy", "paused", "quarantined", "retired")
_WORD = re.compile(r"[A-Za-z_]*")
_OPERATOR = re.compile(r"!=|>=|<=|=|>|<|~")
_VALUE = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>[^,"]*)')
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")
_LEVEL = re.compile(r"([0-9]{1,9})\s*%?")
_COMPARED: Mapping[str, Callable[[Order, Order], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


class SelectionError(PhoneFarmError):
    """A selection that cannot be read; the message shows the place."""

    code = "invalid_selection"
    next_step = "mend the selection; docs/maintain.md has the fields and the operators"

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(f"selection, character {at + 1}: {why}\n  {text}\n  {' ' * at}^")
        self.at = at

    def __reduce__(self) -> tuple[Any, ...]:
        return (_again, (self.message, self.at))


def _again(message: str, at: int) -> SelectionError:
    made = SelectionError("", at, "")
    made.message, made.args = message, (message,)
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One comparison. ``order``: the value of an ordered field as numbers."""

    field: str
    operator: str
    value: str
    order: Order | None = None

    def holds(self, phone: Phone) -> bool | None:
        """None: what it asks for is not known of this phone."""
        if self.field in _ORDERED:
            known = order_of(self.field, _level(phone) if self.field == "battery" else phone.get("android"))
            asked = self.order or ()
            return None if known is None else _COMPARED[self.operator](*_padded(known, asked))
        known_texts = _texts(self.field, phone)
        if known_texts is None:
            return None
        if self.operator == "~":
            return any(fnmatchcase(text, self.value) for text in known_texts)
        return (self.value in known_texts) is (self.operator == "=")


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What was asked for, and the conditions it came down to."""

    text: str
    conditions: tuple[Condition, ...] = ()

    def holds(self, phone: Phone) -> bool | None:
        """Whether the phone is meant. A condition that fails decides; else one that is not known makes it not known."""
        said = [condition.holds(phone) for condition in self.conditions]
        if phone.get("state") == "retired" and not any(c.field == "state" for c in self.conditions):
            return False
        return False if False in said else (None if None in said else True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The phones that match, and ids of those of which that is not known."""

    phones: tuple[Phone, ...]
    unknown: tuple[str, ...]


def choose(selection: Selection, phones: Sequence[Phone]) -> Chosen:
    """The phones that a selection means, by id. Retired ones only if it speaks of states."""
    ordered = sorted(phones, key=lambda phone: str(phone["phone_id"]))
    said = [(phone, selection.holds(phone)) for phone in ordered]
    return Chosen(
        phones=tuple(phone for phone, holds in said if holds),
        unknown=tuple(str(phone["phone_id"]) for phone, holds in said if holds is None),
    )


def parse(text: str) -> Selection:
    """A selection of its text. Raises SelectionError."""
    if text.strip() == EVERY:
        return Selection(text=text)
    return Selection(text=text, conditions=tuple(_Reader(text).conditions()))


class _Reader:
    """Reads from left to right; ``_at`` is the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def conditions(self) -> list[Condition]:
        found = [self._condition()]
        while self._at < len(self._text):
            if self._text[self._at] != ",":
                raise self._error("a comma must follow here")
            self._at += 1
            found.append(self._condition())
        return found

    def _condition(self) -> Condition:
        field = self._field()
        operator_at, operator = self._operator(field)
        self._blanks()
        value_at, value = self._value()
        if field not in _ORDERED:
            if field == "state" and operator != "~" and value not in STATES:
                raise self._error(f"there is no state {value!r}{_near(value, STATES)}", value_at)
            if operator not in ("=", "!=", "~"):
                raise self._error(f"{field} is a text: compare it by =, != or ~, not by {operator}", operator_at)
            return Condition(field=field, operator=operator, value=value)
        if operator == "~":
            raise self._error(f"{field} has no pattern: compare it by =, !=, <, <=, > or >=", operator_at)
        order = order_of(field, value)
        if order is None:
            such = "a version such as 13 or 12.1" if field == "android" else "a percentage such as 50"
            raise self._error(f"{field} is compared with {such}, not with {value!r}", value_at)
        return Condition(field=field, operator=operator, value=value, order=order)

    def _field(self) -> str:
        self._blanks()
        at, field = self._at, self._taken(_WORD)
        if not field:
            raise self._error(f"a field must stand here: one of {', '.join(FIELDS)}", at)
        if field not in FIELDS:
            near = _near(field, FIELDS) or f"; the fields are {', '.join(FIELDS)}"
            raise self._error(f"there is no field {field!r}{near}", at)
        return field

    def _operator(self, field: str) -> tuple[int, str]:
        self._blanks()
        at, operator = self._at, self._taken(_OPERATOR)
        if not operator:
            raise self._error(f"an operator must follow {field}: one of =, !=, <, <=, >, >=, ~", at)
        return at, operator

    def _value(self) -> tuple[int, str]:
        at = self._at
        found = _VALUE.match(self._text, at)
        quoted = found["quoted"] if found else None
        value = quoted if quoted is not None else (found["plain"].strip() if found else "")
        if not value:
            open_quote = self._text[at : at + 1] == '"' and quoted is None
            raise self._error("the closing quote is missing" if open_quote else "a value must stand here", at)
        self._at = found.end() if found else at
        self._blanks()
        return at, value

    def _taken(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _blanks(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

    def _error(self, why: str, at: int | None = None) -> SelectionError:
        return SelectionError(self._text, self._at if at is None else at, why)


def order_of(field: str, value: object) -> Order | None:
    """A version or a percentage as numbers that can be ordered; None if it is none."""
    text = "" if value is None else str(value).strip()
    if field == "android":
        return tuple(int(part) for part in text.split(".")) if _VERSION.fullmatch(text) else None
    found = _LEVEL.fullmatch(text)
    return (int(found[1]),) if found else None


def _padded(one: Order, other: Order) -> tuple[Order, Order]:
    """13 and 13.0 are the same version."""
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)), other + (0,) * (length - len(other))


def _texts(field: str, phone: Phone) -> tuple[str, ...] | None:
    if field == "group":
        return tuple(str(name) for name in phone.get("groups") or ())
    value = phone.get({"id": "phone_id"}.get(field, field))
    return None if value is None else (str(value),)


def _level(phone: Phone) -> object:
    battery = phone.get("battery")
    return battery.get("level") if isinstance(battery, Mapping) else None


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
