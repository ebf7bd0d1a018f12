"""``phonefarm profile check | record``: an app's profile tried on a phone, or begun from its screen.

Both talk to the phone over adb on this machine. A phone of a running farm is paused for as long as that takes, so no
session gets in the way, and resumed after it; a phone that is already held stays so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonefarm.cli import views
from phonefarm.cli.client import open_client
from phonefarm.cli.commands import Json, Key, StateDirOption, Url, print_json
from phonefarm.cli.completing import phone_ids
from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.cli.terminal import Terminal, harmless
from phonefarm.errors import ConfigError
from phonefarm.settings import PROFILES

if TYPE_CHECKING:
    from phonefarm.client import Farm
    from phonefarm.devices.driver import Driver
    from phonefarm.devices.handset import Handset
    from phonefarm.devices.profiles import Profile
    from phonefarm.devices.walk import Walked

profile_app = typer.Typer(help="App profiles: check one on a phone, begin one from its screen.", no_args_is_help=True)

#: How long an operator waits for the phone's session to end.
PAUSE_SECONDS = 1_800.0
_LOOK_SECONDS = 0.5
_REASON = "phonefarm profile"
_HELD = ("paused", "quarantined", "retired")

PhoneId = Annotated[
    str | None, typer.Option("--phone", help="Id of a phone of the farm on this machine.", autocompletion=phone_ids)
]
Serial = Annotated[str | None, typer.Option(help="Without a farm: the phone's serial at an adb server.")]
AdbPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of that adb server.")]


def register(app: typer.Typer) -> None:
    """Put the commands into the program."""
    app.add_typer(profile_app, name="profile")
    profile_app.command("check", epilog="Example: phonefarm profile check feed --phone VP000001")(check)
    profile_app.command("record", epilog="Example: phonefarm profile record --phone VP000001 --screen feed")(record)


def check(
    name: Annotated[str, typer.Argument(help="A profile's name, or the path of a .yaml file.")],
    phone: PhoneId = None,
    serial: Serial = None,
    adb_port: AdbPort = None,
    keyword: Annotated[str, typer.Option(help="What to search for.")] = "news",
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Walk through an app, looking only, and say which selectors of its profile hold. Ends with 1 if some do not."""
    from phonefarm.devices.navigator import Navigator
    from phonefarm.devices.walk import Walk

    profile = _profile(name, state_dir)
    with _at(phone, serial, adb_port, url, key, state_dir) as driver:
        walked = Walk(Navigator(hands=_hands(driver), profile=profile), keyword).go()
    if as_json:
        findings = [{**asdict(found), "holds": found.holds} for found in walked.findings]
        print_json({"good": walked.good, "findings": findings, "troubles": list(walked.troubles)})
    else:
        _show(profile, walked)
    raise typer.Exit(0 if walked.good else 1)


def record(
    screen: Annotated[str, typer.Option(help="What the screen is: feed, search, results, player, ...")] = "feed",
    phone: PhoneId = None,
    serial: Serial = None,
    adb_port: AdbPort = None,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
) -> None:
    """Print the beginning of a profile from what the phone shows now. It touches nothing."""
    from phonefarm.devices.draft import draft
    from phonefarm.devices.upkeep import front_of

    with _at(phone, serial, adb_port, url, key, state_dir) as driver:
        hands = _hands(driver)
        hands.begin(60.0, "the look")
        seen = hands.look()
        front = front_of(hands.run(("dumpsys", "window")).stdout)
    if front is None:
        raise ConfigError("no app is in front; open the one whose profile you want to write")
    typer.echo(harmless(draft(seen, role=screen, activity=front)))


def _profile(name: str, state_dir: Path) -> Profile:
    from phonefarm.devices.profiles import load_profile, load_profile_file

    if name.endswith((".yaml", ".yml")):
        return load_profile_file(Path(name))
    return load_profile(name, state_dir / PROFILES)


class _NeverStopped:
    def check(self) -> None:
        return None


def _hands(driver: Driver) -> Handset:
    from phonefarm.devices.handset import Handset

    return Handset(shell=driver, stop=_NeverStopped(), pause=time.sleep)


@contextmanager
def _at(
    phone: str | None, serial: str | None, adb_port: int | None, url: str | None, key: str | None, state_dir: Path
) -> Iterator[Driver]:
    """The phone, for nobody else as long as this lasts."""
    from phonefarm.devices.driver import Driver

    if serial is not None and adb_port is not None:
        yield Driver(port=adb_port, serial=serial)
        return
    if phone is None:
        raise ConfigError("give --phone ID of a running farm, or --serial and --adb-port")
    with open_client(url, state_dir, key) as farm:
        found = farm.phone(phone)
        if found["state"] in ("offline", "unauthorized"):
            raise ConfigError(f"{phone} is {found['state']}: {found['why']}")
        ours = found["state"] not in _HELD
        try:
            if ours:
                found = _paused(farm, phone)
            yield Driver(port=StateDir(state_dir).read().ports["adb"], serial=found["serial"])
        finally:
            if ours:
                farm.operate(phone, "resume", _REASON)


def _paused(farm: Farm, phone: str) -> dict[str, Any]:
    """Pause the phone and wait until its session has ended."""
    found = farm.operate(phone, "pause", _REASON)
    until = time.monotonic() + PAUSE_SECONDS
    while found["state"] not in _HELD:
        if time.monotonic() > until:
            raise ConfigError(f"{phone} is still {found['state']}; cancel what it runs, or try later")
        time.sleep(_LOOK_SECONDS)
        found = farm.phone(phone)
    return found


def _show(profile: Profile, walked: Walked) -> None:
    rows = [
        (found.name, found.kind, _verdict(found.holds, found.needed), ", ".join(found.seen_on), found.text)
        for found in walked.findings
    ]
    console = Terminal(highlight=False)
    console.print(views.table(f"profile {profile.name}", ("selector", "kind", "", "seen on", "read"), rows))
    for trouble in walked.troubles:
        console.print(f"not reached: {trouble}", markup=False)
    console.print("the profile holds" if walked.good else "the profile does not hold", markup=False)


def _verdict(holds: bool, needed: bool) -> str:
    return "holds" if holds else ("MISSING" if needed else "not seen")
