"""``dumpsys``: the state of the services that people ask about."""

import time
from collections.abc import Awaitable, Callable

from phonefarm.vphone.android import dumpsys_more as more
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

_THERMAL = ("NONE", "LIGHT", "MODERATE", "SEVERE", "CRITICAL", "EMERGENCY", "SHUTDOWN")


def battery(android: Android, args: list[str]) -> str:
    """``dumpsys battery [set level N|unplug|reset]``."""
    state = android.battery
    if args[:1] == ["set"] and len(args) == 3 and args[2].isdigit():
        state.update({{"level": "level", "temp": "temperature"}.get(args[1], "plugged"): int(args[2])})
        return ""
    if args[:1] in (["unplug"], ["reset"]):
        state.plugged = args[0] == "reset"
        return ""
    charging = state.plugged and state.level < 100
    rows = {
        "AC powered": "false",
        "USB powered": str(state.plugged).lower(),
        "Wireless powered": "false",
        "Max charging current": "500000",
        "status": "2" if charging else "5" if state.plugged else "3",
        "health": "2" if state.temperature < 450 else "3",
        "present": "true",
        "level": str(state.level),
        "scale": "100",
        "voltage": "4200",
        "temperature": str(state.temperature),
        "technology": "Li-ion",
    }
    return "Current Battery Service state:\n" + "".join(f"  {name}: {value}\n" for name, value in rows.items())


def power(android: Android, args: list[str]) -> str:
    """Awake or asleep."""
    awake = android.awake
    return (
        "POWER MANAGER (dumpsys power)\n\nPower Manager State:\n"
        f"  mWakefulness={'Awake' if awake else 'Asleep'}\n"
        f"  mWakefulnessChanging=false\n  mIsPowered={str(android.battery.plugged).lower()}\n"
        f"  mHoldingDisplaySuspendBlocker={str(awake).lower()}\n"
        f"Display Power: state={'ON' if awake else 'OFF'}\n"
    )


def window(android: Android, args: list[str]) -> str:
    """The window that has the focus; also whether the lock screen is up."""
    if args[:1] == ["policy"]:
        return _policy(android)
    package, _, activity = android.front_activity().partition("/")
    full = package + activity if activity.startswith(".") else activity
    name = f"{package}/{full}"
    if android.faults.on("locked"):
        name = "NotificationShade"
    elif android.faults.on("popup"):
        name = "android/PopupDialog"
    focus = f"Window{{d3b2a1c u0 {name}}}"
    lines = f"  mDreamingLockscreen={str(android.faults.on('locked')).lower()}\n"
    lines += f"  isStatusBarKeyguard={str(android.faults.on('locked')).lower()}\n"
    lines += f"  mAwake={str(android.awake).lower()}\n"
    if args[:1] != ["windows"]:
        lines += f"  mCurrentFocus={focus}\n  mFocusedApp=ActivityRecord{{8c2b1a7 u0 {package}/{activity} t42}}\n"
    width, height = android.size
    sizes = f"init=1080x2400 420dpi cur={width}x{height} app={width}x{height}"
    turned = f"  mCurrentRotation=ROTATION_{android.rotation * 90}\n"
    policy = _policy(android) if not args else ""
    return f"{policy}WINDOW MANAGER WINDOWS (dumpsys window)\n{lines}  {sizes}\n{turned}"


def _policy(android: Android) -> str:
    """``dumpsys window policy``: awake or not, locked or not."""
    awake, locked = str(android.awake).lower(), str(android.faults.on("locked")).lower()
    words = ("AWAKE", "ON") if android.awake else ("SLEEP", "OFF")
    return (
        "WINDOW MANAGER POLICY STATE (dumpsys window policy)\n"
        "    mSafeMode=false mSystemReady=true mSystemBooted=true\n"
        f"    mAwake={awake} mScreenOnEarly={awake} mScreenOnFully={awake}\n"
        "    KeyguardServiceDelegate\n"
        f"      showing={locked}\n      inputRestricted={locked}\n      secure=false\n"
        f"      interactiveState=INTERACTIVE_STATE_{words[0]}\n      screenState=SCREEN_STATE_{words[1]}\n"
    )


def activity(android: Android, args: list[str]) -> str:
    """The activity in front."""
    if args[:1] == ["processes"]:
        return more.processes(android)
    package = android.front
    task = android.tasks.get(package)
    number, pid = (task.number, task.pid) if task else (1, 2300)
    component = android.front_activity()
    if args[:1] == ["top"]:
        return f"TASK {package} id={number} userId=0\n  ACTIVITY {component} 8c2b1a7 pid={pid}\n    mResumed=true\n"
    record = f"ActivityRecord{{8c2b1a7 u0 {component} t{number}}}"
    return (
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\nDisplay #0 (activities from top to bottom):\n"
        f"  * Task{{6f3c2a1 #{number} type=standard A=10205:{package}}}\n    topResumedActivity={record}\n"
        f"  ResumedActivity: {record}\n"
    )


def display(android: Android, args: list[str]) -> str:
    """Size and rotation."""
    width, height = android.size
    return (
        "DISPLAY MANAGER (dumpsys display)\n"
        "  mViewports=[DisplayViewport{type=INTERNAL, valid=true, isActive=true, displayId=0, "
        f"uniqueId='local:4619827259835644672', physicalPort=0, orientation={android.rotation}, "
        f"logicalFrame=Rect(0, 0 - {width}, {height}), "
        f"physicalFrame=Rect(0, 0 - {width}, {height}), deviceWidth={width}, deviceHeight={height}}}]\n"
        f"  mGlobalDisplayState={'ON' if android.awake else 'OFF'}\n"
    )


def package(android: Android, args: list[str]) -> str:
    """``dumpsys package name``."""
    found = android.packages.get(args[0]) if args else None
    if found is None:
        return f"Unable to find package: {args[0] if args else ''}\n"
    installed = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found.installed_at or 1714558272.0))
    flags = "SYSTEM HAS_CODE" if found.system else "HAS_CODE ALLOW_CLEAR_USER_DATA"
    return (
        f"{more.resolver_table(found)}Packages:\n  Package [{found.name}] (a1b2c3d):\n"
        f"    userId={android.uid(found.name)}\n"
        f"    codePath={found.path.rpartition('/')[0]}\n"
        f"    versionCode={found.version_code} minSdk=24 targetSdk=34\n    versionName={found.version_name}\n"
        f"    flags=[ {flags} ]\n    pkgFlags=[ {flags} ]\n"
        f"    firstInstallTime={installed}\n    lastUpdateTime={installed}\n{more.permissions(found)}"
    )


def input_method(android: Android, args: list[str]) -> str:
    """Is a field focused, so that the keyboard shows?"""
    shown = any(node.focused and node.cls.endswith("EditText") for node in android.tree().walk())
    return (
        "Current Input Method Manager state:\n"
        f"  mCurMethodId={android.ime}\n  mInputShown={str(shown).lower()}\n  mShowRequested={str(shown).lower()}\n"
    )


def thermal(android: Android, args: list[str]) -> str:
    """The thermal status, 0 to 6."""
    status = min(max(android.faults.number("thermal"), 0), len(_THERMAL) - 1)
    return f"IsStatusOverride: false\nThermal Status: {status}\n"


def surface_flinger(android: Android, args: list[str]) -> str:
    """The displays."""
    return 'Display 4619827259835644672 (HWC display 0): port=0 pnpId=GGL displayName="Common Panel"\n'


def telephony(android: Android, args: list[str]) -> str:
    """No call."""
    return "last known state:\n  mCallState=0\n"


SERVICES: dict[str, Callable[[Android, list[str]], str]] = {
    **more.SERVICES,
    "battery": battery,
    "power": power,
    "window": window,
    "activity": activity,
    "display": display,
    "package": package,
    "input_method": input_method,
    "thermalservice": thermal,
    "SurfaceFlinger": surface_flinger,
    "telephony.registry": telephony,
}


async def dumpsys(android: Android, call: Call) -> int:
    """``dumpsys [-l] [service [args]]``."""
    args = [arg for arg in call.args if arg != "-t"]
    if args[:1] in ([], ["-l"]):
        await call.out("Currently running services:\n" + "".join(f"  {name}\n" for name in sorted(SERVICES)))
        return 0
    found = SERVICES.get(args[0])
    if found is None:
        await call.err(f"Can't find service: {args[0]}\n")
        return 0
    await call.out(found(android, args[1:]))
    return 0


FUNCTIONS: dict[str, Callable[[Android, Call], Awaitable[int]]] = {"dumpsys": dumpsys}
