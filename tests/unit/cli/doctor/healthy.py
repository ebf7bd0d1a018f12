"""A healthy farm of one machine with six phones, as facts: what the doctor has nothing to say about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from phonefarm.cli.doctor.facts import (
    GIB,
    Adb,
    Backup,
    Database,
    Disk,
    Farm,
    File,
    Listening,
    Machine,
    Ray,
    RuleFile,
    Udev,
    UsbDevice,
    Versions,
)

VERSIONS = Versions(phonefarm="0.1.0", ray="2.60.0", python=(3, 11))
HUB = UsbDevice(name="1-2", vendor="05e3", product="0610", label="a hub", hub=True, power_ma=100, endpoints=2)


def phone(number: int, **changes: Any) -> UsbDevice:
    """A phone on the hub."""
    made = UsbDevice(
        name=f"1-2.{number}", vendor="18d1", product="4ee7", serial=f"R58M{number:04d}", label="a phone", adb=True
    )
    return replace(made, **changes)


PHONES = tuple(phone(number) for number in range(1, 7))
RULES = RuleFile(path="/lib/udev/rules.d/51-android.rules", ids=frozenset({"18d1", "04e8"}), group="plugdev")
MACHINE = Machine(
    host="rack-1",
    udev=Udev(root=False, groups=frozenset({"phonefarm", "plugdev"}), rules=(RULES,)),
    usb=(HUB, *PHONES),
    adb=Adb(keys=(File(path="/srv/farm/adb/rack-1/home/.android/adbkey", mode=0o600),)),
    listening=(
        Listening(address="127.0.0.1", port=8000, program="haproxy", use="http"),
        Listening(address="127.0.0.1", port=21937, program="adb", use="adb"),
        Listening(address="::1", port=6379, program="gcs_server", use="gcs"),
    ),
    ray=Ray(modes=frozenset({"token"}), token=File(path="/srv/farm/ray_token", mode=0o600)),
    disks=(Disk(path="/srv/farm", use="the farm's state", free=80 * GIB, total=200 * GIB),),
    versions=VERSIONS,
    synchronised=True,
    now=1_790_000_000.0,
    files=65_536,
    tasks=None,
    memory=16 * GIB,
    phones=6,
    state=(File(path="/srv/farm", mode=0o700), File(path="/srv/farm/api_key", mode=0o600)),
    open_files=(File(path="/etc/phonefarm/farm.env", mode=0o600),),
)
SQLITE = Database(
    sqlite=(3, 51, 3),
    options=frozenset({"THREADSAFE=1"}),
    disk=Disk(path="/srv/farm", use="the database", free=80 * GIB, total=200 * GIB),
)
POSTGRES = Database(
    server={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_connections": "100"}, now=0.01
)
BACKUP = Backup(
    path="/backups/farm.backup",
    age=3600.0,
    file=File(path="/backups/farm.backup", mode=0o600),
    farm_age=30 * 86400.0,
)
FARM = Farm(
    state="ready",
    alive=True,
    states={"available": ("A", "B"), "busy": ("C",), "paused": ("D",), "retired": ("E",), "checking": ("F",)},
    ahead={"rack-1": 0.02},
    versions={"": VERSIONS, "rack-1": VERSIONS},
    database=SQLITE,
    backup=BACKUP,
)
