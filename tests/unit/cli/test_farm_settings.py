"""farm.yaml: what may stand in it, and what it says about what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from phonefarm.cli import plan
from phonefarm.cli.plan import UpOptions
from phonefarm.errors import ConfigError
from phonefarm.farmfile import read_farm_file
from phonefarm.serve.deployment import serve_config
from phonefarm.settings import PROFILES, HealthSettings, Limits, Patience, Settings


def read(directory: Path, text: str) -> dict[str, Any]:
    file = directory / "farm.yaml"
    file.write_text(text)
    return read_farm_file(file)


def test_limits_of_the_farm_and_of_a_group(tmp_path: Path) -> None:
    text = (
        "groups: {rack1: [A]}\n"
        "health:\n  battery: 30\n  groups: {rack1: {temperature: 38.5}}\n"
        "  flapping: {losses: 3, seconds: 60, clean: 2}\n  reboot: false\n"
    )
    assert read(tmp_path, text)["health"] == HealthSettings(
        limits=Limits(battery=30),
        groups={"rack1": {"temperature": 38.5}},
        patience=Patience(losses=3, seconds=60, clean=2),
        reboot=False,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("health: {colour: red}", "health.colour"),
        ("health: {battery: low}", "health.battery must be a number"),
        ("health: {battery: -1}", "health.battery must be a number"),
        ("health: {battery: true}", "health.battery must be a number"),
        ("health: {groups: {nobody: {battery: 1}}}", "health.groups.nobody"),
        ("groups: {a: []}\nhealth: {groups: {a: {smell: 1}}}", "health.groups.a.smell"),
        ("health: {flapping: {losses: 0}}", "a whole number of at least 1"),
        ("health: {flapping: {clean: 1.5}}", "a whole number of at least 1"),
        ("health: {reboot: perhaps}", "health.reboot"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def settings(directory: Path, **values: Any) -> Settings:
    return Settings(state_dir=directory, db_url="sqlite:///x", **values)


def test_every_app_that_has_a_profile_may_be_asked_for(tmp_path: Path) -> None:
    assert serve_config(settings(tmp_path)).rules().apps == {"feed", "reader"}
    (tmp_path / PROFILES).mkdir()
    (tmp_path / PROFILES / "mine.yaml").write_text("")
    assert serve_config(settings(tmp_path)).rules().apps == {"feed", "reader", "mine"}


def test_a_profile_of_the_operator_s_own_is_checked_before_anything_starts(tmp_path: Path) -> None:
    plan.check(UpOptions(state_dir=tmp_path), {})
    (tmp_path / PROFILES).mkdir()
    (tmp_path / PROFILES / "mine.yaml").write_text("name: mine\n")
    with pytest.raises(ConfigError, match="profile mine"):
        plan.check(UpOptions(state_dir=tmp_path), {})
    (tmp_path / PROFILES / "mine.yaml").unlink()
    with pytest.raises(ConfigError, match="no app profile named 'chess'"):
        plan.check(UpOptions(state_dir=tmp_path), {"app": "chess"})
