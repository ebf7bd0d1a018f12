"""Reads the USB tree from /sys and phones' rules from udev's folders; both roots are arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from phonefarm.cli.doctor.facts import RuleFile, UsbDevice
from phonefarm.cli.doctor.phones import PHONE_VENDORS

SYS = Path("/sys")
RULE_FOLDERS = tuple(Path(root) / "udev/rules.d" for root in ("/etc", "/run", "/usr/lib", "/lib"))
#: Class, subclass and protocol of adb's interface.
ADB = ("ff", "42", "01")
_HUB, _SELF_POWERED = "09", 0x40
_MATCH = re.compile(r'idVendor\}=="([0-9a-fA-F]{4})"(?:[^\n]*?idProduct\}=="([0-9a-fA-F]{4})")?')
_GROUP = re.compile(r'GROUP="(\w+)"')


def usb_devices(sys: Path = SYS) -> tuple[UsbDevice, ...]:
    """Every device but the root hubs, in the order of their names; empty where there is no USB."""
    root = sys / "bus/usb/devices"
    with suppress(OSError):
        names = sorted(path.name for path in root.iterdir())
        devices = [name for name in names if ":" not in name and not name.startswith("usb")]
        return tuple(_device(root, name, [n for n in names if n.startswith(f"{name}:")]) for name in devices)
    return ()


def _device(root: Path, name: str, interfaces: Iterable[str]) -> UsbDevice:
    path = root / name
    kinds = [tuple(_text(root / one / f"bInterface{what}") for what in _KIND) for one in interfaces]
    ends = sum(int(_text(root / one / "bNumEndpoints") or "0", 16) for one in interfaces)
    return UsbDevice(
        name=name,
        controller=_controller(root, name),
        vendor=_text(path / "idVendor").lower(),
        product=_text(path / "idProduct").lower(),
        serial=_text(path / "serial"),
        label=" ".join(filter(None, (_text(path / "manufacturer"), _text(path / "product")))),
        speed=float(_text(path / "speed") or 0),
        power_ma=int(_text(path / "bMaxPower").removesuffix("mA") or 0),
        hub=_text(path / "bDeviceClass") == _HUB,
        self_powered=bool(int(_text(path / "bmAttributes") or "0", 16) & _SELF_POWERED),
        adb=ADB in kinds,
        endpoints=1 + ends,
        autosuspend=_text(path / "power/control") == "auto",
    )


_KIND = ("Class", "SubClass", "Protocol")


def _controller(root: Path, name: str) -> str:
    """The PCI device above the root hub; all buses of one controller share it."""
    hub = root / f"usb{name.partition('-')[0]}"
    with suppress(OSError):
        return hub.resolve(strict=True).parent.name
    return hub.name


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def rule_files(folders: Iterable[Path] = RULE_FOLDERS) -> tuple[RuleFile, ...]:
    """Files of rules that give phones to somebody; one in an earlier folder hides one of the same name in a later."""
    found: dict[str, RuleFile | None] = {}
    for path in (path for folder in folders for path in _rules(folder)):
        if path.name not in found:
            found[path.name] = read_rules(str(path), _text(path))
    return tuple(rule for rule in found.values() if rule is not None)


def _rules(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(path for path in folder.iterdir() if path.suffix == ".rules")


def read_rules(path: str, text: str) -> RuleFile | None:
    """What a file of rules does for phones; None if nothing. Rules for media players (libmtp) give them to others."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    kept = "\n".join(lines)
    any_adb = "ff4201" in kept
    ids = frozenset(f"{v}:{p}".lower() if p else v.lower() for v, p in _MATCH.findall(kept))
    group, uaccess = _GROUP.search(kept), "uaccess" in kept
    if "libmtp" in kept or not (any_adb or ids) or not (group or uaccess or "MODE=" in kept):
        return None
    if not (any_adb or "adb" in kept or "android" in path or _of_phones(ids)):
        return None
    return RuleFile(path=path, ids=ids, any_adb=any_adb, group=group.group(1) if group else None, uaccess=uaccess)


def _of_phones(ids: Iterable[str]) -> bool:
    return any(one.partition(":")[0] in PHONE_VENDORS for one in ids)
