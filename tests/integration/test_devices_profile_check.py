"""``profile check`` and ``profile record`` on virtual phones: both apps, and a profile that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from phonefarm.cli import app
from phonefarm.devices.profiles import parse_profile
from tests.integration.test_devices_rack import Phone, Rack, rack_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(4, tmp_path_factory.mktemp("rack")) as made:
        yield made


@pytest.fixture
def phone(rack: Rack) -> Phone:
    return rack.next()


def invoke(phone: Phone, *words: str) -> tuple[int, str]:
    at = ["--serial", phone.address, "--adb-port", str(phone.rack.server.port)]
    result = CliRunner().invoke(app, ["profile", *words, *at])
    return result.exit_code, result.output


@pytest.mark.parametrize("name", ["feed", "reader"])
def test_a_shipped_profile_holds_and_nothing_is_changed(phone: Phone, name: str) -> None:
    code, said = invoke(phone, "check", name, "--keyword", "bread", "--json")
    body = json.loads(said)
    assert (code, body["good"], body["troubles"]) == (0, True, []), said
    facts = {found["name"]: found["text"] for found in body["findings"] if found["kind"] == "fact"}
    assert facts["title"]
    assert facts["author"]
    said_by_phone = json.dumps(phone.journal())
    assert "edit_save" not in said_by_phone
    assert not any("settings put" in str(line) for line in phone.journal())


def test_a_selector_that_does_not_hold_is_named(phone: Phone, tmp_path: Path) -> None:
    text = (resources.files("phonefarm.devices") / "profiles" / "feed.yaml").read_text()
    body = yaml.safe_load(text)
    body["elements"]["result_author"] = {"id": "gone"}
    body["screens"]["player"] = {"id": "moved"}
    file = tmp_path / "broken.yaml"
    file.write_text(yaml.safe_dump(body))
    code, said = invoke(phone, "check", str(file), "--keyword", "bread")
    assert code == 1
    rows = {
        line.split()[1]: line for line in said.splitlines() if line.startswith(("│", "┃")) and len(line.split()) > 3
    }
    assert "MISSING" in rows["result_author"]
    assert "holds" in rows["result_title"]
    assert "not reached: player" in said
    assert "the profile does not hold" in said


def test_a_draft_from_a_live_screen_is_the_beginning_of_a_profile(phone: Phone) -> None:
    phone.driver().sh(["am", "start", "-n", "org.phonefarm.feed/.MainActivity"], timeout=10)
    code, said = invoke(phone, "record", "--screen", "feed")
    assert code == 0, said
    body = yaml.safe_load(said)
    assert (body["name"], body["package"]) == ("feed", "org.phonefarm.feed")
    assert body["screens"] == {"feed": {"id": "feed_screen"}}
    assert "{id: search_button}" in said
    shipped = (resources.files("phonefarm.devices") / "profiles" / "feed.yaml").read_text()
    whole = {**yaml.safe_load(shipped), "activity": body["activity"], "swipes": body["swipes"]}
    whole["screens"]["feed"] = body["screens"]["feed"]
    assert parse_profile(yaml.safe_dump(whole)).package == "org.phonefarm.feed"


def test_where_the_phone_is_must_be_said() -> None:
    result = CliRunner().invoke(app, ["profile", "check", "feed"])
    assert result.exit_code == 1
    assert "--phone ID" in str(result.exception)
