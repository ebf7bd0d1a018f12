"""``phonefarm backup`` and ``restore``: the farm's database to a file and back.

The database is that of the state directory's farm, as farm.json names it, or the one that ``--db`` names. A backup may
be made while the farm runs. A restore holds the state directory, so no farm can be started on it meanwhile.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.cli.up import Json, StateDirOption
from phonefarm.cli.voice import Voice
from phonefarm.errors import ConfigError
from phonefarm.models.clock import system_clock

if TYPE_CHECKING:
    from phonefarm.store.backup_file import Manifest

Database = Annotated[
    str | None, typer.Option("--db", help="Database URL; default: that of the state directory's farm.")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: phonefarm backup /backups/farm.backup --artifacts")(backup)
    app.command(epilog="Example: phonefarm restore /backups/farm.backup --db postgresql+psycopg://farm@db/farm")(
        restore
    )


def backup(
    file: Annotated[Path, typer.Argument(help="The backup's file; an earlier backup of this name is replaced.")],
    verify: Annotated[bool, typer.Option("--verify", help="Only check the file, all of it.")] = False,
    artifacts: Annotated[bool, typer.Option("--artifacts", help="Put screenshots and dumps into it too.")] = False,
    db: Database = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Back up the farm's database, also while it runs, or check a backup.

    The file is there whole, and checked, or not at all. It restores into SQLite and PostgreSQL alike.
    """
    from phonefarm.store import backup as store
    from phonefarm.store.backup_file import verify as verify_file

    voice = Voice(as_json=as_json)
    if verify:
        with voice.work(f"checking {file}"):
            manifest = verify_file(file)
        _say(manifest, file, "is whole", voice)
        return
    state = StateDir(state_dir)
    kept = state.path / "artifacts" if artifacts else None
    with voice.work(f"backing up to {file}"):
        manifest = store.make(_url(state, db), file, now=system_clock(), artifacts=kept)
    if state.path.is_dir():
        state.remember_backup(file, manifest.made_at)
    _say(manifest, file, "made and checked", voice)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that phonefarm backup has made.")],
    replace_all_data: Annotated[
        bool, typer.Option("--replace-all-data", help="Replace a database that is not empty, or is damaged.")
    ] = False,
    db: Database = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Put a backup into an empty database. The farm must not run.

    What was acknowledged after the backup was made is not in it. Managers that ran before are stale afterwards.
    """
    from phonefarm.store.restore import restore as restore_file

    state, voice = StateDir(state_dir), Voice(as_json=as_json)
    state.open()
    with state.alone():
        kept = state.path / "artifacts"
        url = _url(state, db)
        with voice.work(f"restoring {file}"):
            manifest = restore_file(file, url, now=system_clock(), artifacts=kept, replace=replace_all_data)
    _say(manifest, file, "is restored", voice)


def _url(state: StateDir, db: str | None) -> str:
    if db == "":
        raise ConfigError("--db is empty")
    return db or state.read().db or f"sqlite:///{state.path / 'farm.db'}"


def _say(manifest: Manifest, file: Path, what: str, voice: Voice) -> None:
    rows = manifest.rows
    text = (
        f"{file} {what}: {rows.get('processes', 0)} processes, {rows.get('events', 0)} events, "
        f"{rows.get('outbox', 0)} callbacks, {manifest.files} artifacts; from {manifest.source}, {manifest.made_at}"
    )
    if manifest.files_missing:
        text += f"; {manifest.files_missing} artifacts were not on the disk"
    voice.event(
        "backup",
        text,
        file=str(file.absolute()),
        source=manifest.source,
        revision=manifest.revision,
        made_at=manifest.made_at,
        version=manifest.version,
        rows=dict(rows),
        files=manifest.files,
        files_missing=manifest.files_missing,
    )
