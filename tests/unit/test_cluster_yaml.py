"""cluster.yaml: what it says must fit the actors. That Ray's launcher takes it is shown in ``tests.architecture``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
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


@pytest.mark.parametrize("role", ["head", "host"])
def test_every_node_is_started_as_that_of_a_farm_of_one_node(role: str) -> None:
    config = yaml.safe_load(CLUSTER.read_text())
    line = start_line(config, f"{'worker' if role == 'host' else role}_start_ray_commands")
    unit = (CLUSTER.parent / "deploy" / "systemd" / f"phonefarm-{role}.service").read_text()
    wanted = raynode.EVERY_NODE | (raynode.EVERY_HEAD if role == "head" else {})
    for text in (line, unit):
        said = dict(re.findall(r"(?<!\S)(?:Environment=)?(RAY_\w+)=(\S+)", text))
        assert {name: said.get(name) for name in wanted} == wanted
