"""A farm of several machines for tests: a head and two hosts, each a Ray node of its own.

All of it is what an operator would run: ``ray start`` under a supervisor on each machine, the GCS on RocksDB on the
head, ``phonefarm up --address`` on the head, ``phonefarm sim`` and the adb server on each host. Only that h2's network
loses answers (``LOST``). Node deaths are noticed within some ten seconds and leases are short, so that a long cut takes
half a minute.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from adbutils import adb_path  # type: ignore[import-untyped]

from phonefarm.cli.raynode import EVERY_HEAD, EVERY_NODE
from tests.e2e.farm import KEY, SECRET, Farm, until
from tests.hosts.spaces import Machine, Wire, wire

HTTP, GCS, FIRST_PHONE = 8000, 6379, 21000
#: Seconds of a lease: a phone stops by itself after 80 % of it.
LEASE = 12.0
#: Phones of each host, by the serial numbers they tell.
PHONES = {"h1": ("VP000101", "VP000102"), "h2": ("VP000201", "VP000202")}
ALL = tuple(phone for phones in PHONES.values() for phone in phones)
#: Losses of a phone, or ends of its actor, that set it apart.
LOSSES = 5
#: What Ray's own failure injection drops on h2: answers to calls that were executed, in each process with this chance
#: in percent until so many were dropped. The caller is told that nobody knows.
LOST = {"CoreWorkerService.grpc_client.PushTask": {"num_failures": 30, "req_failure_prob": 0, "resp_failure_prob": 20}}


class InSwitch(httpx.BaseTransport):
    """Requests are sent from inside the switch."""

    def __init__(self, place: Wire) -> None:
        self._wire = place
        self._real = place.inside(lambda: httpx.HTTPTransport())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def send() -> httpx.Response:
            answer = self._real.handle_request(request)
            answer.read()
            return answer

        return self._wire.inside(send)


class Cluster(Farm):
    """A farm on machines of its own. ``state_dir`` is the head's, seen from here."""

    def __init__(self, base: Path, place: Wire) -> None:
        super().__init__(base / "head" / "state")
        self.wire = place
        self.mount = base / "d"
        numbers = {"head": 1, "h1": 2, "h2": 3}
        self.machines = {
            name: Machine(place, name, number, disk=base / name, mount=self.mount) for name, number in numbers.items()
        }
        self._base = base
        self.environment = _environment(base)
        self.client.close()
        self.client = self._client()
        (base / "farm.yaml").write_text(_farm_yaml())

    def _client(self) -> httpx.Client:
        base = f"http://{self.head.address}:{HTTP}"
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=base, headers=headers, timeout=30, transport=InSwitch(self.wire))

    @property
    def head(self) -> Machine:
        return self.machines["head"]

    # -- machines --

    def boot(self, name: str) -> None:
        """Power, and Ray under a supervisor; on a host its phones too."""
        machine = self.machines[name]
        machine.power_on()
        log = machine.disk / "ray.log"
        log.write_bytes(b"")
        lossy = {"RAY_testing_rpc_failure": json.dumps(LOST)} if name == "h2" else {}
        machine.start(self._ray(machine), "ray.log", env={**self.environment, **lossy}, again=True)
        if name in PHONES:
            for phone_id in PHONES[name]:
                self.plug(phone_id, name)

    def plug(self, phone_id: str, at: str, *, seed: int = 1) -> None:
        """A phone on the loopback of the host ``at``: one program each, as each has its own cable. Its port and its
        serial number are its own wherever it is; with another seed it is another phone that has the same ones."""
        number = _number(phone_id)
        words = [*_PROGRAM, "phonefarm.cli", "sim", "--phones", "1", "--port-base", str(FIRST_PHONE + number)]
        words += ["--first-number", str(number), "--profile", "instant", "--seed", str(seed)]
        words += ["--journal-dir", str(self.mount / "journal")]
        self.machines[at].start(words, f"{phone_id}.log", env=self.environment)

    def unplug(self, phone_id: str, at: str) -> None:
        """End a phone's program on the host ``at``."""
        for pid in self.machines[at].pids(f"--first-number {_number(phone_id)} "):
            self.machines[at].kill(pid)

    def dial(self, phone_id: str, at: str) -> None:
        """Let the adb server of a host connect to a phone that its configuration does not name."""
        words = [adb_path(), "-P", str(self.file["ports"]["adb"]), "connect", _address(phone_id)]

        def connected() -> bool:
            return "connected to" in self.machines[at].run(words, env=self.environment, timeout=30).stdout

        until(connected, f"{phone_id} dialled on {at}")

    def wait_ray(self, name: str) -> None:
        machine = self.machines[name]
        until(lambda: b"block forever" in (machine.disk / "ray.log").read_bytes(), f"Ray on {name}", 120)

    def _ray(self, machine: Machine) -> list[str]:
        words = [*_PROGRAM, "ray.scripts.scripts", "start", "--block", f"--node-ip-address={machine.address}"]
        words += ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", "--log-color=false"]
        words += ["--include-log-monitor=false"]
        if machine is self.head:
            words += ["--head", f"--port={GCS}", "--include-dashboard=false", f"--temp-dir={self.mount / 'r'}"]
            return [*words, "--labels=pf.role=head", "--no-monitor"]
        return [*words, f"--address={self.head.address}:{GCS}", f"--labels=pf.host={machine.name}"]

    # -- the farm --

    def up(self, *arguments: str) -> None:
        """``phonefarm up --address`` on the head."""
        words = [*_PROGRAM, "phonefarm.cli", "up", "--detach", "--address", f"{self.head.address}:{GCS}"]
        words += ["--host", self.head.address, "--port", str(HTTP), "--state-dir", str(self.mount / "state")]
        words += ["--config", str(self._base / "farm.yaml"), *arguments]
        done = self.head.run(words, env=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        self.file = json.loads((self.state_dir / "farm.json").read_text())
        self.client.close()
        self.client = self._client()

    def down(self) -> None:
        words = [*_PROGRAM, "phonefarm.cli", "down", "--state-dir", str(self.mount / "state")]
        done = self.head.run(words, env=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self) -> None:
        """Everything off. What runs in a machine ends with it."""
        self.client.close()
        for machine in self.machines.values():
            machine.power_off()

    # -- reading --

    def journal(self, phone_id: str) -> list[dict[str, Any]]:
        """What a phone wrote down, on whichever host it was; ``host`` is added, and lines are in their order."""
        lines = []
        for host in PHONES:
            path = self.machines[host].disk / "journal" / f"{phone_id}.jsonl"
            if path.exists():
                read = (json.loads(line) for line in path.read_text().splitlines())
                lines += [{**line, "host": host} for line in read]
        return sorted(lines, key=lambda line: str(line["at"]))

    def log_of(self, actor: str, host: str = "head") -> str:
        path = self.machines[host].disk / "state" / "logs" / f"{actor.replace(':', '-')}.log"
        return path.read_text() if path.exists() else ""

    def starts_of(self, actor: str, host: str = "head") -> list[int]:
        """Process ids an actor had on a host, in order."""
        return [int(pid) for pid in re.findall(r'"event": "actor.started".*"pid": (\d+)', self.log_of(actor, host))]

    def nodes(self) -> dict[str, str]:
        """Ray's id of each living node, by the name of its machine; none while Ray does not say."""
        script = "import json, ray; ray.init(address='auto', logging_level=40); print('NODES', json.dumps(ray.nodes()))"
        done = self.head.run([sys.executable, "-c", script], env=self.environment)
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("NODES ")] or ["NODES []"]
        listed = json.loads(line.removeprefix("NODES "))
        names = {machine.address: name for name, machine in self.machines.items()}
        return {names[node["NodeManagerAddress"]]: node["NodeID"] for node in listed if node["Alive"]}


def _number(phone_id: str) -> int:
    return int(phone_id.removeprefix("VP"))


def _address(phone_id: str) -> str:
    return f"127.0.0.1:{FIRST_PHONE + _number(phone_id)}"


_PROGRAM = (sys.executable, "-m")


def _environment(base: Path) -> dict[str, str]:
    token = base / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    settled = {
        "PHONEFARM_API_KEY": KEY,
        "PHONE_FARM_WEBHOOK_SECRET": SECRET,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(base / "d" / "gcs"),
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
        "RAY_health_check_period_ms": "2000",
        "RAY_health_check_timeout_ms": "4000",
        "RAY_health_check_failure_threshold": "3",
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
    }
    return {**os.environ, **settled, **EVERY_NODE, **EVERY_HEAD}


def _farm_yaml() -> str:
    lines = [f"lease_seconds: {LEASE:g}", "delivery_seconds: 8", "check_seconds: 5", "rescue_seconds: 1", "replicas: 1"]
    lines += ["callbacks: {allow: [127.0.0.0/8]}", f"health: {{flapping: {{losses: {LOSSES}}}}}", "hosts:"]
    for host, phones in PHONES.items():
        ports = [_address(phone) for phone in phones]
        lines.append(f"  {host}: {{usb: false, groups: [{host}], connect: [{', '.join(repr(p) for p in ports)}]}}")
    return "\n".join(lines) + "\n"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Head and hosts, up, all phones available; everything gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="pfh-", dir="/tmp"))
    try:
        with wire() as place:
            made = Cluster(base, place)
            try:
                # One after the other: a Ray node ends if its agents take over 15 s to start, a constant of Ray's.
                for name in made.machines:
                    made.boot(name)
                    made.wait_ray(name)
                made.up()
                made.wait_phones(*ALL, seconds=200)
                yield made
            finally:
                made.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)
