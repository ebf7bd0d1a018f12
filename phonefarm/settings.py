"""Settings: what a farm is told from outside, read once, frozen, and handed to every actor.

Three sources, later ones win: ``farm.yaml``, the environment (this module is its only reader), the command
line. Secrets are never shown in a repr.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phonefarm.errors import ConfigError

API_KEY_ENV = "PHONEFARM_API_KEY"
JUDGE_URL_ENV, JUDGE_MODEL_ENV, JUDGE_KEY_ENV = "PHONEFARM_JUDGE_URL", "PHONEFARM_JUDGE_MODEL", "PHONEFARM_JUDGE_KEY"
WEBHOOK_SECRET_ENV = "PHONE_FARM_WEBHOOK_SECRET"
NAMESPACE = "phonefarm"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSettings:
    """One machine with phones. ``connect``: addresses of phones on the network; ``groups``: of all its phones."""

    name: str
    connect: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    usb: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSettings:
    """An endpoint that speaks OpenAI's chat completions. ``tokens`` a process, 0 for no limit."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    seconds: float = 20.0
    at_once: int = 4
    tokens: int = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A farm's settings. Times in seconds.

    ``run_id``: of this start of the farm, the same for all its actors whenever they are restarted.
    ``groups``: phone group -> ids of phones that belong to it beside those of its hosts.
    ``callbacks_allow``: CIDR networks that callbacks may reach though they are not public.
    ``retention_days``: how long a process, and with it its idempotency key, is kept after it ended.
    """

    state_dir: Path
    db_url: str
    run_id: int = 0
    host: str = "127.0.0.1"
    port: int = 8000
    adb_port: int = 0
    api_key: str = field(default="", repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    callbacks_allow: tuple[str, ...] = ()
    hosts: tuple[HostSettings, ...] = (HostSettings(name="local"),)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    app: str = "feed"
    judge: JudgeSettings | None = None
    lease_seconds: float = 30.0
    delivery_seconds: float = 30.0
    check_seconds: float = 30.0
    rescue_seconds: float = 2.0
    retention_days: float = 90.0
    replicas: int = 2

    @property
    def artifact_dir(self) -> Path:
        return self.state_dir / "artifacts"

    @property
    def apk_dir(self) -> Path:
        """Where operators put the APKs that ``install_app`` may install."""
        return self.state_dir / "apks"

    @property
    def log_dir(self) -> Path:
        return self.state_dir / "logs"

    def host_named(self, name: str) -> HostSettings:
        """The settings of a host. Raises ConfigError for a name that is not configured."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise ConfigError(f"no host named {name!r} in the configuration")

    def groups_of(self, phone_id: str, host: str) -> tuple[str, ...]:
        """The groups of a phone that is plugged into ``host``."""
        named = {name for name, phones in self.groups.items() if phone_id in phones}
        return tuple(sorted(named | set(self.host_named(host).groups)))

    def group_names(self) -> frozenset[str]:
        return frozenset(self.groups) | {name for host in self.hosts for name in host.groups}


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """What the environment holds for phonefarm."""

    api_key: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)


def read_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """The secrets of the environment; an empty variable counts as none."""
    return Secrets(api_key=environ.get(API_KEY_ENV) or None, webhook_secret=environ.get(WEBHOOK_SECRET_ENV) or None)


def read_judge(environ: Mapping[str, str] = os.environ) -> JudgeSettings | None:
    """The judge's endpoint of the environment, None for the offline judge. Raises ConfigError for half of one."""
    url, model = environ.get(JUDGE_URL_ENV), environ.get(JUDGE_MODEL_ENV)
    if not url and not model:
        return None
    if not url or not model:
        raise ConfigError(f"{JUDGE_URL_ENV} and {JUDGE_MODEL_ENV} belong together; set both or neither")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{JUDGE_URL_ENV} must begin with http:// or https://, such as http://127.0.0.1:8080/v1")
    return JudgeSettings(url=url, model=model, key=environ.get(JUDGE_KEY_ENV) or None)


def child_environment(extra: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a process we start: ours and ``extra``."""
    return {**environ, **extra}


# -- farm.yaml -----------------------------------------------------------------------------------

_KEYS = {
    "app": str,
    "lease_seconds": (int, float),
    "delivery_seconds": (int, float),
    "check_seconds": (int, float),
    "rescue_seconds": (int, float),
    "retention_days": (int, float),
    "replicas": int,
}


def read_farm_file(path: Path) -> dict[str, Any]:
    """The values of a farm.yaml as keyword arguments of ``Settings``. Raises ConfigError naming the place."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}:{where} is not YAML: {getattr(error, 'problem', error)}") from error
    if raw is None:
        return {}
    return _Reader(path).top(_mapping(raw, path, "the file"))


def _mapping(value: Any, path: Path, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{path}: {what} must be a mapping with text keys")
    return value


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def top(self, raw: dict[str, Any]) -> dict[str, Any]:
        known = {*_KEYS, "callbacks", "hosts", "groups"}
        self._no_others(raw, known, "")
        values: dict[str, Any] = {name: self._typed(name, raw[name]) for name in _KEYS if name in raw}
        if "callbacks" in raw:
            values["callbacks_allow"] = self._allow(_mapping(raw["callbacks"], self._path, "callbacks"))
        if "groups" in raw:
            groups = _mapping(raw["groups"], self._path, "groups")
            values["groups"] = {name: self._strings(phones, f"groups.{name}") for name, phones in groups.items()}
        if "hosts" in raw:
            hosts = _mapping(raw["hosts"], self._path, "hosts")
            values["hosts"] = tuple(self._host(name, host) for name, host in hosts.items())
        return values

    def _typed(self, name: str, value: Any) -> Any:
        if not isinstance(value, _KEYS[name]) or isinstance(value, bool):  # type: ignore[arg-type]
            raise ConfigError(f"{self._path}: {name} has the wrong type")
        if not isinstance(value, str) and value <= 0:
            raise ConfigError(f"{self._path}: {name} must be greater than 0")
        return value

    def _host(self, name: str, raw: Any) -> HostSettings:
        values = _mapping(raw or {}, self._path, f"hosts.{name}")
        self._no_others(values, {"connect", "groups", "usb"}, f"hosts.{name}.")
        return HostSettings(
            name=name,
            connect=self._strings(values.get("connect", []), f"hosts.{name}.connect"),
            groups=self._strings(values.get("groups", []), f"hosts.{name}.groups"),
            usb=bool(values.get("usb", True)),
        )

    def _allow(self, raw: dict[str, Any]) -> tuple[str, ...]:
        self._no_others(raw, {"allow"}, "callbacks.")
        networks = self._strings(raw.get("allow", []), "callbacks.allow")
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigError(f"{self._path}: callbacks.allow: {error}") from error
        return networks

    def _strings(self, raw: Any, where: str) -> tuple[str, ...]:
        if not isinstance(raw, list) or not all(isinstance(entry, str) for entry in raw):
            raise ConfigError(f"{self._path}: {where} must be a list of texts")
        return tuple(raw)

    def _no_others(self, raw: dict[str, Any], known: set[str], prefix: str) -> None:
        for name in raw:
            if name not in known:
                raise ConfigError(f"{self._path}: unknown setting {prefix}{name}; known: {', '.join(sorted(known))}")
