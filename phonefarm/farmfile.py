"""farm.yaml: what an operator writes about the farm, checked and named to the place."""

from __future__ import annotations

import ipaddress
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from phonefarm.errors import ConfigError
from phonefarm.settings import HealthSettings, HostSettings, Limits, Patience

_LIMITS = tuple(limit.name for limit in fields(Limits))
_PATIENCE = tuple(limit.name for limit in fields(Patience))

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
        known = {*_KEYS, "callbacks", "hosts", "groups", "health"}
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
        if "health" in raw:
            values["health"] = self._health(_mapping(raw["health"], self._path, "health"), _group_names(values))
        return values

    # -- health --

    def _health(self, raw: dict[str, Any], known_groups: frozenset[str]) -> HealthSettings:
        self._no_others(raw, {*_LIMITS, "groups", "flapping", "reboot"}, "health.")
        limits = self._numbers({name: raw[name] for name in _LIMITS if name in raw}, "health")
        flapping = _mapping(raw.get("flapping", {}), self._path, "health.flapping")
        self._no_others(flapping, set(_PATIENCE), "health.flapping.")
        reboot = raw.get("reboot", True)
        if not isinstance(reboot, bool):
            raise ConfigError(f"{self._path}: health.reboot must be true or false")
        return HealthSettings(
            limits=Limits(**limits),
            groups=self._health_groups(_mapping(raw.get("groups", {}), self._path, "health.groups"), known_groups),
            patience=self._patience(self._numbers(flapping, "health.flapping")),
            reboot=reboot,
        )

    def _health_groups(self, raw: dict[str, Any], known: frozenset[str]) -> dict[str, dict[str, float]]:
        self._no_others(raw, set(known), "health.groups.")
        found = {}
        for group, limits in raw.items():
            where = f"health.groups.{group}"
            values = _mapping(limits, self._path, where)
            self._no_others(values, set(_LIMITS), f"{where}.")
            found[group] = self._numbers(values, where)
        return found

    def _patience(self, values: dict[str, float]) -> Patience:
        if any(values.get(name, 1) < 1 or values.get(name, 1) % 1 for name in ("losses", "clean")):
            raise ConfigError(f"{self._path}: health.flapping: losses and clean must be whole numbers from 1")
        whole = {name: int(value) if name in ("losses", "clean") else value for name, value in values.items()}
        return Patience(**whole)  # type: ignore[arg-type]

    def _numbers(self, raw: dict[str, Any], where: str) -> dict[str, float]:
        for name, value in raw.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{self._path}: {where}.{name} must be a number of at least 0")
        return dict(raw)

    # -- the rest --

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


def _group_names(values: dict[str, Any]) -> frozenset[str]:
    return frozenset(values.get("groups", {})) | {n for host in values.get("hosts", ()) for n in host.groups} | {"sim"}
