"""How a command is called: its arguments, its channels and the shell that runs it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.shell.pipes import Io, to_bytes

if TYPE_CHECKING:
    from phonefarm.vphone.shell.interpreter import Shell


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One invocation; ``args`` are without the command's name."""

    name: str
    args: list[str]
    shell: "Shell"
    io: Io

    @property
    def fs(self) -> FileSystem:
        """The phone's files."""
        return self.shell.fs

    async def out(self, text: str) -> None:
        """Write to standard output."""
        await self.io.stdout.write(to_bytes(text))

    async def err(self, text: str) -> None:
        """Write to standard error."""
        await self.io.stderr.write(to_bytes(text))

    async def fail(self, text: str, rc: int = 1) -> int:
        """Write ``name: text`` to standard error and return ``rc``."""
        await self.err(f"{self.name}: {text}\n")
        return rc


Command = Callable[[Call], Awaitable[int]]
"""Runs one command; returns its exit code. May raise ``OSError``, which is printed and gives 1."""


class Machine(Protocol):
    """The phone, as the shell sees it."""

    @property
    def fs(self) -> FileSystem:
        """Its files."""
        ...

    @property
    def commands(self) -> Mapping[str, Command]:
        """Commands beside those of the shell itself."""
        ...

    def now(self) -> float:
        """Wall time in seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def hold(self, name: str, args: Sequence[str]) -> None:
        """Wait for as long as this command never ends, for ever if need be."""
        ...

    async def pause(self, name: str, args: Sequence[str]) -> None:
        """Wait as long as a real phone needs for this command."""
        ...
