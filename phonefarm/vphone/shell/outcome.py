"""Run one command line in memory: for tests and for anyone who wants a phone's answer without a wire."""

from dataclasses import dataclass

from phonefarm.vphone.shell.call import Machine
from phonefarm.vphone.shell.interpreter import Shell
from phonefarm.vphone.shell.pipes import BytesReader, Io, MemoryWriter


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Exit code and what was written."""

    rc: int
    out: bytes
    err: bytes


async def run_command(machine: Machine, source: str, stdin: bytes = b"") -> Outcome:
    """Run ``source`` in a fresh shell on ``machine`` to its end."""
    out, err = MemoryWriter(), MemoryWriter()
    rc = await Shell(machine).run(source, Io(stdin=BytesReader(stdin), stdout=out, stderr=err))
    return Outcome(rc=rc, out=bytes(out.data), err=bytes(err.data))
