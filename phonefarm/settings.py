"""Settings: what a farm is told from outside, read once, frozen, and handed to every actor.

Three sources, later ones win: ``farm.yaml``, the environment (this module is its only reader), the command
line. Secrets are never shown in a repr.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from phonefarm.errors import ConfigError

API_KEY_ENV = "PHONEFARM_API_KEY"
JUDGE_URL_ENV, JUDGE_MODEL_ENV, JUDGE_KEY_ENV = "PHONEFARM_JUDGE_URL", "PHONEFARM_JUDGE_MODEL", "PHONEFARM_JUDGE_KEY"
WEBHOOK_SECRET_ENV = "PHONE_FARM_WEBHOOK_SECRET"
#: Where the farm's state is, for commands that are not told by --state-dir. Ray jobs on a farm have it.
STATE_DIR_ENV = "PHONEFARM_STATE_DIR"
#: A second one, while receivers change from one secret to another.
SECOND_SECRET_ENV = "PHONE_FARM_WEBHOOK_SECRET_SECOND"
#: OpenTelemetry's own names.
OTLP_ENV, OTLP_HEADERS_ENV = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"
NAMESPACE = "phonefarm"
#: Where in the state directory operators put app profiles of their own.
PROFILES = "profiles"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSettings:
    """One machine with phones. ``connect``: addresses of phones on the network; ``groups``: of all its phones."""

    name: str
    connect: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    usb: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a phone needs before it gets work. ``battery`` and ``battery_charging`` in percent, ``temperature`` of the
    battery in degrees Celsius, ``storage_gib`` free in GiB."""

    battery: float = 20
    battery_charging: float = 10
    temperature: float = 42
    storage_gib: float = 1


#: Limits of which the lower value is the stricter one.
UPPER_LIMITS = frozenset({"temperature"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """``losses`` of a phone within ``seconds`` set it apart; so many ``clean`` checks in a row end that."""

    losses: int = 5
    seconds: float = 600.0
    clean: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthSettings:
    """When a phone gets work. ``groups``: of the limits, those that are others for a group. ``reboot``: whether the
    farm may reboot a phone that does not answer, after everything else."""

    limits: Limits = field(default_factory=Limits)
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    reboot: bool = True

    def limits_for(self, groups: Iterable[str]) -> Limits:
        """Of a phone in ``groups``: a group's value replaces the default; of several groups the strictest."""
        found: dict[str, list[float]] = {}
        for group in groups:
            for name, value in self.groups.get(group, {}).items():
                found.setdefault(name, []).append(value)
        chosen = {name: (min if name in UPPER_LIMITS else max)(values) for name, values in found.items()}
        return replace(self.limits, **chosen)


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
class TracingSettings:
    """Where traces go: the base URL of an OTLP/HTTP receiver. ``headers`` go with them, such as its key."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


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
    webhook_secret_second: str | None = field(default=None, repr=False)
    callbacks_allow: tuple[str, ...] = ()
    hosts: tuple[HostSettings, ...] = (HostSettings(name="local"),)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    app: str = "feed"
    judge: JudgeSettings | None = None
    health: HealthSettings = field(default_factory=HealthSettings)
    lease_seconds: float = 30.0
    delivery_seconds: float = 30.0
    check_seconds: float = 30.0
    rescue_seconds: float = 2.0
    retention_days: float = 90.0
    replicas: int = 2
    log_level: str = "info"
    tracing: TracingSettings | None = None

    @property
    def artifact_dir(self) -> Path:
        return self.state_dir / "artifacts"

    @property
    def apk_dir(self) -> Path:
        """Where operators put the APKs that ``install_app`` may install."""
        return self.state_dir / "apks"

    @property
    def profile_dir(self) -> Path:
        """Where operators put app profiles of their own."""
        return self.state_dir / PROFILES

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
    webhook_secret_second: str | None = field(default=None, repr=False)


def read_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """The secrets of the environment; an empty variable counts as none."""
    return Secrets(
        api_key=environ.get(API_KEY_ENV) or None,
        webhook_secret=environ.get(WEBHOOK_SECRET_ENV) or None,
        webhook_secret_second=environ.get(SECOND_SECRET_ENV) or None,
    )


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The state directory of whoever names none."""
    return Path(environ.get(STATE_DIR_ENV) or ".phonefarm")


def path_with(directory: Path, environ: Mapping[str, str] = os.environ) -> str:
    """PATH with ``directory`` before all others."""
    return os.pathsep.join((str(directory), *filter(None, (environ.get("PATH"),))))


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


def read_tracing(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> TracingSettings | None:
    """Where traces go, None for nowhere. ``endpoint``: of farm.yaml, else the environment's. Raises ConfigError."""
    url = endpoint or environ.get(OTLP_ENV)
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise ConfigError("tracing: the endpoint must begin with http:// or https://, such as http://127.0.0.1:4318")
    pairs = (pair.partition("=") for pair in environ.get(OTLP_HEADERS_ENV, "").split(",") if "=" in pair)
    return TracingSettings(endpoint=url, headers={name.strip(): unquote(value.strip()) for name, _, value in pairs})


def child_environment(extra: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a process we start: ours and ``extra``."""
    return {**environ, **extra}
