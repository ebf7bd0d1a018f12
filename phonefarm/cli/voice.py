"""What ``up`` says while a farm lives: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phonefarm.cli.progress import Work
from phonefarm.cli.statedir import FarmFile, StateDir
from phonefarm.cli.terminal import Terminal

_STYLES = {"available": "green", "busy": "cyan", "offline": "red", "quarantined": "red", "unauthorized": "yellow"}


class Voice:
    """Says events. ``as_json``: one object a line on standard output."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._console = Terminal(soft_wrap=True, highlight=False)
        self._work: Work | None = None
        self._steps = 0

    @property
    def console(self) -> Terminal:
        """Where it speaks; a bar of progress must stand on the same one."""
        return self._console

    def event(self, event: str, line: str, *, style: str | None = None, **values: Any) -> None:
        if self._json:
            sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
            sys.stdout.flush()
        else:
            self._console.print(line, style=style, markup=False)

    @contextmanager
    def work(self, what: str, *, total: int | None = None) -> Iterator[Work]:
        """A bar over a long work, at a terminal. Each ``step`` meanwhile is one of ``total``."""
        with Work(self._console, what, total=total, quiet=self._json) as made:
            self._work, self._steps = made, 0
            try:
                yield made
            finally:
                self._work = None

    def step(self, text: str) -> None:
        if self._work is not None:
            self._work.show(self._steps, text)
            self._steps += 1
        self.event("step", text, style="dim", text=text)

    def ready(self, farm: FarmFile, state: StateDir, *, key_from_env: bool) -> None:
        key = "the one in PHONEFARM_API_KEY" if key_from_env else str(state.api_key_file)
        lines = [
            f"farm       {farm.url}   (ingress: {farm.ingress})",
            f"key        {key}",
            f"dashboard  {farm.dashboard or 'that of your Ray cluster'}",
            f"adb        127.0.0.1:{farm.ports.get('adb', 0)}   (the farm's own server; never 5037)",
            f"state      {state.path}",
        ]
        self.event(
            "ready",
            "\n".join(lines),
            url=farm.url,
            api_key_file=None if key_from_env else str(state.api_key_file),
            dashboard=farm.dashboard or None,
            adb_port=farm.ports.get("adb"),
            state_dir=str(state.path),
            ingress=farm.ingress,
        )

    def phone(self, phone: dict[str, Any]) -> None:
        state = str(phone.get("state"))
        why = f"  {phone['why']}" if phone.get("why") else ""
        text = f"phone      {phone.get('phone_id')}  {state}  at {phone.get('serial')}{why}"
        kept = {name: phone.get(name) for name in ("phone_id", "serial", "state", "why")}
        self.event("phone", text, style=_STYLES.get(state), **kept)
