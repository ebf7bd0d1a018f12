"""What the shell completes beside commands and options: ids of phones and processes, names of campaigns.

Completion runs on a key press, so the farm is asked for a second at most, and whatever goes wrong completes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from phonefarm.cli.statedir import DEFAULT_DIR, READY, StateDir
from phonefarm.errors import PhoneFarmError

if TYPE_CHECKING:
    from phonefarm.client import Farm

_SECONDS = 1.0
_MOST = 50


def phone_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Phones of the farm, with their states."""
    return _asked(context, incomplete, lambda farm: [(one["phone_id"], one["state"]) for one in farm.phones()])


def process_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest processes, with their types and statuses."""

    def newest(farm: Farm) -> list[tuple[str, str]]:
        found = farm.processes_page(limit=_MOST).items
        return [(one["process_id"], f"{one['process_type']} {one['status']}") for one in found]

    return _asked(context, incomplete, newest)


def campaigns(context: typer.Context, incomplete: str) -> list[str]:
    """Campaigns that are kept in the state directory."""
    from phonefarm.cli.maintain.keep import kept

    return [name for name in kept(_state(context).path) if name.startswith(incomplete)]


def _state(context: typer.Context) -> StateDir:
    return StateDir(Path(context.params.get("state_dir") or DEFAULT_DIR))


def _asked(
    context: typer.Context, incomplete: str, ask: Callable[[Farm], list[tuple[Any, Any]]]
) -> list[tuple[str, str]]:
    from phonefarm.client import Farm

    state = _state(context)
    farm = state.read()
    url = context.params.get("url") or (farm.url if farm.state == READY else None)
    key = context.params.get("key") or state.known_api_key()
    if not url or not key:
        return []
    try:
        with Farm(str(url), str(key), timeout=_SECONDS, patience=0.0) as client:
            found = ask(client)
    except (PhoneFarmError, KeyError, TypeError):
        return []
    return [(str(name), str(text)) for name, text in found if str(name).startswith(incomplete)]
