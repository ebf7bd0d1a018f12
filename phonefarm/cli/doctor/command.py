"""``phonefarm doctor``: what is wrong with this machine and the farm, why it matters, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from phonefarm.cli.commands import print_json
from phonefarm.cli.doctor.checks import CHECKS, examine, exit_code
from phonefarm.cli.doctor.facts import Farm
from phonefarm.cli.doctor.findings import Finding
from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.cli.terminal import Terminal
from phonefarm.cli.up import Json, StateDirOption

_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def register(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command(epilog="Example: phonefarm doctor --config farm.yaml")(doctor)


def doctor(
    config: Annotated[Path | None, typer.Option(help="farm.yaml, to know which hosts have cables.")] = None,
    db: Annotated[
        str | None, typer.Option("--db", help="Database URL; default: that of the state directory's farm.")
    ] = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Look at this machine, and at the farm if it runs, and say what is wrong and how to cure it.

    Nothing is changed. Exit code 0: nothing, or notes alone; 1: warnings; 2: errors. docs/doctor.md lists all findings.
    """
    from phonefarm.cli.doctor.look import look  # slow to import
    from phonefarm.farmfile import read_farm_file

    hosts = read_farm_file(config).get("hosts", ()) if config is not None else ()
    farm, machines = look(StateDir(state_dir), db=db, hosts=hosts)
    findings = examine(farm, machines)
    if as_json:
        print_json(as_object(farm, [machine.host for machine in machines], findings))
    else:
        _print(findings, len(machines))
    raise typer.Exit(exit_code(findings))


def as_object(farm: Farm, hosts: Sequence[str], findings: Sequence[Finding]) -> dict[str, object]:
    """What ``--json`` prints."""
    names = ("code", "level", "host", "what", "why", "cure")
    return {
        "farm": farm.state,
        "machines": list(hosts),
        "findings": [{name: getattr(one, name) for name in names} for one in findings],
        "exit_code": exit_code(findings),
    }


def _print(findings: Sequence[Finding], machines: int) -> None:
    console = Terminal(soft_wrap=True, highlight=False)
    for one in findings:
        where = f" on {one.host}" if one.host else ""
        console.print(f"{one.level}{where}: {one.what}  [{one.code}]", style=_STYLES[one.level], markup=False)
        console.print(f"  why   {one.why}", markup=False)
        console.print(f"  cure  {one.cure}", markup=False)
    counts = {level: sum(one.level == level for one in findings) for level in _STYLES}
    told = ", ".join(f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count)
    looked = f"{len(CHECKS)} checks, {machines} machine{'s' if machines != 1 else ''}"
    console.print(f"{looked}: {told or 'nothing found'}", markup=False)
