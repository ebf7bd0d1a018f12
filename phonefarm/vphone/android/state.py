"""The state of one phone: properties, settings, packages, running apps, screen, log.

Everything that is not told is drawn from (serialno, seed), so a run can be repeated. Input goes through the tree of the
app in front, never around it: a tap hits what the dump shows.
"""

import random
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from phonefarm.vphone.android import procfs
from phonefarm.vphone.android.apk import built_in_apk
from phonefarm.vphone.android.overlays import keyguard, popup
from phonefarm.vphone.android.parts import (
    ADB_IME,
    LATIN_IME,
    Battery,
    Faults,
    Keyguard,
    Package,
    Reboot,
    Session,
    built_in_packages,
)
from phonefarm.vphone.android.properties import Properties
from phonefarm.vphone.apps import feed, launcher, reader, settings
from phonefarm.vphone.apps.app import SWIPE_PX, App, Playing
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, hit, scaled
from phonefarm.vphone.apps.picture import Camera
from phonefarm.vphone.fs import CAPACITY, SYSTEM_BYTES, FileSystem
from phonefarm.vphone.sockets import Sockets

LOG_LINES = 500
CACHES = {"org.phonefarm.feed": 900_000_000, "com.android.settings": 2_000_000}
"""Bytes that apps have cached on a new phone."""
TAP_SLOP_PX = 24
"""A swipe no longer than this is a tap, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AndroidConfig:
    """What a phone is; ``boot_seconds`` is how long a boot takes after the network is back."""

    serialno: str
    model: str
    product: str
    seed: int
    boot_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One running app."""

    app: App
    number: int
    pid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One line of logcat; ``at`` is wall time in seconds since 1970."""

    at: float
    level: str
    tag: str
    pid: int
    text: str


class Android:
    """One phone's state. ``clock`` and ``wall`` are monotonic and wall time in seconds."""

    def __init__(
        self,
        config: AndroidConfig,
        *,
        on_reboot: Reboot = lambda argument: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        executor: ThreadPoolExecutor | None = None,
    ) -> None:
        self.config = config
        self.on_reboot = on_reboot
        self.clock = clock
        self.wall = wall
        self.fs = FileSystem(wall)
        self.battery = Battery()
        self.faults = Faults(fs=self.fs)
        self.packages: dict[str, Package] = built_in_packages()
        self.caches: dict[str, int] = dict(CACHES)
        self.profile: dict[str, str] = dict(feed.PROFILE)
        self.boot_id = ""
        self.on_shown: Callable[[Playing], object] = lambda playing: None
        self._playing: Playing | None = None
        self.sockets = Sockets()
        self.properties = Properties(config.serialno, config.model, config.product)
        self.rotation = 0
        self.size_override: tuple[int, int] | None = None
        self.density_override: int | None = None
        self._chance = random.Random(f"{config.serialno}|{config.seed}")
        self.sessions: dict[int, Session] = {}
        self.sessions_done = 0
        self.idle_allowed: set[str] = set()
        self.finger: tuple[int, int] | None = None
        self.keyguard = Keyguard()
        self.settings: dict[str, dict[str, str]] = {
            "system": {"screen_brightness": "102", "screen_off_timeout": "60000", "accelerometer_rotation": "1"},
            "secure": {"android_id": f"{self._chance.getrandbits(64):016x}", "default_input_method": LATIN_IME},
            "global": {"airplane_mode_on": "0", "wifi_on": "1", "adb_enabled": "1", "device_name": config.model},
        }
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._camera = Camera(executor)
        self.awake = True
        self.booted_at = 0.0
        self.ready_at = 0.0
        self.tasks: dict[str, Task] = {}
        self.front = launcher.PACKAGE
        self._home = launcher.Launcher(self._icons(), self.open_app)
        self.boot(at_once=True)
        procfs.plant(self.fs, self.uptime, lambda: self.boot_id)
        for package in self.packages.values():
            self._plant_apk(package)

    # -- power -----------------------------------------------------------------------------------------------------
    def boot(self, *, at_once: bool = False) -> None:
        """Start up: home screen, no apps."""
        self.booted_at = self.clock()
        self.boot_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self.ready_at = self.booted_at + (0.0 if at_once else self.config.boot_seconds)
        self._end_tasks()
        self.front = launcher.PACKAGE
        self.awake = True
        if self.keyguard.locks and not at_once:
            self.faults.set("locked")
        self._next_task = 40
        self.note("I", "boot_progress", f"boot of {self.config.serialno}")

    def shut_down(self) -> None:
        """Stop every app; what lives in memory only is lost."""
        self._end_tasks()
        self.log.clear()
        self.sessions.clear()
        self.properties.reboot()

    def _end_tasks(self) -> None:
        for task in self.tasks.values():
            procfs.end(self.fs, task.pid)
        self.tasks.clear()

    def close(self) -> None:
        """Free what the camera holds."""
        self._camera.close()

    @property
    def booted(self) -> bool:
        """Has the boot completed?"""
        return self.clock() >= self.ready_at

    def free_bytes(self) -> int:
        """Bytes left for files and apps."""
        return 0 if self.fs.full else max(0, CAPACITY - SYSTEM_BYTES - self.fs.used() - sum(self.caches.values()))

    def uptime(self) -> float:
        """Seconds since the boot began."""
        return self.clock() - self.booted_at

    # -- apps ------------------------------------------------------------------------------------------------------
    def open_app(self, package: str) -> Task | None:
        """Bring an app to the front, starting it if it does not run; None when it has no activity."""
        found = self.packages.get(package)
        if found is None or not found.activity or found.disabled:
            return None
        if package == launcher.PACKAGE:
            self.front = package
            return None
        task = self.tasks.get(package)
        if task is None:
            task = self.tasks[package] = self._new_task(found)
        self.front = package
        task.app.shown(self.clock())
        self.note("I", "ActivityTaskManager", f"START u0 {{cmp={package}/{found.activity}}}")
        if self.faults.text("crash_on_start") == package:
            self.crash(package)
        return task

    def stop_app(self, package: str) -> None:
        """End an app; the home screen comes up when it was in front."""
        task = self.tasks.pop(package, None)
        if task is not None:
            procfs.end(self.fs, task.pid)
        if self.front == package:
            self.front = launcher.PACKAGE

    def erase(self, package: str) -> None:
        """An app as it was when it was new."""
        self.stop_app(package)
        if package == feed.PACKAGE:
            self.profile.clear()
            self.profile.update(feed.PROFILE)

    def remove_app(self, package: str) -> None:
        """An app and its APKs are gone; one that was not there is fine."""
        found = self.packages.pop(package, None)
        self.stop_app(package)
        if found is not None:
            self.fs.uproot(found.home)

    def uid(self, package: str) -> int:
        """The user that an app runs as."""
        return 1000 if package == "android" else 10100 + sum(package.encode()) % 800

    def remove(self, package: str) -> None:
        """An app is gone. Raises ``KeyError`` when it was not there."""
        del self.packages[package]
        self.stop_app(package)

    def restore(self, package: str) -> None:
        """An app that a new phone carries is back. Raises ``KeyError`` for another."""
        self.packages[package] = built_in_packages()[package]

    def crash(self, package: str) -> None:
        """An app dies with an exception in the log."""
        task = self.tasks.get(package)
        pid = task.pid if task else 0
        for text in ("FATAL EXCEPTION: main", f"Process: {package}, PID: {pid}", "java.lang.IllegalStateException"):
            self.note("E", "AndroidRuntime", text, pid)
        self.stop_app(package)

    def front_app(self) -> App:
        """The app in front."""
        task = self.tasks.get(self.front)
        return task.app if task is not None else self._home

    def front_activity(self) -> str:
        """Package and activity in front, as ``package/.Activity``."""
        app = self.front_app()
        return f"{app.package}/{app.activity}"

    # -- screen ----------------------------------------------------------------------------------------------------
    def rotate(self, quarter: int) -> None:
        """Turn the phone by so many quarters. Raises ``ValueError`` outside 0 to 3."""
        if quarter not in range(4):
            raise ValueError(f"quarter {quarter} is not 0 to 3")
        self.rotation = quarter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as the phone is held."""
        width, height = self.size_override or (WIDTH, HEIGHT)
        return (height, width) if self.rotation % 2 else (width, height)

    def tree(self) -> Node:
        """What is on the screen: the app in front, or what covers it."""
        if self.faults.on("locked"):
            root = keyguard()
        elif self.faults.on("popup"):
            root = popup(self.faults.text("popup"))
        else:
            app = self.front_app()
            root = app.tree(self.clock())
            self._tell(app.playing())
        return scaled(root, *self.size)

    def _tell(self, playing: Playing | None) -> None:
        """Write down what fills the screen, each time it is something else."""
        if playing != self._playing and playing is not None:
            self.on_shown(playing)
        self._playing = playing

    def window_package(self) -> str:
        """Package of the window that the dump shows."""
        covered = self.faults.on("locked") or self.faults.on("popup")
        return "com.android.systemui" if covered else self.front_app().package

    async def screenshot(self) -> bytes:
        """The screen as PNG."""
        return await self._camera.png(self.tree(), *self.size, dark=self._dark())

    async def raw_screen(self) -> tuple[int, int, bytes]:
        """Width and height in pixels, and RGBA bytes, of the screen."""
        return *self.size, await self._camera.rgba(self.tree(), *self.size, dark=self._dark())

    def _dark(self) -> bool:
        return not self.awake or self.faults.on("blank_screen")

    # -- input -----------------------------------------------------------------------------------------------------
    def tap(self, x: int, y: int) -> None:
        """A finger touches (x, y)."""
        node = hit(self.tree(), x, y) if self.awake else None
        if node is None:
            return
        if node.action == "popup:dismiss":
            self.faults.set("popup", False)
        else:
            self.front_app().act(node.action, self.clock())

    def swipe(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """A finger moves from ``start`` to ``end``."""
        if max(abs(start[0] - end[0]), abs(start[1] - end[1])) <= TAP_SLOP_PX:
            self.tap(*start)
        elif not self.awake:
            return
        elif self.faults.on("locked"):
            if start[1] - end[1] > SWIPE_PX and not self.keyguard.secret:
                self.faults.set("locked", False)
        elif not self.faults.on("popup"):
            self.front_app().swipe(self._design(start), self._design(end), self.clock())

    def type_text(self, text: str) -> None:
        """Text from the keyboard; on the lock screen it is the secret."""
        if self.awake and self.faults.on("locked"):
            self.keyguard.typed += text
            return
        if self.awake and self.window_package() == self.front_app().package:
            self.front_app().typed(text)

    def press(self, key: str) -> None:
        """A key by its name, such as ``HOME``."""
        if key in ("POWER", "WAKEUP", "SLEEP"):
            self.awake = key == "WAKEUP" or (key == "POWER" and not self.awake)
            if not self.awake and self.keyguard.locks:
                self.faults.set("locked")
        elif self.awake and self.faults.on("locked"):
            self._unlock(key)
        elif not self.awake:
            return
        elif key == "HOME":
            self.front = launcher.PACKAGE
        elif self.faults.on("popup"):
            if key in ("BACK", "ENTER"):
                self.faults.set("popup", False)
        elif not self.front_app().key(key, self.clock()) and key == "BACK":
            self.front = launcher.PACKAGE

    def _unlock(self, key: str) -> None:
        """A key on the lock screen: ENTER after the right secret opens it, MENU does where there is none."""
        guard = self.keyguard
        if key == ("ENTER" if guard.secret else "MENU"):
            if guard.typed == guard.secret or not guard.secret:
                self.faults.set("locked", False)
            guard.typed = ""

    def _design(self, point: tuple[int, int]) -> tuple[int, int]:
        """A point of the screen in pixels of the layouts."""
        width, height = self.size
        return point[0] * WIDTH // width, point[1] * HEIGHT // height

    # -- the rest --------------------------------------------------------------------------------------------------
    def imes(self) -> list[str]:
        """Input methods that are installed."""
        adb = [] if self.faults.on("ime_absent") or "com.android.adbkeyboard" not in self.packages else [ADB_IME]
        return [LATIN_IME, *adb]

    @property
    def ime(self) -> str:
        """The input method in use."""
        return self.settings["secure"].get("default_input_method", LATIN_IME)

    def note(self, level: str, tag: str, text: str, pid: int = 1500) -> None:
        """Add a line to the log."""
        self.log.append(LogLine(at=self.wall(), level=level, tag=tag, pid=pid, text=text))

    def summary(self) -> dict[str, object]:
        """The state in a few words, for the control port."""
        return {
            "serialno": self.config.serialno,
            "front": self.front_activity(),
            "awake": self.awake,
            "booted": self.booted,
            "battery": self.battery.level,
        }

    def _icons(self) -> list[tuple[str, str, str]]:
        return [(p.name, p.label, p.colour) for p in self.packages.values() if p.label]

    def _new_task(self, package: Package) -> Task:
        self._next_task += 1
        pid = self._chance.randint(3000, 29999)
        procfs.start(self.fs, pid, package.name)
        return Task(app=self._app_of(package), number=self._next_task, pid=pid)

    def _plant_apk(self, package: Package) -> None:
        data = built_in_apk(package.name, package.version_code, package.version_name)
        self.fs.plant_file(package.path, data)

    def _app_of(self, package: Package) -> App:
        if package.name == feed.PACKAGE:
            return feed.FeedApp(self.config.seed, self.profile)
        if package.name == reader.PACKAGE:
            return reader.ReaderApp(self.config.seed)
        if package.name == settings.PACKAGE:
            release = self.properties.get("ro.build.version.release", booted=True)
            about = (("Model", self.config.model), ("Android version", release), ("Serial", self.config.serialno))
            return settings.SettingsApp(self.settings, about)
        return launcher.PlainApp(package.name, package.activity)
