"""The one way a farm is ended, by its own supervisor or by whoever finds that one dead.

Everything to end stands in farm.json (``statedir``), nothing is asked of Ray: what the farm was doing is in the
database, and a session that is cut goes on at the next start after its last finished action. So a farm that is ended
in order and one that was killed take the same way.

1. A Ray cluster that is not ours: our actors and our HTTP deployment are taken off it. Our own Ray: all of its
   processes are looked up first (``kin``), then its head is asked to end, then what is left is ended one by one.
2. The adb servers, by their pidfiles. After Ray, since a host's actor would start its server again.
3. The virtual phones. 4. The temporary directory, whose logs are kept
as ``logs/ray`` until the next end. 5. farm.json says "stopped" and keeps only the ports and the database's URL.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from phonefarm.cli import kin, raydriver
from phonefarm.cli.raynode import RAY_DIR
from phonefarm.cli.statedir import STOPPED, FarmFile, StateDir
from phonefarm.devices.processes import Mark
from phonefarm.errors import PhoneFarmError
from phonefarm.settings import child_environment

_HEAD_GRACE = 6.0
_REST_GRACE = 3.0
_SIM_GRACE = 3.0
_LEAVE_SECONDS = 50.0


class NotEnded(PhoneFarmError):
    """Some process survived even SIGKILL, or a Ray cluster that is not ours did not let us go."""

    code = "not_ended"
    next_step = "look at what is named, then run phonefarm down again"


def end_farm(state: StateDir) -> None:
    """End all that farm.json names; harmless if nothing runs. Raises NotEnded if something cannot be ended.

    The caller holds the state directory.
    """
    farm = state.read()
    away = not farm.address or _leave_cluster(state, farm)
    left = _end_ray(farm)
    for host in farm.hosts:
        _end_adb(state, host, farm.ports)
    if farm.sim is not None:
        left += kin.end_all([farm.sim], grace=_SIM_GRACE)
    left += kin.end_all(kin.family([], farm.cookie), grace=_REST_GRACE) if farm.cookie else []
    if farm.temp_dir and Path(farm.temp_dir).name.startswith("pf-"):
        _keep_logs(Path(farm.temp_dir), state.logs / "ray")
        shutil.rmtree(farm.temp_dir, ignore_errors=True)
    if left:
        raise NotEnded(f"these processes could not be ended: {', '.join(str(mark.pid) for mark in left)}")
    if not away:
        raise NotEnded(f"the actors on the Ray cluster {farm.address} could not be taken away; see {state.logs}")
    state.write(FarmFile(state=STOPPED, version=farm.version, ports=farm.ports, db=farm.db))


def _end_ray(farm: FarmFile) -> list[Mark]:
    """Those that survived. The head ends its children itself if it can; the others we know from before."""
    if farm.ray is None and not farm.cookie:
        return []
    head = [farm.ray] if farm.ray is not None else []
    before = _without_sim(kin.family(head, farm.cookie), farm)
    kin.end_all(head, grace=_HEAD_GRACE)
    after = _without_sim(kin.family(head, farm.cookie), farm)
    return kin.end_all({*before, *after}, grace=_REST_GRACE)


def _keep_logs(temp_dir: Path, kept: Path) -> None:
    """Ray's own logs: what is left to read when a farm did not come up."""
    shutil.rmtree(kept, ignore_errors=True)
    with contextlib.suppress(OSError):  # shutil.Error is one
        shutil.copytree(temp_dir / RAY_DIR / "session_latest" / "logs", kept, ignore=shutil.ignore_patterns("*.sock"))


def _without_sim(marks: list[Mark], farm: FarmFile) -> list[Mark]:
    return [mark for mark in marks if mark != farm.sim]


def _end_adb(state: StateDir, host: str, ports: Mapping[str, int]) -> None:
    from phonefarm.devices.adb_server import AdbServer

    directory = state.path / "adb" / host
    if directory.exists() and ports.get("adb"):
        AdbServer(port=ports["adb"], state_dir=directory).stop()


def _leave_cluster(state: StateDir, farm: FarmFile) -> bool:
    """Take our actors and our deployment off a Ray cluster; False if that failed, for its log has the reason."""
    with (state.logs / "raydriver.log").open("ab") as log, contextlib.suppress(subprocess.TimeoutExpired):
        ended = subprocess.run(
            raydriver.command(),
            input=raydriver.order_down(farm.address, farm.hosts),
            stdout=log,
            stderr=log,
            env=child_environment({}),
            timeout=_LEAVE_SECONDS,
            check=False,
            start_new_session=True,
        )
        return ended.returncode == 0
    return False
