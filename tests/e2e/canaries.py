"""Looks for planted secrets in everything a farm leaves on disk, and in the numbers it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.e2e.farm import Farm

#: The phones' own journals play the phone: what was typed stands there as it would on glass.
_OF_PHONES = "vphone"


def logs_with(farm: Farm, secrets: Mapping[str, str]) -> list[str]:
    """``name of the secret in path``, for every file but the database and the artifacts."""
    return [found for found in _with(_files(farm), secrets) if "/farm.db" not in found and "/artifacts/" not in found]


def files_with(farm: Farm, secrets: Mapping[str, str]) -> list[str]:
    """The same for every file, the database and the artifacts too."""
    return _with(_files(farm), secrets)


def numbers_with(farm: Farm, secrets: Mapping[str, str]) -> list[str]:
    """``name of the secret in where``, for /metrics and for Ray's exporter."""
    told = {"/metrics": farm.client.get("/metrics").text, "Ray's exporter": exported(farm)}
    return [f"{name} in {where}" for where, text in told.items() for name, word in secrets.items() if word in text]


def exported(farm: Farm) -> str:
    """What Ray's exporter of the farm's node tells."""
    return httpx.get(f"http://127.0.0.1:{farm.file['ports']['metrics']}/metrics", timeout=30).text


def _with(paths: Iterator[Path], secrets: Mapping[str, str]) -> list[str]:
    found = []
    for path in paths:
        data = path.read_bytes()
        found += [f"{name} in {path}" for name, secret in secrets.items() if secret.encode() in data]
    return found


def _files(farm: Farm) -> Iterator[Path]:
    """Of the state directory and of Ray's own."""
    for root in (farm.state_dir, Path(farm.file["temp_dir"])):
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink() and _OF_PHONES not in path.relative_to(root).parts:
                yield path
