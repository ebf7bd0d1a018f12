"""Files a session made: bytes on disk beside the database, one row each.

A file is written, fsynced and renamed into place before the transaction that names it, so a row always has
its bytes. File names come from ids and planner-made names, never from a caller's or a screen's text.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from phonefarm.models.action import Artifact
from phonefarm.store.tables import artifacts
from phonefarm.store.writer import Tx

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """An artifact whose bytes are on disk."""

    name: str
    media_type: str
    size: int
    sha256: str


def write_file(root: Path, process_id: str, artifact: Artifact) -> StoredFile:
    """Write an artifact durably below ``root``. Raises ValueError for a name that is not a plain file name."""
    path = file_path(root, process_id, artifact.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".part")
    with partial.open("wb") as file:
        file.write(artifact.data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return StoredFile(
        name=artifact.name,
        media_type=artifact.media_type,
        size=len(artifact.data),
        sha256=hashlib.sha256(artifact.data).hexdigest(),
    )


def file_path(root: Path, process_id: str, name: str) -> Path:
    """Where an artifact lies."""
    if not _SAFE_NAME.fullmatch(name) or not _SAFE_NAME.fullmatch(process_id):
        raise ValueError(f"not a file name: {name!r}")
    return root / process_id / name


def keep(tx: Tx, file: StoredFile, *, process_id: str, item_id: str, phone_id: str) -> None:
    """The row of an artifact; one written again by a later attempt replaces it."""
    here = (artifacts.c.process_id == process_id, artifacts.c.name == file.name)
    tx.rows(sa.delete(artifacts).where(*here))
    tx.rows(
        sa.insert(artifacts).values(
            process_id=process_id,
            name=file.name,
            item_id=item_id,
            phone_id=phone_id,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            created_at=tx.now,
        )
    )
