"""Where campaigns are kept: ``campaigns/NAME.json`` in the state directory, where a later run finds them.

The file is replaced whole at every change. ``NAME.lock`` is held by the run that is at it; ``NAME.pause`` is there
while somebody wants the campaign to pause, and holds the reason. It is a file of its own, so that whoever asks for a
pause and the run that hears of it do not write the same file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
from collections.abc import Iterator
from pathlib import Path

from phonefarm.cli.maintain.campaign import Campaign, as_json, from_json
from phonefarm.cli.statedir import write_private
from phonefarm.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIRECTORY = "campaigns"


class Keep:
    """One campaign's place on the disk. Raises ConfigError for a name that cannot be one."""

    def __init__(self, state_dir: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"campaign {name!r}: a name is 1 to 64 letters, digits, dots, dashes and underlines")
        self.name = name
        self._directory = state_dir / _DIRECTORY
        self._file = self._directory / f"{name}.json"
        self._pause = self._directory / f"{name}.pause"

    def load(self) -> Campaign | None:
        """The campaign as it was last saved, None if there is none."""
        try:
            return from_json(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self._file}: cannot be read as a campaign: {error}") from error

    def save(self, campaign: Campaign) -> None:
        write_private(self._file, json.dumps(as_json(campaign), indent=1) + "\n")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the campaign. Raises ConfigError if another run does."""
        self._make()
        with (self._directory / f"{self.name}.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"campaign {self.name} is run by another process already") from None
            yield

    # -- pausing --

    def ask_pause(self, reason: str) -> None:
        self._make()
        write_private(self._pause, reason + "\n")

    def pause_asked(self) -> str | None:
        """Why it shall pause, None if it shall not."""
        try:
            return self._pause.read_text("utf-8").strip()
        except OSError:
            return None

    def end_pause(self) -> None:
        self._pause.unlink(missing_ok=True)

    def _make(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self._directory}: {error.strerror}") from error


def kept(state_dir: Path) -> list[str]:
    """Names of the campaigns in a state directory."""
    return sorted(file.stem for file in (state_dir / _DIRECTORY).glob("*.json"))
