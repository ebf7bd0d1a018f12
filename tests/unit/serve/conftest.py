"""An app in front of a fake farm, and a client that holds a key with every scope."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.contract.bad_requests import BOUND_KEY, KEY, READER_KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import connect


@pytest.fixture
def farm() -> FakeFarm:
    return FakeFarm()


@pytest_asyncio.fixture
async def client(farm: FakeFarm) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(farm, key=KEY) as connected:
        yield connected


@pytest_asyncio.fixture
async def reader(farm: FakeFarm) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(farm, key=READER_KEY) as connected:
        yield connected


@pytest_asyncio.fixture
async def bound(farm: FakeFarm) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(farm, key=BOUND_KEY) as connected:
        yield connected
