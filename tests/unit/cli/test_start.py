"""What a user meets first: the program without a command, ``init``, completion, and how quick it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phonefarm.cli import run
from phonefarm.cli.statedir import READY, STOPPED, FarmFile, StateDir, write_private
from phonefarm.farmfile import read_farm_file
from phonefarm.settings import API_KEY_ENV
from tests.unit.cli.fakefarm import KEY, FakeFarm, fake_farm

pytestmark = pytest.mark.timeout(120)

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

#: Libraries that take long to import and that ``--help`` has no use for.
HEAVY = ("httpx", "jsonschema", "adbutils", "pydantic", "yaml", "asyncio", "ray", "sqlalchemy", "fastapi")


def test_help_loads_no_heavy_library() -> None:
    code = f"import sys, phonefarm.cli; print(*[name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=110)
    assert told.stdout.split() == []


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(API_KEY_ENV, raising=False)


def farm_here(farm: FakeFarm) -> StateDir:
    """The state directory of whoever names none, with the fake farm in it."""
    state = StateDir(Path(".phonefarm"))
    state.open()
    state.write(FarmFile(state=READY, url=farm.url))
    write_private(state.api_key_file, KEY + "\n")
    phones = [{"phone_id": name, "state": how} for name, how in (("VP1", "available"), ("VP2", "busy"), ("X", "busy"))]
    farm.answers["GET /phones"] = [(200, {"items": phones, "next_cursor": None})]
    return state


def test_the_program_alone_says_where_to_start(capsys: Capture) -> None:
    assert run([]) == 0
    told = capsys.readouterr().out
    assert [line.split("  ")[1].strip() for line in told.splitlines() if line.startswith("  ")] == [
        "phonefarm demo", "phonefarm up", "phonefarm init",
    ]  # fmt: skip
    assert "phonefarm --help" in told
    assert len(told.splitlines()) < 12
    assert not Path(".phonefarm").exists(), "looking makes nothing"


def test_the_program_alone_says_how_the_farm_is(capsys: Capture) -> None:
    with fake_farm() as farm:
        state = farm_here(farm)
        assert run([]) == 0
        assert "has ended by itself" in capsys.readouterr().out, "nobody holds the directory"
        with state.lock_file.open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert run([]) == 0
            told = capsys.readouterr().out
            assert f"at {farm.url}: 3 phones (1 available, 2 busy)" in told
            assert "phonefarm down" in told
            farm.answers.clear()
            assert run([]) == 0
            assert "does not answer (refused)" in capsys.readouterr().out
        state.write(FarmFile(state=STOPPED))
        assert run([]) == 0
        assert "is down; up goes on where it was" in capsys.readouterr().out


def test_init_writes_a_file_and_its_schema_and_replaces_nothing_unasked(capsys: Capture) -> None:
    assert run(["init"]) == 0
    assert "phonefarm up --config farm.yaml" in capsys.readouterr().out
    assert read_farm_file(Path("farm.yaml")) == {}
    assert "properties" in json.loads(Path("farm.schema.json").read_text())
    Path("farm.yaml").write_text("app: mine\n")
    assert run(["init"]) == 1
    assert "there already; --force" in capsys.readouterr().err
    assert Path("farm.yaml").read_text() == "app: mine\n"
    assert run(["init", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": ["farm.yaml", "farm.schema.json"]}
    assert read_farm_file(Path("farm.yaml")) == {}
    assert run(["init", "--output", "none/farm.yaml"]) == 1


def completed(line: str, monkeypatch: Patch, capsys: Capture) -> list[str]:
    """What bash would offer for the last word of a line."""
    monkeypatch.setenv("_PHONEFARM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    assert run([]) == 0
    return capsys.readouterr().out.split()


def test_commands_and_ids_are_completed(monkeypatch: Patch, capsys: Capture) -> None:
    with fake_farm() as farm:
        assert completed("phonefarm pho", monkeypatch, capsys) == ["phones", "phone"]
        assert completed("phonefarm phone pau", monkeypatch, capsys) == ["pause"]
        assert completed("phonefarm phone pause V", monkeypatch, capsys) == [], "no farm, no ids"
        farm_here(farm)
        assert completed("phonefarm phone pause V", monkeypatch, capsys) == ["VP1", "VP2"]
        processes = [
            {"process_id": name, "process_type": "maintenance", "status": "queued"} for name in ("0193", "0194")
        ]
        farm.answers["GET /processes"] = [(200, {"items": processes, "next_cursor": None})]
        assert completed("phonefarm watch 0193", monkeypatch, capsys) == ["0193"]
        farm.answers.clear()
        assert completed("phonefarm watch 0193", monkeypatch, capsys) == []
        Path(".phonefarm/campaigns").mkdir()
        Path(".phonefarm/campaigns/nightly.json").write_text("{}")
        assert completed("phonefarm maintain resume n", monkeypatch, capsys) == ["nightly"]


def test_bash_takes_the_script_that_the_program_prints(tmp_path: Path) -> None:
    script = (
        'eval "$(phonefarm --show-completion)" && COMP_WORDS=(phonefarm maint) COMP_CWORD=1 && '
        '_phonefarm_completion phonefarm && echo "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    told = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=110, env={**os.environ, "PATH": path}
    )
    assert told.stdout.split() == ["maintain"], told.stderr
