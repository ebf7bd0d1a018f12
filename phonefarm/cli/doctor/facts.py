"""What the doctor knows: facts of one machine, and facts of the farm as a whole. Values only, gathered elsewhere.

Sizes are bytes, times seconds, modes the permission bits, currents milliampere, speeds Mbit/s. None says that something
could not be read, or is not there, as its line says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFile:
    """A file of udev rules that speaks of phones. ``ids``: what it matches, ``vendor`` or ``vendor:product``;
    ``any_adb``: it matches adb's interface whoever made the phone; ``group``: whom phones are given to; ``uaccess``: or
    whoever sits at the machine."""

    path: str
    ids: frozenset[str] = frozenset()
    any_adb: bool = False
    group: str | None = None
    uaccess: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Udev:
    """``root``: the farm runs as root, whom rules do not concern. ``groups``: of the farm's user."""

    root: bool
    groups: frozenset[str]
    rules: tuple[RuleFile, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsbDevice:
    """A line of /sys/bus/usb. ``name`` is its way from the root, such as 1-2.3; ``adb``: it offers adb's interface;
    ``autosuspend``: Linux may put it to sleep; ``endpoints``: all of them with the control endpoint."""

    name: str
    controller: str = "0000:00:14.0"
    vendor: str = ""
    product: str = ""
    serial: str = ""
    label: str = ""
    speed: float = 480.0
    power_ma: int = 500
    hub: bool = False
    self_powered: bool = True
    adb: bool = False
    endpoints: int = 4
    autosuspend: bool = False

    @property
    def usb_id(self) -> str:
        return f"{self.vendor}:{self.product}"

    @property
    def parent(self) -> str:
        """The hub it hangs on; a port of the machine hangs on the root hub, ``usbN``."""
        above, dot, _ = self.name.rpartition(".")
        return above if dot else f"usb{self.name.partition('-')[0]}"

    @property
    def hubs_above(self) -> int:
        """How many hubs lie between it and the machine."""
        return self.name.count(".")


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file or a directory as it lies there. ``ours``: it belongs to the user who runs the farm."""

    path: str
    mode: int
    ours: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Adb:
    """``keys``: private keys of our adb servers; ``others``: foreign adb servers, in words; ``dead``: hosts whose own
    server should run and does not."""

    keys: tuple[File, ...] = ()
    others: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Listening:
    """A listening socket of the farm. ``use``: adb, http, ray, dashboard, or what else farm.json calls the port."""

    address: str
    port: int
    program: str
    use: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ray:
    """``modes``: values of RAY_AUTH_MODE that its processes were started with ("" for none); ``token``: its file;
    ``network``: its ports are reached by other machines."""

    modes: frozenset[str] = frozenset()
    token: File | None = None
    network: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """A file system that the farm writes to. ``kind``: as /proc/mounts calls it."""

    path: str
    use: str
    free: int
    total: int
    free_inodes: int = 1_000_000
    total_inodes: int = 1_000_000
    kind: str = "ext4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """Of the programs that must be the same on all hosts."""

    phonefarm: str
    ray: str
    python: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One machine. ``synchronised``: the kernel says that its clock is kept by a time service; ``files``: open files
    that a process may have; ``tasks``: that its control group may have, None for no limit; ``memory``: that the farm
    may use here; ``phones``: that it has, or is to have; ``state``: what lies in the state directory;
    ``environment``: names of variables that hold secrets; ``open_files``: files with secrets;
    ``passwords_shown``: command lines that hold one, without it."""

    host: str
    udev: Udev | None
    usb: tuple[UsbDevice, ...]
    adb: Adb
    listening: tuple[Listening, ...]
    ray: Ray
    disks: tuple[Disk, ...]
    versions: Versions
    synchronised: bool | None
    now: float
    files: int
    tasks: int | None
    memory: int
    phones: int
    state: tuple[File, ...] = ()
    environment: frozenset[str] = frozenset()
    open_files: tuple[File, ...] = ()
    passwords_shown: tuple[str, ...] = ()
    usb_wanted: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """``server``: settings of PostgreSQL by name, None for SQLite; ``refused``: why it cannot be reached;
    ``now``: the server's clock less ours."""

    sqlite: tuple[int, ...] | None = None
    options: frozenset[str] = frozenset()
    disk: Disk | None = None
    server: Mapping[str, str] | None = None
    refused: str | None = None
    now: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """The last one that was made of this farm; ``age`` of it, ``file`` None if it is gone. ``farm_age``: how long there
    has been something to back up, None for nothing."""

    path: str | None = None
    age: float | None = None
    file: File | None = None
    farm_age: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Farm:
    """``state``: ready, starting or stopped, as farm.json says; ``alive``: its supervisor lives; ``silent``: why it
    does not answer, None if it does; ``states``: phones by state; ``missing``: hosts that could not be looked at, and
    why; ``ahead``: each host's clock less the head's."""

    state: str
    alive: bool = False
    silent: str | None = None
    states: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    ahead: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, Versions] = field(default_factory=dict)
    database: Database = field(default_factory=Database)
    backup: Backup = field(default_factory=Backup)
