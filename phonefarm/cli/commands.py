"""The commands that speak HTTP to a farm: ``submit``, ``watch``, ``cancel``, ``processes``, ``phones``.

Where the farm is and which key it takes stand in the state directory; ``--url`` and ``--key`` say otherwise.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from phonefarm.cli import views
from phonefarm.cli.client import open_client
from phonefarm.cli.completing import phone_ids, process_ids
from phonefarm.cli.statedir import DEFAULT_DIR
from phonefarm.cli.terminal import Terminal, json_text
from phonefarm.errors import ConfigError

if TYPE_CHECKING:
    from phonefarm.client import Farm, Process

#: How long one look at a process may wait for its next status; progress in between shows this often.
POLL_SECONDS = 1.0
#: What commands call themselves in ``requested_by``.
SYSTEM = "phonefarm-cli"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Url = Annotated[str | None, typer.Option(help="The farm's URL; default: that of the state directory.")]
Key = Annotated[str | None, typer.Option(help="API key; default: PHONEFARM_API_KEY, else the state directory's.")]
StateDirOption = Annotated[Path, typer.Option("--state-dir", help="State directory of the farm.")]
ProcessId = Annotated[str, typer.Argument(metavar="ID", help="Id of the process.", autocompletion=process_ids)]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: phonefarm submit request.json (or: ... | phonefarm submit -)")(submit)
    app.command(epilog="Example: phonefarm watch 0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11")(watch)
    app.command(epilog="Example: phonefarm cancel 0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11 --reason 'not needed'")(cancel)
    app.command(epilog="Example: phonefarm processes --status executing --limit 20")(processes)
    app.command(epilog="Example: phonefarm phones --json")(phones)


def print_json(value: Any) -> None:
    sys.stdout.write(json_text(value) + "\n")


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The request's JSON; - reads standard input.")],
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Send a request to the farm. Sending the same one again is harmless."""
    body = _read_json(file)
    with open_client(url, state_dir, key) as client:
        answer = client.submit(body).raw
    if as_json:
        print_json(answer)
        return
    known = f"known already, now {answer.get('process_status')}" if answer.get("duplicate") else "accepted"
    console = Terminal(soft_wrap=True, highlight=False)
    console.print(f"{known}: {answer.get('process_id')}", markup=False)
    console.print(f"follow it with: phonefarm watch {answer.get('process_id')}", markup=False, style="dim")


def _read_json(file: str) -> Any:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        return json.loads(text)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{'standard input' if file == '-' else file} is not JSON: {error}") from error


def watch(
    process_id: ProcessId,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Follow a process until it ends. Exit code 0 if it completed, else 1."""
    with open_client(url, state_dir, key) as client:
        process = _follow_json(client, process_id) if as_json else follow(client, process_id, Terminal())
    raise typer.Exit(0 if process.get("status") == "completed" else 1)


def follow(client: Farm, process_id: str, console: Terminal) -> dict[str, Any]:
    """Live progress; gives the process once it has ended."""
    with views.Bars(console) as bars:
        process = dict(client.follow(process_id, lambda seen: bars.show(dict(seen.raw)), poll=POLL_SECONDS).raw)
    console.print(views.process_line(process))
    return process


def _follow_json(client: Farm, process_id: str) -> dict[str, Any]:
    """A line a change."""

    def show(process: Process) -> None:
        sys.stdout.write(json.dumps(process.raw) + "\n")
        sys.stdout.flush()

    return dict(client.follow(process_id, show, poll=POLL_SECONDS).raw)


def cancel(
    process_id: ProcessId,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "cancelled from the command line",
    strategy: Annotated[
        Literal["soft", "hard", "soft_then_force"], typer.Option(help="Stop before the next action, or now.")
    ] = "soft_then_force",
    force_after: Annotated[float, typer.Option(min=0, help="Seconds until soft_then_force stops it hard.")] = 10.0,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Cancel a process. Asking again is harmless."""
    with open_client(url, state_dir, key) as client:
        answer = client.cancel(
            process_id,
            reason=reason,
            requested_by={"system": SYSTEM},
            strategy=strategy,
            force_after_seconds=force_after,
        )
    if as_json:
        print_json(answer)
        return
    Terminal(soft_wrap=True, highlight=False).print(str(answer.get("status")), markup=False)


def processes(
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
    process_type: Annotated[str | None, typer.Option(help="Only those of this capability.")] = None,
    system: Annotated[str | None, typer.Option(help="Only those that this system asked for.")] = None,
    phone: Annotated[
        str | None, typer.Option(help="Only those pinned to this phone, or last on it.", autocompletion=phone_ids)
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only those with this account.")] = None,
    after: Annotated[str | None, typer.Option(help="Created from then on, such as 2026-11-23T09:30:00Z.")] = None,
    before: Annotated[str | None, typer.Option(help="Created before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """List processes, the newest first."""
    filters = {
        "status": status,
        "process_type": process_type,
        "system": system,
        "phone_id": phone,
        "account_id": account,
        "created_after": after,
        "created_before": before,
        "limit": min(limit, 200),
    }
    with open_client(url, state_dir, key) as client:
        found = [dict(process.raw) for process in itertools.islice(client.processes(**filters), limit)]
    if as_json:
        print_json({"items": found, "next_cursor": None})
    else:
        Terminal().print(views.processes(found))


def phones(url: Url = None, key: Key = None, state_dir: StateDirOption = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the farm's phones and how they are."""
    with open_client(url, state_dir, key) as client:
        found = client.phones()
    if as_json:
        print_json({"items": found, "next_cursor": None})
    else:
        Terminal().print(views.phones(found))
