"""How many tokens each process may spend on its judge."""

from __future__ import annotations

from collections import OrderedDict

#: Processes that are remembered; the ones unused for longest are forgotten first.
_MOST_PROCESSES = 10_000
#: Characters a token stands for when an endpoint does not say what was used.
_CHARACTERS = 3


class TokenBudget:
    """``tokens`` a process, 0 for no limit. In memory: a restart starts each process anew."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._used: OrderedDict[str, int] = OrderedDict()

    def spent(self, process_id: str) -> bool:
        """Whether nothing is left."""
        return bool(self._tokens) and self._used.get(process_id, 0) >= self._tokens

    def add(self, process_id: str, tokens: int) -> None:
        """Count what one question has used."""
        self._used[process_id] = self._used.pop(process_id, 0) + max(0, tokens)
        while len(self._used) > _MOST_PROCESSES:
            self._used.popitem(last=False)


def estimate(characters: int) -> int:
    """Tokens of so many characters, rather too many than too few."""
    return characters // _CHARACTERS + 1
