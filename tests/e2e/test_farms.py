"""The suite's farm as a whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.e2e.farm import KEY, Farm, phonefarm

pytestmark = pytest.mark.timeout(400)

ACTORS = ("process_manager", "router", "callback_sender", "host:local", "phone:VP000001")


def test_secrets_are_readable_by_their_owner_only(here: Farm) -> None:
    for name in ("farm.json", "ray_token"):
        assert stat.S_IMODE((here.state_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(here.state_dir.stat().st_mode) == 0o700
    for log in (here.state_dir / "logs").iterdir():
        if log.is_file():
            assert KEY not in log.read_text(errors="replace"), f"the key stands in {log.name}"


def test_an_actor_s_process_loads_only_what_it_needs(here: Farm) -> None:
    """Ray imports the class of each actor that a process speaks to: a hundred phones would load SQL a hundred times."""
    holds_sql = {name: "/sqlalchemy/" in Path(f"/proc/{here.pid_of(name)}/maps").read_text() for name in ACTORS}
    assert holds_sql == {name: name == "process_manager" for name in ACTORS}


def test_a_second_farm_on_the_same_state_directory_is_refused_by_name(here: Farm) -> None:
    done = phonefarm("up", "--detach", "--port", "0", "--state-dir", str(here.state_dir))
    assert done.returncode != 0
    assert str(here.file["supervisor"]["pid"]) in done.stdout + done.stderr
