"""Farms as a whole: two at once, down and up again, the demo."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.cli.kin import COOKIE_ENV
from phonefarm.cli.statedir import StateDir, runs
from tests.e2e.farm import KEY, Farm, farm, phonefarm, until, with_cookie

pytestmark = pytest.mark.timeout(400)

ACTORS = ("process_manager", "router", "callback_sender", "host:local", "phone:VP000001")


@pytest.fixture(scope="module")
def second() -> Iterator[Farm]:
    """A farm beside the session's own; the tests of it stand in the order in which they need it."""
    with farm("--sim", "1", "--profile", "instant") as running:
        yield running


@pytest.mark.fault(10)
def test_down_and_up_goes_on_where_it_was_beside_another_farm(here: Farm, second: Farm) -> None:
    second.wait_phones("VP000001")
    process_id = second.submit({"routing": "queue"}, videos_per_keyword=8)
    second.wait_actions(process_id, 3)
    second.down()
    assert with_cookie(second.file["cookie"]) == []
    assert here.client.get("/readyz").status_code == 200, "the other farm does not notice"
    second.up("--sim", "1", "--profile", "instant")
    view = second.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert [len(k["videos"]) for k in view["result"]["keywords"]] == [8]
    assert here.get("/processes?limit=200")["items"] != second.get("/processes")["items"]


def test_a_farm_whose_ray_lost_a_part_ends_by_itself_and_says_so(second: Farm) -> None:
    """The raylet ends well, as it does when its agent has died; Ray's own head process does not notice that."""
    (raylet,) = [pid for pid, name in _parts(second) if name == "raylet"]
    supervisor = StateDir(second.state_dir).read().supervisor
    os.kill(raylet, signal.SIGTERM)
    until(lambda: not runs(supervisor), "the supervisor has ended")
    assert f"Ray's raylet, process {raylet}" in (second.state_dir / "logs" / "up.log").read_text()
    assert with_cookie(second.file["cookie"]) == []


def _parts(running: Farm) -> list[tuple[int, str]]:
    """The farm's processes with the names of their programs."""
    found = []
    for line in with_cookie(running.file["cookie"]):
        pid = int(line.split()[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        found.append((pid, Path(words[0].decode()).name))
    return found


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


def test_the_demo_runs_to_its_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(with_cookie(f"{COOKIE_ENV}="))
    done = phonefarm("demo", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 6
    assert all(f"VP00000{n}" in done.stdout for n in (1, 2, 3))
    assert done.stdout.count("verified") == 3
    until(lambda: set(with_cookie(f"{COOKIE_ENV}=")) <= before, "the demo's processes are gone")
