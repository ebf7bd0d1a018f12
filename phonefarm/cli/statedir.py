"""The state directory: all that a farm keeps on disk, so that ``down`` and then ``up`` carries on.

::

    farm.lock        held by the supervisor as long as it lives; one farm a directory
    farm.json        what runs now and under which ids (``FarmFile``), 0600, replaced whole
    api_key          the farm's key unless PHONEFARM_API_KEY is set, 0600
    ray_token        Ray's own token, 0600
    webhook_secret   optional: signs callbacks unless PHONE_FARM_WEBHOOK_SECRET is set, 0600
    webhook_secret_second  optional: signs beside it while receivers change from one to the other, 0600
    last_backup.json       the last backup that was made of this farm, and when, 0600
    farm.db  artifacts/  adb/  vphone/  logs/

``farm.json`` is written before a thing is started and again after, so whoever finds it knows all there is to end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from phonefarm.devices.processes import Mark, started
from phonefarm.errors import ConfigError
from phonefarm.settings import WEBHOOK_SECRET_ENV, default_state_dir, read_secrets

DEFAULT_DIR = default_state_dir()
_BACKUP = "last_backup.json"
STARTING, READY, STOPPED = "starting", "ready", "stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class FarmFile:
    """What farm.json says. ``cookie``: the text by which the farm's processes are told from all others.

    ``ports``: by use, kept over restarts so that they stay the same where they can. ``hosts``: names of the
    farm's hosts. ``address``: of a Ray cluster that is not ours. ``db``: the URL of its database, kept after its end.
    """

    state: str = STOPPED
    version: str = ""
    supervisor: Mark | None = None
    ray: Mark | None = None
    sim: Mark | None = None
    cookie: str = ""
    url: str = ""
    dashboard: str = ""
    address: str = ""
    ingress: str = ""
    temp_dir: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    db: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> FarmFile:
        """Unknown names are dropped: an older phonefarm may read a newer file to end what it names."""
        known = {name: raw[name] for name in cls.__slots__ if name in raw}
        for name in ("supervisor", "ray", "sim"):
            if known.get(name):
                known[name] = Mark(pid=int(known[name]["pid"]), started=str(known[name]["started"]))
        known["hosts"] = tuple(known.get("hosts", ()))
        return cls(**known)


def mark_of(pid: int) -> Mark:
    """The mark of a process that runs now."""
    return Mark(pid=pid, started=started(pid) or "")


def runs(mark: Mark | None) -> bool:
    """Whether exactly this process still runs."""
    return mark is not None and bool(mark.started) and started(mark.pid) == mark.started


class StateDir:
    """One farm's directory. ``open`` makes it; a client only reads."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def farm_json(self) -> Path:
        return self.path / "farm.json"

    @property
    def api_key_file(self) -> Path:
        return self.path / "api_key"

    @property
    def ray_token_file(self) -> Path:
        return self.path / "ray_token"

    @property
    def webhook_secret_file(self) -> Path:
        return self.path / "webhook_secret"

    @property
    def lock_file(self) -> Path:
        return self.path / "farm.lock"

    def open(self) -> None:
        """Make the directory, for us alone. Raises ConfigError if that cannot be."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"state directory {self.path}: {error.strerror}") from error

    def read(self) -> FarmFile:
        """What farm.json says; an empty one if there is none or it cannot be read."""
        try:
            return FarmFile.from_json(json.loads(self.farm_json.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return FarmFile()

    def write(self, farm: FarmFile) -> None:
        """Replace farm.json whole."""
        write_private(self.farm_json, json.dumps(farm.as_json(), indent=2) + "\n")

    def update(self, **changes: Any) -> FarmFile:
        """Change some values of farm.json; gives what it says then."""
        farm = replace(self.read(), **changes)
        self.write(farm)
        return farm

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the directory. Raises ConfigError naming the holder if another process does."""
        with self.lock_file.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(self._held()) from None
            yield

    def held(self) -> bool:
        """Whether some process holds the directory now."""
        if not self.lock_file.exists():
            return False
        with self.lock_file.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _held(self) -> str:
        supervisor = self.read().supervisor
        who = f"process {supervisor.pid}" if supervisor else "another process"
        return f"a farm already runs on {self.path} ({who}); end it with: phonefarm down --state-dir {self.path}"

    def api_key(self) -> str:
        """The farm's key: PHONEFARM_API_KEY, else the kept one, else a new one that is kept."""
        return read_secrets().api_key or _kept(self.api_key_file, lambda: "pf_" + secrets.token_urlsafe(32))

    def known_api_key(self) -> str | None:
        """As ``api_key``, for clients: nothing is made."""
        return read_secrets().api_key or _text(self.api_key_file)

    def ray_token(self) -> None:
        """Make sure that Ray's token file is there."""
        _kept(self.ray_token_file, lambda: secrets.token_hex(32))

    def webhook_secret(self) -> str | None:
        return read_secrets().webhook_secret or _text(self.webhook_secret_file)

    def webhook_secret_second(self) -> str | None:
        """The second secret. Raises ConfigError if there is no first: nothing would be signed, unnoticed."""
        second = read_secrets().webhook_secret_second or _text(self.path / "webhook_secret_second")
        if second is not None and self.webhook_secret() is None:
            raise ConfigError(f"there is a second webhook secret but no first: set {WEBHOOK_SECRET_ENV}")
        return second

    def remember_backup(self, file: Path, made_at: str) -> None:
        """Write down that there is a backup; ``last_backup`` reads it."""
        write_private(self.path / _BACKUP, json.dumps({"file": str(file.absolute()), "made_at": made_at}) + "\n")

    def last_backup(self) -> tuple[Path, str] | None:
        """Where the last backup was put, and when it was made; None if there was none."""
        try:
            kept = json.loads((self.path / _BACKUP).read_text("utf-8"))
            return Path(kept["file"]), str(kept["made_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def write_private(path: Path, text: str) -> None:
    """Write a file for us alone, whole or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except OSError:
        return None


def _kept(path: Path, make: Any) -> str:
    kept = _text(path)
    if kept is None:
        kept = str(make())
        write_private(path, kept + "\n")
    path.chmod(0o600)
    return kept
