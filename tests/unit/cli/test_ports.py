"""Ports: free ones are found, taken ones are told."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from phonefarm.cli import ports, raynode
from phonefarm.errors import ConfigError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)


def test_the_user_s_own_adb_port_is_never_free() -> None:
    assert not ports.is_free(5037)


def test_a_taken_http_port_is_refused_by_name(taken: int) -> None:
    with pytest.raises(ConfigError, match=str(taken)):
        ports.http_port(taken, "127.0.0.1", last=0, rng=random.Random(1), taken=set())


def test_port_0_takes_the_last_one_again_if_it_is_free(taken: int) -> None:
    rng = random.Random(1)
    free = ports.free_block(1, rng=rng, taken=set())
    assert ports.http_port(0, "127.0.0.1", last=free, rng=rng, taken=set()) == free
    assert ports.http_port(0, "127.0.0.1", last=taken, rng=rng, taken=set()) != taken


def test_chosen_ports_differ_and_keep_what_they_were() -> None:
    rng, used = random.Random(2), {30_000}
    first = ports.choose(raynode.PORTS, last={}, rng=rng, taken=used)
    assert len(set(first.values())) == len(raynode.PORTS)
    assert set(first.values()) < used
    again = ports.choose(raynode.PORTS, last=first, rng=rng, taken=set())
    assert again == first


def test_a_port_chosen_for_one_use_is_not_given_to_another() -> None:
    used = {25_000}
    chosen = ports.choose(("one",), last={"one": 25_000}, rng=random.Random(3), taken=used)
    assert chosen["one"] != 25_000


def test_a_row_lies_in_the_range_of_ports_the_system_does_not_hand_out() -> None:
    first = ports.free_block(32, rng=random.Random(4), taken=set())
    assert first >= ports.LOWEST
    assert first + 32 <= 32_768
