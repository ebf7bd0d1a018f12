"""From options and farm.yaml to settings and to the command line of Ray."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest

from phonefarm.cli import plan, raynode
from phonefarm.cli.plan import UpOptions
from phonefarm.cli.statedir import StateDir
from phonefarm.errors import ConfigError
from phonefarm.farmfile import read_farm_file
from phonefarm.settings import SECOND_SECRET_ENV, WEBHOOK_SECRET_ENV, HostSettings, Settings

PORTS = {name: 22_000 + index for index, name in enumerate((*raynode.PORTS, *raynode.ROWS))}


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "farm")
    made.open()
    return made


def made(state: StateDir, options: UpOptions, config: dict[str, Any], addresses: tuple[str, ...] = ()) -> Settings:
    return plan.settings(options, config, state=state, port=8123, adb_port=22_222, addresses=addresses)


def test_real_phones_hang_on_cables(state: StateDir) -> None:
    settings = made(state, UpOptions(), {})
    assert settings.hosts == (HostSettings(name="local", usb=True),)
    assert settings.callbacks_allow == ()
    assert settings.db_url == f"sqlite:///{state.path / 'farm.db'}"
    assert (settings.port, settings.adb_port, settings.api_key) == (8123, 22_222, state.api_key())


def test_virtual_phones_are_connected_grouped_and_may_call_back_to_loopback(state: StateDir) -> None:
    settings = made(state, UpOptions(sim=2), {}, ("127.0.0.1:21000", "127.0.0.1:21001"))
    (host,) = settings.hosts
    assert host == HostSettings(
        name="local", usb=False, groups=("sim",), connect=("127.0.0.1:21000", "127.0.0.1:21001")
    )
    assert settings.callbacks_allow == ("127.0.0.0/8", "::1/128")


def test_options_win_over_the_file_and_the_file_is_heard(tmp_path: Path, state: StateDir) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text(
        "replicas: 1\ncallbacks: {allow: ['10.0.0.0/8']}\n"
        "hosts: {rack: {connect: ['192.0.2.1:5555'], groups: [a], usb: true}}\n"
    )
    settings = made(state, UpOptions(db="sqlite:////elsewhere.db"), read_farm_file(file), ("127.0.0.1:21000",))
    (host,) = settings.hosts
    assert host.name == "rack"
    assert host.usb
    assert host.groups == ("a", "sim")
    assert host.connect == ("192.0.2.1:5555", "127.0.0.1:21000")
    assert settings.db_url == "sqlite:////elsewhere.db"
    assert settings.callbacks_allow == ("10.0.0.0/8", "127.0.0.0/8", "::1/128")
    assert settings.replicas == 1


def test_several_hosts_need_a_ray_cluster_they_can_join() -> None:
    config = {"hosts": (HostSettings(name="one"), HostSettings(name="two"))}
    with pytest.raises(ConfigError, match="two"):
        plan.check(UpOptions(), config)
    plan.check(UpOptions(address="head:6379"), config)


def test_options_survive_the_way_through_a_command_line(tmp_path: Path) -> None:
    options = UpOptions(
        sim=2, port=0, state_dir=tmp_path, config=tmp_path / "farm.yaml", haproxy=False, db="sqlite:///x"
    )
    words = options.argv()
    assert words[words.index("--sim") + 1] == "2"
    assert words[words.index("--config") + 1] == str(tmp_path / "farm.yaml")
    assert words[words.index("--db") + 1] == "sqlite:///x"
    assert "--no-haproxy" in words
    assert "--address" not in words


def test_ray_gets_ports_and_directory_of_this_farm_alone(state: StateDir) -> None:
    words = raynode.command(temp_dir=Path("/tmp/pf-x"), ports=PORTS, host="rack")
    assert "--temp-dir=/tmp/pf-x/r" in words, "inside the private one, since Ray opens its own to everybody"
    assert "--labels=pf.role=head,pf.host=rack" in words
    assert f"--port={PORTS['gcs']}" in words
    assert "--dashboard-host=127.0.0.1" in words


def test_the_environment_closes_ray_and_keeps_the_token_out_of_it(state: StateDir) -> None:
    state.ray_token()
    variables = raynode.environment(state=state, temp_dir=Path("/tmp/pf-x"), ports=PORTS, cookie="c", haproxy=True)
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["RAY_AUTH_TOKEN_PATH"] == str(state.ray_token_file)
    assert state.ray_token_file.read_text().strip() not in variables.values()
    assert variables["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert variables["RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"] == str(PORTS["replica_http"] + 31)
    without = raynode.environment(state=state, temp_dir=Path("/t"), ports=PORTS, cookie="c", haproxy=False)
    assert without["RAY_SERVE_ENABLE_HA_PROXY"] == without["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"


def test_the_farm_does_not_yield_to_every_other_program(state: StateDir) -> None:
    """Ray's default gives its workers a niceness of 15: manager, phones and ingress would go last on a busy machine."""
    variables = raynode.environment(state=state, temp_dir=Path("/t"), ports=PORTS, cookie="c", haproxy=True)
    assert variables["RAY_worker_niceness"] == "0"


@pytest.mark.parametrize("length", [11, 12, 45])
def test_the_directory_for_sockets_is_short_and_private(
    monkeypatch: pytest.MonkeyPatch, state: StateDir, length: int
) -> None:
    place = Path(f"/tmp/{secrets.token_hex(20)}"[:length])
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    made_dir = raynode.make_temp_dir()
    try:
        assert made_dir.is_relative_to(place) == (length <= 11)
        assert made_dir.stat().st_mode & 0o777 == 0o700
        longest = made_dir / "h" / ("f" * 56) / "metrics.sock"
        assert len(os.fsencode(longest)) + len(".4194304.tmp") <= 107, "HAProxy binds it under another name first"
        variables = raynode.environment(state=state, temp_dir=made_dir, ports=PORTS, cookie="c", haproxy=True)
        assert Path(variables["TMPDIR"]).is_relative_to(made_dir), "removed with it, whatever is left in it"
        assert Path(variables["TMPDIR"]).is_dir()
    finally:
        shutil.rmtree(made_dir)
        shutil.rmtree(place)


def test_the_judge_s_endpoint_comes_from_the_environment(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY"):
        monkeypatch.delenv(f"PHONEFARM_JUDGE_{name}", raising=False)
    assert made(state, UpOptions(), {}).judge is None
    monkeypatch.setenv("PHONEFARM_JUDGE_URL", "http://127.0.0.1:8080/v1")
    with pytest.raises(ConfigError, match="PHONEFARM_JUDGE_MODEL"):
        made(state, UpOptions(), {})
    monkeypatch.setenv("PHONEFARM_JUDGE_MODEL", "tiny")
    monkeypatch.setenv("PHONEFARM_JUDGE_KEY", "secret")
    judge = made(state, UpOptions(), {}).judge
    assert judge is not None
    assert (judge.url, judge.model, judge.key) == ("http://127.0.0.1:8080/v1", "tiny", "secret")
    assert "secret" not in repr(judge)
    monkeypatch.setenv("PHONEFARM_JUDGE_URL", "127.0.0.1:8080")
    with pytest.raises(ConfigError, match="http"):
        made(state, UpOptions(), {})


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (64, 4)])
def test_haproxy_never_has_more_threads_than_cores(cores: int, threads: int) -> None:
    assert raynode.haproxy_threads(cores) == threads


def test_both_webhook_secrets_reach_the_settings_and_no_repr(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEBHOOK_SECRET_ENV, "first-one")
    monkeypatch.setenv(SECOND_SECRET_ENV, "second-one")
    settings = made(state, UpOptions(), {})
    assert (settings.webhook_secret, settings.webhook_secret_second) == ("first-one", "second-one")
    assert "one" not in repr(settings).replace("None", "")
