"""The lines of several files in one order, chosen and shown for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phonefarm.cli import run

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    logs.mkdir()

    def line(second: int, event: str, level: str = "info", **more: object) -> str:
        at = f"2026-11-25T10:00:{second:02}.000000Z"
        return json.dumps({"at": at, "level": level, "event": event, "actor": "a", "pid": 4711, **more}) + "\n"

    (logs / "router.log.1").write_text(line(1, "thing.first", process="p"))
    (logs / "router.log").write_text(line(4, "thing.fourth", "warning", process="p", cause="odd \x1b[31m", error=None))
    (logs / "phone-P1.log").write_text(
        line(2, "thing.second", phone="P1", process="p") + line(3, "thing.third", "debug")
    )
    (logs / "ray.log").write_text('not ours\n{"at": 1}\n[1]\n')
    return tmp_path


def shown(state_dir: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert run(["logs", "--state-dir", str(state_dir), *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_all_files_in_one_order(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(state_dir, capsys)
    assert [line.split()[2] for line in lines] == ["thing.first", "thing.second", "thing.third", "thing.fourth"]
    assert lines[1] == "2026-11-25T10:00:02.000000Z info    thing.second (a) phone=P1 process=p"
    assert lines[3].endswith("thing.fourth (a) process=p cause=odd \\x1b[31m")


@pytest.mark.parametrize(
    ("words", "events"),
    [
        (("--process", "p"), ["first", "second", "fourth"]),
        (("--phone", "P1"), ["second"]),
        (("--level", "info", "--process", "p", "--last", "2"), ["second", "fourth"]),
        (("--level", "error"), []),
    ],
)
def test_lines_are_chosen(
    state_dir: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], events: list[str]
) -> None:
    found = [json.loads(line)["event"] for line in shown(state_dir, capsys, "--json", *words)]
    assert found == [f"thing.{event}" for event in events]


def test_a_level_that_is_none_is_refused(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "--state-dir", str(state_dir), "--level", "loud"]) == 1
    assert "--level is one of" in capsys.readouterr().err
