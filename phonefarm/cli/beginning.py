"""Where to start: ``phonefarm`` without a command, and ``phonefarm init``.

Without a command the program says how the farm of the state directory is, if there is one, and which commands come
first; the whole list is ``--help``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phonefarm.cli.statedir import DEFAULT_DIR, READY, STARTING, StateDir
from phonefarm.cli.terminal import Terminal
from phonefarm.errors import ConfigError, PhoneFarmError

if TYPE_CHECKING:
    from phonefarm.cli.statedir import FarmFile

Lines = Sequence[tuple[str, str]]

_FIRST: Lines = (
    ("phonefarm demo", "three virtual phones do a session and show all of it; half a minute"),
    ("phonefarm up", "start a farm with the phones on this machine's cables; --sim 3 for virtual ones"),
    ("phonefarm init", "write a commented farm.yaml: groups, phones on the network, limits"),
)
_NEXT: Lines = (
    ("phonefarm phones", "the phones and how they are"),
    ("phonefarm processes", "what was asked for and what came of it"),
    ("phonefarm down", "end the farm; nothing is lost"),
)
_LOOK_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    app.callback(invoke_without_command=True)(start)
    app.command(epilog="Example: phonefarm init --output farm.yaml")(init)


def start(context: typer.Context) -> None:
    """Durable work on racks of Android phones, submitted over HTTP."""
    if context.invoked_subcommand is not None:
        return
    console = Terminal(highlight=False, soft_wrap=True)
    state = StateDir(DEFAULT_DIR)
    farm = state.read()
    told, commands = _now(state, farm)
    console.print("phonefarm: durable work on racks of Android phones, submitted over HTTP", style="bold")
    console.print(f"\n{told}\n", markup=False)
    width = max(len(command) for command, _ in commands)
    for command, text in commands:
        console.print(f"  {command:<{width}}  {text}", markup=False)
    console.print("\nall commands: phonefarm --help; the documents: README.md and docs/ of the project", markup=False)
    if farm.state == READY:
        console.print(f"the API and its examples: {farm.url}/docs", markup=False)


def _now(state: StateDir, farm: FarmFile) -> tuple[str, Lines]:
    """How the farm of the state directory is, and what to do next."""
    if not state.farm_json.exists():
        return f"There is no farm in {DEFAULT_DIR} yet. Begin with one of these:", _FIRST
    held = state.held()
    if farm.state == READY and held:
        return f"A farm runs on {state.path}, at {farm.url}: {_phones(state, farm)}.", _NEXT
    if farm.state == STARTING and held:
        return f"A farm is starting on {state.path}.", _NEXT
    if farm.state in (READY, STARTING):
        return f"The farm on {state.path} has ended by itself; up goes on where it was.", _FIRST
    return f"The farm on {state.path} is down; up goes on where it was.", _FIRST


def _phones(state: StateDir, farm: FarmFile) -> str:
    """Its phones by state, in a sentence. Short: somebody who only typed the name does not wait."""
    from phonefarm.client import Farm

    key = state.known_api_key()
    if key is None:
        return "its key is not here"
    try:
        with Farm(farm.url, key, timeout=_LOOK_SECONDS, patience=0.0) as client:
            states = [str(phone["state"]) for phone in client.phones()]
    except PhoneFarmError as error:
        return f"it does not answer ({error.code})"
    counts = ", ".join(f"{states.count(one)} {one}" for one in sorted(set(states)))
    return f"{len(states)} phones ({counts})" if states else "no phone yet"


def init(
    output: Annotated[Path, typer.Option(help="Where to write it.")] = Path("farm.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Write a commented farm.yaml, and beside it the schema by which editors check and complete it."""
    from phonefarm.farmfile.example import example
    from phonefarm.farmfile.schema import FILE_NAME, schema

    files = {output: example(), output.with_name(FILE_NAME): json.dumps(schema(), indent=2) + "\n"}
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise ConfigError(f"{' and '.join(there)}: there already; --force replaces, --output names another place")
    for path, text in files.items():
        try:
            path.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
    if as_json:
        print(json.dumps({"files": [str(path) for path in files]}))
        return
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(f"written: {', '.join(str(path) for path in files)}", markup=False)
    console.print(f"change what you need, then: phonefarm up --config {output}", style="dim", markup=False)
