"""Commands of operators: ``keys``, ``phone``, ``drain``, ``queue``, ``capabilities``, ``replay``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from phonefarm.cli import draining, views
from phonefarm.cli.client import open_client
from phonefarm.cli.commands import SYSTEM, Json, Key, ProcessId, StateDirOption, Url, print_json
from phonefarm.cli.completing import phone_ids
from phonefarm.cli.progress import Work
from phonefarm.cli.statedir import DEFAULT_DIR
from phonefarm.cli.terminal import Terminal
from phonefarm.cli.voice import Voice
from phonefarm.errors import ConfigError

Operation = Literal["pause", "resume", "drain", "quarantine", "release", "retire"]
SCOPES = ("submit", "read", "cancel", "operate", "admin")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")]

keys_app = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Put the commands into the program."""
    app.command(epilog="Example: phonefarm phone drain VP000001 --reason 'new battery'")(phone)
    app.command(epilog="Example: phonefarm drain host rack-1 --reason 'new power supply'")(drain)
    app.command(epilog="Example: phonefarm queue")(queue)
    app.command(epilog="Example: phonefarm capabilities --json")(capabilities)
    app.command(epilog="Example: phonefarm replay 0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11 --request-id again-1")(replay)
    app.add_typer(keys_app, name="keys")
    keys_app.command("create", epilog="Example: phonefarm keys create ci --scope submit --scope read --system ci")(
        create_key
    )
    keys_app.command("list", epilog="Example: phonefarm keys list")(list_keys)
    keys_app.command("revoke", epilog="Example: phonefarm keys revoke ci")(revoke_key)


def create_key(
    name: Name,
    scope: Annotated[list[str], typer.Option(help=f"What it may do, several times: {', '.join(SCOPES)}.")],
    system: Annotated[str | None, typer.Option(help="The only requested_by.system it may name and see.")] = None,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make a key. Its secret is shown once, now."""
    with open_client(url, state_dir, key) as client:
        made = client.create_key(name, scope, system)
    if as_json:
        print_json(made)
        return
    console = Terminal(soft_wrap=True, highlight=False)
    console.print(made["secret"], markup=False)
    console.print("this is shown once and kept nowhere: store it now", style="dim", markup=False)


def list_keys(url: Url = None, key: Key = None, state_dir: StateDirOption = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the keys, revoked ones too. The farm's own key is not among them."""
    with open_client(url, state_dir, key) as client:
        found = client.keys()
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    rows = [
        (one["name"], " ".join(one["scopes"]), one["system"] or "any", one["created_at"], one["revoked_at"] or "")
        for one in found
    ]
    Terminal().print(views.table("keys", ("name", "scopes", "system", "created", "revoked"), rows))


def revoke_key(
    name: Name, url: Url = None, key: Key = None, state_dir: StateDirOption = DEFAULT_DIR, as_json: Json = False
) -> None:
    """End a key. It stops working within two seconds."""
    with open_client(url, state_dir, key) as client:
        ended = client.revoke_key(name)
    if as_json:
        print_json(ended)
        return
    Terminal(highlight=False).print(f"revoked: {name}", markup=False)


def phone(
    operation: Annotated[Operation, typer.Argument(help="What to do.")],
    phone_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the phone: its own serial number.", autocompletion=phone_ids)
    ],
    reason: Annotated[str, typer.Option(help="Why; shown with the phone.")],
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Pause, resume, drain, quarantine, release or retire a phone."""
    with open_client(url, state_dir, key) as client:
        found = client.operate(phone_id, operation, reason)
    if as_json:
        print_json(found)
        return
    draining = ", draining" if found.get("draining") else ""
    Terminal(highlight=False).print(f"{phone_id} is {found.get('state')}{draining}", markup=False)


def drain(
    scope: Annotated[draining.Scope, typer.Argument(help="Of what: its phones are drained.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its id or name; for the farm, none.")] = "",
    reason: Annotated[str, typer.Option(help="Why; shown with the phones.")] = "drained",
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait until it is quiet.")] = 3600.0,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Let what runs end, give nothing new, pause the phones; returns when it is quiet. Undo: phonefarm phone resume."""
    if (scope == "farm") == bool(name):
        raise ConfigError("name the phone, group or host that is drained; the farm has no name")
    voice = Voice(as_json=as_json)
    with open_client(url, state_dir, key) as client:
        phones = draining.drain(client, scope, name, reason)
        with Work(voice.console, "phones are quiet", total=len(phones), quiet=as_json) as work:
            draining.wait_quiet(client, phones, seconds, voice.step, work.show)
    what = f"{scope} {name}".strip()
    voice.event(
        "quiet", f"{what} is quiet, phones paused: {len(phones)}", scope=scope, name=name, phones=sorted(phones)
    )


def queue(
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """List what waits, next first, and why."""
    with open_client(url, state_dir, key) as client:
        page = client.queue(limit=limit)
    if as_json:
        print_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    rows = [
        (one["position"], one["process_id"], one["phone_id"] or "any", one["priority"], one["reason"])
        for one in page.items
    ]
    Terminal().print(views.table("queue", ("position", "process", "phone", "priority", "waits for"), rows))


def capabilities(
    url: Url = None, key: Key = None, state_dir: StateDirOption = DEFAULT_DIR, as_json: Json = False
) -> None:
    """List what can be asked for, in which modes and by which routings; --json shows the inputs too."""
    with open_client(url, state_dir, key) as client:
        found = client.capabilities()
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    rows = [(one["capability"], _supported(one["modes"]), _supported(one["routings"]), one["summary"]) for one in found]
    Terminal().print(views.table("capabilities", ("capability", "modes", "routings", "what it does"), rows))


def _supported(table: Mapping[str, Any]) -> str:
    return " ".join(name for name, one in table.items() if one["supported"])


def replay(
    process_id: ProcessId,
    request_id: Annotated[str, typer.Option(help="Your id of the new request; sending it again is harmless.")],
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Run again what did not finish of a failed process."""
    with open_client(url, state_dir, key) as client:
        made = client.replay(process_id, request_id=request_id, requested_by={"system": SYSTEM})
    if as_json:
        print_json(dict(made.raw))
        return
    Terminal(soft_wrap=True, highlight=False).print(f"accepted: {made.process_id}", markup=False)
