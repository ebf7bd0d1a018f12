"""``phonefarm bench``: starts the bench of its checkout, and says so where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

import phonefarm
from phonefarm.cli import bench, run
from phonefarm.errors import ConfigError

pytestmark = pytest.mark.timeout(60)

ROOT = Path(phonefarm.__file__).parent.parent


def test_the_bench_of_this_checkout_is_found() -> None:
    assert bench.checkout(ROOT) == ROOT


def test_without_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make bench"):
        bench.checkout(tmp_path)


def test_names_and_options_go_to_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, list[str]]] = []

    def start(root: Path, words: list[str]) -> int:
        seen.append((root, words))
        return 3

    monkeypatch.setattr(bench, "start", start)
    assert run(["bench", "placement", "g", "--rounds", "2", "--quick"]) == 3
    assert run(["bench"]) == 3
    assert seen == [(ROOT, ["--only", "placement,g", "--rounds", "2", "--quick"]), (ROOT, ["--rounds", "5"])]


def test_a_figure_that_there_is_not_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "nothing"]) == 2
    assert "no figure nothing" in capfd.readouterr().err
