"""Checks of what phones hang on: udev's rules, the USB tree, adb's keys and servers. From facts to findings, no more.

A device is taken for a phone if it offers adb's interface, or if a maker of phones made it (``PHONE_VENDORS``) and it
is no hub.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

from phonefarm.cli.doctor.facts import Machine, RuleFile, Udev, UsbDevice
from phonefarm.cli.doctor.findings import Finding, found

#: USB vendor ids of makers of Android phones.
PHONE_VENDORS = frozenset(
    {"04e8", "0502", "0b05", "0bb4", "0e8d", "0fce", "1004", "109b", "12d1", "17ef", "18d1", "19d2", "1bbb", "1ebf"}
    | {"22b8", "22d9", "2717", "2a45", "2a47", "2a70", "2a96", "2ae5", "2b4c", "2d95", "2e04", "2e17", "339b"}
)
#: Hubs in a row that USB allows, addresses of a bus, and what many controllers carry.
MOST_HUBS, BUS_ADDRESSES, CONTROLLER_DEVICES, CONTROLLER_ENDPOINTS = 5, 127, 64, 96
#: What a phone may want while it charges on an ordinary port, and what a hub's cable gives.
PORT_MA = {True: 900, False: 500}
HIGH_SPEED, SUPER_SPEED = 480.0, 5000.0
PHONES_A_SERVER = 250


def is_phone(device: UsbDevice) -> bool:
    return device.adb or (device.vendor in PHONE_VENDORS and not device.hub)


def udev(machine: Machine) -> Iterator[Finding]:
    """Rules let the farm's user open the phones. Nothing to say for root, or where no phone hangs or is to hang."""
    facts, phones = machine.udev, [device for device in machine.usb if is_phone(device)]
    if facts is None or facts.root or not (phones or machine.usb_wanted):
        return
    if not facts.rules:
        yield found("udev_rules_missing", host=machine.host)
        return
    for device in {one.usb_id: one for one in phones if one.vendor}.values():
        if not any(rule.any_adb or {device.vendor, device.usb_id} & rule.ids for rule in facts.rules):
            values = {"usb_id": device.usb_id, "vendor": device.vendor, "device": _named(device)}
            yield found("udev_phone_missing", host=machine.host, **values)
    yield from _groups(machine.host, facts, facts.rules)


def _groups(host: str, facts: Udev, rules: Iterable[RuleFile]) -> Iterator[Finding]:
    """A service has no seat, so uaccess alone does not help it."""
    groups = {rule.group for rule in rules if rule.group is not None}
    if not groups & facts.groups:
        for group in sorted(groups) or ["plugdev"]:
            yield found("udev_group_missing", host=host, group=group)


def usb(machine: Machine) -> Iterator[Finding]:
    """Each phone by itself, then the tree it hangs in."""
    for device in filter(is_phone, machine.usb):
        if not device.adb:
            yield found("usb_debugging_off", host=machine.host, device=_named(device))
        if device.speed < HIGH_SPEED:
            yield found("usb_slow", host=machine.host, device=_named(device), speed=device.speed)
        if device.hubs_above > MOST_HUBS:
            yield found("usb_too_deep", host=machine.host, device=_named(device), hubs=device.hubs_above)
        if device.autosuspend:
            yield found("usb_autosuspend", host=machine.host, device=_named(device))
    yield from _same_serial(machine)
    yield from _hubs(machine)
    yield from _controllers(machine)


def _same_serial(machine: Machine) -> Iterator[Finding]:
    by_serial: dict[str, list[UsbDevice]] = defaultdict(list)
    for device in filter(is_phone, machine.usb):
        if device.serial:
            by_serial[device.serial].append(device)
    for serial, devices in by_serial.items():
        if len(devices) > 1:
            names = " and ".join(_named(device) for device in devices)
            yield found("usb_same_serial", host=machine.host, serial=serial, devices=names)


def _hubs(machine: Machine) -> Iterator[Finding]:
    for hub in (device for device in machine.usb if device.hub and not device.self_powered):
        below = [device for device in machine.usb if device.parent == hub.name]
        wanted = sum(device.power_ma for device in below)
        if any(map(is_phone, below)) and wanted > PORT_MA[hub.speed >= SUPER_SPEED]:
            name = _named(hub)
            yield found("usb_hub_without_power", host=machine.host, device=name, count=len(below), power=wanted)


def _controllers(machine: Machine) -> Iterator[Finding]:
    for controller, on_it in _grouped(machine.usb, "controller").items():
        endpoints = sum(device.endpoints for device in on_it)
        if len(on_it) >= CONTROLLER_DEVICES or endpoints >= CONTROLLER_ENDPOINTS:
            values = {"controller": controller, "devices": len(on_it), "endpoints": endpoints}
            yield found("usb_controller_full", host=machine.host, **values)
    for bus, on_bus in itertools.groupby(sorted(machine.usb, key=_bus), key=_bus):
        count = len(list(on_bus))
        if count >= BUS_ADDRESSES:
            yield found("usb_bus_full", host=machine.host, bus=bus, devices=count)


def _grouped(devices: Iterable[UsbDevice], name: str) -> dict[str, list[UsbDevice]]:
    groups: dict[str, list[UsbDevice]] = defaultdict(list)
    for device in devices:
        groups[str(getattr(device, name))].append(device)
    return groups


def adb(machine: Machine) -> Iterator[Finding]:
    """Keys closed, our servers up, nobody else's."""
    for key in machine.adb.keys:
        if key.mode & 0o077:
            yield found("adb_key_open", host=machine.host, path=key.path, mode=f"{key.mode:04o}")
    for server in machine.adb.others:
        yield found("adb_other_server", host=machine.host, server=server)
    for name in machine.adb.dead:
        yield found("adb_server_down", host=machine.host, name=name)
    if machine.phones > PHONES_A_SERVER:
        yield found("adb_too_many_phones", host=machine.host, phones=machine.phones)


def _bus(device: UsbDevice) -> str:
    return device.name.partition("-")[0]


def _named(device: UsbDevice) -> str:
    return f"{device.name} ({device.label or 'no name'})"
