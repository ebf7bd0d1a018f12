"""Runs a syntax tree.

Every stage of a pipeline and every ``( .. )`` runs in a copy of the shell; stages run at the same time as tasks of one
group, so ``yes | head -1`` ends and a cancelled shell takes everything it started with it. Background jobs that still
write to the shell's own channels are waited for at the end, as adbd does; the others outlive it.
"""

import asyncio
import fnmatch
import posixpath
import re
from collections.abc import Coroutine
from typing import Any

from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.shell import builtins, pipes, syntax, tools
from phonefarm.vphone.shell.call import Call, Command, Machine
from phonefarm.vphone.shell.expand import Expander
from phonefarm.vphone.shell.flow import Break, Continue, Exit, Return
from phonefarm.vphone.shell.parser import parse
from phonefarm.vphone.shell.pipes import Io, Pipe, PipeReader, PipeWriter
from phonefarm.vphone.shell.redirect import redirected
from phonefarm.vphone.shell.syntax import ShellSyntaxError

SHELL = "/system/bin/sh"
BIN = ("/system/bin/", "/system/xbin/", "/vendor/bin/", "/bin/", "/usr/bin/")
SIGPIPE_RC = 141
DEFAULT_VARIABLES = {
    "HOME": "/",
    "PATH": "/product/bin:/apex/com.android.runtime/bin:/system/bin:/system/xbin:/vendor/bin",
    "SHELL": SHELL,
    "TMPDIR": "/data/local/tmp",
    "USER": "shell",
    "ANDROID_DATA": "/data",
    "ANDROID_ROOT": "/system",
    "EXTERNAL_STORAGE": "/sdcard",
}


class Shell:
    """One shell: variables, place and exit status. ``run`` is its only way in."""

    def __init__(self, machine: Machine, parent: "Shell | None" = None) -> None:
        self.machine = machine
        self.variables: dict[str, str] = dict(parent.variables if parent else DEFAULT_VARIABLES)
        self.exported: set[str] = set(parent.exported if parent else DEFAULT_VARIABLES)
        self.functions: dict[str, syntax.Command] = dict(parent.functions) if parent else {}
        self.positional: list[str] = list(parent.positional) if parent else []
        self.name: str = parent.name if parent else SHELL
        self.cwd: str = parent.cwd if parent else "/"
        self.status: int = parent.status if parent else 0
        self.pid: int = parent.pid if parent else 9000 + id(self) % 20000
        self.jobs: list[asyncio.Task[int]] = []
        self.last_job = ""
        self.io: Io | None = None
        self._kept: Io | None = None

    @property
    def fs(self) -> FileSystem:
        """The phone's files."""
        return self.machine.fs

    # -- for callers -----------------------------------------------------------------------------------------------
    async def run(self, source: str, io: Io) -> int:
        """Run a whole script; returns its exit code. Never raises but ``CancelledError``."""
        try:
            rc = await self.run_lines(source, io)
        except Exit as leaving:
            rc = leaving.rc
        except (Break, Continue, Return):
            rc = self.status
        except BrokenPipeError:
            rc = SIGPIPE_RC
        await self._wait_for_jobs()
        return rc & 0xFF

    async def run_lines(self, source: str, io: Io) -> int:
        """Parse and run ``source``; lets ``exit`` through. A syntax error is printed and gives 1."""
        try:
            return await self._sequence(parse(source), io)
        except (ShellSyntaxError, RecursionError) as error:
            text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            await io.stderr.write(pipes.to_bytes(f"{self.name}: {text}\n"))
            self.status = 1
            return 1

    def child(self) -> "Shell":
        """A copy, for a subshell."""
        return Shell(self.machine, self)

    def absolute(self, path: str) -> str:
        """``path`` seen from the current folder."""
        return posixpath.join(self.cwd, path)

    # -- for the expander ------------------------------------------------------------------------------------------
    def special(self, name: str) -> str | None:
        """Value of ``$?`` and the like."""
        values = {"?": str(self.status), "$": str(self.pid), "#": str(len(self.positional)), "!": self.last_job}
        values |= {"-": "hm", "0": self.name, "PWD": self.cwd}
        return values.get(name)

    async def capture(self, source: str) -> str:
        """Output of ``source`` without its last newlines."""
        keep = pipes.MemoryWriter()
        io = (self.io or Io(stdin=pipes.BytesReader(), stdout=keep, stderr=pipes.NullWriter())).replaced(1, keep)
        self.status = await self.child().run(source, io)
        return pipes.to_text(bytes(keep.data).replace(b"\0", b"")).rstrip("\n")

    # -- lists -----------------------------------------------------------------------------------------------------
    async def _sequence(self, sequence: syntax.Sequence, io: Io) -> int:
        for and_or, background in sequence.items:
            if background:
                self._start_job(and_or, io)
            else:
                self.status = await self._and_or(and_or, self._kept or io)
        return self.status

    async def _and_or(self, and_or: syntax.AndOr, io: Io) -> int:
        rc = self.status
        for op, pipeline in and_or.steps:
            if (op == "&&" and rc != 0) or (op == "||" and rc == 0):
                continue
            rc = self.status = await self._pipeline(pipeline, io)
        return rc

    async def _pipeline(self, pipeline: syntax.Pipeline, io: Io) -> int:
        if len(pipeline.stages) == 1:
            rc = await self._command(pipeline.stages[0], io)
        else:
            rc = await self._joined(pipeline.stages, io)
        return int(rc == 0) if pipeline.negated else rc

    async def _joined(self, stages: tuple[syntax.Command, ...], io: Io) -> int:
        async with asyncio.TaskGroup() as group:
            source: pipes.Reader = io.stdin
            for command in stages[:-1]:
                pipe = Pipe()
                group.create_task(self._stage(command, io.replaced(0, source).replaced(1, PipeWriter(pipe)), True))
                source = PipeReader(pipe)
            last = group.create_task(self._stage(stages[-1], io.replaced(0, source), False))
        return last.result()

    async def _stage(self, command: syntax.Command, io: Io, close_output: bool) -> int:
        shell = self.child()
        try:
            return await shell._guarded(shell._command(command, io))
        finally:
            if close_output:
                io.stdout.close()
            io.stdin.close()

    async def _guarded(self, running: Coroutine[Any, Any, int]) -> int:
        """Run to an exit code, whichever way it leaves."""
        try:
            return await running
        except Exit as leaving:
            return leaving.rc
        except (Break, Continue, Return):
            return self.status
        except BrokenPipeError:
            return SIGPIPE_RC
        except ShellSyntaxError as error:
            if self.io is not None:
                await self.io.stderr.write(pipes.to_bytes(f"{self.name}: {error}\n"))
            return 1

    # -- jobs ------------------------------------------------------------------------------------------------------
    def _start_job(self, and_or: syntax.AndOr, io: Io) -> None:
        shell = self.child()
        quiet = io.replaced(0, pipes.BytesReader())
        task = asyncio.get_running_loop().create_task(shell._guarded(shell._and_or(and_or, quiet)))
        self.jobs.append(task)
        self.last_job = str(10000 + id(task) % 20000)
        self.status = 0

    async def _wait_for_jobs(self) -> None:
        try:
            for job in self.jobs:
                await job
        except asyncio.CancelledError:
            for job in self.jobs:
                job.cancel()
            raise

    # -- commands --------------------------------------------------------------------------------------------------
    async def _command(self, command: syntax.Command, io: Io) -> int:
        if isinstance(command, syntax.Simple):
            return await self._simple(command, io)
        if isinstance(command, syntax.Function):
            self.functions[command.name] = command.body
            return 0
        self.io = io
        async with redirected(self, command_redirects(command), io) as inner:
            return 1 if inner is None else await self._with_channels(command, inner)

    async def _with_channels(self, command: syntax.Command, io: Io) -> int:
        """Run a compound command; its own redirections count for more than those of an earlier ``exec``."""
        if command_redirects(command):
            kept, self._kept = self._kept, None
            try:
                return await self._compound(command, io)
            finally:
                self._kept = kept
        return await self._compound(command, io)

    async def _compound(self, command: syntax.Command, io: Io) -> int:
        if isinstance(command, syntax.Group):
            if command.subshell:
                shell = self.child()
                return await shell._guarded(shell._sequence(command.body, io))
            return await self._sequence(command.body, io)
        if isinstance(command, syntax.If):
            return await self._if(command, io)
        if isinstance(command, syntax.For):
            return await self._for(command, io)
        if isinstance(command, syntax.While):
            return await self._while(command, io)
        assert isinstance(command, syntax.Case)
        return await self._case(command, io)

    async def _if(self, command: syntax.If, io: Io) -> int:
        for condition, body in command.branches:
            if await self._sequence(condition, io) == 0:
                return await self._sequence(body, io)
        if command.otherwise is not None:
            return await self._sequence(command.otherwise, io)
        return 0

    async def _for(self, command: syntax.For, io: Io) -> int:
        words = command.words
        values = list(self.positional) if words is None else await Expander(self).fields(words)
        rc = 0
        for value in values:
            self.variables[command.name] = value
            try:
                rc = await self._sequence(command.body, io)
            except Continue:
                continue
            except Break:
                break
        return rc

    async def _while(self, command: syntax.While, io: Io) -> int:
        rc = 0
        while (await self._sequence(command.condition, io) == 0) != command.until:
            await asyncio.sleep(0)
            try:
                rc = await self._sequence(command.body, io)
            except Continue:
                continue
            except Break:
                break
        return rc

    async def _case(self, command: syntax.Case, io: Io) -> int:
        expander = Expander(self)
        subject = await expander.text(command.subject)
        for patterns, body in command.arms:
            for pattern in patterns:
                if re.match(fnmatch.translate(await expander.pattern(pattern)), subject, re.DOTALL):
                    return await self._sequence(body, io)
        return 0

    async def _simple(self, command: syntax.Simple, io: Io) -> int:
        self.io = io
        expander = Expander(self)
        self_status, self.status = self.status, 0 if not command.words else self.status
        words = await expander.fields(command.words) if command.words else []
        assigns = {name: await expander.text(word) for name, word in command.assigns}
        async with redirected(self, command.redirects, io) as inner:
            if inner is None:
                return 1
            if not words:
                self.variables.update(assigns)
                return self.status if command.assigns else self_status
            if words == ["exec"]:
                self._kept = inner
                return 0
            return await self._with_variables(assigns, words, inner)

    async def _with_variables(self, assigns: dict[str, str], words: list[str], io: Io) -> int:
        """Run ``words`` with ``assigns`` set for this command only."""
        before = {name: self.variables.get(name) for name in assigns}
        self.variables.update(assigns)
        try:
            return await self.invoke(words, io)
        finally:
            for name, value in before.items():
                if value is None:
                    self.variables.pop(name, None)
                else:
                    self.variables[name] = value

    # -- running one command ---------------------------------------------------------------------------------------
    async def invoke(self, words: list[str], io: Io, *, functions: bool = True) -> int:
        """Run the command that ``words`` name: function, builtin, tool, command of the phone, or script."""
        name = words[0]
        call = Call(name=name, args=words[1:], shell=self, io=io)
        if functions and name in self.functions:
            return await self._function(call)
        if name in builtins.BUILTINS:
            return await _reported(builtins.BUILTINS[name], call)
        found = self.lookup(name)
        if found is None:
            return await self._script_or_missing(call)
        await self.machine.pause(_base(name), call.args)
        try:
            return await _reported(found, Call(name=_base(name), args=call.args, shell=self, io=io))
        except BrokenPipeError:
            return SIGPIPE_RC

    def lookup(self, name: str) -> Command | None:
        """The tool or phone command called ``name`` (also by its path in a bin folder)."""
        base = _base(name)
        if "/" in name and not name.startswith(BIN):
            return None
        return self.machine.commands.get(base) or tools.TOOLS.get(base)

    async def _function(self, call: Call) -> int:
        before, self.positional = self.positional, call.args
        try:
            return await self._command(self.functions[call.name], call.io)
        except Return as leaving:
            return leaving.rc
        finally:
            self.positional = before

    async def _script_or_missing(self, call: Call) -> int:
        node = self.fs.find(self.absolute(call.name)) if "/" in call.name else None
        if node is None or node.is_dir:
            reason = "can't execute: Is a directory" if node else "inaccessible or not found"
            await call.err(f"{self.name}: {call.name}: {reason}\n")
            return 126 if node else 127
        if not node.mode & 0o111:
            await call.err(f"{self.name}: {call.name}: can't execute: Permission denied\n")
            return 126
        script = self.child()
        script.positional, script.name = call.args, call.name
        return await script.run(pipes.to_text(node.content()), call.io)


async def _reported(command: Command, call: Call) -> int:
    """Run a command; what it could not do, or could not read in its arguments, is printed and gives 1."""
    try:
        return await command(call)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return await call.fail(f"{where}{error.strerror}")
    except (ValueError, IndexError, OverflowError) as error:
        return await call.fail(f"bad arguments: {error}")


def command_redirects(command: syntax.Command) -> tuple[syntax.Redirect, ...]:
    """Redirections of a command; a function definition has none."""
    return () if isinstance(command, syntax.Function) else command.redirects


def _base(name: str) -> str:
    return posixpath.basename(name)
