"""What an operator's wish does to a phone: one table, one function (contract section 8).

A phone is *held* by the states ``paused``, ``quarantined`` and ``retired``; only an operator ends a hold. A phone
with a running item is not taken from it by a pause or a drain: the hold is *wanted* until the item ends, and
meanwhile the phone gets no new work. Quarantine and retirement do not wait: the attempt is broken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from phonefarm.models.process import Operation
from phonefarm.models.states import PhoneState

#: States an operator set: what a host or a phone says does not end them.
HELD = frozenset({PhoneState.PAUSED, PhoneState.QUARANTINED, PhoneState.RETIRED})


class Step(StrEnum):
    """What is to be done. ``NONE``: it already is as asked; ``IMPOSSIBLE``: it makes no sense here."""

    NONE = "none"
    HOLD = "hold"  # the phone takes the state of ``TARGET``: at once, or when its item ends
    LIFT = "lift"  # the hold, or the wish for it, ends; the phone is checked
    IMPOSSIBLE = "impossible"


#: The hold each operation leads to.
TARGET: Mapping[Operation, PhoneState] = {
    Operation.PAUSE: PhoneState.PAUSED,
    Operation.DRAIN: PhoneState.PAUSED,
    Operation.QUARANTINE: PhoneState.QUARANTINED,
    Operation.RETIRE: PhoneState.RETIRED,
}
#: Holds whose wish breaks off what runs.
BREAKS_OFF = frozenset({PhoneState.QUARANTINED, PhoneState.RETIRED})

_O = Operation
_S = PhoneState
_ = Step

# fmt: off
_TABLE: Mapping[Operation, Mapping[PhoneState | None, Step]] = {
    # held as, or wanted:  nothing            paused             quarantined            retired
    _O.PAUSE:      {None: _.HOLD,       _S.PAUSED: _.NONE, _S.QUARANTINED: _.IMPOSSIBLE, _S.RETIRED: _.IMPOSSIBLE},
    _O.DRAIN:      {None: _.HOLD,       _S.PAUSED: _.NONE, _S.QUARANTINED: _.IMPOSSIBLE, _S.RETIRED: _.IMPOSSIBLE},
    _O.RESUME:     {None: _.NONE,       _S.PAUSED: _.LIFT, _S.QUARANTINED: _.IMPOSSIBLE, _S.RETIRED: _.IMPOSSIBLE},
    _O.QUARANTINE: {None: _.HOLD,       _S.PAUSED: _.HOLD, _S.QUARANTINED: _.NONE,       _S.RETIRED: _.IMPOSSIBLE},
    _O.RELEASE:    {None: _.IMPOSSIBLE, _S.PAUSED: _.IMPOSSIBLE, _S.QUARANTINED: _.LIFT, _S.RETIRED: _.LIFT},
    _O.RETIRE:     {None: _.HOLD,       _S.PAUSED: _.HOLD, _S.QUARANTINED: _.HOLD,       _S.RETIRED: _.NONE},
}
# fmt: on


def decide(operation: Operation, hold: PhoneState | None) -> Step:
    """What ``operation`` does to a phone that is held, or wanted held, as ``hold``."""
    return _TABLE[operation][hold]


def hold_of(state: PhoneState, wanted: PhoneState | None) -> PhoneState | None:
    """How a phone is held or shall be held once its item ends; None: not at all."""
    return wanted or (state if state in HELD else None)


def lifted(seen: PhoneState | None) -> PhoneState:
    """The state after a hold: what the phone was last seen to be, but work only after a passed check."""
    return seen if seen in (PhoneState.OFFLINE, PhoneState.UNAUTHORIZED) else PhoneState.CHECKING
