"""Whole farms for the figures: ``phonefarm up`` as a user runs it, the no-op application beside it where asked for.

Callbacks go to a server that does nothing (``null_server``). Before a turn that is not the farm's the figures wait
until no callback comes any more (``Running.rest``), so that a farm's own after-effects never fall into somebody else's
turn; while a farm takes requests in, it sends its callbacks as it always does, and that is part of its figure.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phonefarm.cli.statedir import FarmFile, StateDir
from tests.bench.lab import ROOT, Lab
from tests.bench.programs import NullServer, null_server
from tests.databases import Postgres
from tests.e2e.farm import KEY, Farm, with_cookie

REPLICAS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Which farm. ``database``: ``postgresql`` or ``sqlite``; ``settings`` go into its farm.yaml."""

    name: str
    database: str = "postgresql"
    phones: int = 0
    profile: str = "instant"
    settings: Mapping[str, Any] = field(default_factory=dict)


class Running:
    """A farm that is up."""

    def __init__(self, farm: Farm, db_url: str, callbacks: NullServer) -> None:
        self.farm = farm
        self.db_url = db_url
        self.callbacks = callbacks

    @property
    def file(self) -> FarmFile:
        return StateDir(self.farm.state_dir).read()

    @property
    def port(self) -> int:
        return self.file.ports["http"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"}

    def rest(self) -> None:
        """Wait until all callbacks are delivered."""
        self.callbacks.quiet()

    def ray_environment(self) -> dict[str, str]:
        """That of the farm's Ray head: its token, its ports, its switches."""
        mark = self.file.ray
        if mark is None:
            raise RuntimeError("the farm has no Ray head of its own")
        raw = Path(f"/proc/{mark.pid}/environ").read_bytes()
        pairs = (pair.partition(b"=") for pair in raw.split(b"\0") if pair)
        return {name.decode(): value.decode() for name, _, value in pairs}

    def serve_noop(self, *what: str) -> str:
        """Run ``serve_noop`` against this farm's Ray; what it printed."""
        address = f"127.0.0.1:{self.file.ports['gcs']}"
        command = [sys.executable, "-m", "tests.bench.serve_noop", address, *what]
        done = subprocess.run(
            command, cwd=ROOT, env=self.ray_environment(), capture_output=True, text=True, timeout=240
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"serve_noop: {done.stderr[-2000:]}")
        return done.stdout


def processes(cookie: str) -> dict[int, str]:
    """Every process of a farm: its id and its first words."""
    found = {}
    for line in with_cookie(cookie):
        number, _, words = line.partition(" ")
        found[int(number)] = words
    return found


@contextmanager
def running(lab: Lab, wish: Wish) -> Iterator[Running]:
    directory = lab.directory / wish.name
    directory.mkdir()
    callbacks = lab.keep("callbacks", null_server)
    server: Postgres | None = lab.postgres() if wish.database == "postgresql" else None
    url = server.new_database() if server else f"sqlite:///{directory / 'state' / 'farm.db'}"
    settings = {"callbacks": {"allow": ["127.0.0.0/8"]}, "replicas": REPLICAS, **wish.settings}
    settings.setdefault("hosts", {"local": {"usb": False}})
    (directory / "farm.yaml").write_text(yaml.safe_dump(settings))
    options = ["--config", str(directory / "farm.yaml"), "--db", url]
    if wish.phones:
        options += ["--sim", str(wish.phones), "--profile", wish.profile]
    lab.say(f"  starting a farm: {wish.name}")
    farm = Farm(directory / "state")
    try:
        farm.up(*options)
        yield Running(farm, url, callbacks)
    finally:
        _end(farm)
        if server is not None:
            server.drop(url)
        shutil.rmtree(directory, ignore_errors=True)


def _end(farm: Farm) -> None:
    cookie = StateDir(farm.state_dir).read().cookie
    farm.client.close()
    farm.down()
    left = with_cookie(cookie)
    if left:
        raise RuntimeError(f"processes left behind: {left}")


def farm(lab: Lab, wish: Wish) -> Running:
    """The farm of that name, kept for the next figure that wants it."""
    return lab.keep(f"farm:{wish.name}", lambda: running(lab, wish))


def with_noop(lab: Lab, wish: Wish) -> Running:
    """The same, with the no-op application on its Serve."""
    found = farm(lab, wish)
    lab.keep(f"farm:{wish.name}:noop", lambda: _noop(found))
    return found


@contextmanager
def _noop(found: Running) -> Iterator[None]:
    found.serve_noop(str(REPLICAS))
    yield


def alone(lab: Lab, names: Sequence[str] = ()) -> None:
    """End the farms and peers that are still kept, but these."""
    keep = tuple(f"farm:{name}" for name in names)
    for key in lab.kept():
        if key.startswith(("farm:", "peer:")) and not key.startswith(keep or ("none",)):
            lab.let_go(key)
