"""The table of checks: what each looks at, where, and what it can find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from phonefarm.cli.doctor import farm as of_farm
from phonefarm.cli.doctor import machine as of_machine
from phonefarm.cli.doctor import phones as of_phones
from phonefarm.cli.doctor.facts import Farm, Machine
from phonefarm.cli.doctor.findings import Finding

_WORST = {"error": 2, "warning": 1, "note": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """``machine`` is asked of every machine, ``farm`` once. ``codes``: all that it can find."""

    name: str
    looks_at: str
    codes: tuple[str, ...]
    machine: Callable[[Machine], Iterable[Finding]] | None = None
    farm: Callable[[Farm], Iterable[Finding]] | None = None


CHECKS = (
    Check(
        name="farm",
        looks_at="farm.json, the supervisor's process, `/readyz` and `GET /phones` with the farm's key",
        codes=("farm_died", "farm_silent", "phones_unauthorized", "phones_quarantined", "phones_offline"),
        farm=of_farm.running,
    ),
    Check(
        name="hosts",
        looks_at="every host of a farm on a Ray cluster, by a Ray task that is pinned to it by its label",
        codes=("host_missing", "clocks_apart", "versions_differ"),
        farm=of_farm.hosts,
    ),
    Check(
        name="udev",
        looks_at="rules in /etc, /run, /lib and /usr/lib/udev/rules.d; the groups of the farm's user",
        codes=("udev_rules_missing", "udev_phone_missing", "udev_group_missing"),
        machine=of_phones.udev,
    ),
    Check(
        name="usb",
        looks_at="/sys/bus/usb/devices: speeds, hubs, power, controllers, serial numbers, adb's interface",
        codes=(
            *("usb_debugging_off", "usb_slow", "usb_too_deep", "usb_hub_without_power", "usb_controller_full"),
            *("usb_bus_full", "usb_autosuspend", "usb_same_serial"),
        ),
        machine=of_phones.usb,
    ),
    Check(
        name="adb",
        looks_at="keys below adb/ of the state directory, our servers' pidfiles, every adb server in /proc",
        codes=("adb_key_open", "adb_other_server", "adb_server_down", "adb_too_many_phones"),
        machine=of_phones.adb,
    ),
    Check(
        name="ports",
        looks_at="listening sockets of the farm's processes in /proc/net, and whether they are loopback",
        codes=("port_adb_open", "port_ray_open", "port_dashboard_open", "port_http_open", "port_known_open"),
        machine=of_machine.ports,
    ),
    Check(
        name="ray",
        looks_at="RAY_AUTH_MODE in the environment of Ray's processes, the token's file",
        codes=("ray_without_token", "ray_token_open"),
        machine=of_machine.ray,
    ),
    Check(
        name="clock",
        looks_at="the kernel's own word on whether its clock is kept (adjtimex)",
        codes=("clock_not_kept",),
        machine=of_machine.clock,
    ),
    Check(
        name="disks",
        looks_at="free bytes and inodes of the state directory, of /tmp and of /dev/shm",
        codes=("disk_full", "disk_low"),
        machine=of_machine.disks,
    ),
    Check(
        name="limits",
        looks_at="open files, tasks and memory that the farm may have, against its number of phones",
        codes=("files_few", "tasks_few", "memory_short"),
        machine=of_machine.limits,
    ),
    Check(
        name="versions",
        looks_at="Python and Ray on each machine",
        codes=("python_version", "ray_version"),
        machine=of_machine.versions,
    ),
    Check(
        name="files",
        looks_at="modes and owners in the state directory and of /etc/phonefarm; names of variables with secrets; "
        "command lines with a password",
        codes=("state_open", "state_foreign", "secret_in_environment", "secret_file_open", "password_shown"),
        machine=of_machine.files,
    ),
    Check(
        name="database",
        looks_at="SQLite's version, options and file system, or PostgreSQL's settings and clock",
        codes=(
            *("sqlite_threads", "sqlite_old", "sqlite_wal_reset", "sqlite_on_network", "postgres_away"),
            *("postgres_unsafe", "postgres_few_connections", "database_clock"),
        ),
        farm=of_farm.database,
    ),
    Check(
        name="backups",
        looks_at="last_backup.json in the state directory, which `phonefarm backup` writes, and the file it names",
        codes=("backup_never", "backup_old", "backup_gone", "backup_open"),
        farm=of_farm.backups,
    ),
)


def examine(farm: Farm, machines: Sequence[Machine]) -> list[Finding]:
    """All findings, the worst first, in the order of the table."""
    findings: list[Finding] = []
    for check in CHECKS:
        if check.farm is not None:
            findings += check.farm(farm)
        if check.machine is not None:
            findings += [one for machine in machines for one in check.machine(machine)]
    return sorted(findings, key=lambda one: -_WORST[one.level])


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if nothing, or notes alone, were found; 1 for warnings, 2 for errors."""
    return max((_WORST[one.level] for one in findings), default=0)
