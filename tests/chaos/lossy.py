"""A port whose calls get lost: on the way there, so that nothing happened, or on the way back, so that it did.

Whoever called cannot tell which. Chance is seeded, and each pair of actors has its own, so that what one pair does does
not change what another loses.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from phonefarm.errors import ActorUnavailable


@dataclass(kw_only=True)
class Losses:
    """``share`` of the calls is lost there, and as many of the answers. ``lost`` counts both, by (who, whom, call)."""

    seed: int
    share: float
    lost: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    chances: dict[tuple[str, str], random.Random] = field(default_factory=dict)

    def wrap(self, who: str, whom: str, port: Any) -> Any:
        return Lossy(port, self, who, whom)

    def strikes(self, who: str, whom: str, call: str) -> bool:
        chance = self.chances.setdefault((who, whom), random.Random(f"{self.seed} {who} {whom}"))
        if chance.random() >= self.share:
            return False
        self.lost[(who, whom, call)] += 1
        return True


class Lossy:
    """``port`` as ``who`` sees it of ``whom``."""

    def __init__(self, port: Any, losses: Losses, who: str, whom: str) -> None:
        self._port = port
        self._losses = losses
        self._pair = (who, whom)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._port, name)

        async def call(*args: Any, **options: Any) -> Any:
            if self._losses.strikes(*self._pair, name):
                raise ActorUnavailable("lost on the way there")
            value = await real(*args, **options)
            if self._losses.strikes(*self._pair, name):
                raise ActorUnavailable("done, and the answer lost")
            return value

        return call
