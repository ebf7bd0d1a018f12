"""One farm of three machines for all of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.cluster import ALL, Cluster, cluster


@pytest.fixture(scope="package")
def machines() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def here(machines: Cluster) -> Cluster:
    """The farm, with all phones at rest."""
    machines.wait_phones(*ALL, seconds=200)
    return machines
