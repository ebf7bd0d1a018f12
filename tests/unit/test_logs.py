"""What a line of the log is made of, that files are bounded, and that every place in the code keeps to it."""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import phonefarm
from phonefarm import logs
from phonefarm.errors import DeviceLost

pytestmark = pytest.mark.timeout(60)

ROOT = Path(phonefarm.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception"}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """The file that this process logs to, for one test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        yield logs.to_file(tmp_path, "phone:P1", phone="P1", host="local")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_when_who_and_about_what(path: Path) -> None:
    with logs.bound(process="p", attempt=2, account=None):
        logs.logger("phonefarm.x").info("thing.done", seconds=1.5)
    logs.logger("phonefarm.x").debug("thing.too_small")
    logs.logger("phonefarm.x").info("other.done")
    first, second = lines(path)
    assert path.name == "phone-P1.log"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", first.pop("at"))
    assert first.pop("pid") > 0
    assert first == {
        "level": "info",
        "event": "thing.done",
        "actor": "phone:P1",
        "phone": "P1",
        "host": "local",
        "process": "p",
        "attempt": 2,
        "seconds": 1.5,
    }
    assert "process" not in second, "what was bound holds no longer"


def test_an_error_of_ours_says_its_cause_and_what_to_do(path: Path) -> None:
    logs.logger("x").warning("phone.silent", error=DeviceLost("it is gone"))
    logs.logger("x").warning("news.missed", error=DeviceLost("it is gone"), next_step="none")
    logs.logger("x").warning("host.silent", error=TimeoutError())
    first, second, third = lines(path)
    assert (first["error"], first["cause"], first["next_step"]) == (DeviceLost.code, "it is gone", DeviceLost.next_step)
    assert second["next_step"] == "none"
    assert third["error"] == "timeout"
    assert third["cause"]
    assert third["next_step"]


def test_the_text_of_a_foreign_exception_is_not_written_but_its_place_is(path: Path) -> None:
    try:
        try:
            dict[str, str]()["canary-inner"]
        except KeyError as error:
            raise ValueError("canary-outer") from error
    except ValueError:
        logs.logger("x").exception("thing.broken", next_step=logs.REPORT_IT)
    (line,) = lines(path)
    assert "canary" not in path.read_text()
    assert line["cause"] == "ValueError"
    assert line["stack"][-1] == "builtins.ValueError"
    assert "builtins.KeyError" in line["stack"]
    assert any("test_logs.py" in place for place in line["stack"])


def test_what_a_library_logs_is_there_too(path: Path) -> None:
    logging.getLogger("some.library").warning("it said %s", "this")
    logging.getLogger("httpx").info("HTTP Request: POST http://example.com/?token=canary")
    (line,) = lines(path)
    assert (line["event"], line["message"], line["logger"]) == ("library.said", "it said this", "some.library")


_WRITER = """
import logging, sys
from pathlib import Path
from phonefarm.logs import BoundedFile
log = logging.getLogger()
log.addHandler(BoundedFile(Path(sys.argv[1]), most_bytes=4_000, kept=3))
for number in range(200):
    log.warning("%s %04d %s", sys.argv[2], number, "x" * 60)
"""


def test_several_processes_share_a_file_that_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "serve.log"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name]) for name in "ab"]
    assert [writer.wait(50) for writer in writers] == [0, 0]
    files = sorted(tmp_path.glob("serve.log*"))
    assert [file.name for file in files] == ["serve.log", "serve.log.1", "serve.log.2", "serve.log.3"]
    assert all(file.stat().st_size < 4_500 for file in files)
    kept = [line for file in files for line in file.read_text().splitlines()]
    assert all(re.fullmatch(r"[ab] \d{4} x{60}", line) for line in kept), "lines are whole"
    newest = {name: max(int(line[2:6]) for line in kept if line[0] == name) for name in {line[0] for line in kept}}
    assert 199 in newest.values()


# -- every place in the code -----------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(place, level, call) of each line that phonefarm logs."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id in ("log", "_log"):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.func.attr, node


def event_of(call: ast.Call) -> str:
    (name,) = call.args
    assert isinstance(name, ast.Constant), "an event's name is no sentence put together"
    return str(name.value)


def test_events_have_names_and_troubles_say_cause_and_next_step() -> None:
    found = list(calls())
    assert len(found) > 50
    for place, level, call in found:
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", event_of(call)), place
        given = {keyword.arg for keyword in call.keywords}
        if level == "exception":
            assert given & {"next_step", "error"}, place
        elif level in ("warning", "error"):
            assert "error" in given or {"cause", "next_step"} <= given, place


def test_each_event_is_explained_in_the_manual() -> None:
    manual = (ROOT.parent / "docs" / "logs.md").read_text()
    explained = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", manual, re.MULTILINE))
    assert {event_of(call) for _, _, call in calls()} | {"library.said"} == explained


def test_no_module_logs_past_the_one_room() -> None:
    for path in ROOT.rglob("*.py"):
        if "vphone" not in path.parts and path.name not in ("logs.py", "raydriver.py"):
            assert "getLogger" not in path.read_text(), path


def test_a_process_that_logs_does_not_load_what_paints_tracebacks() -> None:
    """structlog does wherever rich is installed; whoever needs rich still gets it, before or after."""
    script = """
import sys
{first}
import phonefarm.logs
print("rich" in sys.modules)
import rich.console
print("rich" in sys.modules)
"""
    for first, there in (("", "False\nTrue\n"), ("import rich", "True\nTrue\n")):
        done = subprocess.run([sys.executable, "-c", script.format(first=first)], capture_output=True, text=True)
        assert done.stdout == there, done.stderr
