"""farm.yaml: what an operator writes about the farm.

Theory of operation
-------------------
``keys`` defines the file: every key once, with its meaning, its default and what it may be. All else follows from that
one tree: ``reading`` checks a file against it and names every fault by line and column, ``schema`` makes the JSON
Schema by which editors complete and check while one types, ``example`` the commented file that ``phonefarm init``
writes. A new key is a line in ``keys``, and, unless it is an argument of ``Settings`` by its own name, one in
``settings_of`` below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phonefarm.farmfile.keys import FILE, LIMITS
from phonefarm.farmfile.reading import read
from phonefarm.settings import HealthSettings, HostSettings, Limits, Patience, read_tracing

__all__ = ["read_farm_file"]


def read_farm_file(path: Path) -> dict[str, Any]:
    """The values of a farm.yaml as keyword arguments of ``Settings``. Raises ConfigError naming every place."""
    return settings_of(read(path, FILE))


def settings_of(values: dict[str, Any]) -> dict[str, Any]:
    """From the file's own shape to that of ``Settings``."""
    made = dict(values)
    if "callbacks" in made:
        made["callbacks_allow"] = made.pop("callbacks").get("allow", ())
    if "hosts" in made:
        made["hosts"] = tuple(HostSettings(name=name, **host) for name, host in made["hosts"].items())
    if "health" in made:
        made["health"] = _health(made["health"])
    if "tracing" in made:
        made["tracing"] = read_tracing(made["tracing"].get("endpoint"))
    return made


def _health(values: dict[str, Any]) -> HealthSettings:
    return HealthSettings(
        limits=Limits(**{name: values[name] for name in LIMITS if name in values}),
        groups=values.get("groups", {}),
        patience=Patience(**values.get("flapping", {})),
        reboot=values.get("reboot", True),
    )
