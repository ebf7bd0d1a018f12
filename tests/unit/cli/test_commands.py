"""The client commands against a farm with answers made beforehand, and every command's help."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phonefarm.cli import commands, run
from phonefarm.cli.statedir import READY, FarmFile, StateDir, write_private
from phonefarm.settings import API_KEY_ENV
from tests.unit.cli.fakefarm import KEY, FakeFarm, fake_farm

ID = "0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11"
COMMANDS = ("up", "down", "demo", "sim", "submit", "watch", "cancel", "processes", "phones")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    monkeypatch.setattr(commands, "POLL_SECONDS", 0.001)


@pytest.fixture
def farm() -> Iterator[FakeFarm]:
    with fake_farm() as made:
        yield made


@pytest.fixture
def state(tmp_path: Path, farm: FakeFarm) -> StateDir:
    """The state directory of the fake farm."""
    made = StateDir(tmp_path / "farm")
    made.open()
    made.write(FarmFile(state=READY, url=farm.url))
    write_private(made.api_key_file, KEY + "\n")
    return made


def process(status: str, done: int) -> dict[str, Any]:
    item = {"queue_item_id": "i", "phone_id": "VP000001", "status": status, "actions_done": done, "actions_total": 4}
    return {"process_id": ID, "status": status, "items": [item], "outcome": None, "error": None}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(name: str, capsys: Capture) -> None:
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Example: phonefarm {name}" in told
    assert "--json" in told


def test_help_lists_every_command(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f" {name} " in told for name in COMMANDS)


def test_a_wrong_option_is_refused(capsys: Capture) -> None:
    assert run(["phones", "--no-such-option"]) == 2
    assert "no-such-option" in capsys.readouterr().err


def test_submit_sends_the_file_and_says_the_process(
    farm: FakeFarm, state: StateDir, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"request_id": "r1"}')
    farm.answers["POST /capability-requests/enqueue"] = [(202, {"status": "accepted", "process_id": ID})]
    assert run(["submit", str(file), "--state-dir", str(state.path)]) == 0
    assert ID in capsys.readouterr().out
    assert farm.asked == [("POST /capability-requests/enqueue", {"request_id": "r1"})]


def test_submit_reads_standard_input_and_prints_json(
    farm: FakeFarm, state: StateDir, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"request_id": "r2"}'))
    answer = {"status": "accepted", "process_id": ID, "duplicate": True, "process_status": "completed"}
    farm.answers["POST /capability-requests/enqueue"] = [(200, answer)]
    assert run(["submit", "-", "--json", "--state-dir", str(state.path)]) == 0
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize("text", ["{", ""])
def test_submit_says_where_the_json_is_wrong(text: str, state: StateDir, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    assert run(["submit", str(file), "--state-dir", str(state.path)]) == 1
    assert "broken.json is not JSON" in capsys.readouterr().err


def test_a_refusal_is_told_with_every_fault_and_without_a_trace(
    farm: FakeFarm, state: StateDir, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "request.json"
    file.write_text("{}")
    faults = [{"loc": ["inputs", "keywords"], "code": "missing_field", "msg": "give [bold]some[/bold]"}]
    problem = {"title": "Validation failed", "status": 422, "code": "missing_field", "detail": "x:y", "errors": faults}
    farm.answers["POST /capability-requests/enqueue"] = [(422, problem)]
    assert run(["submit", str(file), "--state-dir", str(state.path)]) == 1
    told = capsys.readouterr().err
    for words in ("422", "Validation failed", "missing_field", "x:y", "inputs.keywords", "give [bold]some[/bold]"):
        assert words in told
    assert "Traceback" not in told


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed_terminal", 1), ("cancelled", 1)])
def test_watch_follows_to_the_end_and_its_exit_code_says_how(
    status: str, code: int, farm: FakeFarm, state: StateDir, capsys: Capture
) -> None:
    farm.answers[f"GET /processes/{ID}"] = [(200, process("executing", n)) for n in (0, 2)] + [
        (200, process(status, 4))
    ]
    assert run(["watch", ID, "--state-dir", str(state.path)]) == code
    told = capsys.readouterr().out
    assert "VP000001" in told
    assert status in told
    assert len(farm.asked) == 3


def test_watch_as_json_prints_a_line_a_change(farm: FakeFarm, state: StateDir, capsys: Capture) -> None:
    seen = [process("queued", 0), process("queued", 0), process("completed", 4)]
    farm.answers[f"GET /processes/{ID}"] = [(200, one) for one in seen]
    assert run(["watch", ID, "--json", "--state-dir", str(state.path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == ["queued", "completed"]


def test_cancel_asks_as_it_was_told(farm: FakeFarm, state: StateDir, capsys: Capture) -> None:
    farm.answers[f"POST /processes/{ID}/cancel"] = [(202, {"status": "cancel_requested"})]
    words = ["cancel", ID, "--reason", "no", "--strategy", "hard", "--state-dir", str(state.path)]
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"status": "cancel_requested"}
    ((_, body),) = farm.asked
    assert (body["reason"], body["strategy"], body["requested_by"]["system"]) == ("no", "hard", "phonefarm-cli")


def test_an_id_cannot_become_another_route(farm: FakeFarm, state: StateDir) -> None:
    assert run(["cancel", "../accounts", "--state-dir", str(state.path)]) == 1
    assert farm.asked[0][0] == "POST /processes/..%2Faccounts/cancel"


@pytest.mark.parametrize("name", ["phones", "processes"])
def test_lists_as_table_and_as_json(name: str, farm: FakeFarm, state: StateDir, capsys: Capture) -> None:
    item = {"phone_id": "VP000001", "state": "available", "process_id": "VP000001", "status": "completed"}
    answer = {"items": [item], "next_cursor": None}
    farm.answers[f"GET /{name}"] = [(200, answer)]
    assert run([name, "--state-dir", str(state.path)]) == 0
    assert "VP000001" in capsys.readouterr().out
    assert run([name, "--json", "--state-dir", str(state.path)]) == 0
    assert json.loads(capsys.readouterr().out) == answer


def test_processes_passes_its_filters_on(farm: FakeFarm, state: StateDir) -> None:
    farm.answers["GET /processes"] = [(200, {"items": []})]
    assert run(["processes", "--status", "queued", "--limit", "3", "--state-dir", str(state.path)]) == 0
    assert farm.asked[0][0] == "GET /processes?status=queued&limit=3"


def test_url_and_key_may_be_given(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["GET /phones"] = [(200, {"items": []})]
    nowhere = ["--state-dir", str(tmp_path / "nothing"), "--url", farm.url]
    assert run(["phones", *nowhere, "--key", KEY]) == 0
    assert run(["phones", *nowhere, "--key", "wrong"]) == 1
    assert run(["phones", *nowhere]) == 1
    told = capsys.readouterr().err
    assert "401" in told
    assert "no key" in told


def test_the_key_of_the_environment_is_used(farm: FakeFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.answers["GET /phones"] = [(200, {"items": []})]
    monkeypatch.setenv(API_KEY_ENV, KEY)
    assert run(["phones", "--state-dir", str(tmp_path), "--url", farm.url]) == 0


def test_no_farm_and_no_answer_are_told_with_what_to_do(tmp_path: Path, state: StateDir, capsys: Capture) -> None:
    assert run(["phones", "--state-dir", str(tmp_path / "nothing")]) == 1
    assert "phonefarm up" in capsys.readouterr().err
    assert run(["phones", "--url", "http://127.0.0.1:9", "--state-dir", str(state.path)]) == 1
    assert "no farm answers at http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, [1]), (500, b"oops")])
def test_what_is_no_farm_is_told_and_not_a_crash(
    answer: tuple[int, Any], farm: FakeFarm, state: StateDir, capsys: Capture
) -> None:
    farm.answers["GET /phones"] = [answer]
    assert run(["phones", "--state-dir", str(state.path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_what_cannot_be_sent_is_told_and_not_a_crash(
    farm: FakeFarm, state: StateDir, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "nan.json"
    file.write_text('{"priority": NaN}')
    assert run(["submit", str(file), "--state-dir", str(state.path)]) == 1
    assert "the body is not JSON" in capsys.readouterr().err
    assert run(["phones", "--key", "schlüssel", "--state-dir", str(state.path)]) == 1
    told = capsys.readouterr().err
    assert "the key" in told
    assert "schlüssel" not in told
    assert farm.asked == []


def test_down_without_a_farm_is_no_error(tmp_path: Path, state: StateDir, capsys: Capture) -> None:
    assert run(["down", "--state-dir", str(tmp_path / "nothing")]) == 0
    assert not (tmp_path / "nothing").exists()
    state.write(FarmFile())
    assert run(["down", "--json", "--state-dir", str(state.path)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ended"] is False


def test_up_on_a_directory_in_use_names_the_other(state: StateDir, capsys: Capture) -> None:
    for words in (["up"], ["up", "--detach"]):
        with state.alone():
            assert run([*words, "--state-dir", str(state.path)]) == 1
        assert "a farm already runs" in capsys.readouterr().err
