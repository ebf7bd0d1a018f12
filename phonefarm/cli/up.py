"""``phonefarm up``, ``down`` and ``sim``: the commands that run things on this machine.

``up --detach`` starts a second ``phonefarm up`` in the background and waits until farm.json says that it is ready.
``down`` tells the supervisor to end and waits for it; if the supervisor is dead, ``down`` ends what it has left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from phonefarm.cli.client import open_client
from phonefarm.cli.draining import drain_before_down
from phonefarm.cli.ending import end_farm
from phonefarm.cli.kin import wait_gone
from phonefarm.cli.plan import UpOptions
from phonefarm.cli.statedir import DEFAULT_DIR, READY, FarmFile, StateDir, runs
from phonefarm.cli.supervisor import FarmDied, Supervisor
from phonefarm.cli.voice import Voice
from phonefarm.errors import ConfigError, PhoneFarmError
from phonefarm.settings import child_environment, read_secrets

DETACH_SECONDS = 300.0
DOWN_SECONDS = 60.0
#: Where the serial numbers of phones on free ports begin: above every port number.
_FREE_NUMBERS = 400_000

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
StateDirOption = Annotated[Path, typer.Option("--state-dir", help="Directory that holds all of the farm's state.")]
Profile = Annotated[
    Literal["instant", "typical"], typer.Option(help="How long the virtual phones take for what they do.")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: phonefarm up --sim 3 --port 8000 --detach")(up)
    app.command(epilog="Example: phonefarm down --state-dir .phonefarm")(down)
    app.command(epilog="Example: phonefarm sim --phones 2 --port-base 21000, then: adb connect 127.0.0.1:21000")(sim)


def up(
    sim: Annotated[int, typer.Option(min=0, max=250, help="Number of virtual phones, in the group 'sim'.")] = 0,
    profile: Profile = "typical",
    host: Annotated[str, typer.Option(help="Address the HTTP server listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the HTTP server; 0: any free one.")] = 8000,
    db: Annotated[str | None, typer.Option(help="Database URL; default: SQLite in the state directory.")] = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    config: Annotated[Path | None, typer.Option(help="farm.yaml with hosts, groups and limits.")] = None,
    address: Annotated[str | None, typer.Option(help="Use this Ray cluster instead of starting one.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once the farm is ready; it stays.")] = False,
    haproxy: Annotated[bool, typer.Option(help="Use HAProxy as ingress where it is installed.")] = True,
    adb_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the adb servers; needed where a unit runs them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a farm: Ray, the actors, the HTTP server, and virtual phones if asked for.

    Ctrl-C or `phonefarm down` ends all that it started, and nothing else.
    """
    options = UpOptions(
        sim=sim,
        profile=profile,
        host=host,
        port=port,
        db=db,
        state_dir=state_dir,
        config=config.absolute() if config else None,
        address=address,
        haproxy=haproxy,
        adb_port=adb_port,
    )
    voice = Voice(as_json=as_json)
    if not detach:
        raise typer.Exit(Supervisor(options, voice).run())
    with voice.work("starting the farm") as work:
        farm = start_detached(options, seen=lambda line: work.show(0, line))
    state = StateDir(state_dir)
    voice.ready(farm, state, key_from_env=read_secrets().api_key is not None)
    with open_client(farm.url, state_dir, state.api_key()) as client:
        for phone in client.phones():
            voice.phone(phone)
    voice.event("detached", f"stop it with: phonefarm down --state-dir {state.path}")


def start_detached(
    options: UpOptions, extra: Mapping[str, str] | None = None, *, seen: Callable[[str], None] = lambda _line: None
) -> FarmFile:
    """A supervisor in the background; gives farm.json once the farm is ready. ``seen`` hears what it said last. Raises
    FarmDied with its last words."""
    state = StateDir(options.state_dir)
    state.open()
    if state.held():
        with state.alone():
            pass  # raises, naming who holds it
    log = state.logs / "up.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "phonefarm.cli", "up", *options.argv()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=child_environment(extra or {}),
            start_new_session=True,
        )
    try:
        return _wait_ready(state, child, log, seen)
    except BaseException:
        if child.poll() is None:
            child.terminate()
            child.wait(DOWN_SECONDS)
        raise


def _wait_ready(state: StateDir, child: subprocess.Popen[bytes], log: Path, seen: Callable[[str], None]) -> FarmFile:
    until = time.monotonic() + DETACH_SECONDS
    while True:
        farm = state.read()
        if farm.state == READY and farm.supervisor is not None and farm.supervisor.pid == child.pid:
            return farm
        if child.poll() is not None or time.monotonic() > until:
            tail = "\n".join(log.read_text("utf-8", errors="replace").strip().splitlines()[-12:])
            raise FarmDied(f"the farm did not start; the end of {log}:\n{tail}")
        seen(next(reversed(log.read_text("utf-8", errors="replace").strip().splitlines()), ""))
        time.sleep(0.1)


def down(
    state_dir: StateDirOption = DEFAULT_DIR,
    drain: Annotated[bool, typer.Option("--drain", help="First let what runs end; the next `up` resumes.")] = False,
    drain_seconds: Annotated[float, typer.Option(min=0, help="How long at most; then it is ended anyway.")] = 900.0,
    as_json: Json = False,
) -> None:
    """End the farm of a state directory: all that `up` started, and nothing else."""
    state, voice = StateDir(state_dir), Voice(as_json=as_json)
    if drain and state.read().state == READY:
        _drain(state, drain_seconds, voice)
    with voice.work("ending the farm"):
        ended = end_from_outside(state)
    text = f"the farm on {state.path} has ended" if ended else f"no farm runs on {state.path}"
    voice.event("down", text, state_dir=str(state.path), ended=ended)


def _drain(state: StateDir, seconds: float, voice: Voice) -> None:
    """What cannot be drained is ended as it is: it goes on at the next start."""
    try:
        with open_client(None, state.path, None) as client, voice.work("letting what runs end"):
            drain_before_down(client, state, seconds, voice.step)
    except PhoneFarmError as error:
        voice.event("not_drained", f"not drained: {error.message}; ending anyway", style="red", why=error.message)


def end_from_outside(state: StateDir) -> bool:
    """End a farm by its supervisor, or in its place. Gives whether there was one."""
    if not state.farm_json.exists():
        return False
    farm = state.read()
    if farm.supervisor is not None and runs(farm.supervisor):
        with contextlib.suppress(ProcessLookupError):
            os.kill(farm.supervisor.pid, signal.SIGTERM)
        if wait_gone([farm.supervisor], DOWN_SECONDS):
            raise ConfigError(f"the supervisor, process {farm.supervisor.pid}, does not end; see {state.logs}/up.log")
        return True
    with state.alone():
        left = bool(farm.cookie or farm.ray or farm.sim)
        if left:
            end_farm(state)
        return left


def sim(
    phones: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 1,
    port_base: Annotated[int, typer.Option(min=0, max=65535, help="Port of the first phone; 0: any free.")] = 21000,
    profile: Profile = "typical",
    journal_dir: Annotated[Path | None, typer.Option(help="Directory for one journal a phone.")] = None,
    seed: Annotated[int, typer.Option(help="Decides all content of the phones.")] = 1,
    first_number: Annotated[
        int | None, typer.Option(min=1, max=999_999, help="Serial number of the first; default: from its port.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="YAML file of what breaks when; see docs/virtual-phone.md.")
    ] = None,
    control_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for JSON lines that break phones; 0: any free.")
    ] = None,
    auth: Annotated[bool, typer.Option("--auth", help="Hosts need a key that was accepted.")] = False,
    as_json: Json = False,
) -> None:
    """Run virtual phones alone, for use with any adb, until Ctrl-C.

    Their serial numbers differ from those of `up --sim`, so they can be connected to a farm that has virtual phones.
    """
    import asyncio

    from phonefarm.vphone.faultplan import PlanError, read_plan
    from phonefarm.vphone.host import HostConfig, serve_phones

    def say(line: str) -> None:
        sys.stdout.write(line + "\n" if as_json else _for_people(line))
        sys.stdout.flush()

    if journal_dir is not None:
        journal_dir.mkdir(parents=True, exist_ok=True)
    try:
        plan = read_plan(faults) if faults is not None else None
    except (OSError, PlanError) as error:
        raise ConfigError(f"{faults}: {error}") from error
    phones_config = HostConfig(
        phones=phones,
        port_base=port_base,
        profile=profile,
        journal_dir=journal_dir,
        seed=seed,
        first_number=first_number or port_base or _FREE_NUMBERS + os.getpid() % _FREE_NUMBERS,
        control_port=control_port,
        auth_required=auth,
        plan=plan,
    )
    try:
        asyncio.run(serve_phones(phones_config, say=say))
    except OSError as error:
        raise ConfigError(f"the virtual phones cannot start: {error}") from error


def _for_people(line: str) -> str:
    import json

    event = json.loads(line)
    control = f"control port: {event['control_port']}\n" if "control_port" in event else ""
    phones = (f"{phone['serialno']}  adb connect 127.0.0.1:{phone['port']}\n" for phone in event["phones"])
    return "".join(phones) + control
