"""The command line: ``phonefarm init | up | down | demo | sim | submit | watch | cancel | processes | phones | phone |
drain | queue | capabilities | replay | keys | profile | maintain | backup | restore | logs | doctor | adb-server |
bench``.

Theory of operation
-------------------
Two kinds of commands. Those of ``commands`` and ``operating`` are clients: they speak HTTP to a farm and know nothing
else of it. Those of ``up`` and ``demo`` run farms. Read in this order: ``statedir`` (what a farm leaves on disk),
``kin`` (whose processes are whose), ``raynode`` and ``sim`` (what is started), ``supervisor`` (the life of a farm),
``ending`` (the one way everything is ended, whether its supervisor still lives or was killed), ``up`` (the commands
for it).

Ray is imported in ``raydriver`` alone, which is a program of its own: the supervisor stays light, ``--help`` is quick,
and nothing that happens to a Ray driver can take the supervisor with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from phonefarm.cli import adbserver, backup, beginning, bench, commands, demo, loglines, operating, profiles, up
from phonefarm.cli.doctor import command as doctor
from phonefarm.cli.maintain import command as maintain
from phonefarm.cli.terminal import Terminal
from phonefarm.errors import PhoneFarmError

_HELP = "Durable work on racks of Android phones, submitted over HTTP."

app = typer.Typer(help=_HELP, pretty_exceptions_enable=False)
beginning.register(app)
up.register(app)
demo.register(app)
commands.register(app)
operating.register(app)
profiles.register(app)
maintain.register(app)
backup.register(app)
loglines.register(app)
adbserver.register(app)
doctor.register(app)
bench.register(app)


def run(argv: Sequence[str]) -> int:
    """Run one command line; gives its exit code. Our own errors are told in two lines, not as a trace."""
    try:
        app(list(argv), prog_name="phonefarm", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except PhoneFarmError as error:
        console = Terminal(stderr=True)
        console.print(f"error: {error.message}", style="red", markup=False, soft_wrap=True)
        console.print(f"next step: {error.next_step}", markup=False, soft_wrap=True)
        return 1
    return 0


def main() -> None:
    """The program ``phonefarm``."""
    sys.exit(run(sys.argv[1:]))
