"""Upkeep: the steps of ``maintenance`` on one phone.

Theory of operation
-------------------
A step is done when the phone itself says so: a setting is read back, an installed version is listed, a reboot has given
the phone another boot id. What a step found is its output. Nothing here erases an app's data: caches are emptied by
Android's own means, and where an Android cannot, the step says so instead of reaching for more.

A reboot takes the connection away. Commands that fail meanwhile mean that the phone is away, until the action's time
is used up; whether the phone then hangs in its boot nobody here can know, so that is a fault of the phone, not of the
step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phonefarm.devices import apks
from phonefarm.devices.account_page import AccountPage
from phonefarm.devices.handset import Argv
from phonefarm.devices.navigator import Navigator
from phonefarm.devices.ports import Shell, StopSignal
from phonefarm.devices.probe import parse_df, probe
from phonefarm.devices.profiles import Load, load_profile
from phonefarm.devices.shell import DeviceCancelled
from phonefarm.errors import ActionError, ActionTimedOut, DeviceError, DeviceTimeout, NotSupported
from phonefarm.models.action import ActionKind, ActionResult, Artifact

#: Seconds each step may take.
BUDGETS: Mapping[ActionKind, float] = {
    ActionKind.HEALTH_CHECK: 60.0,
    ActionKind.COLLECT_DIAGNOSTICS: 180.0,
    ActionKind.RESTART_APP: 60.0,
    ActionKind.CLEAR_APP_CACHE: 60.0,
    ActionKind.FREE_STORAGE: 180.0,
    ActionKind.INSTALL_APP: 600.0,
    ActionKind.UPDATE_SETTINGS: 60.0,
    ActionKind.REBOOT: 240.0,
    ActionKind.EDIT_PROFILE: 180.0,
}
MOST_DIAGNOSTICS = 2 * 1024 * 1024
REBOOT_PAUSE_SECONDS = 1.0
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_MIB = 1024 * 1024
#: An Android that does not know this option ignores it and erases the app's data, so it is sent only where ``pm help``
#: names it, and before the package.
_CACHE_ONLY = "--cache-only"

Handler = Callable[[Mapping[str, Any]], ActionResult]


class Upkeep:
    """Handlers for the executor, which sets each action's time and maps a stop. ``apk_dir``: of the APKs to install.
    ``load`` gives a profile by its name."""

    def __init__(
        self, *, driver: Shell, nav: Navigator, stop: StopSignal, apk_dir: Path | None, load: Load = load_profile
    ) -> None:
        self._driver = driver
        self._nav = nav
        self._hands = nav.hands
        self._stop = stop
        self._apk_dir = apk_dir
        self._load = load

    def handlers(self) -> Mapping[ActionKind, Handler]:
        """What to call for each kind."""
        return {
            ActionKind.HEALTH_CHECK: self._health_check,
            ActionKind.COLLECT_DIAGNOSTICS: self._diagnostics,
            ActionKind.RESTART_APP: self._restart_app,
            ActionKind.CLEAR_APP_CACHE: self._clear_cache,
            ActionKind.FREE_STORAGE: self._free_storage,
            ActionKind.INSTALL_APP: self._install,
            ActionKind.UPDATE_SETTINGS: self._settings,
            ActionKind.REBOOT: self._reboot,
            ActionKind.EDIT_PROFILE: self._edit_profile,
        }

    # -- looking -------------------------------------------------------------------------------------

    def _health_check(self, _params: Mapping[str, Any]) -> ActionResult:
        facts = probe(self._driver)
        window = self._hands.run(("dumpsys", "window")).stdout
        battery = facts.battery
        return ActionResult(
            output={
                "phone_id": facts.phone_id,
                "model": facts.model,
                "android": facts.android,
                "battery": {
                    "level": battery.level,
                    "temperature": battery.temperature,
                    "charging": battery.charging,
                },
                "storage": {"free": facts.storage_free, "total": facts.storage_total},
                "front": front_of(window),
            }
        )

    def _diagnostics(self, params: Mapping[str, Any]) -> ActionResult:
        parts: tuple[Argv, ...] = (
            ("getprop",),
            ("cat", "/proc/uptime"),
            ("dumpsys", "battery"),
            ("df", "-k", "/data"),
            ("pm", "list", "packages", "-3", "--show-versioncode"),
            ("dumpsys", "window"),
            ("logcat", "-d", "-t", str(params["log_lines"])),
        )
        text = "".join(f"== {' '.join(part)}\n{self._hands.run(part).stdout}\n" for part in parts)
        data = text.encode("utf-8", "replace")[:MOST_DIAGNOSTICS]
        file = Artifact(name=f"{params['name']}.txt", media_type="text/plain; charset=utf-8", data=data)
        return ActionResult(output={"bytes": len(data), "parts": len(parts)}, artifacts=(file,))

    # -- apps ----------------------------------------------------------------------------------------

    def _restart_app(self, params: Mapping[str, Any]) -> ActionResult:
        nav = self._app(params)
        nav.restart()
        return ActionResult(output={"package": nav.profile.package})

    def _clear_cache(self, params: Mapping[str, Any]) -> ActionResult:
        package = self._app(params).profile.package
        if _CACHE_ONLY not in self._hands.run(("pm", "help")).said:
            raise NotSupported("this Android cannot clear one app's cache without its data; use free_storage instead")
        said = self._hands.run(("pm", "clear", _CACHE_ONLY, package)).said
        if "Success" not in said:
            raise ActionError(f"the cache of {package} was not cleared: {said[:200]}")
        return ActionResult(output={"package": package})

    def _install(self, params: Mapping[str, Any]) -> ActionResult:
        apk = apks.find(self._apk_dir, params["file"], params.get("sha256"))
        before = self._versions()
        path = f"/data/local/tmp/phonefarm-{apk.sha256[:16]}.apk"
        self._driver.push(apk.data, path, timeout=self._hands.budget.left(), guard=self._stop.check)
        downgrade = ("-d",) if params.get("allow_downgrade") else ()
        said = self._driver.sh_all(
            [("pm", "install", "-r", *downgrade, path), ("rm", "-f", path)],
            timeout=self._hands.budget.left(),
            joiner=";",
            guard=self._stop.check,
        ).said
        apks.check_install(said, apk.name)
        return ActionResult(
            output={"file": apk.name, "sha256": apk.sha256, "changed": apks.changed(before, self._versions())}
        )

    def _versions(self) -> dict[str, int]:
        return apks.parse_versions(self._hands.run(("pm", "list", "packages", "--show-versioncode")).stdout)

    # -- the phone -----------------------------------------------------------------------------------

    def _free_storage(self, params: Mapping[str, Any]) -> ActionResult:
        target = int(params["target_mib"]) * _MIB
        before = self._free()
        said = self._hands.run(("pm", "trim-caches", str(target)))
        if not said.ok:
            raise ActionError(f"caches were not trimmed: {said.said[:200]}")
        after = self._free()
        output = {"free_before": before, "free_after": after, "freed": max(0, after - before), "target": target}
        return ActionResult(output={**output, "reached": after >= target})

    def _free(self) -> int:
        free, _ = parse_df(self._hands.run(("df", "-k", "/data")).stdout)
        if free is None:
            raise ActionError("the phone does not say how much storage is free")
        return free

    def _settings(self, params: Mapping[str, Any]) -> ActionResult:
        found = [self._set(s["namespace"], s["name"], s["value"]) for s in params["settings"]]
        return ActionResult(output={"settings": found})

    def _set(self, namespace: str, name: str, value: str) -> dict[str, Any]:
        get = ("settings", "get", namespace, name)
        before = self._hands.run(get).stdout.strip()
        said = self._hands.run(("settings", "put", namespace, name, value))
        after = self._hands.run(get).stdout.strip()
        if after != value:
            raise ActionError(f"{namespace}/{name} reads {after!r} after it was set to {value!r}: {said.said[:200]}")
        return {"namespace": namespace, "name": name, "before": None if before == "null" else before, "value": after}

    def _reboot(self, _params: Mapping[str, Any]) -> ActionResult:
        before = self._boot()
        if before is None:
            raise DeviceError("the phone does not say which boot it is in")
        self._away(lambda: self._hands.run(("reboot",)))
        try:
            after = self._next_boot(before)
        except ActionTimedOut as late:
            raise DeviceTimeout(f"the phone did not come back after its reboot: {late.message}") from late
        return ActionResult(output={"boot_id_before": before, "boot_id_after": after})

    def _next_boot(self, before: str) -> str:
        while True:
            self._hands.pause(REBOOT_PAUSE_SECONDS)
            self._hands.budget.left()
            after: str | None = self._away(self._boot)
            if after is not None and after != before:
                return after

    def _boot(self) -> str | None:
        """The id of a boot that is completed."""
        answer = self._hands.run(("cat", _BOOT_ID), ("getprop", "sys.boot_completed"))
        words = answer.stdout.split()
        return words[0] if len(words) == 2 and words[1] == "1" else None

    def _away(self, work: Callable[[], Any]) -> Any:
        """The value of ``work``, None when the phone is away; a stop that was asked for goes on as such."""
        try:
            return work()
        except DeviceCancelled:
            self._stop.check()
            return None
        except DeviceError:
            return None

    # -- the account ---------------------------------------------------------------------------------

    def _edit_profile(self, params: Mapping[str, Any]) -> ActionResult:
        wanted = {name: params[name] for name in ("display_name", "username", "bio") if params.get(name) is not None}
        before, after = AccountPage(self._app(params)).edit(wanted)
        return ActionResult(output={"before": before, "after": after})

    def _app(self, params: Mapping[str, Any]) -> Navigator:
        name = params.get("app") or self._nav.profile.name
        if name == self._nav.profile.name:
            return self._nav
        return Navigator(hands=self._hands, profile=self._load(name))


def front_of(window: str) -> str | None:
    """The focused window's ``package/activity`` in the output of ``dumpsys window``."""
    for line in window.splitlines():
        _, found, rest = line.partition("mCurrentFocus=")
        if found:
            words = rest.rstrip("}").split()
            return words[-1] if words and words[-1] != "null" else None
    return None
