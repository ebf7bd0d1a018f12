"""``am`` and ``monkey``: starting and stopping apps, and broadcasts (among them those of the ADB keyboard)."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from phonefarm.vphone.android.parts import ADB_IME, Package
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

MONKEY_NOTHING_RC = 252
_WITH_VALUE = {"-n": "component", "-a": "action", "-d": "data", "-c": "category", "-p": "package", "-t": "type"}
_EXTRAS = frozenset({"--es", "--ei", "--ez", "--el", "--ef", "-e", "--eu", "--esa"})
_VIEWER, _HOME = "org.phonefarm.reader", "com.google.android.apps.nexuslauncher"


@dataclass(kw_only=True, slots=True)
class Intent:
    """What ``am`` was asked for."""

    values: dict[str, str] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    @property
    def component(self) -> tuple[str, str]:
        """Package and activity of ``-n``; the activity may begin with a dot."""
        package, _, name = self.values.get("component", "").partition("/")
        return package, name.replace(package + ".", ".", 1) if name.startswith(package + ".") else name

    def shown(self) -> str:
        """The intent as ``am`` prints it."""
        names = {"action": "act", "data": "dat", "category": "cat", "package": "pkg", "component": "cmp"}
        shown = {**self.values, "category": f"[{self.values.get('category', '')}]"}
        parts = [f"{short}={shown[name]}" for name, short in names.items() if name in self.values]
        if self.extras:
            parts.append("(has extras)")
        return "Intent { " + " ".join([*parts, "}"])


def parse_intent(args: list[str]) -> Intent:
    """Take the arguments of ``am start`` and ``am broadcast`` apart; a bare last word is a package or component."""
    intent = Intent()
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg in _WITH_VALUE and queue:
            intent.values[_WITH_VALUE[arg]] = queue.pop(0)
        elif arg in _EXTRAS and len(queue) > 1:
            name = queue.pop(0)
            intent.extras[name] = queue.pop(0)
        elif arg in ("--user", "-f", "--display") and queue:
            queue.pop(0)
        elif arg.startswith("-"):
            intent.flags.add(arg)
        else:
            intent.values["component" if "/" in arg else "package"] = arg
    return intent


def resolved(android: Android, intent: Intent) -> Package | None:
    """The app that answers an intent without a component: by its package, its action or its address."""
    action, category = intent.values.get("action", ""), intent.values.get("category", "")
    name = intent.values.get("package", "")
    if action == "android.intent.action.VIEW" and intent.values.get("data", "").startswith(("http://", "https://")):
        name = name if name not in ("", _VIEWER) else _VIEWER
        if name != _VIEWER:
            return None
    elif not name and action.startswith("android.settings."):
        name = "com.android.settings"
    elif not name and category == "android.intent.category.HOME":
        name = _HOME
    found = android.packages.get(name)
    return found if found is not None and found.activity and not found.disabled else None


async def am(android: Android, call: Call) -> int:
    """``am start|start-activity|force-stop|kill|broadcast|stack ..``."""
    verb, rest = (call.args[0], call.args[1:]) if call.args else ("", [])
    if verb in ("start", "start-activity"):
        return await _start(android, call, parse_intent(rest))
    if verb == "broadcast":
        return await _broadcast(android, call, parse_intent(rest))
    if verb in ("force-stop", "kill", "crash"):
        for package in (arg for arg in rest if not arg.startswith("-") and arg != "0"):
            (android.crash if verb == "crash" else android.stop_app)(package)
        return 0
    if verb in ("startservice", "start-service", "start-foreground-service"):
        await call.out(f"Starting service: {parse_intent(rest).shown()}\n")
        await call.err("Error: Not found; no service started.\n")
        return 255
    if verb == "instrument":
        words = [word for word in rest if "/" in word]
        await call.err(f"android.util.AndroidException: INSTRUMENTATION_FAILED: {(words or [''])[-1]}\n")
        return 1
    if verb in (
        "stack",
        "task",
        "idle-maintenance",
        "kill-all",
        "set-inactive",
        "wait-for-broadcast-idle",
        "stopservice",
    ):
        return 0
    if verb == "get-current-user":
        await call.out("0\n")
        return 0
    await call.err(f"Unknown command: {verb}\n")
    return 255


async def _start(android: Android, call: Call, intent: Intent) -> int:
    await call.out(f"Starting: {intent.shown()}\n")
    package, activity = intent.component
    if not package:
        answering = resolved(android, intent)
        package, activity = (answering.name, answering.activity) if answering is not None else ("", "")
    found = android.packages.get(package)
    if found is None or not activity or activity != found.activity:
        return await _no_such_activity(call, intent, package, activity)
    if "-S" in intent.flags:
        android.stop_app(package)
    warm, front = package in android.tasks, android.front == package
    android.open_app(package)
    if warm or front:
        await call.err("Warning: Activity not started, its current task has been brought to the front\n")
    if "-W" in intent.flags:
        await _waited(call, f"{package}/{activity}", warm)
    return 0


async def _no_such_activity(call: Call, intent: Intent, package: str, activity: str) -> int:
    if "component" not in intent.values:
        await call.err(f"Error: Activity not started, unable to resolve {intent.shown()}\n")
        return 1
    full = package + activity if activity.startswith(".") else activity
    await call.err(f"Error type 3\nError: Activity class {{{package}/{full}}} does not exist.\n")
    return 1


async def _waited(call: Call, component: str, warm: bool) -> None:
    total = 87 if warm else 412
    state = "HOT" if warm else "COLD"
    await call.out(
        f"Status: ok\nLaunchState: {state}\nActivity: {component}\n"
        f"TotalTime: {total}\nWaitTime: {total + 3}\nComplete\n"
    )


async def _broadcast(android: Android, call: Call, intent: Intent) -> int:
    action = intent.values.get("action", "")
    await call.out(f"Broadcasting: Intent {{ act={action} flg=0x400000{' (has extras)' if intent.extras else ''} }}\n")
    if action.startswith("ADB_") and android.ime == ADB_IME and ADB_IME in android.imes():
        _adb_keyboard(android, action, intent.extras)
    await call.out("Broadcast completed: result=0\n")
    return 0


def _adb_keyboard(android: Android, action: str, extras: dict[str, str]) -> None:
    """What the ADB keyboard does with its broadcasts; nonsense is ignored, as it does."""
    if action == "ADB_INPUT_TEXT":
        android.type_text(extras.get("msg", ""))
    elif action == "ADB_INPUT_B64":
        try:
            android.type_text(base64.b64decode(extras.get("msg", ""), validate=True).decode())
        except (binascii.Error, ValueError):
            android.note("E", "AdbIME", "bad base64 text")
    elif action == "ADB_CLEAR_TEXT":
        for _ in range(1000):
            android.press("DEL")
    elif action == "ADB_EDITOR_CODE":
        android.press("ENTER")
    elif action == "ADB_INPUT_CODE":
        code = {"66": "ENTER", "67": "DEL"}.get(extras.get("code", ""))
        if code:
            android.press(code)


async def monkey(android: Android, call: Call) -> int:
    """``monkey -p package -c android.intent.category.LAUNCHER 1``: opens the app."""
    await call.err(f"bash arg: {' '.join(call.args)}\n")
    package = call.args[call.args.index("-p") + 1] if "-p" in call.args[:-1] else ""
    found = android.packages.get(package)
    if found is None or not found.activity:
        await call.out("** No activities found to run, monkey aborted.\n")
        return MONKEY_NOTHING_RC
    android.open_app(package)
    await call.out("Events injected: 1\n")
    await call.out("## Network stats: elapsed time=21ms (0ms mobile, 0ms wifi, 21ms not connected)\n")
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"am": am, "monkey": monkey}
