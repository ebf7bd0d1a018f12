"""Free ports on this machine, outside the range from which the system hands out ports by itself.

A port that is free now may be taken a moment later; so each farm starts its search at a place of its own, and what
a farm used last is used again if it is still free.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence

from phonefarm.errors import ConfigError

LOWEST, HIGHEST = 21_000, 31_900
_USERS_ADB = 5037


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether ``port`` can be bound on ``host`` and on every address, neither shared nor left over."""
    return port != _USERS_ADB and all(_binds(port, address) for address in dict.fromkeys((host, "0.0.0.0")))


def _binds(port: int, host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: waiting connections do not count
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_block(size: int, *, rng: random.Random, taken: set[int]) -> int:
    """The first of ``size`` free ports in a row, none of them in ``taken``. Raises ConfigError if there is no such."""
    for _ in range(200):
        first = rng.randrange(LOWEST, HIGHEST - size)
        block = range(first, first + size)
        if not taken.intersection(block) and all(is_free(port) for port in block):
            return first
    raise ConfigError(f"no {size} free ports in a row between {LOWEST} and {HIGHEST}")


def choose(names: Sequence[str], *, last: Mapping[str, int], rng: random.Random, taken: set[int]) -> dict[str, int]:
    """A free port for each name, the one it had last if possible. ``taken`` grows by what is chosen."""
    chosen = {}
    for name in names:
        port = last.get(name, 0)
        if not port or port in taken or not is_free(port):
            port = free_block(1, rng=rng, taken=taken)
        taken.add(port)
        chosen[name] = port
    return chosen


def http_port(asked: int, host: str, *, last: int, rng: random.Random, taken: set[int]) -> int:
    """The farm's HTTP port: the one asked for, or for 0 a free one. Raises ConfigError if it is taken."""
    if asked == 0:
        return last if last and is_free(last, host) else free_block(1, rng=rng, taken=taken)
    if not is_free(asked, host):
        raise ConfigError(f"port {asked} of {host} is taken by another program; choose one with --port, 0 for any")
    return asked
