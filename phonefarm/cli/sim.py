"""The virtual phones of a farm: one child process that runs them all, on ports in a row."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from phonefarm.cli.statedir import StateDir
from phonefarm.errors import ConfigError
from phonefarm.settings import child_environment

GROUP = "sim"
PREFIX = "VP"
_START_SECONDS = 30.0


class SimProcess:
    """Virtual phones; journals in ``vphone/`` of the state directory, output in ``logs/vphone.log``."""

    def __init__(self, state: StateDir, *, phones: int, port_base: int, profile: str) -> None:
        self._log = state.logs / "vphone.log"
        self._ready = state.path / "vphone.ready"
        self._journals = state.path / "vphone"
        self._command = [
            *(sys.executable, "-m", "phonefarm.vphone"),
            *("--phones", str(phones), "--port-base", str(port_base), "--profile", profile),
            *("--journal-dir", str(self._journals), "--serial-prefix", PREFIX, "--first-number", "1", "--seed", "1"),
            *("--ready-file", str(self._ready)),
        ]
        self.addresses = tuple(f"127.0.0.1:{port_base + index}" for index in range(phones))

    def start(self, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start them; ``wait`` says when they listen."""
        self._ready.unlink(missing_ok=True)
        self._journals.mkdir(mode=0o700, exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(variables),
                start_new_session=True,
            )

    def wait(self, child: subprocess.Popen[bytes]) -> list[str]:
        """Serial numbers, once all listen. Raises ConfigError with their last words if they do not."""
        until = time.monotonic() + _START_SECONDS
        while not self._ready.exists():
            if child.poll() is not None or time.monotonic() > until:
                raise ConfigError(f"the virtual phones did not start: {_last_line(self._log)}")
            time.sleep(0.02)
        return [phone["serialno"] for phone in json.loads(self._ready.read_text("utf-8"))["phones"]]


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no word from them"
