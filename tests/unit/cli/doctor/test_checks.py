"""Each finding once, on facts that differ from a healthy farm's in one thing; and none on a healthy one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from phonefarm.cli.doctor.checks import CHECKS, examine, exit_code
from phonefarm.cli.doctor.facts import GIB, Adb, Backup, Database, Disk, Farm, File, Listening, Machine, Ray
from phonefarm.cli.doctor.findings import KINDS, Finding, found
from tests.unit.cli.doctor.healthy import BACKUP, FARM, HUB, MACHINE, PHONES, POSTGRES, RULES, SQLITE, VERSIONS, phone

pytestmark = pytest.mark.timeout(60)


def open_file(path: str = "/x", mode: int = 0o644) -> File:
    return File(path=path, mode=mode)


def listens(use: str, address: str = "0.0.0.0", program: str = "some program") -> Machine:
    return replace(MACHINE, listening=(Listening(address=address, port=9999, program=program, use=use),))


def disk(**changes: Any) -> Disk:
    return replace(MACHINE.disks[0], **changes)


def usb(*devices: Any) -> Machine:
    return replace(MACHINE, usb=devices)


def udev(**changes: Any) -> Machine:
    assert MACHINE.udev is not None
    return replace(MACHINE, udev=replace(MACHINE.udev, **changes))


def sqlite(**changes: Any) -> Farm:
    return replace(FARM, database=replace(SQLITE, **changes))


def postgres(**settings: str) -> Farm:
    return replace(FARM, database=replace(POSTGRES, server={**(POSTGRES.server or {}), **settings}))


def backup(**changes: Any) -> Farm:
    return replace(FARM, backup=replace(BACKUP, **changes))


BUS_POWERED = replace(HUB, self_powered=False)
DEEP = "1-2.1.1.1.1.1.1"
ON_MACHINE: list[tuple[str, Machine]] = [
    ("udev_rules_missing", udev(rules=())),
    ("udev_phone_missing", udev(rules=(replace(RULES, ids=frozenset({"04e8"})),))),
    ("udev_phone_missing", udev(rules=(replace(RULES, ids=frozenset({"18d1:0001"})),))),
    ("udev_group_missing", udev(groups=frozenset({"users"}))),
    ("udev_group_missing", udev(rules=(replace(RULES, group=None, uaccess=True),), groups=frozenset({"users"}))),
    ("usb_debugging_off", usb(HUB, phone(1, adb=False))),
    ("usb_slow", usb(HUB, phone(1, speed=12.0))),
    ("usb_too_deep", usb(HUB, phone(1, name=DEEP))),
    ("usb_hub_without_power", usb(BUS_POWERED, *PHONES)),
    ("usb_hub_without_power", usb(replace(BUS_POWERED, speed=5000.0), *PHONES[:2])),
    ("usb_controller_full", usb(HUB, *(phone(n, endpoints=1) for n in range(63)))),
    ("usb_controller_full", usb(HUB, *(phone(n, endpoints=12) for n in range(8)))),
    ("usb_bus_full", usb(*(phone(n, controller=f"c{n % 9}", endpoints=1) for n in range(127)))),
    ("usb_autosuspend", usb(HUB, phone(1, autosuspend=True))),
    ("usb_same_serial", usb(HUB, phone(1, serial="X"), phone(2, serial="X"))),
    ("adb_key_open", replace(MACHINE, adb=Adb(keys=(open_file(mode=0o640),)))),
    ("adb_other_server", replace(MACHINE, adb=Adb(others=("process 7 (adb) on port 5037",)))),
    ("adb_server_down", replace(MACHINE, adb=Adb(dead=("rack-1",)))),
    ("adb_too_many_phones", replace(MACHINE, phones=251, memory=64 * GIB)),
    ("port_adb_open", listens("adb")),
    ("port_http_open", listens("http", "192.0.2.10")),
    ("port_http_open", listens("http", "::")),
    ("port_dashboard_open", listens("dashboard")),
    ("port_ray_open", listens("gcs", program="gcs_server")),
    ("port_known_open", listens("proxy_stats", program="haproxy")),
    ("port_known_open", listens("a replica's own port", "::", "ray::ServeReplica:phonefarm:http")),
    ("port_known_open", replace(listens("gcs"), ray=replace(MACHINE.ray, network=True))),
    ("ray_without_token", replace(MACHINE, ray=Ray(modes=frozenset({"token", ""})))),
    ("ray_without_token", replace(MACHINE, ray=Ray(modes=frozenset({"disabled"})))),
    ("ray_token_open", replace(MACHINE, ray=Ray(token=open_file()))),
    ("clock_not_kept", replace(MACHINE, synchronised=False)),
    ("disk_full", replace(MACHINE, disks=(disk(free=GIB // 2),))),
    ("disk_full", replace(MACHINE, disks=(disk(free_inodes=10_000),))),
    ("disk_low", replace(MACHINE, disks=(disk(free=4 * GIB),))),
    ("disk_low", replace(MACHINE, disks=(disk(free_inodes=90_000),))),
    ("files_few", replace(MACHINE, files=1024)),
    ("tasks_few", replace(MACHINE, tasks=512)),
    ("memory_short", replace(MACHINE, memory=2 * GIB)),
    ("python_version", replace(MACHINE, versions=replace(VERSIONS, python=(3, 14)))),
    ("ray_version", replace(MACHINE, versions=replace(VERSIONS, ray="2.61.0"))),
    ("state_open", replace(MACHINE, state=(open_file(mode=0o750),))),
    ("state_foreign", replace(MACHINE, state=(File(path="/srv/farm/farm.db", mode=0o600, ours=False),))),
    ("secret_in_environment", replace(MACHINE, environment=frozenset({"RAY_AUTH_TOKEN"}))),
    ("secret_file_open", replace(MACHINE, open_files=(open_file("/etc/phonefarm/farm.env"),))),
    ("password_shown", replace(MACHINE, passwords_shown=("process 7: ... ://farm:***@db",))),
]
ON_FARM: list[tuple[str, Farm]] = [
    ("farm_died", replace(FARM, alive=False)),
    ("farm_died", replace(FARM, alive=False, state="starting")),
    ("farm_silent", replace(FARM, silent="503: storage_full")),
    ("phones_unauthorized", replace(FARM, states={"unauthorized": ("A",)})),
    ("phones_quarantined", replace(FARM, states={"quarantined": ("A",)})),
    ("phones_offline", replace(FARM, states={"offline": ("A",)})),
    ("host_missing", replace(FARM, missing={"rack-2": "no machine has this label"})),
    ("clocks_apart", replace(FARM, ahead={"rack-1": -2.5})),
    ("versions_differ", replace(FARM, versions={"": VERSIONS, "rack-1": replace(VERSIONS, ray="2.60.1")})),
    ("sqlite_threads", sqlite(options=frozenset({"THREADSAFE=0"}))),
    ("sqlite_old", sqlite(sqlite=(3, 34, 1))),
    ("sqlite_wal_reset", sqlite(sqlite=(3, 40, 1))),
    ("sqlite_on_network", sqlite(disk=disk(kind="nfs4"))),
    ("postgres_away", replace(FARM, database=Database(refused="connection refused"))),
    ("postgres_unsafe", postgres(fsync="off")),
    ("postgres_unsafe", postgres(synchronous_commit="off")),
    ("postgres_unsafe", postgres(full_page_writes="off")),
    ("postgres_few_connections", postgres(max_connections="5")),
    ("database_clock", replace(FARM, database=replace(POSTGRES, now=7.0))),
    ("backup_never", replace(FARM, backup=Backup(farm_age=2 * 86400.0))),
    ("backup_old", backup(age=30 * 3600.0)),
    ("backup_gone", backup(file=None)),
    ("backup_open", backup(file=open_file("/backups/farm.backup"))),
]


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


@pytest.mark.parametrize("database", [SQLITE, POSTGRES])
def test_a_healthy_farm_has_nothing(database: Database) -> None:
    findings = examine(replace(FARM, database=database), [MACHINE, replace(MACHINE, host="rack-2")])
    assert findings == []
    assert exit_code(findings) == 0


@pytest.mark.parametrize(("code", "machine"), ON_MACHINE, ids=[code for code, _ in ON_MACHINE])
def test_one_thing_wrong_with_a_machine(code: str, machine: Machine) -> None:
    findings = examine(FARM, [machine])
    assert codes(findings) == [code]
    assert findings[0].host == "rack-1"
    complete(findings[0])


@pytest.mark.parametrize(("code", "farm"), ON_FARM, ids=[code for code, _ in ON_FARM])
def test_one_thing_wrong_with_a_farm(code: str, farm: Farm) -> None:
    findings = examine(farm, [MACHINE])
    assert codes(findings) == [code]
    complete(findings[0])


def complete(finding: Finding) -> None:
    """Every name is filled in, and there is a cure."""
    for text in (finding.what, finding.why, finding.cure):
        assert text
        assert "{" not in text.replace("ATTR{idVendor}", "").replace("ATTR{power/control}", ""), text


def test_every_kind_of_finding_is_tried_here_and_belongs_to_one_check() -> None:
    tried = {code for code, _ in (*ON_MACHINE, *ON_FARM)}
    named = [code for check in CHECKS for code in check.codes]
    assert tried == set(KINDS)
    assert sorted(named) == sorted(KINDS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all((check.machine is None) != (check.farm is None) for check in CHECKS)


def test_a_check_finds_only_what_the_table_says_of_it() -> None:
    for check in CHECKS:
        of_machines = [one for _, machine in ON_MACHINE for one in (check.machine(machine) if check.machine else ())]
        of_farms = [one for _, farm in ON_FARM for one in (check.farm(farm) if check.farm else ())]
        assert {one.code for one in (*of_machines, *of_farms)} == set(check.codes)


@pytest.mark.parametrize(
    "quiet",
    [
        replace(udev(rules=()), udev=replace(MACHINE.udev, root=True, rules=())),  # type: ignore[type-var]
        replace(udev(rules=()), usb=(), usb_wanted=False),
        replace(MACHINE, synchronised=None),
        udev(rules=(replace(RULES, ids=frozenset(), any_adb=True),)),
        udev(rules=(replace(RULES, ids=frozenset({"18d1:4ee7"})),)),
        usb(BUS_POWERED, phone(1)),
        usb(BUS_POWERED, replace(HUB, name="1-2.1", power_ma=400), replace(HUB, name="1-2.2", power_ma=400)),
        usb(HUB, replace(phone(1, adb=False), vendor="046d", speed=1.5, autosuspend=True)),
        replace(MACHINE, disks=(disk(free=60_000_000, total=64_000_000, total_inodes=0, free_inodes=0),)),
    ],
)
def test_what_is_no_trouble(quiet: Machine) -> None:
    """Root needs no rules; a mouse may sleep; a small file system that is nearly empty is not full; and so on."""
    assert examine(FARM, [quiet]) == []


def test_a_farm_that_does_not_run_is_no_trouble() -> None:
    assert examine(Farm(state="stopped", database=SQLITE), []) == []
    assert examine(replace(FARM, backup=Backup(farm_age=3600.0)), []) == []


def test_the_worst_comes_first_and_decides_the_exit_code() -> None:
    farm = replace(FARM, database=replace(SQLITE, sqlite=(3, 40, 1)))
    assert exit_code(examine(farm, [MACHINE])) == 0, "notes do not count"
    findings = examine(farm, [replace(MACHINE, synchronised=False)])
    assert (codes(findings), exit_code(findings)) == (["clock_not_kept", "sqlite_wal_reset"], 1)
    findings = examine(replace(farm, silent="503"), [replace(MACHINE, synchronised=False)])
    assert (codes(findings)[0], exit_code(findings)) == ("farm_silent", 2)


def test_long_lists_of_phones_are_cut() -> None:
    (finding,) = examine(replace(FARM, states={"offline": tuple(f"P{n}" for n in range(20))}), [MACHINE])
    assert finding.what.endswith("P7 and 12 more")


def test_a_name_that_is_not_given_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        found("disk_full", path="/")
