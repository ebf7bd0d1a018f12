"""The operators' commands against a farm with answers made beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.cli import run
from phonefarm.settings import API_KEY_ENV
from tests.unit.cli.fakefarm import KEY, FakeFarm, fake_farm

pytestmark = pytest.mark.timeout(30)
Capture = pytest.CaptureFixture[str]
MADE = {"name": "ci", "scopes": ["read"], "system": None, "created_at": "2026-11-24T00:00:00.000Z", "revoked_at": None}


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFarm]:
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    with fake_farm() as made:
        yield made


def at(farm: FakeFarm, tmp_path: Path, *words: str) -> list[str]:
    return [*words, "--url", farm.url, "--key", KEY, "--state-dir", str(tmp_path)]


def test_a_key_is_made_and_its_secret_shown_once(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["POST /keys"] = [(201, {**MADE, "secret": "pf_secret"})]
    words = at(farm, tmp_path, "keys", "create", "ci", "--scope", "read", "--scope", "submit", "--system", "ci")
    assert run(words) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "pf_secret"
    assert "shown once" in told
    assert farm.asked == [("POST /keys", {"name": "ci", "scopes": ["read", "submit"], "system": "ci"})]
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["secret"] == "pf_secret"


def test_keys_are_listed_and_revoked(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["GET /keys"] = [(200, {"items": [MADE], "next_cursor": None})]
    assert run(at(farm, tmp_path, "keys", "list")) == 0
    assert "ci" in capsys.readouterr().out
    assert run(at(farm, tmp_path, "keys", "list", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [MADE]
    farm.answers["DELETE /keys/ci"] = [(200, MADE)]
    assert run(at(farm, tmp_path, "keys", "revoke", "ci")) == 0
    assert "revoked: ci" in capsys.readouterr().out


def test_a_phone_is_drained_with_a_reason(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["POST /phones/VP000001/drain"] = [(200, {"phone_id": "VP000001", "state": "busy", "draining": True})]
    assert run(at(farm, tmp_path, "phone", "drain", "VP000001", "--reason", "new battery")) == 0
    assert "VP000001 is busy, draining" in capsys.readouterr().out
    assert farm.asked == [("POST /phones/VP000001/drain", {"reason": "new battery"})]
    assert run(at(farm, tmp_path, "phone", "drain", "VP000001")) == 2
    assert run(at(farm, tmp_path, "phone", "paint", "VP000001", "--reason", "x")) == 2


def test_the_queue_says_why(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    item = {"position": 1, "process_id": "p-1", "phone_id": None, "priority": 5, "reason": "no_phone_online"}
    farm.answers["GET /queue"] = [(200, {"items": [item], "next_cursor": None})]
    assert run(at(farm, tmp_path, "queue")) == 0
    assert "no_phone_online" in capsys.readouterr().out


def test_capabilities_are_listed_with_what_they_support(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    yes, no = {"supported": True, "code": None}, {"supported": False, "code": "unsupported_mode:x:unattended"}
    modes = {"manual": yes, "unattended": no}
    item = {"capability": "maintenance", "modes": modes, "routings": {"queue": yes}, "summary": "upkeep"}
    farm.answers["GET /capabilities"] = [(200, {"items": [item], "next_cursor": None})]
    assert run(at(farm, tmp_path, "capabilities")) == 0
    told = capsys.readouterr().out
    assert "maintenance" in told
    assert "manual" in told
    assert "unattended" not in told
    assert run(at(farm, tmp_path, "capabilities", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [item]


def test_a_replay_names_its_request(farm: FakeFarm, tmp_path: Path, capsys: Capture) -> None:
    farm.answers["POST /processes/p-1/replay"] = [(202, {"status": "accepted", "process_id": "p-2"})]
    assert run(at(farm, tmp_path, "replay", "p-1", "--request-id", "again")) == 0
    assert "p-2" in capsys.readouterr().out
    ((_, body),) = farm.asked
    assert body == {"request_id": "again", "requested_by": {"system": "phonefarm-cli"}}


@pytest.mark.parametrize(
    "words",
    [
        ["keys", "create"],
        ["keys", "list"],
        ["keys", "revoke"],
        ["phone"],
        ["drain"],
        ["queue"],
        ["capabilities"],
        ["replay"],
    ],
)
def test_every_command_has_an_example_and_json(words: list[str], capsys: Capture) -> None:
    assert run([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Example: phonefarm {' '.join(words)}" in told
    assert "--json" in told
