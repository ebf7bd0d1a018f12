"""What the executor needs of others, as protocols: a phone that takes commands, a signal to stop, a judge, time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from phonefarm.devices.shell import Joiner, ShellResult
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

#: Looks at one video. Never raises: a judge that failed says so in its verdict.
Judge = Callable[[VideoFacts], Verdict]

#: Waits that many seconds; raises SessionStopped when the session must stop hard.
Pause = Callable[[float], None]


class StopSignal(Protocol):
    """Whether the session must stop."""

    def check(self) -> None:
        """Raises SessionStopped once a hard stop was asked for."""


class Shell(Protocol):
    """The part of ``Driver`` that the executor uses."""

    def sh_all(
        self,
        lines: Sequence[Sequence[str]],
        *,
        timeout: float,
        joiner: Joiner = "&&",
        max_output: int = ...,
        guard: Callable[[], None] | None = None,
    ) -> ShellResult: ...

    def exec_out_all(
        self,
        lines: Sequence[Sequence[str]],
        *,
        timeout: float,
        joiner: Joiner = "&&",
        max_output: int = ...,
        guard: Callable[[], None] | None = None,
    ) -> bytes: ...
