"""One farm for the whole suite: three virtual phones, profile instant, embedded defaults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.farm import Farm, farm
from tests.receiver import Receiver, receiver

PHONES = ("VP000001", "VP000002", "VP000003")


@pytest.fixture(scope="package")
def shared_farm() -> Iterator[Farm]:
    """It ends before the next suite starts a farm of its own: an idle one takes a quarter of a core."""
    with farm("--sim", "3", "--profile", "instant") as running:
        yield running


@pytest.fixture
def here(shared_farm: Farm) -> Farm:
    """The suite's farm, with its three phones at rest."""
    shared_farm.wait_phones(*PHONES)
    return shared_farm


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
