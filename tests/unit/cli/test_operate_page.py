"""docs/operate.md is held to the program: its commands, its units, its codes. So are the cures of the doctor."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.cli.doctor.findings import KINDS
from phonefarm.farmfile import read_farm_file
from phonefarm.models.states import WaitingReason
from phonefarm.serve.codes import PROBLEMS, process_errors
from tests.commandlines import refused

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parents[3]
PAGES = ("operate.md", "first-hour.md", "backup.md", "doctor.md", "client.md")
TEXT = (ROOT / "docs/operate.md").read_text("utf-8")
#: Who answers for trouble of the farm itself.
OF_THE_FARM = ("503", "500", "429")


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """Command lines of ``phonefarm``: those in fenced blocks, which are whole, and those that the text names."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found = (line.partition("  #")[0] for line in block.splitlines())
        yield from ((line, True) for line in found if line.startswith("phonefarm "))
    yield from ((line, False) for line in re.findall(r"(?<!`)`(phonefarm [^`]+)`(?!`)", text))


def words(line: str) -> list[str]:
    found = shlex.split(line)[1:]
    return found[: found.index("&&")] if "&&" in found else found


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists_with_its_options(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = list(lines(text))
    for line, whole in found:
        assert refused(words(line), whole=whole) is None, f"{page}: {line}"
    assert found or page == "client.md"


def test_a_command_that_is_not_there_is_found() -> None:
    ((line, whole),) = lines("```\nphonefarm fly --to moon\n```")
    assert whole
    assert refused(words(line))
    assert list(lines("write `phonefarm restore` here")) == [("phonefarm restore", False)]
    assert refused(["restore"])
    assert refused(["restore"], whole=False) is None
    assert refused(["restore", "--no-such-option"], whole=False)
    assert len(list(lines(TEXT))) > 20


def test_cures_name_commands_that_exist() -> None:
    for code, kind in KINDS.items():
        for line in re.findall(r"phonefarm [a-z][^;,:)]*", kind.cure):
            given = re.split(r" (?:behind|and|in|then)\b", line)[0]
            assert refused(shlex.split(given)[1:]) is None, f"{code}: {given}"


def test_every_unit_and_file_that_is_named_is_there_and_every_unit_is_named() -> None:
    units = {path.name for path in (ROOT / "deploy/systemd").iterdir()}
    named = set(re.findall(r"phonefarm-?\w*\.(?:service|timer)", TEXT))
    assert named <= units
    assert units - named <= {"phonefarm-backup.service"}, "which phonefarm-backup.timer stands for"
    for path in set(re.findall(r"`((?:deploy|docs)/[\w./-]+)`", TEXT)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(("page", "host"), [("operate.md", "rack-1"), ("first-hour.md", "local")])
def test_the_farm_yaml_of_a_page_is_taken(page: str, host: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "farm.yaml"
    file.write_text(block)
    assert [found.name for found in read_farm_file(file)["hosts"]] == [host]


def table(heading: str) -> dict[str, str]:
    """The rows of the table after a text: first cell to last."""
    after = TEXT[TEXT.index(heading) :]
    rows = after[after.index("|---|") :].partition("\n\n")[0].splitlines()[1:]
    cells = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    return {row[0].strip("`"): row[-1] for row in cells}


def test_every_reason_to_wait_and_every_code_of_trouble_has_a_row() -> None:
    assert set(table("## What waits, and why")) == {reason.value for reason in WaitingReason}
    trouble = {code for code, text in PROBLEMS.items() if text.startswith(OF_THE_FARM)}
    assert set(table("## Troubleshooting by code")) == trouble
    assert table("What stands in a process's `error`") == process_errors()
