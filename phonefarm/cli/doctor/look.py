"""Gathers everything: the farm by its files, its HTTP and its database; this machine; and every other host it has."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from phonefarm.cli.doctor import facts, gather, kernel
from phonefarm.cli.doctor.facts import Backup, Database, Machine
from phonefarm.cli.doctor.hosts import Answer, Order, look_at_hosts
from phonefarm.cli.statedir import READY, FarmFile, StateDir, runs
from phonefarm.client import Farm
from phonefarm.errors import PhoneFarmError
from phonefarm.settings import HostSettings

_SECONDS = 10.0


def look(state: StateDir, *, db: str | None, hosts: Sequence[HostSettings]) -> tuple[facts.Farm, list[Machine]]:
    """The facts. ``db``: instead of what farm.json says; ``hosts``: of farm.yaml, if it was named."""
    farm = state.read()
    silent, phones = _ask(state, farm)
    here = Counter(str(phone.get("host")) for phone in phones)
    answer = Answer()
    if farm.state == READY and farm.address and runs(farm.supervisor):
        order = Order(address=farm.address, state_dir=state.path, farm=farm, phones=here)
        answer = look_at_hosts(order)
    own = 0 if farm.address else len(phones)
    wanted = any(host.usb for host in hosts) if hosts else not farm.address
    machine = gather.machine(state, farm, phones=own, usb=wanted)
    whole = facts.Farm(
        state=farm.state,
        alive=runs(farm.supervisor),
        silent=silent,
        states=_by_state(phones),
        missing=answer.missing,
        ahead=answer.ahead,
        versions={"": machine.versions, **{name: one.versions for name, one in answer.machines.items()}},
        database=_database(db or farm.db or f"sqlite:///{state.path / 'farm.db'}"),
        backup=_backup(state),
    )
    return whole, [machine, *(answer.machines[name] for name in sorted(answer.machines))]


def _ask(state: StateDir, farm: FarmFile) -> tuple[str | None, list[dict[str, Any]]]:
    """Why the farm does not answer, and its phones. A farm that does not run is not asked."""
    if farm.state != READY or not runs(farm.supervisor):
        return None, []
    try:
        with Farm(farm.url, state.known_api_key() or "", timeout=_SECONDS, patience=0.0) as client:
            client.ready()
            return None, client.phones()
    except PhoneFarmError as error:
        return error.message, []


def _by_state(phones: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    states = {str(phone.get("state")) for phone in phones}
    return {state: tuple(str(p.get("phone_id")) for p in phones if p.get("state") == state) for state in states}


def _database(url: str) -> Database:
    from phonefarm.store.look import look as look_at

    seen = look_at(url)
    if seen.path is None:
        return Database(server=seen.settings or None, refused=seen.refused, now=seen.ahead)
    disk = kernel.disk(seen.path.parent, "the database")
    return Database(sqlite=seen.version, options=seen.options, disk=disk)


def _backup(state: StateDir) -> Backup:
    now = time.time()
    began = state.lock_file.stat().st_mtime if state.lock_file.exists() else None
    farm_age = now - began if began is not None else None
    last = state.last_backup()
    if last is None:
        return Backup(farm_age=farm_age)
    path, made_at = last
    return Backup(path=str(path), age=now - _seconds(made_at, path), file=gather.file_at(path), farm_age=farm_age)


def _seconds(made_at: str, path: Path) -> float:
    try:
        return datetime.fromisoformat(made_at).timestamp()
    except ValueError:
        return path.stat().st_mtime if path.exists() else 0.0
