"""Progress: a bar for whoever watches, lines for whoever does not."""

from __future__ import annotations

import io

import pytest

from phonefarm.cli.progress import Work
from phonefarm.cli.terminal import Terminal
from phonefarm.cli.voice import Voice

pytestmark = pytest.mark.timeout(30)


def worked(*, terminal: bool, total: int | None, quiet: bool = False) -> str:
    """All that a work of two steps writes."""
    file = io.StringIO()
    console = Terminal(file=file, force_terminal=terminal, width=100, color_system=None)
    with Work(console, "waiting", total=total, quiet=quiet) as work:
        console.print("the first line")
        work.show(1, "evil \x1b[2J")
        console.print("the second line")
    return file.getvalue()


def test_a_terminal_shows_how_far_it_is_and_lines_above() -> None:
    told = worked(terminal=True, total=3)
    assert "waiting" in told
    assert "1/3" in told
    assert "evil \\x1b[2J" in told
    assert "\x1b[2J" not in told
    assert "the first line" in told
    assert told.rindex("the second line") < told.rindex("1/3"), "the bar stands below"


def test_work_of_no_known_length_has_no_count() -> None:
    told = worked(terminal=True, total=None)
    assert "waiting" in told
    assert "/?" not in told
    assert "0:00:0" in told


@pytest.mark.parametrize(("terminal", "quiet"), [(False, False), (False, True), (True, True)])
def test_nobody_who_watches_gets_lines_only(terminal: bool, quiet: bool) -> None:
    assert worked(terminal=terminal, total=3, quiet=quiet) == "the first line\nthe second line\n"


def test_steps_are_said_as_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    voice = Voice(as_json=False)
    with voice.work("starting", total=2):
        voice.step("one")
        voice.step("two")
    voice.step("three")
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
