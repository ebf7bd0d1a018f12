"""Where no namespaces are permitted: two hosts as Ray nodes of one machine (``ray.cluster_utils``).

One network, one process table and one disk for all, so what needs a cut or a power loss of its own is not shown here: a
short cut, a long cut, a phone that moves (both hosts would share one adb port), the head's loss. Elsewhere these are in
``test_hosts``, which shows all that is shown here too, so this module runs only where that one cannot, or where
PHONEFARM_TEST_CLUSTER_UTILS is set.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.farm import Farm, farm, until
from tests.hosts.spaces import why_not

WANTED = why_not() is not None or bool(os.environ.get("PHONEFARM_TEST_CLUSTER_UTILS"))
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not WANTED, reason="network namespaces are permitted, so test_hosts shows all of this and more"),
]


class Nodes:
    """A Ray cluster whose only host node can be lost and come back."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster: Any = Cluster()
        self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000, labels={"pf.role": "head"})
        self.host: Any = None
        self.come()

    def come(self) -> None:
        self.host = self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000, labels={"pf.host": "h1"})

    def go(self) -> None:
        self.cluster.remove_node(self.host, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    token = tmp_path_factory.mktemp("token") / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
        made = Nodes()
        try:
            yield made
        finally:
            made.cluster.shutdown()


@pytest.fixture(scope="module")
def made(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    config = tmp_path_factory.mktemp("hosts") / "farm.yaml"
    config.write_text("lease_seconds: 6\nreplicas: 1\nhosts: {h1: {usb: false}}\n")
    with farm("--sim", "2", "--profile", "instant", "--config", str(config), "--address", nodes.cluster.address) as up:
        up.wait_phones("VP000001", "VP000002")
        yield up


def pid_of(here: Farm, actor: str) -> int | None:
    path: Path = here.state_dir / "logs" / f"{actor.replace(':', '-')}.log"
    return here.pid_of(actor) if path.exists() else None


@pytest.mark.fault(12)
def test_a_host_that_is_lost_comes_back_by_its_label(made: Farm, nodes: Nodes) -> None:
    assert made.phones()["VP000001"]["host"] == "h1"
    process_id = made.submit({"routing": "direct", "phone_id": "VP000001"}, videos_per_keyword=8)
    made.wait_actions(process_id, 2)
    manager, phone = pid_of(made, "process_manager"), pid_of(made, "phone:VP000001")
    nodes.go()
    made.wait_phones("VP000001", "VP000002", state="offline")
    reason = "phone_offline"  # after its back-off
    until(
        lambda: (made.process(process_id).get("waiting") or {}).get("reason") == reason, "its work waits and says why"
    )
    nodes.come()
    view = made.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert view["attempts"] == 2
    assert pid_of(made, "process_manager") == manager
    assert pid_of(made, "phone:VP000001") != phone
