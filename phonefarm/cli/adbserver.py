"""``phonefarm adb-server``: the adb server of one host under a supervisor of its own, such as a systemd unit.

Usually a host's actor starts its adb server, and the server ends with the unit in which Ray runs. With this command it
lives in a unit of its own, so phones stay connected while Ray is restarted. Both use the same owner
(``phonefarm.devices.adb_server``) on the same directory: whoever comes second takes over what runs, under one lock.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.cli.up import Json, StateDirOption
from phonefarm.cli.voice import Voice

_LOOK_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("adb-server", epilog="Example: phonefarm adb-server --name rack-1 --port 21037 --usb")(adb_server)


def adb_server(
    name: Annotated[str, typer.Option(help="The host's name in farm.yaml; local for a farm without hosts.")] = "local",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its port; the same as phonefarm up --adb-port.")] = 21037,
    usb: Annotated[bool, typer.Option("--usb", help="Phones hang on cables.")] = False,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Run the adb server of a host, and start it again when it ends, until Ctrl-C or SIGTERM."""
    from phonefarm.devices.adb_server import AdbServer  # slow to import

    state = StateDir(state_dir)
    state.open()
    server = AdbServer(port=port, state_dir=state.path / "adb" / name, usb=usb)
    told = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.start()
    Voice(as_json=as_json).event("adb", f"adb server of {name} on port {port}", port=port, pid=server.pid)
    try:
        while not told.wait(_LOOK_SECONDS):
            if server.pid is None:
                server.start()
    finally:
        server.stop()
