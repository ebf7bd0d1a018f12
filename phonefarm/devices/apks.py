"""APKs that operators put into the farm's folder, and what Android says of installing them. Touches no phone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonefarm.errors import ApkMissing, InstallRefused

#: A larger file is refused: it is read into memory once.
MOST_BYTES = 512 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.apk")
_VERSION = re.compile(r"^package:(\S+) versionCode:(\d+)", re.MULTILINE)
_FAILURE = re.compile(r"Failure \[([^\]\n]{1,300})|(INSTALL_[A-Z_]+[^\]\n]{0,200})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Apk:
    """A file to install."""

    name: str
    sha256: str
    data: bytes = field(repr=False)


def find(folder: Path | None, name: str, sha256: str | None) -> Apk:
    """The APK ``name`` of the folder. Raises ApkMissing, and InstallRefused for another content than ``sha256``."""
    if folder is None or not _NAME.fullmatch(name):
        raise ApkMissing(f"there is no APK {name!r}")
    path = folder / name
    if not path.is_file() or path.resolve().parent != folder.resolve():
        raise ApkMissing(f"there is no file {name!r} in {folder}")
    if path.stat().st_size > MOST_BYTES:
        raise InstallRefused(f"{name} is larger than {MOST_BYTES} bytes")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise InstallRefused(f"{name} has the SHA-256 {digest}, not the one that was asked for")
    return Apk(name=name, sha256=digest, data=data)


def check_install(said: str, name: str) -> None:
    """Raises InstallRefused with Android's own reason unless ``pm install`` said Success."""
    found = _FAILURE.search(said)
    if found is not None:
        raise InstallRefused(f"Android refused {name}: {found[1] or found[2]}")
    if "Success" not in said:
        raise InstallRefused(f"Android did not install {name}: {said[:200]!r}")


def parse_versions(text: str) -> dict[str, int]:
    """Version codes by package, from ``pm list packages --show-versioncode``."""
    return {name: int(code) for name, code in _VERSION.findall(text)}


def changed(before: Mapping[str, int], after: Mapping[str, int]) -> list[dict[str, Any]]:
    """The packages whose version is another now; None before: it is new."""
    return [
        {"package": name, "version_before": before.get(name), "version_after": code}
        for name, code in sorted(after.items())
        if before.get(name) != code
    ]
