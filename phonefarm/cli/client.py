"""The client of a command: which farm, which key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phonefarm.cli.statedir import READY, StateDir
from phonefarm.errors import ConfigError

if TYPE_CHECKING:
    from phonefarm.client import Farm


def open_client(url: str | None, state_dir: Path, key: str | None) -> Farm:
    """A client from the options of a command; farm.json and the key file fill the gaps. Raises ConfigError."""
    from phonefarm.client import Farm  # not before it is needed: --help must be quick

    state = StateDir(state_dir)
    if url is None:
        farm = state.read()
        if farm.state != READY:
            raise ConfigError(f"no farm runs on {state.path}; give --url or --state-dir, or start one: phonefarm up")
        url = farm.url
    key = key or state.known_api_key()
    if key is None:
        raise ConfigError(f"no key: give --key, set PHONEFARM_API_KEY, or point --state-dir at the farm's {state.path}")
    return Farm(url, key)
