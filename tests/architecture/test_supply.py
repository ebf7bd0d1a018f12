"""What phonefarm is built from: every package pinned with its hashes, every dependency bounded, odd licences named."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import phonefarm

pytestmark = pytest.mark.timeout(60)

ROOT = Path(phonefarm.__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
NOTICE = (ROOT / "NOTICE").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
#: Licences that let anybody use, change and pass on, with no duty but to name.
_FREE = re.compile(
    r"\b(MIT|BSD|Apache|PSF|Python Software Foundation|ISC|Unlicense|HPND|0BSD|Zlib|CNRI|MIT-0|Historical)\b", re.I
)


def locked() -> Iterator[tuple[str, str, list[str]]]:
    """(name, version, hashes) of every entry."""
    for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK):
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", entry)
        assert found, f"not pinned: {entry[:60]}"
        yield found[1].lower(), found[2], re.findall(r"--hash=(sha256:[0-9a-f]{64})\b", entry)


def test_every_package_is_pinned_with_hashes() -> None:
    entries = list(locked())
    assert len(entries) > 100
    for name, version, hashes in entries:
        assert hashes, f"{name}=={version} has no hash"
    assert "--index-url" not in LOCK
    assert "://" not in re.sub(r"#.*", "", LOCK), "a package from a place of its own"


def test_every_dependency_is_locked_and_has_an_upper_bound() -> None:
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    pinned = {name for name, _, _ in locked()}
    for line in [*asked, *PROJECT["build-system"]["requires"]]:
        name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[[^\]]*\])?(.*)", line).groups()  # type: ignore[union-attr]
        assert re.fullmatch(r">=[0-9.]+,<[0-9.]+", bounds), f"{line}: bounds on both sides"
        assert name.lower().replace("_", "-") in pinned, f"{name} is not in requirements.lock"


def test_starlette_has_the_mends_that_are_known_to_be_needed() -> None:
    (version,) = [version for name, version, _ in locked() if name == "starlette"]
    assert tuple(int(part) for part in version.split(".")[:2]) >= (1, 0)


def test_licences_with_duties_are_named_in_notice() -> None:
    """Of what is installed; what is free with no duty but to name needs no word."""
    pinned = {name for name, _, _ in locked()}
    for package in importlib.metadata.distributions():
        name = package.metadata["Name"].lower().replace("_", "-")
        if name in pinned and not _FREE.search(_licence(package.metadata)):
            assert f"`{name}`" in NOTICE, f"{name}: {_licence(package.metadata)[:100]}"


def _licence(metadata: Any) -> str:
    classifiers = [text for text in metadata.get_all("Classifier") or () if text.startswith("License")]
    return " ".join((metadata.get("License-Expression") or "", (metadata.get("License") or "")[:80], *classifiers))
