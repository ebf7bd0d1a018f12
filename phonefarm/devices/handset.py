"""Look and touch: one phone as a finger and an eye, inside one action's time budget.

Theory of operation
-------------------
Every command is one line and one round trip; what is done and the look at what came of it go together (tap, then
dump, then cat). ``uiautomator dump`` may fail with exit code 0 and leave yesterday's file lying there, so the file
is removed first, in the same line: a dump that is read is a dump that was just made. A screen that cannot be read
is tried again up to three times, the phone being woken in between, all within the budget.

Before anything is sent the stop signal is asked, by the driver's guard, so that a stop is never missed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from phonefarm.devices import screen as screens
from phonefarm.devices.ports import Pause, Shell, StopSignal
from phonefarm.devices.profiles import Swipe
from phonefarm.devices.screen import Node, Screen
from phonefarm.devices.shell import ShellResult
from phonefarm.errors import ActionTimedOut, BadScreen, CommandFailed, OutputTruncated

DUMP_FILE = "/sdcard/phonefarm_dump.xml"
DUMP: tuple[tuple[str, ...], ...] = (
    ("rm", "-f", DUMP_FILE),
    ("uiautomator", "dump", DUMP_FILE),
    ("cat", DUMP_FILE),
)
WAKE: tuple[tuple[str, ...], ...] = (("input", "keyevent", "KEYCODE_WAKEUP"), ("wm", "dismiss-keyguard"))
#: A screen is read once, and up to three times more.
TRIES = 4
#: Seconds a single command may take, and the pause before a screen is read again.
COMMAND_SECONDS = 20.0
RETRY_SECONDS = 0.5

#: What uiautomator says of a dump that it made. Android spells it like this.
_DUMPED = re.compile(rb"^UI hier\w+ dumped to: .*\n", re.MULTILINE)
#: Key presses a command may carry.
_KEYS = 50

Argv = Sequence[str]


class Budget:
    """The time of one action: ``seconds`` in all."""

    def __init__(self, seconds: float, clock: Callable[[], float], what: str) -> None:
        self._ends = clock() + seconds
        self._clock = clock
        self._text = f"{what} did not get done within {seconds:g} s"

    def left(self) -> float:
        """Seconds left. Raises ActionTimedOut once there are none."""
        left = self._ends - self._clock()
        if left <= 0:
            raise ActionTimedOut(self._text)
        return left


class Handset:
    """The phone behind ``shell``. ``begin`` sets the budget of the action that follows."""

    def __init__(
        self, *, shell: Shell, stop: StopSignal, pause: Pause, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shell = shell
        self._stop = stop
        self._clock = clock
        self.pause = pause
        self.budget = Budget(60.0, clock, "the action")

    def begin(self, seconds: float, what: str) -> None:
        """A new action of ``seconds``; ``what`` names it in errors."""
        self.budget = Budget(seconds, self._clock, what)
        self._stop.check()

    def run(self, *lines: Argv) -> ShellResult:
        """Run all lines, whatever becomes of each."""
        return self._shell.sh_all(lines, timeout=self._seconds(), joiner=";", guard=self._stop.check)

    def look(self, *before: Argv) -> Screen:
        """Do ``before`` and read the screen, in one round trip. Raises BadScreen when it stays unreadable."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._dump(before)
            except BadScreen:
                if attempt == TRIES:
                    raise
                before = WAKE if attempt > 1 else ()
                self.pause(RETRY_SECONDS * attempt)
        raise AssertionError("unreachable")

    def capture(self) -> bytes:
        """The screen as PNG bytes, not decoded. Raises BadScreen when they are not a whole PNG."""
        png = self._shell.exec_out_all(
            [("screencap", "-p")], timeout=self._seconds(), max_output=32 * 1024 * 1024, guard=self._stop.check
        )
        if not png.startswith(b"\x89PNG\r\n\x1a\n") or b"IEND" not in png[-16:]:
            raise BadScreen(f"the screenshot is no whole PNG ({len(png)} bytes)")
        return png

    def raw_dump(self) -> bytes:
        """What the phone gives for its screen now, not read; uiautomator's failure if there is nothing else.

        Raises CommandFailed, OutputTruncated above the cap.
        """
        said = self._shell.exec_out_all(
            DUMP, timeout=self._seconds(), joiner=";", max_output=2 * screens.MAX_BYTES, guard=self._stop.check
        )
        return _DUMPED.sub(b"", said, count=1)

    def _dump(self, before: Sequence[Argv]) -> Screen:
        lines = [*before, *DUMP]
        try:
            text = self._shell.exec_out_all(
                lines, timeout=self._seconds(), joiner=";", max_output=2 * screens.MAX_BYTES, guard=self._stop.check
            )
        except (CommandFailed, OutputTruncated) as error:
            raise BadScreen(f"the screen could not be read: {error.message}") from error
        return screens.parse(text)

    def _seconds(self) -> float:
        return min(COMMAND_SECONDS, self.budget.left())


def tap(node: Node) -> Argv:
    """Tap the middle of a node."""
    x, y = node.bounds.centre
    return ("input", "tap", str(x), str(y))


def key(name: str) -> Argv:
    """Press a key, such as ``KEYCODE_BACK``."""
    return ("input", "keyevent", name)


def erased(characters: int) -> list[Argv]:
    """Keys that take so many characters away, from the end of the field in focus."""
    steps: list[Argv] = [key("KEYCODE_MOVE_END")]
    while characters > 0:
        steps.append(("input", "keyevent", *["KEYCODE_DEL"] * min(characters, _KEYS)))
        characters -= _KEYS
    return steps


def swipe(move: Swipe, screen: Screen) -> Argv:
    """A swipe of the profile, in the pixels of this screen."""
    width, height = screen.size
    points = (move.start[0] * width, move.start[1] * height, move.end[0] * width, move.end[1] * height)
    return ("input", "swipe", *(str(round(point)) for point in points), str(move.milliseconds))
