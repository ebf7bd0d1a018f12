"""Checks of the farm as a whole: is it up, do its hosts agree, its database, its backups. From facts to findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from phonefarm.cli.doctor.facts import Database, Farm, Versions
from phonefarm.cli.doctor.findings import Finding, found

#: Seconds that a backup may be old, and that clocks may differ.
OLDEST_BACKUP, APART = 26 * 3600.0, 2.0
#: A farm younger than this needs no backup yet.
YOUNG = 24 * 3600.0
FEWEST_CONNECTIONS = 10
_NAMED = 8
_STATES = {"unauthorized": "phones_unauthorized", "quarantined": "phones_quarantined", "offline": "phones_offline"}
_SQLITE_FLOOR, _SQLITE_MENDED = (3, 35), (3, 51, 3)
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_SQLITE_LACKS = ("THREADSAFE=0", "OMIT_WAL", "OMIT_FOREIGN_KEY")


def running(farm: Farm) -> Iterator[Finding]:
    """A farm that is to run does, and answers; what phones wait for."""
    if farm.state != "stopped" and not farm.alive:
        yield found("farm_died", state=farm.state)
    elif farm.silent is not None:
        yield found("farm_silent", why=farm.silent)
    for state, code in _STATES.items():
        if phones := farm.states.get(state):
            yield found(code, phones=_some(phones))


def hosts(farm: Farm) -> Iterator[Finding]:
    """Every host can be looked at, has the head's versions, and its clock."""
    for name, why in sorted(farm.missing.items()):
        yield found("host_missing", name=name, why=why)
    for name, seconds in sorted(farm.ahead.items()):
        if abs(seconds) > APART:
            yield found("clocks_apart", name=name, seconds=seconds)
    head = farm.versions.get("")
    for name, here in sorted(farm.versions.items()):
        if head is not None and here != head:
            yield from _differences(name, here, head)


def _differences(name: str, here: Versions, head: Versions) -> Iterator[Finding]:
    pairs = (
        ("phonefarm", here.phonefarm, head.phonefarm),
        ("Ray", here.ray, head.ray),
        ("Python", _dotted(here.python), _dotted(head.python)),
    )
    for program, mine, there in pairs:
        if mine != there:
            yield found("versions_differ", name=name, program=program, here=mine, there=there)


def database(farm: Farm) -> Iterator[Finding]:
    """Durable, reachable, on a disk that keeps what it says."""
    facts = farm.database
    if facts.sqlite is not None:
        yield from _sqlite(facts, facts.sqlite)
    if facts.refused is not None:
        yield found("postgres_away", why=facts.refused)
    if facts.server is not None:
        yield from _postgres(facts)


def _sqlite(facts: Database, version: tuple[int, ...]) -> Iterator[Finding]:
    for option in _SQLITE_LACKS:
        if option in facts.options:
            yield found("sqlite_threads", option=option)
    if version < _SQLITE_FLOOR:
        yield found("sqlite_old", version=_dotted(version))
    elif version < _SQLITE_MENDED:
        yield found("sqlite_wal_reset", version=_dotted(version))
    if facts.disk is not None and facts.disk.kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph")):
        yield found("sqlite_on_network", kind=facts.disk.kind, path=facts.disk.path)


def _postgres(facts: Database) -> Iterator[Finding]:
    server = facts.server or {}
    for name in _DURABLE:
        if server.get(name) == "off":
            yield found("postgres_unsafe", name=name, value="off")
    count = server.get("max_connections", "")
    if count.isdigit() and int(count) < FEWEST_CONNECTIONS:
        yield found("postgres_few_connections", count=count)
    if facts.now is not None and abs(facts.now) > APART:
        yield found("database_clock", seconds=facts.now)


def backups(farm: Farm) -> Iterator[Finding]:
    """There is one, it is young, it is there, it is closed."""
    facts = farm.backup
    if facts.path is None or facts.age is None:
        if facts.farm_age is not None and facts.farm_age > YOUNG:
            yield found("backup_never")
        return
    if facts.age > OLDEST_BACKUP and facts.farm_age is not None:
        yield found("backup_old", hours=facts.age / 3600, path=facts.path)
    if facts.file is None:
        yield found("backup_gone", path=facts.path)
    elif facts.file.mode & 0o077:
        yield found("backup_open", path=facts.path, mode=f"{facts.file.mode:04o}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
