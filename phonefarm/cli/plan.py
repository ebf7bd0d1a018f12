"""From the options of ``up`` and farm.yaml to the settings of a farm. Options win over the file."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonefarm.cli.sim import GROUP
from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.errors import ConfigError
from phonefarm.settings import PROFILES, HostSettings, Settings, read_judge, read_tracing

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, kw_only=True, slots=True)
class UpOptions:
    """What ``phonefarm up`` was asked for. ``sim``: virtual phones; ``port`` 0: a free one; ``adb_port`` None:
    the one it had last, or a free one."""

    sim: int = 0
    profile: str = "typical"
    host: str = "127.0.0.1"
    port: int = 8000
    db: str | None = None
    state_dir: Path = DEFAULT_DIR
    config: Path | None = None
    address: str | None = None
    haproxy: bool = True
    adb_port: int | None = None

    def argv(self) -> list[str]:
        """The options as words of a command line."""
        words = ["--sim", str(self.sim), "--profile", self.profile, "--host", self.host, "--port", str(self.port)]
        words += ["--state-dir", str(self.state_dir.absolute())]
        for name, value in (("--db", self.db), ("--config", self.config), ("--address", self.address)):
            words += [name, str(value)] if value is not None else []
        words += ["--adb-port", str(self.adb_port)] if self.adb_port is not None else []
        return words if self.haproxy else [*words, "--no-haproxy"]


def read_config(options: UpOptions) -> dict[str, Any]:
    """farm.yaml, if one was named."""
    from phonefarm.farmfile import read_farm_file

    return {} if options.config is None else read_farm_file(options.config)


def hosts(config: dict[str, Any], addresses: Sequence[str]) -> tuple[HostSettings, ...]:
    """The configured hosts; virtual phones hang on the first. A host alone and unnamed has cables, unless simulated."""
    named: tuple[HostSettings, ...] = config.get("hosts") or (HostSettings(name="local", usb=not addresses),)
    if not addresses:
        return named
    first = named[0]
    groups = tuple(dict.fromkeys((*first.groups, GROUP)))
    usb = first.usb if config.get("hosts") else False
    return (replace(first, connect=(*first.connect, *addresses), groups=groups, usb=usb), *named[1:])


def settings(
    options: UpOptions, config: dict[str, Any], *, state: StateDir, port: int, adb_port: int, addresses: Sequence[str]
) -> Settings:
    """The settings of the farm. ``addresses``: of its virtual phones."""
    allow = (*config.get("callbacks_allow", ()), *(LOOPBACK if addresses else ()))
    values = {
        **config,
        "hosts": hosts(config, addresses),
        "callbacks_allow": tuple(dict.fromkeys(allow)),
        "state_dir": state.path,
        "db_url": options.db or f"sqlite:///{state.path / 'farm.db'}",
        "host": options.host,
        "port": port,
        "adb_port": adb_port,
        "api_key": state.api_key(),
        "webhook_secret": state.webhook_secret(),
        "webhook_secret_second": state.webhook_secret_second(),
        "judge": read_judge(),
        "tracing": config.get("tracing") or read_tracing(None),
    }
    return Settings(**values, run_id=secrets.randbits(62))


def check(options: UpOptions, config: dict[str, Any]) -> None:
    """Raises ConfigError for what cannot work, before anything is started."""
    from phonefarm.devices.profiles import load_profile, profile_names

    own = options.state_dir / PROFILES
    for name in sorted({*profile_names(own), str(config.get("app", "feed"))}):
        load_profile(name, own)
    named = config.get("hosts", ())
    if options.address is None and len(named) > 1:
        names = ", ".join(host.name for host in named[1:])
        raise ConfigError(f"hosts {names} need a Ray cluster they can join: start one and give its --address")
