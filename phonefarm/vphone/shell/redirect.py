"""Redirections: the channels of one command, opened before it runs."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from phonefarm.vphone.fs import Node
from phonefarm.vphone.shell import pipes
from phonefarm.vphone.shell.expand import Expander
from phonefarm.vphone.shell.pipes import Io
from phonefarm.vphone.shell.syntax import Redirect

if TYPE_CHECKING:
    from phonefarm.vphone.shell.interpreter import Shell


@asynccontextmanager
async def redirected(shell: "Shell", redirects: tuple[Redirect, ...], io: Io) -> AsyncIterator[Io | None]:
    """The channels after ``redirects``; None when one could not be opened (it has been reported)."""
    opened: Io | None = io
    try:
        for redirect in redirects:
            assert opened is not None
            opened = await _apply(shell, redirect, opened)
    except OSError as error:
        verb = "create" if ">" in redirect.op else "open"
        text = f"{shell.name}: can't {verb} {error.filename}: {error.strerror}\n"
        await io.stderr.write(pipes.to_bytes(text))
        opened = None
    yield opened


async def _apply(shell: "Shell", redirect: Redirect, io: Io) -> Io:
    target = await Expander(shell).text(redirect.target)
    if redirect.op == "<<":
        return io.replaced(redirect.fd, pipes.BytesReader(pipes.to_bytes(target)))
    if redirect.op in (">&", "<&"):
        return _duplicate(redirect, target, io)
    path = shell.absolute(target)
    if redirect.op in ("<", "<>"):
        return io.replaced(redirect.fd, _reader(shell, path, io))
    if path == "/dev/tty" or path == "/dev/stdout":
        return io.replaced(redirect.fd, io.stdout)
    if path == "/dev/stderr":
        return io.replaced(redirect.fd, io.stderr)
    node = shell.fs.open_write(path, append=redirect.op == ">>")
    return io.replaced(redirect.fd, _writer(shell, node))


def _duplicate(redirect: Redirect, target: str, io: Io) -> Io:
    if target == "-":
        return io.closed(redirect.fd)
    channel = io.channel(int(target)) if target.isdigit() else None
    if channel is None:
        raise OSError(errno.EBADF, "bad file descriptor", target)
    return io.replaced(redirect.fd, channel)


def _reader(shell: "Shell", path: str, io: Io) -> pipes.Reader:
    if path == "/dev/zero":
        return pipes.ZeroReader()
    if path in ("/dev/tty", "/dev/stdin"):
        return io.stdin
    return pipes.BytesReader(shell.fs.read(path))


def _writer(shell: "Shell", node: Node) -> pipes.Writer:
    return pipes.NullWriter() if node.source is not None else pipes.FileWriter(shell.fs, node)
