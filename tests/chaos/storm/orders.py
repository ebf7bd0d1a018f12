"""What clients will send, decided beforehand by a seed: bodies, moments, and how badly the clients behave. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Everything that is watched in a session can be told by its keyword from all other sessions.
KEYWORD = "storm {number}"
SYSTEM = "storm"

PROMPT = {
    "prompt_id": "storm",
    "name": "storm",
    "version": "1",
    "system_prompt": "Say whether it fits.",
    "task_prompt": "Interests: {interests}. Title: {title}.",
    "output_contract": {
        "type": "object",
        "properties": {"relevant": {"type": "boolean"}},
        "required": ["relevant"],
    },
}

STRATEGIES = ("soft", "hard", "soft_then_force")


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One request and its client's manners.

    ``at``: seconds from the start. ``copies`` are sent at once. ``hang_up``: the first try is given up after so many
    seconds. ``cancel_after`` seconds from the answer, by ``strategy``. ``other``: the key is sent again with another
    body, which must be refused.
    """

    number: int
    at: float
    kind: str
    body: Mapping[str, Any]
    copies: int = 1
    hang_up: float | None = None
    cancel_after: float | None = None
    strategy: str = "soft"
    other: bool = False

    @property
    def request_id(self) -> str:
        return str(self.body["request_id"])


def orders(
    *, seed: int, count: int, seconds: float, phones: Sequence[str], accounts: Sequence[str], hook: str
) -> list[Order]:
    """``count`` orders spread over ``seconds``."""
    chance = random.Random(f"orders {seed}")
    made = _Maker(chance, phones, accounts, hook)
    return [made.order(number, seconds * number / count) for number in range(count)]


class _Maker:
    def __init__(self, chance: random.Random, phones: Sequence[str], accounts: Sequence[str], hook: str) -> None:
        self._chance = chance
        self._phones = phones
        self._accounts = accounts
        self._hook = hook
        self._kinds = {
            "keyword, any phone": (50, self._keyword({"routing": "queue"})),
            "keyword, this phone": (10, self._keyword_here),
            "keyword, this account": (6, self._keyword_account),
            "keyword, three phones": (4, self._keyword_group),
            "feed, any phone": (10, self._feed),
            "upkeep": (12, self._upkeep("health_check", "screenshot")),
            "upkeep with a reboot": (6, self._upkeep("health_check", "reboot", "health_check")),
            "keyword that expires": (2, self._expiring),
        }

    def order(self, number: int, at: float) -> Order:
        chance = self._chance
        names = list(self._kinds)
        (kind,) = chance.choices(names, [self._kinds[name][0] for name in names])
        body = {
            "request_id": f"storm-{number}",
            "mode": "manual",
            "callback": {"url": self._hook, "metadata": {"number": number}},
            "requested_by": {"system": SYSTEM, "user": None, "metadata": {}},
            **self._kinds[kind][1](number),
        }
        return Order(
            number=number,
            at=at,
            kind=kind,
            body=body,
            copies=3 if chance.random() < 0.1 else 1,
            hang_up=chance.uniform(0.001, 0.05) if chance.random() < 0.08 else None,
            cancel_after=chance.uniform(0.0, 6.0) if chance.random() < 0.1 else None,
            strategy=chance.choice(STRATEGIES),
            other=chance.random() < 0.03,
        )

    def _keyword(self, target: Mapping[str, Any], **more: Any) -> Any:
        def body(number: int) -> dict[str, Any]:
            inputs = {
                "keywords": [KEYWORD.format(number=number)],
                "videos_per_keyword": self._chance.choice((1, 1, 2)),
                "watch_seconds": {"min": 1, "max": 1},
            }
            return {"capability": "keyword_warmup", "target": target, "inputs": inputs, **more}

        return body

    def _keyword_here(self, number: int) -> dict[str, Any]:
        body: dict[str, Any] = self._keyword({"routing": "direct", "phone_id": self._chance.choice(self._phones)})(
            number
        )
        return body

    def _keyword_account(self, number: int) -> dict[str, Any]:
        target = {"routing": "direct", "account_id": self._chance.choice(self._accounts)}
        body: dict[str, Any] = self._keyword(target)(number)
        return body

    def _keyword_group(self, number: int) -> dict[str, Any]:
        target = {"routing": "group", "phone_ids": self._chance.sample(self._phones, 3)}
        body: dict[str, Any] = self._keyword(target)(number)
        return body

    def _expiring(self, number: int) -> dict[str, Any]:
        target = {"routing": "direct", "phone_id": self._chance.choice(self._phones)}
        body: dict[str, Any] = self._keyword(target, options={"expires_at": "SOON"})(number)
        return body

    def _feed(self, _number: int) -> dict[str, Any]:
        inputs = {
            "max_videos": self._chance.choice((2, 3)),
            "interests": ["cooking"],
            "watch_seconds": {"min": 1, "max": 1},
            "skip_seconds": {"min": 0, "max": 1},
            "prompts": {"fyp_judge": PROMPT},
        }
        return {"capability": "fyp_warmup", "target": {"routing": "queue"}, "inputs": inputs}

    def _upkeep(self, *actions: str) -> Any:
        def body(_number: int) -> dict[str, Any]:
            steps = [{"action": action, "params": {}} for action in actions]
            return {"capability": "maintenance", "target": {"routing": "queue"}, "inputs": {"steps": steps}}

        return body
