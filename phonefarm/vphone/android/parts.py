"""The small pieces that a phone's state is made of."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from phonefarm.vphone.fs import FileSystem

LATIN_IME = "com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME"
ADB_IME = "com.android.adbkeyboard/.AdbIME"


@dataclass(kw_only=True, slots=True)
class Battery:
    """``level`` in percent, ``temperature`` in tenths of a degree Celsius, ``plugged`` to USB or not."""

    level: int = 85
    temperature: int = 289
    plugged: bool = True

    def update(self, values: Mapping[str, Any]) -> None:
        """Take over level, temperature and plugged where given. Raises ``ValueError`` for a level outside 0 to 100."""
        level = int(values.get("level", self.level))
        if not 0 <= level <= 100:
            raise ValueError(f"battery level {level} is not 0 to 100")
        self.level = level
        self.temperature = int(values.get("temperature", self.temperature))
        self.plugged = bool(values.get("plugged", self.plugged))


@dataclass(kw_only=True, slots=True)
class Package:
    """An installed app; ``activity`` is what its icon opens, empty when it has none."""

    name: str
    activity: str = ""
    version_code: int = 1
    version_name: str = "1.0"
    system: bool = False
    label: str = ""
    colour: str = "#4a5260"
    installed_at: float = 0.0
    splits: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    granted: set[str] = field(default_factory=set)
    disabled: bool = False

    @property
    def path(self) -> str:
        """Where its APK lies."""
        if self.system:
            return f"/system/app/{self.name}/{self.name}.apk"
        return f"/data/app/~~A1b2C3d4E5f6==/{self.name}-Z9y8X7w6==/base.apk"

    @property
    def home(self) -> str:
        """The folder of its APKs."""
        return self.path.rpartition("/")[0]

    def split_path(self, split: str) -> str:
        """Where the APK of a split lies."""
        return f"{self.home}/split_{split}.apk"


@dataclass(kw_only=True, slots=True)
class Session:
    """An installation under way: APKs that were written and not yet committed, by name."""

    flags: frozenset[str]
    written: dict[str, bytes] = field(default_factory=dict)
    children: list[int] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Keyguard:
    """How the screen locks: not at all while ``disabled``, as phones on a rack are set up; else whenever it goes dark.
    With a ``secret`` a swipe is not enough."""

    disabled: bool = True
    secret: str = ""
    typed: str = ""

    @property
    def locks(self) -> bool:
        """Does the screen lock when it goes dark?"""
        return bool(self.secret) or not self.disabled


_NETWORK = ("android.permission.INTERNET", "android.permission.ACCESS_NETWORK_STATE")
INSTALL_TIME = frozenset({*_NETWORK, "android.permission.WAKE_LOCK", "android.permission.VIBRATE"})
"""Permissions that an app has from its installation on; the others must be granted."""


def built_in_packages() -> dict[str, Package]:
    """What a new phone carries."""
    made = [
        Package(name="android", system=True, version_code=34, version_name="14"),
        Package(name="com.android.systemui", system=True),
        Package(name="com.android.settings", system=True, activity=".Settings", label="Settings", colour="#5f6b7a"),
        Package(name="com.android.shell", system=True),
        Package(name="com.google.android.apps.nexuslauncher", system=True, activity=".NexusLauncherActivity"),
        Package(name="com.google.android.inputmethod.latin", system=True),
        Package(name="com.android.adbkeyboard"),
        Package(
            name="org.phonefarm.feed",
            activity=".MainActivity",
            version_code=142,
            version_name="1.4.2",
            label="Feed",
            colour="#e0245e",
            requested=(*_NETWORK, "android.permission.CAMERA", "android.permission.POST_NOTIFICATIONS"),
        ),
        Package(
            name="org.phonefarm.reader",
            activity=".BrowserActivity",
            version_code=31,
            version_name="3.1",
            label="Reader",
            colour="#1f5aa6",
            requested=_NETWORK,
        ),
    ]
    return {package.name: package for package in made}


FAULTS: Mapping[str, object] = {
    "popup": "",
    "no_idle": False,
    "null_root": False,
    "blank_screen": False,
    "disk_full": False,
    "ime_absent": False,
    "locked": False,
    "thermal": 0,
    "slow_ms": 0,
    "slow_link": 0,
    "endless": "",
    "crash_on_start": "",
    "xml": "",
}
"""Faults and what switches them off. ``popup`` is the text of a dialog over the app, ``thermal`` a status of 0 to 6,
``slow_ms`` extra time of every command, ``slow_link`` of every packet to the host, both in milliseconds; ``endless`` a
regular expression of commands that never end; ``crash_on_start`` a package, ``xml`` a text that replaces UI dumps."""
_EVERY = ".*"


@dataclass(kw_only=True, slots=True)
class Faults:
    """What is broken at the moment."""

    fs: FileSystem
    values: dict[str, object] = field(default_factory=lambda: dict(FAULTS))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    on_change: Callable[[], object] = lambda: None

    def set(self, name: str, value: object = True) -> None:
        """Switch one fault. Raises ``KeyError`` for a name that is none of ``FAULTS``, ``ValueError`` for a value that
        makes no sense."""
        if name not in FAULTS:
            raise KeyError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
        self.values[name] = FAULTS[name] if value is False else _sensible(name, value)
        self._tell()

    async def hold(self, line: str) -> None:
        """Wait until ``line`` (a command and its arguments) is none of the endless ones."""
        while (pattern := self.text("endless")) and re.match(rf"(?:{pattern})(?!\S)", line, re.DOTALL):
            await self.changed.wait()

    def _tell(self) -> None:
        self.fs.full = bool(self.values["disk_full"])
        self.changed.set()
        self.changed.clear()
        self.on_change()

    def on(self, name: str) -> bool:
        """Is it switched on?"""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """Its value as text."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """Its value as a whole number; anything else counts as 0."""
        value = self.values[name]
        return int(value) if isinstance(value, int | float) else 0

    def clear(self) -> None:
        """Everything works again."""
        self.values = dict(FAULTS)
        self._tell()


def _sensible(name: str, value: object) -> object:
    if name == "endless":
        pattern = _EVERY if value is True else str(value)
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"endless: {pattern!r} is not a regular expression: {error}") from error
        return pattern
    if isinstance(FAULTS[name], int) and not isinstance(FAULTS[name], bool):
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{name}: {value!r} is not a number from 0 on")
    elif name == "popup" and value is True:
        return "A message of the system"
    elif isinstance(FAULTS[name], str) and not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not a text")
    return value


Reboot = Callable[[str], object]
