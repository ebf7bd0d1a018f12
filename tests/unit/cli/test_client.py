"""The client's patience: a farm that is away is asked again, for so long and no longer."""

from __future__ import annotations

import pytest

from phonefarm.cli.client import FarmClient, Refused
from tests.unit.cli.fakefarm import KEY, fake_farm

pytestmark = pytest.mark.timeout(30)

AWAY = (503, {"title": "Service Unavailable", "status": 503, "code": "actor_unavailable", "detail": "away"})


def test_a_farm_that_is_away_is_asked_again() -> None:
    slept: list[float] = []
    with fake_farm() as farm, FarmClient(farm.url, KEY, sleep=slept.append) as client:
        farm.answers["GET /phones"] = [AWAY, AWAY, (200, {"items": []})]
        assert client.phones() == {"items": []}
    assert slept == [0.5, 0.5]


def test_patience_ends() -> None:
    slept: list[float] = []
    with fake_farm() as farm, FarmClient(farm.url, KEY, patience=2, sleep=slept.append) as client:
        farm.answers["GET /phones"] = [AWAY]
        with pytest.raises(Refused, match="503"):
            client.phones()
    assert sum(slept) == 2
