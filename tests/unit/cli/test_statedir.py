"""The state directory: its modes, its lock, and what farm.json keeps."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from phonefarm.cli.statedir import READY, FarmFile, StateDir, mark_of, runs, write_private
from phonefarm.devices.processes import Mark
from phonefarm.errors import ConfigError
from phonefarm.settings import API_KEY_ENV, SECOND_SECRET_ENV, WEBHOOK_SECRET_ENV


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """``read_secrets`` reads the environment of the process."""
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    monkeypatch.delenv(WEBHOOK_SECRET_ENV, raising=False)
    monkeypatch.delenv(SECOND_SECRET_ENV, raising=False)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "farm")
    made.open()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_is_for_its_owner_alone(state: StateDir) -> None:
    assert mode(state.path) == 0o700
    state.path.chmod(0o755)
    state.open()
    assert mode(state.path) == 0o700


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        StateDir(tmp_path / "file" / "farm").open()


def test_a_key_is_made_once_and_kept_for_its_owner_alone(state: StateDir) -> None:
    key = state.api_key()
    assert key.startswith("pf_")
    assert len(key) >= 43
    assert mode(state.api_key_file) == 0o600
    assert StateDir(state.path).api_key() == key
    assert state.known_api_key() == key


def test_a_key_file_that_others_could_read_is_closed(state: StateDir) -> None:
    state.api_key()
    state.api_key_file.chmod(0o644)
    state.api_key()
    assert mode(state.api_key_file) == 0o600


def test_the_key_of_the_environment_wins_and_is_not_written_down(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY_ENV, "from-outside")
    assert state.api_key() == "from-outside"
    assert state.known_api_key() == "from-outside"
    assert not state.api_key_file.exists()


def test_a_client_makes_no_key(state: StateDir) -> None:
    assert state.known_api_key() is None
    assert not state.api_key_file.exists()


def test_the_ray_token_is_for_its_owner_alone(state: StateDir) -> None:
    state.ray_token()
    assert mode(state.ray_token_file) == 0o600
    assert len(state.ray_token_file.read_text().strip()) == 64


def test_a_kept_webhook_secret_gives_way_to_the_environment(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.webhook_secret() is None
    write_private(state.webhook_secret_file, "kept\n")
    assert state.webhook_secret() == "kept"
    monkeypatch.setenv(WEBHOOK_SECRET_ENV, "outside")
    assert state.webhook_secret() == "outside"


def test_a_second_webhook_secret_needs_a_first(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.webhook_secret_second() is None
    write_private(state.path / "webhook_secret_second", "new\n")
    with pytest.raises(ConfigError, match=WEBHOOK_SECRET_ENV):
        state.webhook_secret_second()
    write_private(state.webhook_secret_file, "old\n")
    assert state.webhook_secret_second() == "new"
    monkeypatch.setenv(SECOND_SECRET_ENV, "newer")
    assert state.webhook_secret_second() == "newer"


def test_farm_json_is_read_as_it_was_written(state: StateDir) -> None:
    farm = FarmFile(
        state=READY,
        version="1",
        supervisor=Mark(pid=5, started="x"),
        ray=None,
        sim=Mark(pid=6, started="y"),
        cookie="c",
        url="http://127.0.0.1:1",
        temp_dir="/tmp/pf-1",
        ports={"adb": 7},
        hosts=("local",),
    )
    state.write(farm)
    assert state.read() == farm
    assert mode(state.farm_json) == 0o600
    assert state.update(url="other").url == "other"
    assert state.read().supervisor == Mark(pid=5, started="x")


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"supervisor": {"pid": "x"}}', "7"])
def test_a_broken_farm_json_reads_as_none(state: StateDir, text: str) -> None:
    state.farm_json.write_text(text)
    assert state.read() == FarmFile()


def test_names_of_a_newer_version_are_passed_over(state: StateDir) -> None:
    state.farm_json.write_text('{"url": "u", "later": 1}')
    assert state.read().url == "u"


def test_one_farm_a_directory(state: StateDir) -> None:
    state.write(FarmFile(supervisor=Mark(pid=4711, started="x")))
    assert not state.held()
    with state.alone():
        assert state.held()
        with pytest.raises(ConfigError, match="4711"), StateDir(state.path).alone():
            pytest.fail("two hold it")
    assert not state.held()


def test_a_mark_is_of_one_process_only() -> None:
    me = mark_of(os.getpid())
    assert runs(me)
    assert not runs(Mark(pid=me.pid, started="another time"))
    assert not runs(Mark(pid=me.pid))
    assert not runs(None)
