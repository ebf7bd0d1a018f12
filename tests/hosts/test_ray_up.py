"""``ray up cluster.yaml`` over ssh, to a head and a host made of namespaces, and a farm on what it made.

Takes minutes and an ssh server, so only where PHONEFARM_TEST_RAY_UP is set (Debian: apt-get install openssh-server
rsync). Of cluster.yaml only the addresses, the user, the key and the place of the programs are changed. Each machine
has a home, a /tmp, a /run, a host name and an sshd of its own, with keys made for the test; the launcher has a third.

The launcher's `ray down` ends Ray on the head only, by the `ray` of a login shell; docs/operate.md tells the rest.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.cli.statedir import write_private
from tests.e2e.farm import until
from tests.hosts.spaces import Machine, Wire, why_not, wire

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")
_MISSING = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None] + ([] if SSHD else ["sshd"])
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("PHONEFARM_TEST_RAY_UP"), reason="PHONEFARM_TEST_RAY_UP is not set"),
    pytest.mark.skipif(why_not() is not None, reason=f"several machines in one: {why_not()}"),
    pytest.mark.skipif(bool(_MISSING), reason=f"not on this machine: {', '.join(_MISSING)}"),
]
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
USER, PHONE_PORT = "farmer", 21_501


class Site:
    """Three machines: the operator's desk, a head, a host; with ssh between them."""

    def __init__(self, base: Path, place: Wire) -> None:
        self.base = base
        self.home = base / "d"
        names = ("desk", "head", "h1")
        self.machines = {
            name: Machine(place, name, number, disk=base / name, mount=self.home)
            for number, name in enumerate(names, start=1)
        }
        self.token = secrets.token_hex(32)
        self.key = base / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        (base / "passwd").write_text(_passwd(self.home))

    def boot(self, name: str) -> None:
        machine = self.machines[name]
        machine.power_on()
        for folder in ("tmp", "run/sshd", ".ray", ".ssh"):
            (machine.disk / folder).mkdir(parents=True, exist_ok=True)
        (machine.disk / "tmp").chmod(0o1777)
        write_private(machine.disk / ".ray/auth_token", self.token)
        (machine.disk / ".profile").write_text(f"export PATH={PROGRAMS}:$PATH\n")
        for line in (*self._kept(machine), *_MOUNTS):
            words = line.format(base=self.base, home=self.home).split()
            subprocess.run(machine.words(words), check=True, capture_output=True)
        self._sshd(machine)

    def _kept(self, machine: Machine) -> list[str]:
        """The project stays where it is even if that is below /tmp, which becomes the machine's own."""
        if not ROOT.is_relative_to("/tmp"):
            return []
        place = machine.disk / "tmp" / ROOT.relative_to("/tmp")
        place.mkdir(parents=True, exist_ok=True)
        return [f"mount --bind {ROOT} {{home}}/tmp/{ROOT.relative_to('/tmp')}"]

    def _sshd(self, machine: Machine) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(machine.disk / "host_key")], check=True
        )
        shutil.copy(f"{self.key}.pub", machine.disk / ".ssh/authorized_keys")
        lines = [f"HostKey {self.home}/host_key", "PasswordAuthentication no", "UsePAM no", "StrictModes no"]
        lines += ["PermitRootLogin prohibit-password", f"AuthorizedKeysFile {self.home}/.ssh/authorized_keys"]
        (machine.disk / "sshd_config").write_text("\n".join([*lines, "PidFile none", ""]))
        script = f"hostname {machine.name} && exec {SSHD} -D -e -f {self.home}/sshd_config"
        machine.start(["unshare", "-u", "sh", "-c", script], "sshd.log", env=_CLEAN)

    def cluster_yaml(self) -> Path:
        text = (ROOT / "cluster.yaml").read_text().replace("/opt/phonefarm/.venv/bin", str(PROGRAMS))
        text = text.replace("192.0.2.10", self.machines["head"].address)
        text = text.replace("[192.0.2.11, 192.0.2.12]", f"[{self.machines['h1'].address}]")
        text = text.replace("ssh_user: phonefarm", f"ssh_user: {USER}").replace("~/.ssh/id_ed25519", str(self.key))
        path = self.base / "cluster.yaml"
        path.write_text(text)
        return path

    def launcher(self, *words: str) -> str:
        """Ray's launcher, on the desk."""
        environment = {**_CLEAN, "HOME": str(self.home), "USER": USER, "RAY_AUTH_MODE": "token", **_LAUNCHER}
        done = self.machines["desk"].run([str(PROGRAMS / "ray"), *words], env=environment, timeout=600)
        assert done.returncode == 0, f"{words}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}\n{self.logs()}"
        return done.stdout + done.stderr

    def ssh(self, name: str, line: str) -> str:
        """A line in a login shell of a machine, from the desk."""
        options = ["-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words = ["ssh", *options, "-o", "LogLevel=ERROR", f"{USER}@{self.machines[name].address}", line]
        done = self.machines["desk"].run(words, env={**_CLEAN, "HOME": str(self.home)}, timeout=300)
        return done.stdout + done.stderr

    def logs(self) -> str:
        """The end of the monitor's and of each sshd's words: what there is to read when it fails."""
        files = [*(self.base / "head/tmp").glob("ray/session_*/logs/monitor.*"), *self.base.glob("*/sshd.log")]
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-2500:]}" for path in files)

    def close(self) -> None:
        for machine in self.machines.values():
            machine.power_off()


_MOUNTS = (
    "mount --bind {base}/passwd /etc/passwd",
    "mount --rbind {home}/tmp /tmp",
    "mount --bind {home}/run /run",
)
#: The launcher's newer autoscaler starts no host of a `local` cluster; docs/operate.md says so too.
_LAUNCHER = {"RAY_UP_enable_autoscaler_v2": "0"}
_CLEAN = {"PATH": os.environ["PATH"], "RAY_USAGE_STATS_ENABLED": "0", "LANG": "C.UTF-8"}


def _passwd(home: Path) -> str:
    """One more name for the user who runs the tests, whose home is the machine's own disk."""
    mine = f"{USER}:x:{os.geteuid()}:{os.getegid()}::{home}:/bin/bash\n"
    return mine + Path("/etc/passwd").read_text()


@pytest.fixture
def site() -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="pfu-", dir="/var/tmp"))
    try:
        with wire() as place:
            made = Site(base, place)
            try:
                for name in made.machines:
                    made.boot(name)
                until(lambda: "yes" in made.ssh("head", "echo yes"), "sshd on the head", 30)
                until(lambda: "yes" in made.ssh("h1", "echo yes"), "sshd on the host", 30)
                yield made
            finally:
                made.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_ray_up_makes_a_cluster_on_which_a_farm_runs(site: Site) -> None:
    began = time.monotonic()
    site.launcher("up", "-y", "--no-config-cache", str(site.cluster_yaml()))
    print(f"ray up: {time.monotonic() - began:.0f} s")
    status = "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/.ray/auth_token"
    script = "import ray,json; ray.init(address='auto', logging_level=40); " \
             "print('NODES', json.dumps([n['Labels'] for n in ray.nodes() if n['Alive']]))"  # fmt: skip

    def labels() -> list[dict[str, str]]:
        told = site.ssh("head", f'{status} {PROGRAMS}/python -c "{script}"')
        lines = [line for line in told.splitlines() if line.startswith("NODES ")]
        return json.loads(lines[0].removeprefix("NODES ")) if lines else []

    def both() -> bool:
        return {label.get("pf.host") for label in labels()} == {"head", "h1"}

    try:
        until(both, "the head and the host are nodes", 240)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{site.logs()}") from None
    print(f"both nodes: {time.monotonic() - began:.0f} s")
    assert [label["pf.host"] for label in labels() if label.get("pf.role") == "head"] == ["head"]
    farm_runs(site, status)
    print(f"a phone of the host is available: {time.monotonic() - began:.0f} s")
    site.launcher("down", "-y", str(site.base / "cluster.yaml"))
    until(lambda: not site.machines["head"].pids("gcs/gcs_server"), "the head's Ray has ended", 60)
    site.ssh("h1", f"{PROGRAMS}/ray stop")
    until(lambda: not site.machines["h1"].pids("raylet/raylet"), "the host's Ray has ended", 60)


def farm_runs(site: Site, status: str) -> None:
    """A phone at the host's loopback, a farm on the head; the doctor looks at both machines."""
    words = [
        str(PROGRAMS / "phonefarm"),
        "sim",
        "--phones",
        "1",
        "--port-base",
        str(PHONE_PORT),
        "--profile",
        "instant",
    ]
    site.machines["h1"].start(words, "sim.log", env={**_CLEAN, "HOME": str(site.home)})
    address = site.machines["head"].address
    (site.machines["head"].disk / "farm.yaml").write_text(
        f"replicas: 1\nhosts:\n  h1: {{usb: false, connect: ['127.0.0.1:{PHONE_PORT}']}}\n"
    )
    told = site.ssh(
        "head",
        f"{status} {PROGRAMS}/phonefarm up --detach --address {address}:6379 --config ~/farm.yaml --host {address} "
        f"--no-haproxy --state-dir ~/state && echo IT IS UP",
    )
    assert "IT IS UP" in told, f"{told}\n{site.logs()}"

    def available() -> bool:
        told = site.ssh("head", f"{PROGRAMS}/phonefarm phones --json --state-dir ~/state")
        return '"available"' in told

    until(available, "a phone of the host is available", 120)
    told = site.ssh("head", f"{status} {PROGRAMS}/phonefarm doctor --json --state-dir ~/state")
    seen = json.loads(told[told.index("{") :])
    assert seen["machines"] == ["", "h1"]
    assert not [one for one in seen["findings"] if one["code"] in ("host_missing", "versions_differ", "farm_silent")]
    assert "ray_without_token" not in {one["code"] for one in seen["findings"]}
    print(json.dumps([(one["level"], one["host"], one["code"], one["what"]) for one in seen["findings"]], indent=1))
    told = site.ssh("head", f"{status} {PROGRAMS}/phonefarm down --state-dir ~/state")
    assert "has ended" in told, told
