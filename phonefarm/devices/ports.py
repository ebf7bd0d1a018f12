"""What the executor needs of others, as protocols: a phone that takes commands, a signal to stop, a judge, time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from phonefarm.devices.shell import Joiner, ShellResult
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

#: Looks at one video, with the interests of the session. Never raises but SessionStopped: a judge that failed says so
#: in its verdict.
Judge = Callable[[VideoFacts, Sequence[str]], Verdict]

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

    def push(
        self,
        data: bytes,
        path: str,
        *,
        timeout: float,
        mode: int = ...,
        guard: Callable[[], None] | None = None,
    ) -> None: ...

    def exec_out_all(
        self,
        lines: Sequence[Sequence[str]],
        *,
        timeout: float,
        joiner: Joiner = "&&",
        max_output: int = ...,
        guard: Callable[[], None] | None = None,
    ) -> bytes: ...
