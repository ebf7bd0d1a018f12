"""``phonefarm doctor`` on this machine, without a farm and with one that answers what was made beforehand; its page."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from phonefarm.cli import run
from phonefarm.cli.doctor.findings import KINDS
from phonefarm.cli.doctor.page import page
from phonefarm.cli.statedir import READY, FarmFile, StateDir, mark_of, write_private
from phonefarm.settings import API_KEY_ENV
from tests.unit.cli.fakefarm import KEY, fake_farm

pytestmark = pytest.mark.timeout(60)
DOCS = Path(__file__).parents[4] / "docs"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    made = StateDir(tmp_path / "farm")
    made.open()
    write_private(made.api_key_file, KEY)
    return made


def asked(state: StateDir, capsys: Capture, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the findings by their codes."""
    code = run(["doctor", "--json", "--state-dir", str(state.path), *words])
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == code
    return code, {one["code"]: one for one in told["findings"]}


def test_without_a_farm_it_looks_at_this_machine(tmp_path: Path, capsys: Capture) -> None:
    """Whatever is found here is one of the kinds, and nothing is made."""
    nowhere = StateDir(tmp_path / "none")
    code, findings = asked(nowhere, capsys)
    assert set(findings) <= set(KINDS)
    assert not {"farm_died", "farm_silent", "backup_never", "state_open"} & set(findings)
    levels = {one["level"] for one in findings.values()}
    assert code == (2 if "error" in levels else 1 if "warning" in levels else 0)
    assert not nowhere.path.exists()


def test_a_farm_that_died_and_one_whose_directory_lies_open(state: StateDir, capsys: Capture) -> None:
    state.write(FarmFile(state=READY, supervisor=None, url="http://127.0.0.1:1"))
    state.path.chmod(0o755)
    code, findings = asked(state, capsys)
    assert code == 2
    assert {"farm_died", "state_open"} <= set(findings)
    assert findings["state_open"]["cure"] == f"chmod 700 {state.path}"


def test_a_farm_that_answers_tells_its_phones(state: StateDir, capsys: Capture) -> None:
    with fake_farm() as farm:
        farm.answers["GET /readyz"] = [(200, {"status": "ready"})]
        phones = [("A", "available"), ("B", "unauthorized"), ("C", "offline")]
        listed = [{"phone_id": phone, "state": state, "host": "local"} for phone, state in phones]
        farm.answers["GET /phones"] = [(200, {"items": listed, "next_cursor": None})]
        state.write(FarmFile(state=READY, supervisor=mark_of(os.getpid()), url=farm.url))
        _, findings = asked(state, capsys)
        assert findings["phones_unauthorized"]["what"] == "not authorised: B"
        assert findings["phones_offline"]["what"] == "offline: C"
        assert "farm_silent" not in findings
        farm.answers["GET /readyz"] = [(503, {"status": 503, "code": "storage_full", "detail": "storage_full"})]
        code, findings = asked(state, capsys)
        assert code == 2
        assert "farm_silent" in findings


def test_a_database_that_is_away_is_named_without_its_password(state: StateDir, capsys: Capture) -> None:
    url = f"postgresql+psycopg://farm:s3cret@/farm?host={state.path}/nowhere"
    code, findings = asked(state, capsys, "--db", url)
    assert code == 2
    assert "s3cret" not in json.dumps(findings)
    assert "nowhere" in findings["postgres_away"]["what"]


def test_a_backup_is_remembered_and_missed_when_it_is_gone(state: StateDir, capsys: Capture, tmp_path: Path) -> None:
    from phonefarm.store.engine import open_engines
    from phonefarm.store.migrate import upgrade

    engines = open_engines(f"sqlite:///{state.path / 'farm.db'}")
    upgrade(engines)
    engines.dispose()
    state.lock_file.touch()
    os.utime(state.lock_file, (1_790_000_000, 1_790_000_000 - 10 * 86400))
    assert "backup_never" in asked(state, capsys)[1]
    file = tmp_path / "a.backup"
    assert run(["backup", str(file), "--state-dir", str(state.path)]) == 0
    capsys.readouterr()
    assert not [code for code in asked(state, capsys)[1] if code.startswith("backup")]
    file.chmod(0o644)
    assert "backup_open" in asked(state, capsys)[1]
    file.unlink()
    assert "backup_gone" in asked(state, capsys)[1]


def test_people_read_what_why_and_cure(state: StateDir, capsys: Capture) -> None:
    state.path.chmod(0o755)
    assert run(["doctor", "--state-dir", str(state.path)]) == 2
    told = capsys.readouterr().out
    assert f"error: {state.path} has the mode 0755  [state_open]" in told
    assert f"  cure  chmod 700 {state.path}" in told


def test_the_page_is_what_the_tables_say() -> None:
    assert (DOCS / "doctor.md").read_text("utf-8") == page(), "write it again: python -m phonefarm.cli.doctor.page"
