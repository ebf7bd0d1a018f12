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
from phonefarm.vphone.shell.rules import command_redirects, fails_scripts, reported
from phonefarm.vphone.shell.syntax import ShellSyntaxError
from phonefarm.vphone.shell.variables import Variables

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
        fixed: set[str] = parent.variables.fixed if parent else set()
        self.variables: Variables = Variables(parent.variables if parent else DEFAULT_VARIABLES, fixed)
        self.exported: set[str] = set(parent.exported if parent else DEFAULT_VARIABLES)
        self.functions: dict[str, syntax.Command] = dict(parent.functions) if parent else {}
        self.positional: list[str] = list(parent.positional) if parent else []
        self.options: set[str] = set(parent.options) if parent else set()
        self.traps: dict[str, str] = {}
        self.mask: int = parent.mask if parent else 0o77
        self.window: list[int] = parent.window if parent else []
        self.locals: list[dict[str, str | None]] = []
        self.name: str = parent.name if parent else SHELL
        self.cwd: str = parent.cwd if parent else "/"
        self.status: int = parent.status if parent else 0
        self.pid: int = parent.pid if parent else 9000 + id(self) % 20000
        self.jobs: dict[str, asyncio.Task[int]] = {}
        self.last_job = ""
        self.io: Io | None = None
        self._kept: Io | None = None
        self._unchecked: int = parent._unchecked if parent else 0

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
        rc = await self._farewell(rc, io)
        await self._wait_for_jobs()
        return rc & 0xFF

    async def _farewell(self, rc: int, io: Io) -> int:
        """What ``trap .. EXIT`` asked for, once; the exit code stays unless it says ``exit`` itself."""
        last = self.traps.pop("EXIT", "")
        if last:
            self.status = rc
            try:
                await self.run_lines(last, io)
            except Exit as leaving:
                return leaving.rc
            except BrokenPipeError:
                return SIGPIPE_RC
        return rc

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

    def program(self) -> "Shell":
        """A new shell for a script: it knows what is exported, and the folder."""
        shell = Shell(self.machine)
        shell.variables = Variables({name: text for name, text in self.variables.items() if name in self.exported})
        shell.exported, shell.cwd, shell.window = set(shell.variables), self.cwd, self.window
        return shell

    def absolute(self, path: str) -> str:
        """``path`` seen from the current folder."""
        return posixpath.join(self.cwd, path)

    # -- for the expander ------------------------------------------------------------------------------------------
    def special(self, name: str) -> str | None:
        """Value of ``$?`` and the like."""
        values = {"?": str(self.status), "$": str(self.pid), "#": str(len(self.positional)), "!": self.last_job}
        values |= {"-": "".join(sorted(self.options)), "0": self.name, "PWD": self.cwd}
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
        for place, (op, pipeline) in enumerate(and_or.steps):
            if (op == "&&" and rc != 0) or (op == "||" and rc == 0):
                continue
            if place == len(and_or.steps) - 1:
                rc = self.status = await self._pipeline(pipeline, io)
            else:
                rc = self.status = await self._unwatched(self._pipeline(pipeline, io))
        return rc

    async def _unwatched(self, running: Coroutine[Any, Any, int]) -> int:
        """A command whose failure does not end a script under ``set -e``: what it gives is looked at."""
        self._unchecked += 1
        try:
            return await running
        finally:
            self._unchecked -= 1

    async def _pipeline(self, pipeline: syntax.Pipeline, io: Io) -> int:
        if pipeline.negated:
            return int(await self._unwatched(self._stages(pipeline.stages, io)) == 0)
        rc = await self._stages(pipeline.stages, io)
        if rc and "e" in self.options and not self._unchecked and fails_scripts(pipeline):
            raise Exit(rc)
        return rc

    async def _stages(self, stages: tuple[syntax.Command, ...], io: Io) -> int:
        return await (self._command(stages[0], io) if len(stages) == 1 else self._joined(stages, io))

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
            return await shell._guarded(shell._command(command, io), io)
        finally:
            if close_output:
                io.stdout.close()
            io.stdin.close()

    async def _guarded(self, running: Coroutine[Any, Any, int], io: Io) -> int:
        """Run to an exit code, whichever way it leaves."""
        try:
            rc = await running
        except Exit as leaving:
            rc = leaving.rc
        except (Break, Continue):
            rc = self.status
        except BrokenPipeError:
            rc = SIGPIPE_RC
        except ShellSyntaxError as error:
            await (self.io or io).stderr.write(pipes.to_bytes(f"{self.name}: {error}\n"))
            rc = 1
        return await self._farewell(rc, io)

    # -- jobs ------------------------------------------------------------------------------------------------------
    def _start_job(self, and_or: syntax.AndOr, io: Io) -> None:
        shell = self.child()
        quiet = io.replaced(0, pipes.BytesReader())
        task = asyncio.get_running_loop().create_task(shell._guarded(shell._and_or(and_or, quiet), quiet))
        self.last_job = str(10000 + id(task) % 20000)
        self.jobs[self.last_job] = task
        self.status = 0

    async def _wait_for_jobs(self) -> None:
        try:
            for job in self.jobs.values():
                await job
        except asyncio.CancelledError:
            for job in self.jobs.values():
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
                return await shell._guarded(shell._sequence(command.body, io), io)
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
            if await self._unwatched(self._sequence(condition, io)) == 0:
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
                rc = await self._round(command.body, io)
            except Break as leaving:
                leaving.pass_on()
                break
        return rc

    async def _while(self, command: syntax.While, io: Io) -> int:
        rc = 0
        try:
            while (await self._unwatched(self._sequence(command.condition, io)) == 0) != command.until:
                await asyncio.sleep(0)
                rc = await self._round(command.body, io)
        except Break as leaving:
            leaving.pass_on()
        return rc

    async def _round(self, body: syntax.Sequence, io: Io) -> int:
        """One round of a loop."""
        try:
            return await self._sequence(body, io)
        except Continue as leaving:
            leaving.pass_on()
            return 0

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
        before, self.status = self.status, 0 if not command.words else self.status
        words = await expander.fields(command.words) if command.words else []
        async with redirected(self, command.redirects, io) as inner:
            if inner is None:
                return 1
            if not words:
                for name, word in command.assigns:
                    self.variables[name] = await expander.text(word)
                return self.status if command.assigns else before
            if words == ["exec"]:
                self._kept = inner
                return 0
            assigns = {name: await expander.text(word) for name, word in command.assigns}
            return await self._with_variables(assigns, words, inner)

    async def _with_variables(self, assigns: dict[str, str], words: list[str], io: Io) -> int:
        """Run ``words`` with ``assigns`` set and exported for this command only."""
        before = {name: self.variables.get(name) for name in assigns}
        exported = set(self.exported)
        self.variables.update(assigns)
        self.exported |= assigns.keys()
        try:
            return await self.invoke(words, io)
        finally:
            self.exported = exported if assigns else self.exported
            for name, value in before.items():
                self.variables.restore(name, value)

    # -- running one command ---------------------------------------------------------------------------------------
    async def invoke(self, words: list[str], io: Io, *, functions: bool = True) -> int:
        """Run the command that ``words`` name: function, builtin, tool, command of the phone, or script."""
        name = words[0]
        call = Call(name=name, args=words[1:], shell=self, io=io)
        if functions and name in self.functions:
            return await self._function(call)
        await self.machine.hold(name, call.args)
        if name in builtins.BUILTINS:
            return await reported(builtins.BUILTINS[name], call)
        found = self.lookup(name)
        if found is None:
            return await self._script_or_missing(call)
        await self.machine.pause(posixpath.basename(name), call.args)
        try:
            return await reported(found, Call(name=posixpath.basename(name), args=call.args, shell=self, io=io))
        except BrokenPipeError:
            return SIGPIPE_RC

    def lookup(self, name: str) -> Command | None:
        """The tool or phone command called ``name`` (also by its path in a bin folder)."""
        base = posixpath.basename(name)
        if "/" in name and not name.startswith(BIN):
            return None
        return self.machine.commands.get(base) or tools.TOOLS.get(base)

    async def _function(self, call: Call) -> int:
        before, self.positional = self.positional, call.args
        self.locals.append({})
        try:
            return await self._command(self.functions[call.name], call.io)
        except Return as leaving:
            return leaving.rc
        finally:
            self.positional = before
            for name, value in self.locals.pop().items():
                self.variables.restore(name, value)

    async def _script_or_missing(self, call: Call) -> int:
        node = self.fs.find(self.absolute(call.name)) if "/" in call.name else None
        if node is None or node.is_dir:
            reason = "can't execute: Is a directory" if node else "inaccessible or not found"
            await call.err(f"{self.name}: {call.name}: {reason}\n")
            return 126 if node else 127
        if not node.mode & 0o111:
            await call.err(f"{self.name}: {call.name}: can't execute: Permission denied\n")
            return 126
        script = self.program()
        script.positional, script.name = call.args, call.name
        return await script.run(pipes.to_text(node.content()), call.io)
