"""Nothing that comes from a farm has power over the terminal it is printed on."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import phonefarm.cli
from phonefarm.cli import run, views
from phonefarm.cli.terminal import Terminal, harmless, json_text
from tests.unit.cli.fakefarm import KEY, FakeFarm, fake_farm

pytestmark = pytest.mark.timeout(60)

#: Clears the screen, sets the window's title, asks the terminal to type its answer, goes back over the line, an 8-bit
#: control sequence, hidden text by direction marks, a line of its own, a link that is another.
ATTACKS = [
    "\x1b[2J\x1b[H",
    "\x1b]0;owned\x07",
    "\x1b[6n\x1b[c",
    "safe\x08\x08\x08\x08evil",
    "available\roffline",
    "\x9b31m",
    "\u202eelbaliava\u202c",
    "a\u2028b",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "[bold red]markup[/]",
    "\x00\x7f\ufeff\ue0001",
]
POWERFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def powers(text: str) -> set[str]:
    """Characters that a terminal could obey, but for the ends of lines."""
    return {c for c in text if unicodedata.category(c) in POWERFUL and c not in "\n\t\u200c\u200d"}


@given(st.text())
def test_harmless_has_no_powers_and_changes_nothing_else(text: str) -> None:
    shown = harmless(text)
    assert powers(shown) == set()
    if not powers(text):
        assert shown == text


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_has_no_powers_and_says_the_same(value: Any) -> None:
    text = json_text(value)
    assert powers(text) == set()
    assert json.loads(text) == value


@pytest.mark.parametrize("attack", ATTACKS)
def test_tables_lines_and_bars_are_plain(attack: str) -> None:
    """On a terminal without colours nothing of what is printed is a control character."""
    out = io.StringIO()
    console = Terminal(file=out, width=200, color_system=None)
    phone = {"phone_id": attack, "state": attack, "model": attack, "why": attack, "groups": [attack]}
    console.print(views.phones([phone]))
    console.print(views.processes([{"process_id": attack, "status": attack, "request_id": attack}]))
    error = {"code": "action_failed", "message": attack}
    console.print(views.process_line({"status": "failed_terminal", "outcome": attack, "error": error}))
    console.print(f"said: {attack}", markup=False)
    with views.Bars(console) as bars:
        item = {"queue_item_id": "i", "phone_id": attack, "status": attack, "action": attack}
        bars.show({"items": [item]})
    assert powers(out.getvalue()) == set()
    if "markup" in attack:
        assert attack in out.getvalue()


@pytest.fixture
def farm() -> Iterator[FakeFarm]:
    with fake_farm() as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_commands_print_what_a_farm_says_harmlessly(
    farm: FakeFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    phone = {"phone_id": "P", "state": "offline", "why": attack, "model": attack}
    farm.answers["GET /phones"] = [(200, {"items": [phone]})]
    farm.answers["GET /processes"] = [(409, {"title": attack, "status": 409, "code": "x", "detail": attack})]
    where = ["--state-dir", str(tmp_path), "--url", farm.url, "--key", KEY]
    assert run(["phones", *where]) == 0
    assert run(["phones", "--json", *where]) == 0
    assert run(["processes", *where]) == 1
    told = capsys.readouterr()
    assert powers(told.out + told.err) == set()


def test_there_is_no_other_console() -> None:
    for path in Path(phonefarm.cli.__file__).parent.glob("*.py"):
        if path.name != "terminal.py":
            assert "Console(" not in path.read_text("utf-8"), f"{path.name}: use Terminal"


def test_processes_can_be_read_in_eighty_columns() -> None:
    process = {
        "process_id": "01a2122f-7548-762c-9903-1e1c5e6860c9",
        "process_type": "keyword_warmup",
        "status": "completed",
        "partial_progress": {"percent": 100},
        "requested_by": {"system": "phonefarm-maintain"},
        "request_id": "reboot-a8d59692:VP021009:1",
        "timestamps": {"created_at": "2026-11-25T10:10:29.850Z"},
    }
    console = Terminal(file=io.StringIO(), width=80)
    console.print(views.processes([process]))
    words = console.file.getvalue().split()  # type: ignore[attr-defined]
    whole = [process["process_id"], "keyword_warmup", "completed", process["request_id"], "10:10:29", "11-25"]
    assert [word for word in whole if word not in words] == []
