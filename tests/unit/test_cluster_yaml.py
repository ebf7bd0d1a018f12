"""cluster.yaml: what it says must fit the actors. That Ray's launcher takes it is shown in ``tests.architecture``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from phonefarm.actors.spawn import HEAD_LABEL, HOST_LABEL
from phonefarm.cli import raynode

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


def start_line(config: dict[str, Any], which: str) -> str:
    (line,) = [command for command in config[which] if "ray start" in command]
    return str(line)


def test_its_nodes_have_the_labels_that_actors_are_pinned_by_and_need_a_token() -> None:
    config = yaml.safe_load(CLUSTER.read_text())
    head, host = (start_line(config, f"{role}_start_ray_commands") for role in ("head", "worker"))
    labels = [re.findall(r"--labels=(\S+)", line)[0] for line in (head, host)]
    assert f"{HEAD_LABEL}=head" in labels[0].split(",")
    assert all(f"{HOST_LABEL}=" in label for label in labels)
    assert HEAD_LABEL not in labels[1]
    for line in (head, host):
        assert "RAY_AUTH_MODE=token" in line
        assert "--object-store-memory=" in line
    assert "RAY_gcs_storage=rocksdb RAY_gcs_storage_path=" in head


def test_workers_of_every_node_are_started_as_those_of_a_farm_of_one_node() -> None:
    config = yaml.safe_load(CLUSTER.read_text())
    lines = [start_line(config, f"{role}_start_ray_commands") for role in ("head", "worker")]
    units = [
        (CLUSTER.parent / "deploy" / "systemd" / f"phonefarm-{role}.service").read_text() for role in ("head", "host")
    ]
    for text in (*lines, *units):
        for name in ("RAY_worker_niceness", "RAY_event_stats"):
            assert re.search(rf"\b{name}={raynode.EVERY_NODE[name]}\b", text)
